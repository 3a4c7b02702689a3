/** The tag modes: Linux's suite in each, random work, and the asynchronous modes. */
import { describe, expect, it } from "vitest";
import { boot, type CrashReport, faults, type KasanOptions } from "../../bindings/index.ts";
import { checkReport } from "../../bindings/report/index.ts";
import { bootMode } from "./modes.ts";
import { kasanReports } from "./reports.ts";
import { badAccesses, everyday, neighbours } from "./stress.ts";
import { runSuite } from "./suite.ts";
import { NOT_HARDWARE, ONLY_GENERIC, TAG_CASES } from "./tag_cases.ts";

const HARDWARE: KasanOptions = { mode: "hw-tags" };
const SOFTWARE: KasanOptions = { mode: "sw-tags" };
/** Cases that read byte by byte, each of which is reported: at least as often as it says. */
const AT_LEAST = new Set(["kasan_strings"]);

describe("kasan_test", () => {
  it.each([
    ["hardware", HARDWARE],
    ["software", SOFTWARE],
  ])(
    "reports in each case what Linux's %s tags report, and nothing else",
    async (_name, kasan) => {
      const machine = await boot({ kasan });
      const cases = await runSuite(machine);
      expect(cases.size).toBe(55);
      const isHardware = kasan.mode === "hw-tags";
      for (const [name, { log, result }] of cases) {
        const skipped = ONLY_GENERIC.has(name) || (isHardware && NOT_HARDWARE.has(name));
        expect([name, result]).toEqual([name, skipped ? "skip" : "ok"]);
        const found = kasanReports(log).map(({ kind, access }) => `${kind} ${access}`);
        const expected = skipped ? [] : (TAG_CASES[name] ?? []);
        if (name === "match_all_mem_tag")
          expect(found).toEqual(
            Array.from({ length: isHardware ? 15 : 255 }, () => "slab-out-of-bounds Write"),
          );
        else if (AT_LEAST.has(name)) expect(new Set(found)).toEqual(new Set(expected));
        else expect([name, found]).toEqual([name, expected]);
      }
      expect(checkReport(machine.consoleLog)).toEqual([]);
      const [uaf] = kasanReports(cases.get("kmalloc_uaf")?.log ?? []);
      expect(uaf?.text).toMatch(
        isHardware ? /^Read at addr f[0-9a-d]ff888/m : /^Read of size 1 at addr [0-9a-f]{2}ff888/m,
      );
      expect(uaf?.text).toMatch(/^Pointer tag: \[[0-9a-f]{2}\], memory tag: \[fe\]$/m);
      expect(uaf?.text).toMatch(
        /^Allocated by task \d+:\n kasan_save_stack\+\S+\n save_stack_info\+\S+\n kasan_save_alloc_info\+\S+\n __kasan_kmalloc\+/m,
      );
      expect(uaf?.text).toMatch(
        /^Freed by task \d+:\n kasan_save_stack\+\S+\n save_stack_info\+\S+\n kasan_save_free_info\+\S+\n __kasan_slab_free\+/m,
      );
    },
    90_000,
  );

  it.each([HARDWARE, SOFTWARE])(
    "passes silently when nobody compares, but for frees ($mode)",
    async (kasan) => {
      const cases = await runSuite(await boot({ kasan: { ...kasan, check: "none" } }));
      // What the allocators and ksize() look at themselves.
      const asked = ["krealloc_uaf", "ksize_uaf", "kmem_cache_double_destroy", "kmalloc_double_kzfree"];
      for (const [name, { log }] of cases) {
        const frees = (TAG_CASES[name] ?? []).filter((what) => what.endsWith(" Free")).length;
        expect([name, kasanReports(log).length]).toEqual([name, frees + (asked.includes(name) ? 1 : 0)]);
      }
    },
    60_000,
  );
});

