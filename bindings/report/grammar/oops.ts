/**
 * Oopses, BUG, WARN and panic: Linux 6.1 arch/x86/mm/fault.c, arch/x86/kernel/traps.c and dumpstack.c,
 * lib/bug.c, kernel/panic.c.
 */
import type { Form } from "./form.ts";
import {
  CUT_HERE,
  END_TRACE,
  MODULES,
  NMI_BACKTRACES,
  PANIC_END,
  PLACE,
  POINTER,
  REGISTERS,
  TRACE,
  USER_REGISTERS,
  WHO,
} from "./parts.ts";
import {
  ahead,
  either,
  line,
  literal,
  optional,
  type Reading,
  type Rule,
  repeated,
  sequence,
} from "./rules.ts";

const WORDS = "(?:PREEMPT(?:_RT)? )?SMP (?:DEBUG_PAGEALLOC )?(?:KASAN )?(?:NO)?PTI";
function exception(expected: string, what: string): Rule {
  return line(
    `${expected}: 0000 [#1] PREEMPT SMP NOPTI`,
    new RegExp(`^${what}: ([0-9a-f]{4}) \\[#\\d+\\] ${WORDS}$`),
    "oops",
  );
}

const NULL_POINTER = line(
  "BUG: kernel NULL pointer dereference, address: 16 digits",
  /^BUG: kernel NULL pointer dereference, address: (0{13}[0-9a-f]{3})$/,
  "address",
);
const BAD_ADDRESS = line(
  "BUG: unable to handle page fault for address: 16 digits",
  /^BUG: unable to handle page fault for address: (?!0{13})([0-9a-f]{16})$/,
  "address",
);
/** show_fault_oops() */
const EXECUTED = optional(
  either(
    line(
      "kernel tried to execute NX-protected page - exploit attempt? (uid: 0)",
      /^kernel tried to execute NX-protected page - exploit attempt\? \(uid: \d+\)$/,
    ),
    line(
      "unable to execute userspace code (SMEP?) (uid: 0)",
      /^unable to execute userspace code \(SMEP\?\) \(uid: \d+\)$/,
    ),
  ),
);
/** dump_pagetable() */
const PAGE_TABLE_ENTRIES = line(
  "PGD HEX P4D HEX PUD HEX PMD HEX PTE HEX",
  /^(?:BAD|PGD [0-9a-f]+ (?:P4D [0-9a-f]+ (?:PUD [0-9a-f]+ (?:PMD [0-9a-f]+ (?:PTE [0-9a-f]+)?)?)?)?(?:BAD)?)$/,
);
/** From the line of page-table entries on. */
const PAGE_TABLES = sequence(PAGE_TABLE_ENTRIES, exception("Oops", "Oops"));
/** pgtable_bad() */
const BAD_PAGE_TABLE = sequence(
  line("COMM: Corrupted page table at address HEX", /^.{1,15}: Corrupted page table at address [0-9a-f]+$/),
  PAGE_TABLE_ENTRIES,
  exception("Bad pagetable", "Bad pagetable"),
);
const PAGE_FAULT = sequence(
  EXECUTED,
  either(NULL_POINTER, BAD_ADDRESS),
  line(
    "#PF: supervisor read access in kernel mode",
    /^#PF: (?:supervisor|user) (read access|write access|instruction fetch) in (?:kernel|user) mode$/,
    "access",
  ),
  line(
    "#PF: error_code(0x0000) - not-present page",
    /^#PF: error_code\(0x([0-9a-f]{4})\) - (not-present page|permissions violation|reserved bit violation|protection keys violation)$/,
    "error",
  ),
  PAGE_TABLES,
);
/** exc_general_protection() */
const PROTECTION = exception(
  "general protection fault",
  "(?:segment-related general protection fault|general protection fault(?:, (?:probably for non-canonical|maybe for) address 0x[0-9a-f]+)?)",
);
const TRAP = exception(
  "divide error, invalid opcode, int3 ...",
  "(?:divide error|invalid opcode|int3|overflow|bounds|alignment check|stack segment|segment not present|invalid TSS|coprocessor segment overrun|fpu exception|simd exception|control protection fault|Missing ENDBR)",
);
/** handle_stack_overflow(); by #DF, or by #PF when the stack is still good. */
const STACK_GUARD = sequence(
  line(
    "BUG: TASK stack guard page was hit at POINTER (stack is POINTER..POINTER)",
    new RegExp(
      `^BUG: [\\w#]+ stack guard page was hit at ${POINTER} \\(stack is ${POINTER}\\.\\.${POINTER}\\)$`,
    ),
  ),
  exception("stack guard page", "stack guard page"),
);
const DOUBLE_FAULT = sequence(
  line(
    "traps: PANIC: double fault, error_code: 0x0",
    /^traps: PANIC: double fault, error_code: 0x[0-9a-f]+$/,
  ),
  exception("double fault", "double fault"),
);
/** report_bug() and the invalid opcode that got there. */
const BUG_HEAD = sequence(
  CUT_HERE,
  line("kernel BUG at FILE:LINE!", /^kernel BUG at \S+:\d+!$/),
  exception("invalid opcode", "invalid opcode"),
);

