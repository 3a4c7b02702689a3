/**
 * Whether a kernel log's crash reports have exactly the form in which Linux 6.1 prints them on x86-64: order of
 * lines, blanks, widths, brackets. Meant for tests of kernels, emulators and tools that must look the same:
 *
 *     import { checkReport } from "crashlab/report";
 *     expect(checkReport(machine.log)).toEqual([]);
 *
 * (inside this project: `bindings/report/grammar/check.ts`).
 */
import type { CrashKind } from "../types.ts";
import type { Form } from "./form.ts";
import { MEMORY_FORMS, PAGE } from "./memory.ts";
import { BEHEADED_OOPS, OOPS_FORMS } from "./oops.ts";
import { ANY_REGISTERS, NMI_BACKTRACES, OWN_BACKTRACE, POINTER, TRACE, WHO } from "./parts.ts";
import { line, literal, optional, Reading, type Rule, repeated, sequence } from "./rules.ts";
import { TASK_DUMP, WATCHDOG_FORMS } from "./watchdogs.ts";

/** A line that Linux would not print so. */
export interface Violation {
  /** Line in what was given, from 1. */
  readonly line: number;
  /** How the line should look; the first words of several when more than one would do. */
  readonly expected: string;
  /** The line as it is; empty behind the last. */
  readonly found: string;
}

/** One report and where it leaves Linux's grammar. */
export interface CheckedReport {
  readonly kind: CrashKind;
  /** First and last line in what was given, from 1. */
  readonly lines: readonly [number, number];
  readonly violations: readonly Violation[];
}

const FORMS: readonly Form[] = [...OOPS_FORMS, ...WATCHDOG_FORMS, ...MEMORY_FORMS];

/**
 * Traces that are no report: dump_stack(), what sysrq and panic_print= show; process_one_work() (kernel/workqueue.c)
 * and check_poison_mem() (mm/page_poison.c) say why.
 */
const BARE_TRACES: readonly Rule[] = [
  sequence(WHO, TRACE),
  sequence(WHO, ANY_REGISTERS, optional(TRACE)),
  TASK_DUMP,
  OWN_BACKTRACE,
  NMI_BACKTRACES,
  sequence(
    line(
      "BUG: workqueue leaked lock or atomic: COMM/0x00000001/PID",
      /^BUG: workqueue leaked lock or atomic: .{1,15}\/0x[0-9a-f]{8}\/\d+$/,
    ),
    line("     last function: FUNCTION", /^ {5}last function: [\w.$]+(?: \[\w+\])?$/),
    WHO,
    TRACE,
  ),
  sequence(
    line("pagealloc: memory corruption", /^pagealloc: (?:memory corruption|single bit error)$/),
    repeated(line("POINTER: bytes", new RegExp(`^${POINTER}: (?:[0-9a-f]{2} ){1,16} *\\S.*$`)), 1),
    WHO,
    TRACE,
    PAGE,
    literal("page dumped because: pagealloc: corrupted page details"),
  ),
];

