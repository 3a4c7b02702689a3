import { describe, expect, it } from "vitest";
import { boot, type CrashReport } from "../../bindings/index.ts";
import { checkReport } from "../../bindings/report/index.ts";
import { COMPILER_CASES, HEAP_CASES } from "./cases.ts";
import { kasanReports } from "./reports.ts";
import { badAccesses, everyday } from "./stress.ts";
import { runSuite } from "./suite.ts";
import { linuxShapes, shapesOf } from "./twins.ts";

const GENERIC = { mode: "generic" } as const;

describe("kasan_test", () => {
  it("reports in each case what Linux reports, and nothing else", async () => {
    const machine = await boot({ kasan: GENERIC });
    const events: CrashReport[] = [];
    machine.on("report", (report) => events.push(report));
    const cases = await runSuite(machine);
    expect(cases.size).toBe(55);
    for (const [name, { log, result }] of cases) {
      const found = kasanReports(log).map((r) => [r.kind, `${r.access} ${r.size}`, r.place]);
      expect([name, ...found]).toEqual([name, ...(HEAP_CASES[name] ?? [])]);
      if (name in HEAP_CASES) expect(`${result} ${name}`).toBe(`ok ${name}`);
      if (name in COMPILER_CASES) expect(result).toBe("skip");
    }
    expect(checkReport(machine.consoleLog)).toEqual([]);
    // Line by line what Linux prints, but for the kinds that need the compiler.
    const linux = Object.entries(linuxShapes()).filter(([name]) => name in HEAP_CASES);
    expect(shapesOf(cases)).toEqual(Object.fromEntries(linux));
    expect(events.length).toBe(kasanReports(machine.consoleLog).length);
    expect(events.find(({ title }) => title === "KASAN: use-after-free Read in kmalloc_uaf")).toMatchObject({
      kind: "kasan",
      kasan: { access: "read", size: 1n, object: { cache: "kmalloc-16", size: 16 } },
    });
    const uaf = kasanReports(cases.get("kmalloc_uaf")?.log ?? [])[0]?.text ?? "";
    expect(uaf).toMatch(
      /^Allocated by task \d+:\n kasan_save_stack\+\S+\n kasan_set_track\+\S+\n __kasan_kmalloc\+/m,
    );
    expect(uaf).toMatch(/^ kmalloc\+\S+\n kmalloc_uaf\+\S+ \[kasan_test\]\n kunit_try_run_case\+/m);
    expect(uaf).toMatch(
      /^Freed by task \d+:\n kasan_save_stack\+\S+\n kasan_set_track\+\S+\n kasan_save_free_info\+\S+\n __kasan_slab_free\+\S+\n kfree\+\S+\n kmalloc_uaf\+/m,
    );
  }, 60_000);

  it("passes silently when nobody looks at the shadow, but for frees, which the allocators check", async () => {
    const cases = await runSuite(await boot({ kasan: { mode: "generic", check: "none" } }));
    for (const [name, { log }] of cases) {
      const expected = (HEAP_CASES[name] ?? []).filter(
        ([kind]) => kind === "double-free" || kind === "invalid-free",
      );
      const found = kasanReports(log).filter((r) => r.kind === "double-free" || r.access === "Free");
      expect([name, found.length]).toEqual([name, expected.length]);
      // Functions that ask the shadow themselves: ksize(), krealloc(), kmem_cache_destroy().
      const asked = ["krealloc_uaf", "ksize_uaf", "kmem_cache_double_destroy", "kmalloc_double_kzfree"];
      expect([name, kasanReports(log).length]).toEqual([
        name,
        expected.length + (asked.includes(name) ? 1 : 0),
      ]);
    }
  }, 60_000);
});