const CR2_LINE = line("CR2: 16 digits", /^CR2: ([0-9a-f]{16})$/, "cr2");
/** make_task_dead() */
const NOTES = sequence(
  optional(
    line("note: COMM[PID] exited with irqs disabled", /^note: .{1,15}\[\d+\] exited with irqs disabled$/),
  ),
  optional(
    line(
      "note: COMM[PID] exited with preempt_count N",
      /^note: .{1,15}\[\d+\] exited with preempt_count \d+$/,
    ),
  ),
);
const FATAL = sequence(
  line(
    "Kernel panic - not syncing: Fatal exception",
    /^Kernel panic - not syncing: (Fatal exception(?: in interrupt)?)$/,
    "panic",
  ),
  PANIC_END,
);
const OOPS_TAIL = sequence(END_TRACE, REGISTERS, either(FATAL, NOTES));
/**
 * oops_end(): with a crash kernel loaded and a panic due, that kernel is started before any of this; oops_exit()
 * stores the record of pstore right behind the end mark.
 */
const OOPS_END: Rule = (reading, at) => {
  const next = OOPS_TAIL(reading, at);
  if (next !== undefined) return next;
  if (reading.lines[at]?.startsWith("---[ end trace")) {
    return reading.record && at + 1 === reading.lines.length ? END_TRACE(reading, at) : undefined;
  }
  return kdumpLoaded(reading) ? at : undefined;
};
function kdumpLoaded(reading: Reading): boolean {
  return reading.captured.findLast(({ name }) => name === "cpu")?.match[4] !== undefined;
}
/** show_trace_log_lvl() of an RSP that is on no stack. */
const TRACE_IF_ANY: Rule = (reading, at) =>
  TRACE(reading, at) ?? (reading.broken ? literal("Call Trace:")(reading, at) : undefined);
const OOPS_BODY = sequence(WHO, REGISTERS, TRACE_IF_ANY, MODULES, optional(CR2_LINE), OOPS_END);
/** Of a program's access, too, whose registers have no trace. */
const BAD_PAGE_TABLE_BODY = either(OOPS_BODY, sequence(WHO, USER_REGISTERS, MODULES, OOPS_END));
/** Of a double fault with an RSP that is on no stack: show_trace_log_lvl() finds nothing to show. */
const STACKLESS_BODY = sequence(WHO, REGISTERS, literal("Call Trace:"), MODULES, OOPS_END);

/** Sense across lines: a page fault says its error code and address in several places. */
function checkFault(reading: Reading): string | undefined {
  const found = (name: string): string | undefined => {
    return reading.captured.find((captured) => captured.name === name)?.match[1];
  };
  const [error, oops, address, cr2, access] = ["error", "oops", "address", "cr2", "access"].map(found);
  if (error === undefined) return cr2 === undefined ? undefined : "no line CR2: where no page fault was";
  if (error !== oops) return `Oops: ${error} as in #PF: error_code(0x${error})`;
  const code = Number.parseInt(error, 16);
  const meant = (code & 0x10) !== 0 ? "instruction fetch" : (code & 2) !== 0 ? "write access" : "read access";
  if (access !== meant) return `#PF: ... ${meant}, as error code ${error} says`;
  if (cr2 === undefined) return "a line CR2: behind Modules linked in";
  return cr2 === address ? undefined : `CR2: ${address}, the address that the report begins with`;
}

