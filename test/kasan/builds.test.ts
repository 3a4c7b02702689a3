/**
 * Instrumented builds of the guest, made here when the sources have changed: each reports what Linux and the plain
 * kernel do. The compiler's checks need nothing of this machine: the same kernel says the same in QEMU.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { boot } from "../../bindings/index.ts";
import { checkReport } from "../../bindings/report/index.ts";
import { buildGuest } from "../guest/build.ts";
import { qemuConsole } from "../guest/qemu.ts";
import { COMPILER_CASES, HEAP_CASES } from "./cases.ts";
import { kasanReports } from "./reports.ts";
import { everyday } from "./stress.ts";
import { runSuite, splitSuite } from "./suite.ts";
import { functionsOf, linuxShapes, shapesOf } from "./twins.ts";

const ALL_CASES = { ...HEAP_CASES, ...COMPILER_CASES };
/** gcc has no red zone before a global, and Linux's run has missed the one behind it. */
const NOT_IN_LINUX = ["kasan_global_oob_right", "kasan_global_oob_left"];

/** Shapes of the compiler's kinds, but for those that Linux's log does not show. */
const withoutGlobals = (shapes: { [name: string]: string[][] }): unknown =>
  Object.fromEntries(Object.entries(shapes).filter(([name]) => !NOT_IN_LINUX.includes(name)));

/** The functions of all reports, by case. */
const traces = new Map<string, unknown>();

describe.each([
  ["layout", "core"],
  ["outline", "compiler"],
  ["inline", "compiler"],
] as const)("the %s build", (build, check) => {
  beforeAll(() => buildGuest(`--kasan=${build}`), 900_000);

  it("reports in every case what it should, as Linux does, and in nothing else", async () => {
    const machine = await boot({ kasan: { mode: "generic", check, build }, budget: 20e9 });
    expect(await everyday(machine, 1, 1000)).toEqual([]);
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
    expect(withoutGlobals(shapesOf(cases))).toEqual(withoutGlobals(linuxShapes()));

    const plain = await runSuite(await boot({ kasan: { mode: "generic" } }));
    for (const [name, { log }] of plain)
      expect([name, kasanReports(cases.get(name)?.log ?? []).map(functionsOf)]).toEqual([
        name,
        name in COMPILER_CASES ? expect.anything() : kasanReports(log).map(functionsOf),
      ]);
    traces.set(
      build,
      [...cases].map(([name, { log }]) => [name, kasanReports(log).map(functionsOf)]),
    );
  }, 300_000);
});

it("reports the same in every case, whoever looks: the processor, calls or code of the compiler's", () => {
  expect(traces.get("layout")).toEqual(traces.get("outline"));
  expect(traces.get("inline")).toEqual(traces.get("outline"));
});

it("is booted from its bytes too, as the installed package does it", async () => {
  await buildGuest("--kasan=outline");
  const machine = await boot({
    kernel: readFileSync("build/guest-outline/vmlinux"),
    initrd: readFileSync("build/guest-outline/initramfs.cpio"),
    kasan: { mode: "generic", check: "compiler" },
    budget: 20e9,
  });
  await machine.exec("insmod labcrash");
  await machine.exec("sh -c 'echo p user_read > /sys/kernel/debug/labcrash/trigger'");
  expect(kasanReports(machine.consoleLog).map(({ kind, where }) => `${kind} ${where}`)).toEqual([
    "user-memory-access lab_user_read",
  ]);
}, 900_000);

it("passes silently when nobody looks at the red zones of the compiler's", async () => {
  await buildGuest("--kasan=layout");
  const machine = await boot({ kasan: { mode: "generic", build: "layout", check: "none" }, budget: 20e9 });
  const cases = await runSuite(machine);
  for (const name of Object.keys(COMPILER_CASES)) {
    const { log = [], result } = cases.get(name) ?? {};
    expect([name, result, kasanReports(log)]).toEqual([name, "not ok", []]);
  }
}, 900_000);

it("reports the same in QEMU", async () => {
  await buildGuest("--kasan=outline");
  const log = await qemuConsole({
    guest: "build/guest-outline",
    append: "kasan=on",
    commands: ["insmod kasan_test"],
    until: /^\[.*\] ok 1 kasan$/m,
  });
  const cases = splitSuite(log);
  const machine = await boot({ kasan: { mode: "generic", check: "compiler" }, budget: 20e9 });
  const here = await runSuite(machine);
  expect([...cases.keys()]).toEqual([...here.keys()]);
  for (const [name, run] of here) {
    const there = cases.get(name);
    expect([name, there?.result, kasanReports(there?.log ?? []).map(functionsOf)]).toEqual([
      name,
      run.result,
      kasanReports(run.log).map(functionsOf),
    ]);
  }
  expect(shapesOf(cases)).toEqual(shapesOf(here));
}, 900_000);
