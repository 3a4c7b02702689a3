/**
 * What reports are made of: CPU line, registers, call trace, modules, ends. Linux 6.1 on x86-64:
 * lib/dump_stack.c, arch/x86/kernel/dumpstack.c, process_64.c, kernel/panic.c, kernel/module/main.c. Forms that
 * only some configurations print are optional here.
 */
import { either, line, literal, optional, type Rule, repeated, sequence } from "./rules.ts";

const HEX16 = "[0-9a-f]{16}";
/** symbol+0x7/0x10 [module] */
export const PLACE = "[\\w.$]+\\+0x[0-9a-f]+\\/0x[0-9a-f]+(?: \\[\\w+(?: [0-9a-f]{8,40})?\\])?";
/** 19 columns in 6.1, 18 before there was N; a letter or a blank each, G or P in the first. */
export const TAINT =
  "(?:Not tainted|Tainted: [PG][F ][S ][R ][M ][B ][U ][D ][A ][W ][C ][I ][O ][E ][L ][K ][X ][T ][N ]?)";
/** What `%p` prints: a hash, the address itself, or this before there is a key. */
export const POINTER = "(?:[0-9a-f]{16}|\\(____ptrval____\\))";

export const CUT_HERE: Rule = literal("------------[ cut here ]------------");
export const EMPTY: Rule = line("an empty line", /^$/);

export const CPU_LINE: Rule = line(
  "CPU: 1 PID: 39 Comm: sh Not tainted 6.1.0 #1",
  new RegExp(
    `^CPU: (\\d+) PID: (\\d+) Comm: (.{1,15}) (Kdump: loaded )?(${TAINT}) (\\S+) #\\d+\\S*(?: (?: \\S.*)?)?$`,
  ),
  "cpu",
);
/** Left out where the firmware has no DMI table. */
export const HARDWARE: Rule = line(
  "Hardware name: VENDOR PRODUCT, BIOS VERSION MM/DD/YYYY",
  /^Hardware name: \S.*, BIOS .*$/,
);
const WORKQUEUE = line("Workqueue: NAME FUNCTION", /^Workqueue: \S.* [\w.$]+(?: \[\w+\])?(?: \(.*\))?$/);
const STOPPER = line("Stopper: FUNCTION", new RegExp(`^Stopper: ${PLACE} <- ${PLACE}$`));
/** dump_stack_print_info() */
export const WHO: Rule = sequence(CPU_LINE, optional(HARDWARE), optional(WORKQUEUE), optional(STOPPER));
export const WORK: Rule = optional(WORKQUEUE);

