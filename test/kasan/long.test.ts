/**
 * The long form of the random tests, for nights: KASAN_SECONDS=600 KASAN_ACCESSES=10000 npx vitest run test/kasan/long.test.ts
 * KASAN_SEED picks other accesses, KASAN_BUILDS="plain outline" some of the builds.
 */
import { describe, expect, it } from "vitest";
import { boot, type KasanOptions } from "../../bindings/index.ts";
import { buildGuest } from "../guest/build.ts";
import { badAccesses, goodWork } from "./stress.ts";

const seconds = Number(process.env["KASAN_SECONDS"] ?? 0);
const accesses = Number(process.env["KASAN_ACCESSES"] ?? 0);
const seed = Number(process.env["KASAN_SEED"] ?? 1);
const builds = (process.env["KASAN_BUILDS"] ?? "plain layout outline inline").split(" ");
const WAYS: { readonly [build: string]: KasanOptions } = {
  plain: { mode: "generic" },
  layout: { mode: "generic", build: "layout" },
  outline: { mode: "generic", check: "compiler" },
  inline: { mode: "generic", check: "compiler", build: "inline" },
};

describe.each(builds)("%s", (build) => {
  const up = async (): Promise<Awaited<ReturnType<typeof boot>>> => {
    if (build !== "plain") await buildGuest(`--kasan=${build as "layout" | "outline" | "inline"}`);
    const kasan = WAYS[build] ?? { mode: "generic" };
    const machine = await boot({ kasan, cmdline: "kasan_multi_shot", budget: 20e9 });
    await machine.exec("insmod kasan_stress", { budget: 5e9 });
    return machine;
  };

  it.runIf(accesses > 0)(
    `finds every one of ${accesses} bad accesses`,
    async () => {
      let made = 0;
      for (let batch = 0; made < accesses; batch++) {
        const { truth, found } = await badAccesses(await up(), seed * 1000 + batch, 1000);
        expect(found).toEqual(truth);
        made += truth.length;
      }
      console.log(`${build}: ${made} bad accesses, each with its kind, access, size, address and object`);
    },
    3_600_000,
  );

  it.runIf(seconds > 0)(
    `says nothing in ${seconds} seconds of work within bounds`,
    async () => {
      const machine = await up();
      const end = Date.now() + seconds * 1000;
      let steps = 0;
      for (let part = 0; Date.now() < end; part++, steps += 5000) {
        await goodWork(machine, seed * 100_000 + part, 5000);
        await machine.exec("ls -l /bin > /tmp/a; cat /proc/modules /tmp/a | wc > /tmp/b; rm /tmp/a", {
          budget: 20e9,
        });
      }
      expect(machine.consoleLog.filter((line) => line.includes("KASAN:"))).toEqual([]);
      console.log(
        `${build}: ${steps} steps, ${(Number(machine.instructions) / 1e9).toFixed(1)} G instructions`,
      );
    },
    3_600_000,
  );
});
