/** Lines, inlined functions and instructions at 1,000 random addresses of the kernel and its modules: as binutils has them. */
import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { loadDisassembler } from "../../bindings/symbols/disassemble.ts";
import { decodeStacktrace, type SymbolTable } from "../../bindings/symbols/index.ts";
import { crashlab } from "../docs/run.ts";
import { KERNEL, MODULES, type ObjectFile, placesOf, randomAddresses, randomNumbers } from "./places.ts";

const SEED = 20240101;
const COUNT = 1000;
const ALL = [KERNEL, ...MODULES];

/** `addr2line -a -i -f`, without binutils' own "discriminator". */
function addr2line({ file, section }: ObjectFile, addresses: readonly bigint[]): string {
  const input = addresses.map((address) => `0x${address.toString(16)}`).join("\n");
  const options = { encoding: "utf8", input, maxBuffer: 1 << 26 } as const;
  const text = execFileSync("addr2line", ["-a", "-i", "-f", "-e", file, ...section], options);
  return text.replace(/ \(discriminator \d+\)/g, "");
}

function ours({ symbols, base }: ObjectFile, addresses: readonly bigint[]): string {
  const lines = addresses.flatMap((address) => {
    const frames = symbols.frames(base + address);
    const known = frames.flatMap(({ function: name, file, line }) => [name, `${file}:${line || "?"}`]);
    return [`0x${address.toString(16).padStart(16, "0")}`, ...(known.length === 0 ? ["??", "??:0"] : known)];
  });
  return `${lines.join("\n")}\n`;
}

describe.each(ALL)("addr2line agrees", (object) => {
  test(`at 1,000 addresses of ${object.name}, or all it has`, () => {
    const addresses = randomAddresses(object, SEED, COUNT);
    expect(addresses.length).toBeGreaterThan(object === KERNEL ? COUNT - 1 : 5);
    expect(ours(object, addresses)).toBe(addr2line(object, addresses));
  });
});

describe.each([["-a", "-f", "-i"], ["-f"], ["-i"], ["-a", "-f", "-i", "-p"], ["-i", "-p"]])(
  "crashlab addr2line %s %s %s %s",
  (...options) => {
    test.each([KERNEL, ...MODULES.filter(({ name }) => name === "mydriver.ko")])(
      "of $name prints as binutils",
      async (object) => {
        const addresses = randomAddresses(object, SEED + 2, 20)
          .filter((address) => object.symbols.line(object.base + address) !== undefined)
          .map((address) => `0x${address.toString(16)}`);
        const words = options.filter(Boolean);
        const theirs = execFileSync(
          "addr2line",
          [...words, "-e", object.file, ...object.section, ...addresses],
          { encoding: "utf8" },
        );
        const { stdout } = await crashlab("addr2line", ...words, object.file, ...addresses);
        expect(stdout).toBe(theirs.replace(/ \(discriminator \d+\)/g, ""));
      },
    );
  },
);

/** Functions and lines by binutils, for each address; the folder that the guest was built in is left out. */
function linesOf(object: ObjectFile, addresses: readonly bigint[]): string[][] {
  const blocks = addr2line(object, addresses)
    .split(/^0x[0-9a-f]+\n/m)
    .slice(1);
  return blocks.map((block) =>
    block
      .trimEnd()
      .replace(/^\/kernel\//gm, "")
      .split("\n"),
  );
}

describe.each(ALL)("by name, in $name", (object) => {
  const places = placesOf(object, randomAddresses(object, SEED + 1, COUNT));
  const module = object === KERNEL ? undefined : object.name.replace(".ko", "");

  test("faddr2line has the functions and lines of the address", () => {
    const theirs = linesOf(
      object,
      places.map(({ address }) => address),
    );
    const found = places.map(({ frames }) =>
      frames.flatMap((frame) => [
        frame.function,
        `${frame.file.replace(/^\/kernel\//, "")}:${frame.line || "?"}`,
      ]),
    );
    expect(places.length).toBeGreaterThan(object === KERNEL ? COUNT * 0.6 : 5);
    expect(found).toEqual(theirs);
  });

  test("a decoded trace has the lines of the byte before a return address, inlined ones first", () => {
    const calls = places.filter(({ offset }) => offset > 0);
    const theirs = linesOf(
      object,
      calls.map(({ address }) => address - 1n),
    );
    const tag = module === undefined ? "" : ` [${module}]`;
    const log = calls.map(
      ({ symbol, offset, size }) => ` ${symbol}+0x${offset.toString(16)}/0x${size.toString(16)}${tag}`,
    );
    const modules = new Map<string, SymbolTable>(module === undefined ? [] : [[module, object.symbols]]);
    const expected = theirs.map((lines, index) => {
      const shown = lines.filter((_, at) => at % 2 === 1);
      return ` ${calls[index]?.symbol} (${shown.join(" ")})${module === undefined ? "" : ` ${module}`}`;
    });
    expect(decodeStacktrace(log.join("\n"), { vmlinux: KERNEL.symbols, modules }).split("\n")).toEqual(
      expected,
    );
  });
});

/**
 * Instructions as `objdump -d` prints them: address and text. It writes addresses without 0x and with the name of what
 * is there, which are taken off here; all else must be equal.
 */
function objdump({ file }: ObjectFile): (readonly [address: bigint, text: string])[] {
  const listing = execFileSync("objdump", ["-d", "-w", "-z", "-j", ".text", file], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  return [...listing.matchAll(/^ *([0-9a-f]+):\t[0-9a-f ]+\t(.*)$/gm)].map(([, address, text = ""]) => [
    BigInt(`0x${address}`),
    text
      .replace(/ <[^>]*>$/, "")
      .replace(/# ([0-9a-f]+)$/, "# 0x$1")
      .replace(/^((?:data16 |cs |ds |notrack |bnd )*(?:call|j\w+|loop\w*) +)([0-9a-f]+)$/, "$10x$2")
      .trimEnd(),
  ]);
}

test.each(ALL)(
  "objdump -d prints the same at 1,000 random instructions of $name, or all it has",
  async (object) => {
    const { symbols, start } = object;
    const bytes = symbols.elf.content(".text") ?? new Uint8Array(0);
    const theirs = objdump(object);
    const disassemble = await loadDisassembler();
    const found = randomNumbers(SEED, theirs.length, COUNT).map((index) => {
      const [address, text] = theirs[index] ?? [0n, ""];
      const at = Number(address - start);
      const [line] = disassemble(bytes.subarray(at, at + 15), address);
      const next = theirs[index + 1]?.[0];
      const whole = next === undefined || next === address + BigInt(line?.bytes.length ?? 0);
      return {
        ours: whole ? `${address.toString(16)} ${line?.text}` : "another length",
        theirs: `${address.toString(16)} ${text}`,
      };
    });
    expect(found.length).toBeGreaterThan(object === KERNEL ? COUNT - 1 : 4);
    expect(found.map((each) => each.ours)).toEqual(found.map((each) => each.theirs));
  },
);
