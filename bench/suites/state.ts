/** Snapshots and forks of a machine of 128 MiB: benny's rates, and medians of what benny cannot set up apart. */
import b from "benny";
import { Core } from "../../bindings/core/core.ts";
import { loadKernel } from "../../bindings/machine/loaders/kernel.ts";
import { imageBytes } from "../guest/build.ts";

const MIB = 1 << 20;
const PAGES = 1000;
const ROUNDS = 21;

export interface Rate {
  readonly name: string;
  readonly perSecond: number;
  /** Percent. */
  readonly margin: number;
}

export interface StateResult {
  readonly dirtyPages: number;
  readonly restoreMs: number;
  readonly snapshotMs: number;
  readonly forkMs: number;
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

export async function runState(quick: boolean): Promise<StateResult> {
  const core = await machine();
  dirty(core, 0);
  let base = core.snapshot();
  const restores: number[] = [],
    snapshots: number[] = [],
    forks: number[] = [];
  for (let round = 1; round <= (quick ? 3 : ROUNDS); round++) {
    dirty(core, round);
    let started = performance.now();
    core.restore(base);
    restores.push(performance.now() - started);
    dirty(core, round);
    started = performance.now();
    base = core.snapshot();
    snapshots.push(performance.now() - started);
    dirty(core, round + 1);
    started = performance.now();
    await core.fork();
    forks.push(performance.now() - started);
    base = core.snapshot();
  }
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
    b.add("fork a machine of 128 MiB", async () => void (await core.fork()), options),
    b.complete((summary) => {
      for (const { name, ops, margin } of summary.results) rates.push({ name, perSecond: ops, margin });
    }),
  );
  return {
    dirtyPages: PAGES,
    restoreMs: median(restores),
    snapshotMs: median(snapshots),
    forkMs: median(forks),
    rates,
  };
}
