/**
 * The journal of a campaign: a line of JSON for the campaign, then one for each case as soon as it has ended. It is only
 * ever appended to; what a killed process left half written is cut off.
 */
import { closeSync, existsSync, openSync, readFileSync, readSync, truncateSync, writeSync } from "node:fs";
import { CrashlabError } from "../error.ts";
import type { CaseRecord } from "./runner.ts";

const NEWLINE = 0x0a;

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

/** Where a line lies in the file, its end included. */
interface Line {
  readonly at: number;
  readonly length: number;
}

export class Journal implements Disposable {
  /** Cases that have ended, by index, without what only their lines have: memory does not grow with the truths. */
  readonly records: Map<number, CaseRecord> = new Map();
  readonly #lines = new Map<number, Line>();
  readonly #file: number;
  #end: number;

  private constructor(file: number, end: number) {
    this.#file = file;
    this.#end = end;
  }

  /** Throws `bad-option` when there is one already and `resume` is not set, or it is of another campaign. */
  static open(path: string, header: JournalHeader, resume: boolean): Journal {
    const first = Buffer.from(`${JSON.stringify(header)}\n`);
    const exists = existsSync(path);
    if (exists && !resume) {
      throw new CrashlabError(
        "bad-option",
        `expected no campaign in the folder, found ${path}; go on with it by --resume, or name another folder`,
      );
    }
    const found = exists ? readFileSync(path) : Buffer.alloc(0);
    const whole = found.subarray(0, found.lastIndexOf(NEWLINE) + 1);
    if (whole.length > 0 && !whole.subarray(0, first.length).equals(first)) {
      throw new CrashlabError(
        "bad-option",
        `expected ${path} of this campaign, found one with other options or of another build; name another folder`,
      );
    }
    if (exists) truncateSync(path, whole.length);
    const file = openSync(path, "a+");
    if (whole.length === 0) writeSync(file, first);
    const journal = new Journal(file, Math.max(whole.length, first.length));
    for (let at = first.length; at < whole.length; ) {
      const end = whole.indexOf(NEWLINE, at) + 1;
      journal.#keep(parseRecord(whole.toString("utf8", at, end)), { at, length: end - at });
      at = end;
    }
    return journal;
  }

  /** A line is one write: a process killed between two leaves whole lines. */
  add(record: CaseRecord): void {
    if (this.records.has(record.index)) return;
    const bytes = Buffer.from(`${JSON.stringify(record)}\n`);
    writeSync(this.#file, bytes);
    this.#keep(record, { at: this.#end, length: bytes.length });
    this.#end += bytes.length;
  }

  #keep(record: CaseRecord | undefined, line: Line): void {
    if (record === undefined || this.records.has(record.index)) return;
    this.records.set(record.index, withoutTruth(record));
    this.#lines.set(record.index, line);
  }

  /** Writes the lines of the first cases to a file, in order. */
  writeCases(path: string, cases: number): void {
    const file = openSync(path, "w");
    try {
      for (let index = 0; index < cases; index++) {
        const line = this.#lines.get(index);
        if (line === undefined) continue;
        const bytes = Buffer.alloc(line.length);
        readSync(this.#file, bytes, 0, line.length, line.at);
        writeSync(file, bytes);
      }
    } finally {
      closeSync(file);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}

/** What a summary needs of a case. */
export function withoutTruth({ truth: _, ...record }: CaseRecord): CaseRecord {
  return record;
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