describe("the tag modes", () => {
  it.each(["hw-tags", "sw-tags", "hw-tags-async"])(
    "have nothing to say about a boot, the user's programs and random work within bounds (%s)",
    async (mode) => {
      const machine = await bootMode(mode, {
        cmdline: "kasan_multi_shot",
        cpus: 2,
        kfence: { sampleInterval: 5 },
      });
      expect(await everyday(machine, 1, 3000)).toEqual([]);
    },
    90_000,
  );

  it.each(["hw-tags", "sw-tags"])(
    "find every one of random bad accesses, with its kind, size, address and object (%s)",
    async (mode) => {
      const machine = await bootMode(mode);
      await machine.exec("insmod kasan_stress");
      const { truth, found, log } = await badAccesses(machine, 7, 200);
      expect(truth.length).toBeGreaterThan(150);
      expect(found).toEqual(truth);
      const { address = 0n } = kasanReports(log).findLast(({ kind }) => kind === "use-after-free") ?? {};
      expect(machine.kasan.shadowOf(address)).toMatchObject({ granule: expect.anything(), value: 0xfe });
      expect(machine.kasan.shadowOf(0xffff888000001234n)).toMatchObject({
        granule: 0xffff888000001230n,
        state: "tag-kernel",
      });
    },
    60_000,
  );

  it.each(["hw-tags", "sw-tags"])(
    "find a neighbour exactly when its tag is another one (%s)",
    async (mode) => {
      const machine = await bootMode(mode);
      await machine.exec("insmod kasan_stress");
      const { truth, found } = await neighbours(machine, 7, 200);
      expect(found).toEqual(truth);
      // 14 or 254 tags.
      expect(truth.length).toBeGreaterThan(150);
      if (mode === "hw-tags") expect(truth.length).toBeLessThan(200);
    },
    60_000,
  );

  it("stop comparing on a processor that has reported, with hardware tags, as on Arm", async () => {
    for (const [mode, reports] of [
      ["hw-tags", 1],
      ["sw-tags", 2],
    ] as const) {
      const machine = await bootMode(mode, { cmdline: "kasan_multi_shot" });
      await machine.exec("insmod labcrash");
      for (let n = 0; n < 2; n++)
        await machine.exec("sh -c 'echo p use_after_free > /sys/kernel/debug/labcrash/trigger'");
      expect([mode, kasanReports(machine.consoleLog).length]).toEqual([mode, reports]);
    }
  }, 60_000);

  it("parse as reports with both tags", async () => {
    const machine = await boot({ kasan: HARDWARE });
    const events: CrashReport[] = [];
    machine.on("report", (report) => events.push(report));
    await machine.exec("insmod kasan_test", { budget: 5e9 });
    expect(events.find(({ title }) => title === "KASAN: use-after-free Read in kmalloc_uaf")).toMatchObject({
      kind: "kasan",
      kasan: { tags: { memory: 0xfe }, object: { cache: "kmalloc-16", size: 16 }, access: "read" },
    });
  }, 60_000);

  it("report what was let through when the kernel is next left (async), or only stores (asymm)", async () => {
    for (const access of ["async", "asymm"] as const) {
      const machine = await boot({ kasan: { mode: "hw-tags", access } });
      expect(machine.consoleLog.join("\n")).toContain(`(hw-tags, mode=${access}, vmalloc=on, stacktrace=on)`);
      const cases = await runSuite(machine);
      for (const [name, { log, result }] of cases) {
        expect([name, result]).toEqual([name, result === "skip" ? "skip" : "ok"]);
        const lines = kasanReports(log).map(({ text }) => text.split("\n").slice(0, 2));
        const kinds = lines.map(([first = "", second = ""]) =>
          first === "BUG: KASAN: invalid-access" && second === "Asynchronous fault: no details available"
            ? "async"
            : second.split(" ")[0],
        );
        if (name === "kmalloc_uaf")
          expect([access, kinds]).toEqual([access, [access === "async" ? "async" : "Read"]]);
        if (name === "kmalloc_large_oob_right") expect(kinds).toEqual(["async"]);
      }
      expect(checkReport(machine.consoleLog)).toEqual([]);
    }
  }, 60_000);

  it("panic with kasan.fault=panic, leave vmalloc alone with kasan.vmalloc=off, and want the right machine", async () => {
    const panics = await boot({ kasan: HARDWARE, cmdline: "kasan.fault=panic" });
    await panics.exec("insmod kasan_test").catch(() => undefined);
    expect(panics.consoleLog.join("\n")).toContain("Kernel panic - not syncing: kasan.fault=panic set ...");
    const off = await runSuite(await boot({ kasan: HARDWARE, cmdline: "kasan.vmalloc=off" }));
    expect(kasanReports(off.get("vmalloc_oob")?.log ?? [])).toEqual([]);
    const without = await boot({ cmdline: "kasan=hw_tags" });
    expect(without.consoleLog.join("\n")).toContain(
      "kasan: this processor does not ignore the top byte of pointers: no tags",
    );
    expect((await without.exec("echo on")).stdout).toBe("on\n");
    for (const kasan of [
      { mode: "sw-tags", check: "compiler" },
      { mode: "sw-tags", access: "async" },
      { mode: "tags" as "sw-tags" },
    ] as const)
      await expect(boot({ kasan })).rejects.toMatchObject({ code: "bad-option" });
  }, 60_000);

  it("survive a crash: an oops, its report, and the kernel's programs after it", async () => {
    const machine = await boot({ kasan: HARDWARE });
    const { report } = await machine.inject(faults.nullDereference());
    expect(report.title).toBe("BUG: unable to handle kernel NULL pointer dereference in my_driver_read");
    expect((await machine.exec("echo alive")).stdout).toBe("alive\n");
  });
});
