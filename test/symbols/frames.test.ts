/** Functions and lines of addresses, compared with binutils' addr2line at every byte of a program's code. */
import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  decodeStacktrace,
  findFunctionPlaces,
  formatFunctionPlace,
  parseFunctionOffset,
  SymbolTable,
} from "../../bindings/symbols/index.ts";
import { buildProgram, type Program, readBytes } from "./program.ts";

const FUNCTIONS = ["top", "second", "_start"];

/** What `addr2line -i -f` prints, without binutils' own "discriminator". */
function addr2line(file: string, addresses: readonly bigint[]): string {
  const hex = addresses.map((address) => `0x${address.toString(16)}`);
  const text = execFileSync("addr2line", ["-a", "-i", "-f", "-e", file, ...hex], { encoding: "utf8" });
  return withoutFolder(text.replace(/ \(discriminator \d+\)/g, ""));
}

function withoutFolder(text: string): string {
  return text.replace(/\/\S*\//g, "");
}

function ours(symbols: SymbolTable, addresses: readonly bigint[]): string {
  const lines = addresses.flatMap((address) => [
    `0x${address.toString(16).padStart(16, "0")}`,
    ...symbols.frames(address).flatMap(({ function: name, file, line }) => [name, `${file}:${line || "?"}`]),
  ]);
  return withoutFolder(`${lines.join("\n")}\n`);
}

// binutils 2.40 misreads the indexed range lists of DWARF 5; the same code with DWARF 4 has the same answers.
let reference: Program;
beforeAll(async () => {
  reference = await buildProgram(["-gdwarf-4"]);
});
afterAll(() => reference.remove());

describe.each([
  ["DWARF 4", ["-gdwarf-4"]],
  ["DWARF 5", ["-gdwarf-5"]],
  ["DWARF 5, 64-bit", ["-gdwarf-5", "-gdwarf64"]],
  ["DWARF 4, packed", ["-gdwarf-4", "-gz=zlib"]],
])("a program with %s", (_name, flags) => {
  let program: Program;
  let symbols: SymbolTable;
  beforeAll(async () => {
    program = await buildProgram(flags);
    symbols = SymbolTable.fromElf(readBytes(program.executable));
  });
  afterAll(() => program.remove());

  test.each(FUNCTIONS)("addr2line agrees at every byte of %s", (name) => {
    const start = symbols.address(name) ?? 0n;
    const addresses = Array.from({ length: symbols.size(name) ?? 0 }, (_, index) => start + BigInt(index));
    expect(addresses.length).toBeGreaterThan(10);
    expect(ours(symbols, addresses)).toBe(addr2line(reference.executable, addresses));
  });

  test("inlined functions come before the one they are in", () => {
    const start = symbols.address("top") ?? 0n;
    const size = symbols.size("top") ?? 0;
    const chains = Array.from({ length: size }, (_, index) =>
      symbols
        .frames(start + BigInt(index))
        .map((frame) => frame.function)
        .join(" < "),
    );
    expect(new Set(chains)).toContain("leaf < middle < top");
  });

  test("an object file has the same lines, by its relocations", () => {
    const object = SymbolTable.fromElf(readBytes(program.object));
    const from = object.address("top") ?? 0n;
    const to = symbols.address("top") ?? 0n;
    for (let at = 0n; at < BigInt(symbols.size("top") ?? 0); at++) {
      expect(object.frames(from + at)).toEqual(symbols.frames(to + at));
    }
  });

  test("members of unnamed structures count as members", () => {
    const offsets = ["a", "deep", "deeper", "z", "last"].map((name) => symbols.memberOffset("outer", name));
    expect(offsets).toEqual([0, 8, 16, 8, 24]);
    expect(symbols.memberOffset("outer", "none")).toBeUndefined();
  });

  test("of two functions of one name the size picks", () => {
    const both = findFunctionPlaces(symbols, "twin", 1).matches;
    expect(both.map(({ frames }) => frames[0]?.file.split("/").at(-1))).toEqual(["first.c", "second.c"]);
    const [, other] = both;
    const picked = findFunctionPlaces(symbols, "twin", 1, other?.size);
    expect(picked.matches).toEqual([other]);
    expect(picked.skipped[0]?.reason).toMatch(/^size mismatch \(0x[0-9a-f]+ != 0x[0-9a-f]+\)$/);
  });

  test("an offset behind the function is refused", () => {
    expect(findFunctionPlaces(symbols, "top", 0x10000).matches).toEqual([]);
  });

  test("a trace gets its lines: of the call for a frame, of the instruction for RIP", () => {
    const [place] = findFunctionPlaces(symbols, "second", 4).matches;
    const size = `0x${place?.size.toString(16)}`;
    const log = `RIP: 0010:second+0x4/${size}\n  second+0x4/${size}\n  gone+0x1/0x2 [lost]`;
    const [rip, frame, gone] = decodeStacktrace(log, { vmlinux: symbols }).split("\n");
    expect(rip).toMatch(/^RIP: 0010:second \(.*second\.c:3\)$/);
    expect(frame).toMatch(/^ {2}second \(.*second\.c:3\)$/);
    expect(gone).toBe("  gone+0x1/0x2 [lost]");
  });

  test("the text is that of scripts/faddr2line", () => {
    const [place] = findFunctionPlaces(symbols, "second", 0).matches;
    if (place === undefined) throw new Error("no place");
    const text = formatFunctionPlace(place, "");
    expect(text).toMatch(/^second\+0x0\/0x[0-9a-f]+:\nsecond at \/.*\/second\.c:3$/);
  });
});

test.each(["", "name", "name+", "+0x1", "name+0xzz", `name+${"9".repeat(400)}`])(
  "%j is not function+offset",
  (text) => {
    expect(() => parseFunctionOffset(text)).toThrow(expect.objectContaining({ code: "bad-option" }));
  },
);
