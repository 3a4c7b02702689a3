/**
 * Random user programs on this processor and on the core, from equal states. A program is a row of blocks; each loads
 * its registers, x87, SSE and memory, runs a stream of instructions and stores everything again. What a block that
 * faults reports (vector, error code, CR2, RIP, all registers) is compared as well.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Core } from "../core/core.ts";
import { CrashlabError } from "../error.ts";
import { Random } from "./random.ts";
import { streamBlock } from "./stream_code.ts";
import { ARENA, ARENA_MIDDLE, ARENA_SIZE } from "./stream_encoding.ts";
import { interruptible } from "./turns.ts";

// Linear addresses of both, and strides: native/streams.c has the same.
const CODE = 0x10000000;
const CODE_LIMIT = 0x400000;
const IN = 0x20000000;
const OUT = 0x28000000;
const STRIDE = 2048;
// Offsets in input and output states.
const FX = 0;
const MEMORY = 512;
const REGISTERS = MEMORY + ARENA_SIZE;
const FLAGS = REGISTERS + 128;
const RIP = FLAGS + 8;
const VECTOR = RIP + 8;
const ERROR = VECTOR + 8;
const CR2 = ERROR + 8;
/** Stack of prologues and epilogues. */
const SCRATCH_TOP = OUT + 0x3ff000;

// Where the core has them.
const TABLES = 0x1000;
const SYSTEM_AT = 0x200000;
const SYSTEM = 0x38000000;
const SYSTEM_SIZE = 0x200000;
const ARENA_AT = 0x300000;
const CODE_AT = 0x400000;
const IN_AT = 0x800000;
const OUT_AT = 0xc00000;
const RAM = 0x1000000;
const GDT = 0x1000;
const TSS = 0x1800;
const HANDLER = 0x2000;
const STACK_TOP = 0x4000;

const BLOCKS = 600;
const UNITS = 60;
/** States that every program is run from: the first run decodes, the later ones find it decoded. */
const RUNS = 4;
const STATUS_FLAGS = 0x40cd5n;

export interface NativeOptions {
  /** Programs are made from `seed`, `seed + 1` and so on. Default 1. */
  readonly seed?: number;
  /** Instructions of the streams to run on each side. Default 1,000,000. */
  readonly instructions?: number;
  /** Differences after which it stops. Default 20. */
  readonly limit?: number;
  /** Ends the run after the program under way. */
  readonly signal?: AbortSignal;
  readonly onProgram?: (progress: { readonly seed: number; readonly instructions: number }) => void;
}
export interface NativeOutcome {
  readonly programs: number;
  readonly blocks: number;
  /** Instructions of the streams that the core retired; loading and storing of states does not count. */
  readonly instructions: number;
  /** Blocks that ended in an exception, on both sides. */
  readonly faults: number;
  readonly differences: readonly string[];
}

