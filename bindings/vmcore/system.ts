/** What kind of system a dump is of: what crash shows first. */

import { nodePages } from "./kmem.ts";
import { formatLogRecord, type LogRecord } from "./log.ts";
import type { Program } from "./program.ts";

/** What crash's `sys` shows. */
export interface SystemInfo {
  readonly cpus: number;
  /** Seconds since 1970 at the time of the dump, as the kernel had it. */
  readonly date: number | undefined;
  /** Seconds. */
  readonly uptime: number;
  readonly loadAverage: readonly [number, number, number];
  readonly tasks: number;
  readonly nodename: string;
  readonly release: string;
  readonly version: string;
  readonly machine: string;
  readonly megahertz: number;
  readonly memoryBytes: number;
  readonly tainted: bigint;
  /** The line of the log that tells why it went down. */
  readonly panic: string | undefined;
}

const HZ = 1000n;
const UTS_FIELD = 65;
const LOAD_SHIFT = 2048;
/** How the kernel says what happened, in the order in which they are looked for. */
const PANIC_LINES: readonly RegExp[] = [
  /general protection fault: .*|double fault: .*|divide error: .*/,
  /SysRq : (?:Trigger a crash.*|Crash.*)/, // Linux before 5.3
  /Oops: .*|kernel BUG at .*|Unable to handle kernel .*/,
  /Kernel panic - .*/,
];

/** Reads it from the dump. */
export async function systemInfo(program: Program): Promise<SystemInfo> {
  const uts = program.symbols.address("init_uts_ns");
  const name = program.vmcore.info.offset("uts_namespace.name") ?? utsOffset(program);
  const field = (index: number): Promise<string> =>
    uts === undefined
      ? Promise.resolve("")
      : program.memory.string(uts + BigInt(name + index * UTS_FIELD), UTS_FIELD);
  const log = await program.log().catch(() => []);
  const jiffies = (await program.word("jiffies_64")) ?? (await program.word("jiffies")) ?? 0n;
  const khz = await readU32(program, "cpu_khz");
  const hz = await ticksPerSecond(program);
  return {
    cpus: (await program.cpus()).length,
    date: await wallTime(program),
    // Jiffies begin five minutes before they wrap, at -300 seconds as 32 bits.
    uptime: Number(BigInt.asUintN(64, jiffies - BigInt.asUintN(32, -300n * hz))) / Number(hz),
    loadAverage: await loadAverage(program),
    tasks: (await program.tasks()).length,
    nodename: await field(1),
    release: await field(2),
    version: await field(3),
    machine: await field(4),
    megahertz: Math.floor(khz / 1000),
    memoryBytes: (await nodePages(program, "node_present_pages")) * 4096,
    tainted: (await program.word("tainted_mask")) ?? 0n,
    panic: panicLine(log),
  };
}

function utsOffset(program: Program): number {
  const type = program.findType("struct uts_namespace");
  return type === undefined ? 0 : Number(program.value(type, 0n).member("name").address);
}

async function readU32(program: Program, symbol: string): Promise<number> {
  const address = program.symbols.address(symbol);
  const bytes = address === undefined ? undefined : await program.memory.tryRead(address, 4);
  return bytes === undefined ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

/** CONFIG_HZ is nowhere in a dump; the length of a tick in nanoseconds is. */
async function ticksPerSecond(program: Program): Promise<bigint> {
  const tick = await program.word("tick_nsec");
  return tick === undefined || tick === 0n ? HZ : (1_000_000_000n + tick / 2n) / tick;
}

async function wallTime(program: Program): Promise<number | undefined> {
  const keeper = program.symbols.address("shadow_timekeeper") ?? program.symbols.address("tk_core");
  const type = program.findType("struct timekeeper");
  if (keeper === undefined || type === undefined) return undefined;
  const value = program.value(type, keeper);
  const seconds = await value
    .member("xtime_sec")
    .u64()
    .catch(() => 0n);
  return seconds === 0n ? undefined : Number(seconds);
}

async function loadAverage(program: Program): Promise<[number, number, number]> {
  const address = program.symbols.address("avenrun");
  const bytes = address === undefined ? undefined : await program.memory.tryRead(address, 24);
  const view = bytes === undefined ? undefined : new DataView(bytes.buffer, bytes.byteOffset);
  const value = (index: number): number => Number(view?.getBigUint64(index * 8, true) ?? 0n) / LOAD_SHIFT;
  return [value(0), value(1), value(2)];
}

/** The first line of the log of the first kind that there is. */
export function panicLine(log: readonly LogRecord[]): string | undefined {
  for (const pattern of PANIC_LINES) {
    for (const { text } of log) {
      const [found] = pattern.exec(text) ?? [];
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** The log as text. */
export function formatLog(log: readonly LogRecord[]): string {
  return log.map(formatLogRecord).join("\n");
}
