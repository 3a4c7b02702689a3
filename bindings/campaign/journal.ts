/**
 * The journal of a campaign: a line of JSON for the campaign, then one for each case as soon as it has ended. It is only
 * ever appended to; what a killed process left half written is cut off.
 */
import { closeSync, existsSync, openSync, readFileSync, truncateSync, writeSync } from "node:fs";
import { CrashlabError } from "../error.ts";
import type { CaseRecord } from "./runner.ts";

/** What makes two campaigns the same. */
export interface JournalHeader {
  readonly schema: string;
  readonly seed: number;
  readonly memory: string;
  readonly cpus: number;
  readonly cmdline: string;
  readonly budget: number;
  /** SHA-256 of the kernel and the core, so that results of others are not mixed in. */
  readonly build: string;
}

export class Journal implements Disposable {
  /** Cases that have ended, by index. */
  readonly records: Map<number, CaseRecord>;
  readonly #file: number;

  private constructor(file: number, records: Map<number, CaseRecord>) {
    this.#file = file;
    this.records = records;
  }

  /** Throws `bad-option` when there is one already and `resume` is not set, or it is of another campaign. */
  static open(path: string, header: JournalHeader, resume: boolean): Journal {
    const first = `${JSON.stringify(header)}\n`;
    const records = new Map<number, CaseRecord>();
    const exists = existsSync(path);
    if (exists && !resume) {
      throw new CrashlabError(
        "bad-option",
        `expected no campaign in the folder, found ${path}; go on with it by --resume, or name another folder`,
      );
    }
    const text = exists ? readFileSync(path, "utf8") : "";
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    if (whole !== "" && !whole.startsWith(first)) {
      throw new CrashlabError(
        "bad-option",
        `expected ${path} of this campaign, found one with other options or of another build; name another folder`,
      );
    }
    for (const line of whole.slice(first.length).split("\n")) {
      const record = parseRecord(line);
      if (record !== undefined && !records.has(record.index)) records.set(record.index, record);
    }
    if (exists) truncateSync(path, Buffer.byteLength(whole));
    const file = openSync(path, "a");
    if (whole === "") writeSync(file, first);
    return new Journal(file, records);
  }

  /** A line is one write: a process killed between two leaves whole lines. */
  add(record: CaseRecord): void {
    if (this.records.has(record.index)) return;
    this.records.set(record.index, record);
    writeSync(this.#file, `${JSON.stringify(record)}\n`);
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}

function parseRecord(line: string): CaseRecord | undefined {
  try {
    const record: unknown = JSON.parse(line);
    return typeof record === "object" && record !== null && "index" in record && "outcome" in record
      ? (record as CaseRecord)
      : undefined;
  } catch {
    return undefined;
  }
}