/** Whether this machine can be the reference: an x86-64 Linux with a C compiler, and a checkout of the project. */
export function canRunNatively(): boolean {
  if (process.arch !== "x64" || process.platform !== "linux" || !existsSync(SOURCE)) return false;
  try {
    execFileSync("cc", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
/** Throws `missing-asset` where nothing can be compared with. */
export function requireNative(): void {
  if (canRunNatively()) return;
  throw new CrashlabError(
    "missing-asset",
    "expected an x86-64 Linux with a C compiler (cc) and the project's sources, found none; run it in a checkout on such a machine",
  );
}
const SOURCE = fileURLToPath(new URL("native/streams.c", import.meta.url));

/** Compares until so many instructions have run. Throws `missing-asset` where nothing can be compared with. */
export async function fuzzNative(options: NativeOptions = {}): Promise<NativeOutcome> {
  const { seed: first = 1, instructions = 1_000_000, limit = 20, signal, onProgram } = options;
  requireNative();
  const folder = mkdtempSync(join(tmpdir(), "crashlab-native-"));
  try {
    const program = join(folder, "streams");
    execFileSync("cc", ["-O1", "-fPIE", "-pie", "-o", program, SOURCE]);
    const sides: Sides = { program, core: await Core.create({ ramBytes: RAM, recordInputs: false }) };
    const differences: string[] = [];
    let done = 0;
    let programs = 0;
    let blocks = 0;
    let faults = 0;
    const stopped = interruptible(signal);
    while (done < instructions && differences.length < limit) {
      if (await stopped()) break;
      const seed = first + programs++;
      onProgram?.({ seed, instructions: done });
      const random = new Random(seed);
      const streams = Array.from({ length: BLOCKS }, () => streamBlock(random, UNITS));
      const states = Array.from({ length: RUNS }, () => randomStates(random, streams.length));
      const result = runBoth(sides, streams, states);
      done += result.instructions;
      blocks += streams.length * RUNS;
      faults += result.faults;
      for (const { block, run, found } of result.differing) {
        if (differences.length >= limit) break;
        const stream = streams[block] ?? [];
        const state = (states[run] ?? new Uint8Array()).subarray(block * STRIDE, (block + 1) * STRIDE);
        differences.push(`seed ${seed} block ${block} run ${run}: ${narrow(sides, stream, state) ?? found}`);
      }
    }
    return { programs, blocks, instructions: done, faults, differences };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Sides {
  readonly program: string;
  readonly core: Core;
}

// ---- states ----

function randomStates(random: Random, count: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(count * STRIDE);
  for (let n = 0; n < count; n++) fillState(random, new DataView(bytes.buffer, n * STRIDE, STRIDE));
  return bytes;
}

function fillState(random: Random, view: DataView): void {
  const floats = random.oneIn(2);
  // x87: masked exceptions, any rounding; TOP and tags at random.
  view.setUint16(FX, 0x7f | (random.below(16) << 8), true);
  view.setUint16(FX + 2, random.below(8) << 11, true);
  view.setUint8(FX + 4, random.oneIn(3) ? random.below(256) : 255);
  const masks = random.oneIn(25) ? random.below(64) << 7 : 0x1f80;
  view.setUint32(
    FX + 24,
    masks | (random.below(4) << 13) | (random.oneIn(8) ? 0x8000 : 0) | (random.oneIn(8) ? 0x40 : 0),
    true,
  );
  for (let n = 0; n < 8; n++) {
    const at = FX + 32 + n * 16;
    view.setBigUint64(at, random.u64() | (1n << 63n), true);
    view.setUint16(
      at + 8,
      (random.oneIn(8) ? random.below(0x8000) : 16383 + random.below(40) - 20) | (random.below(2) << 15),
      true,
    );
  }
  for (let at = FX + 160; at < FX + 416; at += 8) fillOperand(random, view, at, floats);
  for (let at = MEMORY; at < MEMORY + ARENA_SIZE; at += 8) fillOperand(random, view, at, floats);
  for (let n = 0; n < 16; n++) view.setBigUint64(REGISTERS + n * 8, random.interesting(), true);
  view.setBigUint64(REGISTERS + 4 * 8, BigInt(ARENA + 768), true);
  view.setBigUint64(REGISTERS + 13 * 8, 1n << 63n, true);
  view.setBigUint64(REGISTERS + 14 * 8, BigInt(random.below(3) * 16), true);
  view.setBigUint64(REGISTERS + 15 * 8, BigInt(ARENA_MIDDLE), true);
  view.setBigUint64(FLAGS, BigInt(0x202 | (random.u32() & 0xcd5) | (random.oneIn(30) ? 0x40000 : 0)), true);
}

function fillOperand(random: Random, view: DataView, at: number, floats: boolean): void {
  if (!floats || random.oneIn(4))
    view.setBigUint64(at, random.oneIn(4) ? random.interesting() : random.u64(), true);
  else if (random.oneIn(2)) view.setFloat64(at, (random.below(2001) - 1000) / 2 ** random.below(12), true);
  else {
    view.setFloat32(at, (random.below(2001) - 1000) / 2 ** random.below(12), true);
    view.setFloat32(at + 4, random.below(1000) * 2 ** (random.below(250) - 125), true);
  }
}

// ---- programs ----

const u32 = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];
const MOVE_ARENA = [0xb9, ...u32(ARENA_SIZE / 8), 0xf3, 0x48, 0xa5]; // mov ecx, size; rep movsq

function prologue(block: number): number[] {
  const at = IN + block * STRIDE;
  const code = [
    ...[0xbb, ...u32(at), 0xfc], // mov ebx, at; cld
    ...[0x48, 0x0f, 0xae, 0x0b], // fxrstor64 [rbx]
    ...[0xbe, ...u32(at + MEMORY), 0xbf, ...u32(ARENA), ...MOVE_ARENA],
    ...[0xbc, ...u32(SCRATCH_TOP), 0xff, 0xb3, ...u32(FLAGS), 0x9d], // mov esp, scratch; push [rbx+FLAGS]; popfq
  ];
  for (const n of [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 3])
    code.push(n > 7 ? 0x4c : 0x48, 0x8b, 0x83 | ((n & 7) << 3), ...u32(REGISTERS + n * 8));
  return code;
}
const PROLOGUE_COUNT = 10 + 16;

function epilogue(block: number): number[] {
  const at = OUT + block * STRIDE;
  const code: number[] = [];
  for (let n = 0; n < 16; n++)
    code.push(n > 7 ? 0x4c : 0x48, 0x89, 0x04 | ((n & 7) << 3), 0x25, ...u32(at + REGISTERS + n * 8));
  return [
    ...code,
    ...[0xbc, ...u32(SCRATCH_TOP), 0x9c, 0x58], // mov esp, scratch; pushfq; pop rax
    ...[0x48, 0x89, 0x04, 0x25, ...u32(at + FLAGS)],
    ...[0x48, 0x0f, 0xae, 0x04, 0x25, ...u32(at)], // fxsave64 [at]
    ...[0x68, ...u32(0x202), 0x9d], // push 202h; popfq
    ...[0xbe, ...u32(ARENA), 0xbf, ...u32(at + MEMORY), ...MOVE_ARENA],
  ];
}
const EPILOGUE_COUNT = 16 + 3 + 2 + 2 + 4;

interface Program {
  readonly code: Uint8Array<ArrayBuffer>;
  /** Of every block, and of the end. */
  readonly offsets: Uint32Array<ArrayBuffer>;
  /** Where the streams begin. */
  readonly starts: readonly number[];
}

function assemble(streams: readonly (readonly (readonly number[])[])[]): Program {
  const code: number[] = [];
  const offsets: number[] = [];
  const starts: number[] = [];
  streams.forEach((stream, block) => {
    offsets.push(code.length);
    code.push(...prologue(block));
    starts.push(code.length);
    for (const unit of stream) code.push(...unit);
    code.push(...epilogue(block));
  });
  offsets.push(code.length);
  code.push(0xcc);
  if (code.length > CODE_LIMIT)
    throw new RangeError(`expected ${CODE_LIMIT} bytes of code, found ${code.length}`);
  return { code: Uint8Array.from(code), offsets: Uint32Array.from(offsets), starts };
}

// ---- the two machines ----

interface Result {
  readonly instructions: number;
  readonly faults: number;
  readonly differing: readonly { readonly block: number; readonly run: number; readonly found: string }[];
}

function runBoth(
  sides: Sides,
  streams: readonly (readonly (readonly number[])[])[],
  states: readonly Uint8Array[],
): Result {
  const program = assemble(streams);
  const wanted = runNatively(sides.program, program, states);
  prepare(sides.core, program);
  const differing: { block: number; run: number; found: string }[] = [];
  let faults = 0;
  let overhead = 0;
  const before = sides.core.instructions;
  states.forEach((state, run) => {
    const have = runOnCore(sides.core, program, state);
    const want = wanted.subarray(run * state.length, (run + 1) * state.length);
    for (let block = 0; block < streams.length; block++) {
      const [a, b] = [want, have].map(
        (bytes) => new DataView(bytes.buffer, bytes.byteOffset + block * STRIDE, STRIDE),
      );
      if (a === undefined || b === undefined) continue;
      const isFault = b.getBigUint64(RIP, true) !== 0n;
      if (isFault) faults++;
      overhead += PROLOGUE_COUNT + (isFault ? 1 : EPILOGUE_COUNT);
      const found = compare(a, b, program.offsets[block] ?? 0, program.code);
      if (found.length > 0) differing.push({ block, run, found: found.join("; ") });
    }
  });
  return { instructions: Number(sides.core.instructions - before) - overhead, faults, differing };
}

function runNatively(path: string, program: Program, states: readonly Uint8Array[]): Uint8Array {
  const head = Uint32Array.of(program.code.length, program.offsets.length - 1, states.length);
  const input = Buffer.concat([
    new Uint8Array(head.buffer),
    new Uint8Array(program.offsets.buffer),
    program.code,
    ...states,
  ]);
  return execFileSync(path, { input, maxBuffer: 1 << 30 });
}

function prepare(core: Core, program: Program): void {
  const tables = new DataView(new ArrayBuffer(0x4000));
  const set = (address: number, value: number): void =>
    tables.setBigUint64(address - TABLES, BigInt(value), true);
  set(0x1000, 0x2067);
  set(0x2000, 0x3067);
  const directory = (linear: number, value: number): void => set(0x3000 + (linear >>> 21) * 8, value);
  for (let n = 0; n < 2; n++) {
    directory(CODE + n * 0x200000, CODE_AT + n * 0x200000 + 0xe7);
    directory(IN + n * 0x200000, IN_AT + n * 0x200000 + 0xe7);
    directory(OUT + n * 0x200000, OUT_AT + n * 0x200000 + 0xe7);
    set(0x4000 + n * 8, ARENA_AT + n * 0x1000 + 0x67);
  }
  directory(ARENA, 0x4067);
  directory(SYSTEM, SYSTEM_AT + 0xe3);
  core.reset();
  core.start({
    protocol: "linux64",
    pieces: [
      { address: TABLES, bytes: new Uint8Array(tables.buffer) },
      { address: SYSTEM_AT, bytes: systemArea() },
      { address: CODE_AT, bytes: program.code },
    ],
    entry: {
      rip: CODE,
      cr0: 0x80050033,
      cr3: TABLES,
      cr4: 0x620,
      efer: 0xd01,
      cs: { selector: 0x33, base: 0, limit: 0xffffffff, attributes: 0xa0fb },
      data: { selector: 0, base: 0, limit: 0, attributes: 0 },
      tr: { selector: 0x40, base: SYSTEM + TSS, limit: 0x67, attributes: 0x8b },
      gdt: { base: SYSTEM + GDT, limit: 0x4f },
      idt: { base: SYSTEM, limit: 0xfff },
    },
  });
}

/** IDT, GDT, TSS and the one handler, which tells the host: out 0f4h, al. */
function systemArea(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(STACK_TOP);
  const view = new DataView(bytes.buffer);
  const handler = BigInt(SYSTEM + HANDLER);
  for (let vector = 0; vector < 256; vector++) {
    const gate = (handler & 0xffffn) | (0x10n << 16n) | (0xee00n << 32n) | ((handler >> 16n) << 48n);
    view.setBigUint64(vector * 16, gate, true);
  }
  view.setBigUint64(GDT + 0x10, 0x00af9b000000ffffn, true);
  view.setBigUint64(GDT + 0x28, 0x00cff3000000ffffn, true);
  view.setBigUint64(GDT + 0x30, 0x00affb000000ffffn, true);
  view.setBigUint64(TSS + 4, BigInt(SYSTEM + STACK_TOP), true);
  view.setUint16(TSS + 0x66, 0x68, true);
  bytes.set([0xe6, 0xf4, 0xeb, 0xfe], HANDLER);
  return bytes;
}

const BUDGET = 50_000_000;
const GENERAL = [
  ...["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"],
  ...["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"],
] as const;

function runOnCore(core: Core, program: Program, state: Uint8Array): Uint8Array {
  core.writePhysical(BigInt(IN_AT), state);
  core.writePhysical(BigInt(OUT_AT), new Uint8Array(state.length));
  enter(core, 0);
  for (;;) {
    const exit = core.run(BUDGET);
    if (exit.kind !== "debug-exit")
      throw new CrashlabError(
        "core-failure",
        `expected an exception in a block, found ${exit.kind}; please report this`,
      );
    const at = Number(faultFrame(core).getBigUint64(0, true)) - CODE;
    const end = program.offsets.at(-1) ?? 0;
    if (at >= end) break;
    let block = 0;
    while ((program.offsets[block + 1] ?? end) <= at) block++;
    core.writePhysical(BigInt(OUT_AT + block * STRIDE), faultState(core));
    enter(core, program.offsets[block + 1] ?? end);
  }
  return core.readPhysical(BigInt(OUT_AT), state.length);
}

function enter(core: Core, offset: number): void {
  core.setSegment("cs", { selector: 0x33, base: 0, limit: 0xffffffff, attributes: 0xa0fb });
  core.setSegment("ss", { selector: 0x2b, base: 0, limit: 0xffffffff, attributes: 0xc0f3 });
  core.setPrivilege(3);
  core.setRegister("rflags", 0x202n);
  core.setRegister("rip", BigInt(CODE + offset));
}

/** RIP, CS, RFLAGS, RSP and SS at the top of the ring 0 stack. */
function faultFrame(core: Core): DataView {
  return new DataView(core.readPhysical(BigInt(SYSTEM_AT + STACK_TOP - 40), 40).buffer);
}

/** What the handler finds, in the form that a signal handler stores. */
function faultState(core: Core): Uint8Array {
  const bytes = new Uint8Array(CR2 + 8);
  const view = new DataView(bytes.buffer);
  const { fpu } = core;
  view.setUint16(FX, fpu.controlWord, true);
  view.setUint16(FX + 2, fpu.statusWord, true);
  view.setUint8(FX + 4, fpu.tagWord);
  view.setUint32(FX + 24, fpu.mxcsr, true);
  fpu.stack.forEach((value, n) => {
    bytes.set(value, FX + 32 + n * 16);
  });
  fpu.xmm.forEach((value, n) => {
    bytes.set(value, FX + 160 + n * 16);
  });
  bytes.set(core.readPhysical(BigInt(ARENA_AT + (ARENA & 0xfff)), ARENA_SIZE), MEMORY);
  const registers = core.registers();
  GENERAL.forEach((name, n) => {
    view.setBigUint64(REGISTERS + n * 8, registers[name], true);
  });
  const [last] = core.exceptions().slice(-1);
  const frame = faultFrame(core);
  view.setBigUint64(REGISTERS + 4 * 8, frame.getBigUint64(24, true), true);
  view.setBigUint64(FLAGS, frame.getBigUint64(16, true), true);
  view.setBigUint64(RIP, frame.getBigUint64(0, true), true);
  view.setBigUint64(VECTOR, BigInt(last?.vector ?? 0), true);
  view.setBigUint64(ERROR, BigInt(last?.error ?? 0), true);
  view.setBigUint64(CR2, last?.vector === 14 ? last.cr2 : 0n, true);
  return bytes;
}

// ---- comparison ----

/** MOVUPS, MOVUPD, MOVDQU, LDDQU, PCMPxSTRx: whether 16 bytes raise #AC is left to the processor (SDM 3A, interrupt 17). */
const UNALIGNED = /^(6[4-7])*((4.)?0f1[01]|f3(4.)?0f[67]f|f2(4.)?0ff0|(4.)?0f3a6[0-3])/;
const AC = 17n;

function compare(want: DataView, have: DataView, offset: number, code: Uint8Array): string[] {
  const found: string[] = [];
  const place = Number(want.getBigUint64(RIP, true)) - CODE;
  const isAc = want.getBigUint64(VECTOR, true) === AC;
  if (isAc && UNALIGNED.test(Buffer.from(code.subarray(place, place + 8)).toString("hex"))) return [];
  const check = (what: string, a: bigint | number, b: bigint | number): void => {
    if (a !== b) found.push(`${what} expected ${a.toString(16)} found ${b.toString(16)}`);
  };
  const u64 = (what: string, at: number, mask = ~0n): void =>
    check(what, want.getBigUint64(at, true) & mask, have.getBigUint64(at, true) & mask);
  u64("vector", VECTOR);
  // Linux does not tell programs what is mapped in the kernel's half: it always reports bit 0 there. What the core has in
  // its system area is not mapped here.
  const cr2 = want.getBigInt64(CR2, true);
  const isSystem = cr2 >= SYSTEM && cr2 < SYSTEM + SYSTEM_SIZE;
  u64("error", ERROR, cr2 < 0n || isSystem ? ~1n : ~0n);
  u64("cr2", CR2);
  const [a, b] = [want, have].map((view) => {
    const rip = Number(view.getBigUint64(RIP, true));
    return rip === 0 ? 0 : rip - CODE - offset;
  });
  check("rip", a ?? 0, b ?? 0);
  // Flags that are undefined show where what was to clear them faults itself (PUSHFQ, AND, POPFQ).
  const [first = 0, second = 0] = code.subarray(offset + (a ?? 0));
  const isClearing = a !== 0 && (first === 0x9c || first === 0x9d || (first === 0x81 && second === 0x24));
  u64("flags", FLAGS, isClearing ? 0x40400n : STATUS_FLAGS);
  GENERAL.forEach((name, n) => {
    u64(name, REGISTERS + n * 8);
  });
  check("fcw", want.getUint16(FX, true), have.getUint16(FX, true));
  // After a stack fault Intel's and AMD's C1 can differ (FLD of an empty register onto a full stack).
  const status = (want.getUint16(FX + 2, true) & 0x40) !== 0 ? 0xfdff : 0xffff;
  check("fsw", want.getUint16(FX + 2, true) & status, have.getUint16(FX + 2, true) & status);
  check("ftw", want.getUint8(FX + 4), have.getUint8(FX + 4));
  check("mxcsr", want.getUint32(FX + 24, true), have.getUint32(FX + 24, true));
  for (let n = 0; n < 8; n++) {
    u64(`st${n}`, FX + 32 + n * 16);
    check(`st${n}.exp`, want.getUint16(FX + 40 + n * 16, true), have.getUint16(FX + 40 + n * 16, true));
  }
  for (let n = 0; n < 32; n++) u64(`xmm${n >> 1}[${n & 1}]`, FX + 160 + n * 8);
  for (let at = 0; at < ARENA_SIZE; at += 8) u64(`memory+${at.toString(16)}`, MEMORY + at);
  return found.slice(0, 6);
}

/** Runs every beginning of a block that differs; says which unit makes the difference. */
function narrow(sides: Sides, stream: readonly (readonly number[])[], state: Uint8Array): string | undefined {
  const beginnings = stream.map((_, n) => stream.slice(0, n + 1));
  const states = new Uint8Array(beginnings.length * STRIDE);
  beginnings.forEach((_, n) => {
    states.set(state, n * STRIDE);
  });
  const [first] = runBoth(sides, beginnings, [states]).differing;
  if (first === undefined) return undefined;
  const hex = (unit: readonly number[] = []): string => Buffer.from(unit).toString("hex");
  return `unit ${first.block} ${hex(stream[first.block])} after ${hex(stream[first.block - 1])}: ${first.found}`;
}
