/**
 * Random x87 instructions on this processor (native/x87.c) and on the core, from equal states. FIP, FDP and FOP
 * are not compared, nor are the results of the transcendental functions beyond `tolerance` units in the last place:
 * they differ between makers.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Core } from "../core/core.ts";
import type { FpuState } from "../core/fpu.ts";
import { requireNative } from "./native.ts";
import { Random } from "./random.ts";
import { interruptible } from "./turns.ts";

const RECORD = 768;
const MEMORY = 512;
const MEMORY_SIZE = 128;
const FLAGS = 640;
const RAX = 648;
const CODE = 656;
/** Where the core has them. */
const CODE_AT = 0x100000;
const DATA_AT = 0x200000;
const MIB2 = 0x200000;

export interface X87Options {
  /** Batches are made from `seed`, `seed + 1` and so on. Default 1. */
  readonly seed?: number;
  /** Instructions to run on each side. Default 100,000. */
  readonly cases?: number;
  /** Units in the last place that a transcendental function may be off. Default 4. */
  readonly tolerance?: number;
  /** Differences after which it stops. Default 20. */
  readonly limit?: number;
  /** Ends the run early; the outcome is of what ran. */
  readonly signal?: AbortSignal;
  readonly onBatch?: (progress: { readonly seed: number; readonly cases: number }) => void;
}
export interface X87Outcome {
  readonly cases: number;
  /** One line a difference: the seed of its batch and its number there. */
  readonly differences: readonly string[];
}

/** Cases of one run of the native program. */
const BATCH = 50_000;

/** Runs `cases` instructions on both. Throws `missing-asset` where nothing can be compared with. */
export async function fuzzX87(options: X87Options = {}): Promise<X87Outcome> {
  const { seed: first = 1, cases: total = 100_000, tolerance = 4, limit = 20, signal, onBatch } = options;
  requireNative();
  const core = await prepare();
  const differences: string[] = [];
  let done = 0;
  const stopped = interruptible(signal);
  for (let seed = first; done < total && differences.length < limit; seed++) {
    if (await stopped()) break;
    onBatch?.({ seed, cases: done });
    const random = new Random(seed);
    const cases = Math.min(BATCH, total - done);
    const input = Buffer.alloc(cases * RECORD);
    for (let n = 0; n < cases; n++)
      fillRecord(random, input.subarray(n * RECORD, (n + 1) * RECORD), random.pick(INSTRUCTIONS));
    const native = runNatively(input);
    for (let n = 0; n < cases && differences.length < limit; n++) {
      const before = input.subarray(n * RECORD, (n + 1) * RECORD);
      const want = native.subarray(n * RECORD, (n + 1) * RECORD);
      const found = compare(before, want, runOnCore(core, before), tolerance);
      if (found.length > 0)
        differences.push(`seed ${seed} case ${n} ${describe(before)}: ${found.join("; ")}`);
    }
    done += cases;
  }
  return { cases: done, differences };
}

// ---- instructions ----

/** Bytes of an instruction; memory operands are at [rsi]. */
type Code = readonly number[];

function instructions(): Code[] {
  const rows: [number, number, number][] = [
    [0xd8, 0xc0, 0xff],
    [0xd9, 0xc0, 0xd0],
    [0xd9, 0xe0, 0xe1],
    [0xd9, 0xe4, 0xe5],
    [0xd9, 0xe8, 0xee],
    [0xd9, 0xf0, 0xff],
    [0xda, 0xc0, 0xdf],
    [0xda, 0xe9, 0xe9],
    [0xdb, 0xc0, 0xdf],
    [0xdb, 0xe2, 0xe3],
    [0xdb, 0xe8, 0xf7],
    [0xdc, 0xc0, 0xc7],
    [0xdc, 0xc8, 0xcf],
    [0xdc, 0xe0, 0xff],
    [0xdd, 0xc0, 0xc7],
    [0xdd, 0xd0, 0xef],
    [0xde, 0xc0, 0xcf],
    [0xde, 0xd9, 0xd9],
    [0xde, 0xe0, 0xff],
    [0xdf, 0xe0, 0xe0],
    [0xdf, 0xe8, 0xf7],
  ];
  const codes: Code[] = [];
  for (const [op, first, last] of rows) for (let m = first; m <= last; m++) codes.push([op, m]);
  for (let op = 0xd8; op <= 0xdf; op++) {
    for (let reg = 0; reg < 8; reg++) {
      const undefined_ = (op === 0xd9 && reg === 1) || (op === 0xdb && (reg === 4 || reg === 6));
      if (undefined_ || (op === 0xdd && reg === 5)) continue;
      // As often as all the registers of a register form.
      for (let n = 0; n < 6; n++) codes.push([op, (reg << 3) | 6]);
    }
  }
  return codes;
}
const INSTRUCTIONS: readonly Code[] = instructions();

