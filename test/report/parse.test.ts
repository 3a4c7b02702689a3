/** The parser against logs of real kernels, and against anything at all. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type CrashKind,
  type CrashReport,
  parseReports,
  parseTaint,
  taintOfNumber,
} from "../../bindings/report/index.ts";

function log(name: string): string {
  return readFileSync(
    new URL(
      `../data/linux-logs/${name.startsWith("kernelA") ? "kasan" : "oops"}/${name}.txt`,
      import.meta.url,
    ),
    "utf8",
  );
}

describe("an oops of a stock kernel", () => {
  const [report] = parseReports(log("debian-process-null_write"));

  test("what, where, who", () => {
    expect(report?.kind).toBe("oops");
    expect(report?.title).toBe("BUG: unable to handle kernel NULL pointer dereference in lab_null_write");
    expect(report?.rip).toEqual({
      selector: 0x10,
      symbol: "lab_null_write",
      offset: 0xc,
      size: 0x20,
      module: "labcrash",
    });
    expect([report?.cpu, report?.pid, report?.comm, report?.release]).toEqual([
      0,
      94,
      "sh",
      "6.1.0-56-amd64",
    ]);
    expect(report?.number).toBe(1);
    expect(report?.options).toEqual(["PREEMPT", "SMP", "NOPTI"]);
    expect(report?.time).toBe(2.840243);
  });

  test("fault, code and registers", () => {
    expect(report?.fault).toEqual({
      address: 8n,
      access: "write",
      mode: "kernel",
      errorCode: 2,
      reason: "not-present page",
    });
    expect(report?.code?.bytes[report.code.at]).toBe(0x48);
    expect(report?.registers["cr2"]).toBe(8n);
    expect(report?.registers["r15"]).toBe(0xffffc900003e3d08n);
    expect(report?.registers["rsp"]).toBe(0xffffc900003e3bb0n);
    expect(report?.user?.rip.address).toBe(0x47b7a0n);
    expect(report?.user?.registers["orig_rax"]).toBe(1n);
  });

  test("trace with reliable and doubtful frames, taint, modules", () => {
    const reliable = report?.trace.filter((frame) => frame.reliable).map((frame) => frame.symbol);
    expect(reliable).toEqual([
      "lab_do.constprop.0",
      "lab_write",
      "full_proxy_write",
      "vfs_write",
      "ksys_write",
      "do_syscall_64",
      "entry_SYSCALL_64_after_hwframe",
    ]);
    expect(report?.taint.map((flag) => flag.letter)).toEqual(["O", "E"]);
    expect(report?.modules).toEqual([{ name: "labcrash", flags: "OE" }]);
    expect(report?.problems).toEqual([]);
  });
});

describe("other reports", () => {
  test.each([
    ["debian-hardirq-bug", ["kernel BUG in lab_bug", "kernel panic: Fatal exception in interrupt"]],
    [
      "debian-process-three-oopses",
      [
        "BUG: unable to handle kernel NULL pointer dereference in lab_null_read",
        "BUG: unable to handle kernel NULL pointer dereference in lab_null_write",
        "kernel BUG in lab_bug",
      ],
    ],
    ["debian-process-warn_on", ["WARNING in lab_warn_on"]],
    [
      "kernelB-process-null_write-oops_panic",
      [
        "BUG: unable to handle kernel NULL pointer dereference in lab_null_write",
        "kernel panic: Fatal exception",
      ],
    ],
    ["kernelB-sysrq-c-panic_5", ["kernel panic: sysrq triggered crash"]],
    ["debian-process-hlt_gp", ["general protection fault in lab_hlt_gp"]],
    ["kernelA-lkdtm-READ_AFTER_FREE", ["KASAN: use-after-free Read in lkdtm_READ_AFTER_FREE"]],
    [
      "kernelB-softlockup-panic",
      ["BUG: soft lockup in full_proxy_write", "kernel panic: softlockup: hung tasks"],
    ],
  ])("%s", (name, titles) => {
    expect(parseReports(log(name)).map((report) => report.title)).toEqual(titles);
  });

  test("frames of an interrupt are told from those of the task", () => {
    const contexts = new Set(parseReports(log("debian-hardirq-bug"))[0]?.trace.map((frame) => frame.context));
    expect([...contexts].sort()).toEqual(["irq", "task"]);
  });

  test("the wording of 4.19 is read too", () => {
    const [report] = parseReports(
      "BUG: unable to handle kernel NULL pointer dereference at 0000000000000008\nOops: 0002 [#1] SMP NOPTI\n",
    );
    expect(report?.title).toBe("BUG: unable to handle kernel NULL pointer dereference in corrupted");
    expect(report?.fault).toEqual({ access: "write", mode: "kernel", address: 8n, errorCode: 2 });
  });
});

/** The messages of a log, without stamps. */
function messages(name: string): string[] {
  return log(name)
    .split("\n")
    .filter((line) => line.startsWith("["))
    .map((line) => line.replace(/^\[ *\d+\.\d+\] /, ""));
}

