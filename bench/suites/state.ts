/** Snapshots and forks of a machine of 128 MiB: benny's rates, and medians of what benny cannot set up apart. */
import b from "benny";
import { Core } from "../../bindings/core/core.ts";
import { loadKernel } from "../../bindings/machine/loaders/kernel.ts";
import { imageBytes } from "../guest/build.ts";

const MIB = 1 << 20;
const PAGES = 1000;
const ROUNDS = 41;

export interface Rate {
  readonly name: string;
  readonly perSecond: number;
  /** Percent. */
  readonly margin: number;
}

/** Milliseconds of wall time; `instanceMs` and `touchUs` have nothing written, all others 1000 pages. */
export interface StateTimes {
  /** Back to the last snapshot, in place. */
  readonly restoreMs: number;
  readonly snapshotMs: number;
  /** A fork whose like was disposed of before: it takes over that one's memory. */
  readonly pooledForkMs: number;
  /** A fork while all others are kept: it gets memory of its own from the host. */
  readonly forkMs: number;
  /** Touching a page of fresh WebAssembly memory for the first time, in microseconds: the host's part of `forkMs`. */
  readonly touchUs: number;
  /** A new WebAssembly.Memory and WebAssembly.Instance of the compiled core, nothing touched: the engine's part. */
  readonly instanceMs: number;
}

/**
 * Medians, and the best of all rounds: what a machine with nothing else to do would have. `cpu` has medians of the same in
 * CPU time of the process, which others on the machine do not lengthen by their turns.
 */
export interface StateResult extends StateTimes {
  readonly dirtyPages: number;
  readonly best: StateTimes;
  readonly cpu: StateTimes;
  readonly rates: readonly Rate[];
}

/** A machine that has run for a while, so that some of its memory is in use. */
async function machine(): Promise<Core> {
  const core = await Core.create({ ramBytes: 128 * MIB });
  const kernel = imageBytes(64);
  core.start(loadKernel({ kernel, commandLine: "fib", ramBytes: core.ramBytes, cpus: 1 }));
  core.run(1_000_000);
  return core;
}

function dirty(core: Core, round: number): void {
  for (let page = 0; page < PAGES; page++)
    core.writePhysical(BigInt(64 * MIB + page * 4096 + (round & 0xff8)), Uint8Array.of(round, page));
}

function median(values: readonly number[]): number {
  return values.toSorted((x, y) => x - y)[values.length >> 1] ?? 0;
}

function least(values: readonly number[]): number {
  return Math.min(...values);
}

/** What a round took: milliseconds by the clock, and of CPU time. */
interface Round {
  readonly wall: number;
  readonly cpu: number;
}

async function timed<T>(rounds: Round[], act: () => T | Promise<T>): Promise<T> {
  const used = process.cpuUsage();
  const started = performance.now();
  const result = await act();
  const wall = performance.now() - started;
  const { user, system } = process.cpuUsage(used);
  rounds.push({ wall, cpu: (user + system) / 1000 });
  return result;
}

function newMemory(): Uint8Array {
  return new Uint8Array(new WebAssembly.Memory({ initial: 256, maximum: 2368 }).buffer);
}

/** The first touch of a page: as many microseconds as the whole takes milliseconds. */
const TOUCHED = 1000;
function touch(bytes: Uint8Array): void {
  for (let page = 0; page < TOUCHED; page++) bytes[page * 4096] = 1;
}

/** A module that exports as little as can be, so that only the engine's own work is measured. */
const EMPTY = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));

export async function runState(quick: boolean): Promise<StateResult> {
  const core = await machine();
  dirty(core, 0);
  let base = core.snapshot();
  const restores: Round[] = [],
    snapshots: Round[] = [],
    pooled: Round[] = [],
    forks: Round[] = [],
    touches: Round[] = [],
    instances: Round[] = [];
  const kept: Core[] = [];
  for (let round = 1; round <= (quick ? 3 : ROUNDS); round++) {
    dirty(core, round);
    await timed(restores, () => core.restore(base));
    dirty(core, round);
    base = await timed(snapshots, () => core.snapshot());
    dirty(core, round + 1);
    {
      using _child = await timed(pooled, () => core.fork());
    }
    base = core.snapshot();
  }
  for (let round = 0; round < (quick ? 2 : 9); round++) {
    dirty(core, round);
    kept.push(await timed(forks, () => core.fork()));
    const fresh = newMemory();
    await timed(touches, () => touch(fresh));
    await timed(instances, () => [newMemory(), new WebAssembly.Instance(EMPTY)]);
  }
  for (const child of kept) child[Symbol.dispose]();
  base = core.snapshot();
  const rates: Rate[] = [];
  const options = quick ? { minSamples: 1, maxTime: 0.05 } : { minSamples: 10, maxTime: 1 };
  await b.suite(
    "state",
    b.add("restore in place, nothing written", () => core.restore(base), options),
    b.add(
      `write to ${PAGES} pages from the host, restore in place`,
      () => {
        dirty(core, 1);
        core.restore(base);
      },
      options,
    ),
    b.add(
      "fork a machine of 128 MiB and dispose of the fork",
      async () => {
        using _child = await core.fork();
      },
      options,
    ),
    b.complete((summary) => {
      for (const { name, ops, margin } of summary.results) rates.push({ name, perSecond: ops, margin });
    }),
  );
  const times = (pick: (values: readonly number[]) => number, of: keyof Round): StateTimes => {
    const figure = (rounds: readonly Round[]): number => pick(rounds.map((round) => round[of]));
    return {
      restoreMs: figure(restores),
      snapshotMs: figure(snapshots),
      pooledForkMs: figure(pooled.slice(1)), // the first has nobody's memory to take
      forkMs: figure(forks),
      touchUs: figure(touches),
      instanceMs: figure(instances),
    };
  };
  return {
    dirtyPages: PAGES,
    ...times(median, "wall"),
    best: times(least, "wall"),
    cpu: times(median, "cpu"),
    rates,
  };
}
