/**
 * xz streams of LZMA2 blocks with or without the x86 branch filter, as the kernel's build makes them.
 * Mirrors The .xz File Format 1.2.1 and its x86 BCJ filter. CRC-32 checks are verified.
 */
import { CrashlabError } from "../../error.ts";
import { unpackLzma2 } from "./lzma2.ts";

const FOOTER_MAGIC = [0x59, 0x5a];
const HEADER_SIZE = 12;
const FOOTER_SIZE = 12;
const FILTER_X86 = 0x04;
const FILTER_LZMA2 = 0x21;
const CHECK_CRC32 = 1;
/** Bytes of the check field by check type (section 2.1.1.2). */
const CHECK_SIZES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];

interface BlockHeader {
  readonly size: number;
  readonly x86: boolean;
}

export function unpackXz(stream: Uint8Array, size: number): Uint8Array {
  const checkType = (stream[7] ?? 0) & 15;
  const checkSize = CHECK_SIZES[checkType] ?? 0;
  const output = new Uint8Array(size);
  let at = HEADER_SIZE;
  let filled = 0;
  for (const record of readIndex(stream)) {
    const header = readBlockHeader(stream, at);
    const dataEnd = at + record.unpaddedSize - checkSize;
    if (dataEnd + checkSize > stream.length || dataEnd < at + header.size)
      throw bad("a block inside the stream", `one of ${record.unpaddedSize} bytes`);
    if (record.size > size - filled) throw bad(`${size} unpacked bytes`, `at least ${filled + record.size}`);
    const unpacked = output.subarray(filled, filled + record.size);
    unpackLzma2(stream.subarray(at + header.size, dataEnd), unpacked);
    if (header.x86) undoX86Filter(unpacked);
    if (checkType === CHECK_CRC32 && crc32(unpacked) !== readU32(stream, align4(dataEnd))) {
      throw bad("the CRC-32 that the block names", "another");
    }
    filled += record.size;
    at += align4(record.unpaddedSize);
  }
  return output.subarray(0, filled);
}

interface IndexRecord {
  readonly unpaddedSize: number;
  readonly size: number;
}

/** The index before the footer lists the sizes of all blocks. */
function readIndex(stream: Uint8Array): IndexRecord[] {
  const footer = stream.length - FOOTER_SIZE;
  if (footer < HEADER_SIZE || !FOOTER_MAGIC.every((byte, i) => stream[footer + 10 + i] === byte)) {
    throw bad("a stream footer YZ", "none");
  }
  const start = footer - (readU32(stream, footer + 4) + 1) * 4;
  if (start < HEADER_SIZE || stream[start] !== 0) throw bad("an index before the footer", "none");
  const cursor = { at: start + 1 };
  const count = readNumber(stream, cursor);
  const records: IndexRecord[] = [];
  for (let i = 0; i < count && cursor.at < footer; i++) {
    records.push({ unpaddedSize: readNumber(stream, cursor), size: readNumber(stream, cursor) });
  }
  if (records.length !== count) throw bad(`${count} index records`, `${records.length}`);
  return records;
}

function readBlockHeader(stream: Uint8Array, at: number): BlockHeader {
  const size = ((stream[at] ?? 0) + 1) * 4;
  const flags = stream[at + 1] ?? 0;
  const cursor = { at: at + 2 };
  if ((flags & 0x40) !== 0) readNumber(stream, cursor);
  if ((flags & 0x80) !== 0) readNumber(stream, cursor);
  let x86 = false;
  let lzma2 = false;
  for (let i = 0; i <= (flags & 3); i++) {
    const filter = readNumber(stream, cursor);
    const properties = readNumber(stream, cursor);
    if (filter === FILTER_X86 && properties === 0) x86 = true;
    else if (filter === FILTER_LZMA2 && properties === 1) lzma2 = true;
    else throw bad("the filters x86 and LZMA2", `filter ${filter} with ${properties} bytes of properties`);
    cursor.at += properties;
  }
  if (!lzma2) throw bad("an LZMA2 filter", "none");
  return { size, x86 };
}

/**
 * Turns the absolute targets of CALL and JMP (E8h, E9h) back into relative ones. An operand was converted
 * only if its top byte is 00 or FF and the opcode-like bytes just before it do not make it suspicious;
 * `recent` has a bit for each of the last three bytes that looked like an opcode.
 */
export function undoX86Filter(code: Uint8Array): void {
  const isSign = (byte: number): boolean => byte === 0 || byte === 0xff;
  const distanceOf = [0, 1, 2, 2, 3, 3, 3, 3];
  let recent = 0;
  let last = -5;
  for (let i = 0; i + 4 < code.length; i++) {
    if (((code[i] ?? 0) & 0xfe) !== 0xe8) continue;
    const gap = i - last;
    last = i;
    recent = gap > 3 ? 0 : (recent << (gap - 1)) & 7;
    const distance = distanceOf[recent] ?? 0;
    const suspicious = recent === 3 || recent > 4 || (recent !== 0 && isSign(code[i + 4 - distance] ?? 0));
    if (suspicious || !isSign(code[i + 4] ?? 0)) {
      recent = (recent << 1) | 1;
      continue;
    }
    let operand = readU32(code, i + 1);
    let target = (operand - (i + 5)) >>> 0;
    while (recent !== 0) {
      const shift = distance * 8;
      if (!isSign((target >>> (24 - shift)) & 0xff)) break;
      operand = (target ^ (shift === 0 ? 0xffffffff : 2 ** (32 - shift) - 1)) >>> 0;
      target = (operand - (i + 5)) >>> 0;
    }
    const extended = ((target & 0x01ffffff) | ((target & 0x01000000) !== 0 ? 0xfe000000 : 0)) >>> 0;
    code.set(u32Bytes(extended), i + 1);
    i += 4;
  }
}

/** A number of 7 bits a byte, low first; the top bit says more follows. */
function readNumber(bytes: Uint8Array, cursor: { at: number }): number {
  let value = 0;
  for (let shift = 0; shift < 49; shift += 7) {
    const byte = bytes[cursor.at++];
    if (byte === undefined) break;
    value += (byte & 0x7f) * 2 ** shift;
    if ((byte & 0x80) === 0) return value;
  }
  throw bad("a number of at most seven bytes", "more");
}

function readU32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24)) >>>
    0
  );
}

function u32Bytes(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

function align4(value: number): number {
  return Math.ceil(value / 4) * 4;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = (value & 1) !== 0 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0);
  return (crc ^ 0xffffffff) >>> 0;
}

function bad(expected: string, found: string): CrashlabError {
  return new CrashlabError(
    "bad-kernel",
    `expected ${expected} in the xz stream, found ${found}; the file is damaged`,
  );
}