describe("a log tells the same, whoever kept it", () => {
  const plain = log("debian-process-null_write").split("\n");
  const [expected] = parseReports(plain.join("\n"));
  /** Without what depends on where the log was kept. */
  const essence = (report: CrashReport | undefined): unknown => {
    if (report === undefined) return undefined;
    const { lines: _lines, time: _time, ...rest } = report;
    return rest;
  };
  const kernel = plain.filter((line) => line.startsWith("["));
  const stamp = /^\[ *(\d+)\.(\d+)\] /;

  test.each<[string, (line: string) => string]>([
    ["console", (line) => line],
    ["dmesg -t", (line) => line.replace(stamp, "")],
    ["dmesg --raw and pstore", (line) => `<4>${line}`],
    ["dmesg -x", (line) => `kern  :warn  : ${line}`],
    ["dmesg -T", (line) => line.replace(stamp, "[Wed Nov 25 16:41:11 2026] ")],
    ["callers", (line) => line.replace(/\] /, "][   T94] ")],
    ["/dev/kmsg, extended netconsole", (line) => line.replace(stamp, "4,1234,$1$2,-;")],
    ["journalctl", (line) => `Nov 25 16:41:11 host kernel: ${line.replace(stamp, "")}`],
    ["syslog with stamps", (line) => `Nov  5 16:41:11 my-host.lan kernel: ${line}`],
    ["journalctl -o short-iso", (line) => `2026-11-25T16:41:11+0000 host kernel: ${line.replace(stamp, "")}`],
    ["a serial line with carriage returns", (line) => `${line}\r`],
    ["a serial line with NUL bytes", (line) => `\u0000${line}\u0000`],
    ["a terminal's colours", (line) => `\u001b[33m${line}\u001b[0m`],
  ])("%s", (_name, change) => {
    const reports = parseReports(kernel.map(change).join("\n"));
    expect(reports.map(essence)).toEqual([essence(expected)]);
  });

  test("a panic out of ramoops", () => {
    expect(parseReports(log("kernelB-pstore-panic")).map(({ title }) => title)).toEqual(
      Array(3).fill("kernel panic: dumptest"),
    );
  });
});

