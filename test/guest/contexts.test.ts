/** Reports from every context, on one CPU and on several: each in Linux's grammar, with its stacks in order. */
import { beforeAll, describe, expect, it } from "vitest";
import type { Machine } from "../../bindings/index.ts";
import { checkReport } from "../../bindings/report/index.ts";
import { boot } from "./machines.ts";

const TRIGGER = "/sys/kernel/debug/labcrash/trigger";
let one: Machine;
let two: Machine;

beforeAll(async () => {
  one = await boot({ cmdline: "rcupdate.rcu_cpu_stall_suppress=1" });
  await one.exec("insmod labcrash");
  two = await boot({ cpus: 2, cmdline: "rcupdate.rcu_cpu_stall_suppress=1" });
  await two.exec("insmod labcrash");
});

/** What the console says while a command runs, and for `budget` nanoseconds at most. */
async function said(ready: Machine, command: string, budget = 200_000_000): Promise<string[]> {
  const machine = await ready.fork();
  const from = machine.consoleLog.length;
  await machine.write(`${command}\n`);
  await machine.run({ budget });
  return machine.consoleLog.slice(from).filter((line) => /^(# )?\[ *\d+\.\d+\] /.test(line));
}

/** Names of the stack sections and of the sure frames, in order. */
function trace(log: readonly string[]): string {
  const start = log.findIndex((line) => line.endsWith("Call Trace:"));
  return log
    .slice(start)
    .flatMap((line) => /\] {2}(<\/?[#\w]+>|(?!\? )[\w.]+(?=\+0x))/.exec(line)?.[1] ?? [])
    .join(" ");
}

const IDLE = "<TASK> asm_sysvec_apic_timer_interrupt default_idle_call do_idle cpu_startup_entry";
const TICK =
  "__hrtimer_run_queues hrtimer_interrupt __sysvec_apic_timer_interrupt sysvec_apic_timer_interrupt </IRQ>";

describe("contexts of labcrash", () => {
  it.each([
    ["h", "warn", `<IRQ> lab_hrtimer ${TICK} ${IDLE}`],
    ["h", "bug", `<IRQ> lab_hrtimer ${TICK} ${IDLE}`],
    ["h", "null_read", `<IRQ> lab_hrtimer ${TICK} ${IDLE}`],
    [
      "t",
      "null_read",
      `<IRQ> call_timer_fn __run_timers run_timer_softirq handle_softirqs __irq_exit_rcu sysvec_apic_timer_interrupt </IRQ> ${IDLE}`,
    ],
    ["w", "null_read", "<TASK> process_one_work worker_thread kthread ret_from_fork </TASK>"],
    ["k", "null_read", "<TASK> lab_thread kthread ret_from_fork </TASK>"],
    ["k", "bug", "<TASK> lab_thread kthread ret_from_fork </TASK>"],
  ])("%s %s", async (context, kind, expected) => {
    const log = await said(one, `echo ${context} ${kind} > ${TRIGGER}`);
    expect(checkReport(log)).toEqual([]);
    expect(trace(log)).toContain(expected);
    const last = log.at(-1) ?? "";
    if ("ht".includes(context) && kind !== "warn") {
      expect(last).toMatch(/---\[ end Kernel panic - not syncing: Fatal exception in interrupt \]---$/);
    } else {
      expect(log.join("\n")).not.toContain("Kernel panic");
    }
    if (context === "w") expect(log.join("\n")).toMatch(/Workqueue: events lab_work \[labcrash\]$/m);
  });

  it("an interrupt that another CPU sent", async () => {
    const log = await said(two, `echo i null_read > ${TRIGGER}`);
    expect(checkReport(log)).toEqual([]);
    expect(trace(log)).toContain(
      "__flush_smp_call_function_queue generic_smp_call_function_single_interrupt __sysvec_call_function_single sysvec_call_function_single </IRQ> <TASK> asm_sysvec_call_function_single",
    );
    expect(log.at(-1)).toMatch(/Fatal exception in interrupt \]---$/);
  });

  it("sleeping where it must not be", async () => {
    const might = await said(one, `echo p might_sleep > ${TRIGGER}`);
    expect(checkReport(might)).toEqual([]);
    expect(might.map((line) => line.replace(/^.*?\] /, "")).slice(0, 4)).toEqual([
      expect.stringMatching(
        /^BUG: sleeping function called from invalid context at modules\/labcrash\/kinds\.c:\d+$/,
      ),
      expect.stringMatching(/^in_atomic\(\): 1, irqs_disabled\(\): 0, non_block: 0, pid: \d+, name: sh$/),
      "preempt_count: 1, expected: 0",
      "RCU nest depth: 0, expected: 0",
    ]);
    const atomic = await said(one, `echo p atomic_sleep > ${TRIGGER}`);
    expect(checkReport(atomic)).toEqual([]);
    expect(atomic[0]).toMatch(/BUG: scheduling while atomic: sh\/\d+\/0x00000002$/);
  });
});

describe("watchdogs", () => {
  it("soft lockup, with the other CPUs' backtraces, and the panic", async () => {
    const machine = await two.fork();
    await machine.exec(
      "cd /proc/sys/kernel; echo 1 > watchdog_thresh; echo 1 > softlockup_all_cpu_backtrace; echo 1 > softlockup_panic",
    );
    const log = await said(machine, `echo p halt_loop > ${TRIGGER}`, 6e9);
    expect(checkReport(log)).toEqual([]);
    const text = log.join("\n");
    expect(text).toMatch(/watchdog: BUG: soft lockup - CPU#\d stuck for [34]s! \[sh:\d+\]/);
    expect(text).toMatch(/Sending NMI from CPU \d to CPUs \d:\n.*NMI backtrace for cpu \d\n/);
    expect(text).toMatch(/Kernel panic - not syncing: softlockup: hung tasks\n.*OEL/);
    expect(text).toContain("watchdog_timer_fn+0x");
  });

  it("hard lockup, by NMI from the 8254", async () => {
    const machine = await one.fork();
    await machine.exec(
      "cd /proc/sys/kernel; echo 1 > watchdog_thresh; echo 1 > nmi_watchdog; echo 1 > hardlockup_panic",
    );
    const log = await said(machine, `echo p irqoff_loop > ${TRIGGER}`, 3e9);
    expect(checkReport(log)).toEqual([]);
    const text = log.join("\n");
    expect(text).toMatch(/NMI watchdog: Watchdog detected hard LOCKUP on cpu 0$/m);
    expect(text).toContain("Kernel panic - not syncing: Hard LOCKUP");
    expect(trace(log.slice(log.findIndex((line) => line.includes("Kernel panic"))))).toMatch(
      /^<NMI> dump_stack_lvl panic nmi_panic watchdog_overflow_callback .* exc_nmi asm_exc_nmi <\/NMI> <TASK> /,
    );
  });

  it("hung tasks", async () => {
    const machine = await one.fork();
    await machine.exec("echo 2 > /proc/sys/kernel/hung_task_timeout_secs");
    const log = await said(machine, `sh -c 'echo p compl_hang > ${TRIGGER}' &`, 5.5e9);
    expect(checkReport(log)).toEqual([]);
    expect(log.slice(0, 4).map((line) => line.replace(/^.*?\] /, ""))).toEqual([
      expect.stringMatching(/^INFO: task sh:\d+ blocked for more than [2-4] seconds\.$/),
      "      Tainted: G           OE      5.15.0 #1",
      '"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.',
      expect.stringMatching(/^task:sh {14}state:D stack:0 {5}pid:\d+ +ppid:\d+ +flags:0x[0-9a-f]{8}$/),
    ]);
    expect(trace(log)).toMatch(/^<TASK> __schedule schedule .*lab_write full_proxy_write vfs_write/);
  });

  it("a CPU that holds up a grace period", async () => {
    const machine = await boot({ cpus: 2, cmdline: "rcupdate.rcu_cpu_stall_timeout=3" });
    await machine.exec("insmod labcrash");
    const log = await said(machine, `echo p halt_loop > ${TRIGGER}`, 8e9);
    expect(checkReport(log)).toEqual([]);
    expect(log.join("\n")).toMatch(
      /rcu: INFO: rcu_sched self-detected stall on CPU\n.*rcu: \t\d-\.{4}: \(\d+ ticks this GP\) idle=[0-9a-f]{4}\/1\/0x4000000000000000 softirq=\d+\/\d+ fqs=\d+\n.*\t\(t=300\d jiffies g=-?\d+ q=\d+ ncpus=2\)\n/,
    );
  });
});

describe("sysrq", () => {
  const sysrq = (key: string): Promise<string[]> => said(two, `echo ${key} > /proc/sysrq-trigger`);

  it("h lists the keys, w and t show tasks, l every CPU", async () => {
    expect((await sysrq("h")).join("\n")).toMatch(/sysrq: HELP : loglevel\(0-9\) reboot\(b\) crash\(c\) /);
    expect((await sysrq("w")).join("\n")).toMatch(/sysrq: Show Blocked State$/);
    const all = (await sysrq("t")).join("\n");
    expect(all).toMatch(/sysrq: Show State$/m);
    for (const name of ["init", "kthreadd", "kworker/0:0", "migration/1", "khungtaskd", "sh"]) {
      expect(all).toContain(`task:${name} `);
    }
    expect((await sysrq("l")).join("\n")).toMatch(
      /NMI backtrace for cpu 0[\s\S]*NMI backtrace for cpu 1|NMI backtrace for cpu 1[\s\S]*NMI backtrace for cpu 0/,
    );
  });

  it("c panics, b restarts", async () => {
    const log = await sysrq("c");
    expect(checkReport(log)).toEqual([]);
    expect(log[1]).toMatch(/Kernel panic - not syncing: sysrq triggered crash$/);
    expect(trace(log)).toMatch(/panic sysrq_handle_crash __handle_sysrq write_sysrq_trigger/);
    const machine = await two.fork();
    await machine.write("echo b > /proc/sysrq-trigger\n");
    expect((await machine.run({ budget: 100_000_000 })).kind).toBe("reset");
  });
});

describe("several CPUs", () => {
  it("come up as many as there are, or as few as are wanted", async () => {
    for (const [cmdline, count] of [
      ["", 4],
      ["nosmp", 1],
      ["maxcpus=2", 2],
      ["nr_cpus=3", 3],
    ] as const) {
      const machine = await boot({ cpus: 4, cmdline });
      expect((await machine.exec("grep -c processor /proc/cpuinfo")).stdout).toBe(`${count}\n`);
    }
  });

  it("run programs at the same time, and interrupt each other", async () => {
    const machine = await boot({ cpus: 4 });
    await machine.exec("for i in 1 2 3 4; do seq 2000 > /tmp/$i & done; wait");
    expect((await machine.exec("cat /tmp/1 /tmp/2 /tmp/3 /tmp/4 | wc")).stdout).toMatch(/^ *8000 /);
    const { stdout } = await machine.exec("grep RES /proc/interrupts");
    const counts = [...stdout.matchAll(/\d+/g)].map(Number);
    expect(counts.filter((count) => count > 0).length).toBeGreaterThan(1);
  });
});

describe("limits", () => {
  it("oops_limit and warn_limit, and their counts", async () => {
    const machine = await one.fork();
    await machine.exec(`sh -c 'echo p null_read > ${TRIGGER}'; echo p warn > ${TRIGGER}`);
    expect((await machine.exec("cat /sys/kernel/oops_count /sys/kernel/warn_count")).stdout).toBe("1\n1\n");
    await machine.exec("echo 2 > /proc/sys/kernel/oops_limit; echo 2 > /proc/sys/kernel/warn_limit");
    expect((await said(machine, `echo p warn > ${TRIGGER}`)).join("\n")).toContain(
      "Kernel panic - not syncing: kernel: system warned too often (kernel.warn_limit is 2)",
    );
    expect((await said(machine, `sh -c 'echo p null_read > ${TRIGGER}'`)).join("\n")).toContain(
      "Kernel panic - not syncing: Oopsed too often (kernel.oops_limit is 2)",
    );
  });
});
