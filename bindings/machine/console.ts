/** The console's bytes as lines, and the crash reports that are in them. */
import { ReportStream } from "../report/parse.ts";
import type { CrashReport } from "../report/types.ts";

/** Longer console lines are cut into several. */
const LINE_LIMIT = 16384;

export interface ConsoleListeners {
  line(line: string): void;
  report(report: CrashReport): void;
}

export class ConsoleLog {
  lines: string[] = [];
  reports: CrashReport[] = [];
  readonly #listeners: ConsoleListeners;
  readonly #decoder = new TextDecoder();
  #line = "";
  #stream = new ReportStream();

  constructor(listeners: ConsoleListeners) {
    this.#listeners = listeners;
  }

  /** Takes what the guest wrote. */
  take(bytes: Uint8Array): void {
    const lines = (this.#line + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#line = lines.pop() ?? "";
    if (this.#line.length > LINE_LIMIT) {
      lines.push(this.#line);
      this.#line = "";
    }
    for (const line of lines) this.#takeLine(line.replace(/\r$/, ""));
  }

  /** A report that more lines could still belong to ends here. */
  flush(): void {
    for (const report of this.#stream.end()) this.#takeReport(report);
  }

  /** What comes next does not continue what came last. */
  cut(): void {
    this.#line = "";
    this.#decoder.decode();
    this.#stream = new ReportStream();
  }

  /** Goes back to as many lines and reports. */
  truncate(lines: number, reports: number): void {
    this.lines = this.lines.slice(0, lines);
    this.reports = this.reports.slice(0, reports);
  }

  #takeLine(line: string): void {
    this.lines.push(line);
    this.#listeners.line(line);
    for (const report of this.#stream.push(line)) this.#takeReport(report);
  }

  #takeReport(report: CrashReport): void {
    this.reports.push(report);
    this.#listeners.report(report);
  }
}
