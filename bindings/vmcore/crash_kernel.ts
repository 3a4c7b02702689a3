/**
 * A dump that the guest takes of itself: after the panic the crash kernel boots in its reserved memory, its
 * makedumpfile reads /proc/vmcore and writes to the disk, and this is what arrived there.
 */
import { saveFile } from "#files";
import { CrashlabError } from "../error.ts";
import type { DumpFormat } from "./dump_file.ts";
import { checkReading, type ReadOptions } from "./range_reader.ts";

const CHUNK = 1 << 20;

/** The disk that holds a dump: bytes up to the last one written. */
export interface DumpDisk {
  readonly written: number;
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
}

const FORMATS: Readonly<Record<string, string>> = { "kdump-compressed": "", elf: "-E" };
const COMPRESSIONS: Readonly<Record<string, string>> = { none: "", zlib: "-c", zstd: "-z" };

/** The options as makedumpfile's words. Throws `bad-option`. */
export function makedumpfileWords(options: CrashKernelOptions): string {
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
  const words = [format === "elf" ? "" : packing, form, flattened ? "-F" : "", `-d ${dumpLevel}`];
  return words.filter(Boolean).join(" ");
}

/** A dump on the machine's disk. It can be read as often as wanted. */
export class StoredVmcore implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  /** Bytes in all. */
  readonly size: number;
  readonly #disk: DumpDisk;

  constructor(disk: DumpDisk) {
    this.#disk = disk;
    this.size = disk.written;
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
      yield this.#disk.slice(at, Math.min(CHUNK, this.size - at));
      onProgress?.({ done: Math.min(at + CHUNK, this.size) });
    }
  }
}
