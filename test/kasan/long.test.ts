/**
 * The long form of the random tests, for nights:
 *
 *   KASAN_ACCESSES=10000 KASAN_SECONDS=600 KASAN_MODE="plain sw-tags" npx vitest run test/kasan/long.test.ts
 *
 * KASAN_SECONDS are the host's; what the guest has done in them is printed. KASAN_SEED picks other accesses, KASAN_MODE
 * some of the modes of modes.ts, all being the default.
 */
import { expect, it } from "vitest";
import type { Machine } from "../../bindings/index.ts";
import { bootMode, MODES } from "./modes.ts";
import { badAccesses, badSamples, everyday, goodWork, isBlindSpotOfInline, neighbours } from "./stress.ts";

const seconds = Number(process.env["KASAN_SECONDS"] ?? 0);
const accesses = Number(process.env["KASAN_ACCESSES"] ?? 0);
const seed = Number(process.env["KASAN_SEED"] ?? 1);
const modes = process.env["KASAN_MODE"]?.split(" ") ?? Object.keys(MODES);
/** What it lets through has no details to check: docs/kasan-tags.md. */
const EXACT = modes.filter((mode) => mode !== "hw-tags-async");

const up = async (mode: string): Promise<Machine> => {
  const machine = await bootMode(mode, { cmdline: "kasan_multi_shot no_hash_pointers" });
  await machine.exec("insmod kasan_stress", { budget: 5e9 });
  return machine;
};

it.runIf(accesses > 0).each(EXACT)(
  `%s: finds every one of ${accesses} bad accesses`,
  async (mode) => {
    const bad = mode === "kfence" ? badSamples : badAccesses;
    let made = 0;
    let missed = 0;
    for (let batch = 0; made < accesses; batch++) {
      const { truth, found } = await bad(await up(mode), seed * 1000 + batch, 1000);
      expect(truth.length).toBeGreaterThan(0);
      let reported = 0;
      const seen = truth.filter((one) => {
        const isSeen = found[reported] === one;
        if (isSeen) reported++;
        return isSeen || mode !== "inline" || !isBlindSpotOfInline(one);
      });
      expect(found).toEqual(seen);
      made += truth.length;
      missed += truth.length - seen.length;
    }
    console.log(`${mode}: ${made - missed} of ${made}, each with its kind, access, size, address and object`);
  },
  3_600_000,
);

it.runIf(accesses > 0).each(modes.filter((mode) => mode === "sw-tags" || mode === "hw-tags"))(
  "%s: finds a neighbour exactly when its tag is another one",
  async (mode) => {
    const count = 2000;
    const { truth, found } = await neighbours(await up(mode), seed, count);
    expect(found).toEqual(truth);
    console.log(`${mode}: ${count - truth.length} of ${count} neighbours had the same tag`);
  },
  3_600_000,
);

it.runIf(seconds > 0).each(modes)(
  `%s: says nothing in ${seconds} seconds of work within bounds`,
  async (mode) => {
    const machine = await bootMode(mode, { cmdline: "kasan_multi_shot", cpus: 2 });
    const end = Date.now() + seconds * 1000;
    let steps = 0;
    expect(await everyday(machine, seed, 1000)).toEqual([]);
    await machine.exec("insmod kasan_stress", { budget: 5e9 });
    for (let part = 0; Date.now() < end; part++, steps += 5000) {
      await goodWork(machine, seed * 100_000 + part, 5000);
      await machine.exec("ls -l /bin > /tmp/a; cat /proc/modules /tmp/a | wc > /tmp/b; rm /tmp/a", {
        budget: 20e9,
      });
    }
    expect(machine.consoleLog.filter((line) => /BUG|WARNING|KASAN:/.test(line))).toEqual([]);
    console.log(`${mode}: ${steps} steps, ${(Number(machine.instructions) / 1e9).toFixed(1)} G instructions`);
  },
  3_600_000,
);
