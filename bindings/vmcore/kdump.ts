/** `machine.kdump`: crash dumps of a machine. */
import { saveFile } from "#files";
import type { Core } from "../core/core.ts";
import { CrashlabError } from "../error.ts";
import type { SymbolTable } from "../symbols/table.ts";
import { GuestSymbols, guestUtsname, vmcoreSource } from "./capture.ts";
import {
  type CrashKernelOptions,
  type DumpDisk,
  makedumpfileWords,
  StoredVmcore,
  storedParts,
} from "./crash_kernel.ts";
import type { DumpFormat } from "./dump_file.ts";
import { type VmcoreOptions, type VmcoreSource, vmcoreSize, writeElfVmcore } from "./elf_writer.ts";
import { flattenedHeader, recordHeader } from "./flattened.ts";
import { writeKdump } from "./kdump_writer.ts";
import { excludedPages } from "./page_filter.ts";
import { VmcoreInfo } from "./vmcoreinfo.ts";

/** A dump that the host writes: memory is read from outside, whatever state the kernel is in. */
export interface CaptureOptions extends VmcoreOptions {
  readonly via?: "host";
  /** Default "elf". */
  readonly format?: DumpFormat;
  /** How a kdump-compressed dump packs its pages. Default "zlib". */
  readonly compression?: "zlib" | "none";
  /** What is left out, as `makedumpfile -d`: the sum of 1 zero, 2 cache, 4 private cache, 8 user, 16 free pages. Default 0. */
  readonly dumpLevel?: number;
  /** The stream form that `makedumpfile -F` writes and `makedumpfile -R` puts in order. Default false. */
  readonly flattened?: boolean;
}

/** A dump that the crash kernel writes after a panic; the machine was booted with `crashkernel=`. */
export interface CrashKernelCaptureOptions extends CrashKernelOptions {
  readonly via: "crash-kernel";
  /** Guest nanoseconds that it may take. Default 60e9. */
  readonly budget?: number;
  readonly signal?: AbortSignal;
  /** Bytes on the disk so far; how many it will be is not known. */
  readonly onProgress?: (progress: { readonly done: number }) => void;
}

/** Runs the crash kernel until its dump is on the disk. */
type RunCrashKernel = (
  words: (diskBytes: number) => string,
  limits: { readonly budget?: number; readonly signal?: AbortSignal },
  onProgress: (bytes: number) => void,
) => Promise<DumpDisk>;

const ZERO_PAGES = 1;

type Pieces = AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>;

/** A vmcore that is written while it is read: iterate over its pieces once, the machine standing still. */
export class VmcoreStream implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  /** Bytes in all; undefined for a packed dump, whose size shows when it is written. */
  readonly size: number | undefined;
  readonly #pieces: () => Pieces;
  readonly #hold: () => Disposable;

  constructor(size: number | undefined, pieces: () => Pieces, hold: () => Disposable) {
    this.size = size;
    this.#pieces = pieces;
    this.#hold = hold;
  }

  /** Writes it to a file (in a browser, one of the origin's private file system). */
  save(path: string): Promise<void> {
    return saveFile(path, this);
  }

  /** The dump's bytes in order; the machine cannot run meanwhile. */
  async *[Symbol.asyncIterator](): Pieces {
    const held = this.#hold();
    try {
      yield* this.#pieces();
    } finally {
      held[Symbol.dispose]();
    }
  }
}

/** `machine.kdump`: takes dumps of a machine. */
export class Kdump {
  readonly #core: Core;
  readonly #symbols: () => SymbolTable;
  readonly #hold: () => Disposable;
  readonly #runCrashKernel: RunCrashKernel;

  /** `hold` keeps the machine from running until it is disposed of. */
  constructor(
    core: Core,
    symbols: () => SymbolTable,
    hold: () => Disposable,
    runCrashKernel: RunCrashKernel,
  ) {
    this.#core = core;
    this.#symbols = symbols;
    this.#hold = hold;
    this.#runCrashKernel = runCrashKernel;
  }

