/**
 * Writes a kdump-compressed dump, as makedumpfile does (see kdump_reader.ts for the layout; header version 6). Sizes
 * of packed pages must be known before the pages are written: they are kept as far as there is room for them, the
 * rest is packed twice. Pages of zeros are in the file once.
 */
import { deflatePage } from "#deflate";
import { COMPRESSION_FLAGS } from "./compression.ts";
import type { VmcoreOptions, VmcoreSource } from "./elf_writer.ts";
import { checkAborted } from "./elf_writer.ts";
import { isPrstatus } from "./notes.ts";
import { isZero } from "./page_filter.ts";
import { viewOf } from "./range_reader.ts";

const PAGE = 4096;
const DESCRIPTOR = 24;
const SUB_HEADER = 104;
/** Pages that are read at once: 1 MiB. */
const RUN = 256;
/** Bytes of packed pages that are kept between the two passes. */
const KEPT_PACKED = 64 << 20;

export interface KdumpWriteOptions extends VmcoreOptions {
  readonly compression: "zlib" | "none";
  readonly dumpLevel: number;
  /** 1 for each page that is left out. */
  readonly excluded: Uint8Array;
  /** struct new_utsname: six fields of 65 bytes. */
  readonly utsname: Uint8Array;
  readonly physBase: bigint;
}

interface Plan {
  readonly frames: number;
  readonly inRam: (frame: number) => boolean;
  readonly isKept: (frame: number) => boolean;
  readonly notes: Uint8Array;
  readonly subBlocks: number;
  readonly bitmapBlocks: number;
  readonly kept: number;
  /** 1 for a page of zeros after the first: its bytes are in the file already. */
  readonly repeated: Uint8Array;
  /** Pages packed in the first pass, for the second, and the first frame behind them. */
  readonly packed: Uint8Array<ArrayBuffer>[];
  packedTo: number;
  /** Pages that were read so far, in both passes. */
  read: number;
}

export async function* writeKdump(
  source: VmcoreSource,
  options: KdumpWriteOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const plan = makePlan(source, options);
  yield headers(source, options, plan);
  yield* bitmaps(plan);
  yield* describePages(source, options, plan);
  yield* pageBytes(source, options, plan);
}

function makePlan(source: VmcoreSource, options: KdumpWriteOptions): Plan {
  const ends = source.ram.map(({ start, length }) => Number(start + length) / PAGE);
  const frames = Math.max(0, ...ends);
  const ranges = source.ram.map(({ start, length }) => [Number(start) / PAGE, Number(start + length) / PAGE]);
  const inRam = (frame: number): boolean =>
    ranges.some(([low = 0, high = 0]) => frame >= low && frame < high);
  const isKept = (frame: number): boolean => inRam(frame) && options.excluded[frame] !== 1;
  const notes = join(source.notes);
  let kept = 0;
  for (let frame = 0; frame < frames; frame++) if (isKept(frame)) kept++;
  return {
    ...{ frames, inRam, isKept, notes, kept },
    ...{ repeated: new Uint8Array(frames), packed: [], packedTo: 0, read: 0 },
    subBlocks: Math.ceil((SUB_HEADER + notes.length) / PAGE),
    bitmapBlocks: 2 * Math.ceil(frames / 8 / PAGE),
  };
}

function headers(source: VmcoreSource, options: KdumpWriteOptions, plan: Plan): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array((1 + plan.subBlocks) * PAGE);
  const view = viewOf(bytes);
  bytes.set(new TextEncoder().encode("KDUMP   "));
  view.setInt32(8, 6, true);
  bytes.set(options.utsname.subarray(0, 390), 12);
  view.setUint32(424, COMPRESSION_FLAGS[options.compression], true);
  view.setInt32(428, PAGE, true);
  view.setInt32(432, plan.subBlocks, true);
  view.setUint32(436, plan.bitmapBlocks, true);
  view.setUint32(440, plan.frames, true);
  view.setUint32(456 + 4, source.notes.filter(isPrstatus).length, true); // nr_cpus
  view.setBigUint64(PAGE, BigInt.asUintN(64, options.physBase), true);
  view.setInt32(PAGE + 8, options.dumpLevel, true);
  const notes = PAGE + SUB_HEADER;
  const info = source.notes.at(-1) ?? new Uint8Array(0);
  // VMCOREINFO comes last; its text is behind a header of 12 bytes and a name of 12.
  const text = info.length < 24 ? 0 : viewOf(info).getUint32(4, true);
  view.setBigUint64(PAGE + 32, BigInt(notes + plan.notes.length - info.length + 24), true);
  view.setBigUint64(PAGE + 40, BigInt(text), true);
  view.setBigUint64(PAGE + 48, BigInt(notes), true);
  view.setBigUint64(PAGE + 56, BigInt(plan.notes.length), true);
  view.setBigUint64(PAGE + 96, BigInt(plan.frames), true);
  bytes.set(plan.notes, notes);
  return bytes;
}

