/**
 * ELF vmcores, as kdump's /proc/vmcore, `makedumpfile -E` and QEMU's dump-guest-memory write them. Mirrors the
 * System V gABI, chapters 4 and 5. Segments may share bytes, and may be longer in memory than in the file.
 */
import { CrashlabError } from "../error.ts";
import type { DumpFile, DumpNote, DumpSegment } from "./dump_file.ts";
import { type RangeReader, readExactly, viewOf } from "./range_reader.ts";

const ET_CORE = 4;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_NOTE = 4;
/** e_phnum when the real number is in the first section header. */
const PN_XNUM = 0xffff;
const PHDR_SIZE = 56;
const SEGMENT_LIMIT = 1 << 16;
/** Notes of more bytes are damage: a CPU has 356, and VMCOREINFO at most a page. */
const NOTES_LIMIT = 16 << 20;
const PAGE = 4096;

interface Segment extends DumpSegment {
  readonly start: number;
  readonly memory: number;
  readonly offset: number;
  readonly file: number;
}

/** Opens an ELF vmcore. Throws `bad-vmcore` when its headers are not those of one. */
export async function openElfDump(reader: RangeReader): Promise<Omit<DumpFile, "flattened">> {
  const header = viewOf(await readExactly(reader, 0, 64, "an ELF header"));
  const kind = header.getUint16(16, true);
  const machine = header.getUint16(18, true);
  if (header.getUint8(4) !== 2 || header.getUint8(5) !== 1 || kind !== ET_CORE || machine !== EM_X86_64) {
    throw new CrashlabError(
      "bad-vmcore",
      `expected a 64-bit little-endian ELF core file of x86-64, found class ${header.getUint8(4)}, type ${kind}, machine ${machine}; give a vmcore`,
    );
  }
  const count = await programHeaders(reader, header);
  const table = viewOf(
    await readExactly(
      reader,
      Number(header.getBigUint64(32, true)),
      count * PHDR_SIZE,
      "its program headers",
    ),
  );
  const problems: string[] = [];
  const segments: Segment[] = [];
  const notes: DumpNote[] = [];
  for (let index = 0; index < count; index++) {
    const at = index * PHDR_SIZE;
    const number = (field: number): number => Number(table.getBigUint64(at + field, true));
    const type = table.getUint32(at, true);
    const offset = number(8);
    const size = number(32);
    if (type === PT_NOTE) {
      if (size > NOTES_LIMIT) problems.push(`notes of ${size} bytes are too long; read as far as sensible`);
      notes.push(...parseNotes(await reader.read(offset, Math.min(size, NOTES_LIMIT)), problems));
    }
    if (type !== PT_LOAD) continue;
    if (offset + size > reader.size) {
      problems.push(
        `segment ${index} ends at ${offset + size}, behind the file's end at ${reader.size}: the dump is incomplete`,
      );
    }
    const memory = Math.max(number(40), size);
    const virtual = table.getBigUint64(at + 16, true);
    const physical = table.getBigUint64(at + 24, true);
    segments.push({
      ...{ virtual, physical, length: BigInt(memory) },
      ...{ start: Number(physical), memory, offset, file: size },
    });
  }
  return {
    format: "elf",
    dumpLevel: undefined,
    notes,
    segments,
    physBase: undefined,
    problems,
    readPage: (frame) => readPage(reader, segments, frame),
  };
}

async function programHeaders(reader: RangeReader, header: DataView): Promise<number> {
  let count = header.getUint16(56, true);
  if (count === PN_XNUM) {
    const at = Number(header.getBigUint64(40, true));
    count = viewOf(await readExactly(reader, at, 64, "the section header with their number")).getUint32(
      44,
      true,
    );
  }
  if (header.getUint16(54, true) !== PHDR_SIZE || count === 0 || count > SEGMENT_LIMIT) {
    throw new CrashlabError(
      "bad-vmcore",
      `expected 1 to ${SEGMENT_LIMIT} program headers of ${PHDR_SIZE} bytes, found ${count} of ${header.getUint16(54, true)}; copy the dump again`,
    );
  }
  return count;
}

/** Bytes of a page from the segments that it touches; undefined when none has all of what exists of it. */
async function readPage(
  reader: RangeReader,
  segments: readonly Segment[],
  frame: number,
): Promise<Uint8Array | undefined> {
  const start = frame * PAGE;
  const whole = segments.find((each) => start >= each.start && start + PAGE <= each.start + each.memory);
  if (whole !== undefined) return readPart(reader, whole, start, PAGE);
  const parts = segments.filter((each) => start < each.start + each.memory && start + PAGE > each.start);
  if (parts.length === 0) return undefined;
  const page = new Uint8Array(PAGE);
  for (const part of parts) {
    const from = Math.max(start, part.start);
    const bytes = await readPart(reader, part, from, Math.min(start + PAGE, part.start + part.memory) - from);
    if (bytes === undefined) return undefined;
    page.set(bytes, from - start);
  }
  return page;
}

/** Memory behind a segment's bytes in the file is zero: makedumpfile leaves such pages out. */
async function readPart(
  reader: RangeReader,
  segment: Segment,
  start: number,
  length: number,
): Promise<Uint8Array | undefined> {
  const at = start - segment.start;
  const inFile = Math.max(0, Math.min(length, segment.file - at));
  const bytes = inFile > 0 ? await reader.read(segment.offset + at, inFile) : new Uint8Array(0);
  if (bytes.length !== inFile) return undefined;
  if (inFile === length) return bytes;
  const padded = new Uint8Array(length);
  padded.set(bytes);
  return padded;
}

/** The notes of a segment, as many as are whole. */
export function parseNotes(bytes: Uint8Array, problems: string[]): DumpNote[] {
  const notes: DumpNote[] = [];
  const view = viewOf(bytes);
  const pad = (size: number): number => Math.ceil(size / 4) * 4;
  for (let at = 0; at + 12 <= bytes.length; ) {
    const nameSize = view.getUint32(at, true);
    const size = view.getUint32(at + 4, true);
    const type = view.getUint32(at + 8, true);
    if (nameSize === 0 && size === 0) break;
    const description = at + 12 + pad(nameSize);
    if (description + size > bytes.length) {
      problems.push(`a note of ${size} bytes ends behind the notes' end`);
      break;
    }
    const name = new TextDecoder("latin1").decode(
      bytes.subarray(at + 12, at + 12 + Math.max(0, nameSize - 1)),
    );
    notes.push({ name, type, description: bytes.slice(description, description + size) });
    at = description + pad(size);
  }
  return notes;
}
