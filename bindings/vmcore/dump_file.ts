/**
 * A dump as its file has it: pages of physical memory and ELF notes. Which of the formats it is, its first bytes
 * say: ELF, kdump-compressed, or either of them flattened by `makedumpfile -F`.
 */
import { CrashlabError } from "../error.ts";
import { openElfDump } from "./elf_reader.ts";
import { isFlattened, openFlattened } from "./flattened.ts";
import { openKdumpCompressed } from "./kdump_reader.ts";
import type { RangeReader } from "./range_reader.ts";

export const PAGE_SIZE = 4096;

/** Formats of dumps: makedumpfile's two. */
export type DumpFormat = "elf" | "kdump-compressed";

/** A stretch of memory that the file says where it is mapped. */
export interface DumpSegment {
  readonly virtual: bigint;
  readonly physical: bigint;
  readonly length: bigint;
}

/** One ELF note. */
export interface DumpNote {
  readonly name: string;
  readonly type: number;
  readonly description: Uint8Array;
}

/** An open dump: its notes and its physical memory. */
export interface DumpFile {
  readonly format: DumpFormat;
  /** Unpacked from the stream form that `makedumpfile -F` writes. */
  readonly flattened: boolean;
  /** `-d` level that the file was filtered with, where it tells. */
  readonly dumpLevel: number | undefined;
  readonly notes: readonly DumpNote[];
  /** What an ELF dump says about addresses; none in other formats. */
  readonly segments: readonly DumpSegment[];
  /** phys_base as the file's own header has it. */
  readonly physBase: bigint | undefined;
  /** What did not fit: a file cut short, notes out of place. */
  readonly problems: readonly string[];
  /** A page of physical memory; undefined when it is not in the file. Throws `bad-vmcore` when it is damaged. */
  readPage(frame: number): Promise<Uint8Array | undefined>;
}

/** Opens a dump. Throws `bad-vmcore` for a file that is none, or whose headers are damaged. */
export async function openDumpFile(file: RangeReader): Promise<DumpFile> {
  let reader = file;
  let start = await reader.read(0, 16);
  const flattened = isFlattened(start);
  if (flattened) {
    reader = await openFlattened(file);
    start = await reader.read(0, 16);
  }
  const text = new TextDecoder("latin1").decode(start);
  if (text.startsWith("\x7fELF")) return { ...(await openElfDump(reader)), flattened };
  if (text.startsWith("KDUMP   ") || text.startsWith("DISKDUMP")) {
    return { ...(await openKdumpCompressed(reader)), flattened };
  }
  throw new CrashlabError(
    "bad-vmcore",
    `expected an ELF or kdump-compressed vmcore, found ${describe(start)}; give the file that kdump or crashlab wrote`,
  );
}

function describe(start: Uint8Array): string {
  if (start.length === 0) return "an empty file";
  return `a file that begins with ${[...start.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ")}`;
}
