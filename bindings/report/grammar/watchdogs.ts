/**
 * What watchdogs and the scheduler find, and the CPU's own complaints: Linux 6.1 kernel/watchdog.c, watchdog_hld.c,
 * kernel/hung_task.c, kernel/rcu/tree_stall.h, kernel/sched/core.c, arch/x86/kernel/nmi.c and cpu/mce/core.c,
 * arch/x86/mm/fault.c (signals of user programs).
 */
import type { Form } from "./form.ts";
import {
  ANY_REGISTERS,
  CODE,
  MODULES,
  NMI_BACKTRACES,
  OWN_BACKTRACE,
  PLACE,
  TAINT,
  TRACE,
  USER_REGISTERS,
  WHO,
  WORK,
} from "./parts.ts";
import { ahead, either, line, literal, optional, type Rule, repeated, sequence } from "./rules.ts";

const SOFT_LOCKUP = sequence(
  line(
    "watchdog: BUG: soft lockup - CPU#N stuck for Ns! [COMM:PID]",
    /^watchdog: BUG: soft lockup - CPU#\d+ stuck for \d+s! \[.{1,15}:\d+\]$/,
  ),
  MODULES,
  WHO,
  ANY_REGISTERS,
  TRACE,
  optional(NMI_BACKTRACES),
);
const HARD_LOCKUP = sequence(
  line(
    "NMI watchdog: Watchdog detected hard LOCKUP on cpu N",
    /^NMI watchdog: Watchdog detected hard LOCKUP on cpu \d+$/,
  ),
  MODULES,
  WHO,
  ANY_REGISTERS,
  TRACE,
  optional(NMI_BACKTRACES),
);

/** sched_show_task(): widths differ between 5.15 and 6.1. */
const TASK_LINE = line(
  "task:COMM            state:D stack:0     pid:39    ppid:38     flags:0x00000002",
  /^task:.{15,16} state:[A-Za-z] ?(?: {2}running task {4})?(?: stack:\d+ {0,4} pid:\d+ {0,4} ppid:\d+ {0,5}| stack: {0,4}\d+ pid: {0,4}\d+ ppid: {0,5}\d+) flags:0x[0-9a-f]{8}$/,
);
/** A task as sysrq and the hung task watchdog show it. */
export const TASK_DUMP: Rule = sequence(TASK_LINE, WORK, TRACE);
const HUNG_TASK = sequence(
  line(
    "INFO: task COMM:PID blocked for more than N seconds.",
    /^INFO: task .{1,15}:\d+ blocked for more than \d+ seconds\.$/,
  ),
  line("      Not tainted RELEASE #1", new RegExp(`^ {6}${TAINT} \\S+ #\\d+\\S*$`)),
  literal('"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.'),
  TASK_DUMP,
  optional(NMI_BACKTRACES),
);

