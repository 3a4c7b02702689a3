/**
 * The vector instructions against the CPU of the host, on random operands under every rounding and flush mode.
 * SSE_CASES sets the number of cases an instruction (default 200), SSE_SEED the seed.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import {
  CASE,
  cases,
  difference,
  FLOATING,
  generator,
  INTEGER,
  type Instruction,
  loop,
} from "./float_cases.ts";
import { runInCore } from "./float_core.ts";

const COUNT = Number(process.env["SSE_CASES"] ?? 200);
const SEED = Number(process.env["SSE_SEED"] ?? 1);
const CHUNK = 2000;

const folder = mkdtempSync(join(tmpdir(), "crashlab-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The compiled runner, undefined on a host without gcc or of another kind. */
const runner = ((): string | undefined => {
  if (process.arch !== "x64" || process.platform !== "linux") return undefined;
  try {
    const program = join(folder, "native");
    execFileSync("gcc", ["-O1", "-o", program, join(import.meta.dirname, "float_native.c")], {
      stdio: "pipe",
    });
    return program;
  } catch {
    return undefined;
  }
})();
const features = new Set(runner === undefined ? [] : readFileSync("/proc/cpuinfo", "utf8").split(/\s+/));

function runNatively(instructions: readonly Instruction[], tables: readonly Uint8Array[]): Uint8Array[] {
  const input = instructions.flatMap((instruction, n) => {
    const code = Uint8Array.from(loop(instruction));
    const table = tables[n] ?? new Uint8Array();
    return [Uint32Array.of(code.length, table.length / CASE), code, table].map((part) =>
      Buffer.from(part.buffer, part.byteOffset, part.byteLength),
    );
  });
  const output = execFileSync(runner ?? "", { input: Buffer.concat(input), maxBuffer: 1 << 30 });
  let at = 0;
  return tables.map((table) => {
    at += table.length;
    return output.subarray(at - table.length, at);
  });
}

/** All exceptions masked; any rounding, flush modes and flags already there. */
const anyMode = (next: () => number): number =>
  0x1f80 |
  (next() & 0x6000) |
  (next() % 4 === 0 ? 0x8000 : 0) |
  (next() % 4 === 0 ? 0x40 : 0) |
  (next() & 0x3f);
/** As programs start, or as they run after the first inexact result. */
const usualMode = (next: () => number): number => 0x1f80 | (next() % 2 === 0 ? 0x20 : 0);

describe.skipIf(runner === undefined)("on random operands the core agrees with the CPU", () => {
  test.each([
    ["floating point, any mode", FLOATING, anyMode],
    ["floating point, the usual mode", FLOATING, usualMode],
    ["integers, shuffles, strings, AES, SHA", INTEGER, usualMode],
  ] as const)("%s", { timeout: 600_000 }, async (_, all, mxcsr) => {
    const instructions = all.filter(({ needs }) => needs === undefined || features.has(needs));
    expect(instructions.length).toBeGreaterThan(50);
    const wrong: string[] = [];
    for (let done = 0; done < COUNT; done += CHUNK) {
      const count = Math.min(CHUNK, COUNT - done);
      const tables = instructions.map((_, n) => cases(count, generator(SEED + done * 1000 + n), mxcsr));
      const native = runNatively(instructions, tables);
      for (const [n, instruction] of instructions.entries()) {
        const core = await runInCore(instruction, tables[n] ?? new Uint8Array());
        const found = difference(instruction.name, core, native[n] ?? new Uint8Array());
        if (found !== undefined) wrong.push(found);
      }
    }
    expect(wrong, `seed ${SEED}, core / CPU`).toEqual([]);
  });
});

/** All masked but ZE, which keeps native.ts away: nothing of it can be seen as long as no division is by zero. */
const softMode = (table: Uint8Array): Uint8Array => {
  const soft = table.slice();
  for (let at = 32; at < soft.length; at += CASE) soft[at + 1] = (soft[at + 1] ?? 0) & ~ZERO_DIVIDE_MASK;
  return soft;
};
const ZERO_DIVIDE_MASK = 0x02; // in the second byte of MXCSR

describe("native arithmetic", () => {
  test("gives what the soft one gives", { timeout: 300_000 }, async () => {
    const wrong: string[] = [];
    for (const [n, instruction] of FLOATING.filter(({ name }) => !name.startsWith("div")).entries()) {
      const table = cases(COUNT * 5, generator(SEED + 500 + n), usualMode);
      const found = difference(
        instruction.name,
        await runInCore(instruction, table),
        await runInCore(instruction, softMode(table)),
        ZERO_DIVIDE_MASK << 8,
      );
      if (found !== undefined) wrong.push(found);
    }
    expect(wrong, `seed ${SEED}, native / soft`).toEqual([]);
  });

  test("a difference is noticed", async () => {
    const [sum, product] = ["addps", "mulps"].map((wanted) => FLOATING.find(({ name }) => name === wanted));
    if (sum === undefined || product === undefined) throw new Error("no such instruction");
    const table = cases(10, generator(SEED), usualMode);
    expect(difference("addps", await runInCore(sum, table), await runInCore(product, table))).toMatch(
      /addps, case/,
    );
  });
});
