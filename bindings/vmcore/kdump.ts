/** `machine.kdump`: crash dumps of a machine. */
import { saveFile } from "#files";
import type { Core } from "../core/core.ts";
import { CrashlabError } from "../error.ts";
import type { SymbolTable } from "../symbols/table.ts";
import { vmcoreSource } from "./capture.ts";
import { type VmcoreOptions, type VmcoreSource, vmcoreSize, writeElfVmcore } from "./elf_writer.ts";

export interface CaptureOptions extends VmcoreOptions {
  /** `host`: memory is read from outside, whatever state the kernel is in. Default "host". */
  readonly via?: "host";
}

/** A vmcore that is written while it is read: iterate over its pieces once, the machine standing still. */
export class VmcoreStream implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  /** Bytes in all. */
  readonly size: number;
  readonly #source: VmcoreSource;
  readonly #options: VmcoreOptions;
  readonly #hold: () => Disposable;

  constructor(source: VmcoreSource, options: VmcoreOptions, hold: () => Disposable) {
    this.size = vmcoreSize(source);
    this.#source = source;
    this.#options = options;
    this.#hold = hold;
  }

  /** Writes it to a file (in a browser, one of the origin's private file system). */
  save(path: string): Promise<void> {
    return saveFile(path, this);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    const held = this.#hold();
    try {
      yield* writeElfVmcore(this.#source, this.#options);
    } finally {
      held[Symbol.dispose]();
    }
  }
}

export class Kdump {
  readonly #core: Core;
  readonly #symbols: () => SymbolTable;
  readonly #hold: () => Disposable;

  /** `hold` keeps the machine from running until it is disposed of. */
  constructor(core: Core, symbols: () => SymbolTable, hold: () => Disposable) {
    this.#core = core;
    this.#symbols = symbols;
    this.#hold = hold;
  }

  /**
   * An ELF vmcore of the machine as it is, for crash, drgn, gdb and makedumpfile. Throws `bad-kernel` when the
   * running kernel has no symbols or is not far enough to have its own page tables.
   */
  async capture(options: CaptureOptions = {}): Promise<VmcoreStream> {
    if (options.via !== undefined && options.via !== "host") {
      throw new CrashlabError("bad-option", `expected via "host", found "${options.via}"`);
    }
    return new VmcoreStream(vmcoreSource(this.#core, this.#symbols()), options, this.#hold);
  }
}