describe("what happens to logs", () => {
  const oops = log("debian-process-null_write").split("\n");
  const at = (text: string): number => oops.findIndex((line) => line.includes(text));

  test("two CPUs at once, told apart by their callers", () => {
    const bodies = ["debian-process-null_write", "debian-process-div0"].map((name, cpu) =>
      messages(name).map((line) => `[    1.000000][    C${cpu}] ${line}`),
    );
    const [left = [], right = []] = bodies;
    const mixed = Array.from({ length: Math.max(left.length, right.length) }, (_, index) => [
      left[index] ?? [],
      right[index] ?? [],
    ]).flat(2);
    const reports = parseReports(mixed.join("\n"));
    expect(reports.map(({ title, confidence }) => [title, confidence])).toEqual([
      ["BUG: unable to handle kernel NULL pointer dereference in lab_null_write", 1],
      ["divide error in lab_div0", 1],
    ]);
    expect(reports.map(({ pid }) => pid)).toEqual([94, 94]);
  });

  test("a log that ends within a report: a problem and less confidence, no exception", () => {
    const [report] = parseReports(oops.slice(0, at("Call Trace:")).join("\n"));
    expect(report?.title).toBe("BUG: unable to handle kernel NULL pointer dereference in lab_null_write");
    expect(report?.problems.map(({ message }) => message)).toEqual([
      "expected frames behind Call Trace: in the report, found none",
      "expected its end in the report, found none",
      "the log ends within the report",
    ]);
    expect(report?.corrupted).toBe(true);
    expect(report?.confidence).toBeLessThan(0.7);
  });

  test("a torn Code: line is a problem", () => {
    const line = at("Code: ");
    const torn = oops.with(line, (oops[line] ?? "").replace(/<48>.*/, "<4 8b"));
    const [report] = parseReports(torn.join("\n"));
    expect(report?.problems).toEqual([
      { line: line + 1, message: "expected hexadecimal bytes behind Code:" },
    ]);
    expect(report?.code).toBeUndefined();
  });

  test("messages of others within a report do not disturb it", () => {
    const noisy = oops.flatMap((line, index) =>
      index % 3 === 0 ? [line, "[    2.840243] usb 1-1: new high-speed USB device number 2"] : [line],
    );
    const [report, ...more] = parseReports(noisy.slice(0, at("end trace") * 2).join("\n"));
    expect(more).toEqual([]);
    expect(report?.confidence).toBe(1);
    expect(report?.registers["r15"]).toBe(0xffffc900003e3d08n);
  });

  test("a new boot ends what the old kernel had begun", () => {
    const cut = oops.slice(0, at("RSP: "));
    const boot = ["[    0.000000] Linux version 6.1.0", "[    0.100000] RIP: 0010:somewhere_else+0x0/0x10"];
    const reports = parseReports([...cut, ...boot].join("\n"));
    expect(reports).toHaveLength(1);
    expect(reports[0]?.rip?.symbol).toBe("lab_null_write");
  });

  test("boot messages that only look like it are no reports", () => {
    const boot = `
[    0.000000] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on
[    0.000000] ACPI BIOS Error (bug): Could not resolve symbol [\\_SB.PCI0], AE_NOT_FOUND (20220331/psargs-330)
[    0.000000] NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.
[    0.000000] rcu: INFO: Stall ended before state dump start
[    0.000000] INFO: NMI handler (perf_event_nmi_handler) took too long to run: 1.234 msecs
[    0.000000] mce: CPU0: Thermal monitoring enabled (TM1)
[    0.000000] EXT4-fs error (device sda1): ext4_find_entry:1463: inode #2: comm ls: reading directory lblock 0
[    0.000000] Booting paravirtualized kernel on bare hardware, panic=5 oops=panic
`;
    expect(parseReports(boot)).toEqual([]);
  });
});

