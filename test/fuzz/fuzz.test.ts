/** The short form of `crashlab fuzz`; the long one is a command. FUZZ_SEED and FUZZ_INSTRUCTIONS change it. */
import { describe, expect, test } from "vitest";
import { Core } from "../../bindings/core/core.ts";
import { decodeSnapshot, encodeSnapshot } from "../../bindings/core/snapshot.ts";
import { CrashlabError } from "../../bindings/error.ts";
import { fuzzHostile } from "../../bindings/fuzz/hostile.ts";
import { fuzzImages } from "../../bindings/fuzz/images.ts";
import { canRunNatively, fuzzNative } from "../../bindings/fuzz/native.ts";
import { Random } from "../../bindings/fuzz/random.ts";
import { canRunQemu } from "../../bindings/fuzz/system/machines.ts";
import { fuzzSystem } from "../../bindings/fuzz/system.ts";

const seed = Number(process.env["FUZZ_SEED"] ?? 1);
const instructions = Number(process.env["FUZZ_INSTRUCTIONS"] ?? 1_000_000);

describe("hostile machines", () => {
  test("no trap, no exception of the host, no hang", { timeout: 600_000 }, async () => {
    const outcome = await fuzzHostile({ seed, instructions });
    expect(outcome.failures).toEqual([]);
    expect(outcome.instructions).toBeGreaterThanOrEqual(instructions);
    expect(outcome.exceptions).toBeGreaterThan(1000);
  });

  test("the same seed does the same", async () => {
    const twice = await Promise.all([1, 2].map(() => fuzzHostile({ seed, instructions: 50_000 })));
    const [first, second] = twice.map(({ slowest: _, ...rest }) => rest);
    expect(first).toEqual(second);
  });

  test("a signal that fires while it runs ends it; the outcome is of what ran", async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 300);
    const outcome = await fuzzHostile({ seed, instructions: 1e12, signal: controller.signal });
    expect(outcome.rounds).toBeGreaterThan(0);
    expect(outcome.failures).toEqual([]);
  });
});

describe.skipIf(!canRunNatively())("this processor", () => {
  test("does with random user programs what the core does", { timeout: 600_000 }, async () => {
    const outcome = await fuzzNative({ seed, instructions: instructions / 5 });
    expect(outcome.differences).toEqual([]);
    expect(outcome.faults).toBeGreaterThan(50);
  });
});

describe.skipIf(!canRunQemu())("QEMU", () => {
  test("agrees about page tables, gates, transfers, registers", { timeout: 600_000 }, async () => {
    const outcome = await fuzzSystem({ seed, cases: 2000 });
    expect(outcome.differences).toEqual([]);
    expect(outcome.cases).toBe(2000);
    // Every kind of end occurs: those that got through, faults of each sort, traps.
    for (const vector of [1, 6, 11, 13, 14, 205]) expect(outcome.vectors[vector]).toBeGreaterThan(3);
  });
});

describe("damaged kernels and snapshots", () => {
  test("are refused with a reason, or make a machine", { timeout: 300_000 }, async () => {
    const outcome = await fuzzImages({ seed, cases: 300 });
    expect(outcome.failures).toEqual([]);
    expect(outcome.ends["bad-kernel"]).toBeGreaterThan(20);
    expect(outcome.ends["bad-snapshot"]).toBeGreaterThan(5);
    expect(outcome.ends["ran"]).toBeGreaterThan(20);
  });
});

describe("damaged snapshots", () => {
  test("are refused with bad-snapshot, or run without a trap", async () => {
    const random = new Random(seed);
    const core = await Core.create({ ramBytes: 1 << 20, cpus: 2, recordInputs: false });
    core.writePhysical(0n, random.bytes(0x4000));
    core.run(1000);
    const good = encodeSnapshot(core.snapshot());
    let refused = 0;
    for (let n = 0; n < 60; n++) {
      const bytes = good.slice(0, random.oneIn(6) ? random.below(good.length) : good.length);
      // Header, state or anything; the state holds the CPUs, the run loop and the devices.
      const reach = random.pick([300, 0x8000, 0x30000, bytes.length]);
      for (let flips = 1 + random.below(40); flips > 0; flips--) {
        const at = random.below(Math.min(reach, bytes.length));
        bytes[at] = random.below(256);
      }
      try {
        core.restore(decodeSnapshot(bytes));
        core.run(2000);
      } catch (error) {
        expect(error).toBeInstanceOf(CrashlabError);
        expect((error as CrashlabError).code).toBe("bad-snapshot");
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(5);
  });
});