/** Lines that belong to a report, wherever they stand. */
const ONLY_IN_REPORTS =
  /^(?:Call Trace:| <\/?[#A-Z_0-9]+>$| (?:\? )?[\w.]+\+0x[0-9a-f]+\/0x|RIP: |Code: |R[A-Z0-9]{2}: |CR2: |FS: |CS: |Modules linked in|---\[ end|CPU: \d+ PID|Hardware name: |#PF: |PGD |Oops: |[A-Za-z ]*BUG: |WARNING: CPU|UBSAN: |raw: |={66}$|={80}$|-{12}\[ cut here|INFO: task |rcu: \t\d|note: .* exited with |Kernel Offset: |Rebooting in |kernel BUG at )/;

/** Of `checkLog` and `checkReport`. */
export interface CheckOptions {
  /** The log begins in the middle of a report, so the first one may lack its first lines. */
  readonly beheaded?: boolean;
  /**
   * The machine was broken on purpose: an oops may begin in the middle of a report, which then never ends, and there may
   * be no stack to show. Default false.
   */
  readonly broken?: boolean;
}

/**
 * Where a log's reports differ from Linux's form; none when all is as it should be. Takes whole logs or parts, raw
 * console lines (with `[    1.234567] ` stamps, levels, callers) or bare messages. A log without any report is
 * a violation too.
 */
export function checkReport(lines: string | readonly string[], options: CheckOptions = {}): Violation[] {
  const { reports, strays } = checkLog(lines, options);
  const violations = [...reports.flatMap((report) => report.violations), ...strays];
  if (reports.length === 0 && violations.length === 0) {
    violations.push({ line: 1, expected: "the first line of a crash report", found: "none in the log" });
  }
  return violations.sort((a, b) => a.line - b.line);
}

/** What `checkLog` finds. */
export interface CheckedLog {
  readonly reports: readonly CheckedReport[];
  /** Lines that look like a report's and are in none, and malformed stamps. */
  readonly strays: readonly Violation[];
}

/** The reports that a log has, each with its violations. */
export function checkLog(given: string | readonly string[], options: CheckOptions = {}): CheckedLog {
  const { parts, strays } = readMessages(typeof given === "string" ? given.split("\n") : given);
  const checked = parts.map((part, index) =>
    checkPart(part, {
      beheaded: index === 0 && options.beheaded === true,
      broken: options.broken === true,
    }),
  );
  return {
    reports: checked.flatMap(({ reports }) => reports),
    strays: [...strays, ...checked.flatMap((each) => each.strays)],
  };
}

function checkPart(
  { messages, numbers, record }: LogPart,
  { beheaded, broken }: Required<CheckOptions>,
): CheckedLog {
  const begins = (at: number): Form | undefined => {
    const forms = beheaded && at === 0 ? [BEHEADED_OOPS, ...FORMS] : FORMS;
    const reading = new Reading(messages);
    return forms.find(({ head }) => head(reading, at) !== undefined);
  };
  const reports: CheckedReport[] = [];
  const strays: Violation[] = [];
  for (let at = 0; at < messages.length; ) {
    const number = numbers[at] ?? 0;
    const found = messages[at] ?? "";
    const form = begins(at);
    if (form === undefined) {
      const behind = BARE_TRACES.map((trace) => trace(new Reading(messages), at)).find(
        (end) => end !== undefined,
      );
      if (behind !== undefined) {
        at = behind;
        continue;
      }
      if (ONLY_IN_REPORTS.test(found)) {
        strays.push({ line: number, expected: "a line that is no part of a report", found });
      }
      at++;
      continue;
    }
    const reading = new Reading(messages, { record, broken });
    const end = form.rule(reading, at);
    const violations: Violation[] = [];
    if (end === undefined) {
      const isCutOff = broken && begins(reading.furthest) !== undefined;
      if (!isCutOff) violations.push(furthestViolation(reading, numbers));
    } else {
      for (const check of form.checks ?? []) {
        const expected = check(reading);
        if (expected !== undefined) violations.push({ line: number, expected, found });
      }
    }
    let stop = end ?? Math.max(reading.furthest, at + 1);
    // Behind a violation the rest of that report fits nothing.
    while (end === undefined && stop < messages.length && begins(stop) === undefined) stop++;
    reports.push({ kind: form.kind, lines: [number, numbers[stop - 1] ?? number], violations });
    at = stop;
  }
  return { reports, strays };
}

function furthestViolation(reading: Reading, numbers: readonly number[]): Violation {
  const { furthest, expected } = reading;
  return {
    line: numbers[furthest] ?? (numbers.at(-1) ?? 0) + 1,
    expected: expected.filter((text) => text !== "").join(" | "),
    found: reading.lines[furthest] ?? "",
  };
}

/**
 * printk's stamp, `[%5lu.%06lu] `, with a caller behind it when CONFIG_PRINTK_CALLER is set; or what /dev/kmsg and
 * extended netconsole have instead.
 */
const STAMP =
  /^(?:(<\d+>)?\[(?:(?=[ \d]{5}\.) *|\d)\d+\.\d{6}\](?:\[ *[TC]\d+\])? |\d{1,5},\d{1,20},\d{1,20},[-c](?:,caller=[TC]\d+)?;)/;
const LIKE_A_STAMP = /^(?:<\d+>)?\[ *\d+\.\d+\]/;
/** A user program's line that had no newline yet, in front of a stamp. */
const GLUED = /^(?!<\d+>\[)[^[]*(?:\[(?![ \d]{4}\d\.\d{6}\] )[^[]*)*(?=\[[ \d]{4}\d\.\d{6}\] )/;

/** printk cuts messages at 1024 bytes. */
const LONGEST = 2048;

interface LogPart {
  readonly messages: string[];
  /** Line numbers of the messages. */
  readonly numbers: number[];
  /** Its lines have levels: what pstore kept. */
  readonly record: boolean;
}

function readMessages(lines: readonly string[]): { parts: LogPart[]; strays: Violation[] } {
  const texts = lines.map((raw) =>
    raw
      .slice(0, LONGEST)
      .replace(/\r{1,8}$/, "")
      .replace(GLUED, ""),
  );
  const stamped = texts.some((text) => STAMP.test(text));
  const parts: LogPart[] = [];
  const strays: Violation[] = [];
  for (const [index, text] of texts.entries()) {
    const prefix = STAMP.exec(text);
    if (prefix === null && LIKE_A_STAMP.test(text)) {
      strays.push({ line: index + 1, expected: "[    1.234567] in front of the message", found: text });
    }
    // Among stamped lines, one without is not the kernel's.
    if (stamped && prefix === null) continue;
    const record = prefix?.[1] !== undefined;
    let part = parts.at(-1);
    if (part === undefined || part.record !== record) {
      part = { messages: [], numbers: [], record };
      parts.push(part);
    }
    part.messages.push(text.slice(prefix?.[0].length ?? 0));
    part.numbers.push(index + 1);
  }
  return { parts, strays };
}
