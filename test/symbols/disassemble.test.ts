/** The disassembler against binutils, on the guest kernel's own code and on spellings it does not have. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Disassemble, loadDisassembler } from "../../bindings/symbols/disassemble.ts";
import { randomNumbers } from "./places.ts";

const BASE = 0xffffffff81000000n;
let disassemble: Disassemble;
const folder = mkdtempSync(join(tmpdir(), "disassemble-"));
beforeAll(async () => {
  disassemble = await loadDisassembler();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Addresses and texts by `objdump -D -b binary`. */
function objdump(bytes: Uint8Array): Map<bigint, string> {
  const file = join(folder, "code.bin");
  writeFileSync(file, bytes);
  const options = ["-D", "-z", "-w", "-b", "binary", "-m", "i386:x86-64", `--adjust-vma=${BASE}`];
  const listing = execFileSync("objdump", [...options, file], { encoding: "utf8", maxBuffer: 1 << 28 });
  const lines = listing.matchAll(/^ *([0-9a-f]+):\t[0-9a-f ]+\t(.*)$/gm);
  return new Map([...lines].map(([, address, text = ""]) => [BigInt(`0x${address}`), text.trimEnd()]));
}

function code(hex: string): Uint8Array {
  return Uint8Array.from(hex.split(" "), (byte) => Number.parseInt(byte, 16));
}

test("the guest kernel's code reads as objdump prints it", () => {
  const kernel = readFileSync(new URL("../../build/guest/vmlinux", import.meta.url));
  const header = kernel.readBigUInt64LE(0x20);
  // The first loaded segment begins with the text.
  const offset = Number(kernel.readBigUInt64LE(Number(header) + 8));
  const bytes = new Uint8Array(kernel.subarray(offset, offset + 60_000));
  const expected = objdump(bytes);
  expect(expected.size).toBeGreaterThan(10_000);
  const differing = disassemble(bytes, BASE)
    .filter((line) => line.valid && expected.has(line.address))
    .filter((line) => expected.get(line.address) !== line.text)
    .map((line) => `${line.text} | ${expected.get(line.address)}`);
  expect(differing).toEqual([]);
});

test.each([
  ["48 c7 40 08 01 00 00 00", "movq   $0x1,0x8(%rax)"],
  ["48 8b 05 b9 8e b1 00", "mov    0xb18eb9(%rip),%rax        # 0xffffffff81b18ec0"],
  ["e8 00 10 00 00", "call   0xffffffff81001005"],
  ["65 48 8b 04 25 28 00 00 00", "mov    %gs:0x28,%rax"],
  ["48 a1 68 45 23 01 00 c9 ff ff", "movabs 0xffffc90001234568,%rax"],
  ["f3 48 ab", "rep stos %rax,%es:(%rdi)"],
  ["f3 a4", "rep movsb %ds:(%rsi),%es:(%rdi)"],
  ["66 66 2e 0f 1f 84 00 00 00 00 00", "data16 cs nopw 0x0(%rax,%rax,1)"],
  ["d1 fe", "sar    %esi"],
  ["ee", "out    %al,(%dx)"],
  ["48 69 c0 10 27 00 00", "imul   $0x2710,%rax,%rax"],
  ["ff 27", "jmp    *(%rdi)"],
  ["0f 0b", "ud2"],
  ["06", "(bad)"],
  ["df ce", "(bad)"],
  ["66 dc d1", "data16 (bad)"],
  ["d9 d0", "fnop"],
  ["49 53", "rex.WB push %r11"],
  ["e8", ".byte 0xe8"],
  ["f0 48", "lock"],
])("%s is %s", (hex, text) => {
  expect(disassemble(code(hex), BASE)[0]?.text).toBe(text);
  expect(objdump(code(hex)).get(BASE)).toBe(text);
});

test("code that ends anywhere ends as in objdump", () => {
  const kernel = readFileSync(new URL("../../build/guest/vmlinux", import.meta.url));
  const bytes = new Uint8Array(kernel.subarray(0x1000, 0x1000 + 40_000));
  const starts = disassemble(bytes, BASE).map(({ address }) => Number(address - BASE));
  for (const index of randomNumbers(5, starts.length - 100, 60)) {
    const at = starts[index] ?? 0;
    const part = bytes.slice(at, at + 20 + (index % 40));
    // Behind the beginning of the instruction that is cut, its other bytes are no code.
    const ours = disassemble(part, BASE);
    const cut = ours.findIndex(({ valid }) => !valid);
    const shown = ours.slice(0, cut + 1 || ours.length).map(({ address, text }) => [address, text]);
    expect([...objdump(part)].slice(0, shown.length)).toEqual(shown);
  }
});

test("a direct call tells where it goes", () => {
  expect(disassemble(code("e8 fb ff ff ff"), 0n)[0]?.target).toBe(0n);
});

describe("any bytes", () => {
  test("are covered once, in order, in every mode", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom(16, 32, 64), (bytes, mode) => {
        const lines = disassemble(bytes, 0xfffffffffffffff0n, mode as 16 | 32 | 64);
        expect(lines.flatMap((line) => [...line.bytes])).toEqual([...bytes]);
      }),
      { numRuns: 500, seed: 11 },
    );
  });
});