  /**
   * A vmcore of the machine as it is, for crash, drgn, gdb, makedumpfile and `crashlab analyze`: read from outside
   * (`via: "host"`), or written by the crash kernel that the panic has started (`via: "crash-kernel"`), with `split` in
   * several files. Throws
   * `bad-kernel` when the running kernel has no symbols or is not far enough to have its own page tables,
   * `bad-option` for options that there are not, `machine-stopped` when the crash kernel fails; then the host can
   * still write one.
   */
  capture(options?: CaptureOptions): Promise<VmcoreStream>;
  capture(options: CrashKernelCaptureOptions & { readonly split: number }): Promise<readonly StoredVmcore[]>;
  capture(options: CrashKernelCaptureOptions): Promise<StoredVmcore>;
  async capture(
    options: CaptureOptions | CrashKernelCaptureOptions = {},
  ): Promise<VmcoreStream | StoredVmcore | readonly StoredVmcore[]> {
    if (options.via === "crash-kernel") {
      const { budget, signal, onProgress } = options;
      const limits = {
        ...(budget === undefined ? {} : { budget }),
        ...(signal === undefined ? {} : { signal }),
      };
      const words = makedumpfileWords(options);
      const disk = await this.#runCrashKernel(words, limits, (done) => onProgress?.({ done }));
      return options.split === undefined ? new StoredVmcore(disk) : storedParts(disk, options.split);
    }
    checkOptions(options);
    const packed = options.format === "kdump-compressed";
    // A packed dump has all pages of zeros, in the room of one; readers take pages that are not there for lost.
    const level = options.dumpLevel ?? 0;
    const source = this.#source(packed ? level & ~ZERO_PAGES : level);
    const whole = packed ? undefined : vmcoreSize(source);
    const pieces = packed ? () => this.#packed(source, options) : () => writeElfVmcore(source, options);
    if (options.flattened !== true) return new VmcoreStream(whole, pieces, this.#hold);
    return new VmcoreStream(undefined, () => flatten(pieces()), this.#hold);
  }

  #source(level: number): VmcoreSource {
    const symbols = this.#symbols();
    const source = vmcoreSource(this.#core, symbols);
    if (level === 0) return source;
    const guest = new GuestSymbols(this.#core, symbols);
    const memory = {
      readPhysical: source.readPhysical,
      readVirtual: (address: bigint, length: number) => guest.tryRead(address, length),
    };
    const note = source.notes.at(-1) ?? new Uint8Array(0);
    const info = new VmcoreInfo(new TextDecoder("latin1").decode(note.subarray(24)));
    const frames = Math.floor(this.#core.ramBytes / 4096);
    return { ...source, excluded: excludedPages(memory, info, frames, level) };
  }

  #packed(source: VmcoreSource, options: CaptureOptions): Pieces {
    return writeKdump(source, {
      ...options,
      compression: options.compression ?? "zlib",
      dumpLevel: options.dumpLevel ?? 0,
      excluded: source.excluded ?? new Uint8Array(0),
      utsname: guestUtsname(new GuestSymbols(this.#core, this.#symbols())),
      physBase: 0n,
    });
  }
}

function checkOptions({ via, format, compression, dumpLevel, flattened }: CaptureOptions): void {
  const expect = (holds: boolean, expected: string, found: unknown): void => {
    if (!holds) throw new CrashlabError("bad-option", `expected ${expected}, found ${JSON.stringify(found)}`);
  };
  expect(via === undefined || via === "host", 'via "host" or "crash-kernel"', via);
  expect(
    [undefined, "elf", "kdump-compressed"].includes(format),
    'format "elf" or "kdump-compressed"',
    format,
  );
  expect([undefined, "zlib", "none"].includes(compression), 'compression "zlib" or "none"', compression);
  expect(
    compression === undefined || format === "kdump-compressed",
    'compression only with format "kdump-compressed"',
    format ?? "elf",
  );
  const level = dumpLevel ?? 0;
  expect(Number.isInteger(level) && level >= 0 && level <= 31, "a dump level from 0 to 31", dumpLevel);
  expect(flattened === undefined || typeof flattened === "boolean", "flattened true or false", flattened);
}

/** Each piece as a record with its place. */
async function* flatten(pieces: Pieces): Pieces {
  yield flattenedHeader();
  let offset = 0;
  for await (const piece of pieces) {
    yield recordHeader(offset, piece.length);
    yield piece;
    offset += piece.length;
  }
  yield recordHeader(-1, -1);
}