/** Memory that exists, then pages in the file. */
function* bitmaps({ frames, bitmapBlocks, inRam, isKept }: Plan): Generator<Uint8Array<ArrayBuffer>> {
  for (const has of [inRam, isKept]) {
    const bitmap = new Uint8Array((bitmapBlocks / 2) * PAGE);
    for (let frame = 0; frame < frames; frame++) {
      if (has(frame)) bitmap[frame >> 3] = (bitmap[frame >> 3] ?? 0) | (1 << (frame & 7));
    }
    yield bitmap;
  }
}

/** Pages in the file that follow each other in memory, at most a chunk of them. */
interface Run {
  readonly first: number;
  readonly count: number;
}

function* runs({ frames, isKept }: Plan, from: number): Generator<Run> {
  for (let first = from; first < frames; ) {
    let count = 0;
    while (count < RUN && first + count < frames && isKept(first + count)) count++;
    if (count > 0) yield { first, count };
    first += Math.max(count, 1);
  }
}

/** Reads runs one after another, telling how far it is: it goes over all pages twice. */
function* readRuns(
  source: VmcoreSource,
  { signal, onProgress }: KdumpWriteOptions,
  plan: Plan,
  from: number,
): Generator<Run & { readonly bytes: Uint8Array<ArrayBuffer> }> {
  for (const run of runs(plan, from)) {
    checkAborted(signal);
    yield { ...run, bytes: source.readPhysical(BigInt(run.first * PAGE), run.count * PAGE) };
    plan.read += run.count;
    onProgress?.({ done: plan.read * PAGE, total: 2 * plan.kept * PAGE });
  }
}

interface PackedPage {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly flags: number;
}

function packPage(page: Uint8Array<ArrayBuffer>, compression: KdumpWriteOptions["compression"]): PackedPage {
  const packed = compression === "none" ? page : deflatePage(page);
  return packed.length < PAGE
    ? { bytes: packed, flags: COMPRESSION_FLAGS[compression] }
    : { bytes: page, flags: 0 };
}

/** Each page's place, size and packing. What was packed for that is kept in the plan, as far as there is room. */
function* describePages(
  source: VmcoreSource,
  options: KdumpWriteOptions,
  plan: Plan,
): Generator<Uint8Array<ArrayBuffer>> {
  const { compression } = options;
  let at = (1 + plan.subBlocks + plan.bitmapBlocks) * PAGE + plan.kept * DESCRIPTOR;
  let zero: { readonly at: number; readonly page: PackedPage } | undefined;
  let room = compression === "none" ? 0 : KEPT_PACKED;
  for (const { first, count, bytes } of readRuns(source, options, plan, 0)) {
    const descriptors = new Uint8Array(count * DESCRIPTOR);
    const view = viewOf(descriptors);
    const packed: Uint8Array<ArrayBuffer>[] = [];
    for (let index = 0; index < count; index++) {
      const page = bytes.subarray(index * PAGE, (index + 1) * PAGE);
      const empty = isZero(page);
      const known = empty ? zero : undefined;
      const each = known?.page ?? packPage(page, compression);
      view.setBigUint64(index * DESCRIPTOR, BigInt(known?.at ?? at), true);
      view.setUint32(index * DESCRIPTOR + 8, each.bytes.length, true);
      view.setUint32(index * DESCRIPTOR + 12, each.flags, true);
      if (known !== undefined) {
        plan.repeated[first + index] = 1;
        continue;
      }
      if (empty) zero = { at, page: each };
      packed.push(each.bytes);
      at += each.bytes.length;
    }
    if (room > 0) {
      const joined = join(packed);
      room -= joined.length;
      plan.packed.push(joined);
      plan.packedTo = first + count;
    }
    yield descriptors;
  }
}

function* pageBytes(
  source: VmcoreSource,
  options: KdumpWriteOptions,
  plan: Plan,
): Generator<Uint8Array<ArrayBuffer>> {
  for (let part = plan.packed.shift(); part !== undefined; part = plan.packed.shift()) {
    checkAborted(options.signal);
    if (part.length > 0) yield part;
  }
  for (const { first, count, bytes } of readRuns(source, options, plan, plan.packedTo)) {
    const repeated = plan.repeated.subarray(first, first + count);
    if (options.compression === "none" && !repeated.includes(1)) {
      yield bytes;
      continue;
    }
    const pages = Array.from({ length: count }, (_, index) =>
      bytes.subarray(index * PAGE, (index + 1) * PAGE),
    );
    const wanted = pages.filter((_, index) => repeated[index] === 0);
    const joined = join(wanted.map((page) => packPage(page, options.compression).bytes));
    if (joined.length > 0) yield joined;
  }
  options.onProgress?.({ done: 2 * plan.kept * PAGE, total: 2 * plan.kept * PAGE });
}

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
