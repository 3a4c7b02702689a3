/** The guest programs on this project's core and on the peers that are there, one emulator after the other. */
import { runCrashlab, runHere } from "../peers/crashlab.ts";
import type { ProgramTiming } from "../peers/lines.ts";
import { qemuVersion, runQemu } from "../peers/qemu.ts";
import { runV86, v86Version } from "../peers/v86.ts";

/** What one run of a program does besides instructions, for those that are about something else. */
const EVENTS: Readonly<Record<string, { readonly unit: string; readonly amount: number }>> = {
  memrep: { unit: "GB/s", amount: (1000 * 2 * 65536) / 1e9 },
  pfault: { unit: "M page faults/s", amount: 0.2 },
  int80: { unit: "M int 80h/s", amount: 0.5 },
  smc: { unit: "M rewritten functions/s", amount: 0.1 },
  syscall: { unit: "M syscalls/s", amount: 1 },
};
/**
 * Not in the mean of MIPS: REP MOVS retires one instruction for up to 4096 elements, and smc decodes each anew, so that
 * their instruction rates say nothing.
 */
const UNCOUNTED: ReadonlySet<string> = new Set(["memrep", "smc"]);

export interface ProgramResult {
  readonly program: string;
  readonly checksum: string;
  readonly instructions: number;
  /** CPU seconds of the second run. */
  readonly seconds: number;
  /** CPU seconds of the first run in the process. */
  readonly coldSeconds: number;
  readonly mips: number;
  readonly rate?: { readonly unit: string; readonly value: number };
  readonly qemuSeconds?: number;
  readonly v86Seconds?: number;
}

export interface ProgramsResult {
  readonly peers: { readonly qemu?: string; readonly v86?: string };
  readonly programs: readonly ProgramResult[];
  readonly geometricMeanMips: number;
  /** Geometric means of this core's time over the peer's: above 1 the peer is faster. */
  readonly timeOverQemu?: number;
  readonly timeOverV86?: number;
}

export interface ProgramsOptions {
  /** Programs to run; none: all. */
  readonly only: readonly string[];
  readonly peers: boolean;
  /** Run this core's part in the same process. */
  readonly here?: boolean;
}

export async function runPrograms({ only, peers, here = false }: ProgramsOptions): Promise<ProgramsResult> {
  const own = await (here ? runHere(only) : runCrashlab(only));
  const qemu = peers ? qemuVersion() : undefined;
  const v86 = peers ? v86Version() : undefined;
  const qemuTimings = qemu === undefined ? [] : await runQemu(own.map((timing) => timing.program));
  const v86Timings = v86 === undefined ? [] : await runV86(only);
  const programs = own.map((timing) => program(timing, qemuTimings, v86Timings));
  const timeOverQemu = geometricMean(ratios(programs, "qemuSeconds"));
  const timeOverV86 = geometricMean(ratios(programs, "v86Seconds"));
  return {
    peers: { ...(qemu === undefined ? {} : { qemu }), ...(v86 === undefined ? {} : { v86: `v86 ${v86}` }) },
    programs,
    geometricMeanMips: geometricMean(
      programs.filter(({ program: name }) => !UNCOUNTED.has(name)).map(({ mips }) => mips),
    ),
    ...(Number.isNaN(timeOverQemu) ? {} : { timeOverQemu }),
    ...(Number.isNaN(timeOverV86) ? {} : { timeOverV86 }),
  };
}

function program(
  timing: ProgramTiming,
  qemu: readonly ProgramTiming[],
  v86: readonly ProgramTiming[],
): ProgramResult {
  const { program: name, checksum, cold, warm, instructions = 0 } = timing;
  const event = EVENTS[name];
  const same = (peer: readonly ProgramTiming[]): ProgramTiming | undefined => {
    const found = peer.find((other) => other.program === name);
    if (found !== undefined && found.checksum !== checksum)
      throw new Error(`${name}: expected checksum ${checksum} of every emulator, found ${found.checksum}`);
    return found;
  };
  const qemuSeconds = same(qemu)?.warm;
  const v86Seconds = same(v86)?.warm;
  return {
    program: name,
    checksum,
    instructions,
    seconds: warm,
    coldSeconds: cold,
    mips: instructions / warm / 1e6,
    ...(event === undefined ? {} : { rate: { unit: event.unit, value: event.amount / warm } }),
    ...(qemuSeconds === undefined ? {} : { qemuSeconds }),
    ...(v86Seconds === undefined ? {} : { v86Seconds }),
  };
}

function ratios(programs: readonly ProgramResult[], peer: "qemuSeconds" | "v86Seconds"): number[] {
  return programs.flatMap((result) => {
    const seconds = result[peer];
    return seconds === undefined || seconds === 0 ? [] : [result.seconds / seconds];
  });
}

function geometricMean(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
