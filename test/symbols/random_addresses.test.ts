/** Lines, inlined functions and instructions at 1,000 random addresses of the kernel and its modules: as binutils has them. */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadDisassembler } from "../../bindings/symbols/disassemble.ts";
import { decodeStacktrace, findFunctionPlaces, SymbolTable } from "../../bindings/symbols/index.ts";
import { GUEST, VMLINUX } from "../machine/crashed.ts";
import { readBytes } from "./program.ts";

const SEED = 20240101;
const COUNT = 1000;

/** `count` different numbers below a limit, the same for the same seed. */
function randomNumbers(seed: number, below: number, count: number): number[] {
  const found = new Set<number>();
  let state = seed;
  while (found.size < Math.min(count, below)) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    found.add(Math.floor((state / 2 ** 32) * below));
  }
  return [...found];
}

/** `addr2line -a -i -f`, without binutils' own "discriminator". */
function addr2line(file: string, addresses: readonly bigint[], section: readonly string[]): string {
  const input = addresses.map((address) => `0x${address.toString(16)}`).join("\n");
  const options = { encoding: "utf8", input, maxBuffer: 1 << 26 } as const;
  const text = execFileSync("addr2line", ["-a", "-i", "-f", "-e", file, ...section], options);
  return text.replace(/ \(discriminator \d+\)/g, "");
}

function ours(symbols: SymbolTable, addresses: readonly bigint[], base: bigint): string {
  const lines = addresses.flatMap((address) => {
    const frames = symbols.frames(base + address);
    const known = frames.flatMap(({ function: name, file, line }) => [name, `${file}:${line || "?"}`]);
    return [`0x${address.toString(16).padStart(16, "0")}`, ...(known.length === 0 ? ["??", "??:0"] : known)];
  });
  return `${lines.join("\n")}\n`;
}

/** Between functions there is padding, which binutils gives to the function before. */
function inFunctions(symbols: SymbolTable, addresses: readonly bigint[], base: bigint): bigint[] {
  return addresses.filter((address) => symbols.lookup(base + address) !== undefined).slice(0, COUNT);
}

const MODULES = readdirSync(join(GUEST, "modules")).filter((name) => name.endsWith(".ko"));

describe("addr2line agrees", () => {
  test("at 1,000 addresses of vmlinux", () => {
    const symbols = SymbolTable.fromElf(readBytes(VMLINUX));
    const text = symbols.elf.section(".text");
    const start = text?.address ?? 0n;
    const random = randomNumbers(SEED, text?.size ?? 0, 2 * COUNT).map((offset) => start + BigInt(offset));
    const addresses = inFunctions(symbols, random, 0n);
    expect(addresses.length).toBe(COUNT);
    expect(ours(symbols, addresses, 0n)).toBe(addr2line(VMLINUX, addresses, []));
  });

  test.each(MODULES)("at addresses of %s", (name) => {
    const file = join(GUEST, "modules", name);
    const symbols = SymbolTable.fromElf(readBytes(file));
    const text = symbols.elf.section(".text");
    const base = BigInt(text?.index ?? 0) << 32n;
    const addresses = inFunctions(symbols, randomNumbers(SEED, text?.size ?? 0, 2 * COUNT).map(BigInt), base);
    expect(addresses.length).toBeGreaterThan(5);
    expect(ours(symbols, addresses, base)).toBe(addr2line(file, addresses, ["-j", ".text"]));
  });
});

/** `function+offset` of addresses, where the name means one place only, as it does for scripts/faddr2line. */
function placesOf(symbols: SymbolTable, addresses: readonly bigint[], base: bigint): Place[] {
  return addresses.flatMap((address) => {
    const name = symbols.lookup(base + address);
    if (name === undefined) return [];
    const { matches } = findFunctionPlaces(symbols, name.name, name.offset);
    const [match] = matches;
    return match === undefined || matches.length > 1 || match.address !== base + address
      ? []
      : [{ ...match, address }];
  });
}
type Place = ReturnType<typeof findFunctionPlaces>["matches"][number];

