/**
 * kdump-compressed dumps ("diskdump" format), as makedumpfile and QEMU write them. Blocks of a page each: header,
 * sub-header, two bitmaps (memory that exists; pages in the file), a descriptor for each page in the file, then the
 * pages, packed one by one. Mirrors makedumpfile's IMPLEMENTATION and diskdump_mod.h. The bitmap is read a piece at
 * a time, with the number of pages before each piece.
 */
import { CrashlabError } from "../error.ts";
import { compression, type PageCompression, unpackPage } from "./compression.ts";
import type { DumpFile } from "./dump_file.ts";
import { parseNotes } from "./elf_reader.ts";
import { type RangeReader, readExactly, viewOf } from "./range_reader.ts";

const HEADER_SIZE = 464;
const SUB_HEADER_SIZE = 104;
const DESCRIPTOR = 24;
const PIECE = 4096;
const PAGE = 4096;
const NOTES_LIMIT = 16 << 20;
/** Descriptors that are looked at to see whether the file is whole. */
const LAST_PAGES = 4096;
/** DUMP_DH_COMPRESSED_INCOMPLETE: the disk was full before all pages were written. */
const INCOMPLETE = 8;

/** Opens a kdump-compressed dump. Throws `bad-vmcore` when its headers do not fit together. */
export async function openKdumpCompressed(reader: RangeReader): Promise<Omit<DumpFile, "flattened">> {
  const header = viewOf(await readExactly(reader, 0, HEADER_SIZE, "a kdump header"));
  const version = header.getInt32(8, true);
  const blockSize = header.getInt32(428, true);
  const subBlocks = header.getInt32(432, true);
  const bitmapBlocks = header.getUint32(436, true);
  if (blockSize !== PAGE || subBlocks < 1 || subBlocks > 4096 || bitmapBlocks === 0) {
    throw bad(
      `blocks of ${PAGE} bytes with a sub-header and bitmaps`,
      `${blockSize} bytes, ${subBlocks} and ${bitmapBlocks} blocks`,
    );
  }
  const sub = viewOf(await readExactly(reader, PAGE, SUB_HEADER_SIZE, "a kdump sub-header"));
  if (version >= 2 && sub.getInt32(12, true) !== 0) {
    throw new CrashlabError(
      "bad-vmcore",
      "expected a whole dump, found a part of one that was split; put the parts together with makedumpfile --reassemble",
    );
  }
  const problems: string[] = [];
  if ((header.getUint32(424, true) & INCOMPLETE) !== 0)
    problems.push("the dump says of itself that it is incomplete");
  const bitmapAt = (1 + subBlocks) * PAGE;
  const maxFrame = version >= 6 ? Number(sub.getBigUint64(96, true)) : header.getUint32(440, true);
  // Since version 1 the second half is the map of the pages in the file; before, there was one map only.
  const half = (bitmapBlocks * PAGE) / 2;
  const frames = Math.min(maxFrame, half * 8);
  if (frames < maxFrame) problems.push(`the bitmaps have room for ${frames} of ${maxFrame} pages`);
  const pages = await PageMap.read(reader, bitmapAt + half, frames);
  const descriptors = bitmapAt + bitmapBlocks * PAGE;
  if (descriptors + pages.count * DESCRIPTOR > reader.size)
    problems.push("page descriptors end behind the file's end: the dump is incomplete");
  else if ((await lastByte(reader, descriptors, pages.count)) > reader.size)
    problems.push("pages end behind the file's end: the dump is incomplete");
  const notes = version >= 4 ? await readNotes(reader, sub, 48, problems) : new Uint8Array(0);
  const parsed = parseNotes(notes, problems);
  if (version >= 3 && !parsed.some((note) => note.name === "VMCOREINFO")) {
    const description = await readNotes(reader, sub, 32, problems);
    if (description.length > 0) parsed.push({ name: "VMCOREINFO", type: 0, description });
  }
  return {
    format: "kdump-compressed",
    dumpLevel: version >= 1 ? sub.getInt32(8, true) : undefined,
    notes: parsed,
    segments: [],
    physBase: version >= 2 ? sub.getBigUint64(0, true) : undefined,
    problems,
    async readPage(frame) {
      const rank = await pages.rank(frame);
      if (rank === undefined) return undefined;
      const at = descriptors + rank * DESCRIPTOR;
      if (at + DESCRIPTOR > reader.size) return undefined;
      const descriptor = viewOf(await readExactly(reader, at, DESCRIPTOR, "a page descriptor"));
      const offset = Number(descriptor.getBigUint64(0, true));
      const size = descriptor.getUint32(8, true);
      // A page that was not written any more, as in a dump cut short by a full disk.
      if (offset === 0 || size === 0 || offset + size > reader.size) return undefined;
      const way = compression(descriptor.getUint32(12, true));
      if (size > PAGE || way === undefined)
        throw bad(`page ${frame} of at most ${PAGE} bytes, packed in a known way`, `${size} bytes`);
      return unpack(await readExactly(reader, offset, size, `page ${frame}`), way, frame);
    },
  };
}

