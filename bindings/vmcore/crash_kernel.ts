/**
 * A dump that the guest takes of itself: after the panic the crash kernel boots in its reserved memory, its
 * makedumpfile reads /proc/vmcore and writes to the disk, and this is what arrived there.
 */
import { saveFile } from "#files";
import { CrashlabError } from "../error.ts";
import type { DumpFormat } from "./dump_file.ts";
import { checkReading, type ReadOptions } from "./range_reader.ts";

const CHUNK = 1 << 20;
/** The guest's name for the disk. */
const DISK = "/dev/cblk0";

/** The disk that holds a dump, or its parts. */
export interface DumpDisk {
  /** In sectors of 512 bytes. */
  readonly sectors: bigint;
  /** Where what was written between two multiples of a mebibyte ends. */
  written(from?: number, to?: number): number;
  /** Bytes of the disk. */
  slice(at: number, length: number): Uint8Array<ArrayBuffer>;
}

/** A dump that the crash kernel writes, out of /proc/vmcore. */
export interface CrashKernelOptions {
  /** Default "kdump-compressed". */
  readonly format?: DumpFormat;
  /** How a kdump-compressed dump packs its pages. Default "zlib". */
  readonly compression?: "none" | "zlib" | "zstd";
  /** makedumpfile's dump level, the sum of what is left out (see CaptureOptions). Default 31. */
  readonly dumpLevel?: number;
  /** Records for `makedumpfile -R` instead of a file. Default false. */
  readonly flattened?: boolean;
  /** So many files of a kdump-compressed dump (2 to 8), which `makedumpfile --reassemble` puts together. Default: one file. */
  readonly split?: number;
}

const FORMATS: Readonly<Record<string, string>> = { "kdump-compressed": "", elf: "-E" };
const COMPRESSIONS: Readonly<Record<string, string>> = { none: "", zlib: "-c", zstd: "-z" };

const SECTOR = 512;
const PARTS_LIMIT = 8;
const MEBIBYTE = 1 << 20;

/** What each part of a split dump has of the disk. */
function partBytes(diskBytes: number, parts: number): number {
  return Math.floor(diskBytes / parts / MEBIBYTE) * MEBIBYTE;
}

/** The parts of a split dump on a disk, one after another. */
export function storedParts(disk: DumpDisk, parts: number): StoredVmcore[] {
  const room = partBytes(Number(disk.sectors) * SECTOR, parts);
  return Array.from(
    { length: parts },
    (_, index) => new StoredVmcore(disk, index * room, (index + 1) * room),
  );
}

/** The options as makedumpfile's words, for a disk of so many bytes. Throws `bad-option`. */
export function makedumpfileWords(options: CrashKernelOptions): (diskBytes: number) => string {
  const { split } = options;
  const { format = "kdump-compressed", compression = "zlib", dumpLevel = 31, flattened = false } = options;
  const form = FORMATS[format];
  const packing = COMPRESSIONS[compression];
  if (form === undefined) {
    throw new CrashlabError(
      "bad-option",
      `expected the format "elf" or "kdump-compressed", found "${format}"; choose one of them`,
    );
  }
  if (packing === undefined) {
    throw new CrashlabError(
      "bad-option",
      `expected the compression none, zlib or zstd, found "${compression}"; choose one of them`,
    );
  }
  if (!Number.isInteger(dumpLevel) || dumpLevel < 0 || dumpLevel > 31) {
    throw new CrashlabError(
      "bad-option",
      `expected a dump level from 0 to 31, found ${dumpLevel}; add up what to leave out`,
    );
  }
  const isWhole = Number.isInteger(split) && (split ?? 0) >= 2 && (split ?? 0) <= PARTS_LIMIT;
  if (split !== undefined && (!isWhole || format === "elf" || flattened)) {
    throw new CrashlabError(
      "bad-option",
      `expected split from 2 to ${PARTS_LIMIT}, with the format "kdump-compressed" and not flattened, found ${split}; leave it out for one file`,
    );
  }
  const words = [format === "elf" ? "" : packing, form, flattened ? "-F" : "", `-d ${dumpLevel}`];
  return (diskBytes) => {
    const parts = Array.from(
      { length: split ?? 0 },
      (_, index) => `${DISK}@${index * partBytes(diskBytes, split ?? 1)}`,
    );
    return [...words, ...(split === undefined ? [] : ["--split", ...parts])].filter(Boolean).join(" ");
  };
}

/** A dump on the machine's disk. It can be read as often as wanted. */
export class StoredVmcore implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  /** Bytes in all. */
  readonly size: number;
  readonly #disk: DumpDisk;
  readonly #start: number;

  /** What was written to a disk, or between two places of it. */
  constructor(disk: DumpDisk, start = 0, end: number = Number(disk.sectors) * SECTOR) {
    this.#disk = disk;
    this.#start = start;
    this.size = disk.written(start, end) - start;
  }

  /** Writes it to a file (in a browser, one of the origin's private file system). Throws `aborted` when the signal fires. */
  save(path: string, options: ReadOptions = {}): Promise<void> {
    return saveFile(path, this.#pieces(options));
  }

  /** The dump's bytes in order. */
  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    return this.#pieces({});
  }

  async *#pieces({ signal, onProgress }: ReadOptions): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    for (let at = 0; at < this.size; at += CHUNK) {
      checkReading(signal);
      yield this.#disk.slice(this.#start + at, Math.min(CHUNK, this.size - at));
      onProgress?.({ done: Math.min(at + CHUNK, this.size) });
    }
  }
}