/** Functions and lines by binutils, for each address; the folder that the guest was built in is left out. */
function linesOf(file: string, addresses: readonly bigint[], section: readonly string[]): string[][] {
  const blocks = addr2line(file, addresses, section)
    .split(/^0x[0-9a-f]+\n/m)
    .slice(1);
  return blocks.map((block) =>
    block
      .trimEnd()
      .replace(/^\/kernel\//gm, "")
      .split("\n"),
  );
}

describe.each([["vmlinux", VMLINUX], ...MODULES.map((name) => [name, join(GUEST, "modules", name)])])(
  "by name, in %s",
  (name, file) => {
    const vmlinux = SymbolTable.fromElf(readBytes(VMLINUX));
    const symbols = name === "vmlinux" ? vmlinux : SymbolTable.fromElf(readBytes(file));
    const text = symbols.elf.section(".text");
    const base = name === "vmlinux" ? 0n : BigInt(text?.index ?? 0) << 32n;
    const start = name === "vmlinux" ? (text?.address ?? 0n) : 0n;
    const section = name === "vmlinux" ? [] : ["-j", ".text"];
    const random = randomNumbers(SEED + 1, text?.size ?? 0, COUNT).map((offset) => start + BigInt(offset));
    const places = placesOf(symbols, inFunctions(symbols, random, base), base);

    test("faddr2line has the functions and lines of the address", () => {
      const theirs = linesOf(
        file,
        places.map(({ address }) => address),
        section,
      );
      const found = places.map(({ frames }) =>
        frames.flatMap((frame) => [
          frame.function,
          `${frame.file.replace(/^\/kernel\//, "")}:${frame.line || "?"}`,
        ]),
      );
      expect(places.length).toBeGreaterThan(name === "vmlinux" ? COUNT * 0.6 : 5);
      expect(found).toEqual(theirs);
    });

    test("a decoded trace has the lines of the byte before a return address, inlined ones first", () => {
      const calls = places.filter(({ offset }) => offset > 0);
      const theirs = linesOf(
        file,
        calls.map(({ address }) => address - 1n),
        section,
      );
      const tag = name === "vmlinux" ? "" : ` [${name.replace(".ko", "")}]`;
      const log = calls.map(
        ({ symbol, offset, size }) => ` ${symbol}+0x${offset.toString(16)}/0x${size.toString(16)}${tag}`,
      );
      const modules = new Map(name === "vmlinux" ? [] : [[name.replace(".ko", ""), symbols]]);
      const expected = theirs.map((lines, index) => {
        const module = tag === "" ? "" : ` ${name.replace(".ko", "")}`;
        const shown = lines.filter((_, at) => at % 2 === 1).map((line) => line.replace(/:\?$/, ":0"));
        return ` ${calls[index]?.symbol} (${shown.join(" ")})${module}`;
      });
      expect(decodeStacktrace(log.join("\n"), { vmlinux, modules }).split("\n")).toEqual(expected);
    });
  },
);

test("objdump -d has the same instructions at 1,000 random places", async () => {
  const symbols = SymbolTable.fromElf(readBytes(VMLINUX));
  const text = symbols.elf.section(".text");
  const bytes = symbols.elf.content(".text") ?? new Uint8Array(0);
  const start = text?.address ?? 0n;
  const listing = execFileSync("objdump", ["-d", "--insn-width=15", "-j", ".text", VMLINUX], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const theirs = [...listing.matchAll(/^([0-9a-f]{16}):\t/gm)].map(([, address]) => BigInt(`0x${address}`));
  const next = new Map(theirs.map((address, index) => [address, theirs[index + 1]]));
  const disassemble = await loadDisassembler();
  const wrong: string[] = [];
  for (const index of randomNumbers(SEED, theirs.length - 1, COUNT)) {
    const address = theirs[index] ?? 0n;
    const at = Number(address - start);
    const [line] = disassemble(bytes.subarray(at, at + 15), address);
    const end = address + BigInt(line?.bytes.length ?? 0);
    if (end !== next.get(address)) wrong.push(address.toString(16));
  }
  expect(wrong).toEqual([]);
});
