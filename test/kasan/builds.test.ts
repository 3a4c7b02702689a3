/**
 * Instrumented builds of the guest. They take a minute each, so they are tested when they are there:
 * `npm run build:guest -- --kasan=layout` (outline, inline), then `npx vitest run test/kasan/builds.test.ts`.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { boot } from "../../bindings/index.ts";
import { checkReport } from "../../bindings/report/index.ts";
import { COMPILER_CASES, HEAP_CASES } from "./cases.ts";
import { kasanReports } from "./reports.ts";
import { runSuite } from "./suite.ts";

const ALL_CASES = { ...HEAP_CASES, ...COMPILER_CASES };
const folder = (flavour: string): string =>
  fileURLToPath(new URL(`../../build/guest-${flavour}/`, import.meta.url));

for (const [flavour, check] of [
  ["layout", "core"],
  ["outline", "compiler"],
  ["inline", "compiler"],
] as const) {
  describe.skipIf(!existsSync(`${folder(flavour)}SHA256SUMS`))(`the ${flavour} build`, () => {
    it("reports in every case what it should, and in nothing else", async () => {
      const machine = await boot({
        kernel: readFileSync(`${folder(flavour)}vmlinux`),
        initrd: readFileSync(`${folder(flavour)}initramfs.cpio`),
        kasan: { mode: "generic", check },
        budget: 20e9,
      });
      await machine.exec("ls -l /bin; cat /proc/meminfo; echo a b | cat", { budget: 20e9 });
      expect(machine.consoleLog.filter((line) => line.includes("KASAN:"))).toEqual([]);
      const cases = await runSuite(machine);
      for (const [name, { log, result }] of cases) {
        const found = kasanReports(log).map((r) => [r.kind, `${r.access} ${r.size}`, r.place]);
        expect([name, ...found]).toEqual([name, ...(ALL_CASES[name] ?? [])]);
        if (name in ALL_CASES) expect(`${result} ${name}`).toBe(`ok ${name}`);
      }
      const stack = kasanReports(cases.get("kasan_stack_oob")?.log ?? [])[0]?.text ?? "";
      expect(stack).toMatch(/is located at offset \d+ in frame:\n kasan_stack_oob\+0x0\//);
      expect(stack).toMatch(/^ \[\d+, \d+\) 'stack_array'$/m);
      expect(checkReport(machine.consoleLog)).toEqual([]);
    }, 120_000);
  });
}