const KERNEL_RIP = line(
  "RIP: 0010:FUNCTION+0x7/0x10",
  new RegExp(`^RIP: 0010:(${PLACE}|0x[0-9a-f]+)$`),
  "rip",
);
const ANY_RIP = line(
  "RIP: 0010:FUNCTION+0x7/0x10, or RIP: 0033:0x401000",
  new RegExp(`^RIP: [0-9a-f]{4}:(${PLACE}|0x[0-9a-f]+)$`),
);
/** 42 bytes, the one at RIP in brackets, 21 more (arch/x86/kernel/dumpstack.c, show_opcodes). */
export const CODE: Rule = either(
  line(
    "Code: 42 bytes, <byte at RIP>, 21 bytes",
    /^Code: (?:[0-9a-f]{2} ){42}<[0-9a-f]{2}>(?: [0-9a-f]{2}){21}$/,
  ),
  line(
    "Code: Unable to access opcode bytes at 0x....",
    /^Code: Unable to access opcode bytes at (?:RIP )?0x[0-9a-f]+\.$/,
  ),
);
const RSP = line(
  "RSP: 0018:ffffc90000113db8 EFLAGS: 00000202",
  new RegExp(`^RSP: [0-9a-f]{4}:${HEX16} EFLAGS: [0-9a-f]{8}(?: ORIG_RAX: ${HEX16})?$`),
);
const GENERAL = sequence(
  three("RAX", "RBX", "RCX"),
  three("RDX", "RSI", "RDI"),
  three("RBP", "R08", "R09"),
  three("R10", "R11", "R12"),
  three("R13", "R14", "R15"),
);
function three(a: string, b: string, c: string): Rule {
  return line(
    `${a}: 16 digits ${b}: 16 digits ${c}: 16 digits`,
    new RegExp(`^${a}: ${HEX16} ${b}: ${HEX16} ${c}: ${HEX16}$`),
  );
}
const SYSTEM = sequence(
  line(
    "FS:  16 digits(0000) GS:16 digits(0000) knlGS:16 digits",
    new RegExp(`^FS:  ${HEX16}\\([0-9a-f]{4}\\) GS:${HEX16}\\([0-9a-f]{4}\\) knlGS:${HEX16}$`),
  ),
  line(
    "CS:  0010 DS: 0000 ES: 0000 CR0: 16 digits",
    new RegExp(`^CS:  [0-9a-f]{4} DS: [0-9a-f]{4} ES: [0-9a-f]{4} CR0: ${HEX16}$`),
  ),
  line(
    "CR2: 16 digits CR3: 16 digits CR4: 16 digits",
    new RegExp(`^CR2: ${HEX16} CR3: ${HEX16} CR4: ${HEX16}$`),
  ),
  optional(three("DR0", "DR1", "DR2"), three("DR3", "DR6", "DR7")),
  optional(line("PKRU: 8 digits", /^PKRU: [0-9a-f]{8}$/)),
);
/** A kernel's registers in full: __show_regs(). */
export const REGISTERS: Rule = sequence(KERNEL_RIP, CODE, RSP, GENERAL, SYSTEM);
/** Inside a trace; a report about another task has no Code: line. */
const FRAME_REGISTERS = sequence(ANY_RIP, optional(CODE), RSP, GENERAL);
/** print_fatal_signal() */
export const USER_REGISTERS: Rule = sequence(
  ANY_RIP,
  CODE,
  RSP,
  GENERAL,
  line("FS:  16 digits GS:  16 digits", new RegExp(`^FS:  ${HEX16} GS:  ${HEX16}$`)),
);
/** show_regs() of an interrupted context that may be a user's. */
export const ANY_REGISTERS: Rule = either(REGISTERS, USER_REGISTERS);

const FRAME = line(
  " FUNCTION+0x7/0x10, or  ? FUNCTION+0x7/0x10",
  new RegExp(`^ (?:\\? )?(?:${PLACE}|0x[0-9a-f]+)$`),
);
const STACKS = "TASK|IRQ|SOFTIRQ|NMI|ENTRY_TRAMPOLINE|#DF|#DB|#MC|#VC2?";
const SECTION = sequence(
  line(" <TASK>, <IRQ>, <NMI>, <#DF> ...", new RegExp(`^ <(?:${STACKS})>$`)),
  repeated(either(FRAME, FRAME_REGISTERS)),
  line(" </TASK>, </IRQ>, </NMI>, </#DF> ...", new RegExp(`^ </(?:${STACKS})>$`)),
);
export const TRACE: Rule = sequence(literal("Call Trace:"), repeated(SECTION, 1));
/** Stacks that were stored: stack_trace_print(). */
export const STORED_TRACE: Rule = repeated(
  line(" FUNCTION+0x7/0x10", new RegExp(`^ (?:${PLACE}|0x[0-9a-f]+)$`)),
  1,
);

export const MODULES: Rule = line(
  "Modules linked in: NAME(FLAGS) ...",
  /^Modules linked in:(?: \w+(?:\([A-Z+-]+\))?)*(?: \[last unloaded: \w+(?:\([A-Z+-]+\))?\])?$/,
);
/** Sixteen zeros since 5.17; a random number before. */
export const END_TRACE: Rule = line(
  "---[ end trace 0000000000000000 ]---",
  /^---\[ end trace [0-9a-f]{16} \]---$/,
);