/** Where the last pages end; those of zeros are somewhere before. */
async function lastByte(reader: RangeReader, descriptors: number, count: number): Promise<number> {
  const last = Math.min(count, LAST_PAGES);
  const view = viewOf(await reader.read(descriptors + (count - last) * DESCRIPTOR, last * DESCRIPTOR));
  let end = 0;
  for (let at = 0; at + DESCRIPTOR <= view.byteLength; at += DESCRIPTOR) {
    end = Math.max(end, Number(view.getBigUint64(at, true)) + view.getUint32(at + 8, true));
  }
  return end;
}

function unpack(packed: Uint8Array, way: PageCompression, frame: number): Uint8Array {
  const page = unpackPage(packed, way, PAGE);
  if (page === undefined) throw bad(`page ${frame} packed with ${way}`, "damage");
  return page;
}

async function readNotes(
  reader: RangeReader,
  sub: DataView,
  field: number,
  problems: string[],
): Promise<Uint8Array> {
  const offset = Number(sub.getBigUint64(field, true));
  const size = Number(sub.getBigUint64(field + 8, true));
  if (offset === 0 || size === 0) return new Uint8Array(0);
  if (offset + size > reader.size) problems.push(`notes of ${size} bytes end behind the file's end`);
  return reader.read(offset, Math.min(size, NOTES_LIMIT));
}

/** Which pages are in the file, and how many come before one. */
class PageMap {
  readonly count: number;
  readonly #reader: RangeReader;
  readonly #at: number;
  readonly #frames: number;
  /** Pages before each piece of the map. */
  readonly #before: Float64Array;
  #piece: { readonly index: number; readonly bytes: Uint8Array } | undefined;

  private constructor(reader: RangeReader, at: number, frames: number, before: Float64Array) {
    this.#reader = reader;
    this.#at = at;
    this.#frames = frames;
    this.#before = before;
    this.count = before.at(-1) ?? 0;
  }

  static async read(reader: RangeReader, at: number, frames: number): Promise<PageMap> {
    const size = Math.ceil(frames / 8);
    if (at + size > reader.size) throw bad(`a bitmap of ${size} bytes at ${at}`, `a file of ${reader.size}`);
    const pieces = Math.ceil(size / PIECE);
    const before = new Float64Array(pieces + 1);
    for (let index = 0; index < pieces; index++) {
      const bytes = await reader.read(at + index * PIECE, Math.min(PIECE, size - index * PIECE));
      before[index + 1] = (before[index] ?? 0) + countBits(bytes, bytes.length * 8);
    }
    return new PageMap(reader, at, frames, before);
  }

  /** How many pages of the file come before this one; undefined when it is not there itself. */
  async rank(frame: number): Promise<number | undefined> {
    if (frame < 0 || frame >= this.#frames) return undefined;
    const index = Math.floor(frame / (PIECE * 8));
    if (this.#piece?.index !== index) {
      const bytes = await this.#reader.read(this.#at + index * PIECE, PIECE);
      this.#piece = { index, bytes };
    }
    const { bytes } = this.#piece;
    const bit = frame - index * PIECE * 8;
    if (((bytes[bit >> 3] ?? 0) & (1 << (bit & 7))) === 0) return undefined;
    return (this.#before[index] ?? 0) + countBits(bytes, bit);
  }
}

const BITS = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll("0", "").length);

/** Set bits among the first `limit`. */
function countBits(bytes: Uint8Array, limit: number): number {
  let count = 0;
  const whole = limit >> 3;
  for (let at = 0; at < whole; at++) count += BITS[bytes[at] ?? 0] ?? 0;
  if ((limit & 7) !== 0) count += BITS[(bytes[whole] ?? 0) & ((1 << (limit & 7)) - 1)] ?? 0;
  return count;
}

function bad(expected: string, found: string): CrashlabError {
  return new CrashlabError(
    "bad-vmcore",
    `expected ${expected} in a kdump-compressed dump, found ${found}; copy the dump again`,
  );
}