/** Kinds of which there is no reference log; the words are those of Linux 6.1. */
describe("kinds that only real hardware and other options show", () => {
  const who = `CPU: 1 PID: 7 Comm: worker Not tainted 6.1.0 #1
Hardware name: A B/C, BIOS 1 01/01/2024`;
  const trace = `Call Trace:
 <TASK>
 dump_stack_lvl+0x10/0x20
 guilty_function+0x10/0x20
 ksys_read+0x1/0x10
 do_syscall_64+0x1/0x10
 </TASK>`;

  test.each<[CrashKind, string, string]>([
    [
      "hard-lockup",
      "BUG: hard lockup in ksys_read",
      `NMI watchdog: Watchdog detected hard LOCKUP on cpu 3\nModules linked in:\n${who}\nRIP: 0010:spinning+0x1/0x10\n${trace}`,
    ],
    [
      "bad-page",
      "BUG: Bad page state",
      `BUG: Bad page state in process worker  pfn:12345\npage:0000000012345678 refcount:-1 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x12345\n${who}\n${trace}`,
    ],
    [
      "slub",
      "BUG: kmalloc-64: Left Redzone overwritten",
      `=============================================================================\nBUG kmalloc-64 (Not tainted): Left Redzone overwritten\n-----------------------------------------------------------------------------\n\n${who}\n${trace}`,
    ],
    [
      "oom",
      "out of memory",
      `worker invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n${who}\n${trace}\nMem-Info:\nOut of memory: Killed process 42 (hog) total-vm:100kB, anon-rss:1kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:40kB oom_score_adj:0`,
    ],
    [
      "allocation-failure",
      "page allocation failure in guilty_function",
      `worker: page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL|__GFP_COMP), nodemask=(null)\n${who}\n${trace}`,
    ],
    [
      "lockdep",
      "possible deadlock in guilty_function",
      `======================================================\nWARNING: possible circular locking dependency detected\n6.1.0 #1 Not tainted\n${who}\n${trace}`,
    ],
    [
      "kcsan",
      "KCSAN: data-race in reader / writer",
      `BUG: KCSAN: data-race in reader / writer\n${who}\n==================================================================`,
    ],
    [
      "kmsan",
      "KMSAN: uninit-value in reads_it",
      `BUG: KMSAN: uninit-value in reads_it+0x1/0x10\n${who}\n==================================================================`,
    ],
    [
      "memory-leak",
      "memory leak in guilty_function",
      `BUG: memory leak\nunreferenced object 0xffff888004000000 (size 64):\n  backtrace:\n    [<ffffffff81234567>] kmalloc_trace+0x1/0x10\n    [<ffffffff81234568>] guilty_function+0x1/0x10`,
    ],
    ["nmi", "NMI received for unknown reason", "Uhhuh. NMI received for unknown reason 30 on CPU 0."],
    [
      "mce",
      "Machine check",
      "mce: [Hardware Error]: CPU 0: Machine Check Exception: 5 Bank 4: be00000000800400",
    ],
    [
      "oops",
      "PANIC: double fault in deep",
      `traps: PANIC: double fault, error_code: 0x0\ndouble fault: 0000 [#1] PREEMPT SMP\n${who}\nRIP: 0010:deep+0x1/0x10\n${trace}`,
    ],
    [
      "bug",
      "BUG: spinlock bad magic in guilty_function",
      `BUG: spinlock bad magic on CPU#1, worker/7\n${who}\n${trace}`,
    ],
    [
      "warning",
      "WARNING in refusing",
      `WARNING: CPU: 1 PID: 7 at kernel/x.c:10 refusing+0x1/0x10\n${who}\nRIP: 0010:refusing+0x1/0x10\n${trace}\n---[ end trace 0000000000000000 ]---`,
    ],
  ])("%s: %s", (kind, title, text) => {
    const reports = parseReports(text);
    expect(reports.map((report) => [report.kind, report.title])).toEqual([[kind, title]]);
  });

  test("the CPU line and taint of 6.12", () => {
    const [report] = parseReports(
      "BUG: kernel NULL pointer dereference, address: 0000000000000008\nCPU: 3 UID: 1000 PID: 12 Comm: a b Tainted: G        W  O       6.12.0 #1\nTainted: [W]=WARN, [O]=OOT_MODULE\n",
    );
    expect([report?.cpu, report?.pid, report?.comm, report?.release]).toEqual([3, 12, "a b", "6.12.0"]);
    expect(report?.taint.map(({ letter }) => letter)).toEqual(["W", "O"]);
  });
});

/** The member of the union that has the kind, among others or alone. */
type Of<Kind extends CrashKind> = CrashReport extends infer Each
  ? Each extends { kind: infer Own }
    ? Kind extends Own
      ? Each
      : never
    : never
  : never;