/** Register forms by opcode and ModRM, memory forms by ModRM below C0. */
function isComparison(op: number, modrm: number): boolean {
  const reg = (modrm >> 3) & 7;
  if (modrm < 0xc0) return (op & 1) === 0 && (reg === 2 || reg === 3);
  if (op === 0xd9) return modrm === 0xe4;
  if (op === 0xda) return modrm === 0xe9;
  if (op === 0xdb || op === 0xdf) return reg === 5 || reg === 6;
  if (op === 0xdd) return reg === 4 || reg === 5;
  return reg === 2 || reg === 3;
}

/**
 * Bits of status word and RFLAGS that are not compared: where Intel and AMD differ (FFREE and C1; FLD of an empty
 * register onto a full stack), where the manual says that a comparison (or FPREM) refused by an unmasked exception sets
 * nothing and AMD's processors set the condition code all the same, and what follows the last bit of an approximation.
 */
function ignored(
  op: number,
  modrm: number,
  status: number,
  control: number,
): { status: number; flags: bigint } {
  if (op === 0xdd && modrm >= 0xc0 && modrm < 0xc8) return { status: 0x200, flags: 0n };
  if (op === 0xd9 && modrm >= 0xc0 && modrm < 0xc8 && (status & 0x40) !== 0)
    return { status: 0x200, flags: 0n };
  const isRemainder = op === 0xd9 && (modrm === 0xf5 || modrm === 0xf8);
  if ((isRemainder || isComparison(op, modrm)) && (status & 0x80) !== 0)
    return { status: 0x4700, flags: 0x8d5n };
  // With PE unmasked, its summary in ES and B follows it.
  const inexact = (control & 0x20) === 0 ? 0x82a0 : 0x220;
  return { status: isTranscendental(op, modrm) ? inexact : 0, flags: 0n };
}
/**
 * Cases that are not compared at all: FYL2XP1 and F2XM1 outside the range for which they are defined, and FLD of a
 * denormal with DE unmasked, which loads nothing by the SDM (1, 8.5.2) and loads it on AMD's processors.
 */
function isSkipped(before: Buffer, status: number): boolean {
  const exp = before.readUInt16LE(40) & 0x7fff;
  const [op = 0, modrm = 0] = before.subarray(CODE + 1);
  if ((op === 0xd9 || op === 0xdd) && modrm === 6) return (status & ~before.readUInt16LE(0) & 2) !== 0;
  return op === 0xd9 && ((modrm === 0xf9 && exp >= 0x3ffd) || (modrm === 0xf0 && exp >= 0x3fff));
}

function isTranscendental(op: number, modrm: number): boolean {
  return op === 0xd9 && [0xf0, 0xf1, 0xf2, 0xf3, 0xf9, 0xfb, 0xfe, 0xff].includes(modrm);
}

// ---- states ----

/** A fraction of `bits` bits: random, or with long runs, or near a power of two. */
function fraction(random: Random, bits: number): bigint {
  const all = (1n << BigInt(bits)) - 1n;
  const value = random.u64() & all;
  switch (random.below(8)) {
    case 0:
      return 0n;
    case 1:
      return all;
    case 2:
      return 1n << BigInt(random.below(bits));
    case 3:
      return all ^ (1n << BigInt(random.below(bits)));
    case 4:
      return (value << BigInt(random.below(bits))) & all;
    case 5:
      return value >> BigInt(random.below(bits));
    default:
      return value;
  }
}
/** An exponent field: often near `base`, at times special. */
function exponent(random: Random, bits: number, base: number): number {
  const most = 2 ** bits - 1;
  switch (random.below(12)) {
    case 0:
      return 0;
    case 1:
      return most;
    case 2:
      return 1 + random.below(3);
    case 3:
      return most - 1 - random.below(3);
    case 4:
      return random.below(most + 1);
    case 5:
      return (most >> 1) + random.below(66);
    default:
      return Math.min(most, Math.max(0, base + random.below(9) - 4));
  }
}
function extended(random: Random, base: number): Uint8Array {
  const bytes = new Uint8Array(10);
  const view = new DataView(bytes.buffer);
  const exp = exponent(random, 15, base);
  const integerBit = exp === 0 ? random.below(4) === 0 : random.below(64) !== 0;
  view.setBigUint64(0, fraction(random, 63) | (integerBit ? 1n << 63n : 0n), true);
  view.setUint16(8, exp | (random.below(2) << 15), true);
  return bytes;
}