/** nmi_cpu_backtrace() */
const NMI_BACKTRACE = sequence(
  line("NMI backtrace for cpu N", /^NMI backtrace for cpu \d+(?: skipped: idling at .+)?$/),
  optional(WHO, optional(ANY_REGISTERS), optional(TRACE)),
);
const NMI_SLOW = line(
  "INFO: NMI handler (FUNCTION) took too long to run: N msecs",
  /^INFO: NMI handler \(\w+\) took too long to run: \d+\.\d{3} msecs$/,
);
/** nmi_trigger_cpumask_backtrace(): the sender's own backtrace comes first. */
export const NMI_BACKTRACES: Rule = sequence(
  repeated(NMI_BACKTRACE),
  line("Sending NMI from CPU N to CPUs M:", /^Sending NMI from CPU \d+ to CPUs [\d,-]+:$/),
  repeated(either(NMI_BACKTRACE, NMI_SLOW)),
);
export const OWN_BACKTRACE: Rule = sequence(NMI_BACKTRACE, optional(NMI_BACKTRACES));

/** sysrq_timer_list_show(), kernel/time/timer_list.c; what Linux means as one line comes in pieces. */
export const TIMER_LIST: Rule = sequence(
  literal("Timer List Version: v0.9"),
  line("HRTIMER_MAX_CLOCK_BASES: N", /^HRTIMER_MAX_CLOCK_BASES: \d+$/),
  line("now at N nsecs", /^now at \d+ nsecs$/),
  literal(""),
  repeated(
    sequence(
      line("cpu: N", /^cpu: \d+$/),
      repeated(
        sequence(
          line(" clock N:", /^ clock \d+:$/),
          line("  .base:       POINTER", new RegExp(`^  \\.base: {7}${POINTER}$`)),
          line("  .index:      N", /^ {2}\.index: {6}\d+$/),
          line("  .resolution: N nsecs", /^ {2}\.resolution: \d+ nsecs$/),
          line("  .get_time:   FUNCTION", /^ {2}\.get_time: {3}[\w.]+$/),
          optional(line("  .offset:     N nsecs", /^ {2}\.offset: {5}-?\d+ nsecs$/)),
          literal("active timers:"),
          repeated(
            sequence(
              line(" #0: <POINTER>, FUNCTION", new RegExp(`^ #\\d+: <${POINTER}>, [\\w.]+(?: \\[\\w+\\])?$`)),
              line(", S:01", /^, S:[0-9a-f]{2}$/),
              literal(""),
              line(
                " # expires at N-N nsecs [in N to N nsecs]",
                /^ # expires at \d+-\d+ nsecs \[in -?\d+ to -?\d+ nsecs\]$/,
              ),
            ),
          ),
        ),
        1,
      ),
      repeated(line("  .FIELD: N", /^ {2}\.\w{1,15} *: \d+(?: nsecs)?$|^jiffies: \d+$/)),
      literal(""),
    ),
    1,
  ),
);

/** What panic() prints behind its message and trace. */
export const PANIC_END: Rule = sequence(
  optional(literal("Shutting down cpus with NMI")),
  line(
    "Kernel Offset: disabled",
    /^Kernel Offset: (?:disabled|0x[0-9a-f]+ from 0x[0-9a-f]{16} \(relocation range: 0x[0-9a-f]{16}-0x[0-9a-f]{16}\))$/,
  ),
  optional(TIMER_LIST),
  optional(
    either(
      line(
        "---[ end Kernel panic - not syncing: MESSAGE ]---",
        /^---\[ end Kernel panic - not syncing: (.*) \]---$/,
        "end",
      ),
      line("Rebooting in N seconds..", /^Rebooting in \d+ seconds\.\.$/),
    ),
  ),
);