describe("details of a kind", () => {
  function only<Kind extends CrashKind>(name: string, kind: Kind): Of<Kind> {
    const report = parseReports(log(name)).find((each) => each.kind === kind);
    if (report === undefined) throw new Error(`no ${kind} in ${name}`);
    return report as Of<Kind>;
  }

  test("KASAN: access, object, who allocated and freed it, shadow", () => {
    const { kasan } = only("kernelA-lkdtm-READ_AFTER_FREE", "kasan");
    expect(kasan).toMatchObject({ bug: "use-after-free", access: "read", size: 4n });
    expect(kasan.object).toMatchObject({ cache: "kmalloc-1k", size: 1024 });
    expect(kasan.allocated?.frames.map(({ symbol }) => symbol)).toContain("__kasan_kmalloc");
    expect(kasan.freed?.frames.map(({ symbol }) => symbol)).toContain("__kasan_slab_free");
    expect(kasan.shadow.map(({ marked }) => marked)).toEqual([false, false, true, false, false]);
    expect(kasan.shadow[2]?.bytes).toHaveLength(16);
  });

  test("soft lockup, hung task, RCU stall", () => {
    expect(only("kernelB-softlockup-panic", "soft-lockup").seconds).toBe(26);
    expect(only("kernelB-hung-mutex", "hung-task")).toMatchObject({ seconds: 10, comm: "sh", pid: 39 });
    expect(only("kernelB-rcu-stall", "rcu-stall").stall).toEqual({
      flavour: "rcu_preempt",
      self: true,
      cpus: [0],
    });
  });

  test("the backtrace of the other CPU is a stall's trace", () => {
    const stall = only("kernelB-hardlockup-lkdtm", "rcu-stall");
    expect(stall.rip?.symbol).toBe("lkdtm_HARDLOCKUP");
    expect(stall.stall).toEqual({ flavour: "rcu_preempt", self: false, cpus: [1] });
  });

  test("WARN's message, panic's message, UBSAN's finding, the work queue", () => {
    expect(only("kernelB-lkdtm-CORRUPT_LIST_DEL", "warning").message).toMatch(/^list_del corruption/);
    expect(only("kernelB-sysrq-c-panic_5", "panic").message).toBe("sysrq triggered crash");
    expect(only("kernelB-lkdtm-ARRAY_BOUNDS", "ubsan").ubsan).toEqual({
      check: "array-index-out-of-bounds",
      finding: "index 8 is out of range for type 'char [8]'",
    });
    expect(only("kernelA-workqueue-null_read", "kasan").workqueue).toBe("events lab_workfn");
  });

  test("a fault in data or on the stack leaves doubtful frames: corrupted, with a guess among the other titles", () => {
    const report = only("debian-process-nx_exec", "oops");
    expect(report).toMatchObject({
      title: "BUG: unable to handle kernel paging request in corrupted",
      corrupted: true,
      altTitles: ["BUG: unable to handle kernel paging request in lab_nx_exec", "bad-access in corrupted"],
    });
  });
});

test("taint letters and numbers agree", () => {
  expect(parseTaint("G      D    OE").map((flag) => flag.bit)).toEqual([7, 12, 13]);
  expect(taintOfNumber(12416).map((flag) => flag.letter)).toEqual(["D", "O", "E"]);
});

describe("the parser never throws", () => {
  const real = log("debian-process-null_write").split("\n");

  test("on lines of a real log in any order, cut anywhere", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...real), fc.nat(120)), { maxLength: 60 }), (lines) => {
        parseReports(lines.map(([line, length]) => line.slice(0, length)).join("\n"));
      }),
      { numRuns: 300, seed: 3 },
    );
  });

  test("on arbitrary text", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 400 }), (text) => void parseReports(text)),
      { numRuns: 500, seed: 4 },
    );
  });
});