function fillRecord(random: Random, record: Buffer, code: Code): void {
  const base = random.pick([16383, 16383, 16383, 16383, 8192, 24575, 16383 - 127, 16383 + 127, 16383 - 1023]);
  let control = 0x7f | (random.below(4) << 8) | (random.below(4) << 10);
  if (random.below(4) === 0) control &= ~random.below(0x40);
  // Exceptions that are pending stop an instruction that waits, so only masked ones are.
  const status = (random.below(0x10000) & 0x7f00) | (random.below(0x80) & control & 0x7f);
  record.writeUInt16LE(control, 0);
  record.writeUInt16LE(status & ~(~control & 0x3f), 2);
  record.writeUInt8(random.below(3) === 0 ? random.below(256) : 255, 4);
  record.writeUInt32LE(0x1f80, 24);
  for (let i = 0; i < 8; i++) record.set(extended(random, base), 32 + i * 16);
  fillMemory(random, record.subarray(MEMORY, MEMORY + MEMORY_SIZE), code, base);
  record.writeBigUInt64LE(0x202n | BigInt(random.below(0x1000) & 0x8d5), FLAGS);
  record.writeBigUInt64LE(random.u64(), RAX);
  record.writeUInt8(code.length, CODE);
  record.set(code, CODE + 1);
}

function fillMemory(random: Random, memory: Buffer, [op = 0, modrm = 0]: Code, base: number): void {
  for (let at = 0; at < MEMORY_SIZE; at += 8) memory.writeBigUInt64LE(random.u64(), at);
  const isDouble = op === 0xdc || (op === 0xdd && modrm < 0x38);
  if (op === 0xd8 || (op === 0xd9 && modrm === 6)) {
    const exp = exponent(random, 8, Math.min(255, Math.max(0, base - 16383 + 127)));
    memory.writeUInt32LE(((random.below(2) << 31) | (exp << 23) | Number(fraction(random, 23))) >>> 0, 0);
  } else if (isDouble) {
    const exp = exponent(random, 11, Math.min(2047, Math.max(0, base - 16383 + 1023)));
    const sign = BigInt(random.below(2)) << 63n;
    memory.writeBigUInt64LE(sign | (BigInt(exp) << 52n) | fraction(random, 52), 0);
  } else if (op === 0xdb && modrm === 0x2e) memory.set(extended(random, base), 0);
  else if (op === 0xdf && modrm === 0x26) {
    for (let i = 0; i < 9; i++) memory.writeUInt8(random.below(10) * 16 + random.below(10), i);
  }
}

// ---- the two machines ----

