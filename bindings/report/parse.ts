/**
 * From a kernel log to crash reports: oopses, BUGs, warnings, panics, sanitizers' and watchdogs' findings, in the
 * words of Linux 4.19 to 6.12 on x86-64. Never throws; what does not fit is noted in `problems`.
 */
import { CUT_HERE, Draft, type Opened } from "./draft.ts";
import { type LogLine, readLine } from "./lines.ts";
import { readOpening } from "./openers.ts";
import type { CrashReport } from "./types.ts";

/** Reports in a whole log, in order of their first lines. */
export function parseReports(log: string): CrashReport[] {
  const stream = new ReportStream();
  const reports: CrashReport[] = [];
  for (const line of log.split("\n")) reports.push(...stream.push(line));
  return [...reports, ...stream.end()].sort((a, b) => a.lines[0] - b.lines[0]);
}

/** Lines after which a report is over, whatever it was. */
const AFTERMATH = /^(?:Killed|Segmentation fault|=== )/;
/** A new boot: nothing of the old kernel is printed any more. */
const BOOT = /^Linux version \d/;
/** Callers whose reports may be open at once. */
const MOST_OPEN = 64;

/**
 * The same, line by line: each push gives the reports that the line completed. Where the kernel prints callers
 * (CONFIG_PRINTK_CALLER), reports of several CPUs may be mixed line by line; elsewhere one is read at a time.
 */
export class ReportStream {
  #number = 0;
  /** By caller; "" where there is none. */
  readonly #open = new Map<string, Draft>();
  /** What WARN() said: lines behind `cut here`, until its WARNING line. */
  readonly #messages = new Map<string, string[]>();
  #reported = false;

  /** Takes the next line, without its end; gives the reports that it completed. */
  push(raw: string): CrashReport[] {
    this.#number++;
    const line = readLine(raw, this.#number);
    if (BOOT.test(line.text)) return this.#finishAll(false);
    const caller = line.caller ?? "";
    const opened = readOpening(line.text);
    const opening = opened?.opening;
    const open = this.#open.get(caller) ?? this.#patient(caller);
    if (open !== undefined && opening !== undefined && open.continues(opening, line)) {
      open.take(line, opening);
      return [];
    }
    if (opened !== undefined) return this.#begin(opened, line, caller);
    if (line.text === CUT_HERE) {
      this.#messages.set(caller, []);
      return this.#finish(caller, false);
    }
    const message = this.#messages.get(caller);
    if (message !== undefined && message.length < 8) message.push(line.text);
    if (open === undefined) return [];
    if (AFTERMATH.test(line.text)) return line.stamped ? [] : this.#finish(caller, false);
    open.take(line, undefined);
    return open.over ? this.#finish(caller, false) : [];
  }

  /** What is still open when the log ends. */
  end(): CrashReport[] {
    return this.#finishAll(true);
  }

  #begin(opened: Opened, line: LogLine, caller: string): CrashReport[] {
    const done = this.#finish(caller, false);
    if (this.#open.size >= MOST_OPEN) done.push(...this.#finishAll(false));
    const message = this.#messages.get(caller)?.join("\n");
    this.#messages.delete(caller);
    this.#open.set(caller, new Draft(opened, line, message === "" ? undefined : message, this.#reported));
    this.#reported = true;
    return opened.opening.single ? [...done, ...this.#finish(caller, false)] : done;
  }

  /** A stall report takes the backtraces that other CPUs print about themselves. */
  #patient(caller: string): Draft | undefined {
    if (caller === "") return undefined;
    for (const draft of this.#open.values()) if (draft.wantsOthers) return draft;
    return undefined;
  }

  #finish(caller: string, cutShort: boolean): CrashReport[] {
    const open = this.#open.get(caller);
    if (open === undefined) return [];
    this.#open.delete(caller);
    return [open.finish(cutShort)];
  }

  #finishAll(cutShort: boolean): CrashReport[] {
    const reports = [...this.#open.values()].map((draft) => draft.finish(cutShort));
    this.#open.clear();
    this.#messages.clear();
    return reports;
  }
}
