/**
 * The loadable view of an ELF executable: class, entry, PT_LOAD segments by physical address, PVH note.
 * Mirrors the System V gABI chapters 4 and 5. Everything in the file is untrusted.
 */
import { CrashlabError } from "../../error.ts";
import { hex, type MemoryPiece } from "./boot_image.ts";

export interface ElfSegment extends MemoryPiece {
  readonly virtualAddress: bigint;
  /** Bytes in memory; those past `bytes` are zero. */
  readonly memorySize: number;
}

export interface ElfImage {
  readonly bits: 32 | 64;
  /** Machine the code is for: 62 x86-64, 3 i386. */
  readonly machine: number;
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  /** Physical 32-bit entry of the PVH protocol, if a note names one. */
  readonly pvhEntry: number | undefined;
}

const PT_LOAD = 1;
const PT_NOTE = 4;
const ET_EXEC = 2;
const ET_DYN = 3;
const XEN_ELFNOTE_PHYS32_ENTRY = 18;
export const MACHINE_I386 = 3;
export const MACHINE_X86_64 = 62;

export function isElf(bytes: Uint8Array): boolean {
  return (
    bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46
  );
}

/** Reads the headers of an executable for x86. */
export function parseElfImage(bytes: Uint8Array): ElfImage {
  if (!isElf(bytes)) throw bad("the ELF signature 7f 45 4c 46", describeStart(bytes));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bits = bytes[4] === 2 ? 64 : bytes[4] === 1 ? 32 : undefined;
  if (bits === undefined) throw bad("ELF class 1 or 2", `class ${bytes[4]}`);
  if (bytes[5] !== 1) throw bad("a little-endian ELF file", `data encoding ${bytes[5]}`);
  const headerSize = bits === 64 ? 64 : 52;
  if (bytes.length < headerSize)
    throw bad(`an ELF header of ${headerSize} bytes`, `a file of ${bytes.length} bytes`);
  const type = view.getUint16(16, true);
  if (type !== ET_EXEC && type !== ET_DYN) throw bad("an executable (ET_EXEC or ET_DYN)", `ELF type ${type}`);
  const machine = view.getUint16(18, true);
  if (machine !== MACHINE_X86_64 && machine !== MACHINE_I386)
    throw bad("code for x86-64 or i386", `machine ${machine}`);
  const entry = bits === 64 ? view.getBigUint64(24, true) : BigInt(view.getUint32(24, true));
  const tableAt = bits === 64 ? Number(view.getBigUint64(32, true)) : view.getUint32(28, true);
  const entrySize = view.getUint16(bits === 64 ? 54 : 42, true);
  const count = view.getUint16(bits === 64 ? 56 : 44, true);
  const wanted = bits === 64 ? 56 : 32;
  if (entrySize !== wanted) throw bad(`program headers of ${wanted} bytes`, `${entrySize} bytes`);
  if (tableAt + count * entrySize > bytes.length)
    throw bad("program headers inside the file", `a table at ${hex(tableAt)}`);
  const segments: ElfSegment[] = [];
  let pvhEntry: number | undefined;
  for (let i = 0; i < count; i++) {
    const header = readProgramHeader(view, tableAt + i * entrySize, bits);
    if (header.type !== PT_LOAD && header.type !== PT_NOTE) continue;
    if (header.offset + header.fileSize > bytes.length) {
      throw bad(
        `segment ${i} inside the file of ${bytes.length} bytes`,
        `${header.fileSize} bytes at ${hex(header.offset)}`,
      );
    }
    const content = bytes.subarray(header.offset, header.offset + header.fileSize);
    if (header.type === PT_NOTE) pvhEntry ??= findPvhEntry(content);
    else if (header.memorySize > 0) {
      if (header.fileSize > header.memorySize) {
        throw bad(
          `segment ${i} no longer in the file than in memory`,
          `${header.fileSize} > ${header.memorySize} bytes`,
        );
      }
      if (header.physical + header.memorySize > 2 ** 40)
        throw bad("segments below 1 TiB", hex(header.physical));
      segments.push({
        address: header.physical,
        virtualAddress: header.virtual,
        bytes: content,
        memorySize: header.memorySize,
      });
    }
  }
  if (segments.length === 0) throw bad("at least one PT_LOAD segment", "none");
  return { bits, machine, entry, segments, pvhEntry };
}

interface ProgramHeader {
  readonly type: number;
  readonly offset: number;
  readonly virtual: bigint;
  readonly physical: number;
  readonly fileSize: number;
  readonly memorySize: number;
}

function readProgramHeader(view: DataView, at: number, bits: 32 | 64): ProgramHeader {
  const type = view.getUint32(at, true);
  if (bits === 64) {
    return {
      type,
      offset: Number(view.getBigUint64(at + 8, true)),
      virtual: view.getBigUint64(at + 16, true),
      physical: Number(view.getBigUint64(at + 24, true)),
      fileSize: Number(view.getBigUint64(at + 32, true)),
      memorySize: Number(view.getBigUint64(at + 40, true)),
    };
  }
  return {
    type,
    offset: view.getUint32(at + 4, true),
    virtual: BigInt(view.getUint32(at + 8, true)),
    physical: view.getUint32(at + 12, true),
    fileSize: view.getUint32(at + 16, true),
    memorySize: view.getUint32(at + 20, true),
  };
}

/** Walks notes for Xen's PHYS32_ENTRY. */
function findPvhEntry(notes: Uint8Array): number | undefined {
  const view = new DataView(notes.buffer, notes.byteOffset, notes.byteLength);
  let at = 0;
  while (at + 12 <= notes.length) {
    const nameSize = view.getUint32(at, true);
    const size = view.getUint32(at + 4, true);
    const type = view.getUint32(at + 8, true);
    const content = at + 12 + align4(nameSize);
    if (content + size > notes.length) return undefined;
    const isXen = nameSize === 4 && view.getUint32(at + 12, true) === 0x006e6558;
    if (isXen && type === XEN_ELFNOTE_PHYS32_ENTRY && size >= 4) return view.getUint32(content, true);
    at = content + align4(size);
  }
  return undefined;
}

function align4(value: number): number {
  return Math.ceil(value / 4) * 4;
}

function describeStart(bytes: Uint8Array): string {
  if (bytes.length === 0) return "an empty file";
  return [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

function bad(expected: string, found: string): CrashlabError {
  return new CrashlabError(
    "bad-kernel",
    `expected ${expected}, found ${found}; give an x86 ELF executable or a bzImage`,
  );
}