function runNatively(input: Buffer): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "crashlab-native-"));
  try {
    const program = join(folder, "run");
    execFileSync("cc", ["-O1", "-o", program, fileURLToPath(new URL("native/x87.c", import.meta.url))]);
    return execFileSync(program, { input, maxBuffer: input.length + RECORD });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function prepare(): Promise<Core> {
  const core = await Core.create({ ramBytes: 4 * MIB2, recordInputs: false });
  const tables = new DataView(new ArrayBuffer(0x3000));
  tables.setBigUint64(0, 0x2003n, true);
  tables.setBigUint64(0x1000, 0x3003n, true);
  for (let n = 0; n < 4; n++) tables.setBigUint64(0x2000 + n * 8, BigInt(n * MIB2) | 0x83n, true);
  const segment = (selector: number, attributes: number) => ({
    selector,
    base: 0,
    limit: 0xffffffff,
    attributes,
  });
  core.start({
    protocol: "linux64",
    pieces: [
      { address: 0x1000, bytes: new Uint8Array(tables.buffer) },
      ...INSTRUCTIONS.map((code) => ({ address: placeOf(code), bytes: Uint8Array.from(code) })),
    ],
    entry: {
      rip: CODE_AT,
      rsp: 0x80000,
      cr0: 0x80050033,
      cr3: 0x1000,
      cr4: 0x620,
      efer: 0xd01,
      cs: segment(0x10, 0xa09b),
      data: segment(0x18, 0xc093),
      tr: { selector: 0x40, base: 0x6000, limit: 0x67, attributes: 0x8b },
      gdt: { base: 0x7000, limit: 0x4f },
      idt: { base: 0x8000, limit: 0xfff },
    },
  });
  return core;
}
function placeOf([op = 0, modrm = 0]: Code): number {
  return CODE_AT + (((op & 7) << 8) | modrm) * 16;
}

interface After {
  readonly fpu: FpuState;
  readonly memory: Uint8Array;
  readonly rflags: bigint;
  readonly rax: bigint;
  readonly exceptions: number;
}

function runOnCore(core: Core, record: Buffer): After {
  const length = record.readUInt8(CODE);
  const code = [...record.subarray(CODE + 1, CODE + 1 + length)];
  core.fpu = {
    controlWord: record.readUInt16LE(0),
    statusWord: record.readUInt16LE(2),
    tagWord: record.readUInt8(4),
    stack: Array.from({ length: 8 }, (_, i) => record.subarray(32 + i * 16, 42 + i * 16)),
    xmm: [],
    mxcsr: 0x1f80,
  };
  core.writePhysical(BigInt(DATA_AT), record.subarray(MEMORY, MEMORY + MEMORY_SIZE));
  core.setRegister("rip", BigInt(placeOf(code)));
  core.setRegister("rsi", BigInt(DATA_AT));
  core.setRegister("rax", record.readBigUInt64LE(RAX));
  core.setRegister("rflags", record.readBigUInt64LE(FLAGS));
  const before = core.exceptionCount;
  core.run(1);
  const { rflags, rax } = core.registers();
  return {
    fpu: core.fpu,
    memory: core.readPhysical(BigInt(DATA_AT), MEMORY_SIZE),
    rflags,
    rax,
    exceptions: core.exceptionCount - before,
  };
}

function compare(before: Buffer, want: Buffer, have: After, tolerance: number): string[] {
  const found: string[] = [];
  const [op = 0, modrm = 0] = before.subarray(CODE + 1);
  const loose = isTranscendental(op, modrm);
  const { status, flags } = ignored(op, modrm, want.readUInt16LE(2), before.readUInt16LE(0));
  if (isSkipped(before, want.readUInt16LE(2))) return [];
  const check = (name: string, wanted: number | bigint, had: number | bigint): void => {
    if (wanted !== had) found.push(`${name} expected ${wanted.toString(16)} found ${had.toString(16)}`);
  };
  const { fpu } = have;
  check("exceptions", 0, have.exceptions);
  check("control", want.readUInt16LE(0), fpu.controlWord);
  check("status", want.readUInt16LE(2) & ~status, fpu.statusWord & ~status);
  check("tags", want.readUInt8(4), fpu.tagWord);
  const top = (fpu.statusWord >> 11) & 7;
  fpu.stack.forEach((bytes, i) => {
    if (((fpu.tagWord >> ((top + i) & 7)) & 1) === 0) return;
    const wanted = want.subarray(32 + i * 16, 42 + i * 16);
    const off = distance(wanted, bytes);
    if (off > (loose ? BigInt(tolerance) : 0n))
      found.push(`st${i} expected ${hex(wanted)} found ${hex(bytes)}`);
  });
  // FNSTENV and FNSAVE: the pointers behind the first three words are not compared.
  const skipped = (op === 0xd9 || op === 0xdd) && modrm === 0x36 ? 28 : 0;
  const wanted = want.subarray(MEMORY + skipped, MEMORY + MEMORY_SIZE);
  if (!wanted.equals(have.memory.subarray(skipped)))
    found.push(
      `memory expected ${hex(wanted.subarray(0, 10), 0)} found ${hex(have.memory.subarray(skipped), 0)}`,
    );
  if (skipped !== 0 && !want.subarray(MEMORY, MEMORY + 12).equals(have.memory.subarray(0, 12)))
    found.push("environment differs");
  check("rflags", want.readBigUInt64LE(FLAGS) & 0x8d5n & ~flags, have.rflags & 0x8d5n & ~flags);
  check("rax", want.readBigUInt64LE(RAX), have.rax);
  return found;
}

/** Representable numbers between the two, for equal signs. */
function distance(a: Uint8Array, b: Uint8Array): bigint {
  const [x, y] = [a, b].map((bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, 10);
    return (BigInt(view.getUint16(8, true)) << 63n) + (view.getBigUint64(0, true) & (2n ** 63n - 1n));
  });
  if (x === undefined || y === undefined) return 0n;
  return x > y ? x - y : y - x;
}

function hex(bytes: Uint8Array, group = 8): string {
  const text = Buffer.from(bytes.subarray(0, 10).toReversed()).toString("hex");
  return group === 0 ? text : `${text.slice(0, 4)}:${text.slice(4)}`;
}
function describe(record: Buffer): string {
  const code = record.subarray(CODE + 1, CODE + 1 + record.readUInt8(CODE)).toString("hex");
  const registers = [0, 1].map((i) => hex(record.subarray(32 + i * 16, 42 + i * 16)));
  const [control, status] = [0, 2].map((at) => record.readUInt16LE(at).toString(16));
  const memory = hex(record.subarray(MEMORY, MEMORY + 10), 0);
  return `${code} cw ${control} sw ${status} tw ${record.readUInt8(4).toString(16)} st ${registers.join(" ")} memory ${memory}`;
}