/** Lines of WARN(): whatever the caller says. */
const MESSAGE = repeated(
  line("the message of WARN()", /^(?!WARNING: CPU: |kernel BUG at |------------\[ cut here|Call Trace:$).+$/),
);
const WARNING_LINE = line(
  "WARNING: CPU: 0 PID: 39 at FILE:LINE FUNCTION+0x7/0x10",
  new RegExp(`^WARNING: CPU: \\d+ PID: \\d+ at (?:\\S+:\\d+ )?${PLACE}$`),
);
/** check_panic_on_warn() */
const PANIC_ON_WARN = ahead(
  line(
    "Kernel panic - not syncing: kernel: panic_on_warn set ...",
    /^Kernel panic - not syncing: kernel: (?:panic_on_warn set \.\.\.|system warned too often \(kernel\.warn_limit is \d+\))$/,
  ),
);

const PANIC_LINE = line("Kernel panic - not syncing: MESSAGE", /^Kernel panic - not syncing: (.*)$/, "panic");
/** After an oops panic() prints no trace; with a crash kernel loaded nothing follows the trace. */
const PANIC_BODY: Rule = (reading, at) => {
  const next = sequence(WHO, TRACE, optional(NMI_BACKTRACES))(reading, at);
  if (next === undefined) return reading.lines[at]?.startsWith("CPU: ") ? undefined : PANIC_END(reading, at);
  const end = PANIC_END(reading, next);
  if (end !== undefined) return end;
  return kdumpLoaded(reading) ? next : undefined;
};

function checkPanic(reading: Reading): string | undefined {
  const message = reading.captured.findLast(({ name }) => name === "panic")?.match[1];
  const end = reading.captured.findLast(({ name }) => name === "end")?.match[1];
  return end === undefined || end === message
    ? undefined
    : `---[ end Kernel panic - not syncing: ${message} ]---`;
}

/** An oops whose first lines are missing: a log that begins, or was cut, in the middle. */
export const BEHEADED_OOPS: Form = {
  kind: "oops",
  head: ahead(line("", /^PGD |^Oops: /)),
  rule: sequence(either(PAGE_TABLES, exception("Oops", "Oops")), OOPS_BODY),
  checks: [checkPanic],
};

export const OOPS_FORMS: readonly Form[] = [
  {
    kind: "oops",
    head: either(
      ahead(
        sequence(
          optional(line("", /^(?:kernel tried to execute NX|unable to execute userspace code)/)),
          line("", /^BUG: (?:kernel NULL pointer|unable to handle page fault)/),
        ),
      ),
    ),
    rule: sequence(PAGE_FAULT, OOPS_BODY),
    checks: [checkFault, checkPanic],
  },
  {
    kind: "oops",
    head: ahead(line("", /^.{1,15}: Corrupted page table at address /)),
    rule: sequence(BAD_PAGE_TABLE, BAD_PAGE_TABLE_BODY),
    checks: [checkPanic],
  },
  {
    kind: "oops",
    head: ahead(line("", /: [0-9a-f]{4} \[#\d+\]/)),
    rule: sequence(either(PROTECTION, TRAP), OOPS_BODY),
    checks: [checkFault, checkPanic],
  },
  {
    kind: "oops",
    head: ahead(line("", /^BUG: \S+ stack guard page was hit/)),
    rule: sequence(STACK_GUARD, OOPS_BODY),
    checks: [checkPanic],
  },
  {
    kind: "oops",
    head: ahead(line("", /^traps: PANIC: double fault/)),
    rule: sequence(DOUBLE_FAULT, either(OOPS_BODY, STACKLESS_BODY)),
    checks: [checkPanic],
  },
  {
    kind: "bug",
    head: ahead(sequence(CUT_HERE, line("", /^kernel BUG at /))),
    rule: sequence(BUG_HEAD, OOPS_BODY),
    checks: [checkFault, checkPanic],
  },
  {
    kind: "warning",
    head: ahead(CUT_HERE),
    rule: sequence(
      CUT_HERE,
      MESSAGE,
      WARNING_LINE,
      MODULES,
      WHO,
      REGISTERS,
      TRACE,
      either(END_TRACE, PANIC_ON_WARN),
    ),
  },
  {
    kind: "panic",
    head: ahead(line("", /^Kernel panic - not syncing: /)),
    rule: sequence(PANIC_LINE, PANIC_BODY),
    checks: [checkPanic],
  },
];
