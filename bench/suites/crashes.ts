/**
 * Crashes per second on one core, the headline: back to a snapshot, inject, wait for the guest, read its report with
 * source lines. And the CPU time of booting to the prompt in a process that has booted before.
 */
import { boot, faults, type InjectableFault } from "../../bindings/index.ts";

export interface CrashesResult {
  readonly fault: string;
  /** By CPU time of the whole process, of the best of the rounds. */
  readonly perSecond: number;
  readonly medianPerSecond: number;
  /** CPU milliseconds of restoring in place. */
  readonly restoreMs: number;
  /** Another machine for each crash instead of the same one. */
  readonly forksPerSecond: number;
  /** CPU milliseconds of boot() to the prompt: the first of the process, and the median of the later ones. */
  readonly firstBootMs: number;
  readonly bootMs: number;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function timed(act: () => unknown): Promise<number> {
  const before = cpuMs();
  await act();
  return cpuMs() - before;
}

function median(values: readonly number[]): number {
  return values.toSorted((x, y) => x - y)[values.length >> 1] ?? 0;
}

export async function runCrashes(quick: boolean): Promise<CrashesResult> {
  const bootOnce = async (): Promise<void> => {
    await using _machine = await boot();
  };
  const firstBootMs = await timed(bootOnce);
  const boots: number[] = [];
  for (let round = 0; round < (quick ? 3 : 11); round++) boots.push(await timed(bootOnce));

  const machine = await boot();
  const whole = faults.nullDereference();
  const [load = "", ...trigger] = whole.commands;
  await machine.exec(load); // the module is in the snapshot
  const fault: InjectableFault = { ...whole, commands: trigger };
  const snapshot = machine.snapshot();
  const crash = async (): Promise<void> => {
    machine.restore(snapshot);
    const { report } = await machine.inject(fault);
    if (report.rip?.file === undefined) throw new Error("expected a report with source lines");
  };
  const crashes = quick ? 20 : 100;
  const rates: number[] = [];
  for (let round = 0; round < (quick ? 3 : 9); round++) {
    const ms = await timed(async () => {
      for (let done = 0; done < crashes; done++) await crash();
    });
    rates.push((crashes * 1000) / ms);
  }
  await crash();
  const restoreMs =
    (await timed(() => {
      for (let done = 0; done < 100; done++) machine.restore(snapshot);
    })) / 100;
  machine.restore(snapshot);
  const forks = quick ? 3 : 20;
  const forkMs = await timed(async () => {
    for (let done = 0; done < forks; done++) {
      await using child = await machine.fork();
      await child.inject(fault);
    }
  });
  return {
    fault: whole.name,
    perSecond: Math.max(...rates),
    medianPerSecond: median(rates),
    restoreMs,
    forksPerSecond: (forks * 1000) / forkMs,
    firstBootMs,
    bootMs: median(boots),
  };
}
