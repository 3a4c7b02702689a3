/**
 * The guest kernel on 1, 2 and 4 CPUs: the same commands end in the same state, run after run, in a machine of their
 * own or in one that was taken apart at random moments. DETERMINISM_RUNS makes it longer, DETERMINISM_SEED another one.
 */
import { describe, expect, test } from "vitest";
import { Core } from "../../bindings/core/core.ts";
import type { Input } from "../../bindings/core/input.ts";
import { decodeSnapshot, encodeSnapshot, type Snapshot } from "../../bindings/core/snapshot.ts";
import { Random } from "../../bindings/fuzz/random.ts";
import { boot, type Machine } from "../../bindings/index.ts";

const RUNS = Number(process.env["DETERMINISM_RUNS"] ?? 2);
const SEED = Number(process.env["DETERMINISM_SEED"] ?? 1);
const MEMORY = "64M";
const RAM_BYTES = 64 << 20;

/** Work for several CPUs, with input on the way. */
async function work(machine: Machine): Promise<void> {
  await machine.exec(
    "cat /proc/meminfo /proc/interrupts > /tmp/a & cat /proc/kallsyms > /dev/null; ls -l /proc",
  );
  await machine.exec("dmesg");
}

/** Runs recorded inputs from a snapshot to a time, cut at random moments: a new machine, or the same one put back. */
async function inPieces(
  random: Random,
  cpus: number,
  start: Snapshot,
  inputs: readonly Input[],
  end: bigint,
): Promise<Core> {
  let core = await Core.create({ ramBytes: RAM_BYTES, cpus });
  core.restore(start);
  for (let cuts = 3; cuts > 0; cuts--) {
    const left = end - core.time;
    const until = core.time + (left * BigInt(random.below(1000))) / 2000n;
    const before = core.time;
    core.replay(
      inputs.filter(({ time }) => time > before || (cuts === 3 && time === before)),
      until,
    );
    const snapshot = core.snapshot();
    if (random.oneIn(2)) {
      core = await Core.create({ ramBytes: RAM_BYTES, cpus });
      core.restore(decodeSnapshot(encodeSnapshot(snapshot)));
    } else core.restore(snapshot);
  }
  const before = core.time;
  core.replay(
    inputs.filter(({ time }) => time > before),
    end,
  );
  return core;
}

describe.each([1, 2, 4])("%i CPUs", (cpus) => {
  test(`${RUNS} runs, and as many in pieces, end in one state`, {
    timeout: 60_000 * (2 + RUNS),
  }, async () => {
    const random = new Random(SEED + cpus);
    await using machine = await boot({ memory: MEMORY, cpus });
    const booted = machine.stateHash();
    const start = machine.snapshot();
    machine.restore(start);
    await work(machine);
    const { time, inputs } = machine;
    const hash = machine.stateHash();
    expect(hash).not.toBe(booted);

    await using other = await boot({ memory: MEMORY, cpus });
    expect(other.stateHash()).toBe(booted);
    for (let run = 1; run < RUNS; run++) {
      machine.restore(start);
      await work(machine);
      expect(machine.time).toBe(time);
      expect(machine.stateHash()).toBe(hash);
    }
    const file = decodeSnapshot(encodeSnapshot(start));
    for (let run = 0; run < RUNS; run++) {
      const core = await inPieces(random, cpus, file, inputs, time);
      expect(core.time).toBe(time);
      expect(core.stateHash()).toBe(hash);
    }
  });
});
