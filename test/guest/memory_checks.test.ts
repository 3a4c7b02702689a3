import { describe, expect, it } from "vitest";
import { CrashlabError, type Machine } from "../../bindings/index.ts";
import { boot } from "./machines.ts";

const TRIGGER = "/sys/kernel/debug/labcrash/trigger";

async function said(machine: Machine, commands: readonly string[]): Promise<string> {
  const from = machine.consoleLog.length;
  for (const command of commands) {
    try {
      await machine.exec(command, { budget: 6_000_000_000 });
    } catch (error) {
      if (!(error instanceof CrashlabError)) throw error;
    }
  }
  return machine.consoleLog
    .slice(from)
    .map((line) => line.replace(/^(# )*\[ *\d+\.\d+\] /, ""))
    .join("\n");
}

describe("slub_debug=FZPU", () => {
  it.each([
    [
      "use_after_free",
      "BUG kmalloc-64 (Tainted: G           OE     ): Poison overwritten",
      /^0x([0-9a-f]{16})-0x\1 @offset=\d+\. First byte 0x5a instead of 0x6b$/m,
    ],
    [
      "out_of_bounds",
      "BUG kmalloc-64 (Tainted: G           OE     ): Right Redzone overwritten",
      /^0x([0-9a-f]{16})-0x\1 @offset=\d+\. First byte 0x5a instead of 0xcc$/m,
    ],
    [
      "dblfree",
      "BUG kmalloc-64 (Tainted: G           OE     ): Object already free",
      /^FIX kmalloc-64: Object at 0x[0-9a-f]{16} not freed$/m,
    ],
    [
      "badfree",
      "BUG kmalloc-64 (Tainted: G           OE     ): Invalid object pointer 0x",
      /^FIX kmalloc-64: Object at 0x[0-9a-f]{16} not freed$/m,
    ],
  ])("%s", async (kind, title, detail) => {
    const machine = await boot({ cmdline: "slub_debug=FZPU,kmalloc-64" });
    const log = await said(machine, ["insmod labcrash", `echo p ${kind} > ${TRIGGER}`]);
    expect(log).toContain(`${"=".repeat(77)}\n${title}`);
    expect(log).toContain(`\n${"-".repeat(77)}\n`);
    expect(log).toMatch(detail);
    expect(log).toMatch(
      /^Slab 0x[0-9a-f]{16} objects=\d+ used=\d+ fp=0x[0-9a-f]+ flags=0x[0-9a-f]+\(slab\|/m,
    );
    if (kind !== "badfree") {
      expect(log).toMatch(
        new RegExp(
          `^Allocated in lab_${kind}\\+0x[0-9a-f]+/0x[0-9a-f]+ \\[labcrash\\] age=\\d+ cpu=0 pid=\\d+$`,
          "m",
        ),
      );
      expect(log).toMatch(/^Redzone {2}[0-9a-f]{16}: ((bb|cc) ){8}/m);
      expect(log).toMatch(/^Object {3}[0-9a-f]{16}: ([0-9a-f]{2} ){16} .{16}$/m);
    }
    expect(Number((await machine.exec("cat /proc/sys/kernel/tainted")).stdout) & 32).toBe(32);
  });
});

describe("memory that runs out", () => {
  it("kills the largest program, and tells about it in Linux's words", async () => {
    const machine = await boot({ memory: "64M" });
    const log = await said(machine, ["eatmem 200"]);
    expect(log).toMatch(
      /^eatmem invoked oom-killer: gfp_mask=0x\w+\(GFP_KERNEL\|__GFP_ZERO\), order=0, oom_score_adj=0$/m,
    );
    expect(log).toMatch(/^ out_of_memory\+0x/m);
    expect(log).toMatch(/^Mem-Info:\nactive_anon:\d+ inactive_anon:0 isolated_anon:0$/m);
    expect(log).toMatch(/^Node 0 DMA32: (\d+\*\d+kB (\(M\) )?)+= \d+kB$/m);
    expect(log).toMatch(
      /^\[ {2}pid {2}\] {3}uid {2}tgid total_vm {6}rss pgtables_bytes swapents oom_score_adj name$/m,
    );
    expect(log).toMatch(
      /^Out of memory: Killed process \d+ \(eatmem\) total-vm:\d+kB, anon-rss:\d+kB, .*oom_score_adj:0$/m,
    );
    expect((await machine.exec("echo alive")).stdout).toBe("alive\n");
  });

  it("panics with vm.panic_on_oom", async () => {
    const machine = await boot({ memory: "64M" });
    const log = await said(machine, ["echo 1 > /proc/sys/vm/panic_on_oom", "eatmem 200"]);
    expect(log).toContain("Kernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled");
  });

  it("refuses what no allocation can be", async () => {
    const machine = await boot();
    const log = await said(machine, ["insmod labcrash", `echo p alloc_huge > ${TRIGGER}`]);
    expect(log).toMatch(/^WARNING: CPU: 0 PID: \d+ at mm\/page_alloc\.c:\d+ __alloc_pages\+0x/m);
    expect(log).toMatch(/^ kmalloc_large\+0x/m);
  });

  it("shows /proc/meminfo as programs read it", async () => {
    const machine = await boot();
    expect((await machine.exec("cat /proc/meminfo")).stdout).toMatch(
      /^MemTotal: {9,}\d+ kB\nMemFree: {9,}\d+ kB\nMemAvailable:/,
    );
  });
});

describe("failures on purpose", () => {
  it("failslab", async () => {
    const machine = await boot();
    const dir = "/sys/kernel/debug/failslab";
    const log = await said(machine, [
      `echo N > ${dir}/ignore-gfp-wait; echo 1 > ${dir}/times; echo 100 > ${dir}/probability; echo hello > /dev/null; echo 0 > ${dir}/probability`,
    ]);
    expect(log).toMatch(
      /^FAULT_INJECTION: forcing a failure\.\nname failslab, interval 1, probability 100, space 0, times 1$/m,
    );
    expect(log).toMatch(/^ should_failslab\+0x/m);
    expect((await machine.exec(`cat ${dir}/times`)).stdout).toBe("0\n");
  });

  it("fail_page_alloc by boot parameter", async () => {
    const machine = await boot({ cmdline: "fail_page_alloc=1,0,0,1" });
    const dir = "/sys/kernel/debug/fail_page_alloc";
    const log = await said(machine, [
      `echo N > ${dir}/ignore-gfp-wait; echo 0 > ${dir}/min-order; echo 100 > ${dir}/probability; cat /proc/version`,
    ]);
    expect(log).toMatch(/^name fail_page_alloc, interval 1, probability 100, space 0, times 1$/m);
    expect(log).toMatch(/page allocation failure: order:0, mode:0x|should_fail_alloc_page/);
  });
});

describe("page_poison=1", () => {
  it("finds a write to a free page", async () => {
    const machine = await boot({ cmdline: "page_poison=1", memory: "32M" });
    const log = await said(machine, ["echo WRITE_BUDDY_AFTER_FREE > /sys/kernel/debug/provoke-crash/DIRECT"]);
    expect(log).toMatch(/^pagealloc: memory corruption\n[(_a-z)0-9]+: 78 78 /m);
    expect(log).toContain("page dumped because: pagealloc: corrupted page details");
  });
});
