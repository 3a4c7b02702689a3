/**
 * Writes a kdump-compressed dump, as makedumpfile does (see kdump_reader.ts for the layout; header version 6). Sizes
 * of packed pages must be known before the pages are written: they are kept as far as there is room for them, the
 * rest is packed twice. Pages of zeros are in the file once.
 */
import { zlibSync } from "fflate";
import { COMPRESSION_FLAGS } from "./compression.ts";
import type { VmcoreOptions, VmcoreSource } from "./elf_writer.ts";
import { checkAborted } from "./elf_writer.ts";
import { isPrstatus } from "./notes.ts";
import { isZero } from "./page_filter.ts";
import { viewOf } from "./range_reader.ts";

const PAGE = 4096;
const DESCRIPTOR = 24;
const SUB_HEADER = 104;
const CHUNK = 1 << 20;
const ZLIB_LEVEL = 1;
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
  /** Pages packed in the first pass, for the second. */
  readonly packed: Map<number, PackedPage>;
}

export async function* writeKdump(
  source: VmcoreSource,
  options: KdumpWriteOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const plan = makePlan(source, options);
  const descriptors = (1 + plan.subBlocks + plan.bitmapBlocks) * PAGE;
  const data = descriptors + plan.kept * DESCRIPTOR;
  // Twice over the pages: once for their sizes, once for their bytes.
  const total = data + plan.kept * PAGE;
  let done = 0;
  const count = (bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => {
    done += bytes.length;
    options.onProgress?.({ done: Math.min(done, total), total });
    return bytes;
  };
  yield count(headers(source, options, plan));
  yield* inChunks(bitmaps(plan), count);
  yield* inChunks(describePages(source, options, plan, data), count);
  yield* inChunks(pageBytes(source, options, plan), count);
  options.onProgress?.({ done: total, total });
}

function makePlan(source: VmcoreSource, options: KdumpWriteOptions): Plan {
  const ends = source.ram.map(({ start, length }) => Number(start + length) / PAGE);
  const frames = Math.max(0, ...ends);
  const ranges = source.ram.map(({ start, length }) => [Number(start) / PAGE, Number(start + length) / PAGE]);
  const inRam = (frame: number): boolean =>
    ranges.some(([low = 0, high = 0]) => frame >= low && frame < high);
  const isKept = (frame: number): boolean => inRam(frame) && options.excluded[frame] !== 1;
  const size = source.notes.reduce((sum, note) => sum + note.length, 0);
  const notes = new Uint8Array(size);
  let at = 0;
  for (const note of source.notes) {
    notes.set(note, at);
    at += note.length;
  }
  let kept = 0;
  for (let frame = 0; frame < frames; frame++) if (isKept(frame)) kept++;
  return {
    ...{ frames, inRam, isKept, notes, kept, packed: new Map() },
    subBlocks: Math.ceil((SUB_HEADER + size) / PAGE),
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
function* bitmaps({ frames, bitmapBlocks, inRam, isKept }: Plan): Generator<Uint8Array> {
  for (const has of [inRam, isKept]) {
    const bitmap = new Uint8Array((bitmapBlocks / 2) * PAGE);
    for (let frame = 0; frame < frames; frame++) {
      if (has(frame)) bitmap[frame >> 3] = (bitmap[frame >> 3] ?? 0) | (1 << (frame & 7));
    }
    yield bitmap;
  }
}

interface PackedPage {
  readonly bytes: Uint8Array;
  readonly flags: number;
  readonly zero: boolean;
  /** A page of zeros after the first: its bytes are in the file already. */
  readonly again: boolean;
}

function* packedPages(
  source: VmcoreSource,
  options: KdumpWriteOptions,
  plan: Plan,
  kept: number,
): Generator<PackedPage> {
  let zero: PackedPage | undefined;
  let room = kept;
  for (let frame = 0; frame < plan.frames; frame++) {
    if (!plan.isKept(frame)) continue;
    checkAborted(options.signal);
    const before = plan.packed.get(frame);
    if (before !== undefined) {
      plan.packed.delete(frame);
      yield before;
      continue;
    }
    const page = source.readPhysical(BigInt(frame * PAGE), PAGE);
    const empty = isZero(page);
    if (empty && zero !== undefined) {
      yield zero;
      continue;
    }
    const packed = options.compression === "zlib" ? zlibSync(page, { level: ZLIB_LEVEL }) : page;
    const smaller = packed.length < PAGE;
    const flags = smaller ? COMPRESSION_FLAGS[options.compression] : 0;
    const result = { bytes: smaller ? packed : page, flags, zero: empty, again: false };
    if (empty) zero = { ...result, again: true };
    else if (smaller && room > 0) {
      room -= packed.length;
      plan.packed.set(frame, result);
    }
    yield result;
  }
}

function* describePages(
  source: VmcoreSource,
  options: KdumpWriteOptions,
  plan: Plan,
  data: number,
): Generator<Uint8Array> {
  let at = data;
  let zeroAt = 0;
  for (const page of packedPages(source, options, plan, KEPT_PACKED)) {
    const descriptor = new Uint8Array(DESCRIPTOR);
    const view = viewOf(descriptor);
    view.setBigUint64(0, BigInt(page.again ? zeroAt : at), true);
    view.setUint32(8, page.bytes.length, true);
    view.setUint32(12, page.flags, true);
    if (!page.again) {
      if (page.zero) zeroAt = at;
      at += page.bytes.length;
    }
    yield descriptor;
  }
}

function* pageBytes(source: VmcoreSource, options: KdumpWriteOptions, plan: Plan): Generator<Uint8Array> {
  for (const page of packedPages(source, options, plan, 0)) if (!page.again) yield page.bytes;
}

/** Small pieces put together to ones of up to 1 MiB. */
async function* inChunks(
  pieces: Iterable<Uint8Array>,
  count: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  let chunk = new Uint8Array(CHUNK);
  let filled = 0;
  for (const piece of pieces) {
    for (let done = 0; done < piece.length; ) {
      const part = piece.subarray(done, done + CHUNK - filled);
      chunk.set(part, filled);
      filled += part.length;
      done += part.length;
      if (filled < CHUNK) continue;
      yield count(chunk);
      chunk = new Uint8Array(CHUNK);
      filled = 0;
    }
  }
  if (filled > 0) yield count(chunk.slice(0, filled));
}