const RCU_CPU = line(
  "rcu: <TAB>N-....: (N ticks this GP) idle=... softirq=N/N fqs=N",
  /^rcu: \t\d+-[.O!]?[.o!]?[.N!]?[.D0-9!]?:? ?\(\d+ (?:ticks this GP|GPs behind)\) idle=[0-9a-f]+\/[0-9a-f]+\/0x[0-9a-f]+ softirq=\d+\/\d+ fqs=\d+(?: \(.*\))?$/,
);
const RCU_TASK = line(
  "rcu: <TAB>Tasks blocked on level-N rcu_node (CPUs N-M): PID",
  /^rcu: \tTasks blocked on level-\d+ rcu_node \(CPUs \d+-\d+\):.*$/,
);
const RCU_STARVED = sequence(
  line(
    "rcu: rcu_preempt kthread starved for N jiffies! ...",
    /^rcu: rcu_\w+ kthread (?:starved|timer wakeup didn't happen) for \d+ jiffies! .*$/,
  ),
  repeated(
    either(
      line("rcu: <TAB>...", /^rcu: \t\S.*$/),
      line(
        "rcu: RCU grace-period kthread stack dump:",
        /^rcu: (?:RCU grace-period kthread stack dump|Stack dump where RCU GP kthread last ran):$/,
      ),
      TASK_DUMP,
      NMI_BACKTRACES,
    ),
  ),
);
/** What follows the CPUs that stall; then how far this CPU got. */
function rcuStacks(own: Rule): Rule {
  return sequence(optional(NMI_BACKTRACES), repeated(RCU_STARVED), repeated(TASK_DUMP), own);
}
const OWN_STATE = either(OWN_BACKTRACE, sequence(WHO, ANY_REGISTERS, TRACE));
const RCU_STALL = either(
  sequence(
    line(
      "rcu: INFO: rcu_preempt self-detected stall on CPU",
      /^rcu: INFO: rcu_\w+ self-detected stall on CPU$/,
    ),
    repeated(RCU_CPU, 1),
    line("<TAB>(t=N jiffies g=N q=N ncpus=N)", /^\t\(t=\d+ jiffies g=-?\d+ q=\d+(?: ncpus=\d+)?\)$/),
    rcuStacks(OWN_STATE),
  ),
  sequence(
    line(
      "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
      /^rcu: INFO: rcu_\w+ detected stalls on CPUs\/tasks:$/,
    ),
    repeated(either(RCU_CPU, RCU_TASK), 1),
    line(
      "<TAB>(detected by N, t=N jiffies, g=N, q=N ncpus=N)",
      /^\t\(detected by \d+, t=\d+ jiffies, g=-?\d+, q=\d+(?: ncpus=\d+)?\)$/,
    ),
    rcuStacks(optional(OWN_STATE)),
  ),
);

const ATOMIC = sequence(
  either(
    sequence(
      line(
        "BUG: scheduling while atomic: COMM/PID/0x00000002",
        /^BUG: scheduling while atomic: .{1,15}\/\d+\/0x[0-9a-f]{8}$/,
      ),
      MODULES,
    ),
    sequence(
      line(
        "BUG: sleeping function called from invalid context at FILE:LINE",
        /^BUG: sleeping function called from invalid context at \S+:\d+$/,
      ),
      line(
        "in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 39, name: sh",
        /^in_atomic\(\): [01], irqs_disabled\(\): [01], non_block: \d+, pid: \d+, name: .{1,15}$/,
      ),
      line("preempt_count: 1, expected: 0", /^preempt_count: [0-9a-f]+, expected: [0-9a-f]+$/),
      optional(line("RCU nest depth: 0, expected: 0", /^RCU nest depth: \d+, expected: \d+$/)),
    ),
  ),
  optional(
    literal("Preemption disabled at:"),
    line("[<ADDRESS>] PLACE", new RegExp(`^\\[<[0-9a-f]{16}>\\] ${PLACE}$`)),
  ),
  WHO,
  TRACE,
);

const UNKNOWN_NMI = sequence(
  line(
    "Uhhuh. NMI received for unknown reason 30 on CPU 0.",
    /^Uhhuh\. NMI received for unknown reason [0-9a-f]{2} on CPU \d+\.$/,
  ),
  optional(literal("Do you have a strange power saving mode enabled?")),
  either(
    literal("Dazed and confused, but trying to continue"),
    ahead(literal("Kernel panic - not syncing: NMI: Not continuing")),
  ),
);
const NMI_ERROR = either(
  line(
    "NMI: PCI system error (SERR) for reason b1 on CPU 0.",
    /^NMI: PCI system error \(SERR\) for reason [0-9a-f]{2} on CPU \d+\.$/,
  ),
  sequence(
    line(
      "NMI: IOCK error (debug interrupt?) for reason 61 on CPU 0.",
      /^NMI: IOCK error \(debug interrupt\?\) for reason [0-9a-f]{2} on CPU \d+\.$/,
    ),
    WHO,
    ANY_REGISTERS,
    TRACE,
  ),
);
/** print_mce() */
const MCE = sequence(
  line(
    "mce: [Hardware Error]: CPU 0: Machine Check Exception: 5 Bank 4: 16 digits",
    /^mce: \[Hardware Error\]: CPU \d+: Machine Check(?: Exception)?: [0-9a-f]+ Bank \d+: [0-9a-f]{16}$/,
  ),
  repeated(
    line(
      "mce: [Hardware Error]: RIP, TSC, PROCESSOR, Run the above through ...",
      /^mce: \[Hardware Error\]: (?:RIP (?:!INEXACT! )?[0-9a-f]{2}:<[0-9a-f]{16}> ?.*|TSC [0-9a-f]+ .*|PROCESSOR \d+:[0-9a-f]+ TIME \d+ SOCKET \d+ APIC [0-9a-f]+ microcode [0-9a-f]+|Run the above through 'mcelog --ascii'|Machine check: .*)$/,
    ),
    1,
  ),
);

/** show_signal_msg(), show_signal(), print_fatal_signal() */
const MAPPING = "(?: in \\S.*\\[[0-9a-f]+\\+[0-9a-f]+\\])?";
const SEGFAULT = sequence(
  line(
    "COMM[PID]: segfault at 0 ip 16 digits sp 16 digits error 4 in FILE[START+SIZE] likely on CPU N (core N, socket N)",
    new RegExp(
      `^.{1,15}\\[\\d+\\]: segfault at [0-9a-f]+ ip [0-9a-f]{16} sp [0-9a-f]{16} error [0-9a-f]+${MAPPING}(?: likely on CPU \\d+ \\(core \\d+, socket \\d+\\))?$`,
    ),
  ),
  CODE,
);
const USER_TRAP = line(
  "traps: COMM[PID] trap NAME ip:ADDRESS sp:ADDRESS error:0 in FILE[START+SIZE]",
  new RegExp(
    `^traps: .{1,15}\\[\\d+\\] (?:trap [\\w ]+|general protection fault) ip:[0-9a-f]+ sp:[0-9a-f]+ error:[0-9a-f]+${MAPPING}$`,
  ),
);
const FATAL_SIGNAL = sequence(
  line("potentially unexpected fatal signal 11.", /^potentially unexpected fatal signal \d+\.$/),
  WHO,
  USER_REGISTERS,
);

const begins = (pattern: RegExp): Rule => ahead(line("", pattern));

export const WATCHDOG_FORMS: readonly Form[] = [
  { kind: "soft-lockup", head: begins(/^watchdog: BUG: soft lockup/), rule: SOFT_LOCKUP },
  { kind: "hard-lockup", head: begins(/detected hard LOCKUP/), rule: HARD_LOCKUP },
  { kind: "hung-task", head: begins(/^INFO: task .* blocked for more than/), rule: HUNG_TASK },
  { kind: "rcu-stall", head: begins(/^rcu: INFO: .*stall/), rule: RCU_STALL },
  {
    kind: "atomic-sleep",
    head: begins(/^BUG: (?:scheduling while atomic|sleeping function called)/),
    rule: ATOMIC,
  },
  { kind: "nmi", head: begins(/^Uhhuh\. NMI/), rule: UNKNOWN_NMI },
  { kind: "nmi", head: begins(/^NMI: (?:PCI|IOCK)/), rule: NMI_ERROR },
  { kind: "mce", head: begins(/^mce: \[Hardware Error\]: CPU /), rule: MCE },
  { kind: "user-fault", head: begins(/^.{1,15}\[\d+\]: segfault at /), rule: SEGFAULT },
  { kind: "user-fault", head: begins(/^traps: .{1,15}\[\d+\] /), rule: USER_TRAP },
  { kind: "user-fault", head: begins(/^potentially unexpected fatal signal /), rule: FATAL_SIGNAL },
];
