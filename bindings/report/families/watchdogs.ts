/** Watchdogs, the scheduler's checks, NMIs and machine checks: kernel/watchdog.c, hung_task.c, rcu/tree_stall.h. */
import type { Family, Title } from "./family.ts";

const STALL = { alt: ["stall in %s"], type: "HANG", pick: "stall" } as const;
const SLEEP_SKIP = /^__might_|^__schedule|^schedule|^io_schedule|preempt/;
const HARD_LOCKUP: Title = { text: "BUG: hard lockup in %s", ...STALL };

export const WATCHDOGS: Family = {
  opens: [
    [
      /^(?:watchdog: |NMI watchdog: )?BUG: soft lockup - CPU#(\d{1,6}) stuck for (\d{1,10})s! \[(.{1,32}):(\d{1,10})\]$/,
      ([, cpu, seconds, comm = "", pid]) => ({
        kind: "soft-lockup",
        title: { text: "BUG: soft lockup in %s", ...STALL },
        details: { seconds: Number(seconds) },
        cpu: Number(cpu),
        comm,
        pid: Number(pid),
        parts: ["who", "rip", "trace"],
        endsWithTrace: true,
      }),
    ],
    [
      /^(?:NMI )?[Ww]atchdog:? (?:Watchdog )?detected hard LOCKUP on cpu (\d{1,6})/,
      ([, cpu]) => ({
        kind: "hard-lockup",
        title: HARD_LOCKUP,
        cpu: Number(cpu),
        parts: ["who", "rip", "trace"],
        endsWithTrace: true,
      }),
    ],
    [
      /^(?:rcu: )?INFO: (rcu\w{0,20}) (self-)?detected (?:expedited )?stalls? on CPU/,
      ([, flavour = "", self]) => ({
        kind: "rcu-stall",
        title: {
          text: "INFO: rcu detected stall in %s",
          ...STALL,
          skip: /apic_timer_interrupt|rcu/,
        },
        details: { stall: { flavour, self: self !== undefined, cpus: [] } },
        parts: ["who", "trace"],
      }),
    ],
    [
      /^INFO: task (.{1,32}):(\d{1,10}) blocked (?:in I\/O wait )?for more than (\d{1,10}) seconds\.$/,
      ([, comm = "", pid, seconds]) => ({
        kind: "hung-task",
        title: {
          text: "INFO: task hung in %s",
          alt: ["hang in %s"],
          type: "HANG",
          from: ["trace"],
          pick: "hang",
        },
        details: { seconds: Number(seconds) },
        comm,
        pid: Number(pid),
        parts: ["trace"],
        endsWithTrace: true,
      }),
    ],
    [
      /^BUG: scheduling while atomic: (.{1,32})\/(\d{1,10})\/0x[0-9a-f]{1,8}$/,
      ([, comm = "", pid]) => ({
        kind: "atomic-sleep",
        title: {
          text: "BUG: scheduling while atomic in %s",
          type: "ATOMIC_SLEEP",
          from: ["trace"],
          skip: SLEEP_SKIP,
        },
        comm,
        pid: Number(pid),
        parts: ["who", "trace"],
        endsWithTrace: true,
      }),
    ],
    [
      /^BUG: sleeping function called from invalid context at (\S{1,400}):(\d{1,7})$/,
      ([, file = "", line]) => ({
        kind: "atomic-sleep",
        title: {
          text: "BUG: sleeping function called from invalid context in %s",
          type: "ATOMIC_SLEEP",
          from: ["trace"],
          skip: SLEEP_SKIP,
        },
        source: { file, line: Number(line) },
        parts: ["who", "trace"],
        endsWithTrace: true,
      }),
    ],
    [
      /^BUG: (spinlock (?:lockup suspected|already unlocked|recursion|bad magic|wrong owner|wrong CPU)|workqueue lockup|using \w{1,40}\(\) in preemptible)/,
      ([, what = ""]) => ({
        kind: "bug",
        title: {
          text: what.startsWith("using")
            ? `BUG: ${what} code in %s`
            : what === "workqueue lockup"
              ? `BUG: ${what}`
              : `BUG: ${what} in %s`,
          type: what.startsWith("spinlock") ? "LOCKDEP" : "BUG",
          from: ["trace"],
          skip: /spin_|preempt/,
        },
        parts: what === "workqueue lockup" ? [] : ["who", "trace"],
        endsWithTrace: true,
      }),
    ],
    [
      /^Uhhuh\. NMI received for unknown reason [0-9a-f]{1,4} on CPU (\d{1,6})\.$/,
      ([, cpu]) => ({
        kind: "nmi",
        title: { text: "NMI received for unknown reason", type: "UNKNOWN" },
        cpu: Number(cpu),
        single: true,
      }),
    ],
    [
      /^NMI: (PCI system error|IOCK error)\b.{0,60} for reason [0-9a-f]{1,4} on CPU (\d{1,6})\.$/,
      ([, what, cpu]) => ({
        kind: "nmi",
        title: { text: `NMI: ${what}`, type: "UNKNOWN" },
        cpu: Number(cpu),
        endsWithTrace: true,
      }),
    ],
    [
      /^(?:mce: )?\[Hardware Error\]: CPU (\d{1,6}): Machine Check/,
      ([, cpu]) => ({
        kind: "mce",
        title: { text: "Machine check", type: "UNKNOWN" },
        cpu: Number(cpu),
      }),
    ],
  ],
  reads: [
    [
      /^rcu: \t(\d{1,6})-\S{1,8} \(/,
      ([, cpu], { details: { stall } }) => {
        if (stall !== undefined && stall.cpus.length < 1024) stall.cpus.push(Number(cpu));
      },
    ],
    [/^\t\((?:t=\d{1,20} jiffies|detected by \d{1,6}, )/, () => undefined],
    [/^(?:mce: )?\[Hardware Error\]: /, () => undefined],
    [
      /^in_atomic\(\): \d{1,3}, irqs_disabled\(\): \d, (?:non_block: \d{1,10}, )?pid: (\d{1,10}), name: (.{1,32})$/,
      ([, pid, comm], reading) => {
        reading.pid = Number(pid);
        reading.comm = comm;
      },
    ],
    [
      /^(?:preempt_count: |RCU nest depth: |Preemption disabled at:| {6}(?:Not t|T)ainted|"echo 0 > )/,
      () => undefined,
    ],
  ],
};