describe("generic KASAN", () => {
  it("has nothing to say about a boot, the user's programs and random work within bounds", async () => {
    const machine = await boot({ kasan: GENERIC, cmdline: "kasan_multi_shot", cpus: 2 });
    expect(await everyday(machine, 1, 3000)).toEqual([]);
  }, 90_000);

  it("finds every one of random bad accesses, with its kind, size, address and object", async () => {
    const machine = await boot({ kasan: GENERIC });
    await machine.exec("insmod kasan_stress");
    const { truth, found, log } = await badAccesses(machine, 7, 200);
    expect(truth.length).toBeGreaterThan(150);
    expect(found).toEqual(truth);
    // What was freed last is still so.
    const last = kasanReports(log).findLast(({ kind, object }) => kind === "use-after-free" && object !== 0n);
    expect(machine.kasan.shadowOf(last?.object ?? 0n)).toMatchObject({
      value: 0xfa,
      state: "slab-free-track",
      accessible: 0,
    });
    expect(machine.kasan.shadowOf(0x1000n)).toBeUndefined();
    expect(machine.kasan.shadowOf(0xffffd00000000000n)).toBeUndefined();
    expect(machine.kasan.shadowOf(0xffff888000001234n)).toMatchObject({
      granule: 0xffff888000001230n,
      value: 0,
      accessible: 8,
    });
  }, 60_000);

  it("has a shadow for the direct map, the kernel, modules and stacks", async () => {
    const machine = await boot({ kasan: GENERIC });
    const accessible = { value: 0, state: "accessible", accessible: 8 };
    expect(machine.kasan.shadowOf(machine.resolve("linux_banner"))).toMatchObject(accessible);
    const modules = (await machine.exec("insmod mydriver; cat /proc/modules")).stdout;
    const [, module = "0"] = /0x([0-9a-f]{16})/.exec(modules) ?? [];
    expect(machine.kasan.shadowOf(BigInt(`0x${module}`))).toMatchObject(accessible);
    await machine.write("echo a > /tmp/a\n");
    await machine.runUntil({ place: "vfs_write" });
    const { rsp } = machine.registers();
    expect(rsp >> 40n).toBe(0xffffc9n); // vmalloc's part of the address space
    expect(machine.kasan.shadowOf(rsp)).toMatchObject(accessible);
  }, 60_000);

  it("reports once, or always, or panics, as it is told", async () => {
    const once = await boot({ kasan: GENERIC });
    await once.exec("insmod labcrash");
    await once.exec("sh -c 'echo p user_read > /sys/kernel/debug/labcrash/trigger'");
    await once.exec("sh -c 'echo p user_read > /sys/kernel/debug/labcrash/trigger'");
    expect(kasanReports(once.consoleLog).map(({ kind }) => kind)).toEqual(["user-memory-access"]);
    const always = await boot({ kasan: GENERIC, cmdline: "kasan_multi_shot" });
    await always.exec("insmod labcrash");
    await always.exec("sh -c 'echo p user_read > /sys/kernel/debug/labcrash/trigger'");
    await always.exec("sh -c 'echo p user_read > /sys/kernel/debug/labcrash/trigger'");
    expect(kasanReports(always.consoleLog).map(({ kind }) => kind)).toEqual([
      "user-memory-access",
      "user-memory-access",
    ]);
    for (const [cmdline, message] of [
      ["kasan.fault=panic", "Kernel panic - not syncing: kasan.fault=panic set ..."],
      ["panic_on_warn", "Kernel panic - not syncing: KASAN: panic_on_warn set ..."],
    ] as const) {
      const machine = await boot({ kasan: GENERIC, cmdline });
      await machine.exec("insmod labcrash");
      await machine
        .exec("sh -c 'echo p user_read > /sys/kernel/debug/labcrash/trigger'")
        .catch(() => undefined);
      expect(machine.consoleLog.join("\n")).toContain(message);
    }
  }, 60_000);

  it("is off, and says nothing of itself, unless it is asked for", async () => {
    const machine = await boot();
    expect(machine.kasan.shadowOf(0xffff888000001234n)).toBeUndefined();
    expect(machine.consoleLog.join("\n")).not.toContain("KernelAddressSanitizer");
    const on = await boot({ kasan: GENERIC });
    expect(on.consoleLog.join("\n")).toContain("KernelAddressSanitizer initialized");
    for (const mode of ["generic", "sw-tags", "hw-tags"] as const) {
      const off = await boot({ kasan: { mode }, cmdline: "kasan=off" });
      expect(off.consoleLog.join("\n")).not.toContain("KernelAddressSanitizer");
      expect((await off.exec("insmod labcrash; cat /proc/modules")).stdout).toContain("labcrash");
    }
  }, 60_000);
});
