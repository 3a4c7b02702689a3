/** The core's log of delivered exceptions. */
import * as at from "./layout.ts";

const KEPT = 64;
const RECORD_SIZE = 40;

/** One delivered exception, as the machine saw it. */
export interface ExceptionRecord {
  readonly vector: number;
  readonly error: number;
  readonly rip: bigint;
  readonly cr2: bigint;
  readonly cpl: number;
  /** Guest time in nanoseconds. */
  readonly time: bigint;
}

/** The last exceptions (at most 64), oldest first. */
export function readExceptions(view: DataView): ExceptionRecord[] {
  const count = view.getUint32(at.EXCEPTION_COUNT, true);
  const records: ExceptionRecord[] = [];
  for (let number = Math.max(0, count - KEPT); number < count; number++) {
    const entry = at.EXCEPTION_LOG + (number % KEPT) * RECORD_SIZE;
    records.push({
      vector: view.getUint32(entry, true),
      error: view.getUint32(entry + 4, true),
      rip: view.getBigUint64(entry + 8, true),
      cr2: view.getBigUint64(entry + 16, true),
      cpl: Number(view.getBigUint64(entry + 24, true)),
      time: view.getBigUint64(entry + 32, true),
    });
  }
  return records;
}
