/**
 * The flattened form of a dump (`makedumpfile -F`): a header, then records (offset, size, bytes) in the order in
 * which they were written, as it goes through a pipe. Later records count where they overlap earlier ones. Numbers
 * are big-endian. Mirrors makedumpfile's makedumpfile.h (struct makedumpfile_header, makedumpfile_data_header).
 */
import { CrashlabError } from "../error.ts";
import { type RangeReader, viewOf } from "./range_reader.ts";

const SIGNATURE = "makedumpfile\0\0\0\0";
/** Bytes that the header takes in the file. */
export const FLATTENED_HEADER = 4096;
const RECORD_HEADER = 16;
/** Records are looked for in pieces of this size. */
const WINDOW = 1 << 16;

export function isFlattened(start: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(start.subarray(0, SIGNATURE.length)) === SIGNATURE;
}

/** Where each record's bytes are: three numbers a record, in the order of the file. */
interface Records {
  readonly targets: Float64Array;
  readonly sizes: Float64Array;
  readonly sources: Float64Array;
  /** Record numbers by target. */
  readonly order: Uint32Array;
  readonly longest: number;
}

/** The dump that the records make up. A stream without an end mark gives what there is. */
export async function openFlattened(file: RangeReader): Promise<RangeReader> {
  const records = await readRecords(file);
  let size = 0;
  for (let index = 0; index < records.targets.length; index++) {
    size = Math.max(size, (records.targets[index] ?? 0) + (records.sizes[index] ?? 0));
  }
  return { size, read: (offset, length) => readRange(file, records, size, offset, length) };
}

async function readRecords(file: RangeReader): Promise<Records> {
  const targets: number[] = [];
  const sizes: number[] = [];
  const sources: number[] = [];
  let window = new Uint8Array(0);
  let windowAt = 0;
  for (let at = FLATTENED_HEADER; at + RECORD_HEADER <= file.size; ) {
    if (at < windowAt || at + RECORD_HEADER > windowAt + window.length) {
      window = new Uint8Array(await file.read(at, WINDOW));
      windowAt = at;
      if (window.length < RECORD_HEADER) break;
    }
    const view = new DataView(window.buffer, window.byteOffset + at - windowAt, RECORD_HEADER);
    const target = Number(view.getBigInt64(0, false));
    const size = Number(view.getBigInt64(8, false));
    if (target < 0) break;
    if (size <= 0 || target + size > Number.MAX_SAFE_INTEGER) {
      throw new CrashlabError(
        "bad-vmcore",
        `expected a record with bytes in a flattened dump at ${at}, found one of ${size} bytes for ${target}; copy the dump again`,
      );
    }
    targets.push(target);
    sizes.push(Math.min(size, file.size - at - RECORD_HEADER));
    sources.push(at + RECORD_HEADER);
    at += RECORD_HEADER + size;
  }
  const order = new Uint32Array(targets.length).map((_, index) => index);
  order.sort((a, b) => (targets[a] ?? 0) - (targets[b] ?? 0) || a - b);
  return {
    targets: Float64Array.from(targets),
    sizes: Float64Array.from(sizes),
    sources: Float64Array.from(sources),
    order,
    longest: sizes.reduce((most, size) => Math.max(most, size), 0),
  };
}

async function readRange(
  file: RangeReader,
  records: Records,
  size: number,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const { targets, sizes, sources, order, longest } = records;
  const end = Math.min(offset + length, size);
  const bytes = new Uint8Array(Math.max(0, end - offset));
  const touched: number[] = [];
  for (let at = firstFrom(records, offset - longest); at < order.length; at++) {
    const record = order[at] ?? 0;
    if ((targets[record] ?? 0) >= end) break;
    if ((targets[record] ?? 0) + (sizes[record] ?? 0) > offset) touched.push(record);
  }
  for (const record of touched.sort((a, b) => a - b)) {
    const target = targets[record] ?? 0;
    const from = Math.max(offset, target);
    const to = Math.min(end, target + (sizes[record] ?? 0));
    bytes.set(await file.read((sources[record] ?? 0) + from - target, to - from), from - offset);
  }
  return bytes;
}

/** Position in the order of the first record whose target is not below an offset. */
function firstFrom({ targets, order }: Records, offset: number): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((targets[order[middle] ?? 0] ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first bytes of a flattened stream. */
export function flattenedHeader(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FLATTENED_HEADER);
  bytes.set(new TextEncoder().encode(SIGNATURE));
  viewOf(bytes).setBigInt64(16, 1n, false);
  viewOf(bytes).setBigInt64(24, 1n, false);
  return bytes;
}

/** The header of one record; offset and size -1 end the stream. */
export function recordHeader(offset: number, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(RECORD_HEADER);
  viewOf(bytes).setBigInt64(0, BigInt(offset), false);
  viewOf(bytes).setBigInt64(8, BigInt(size), false);
  return bytes;
}
