/**
 * Crashes per second on one core, the headline: fork, inject, wait for the guest, read the report with source lines. Beside
 * it the same without a fork, back to a snapshot in place. And the CPU time of booting to the prompt in a process that
 * has booted before.
 */
import { boot, type Crash, faults, type InjectableFault } from "../../bindings/index.ts";

export interface CrashesResult {
  readonly fault: string;
  /** Crashes of a fork each, by CPU time of the whole process: the best of the rounds, and their median. */
  readonly perSecond: number;
  readonly medianPerSecond: number;
  /** The same in one machine, which goes back to its snapshot for each. */
  readonly inPlacePerSecond: number;
  readonly medianInPlacePerSecond: number;
  /** CPU milliseconds of a fork, and of going back in place. */
  readonly forkMs: number;
  readonly restoreMs: number;
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

  await using machine = await boot();
  const whole = faults.nullDereference();
  const [load = "", ...trigger] = whole.commands;
  await machine.exec(load); // the module is in the snapshot
  const fault: InjectableFault = { ...whole, commands: trigger };
  const snapshot = machine.snapshot();
  const check = ({ report }: Crash): void => {
    if (report.rip?.file === undefined) throw new Error("expected a report with source lines");
  };
  const forkAndCrash = async (): Promise<void> => {
    await using child = await machine.fork();
    check(await child.inject(fault));
  };
  const restoreAndCrash = async (): Promise<void> => {
    machine.restore(snapshot);
    check(await machine.inject(fault));
  };
  const fork = async (): Promise<void> => {
    await using _child = await machine.fork();
  };
  const restore = (): void => machine.restore(snapshot);

  const crashes = quick ? 20 : 100;
  const msOf = async (count: number, act: () => unknown): Promise<number> =>
    (await timed(async () => {
      for (let done = 0; done < count; done++) await act();
    })) / count;
  const forked: number[] = [];
  const inPlace: number[] = [];
  for (let round = 0; round < (quick ? 3 : 9); round++) {
    forked.push(1000 / (await msOf(crashes, forkAndCrash)));
    inPlace.push(1000 / (await msOf(crashes, restoreAndCrash)));
    machine.restore(snapshot);
  }
  return {
    fault: whole.name,
    perSecond: Math.max(...forked),
    medianPerSecond: median(forked),
    inPlacePerSecond: Math.max(...inPlace),
    medianInPlacePerSecond: median(inPlace),
    forkMs: await msOf(100, fork),
    restoreMs: await msOf(100, restore),
    firstBootMs,
    bootMs: median(boots),
  };
}
