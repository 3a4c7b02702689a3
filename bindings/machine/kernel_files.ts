/** The files that a machine runs: its kernel and its modules, for their symbols. */
import { loadGuest } from "#assets";
import { CrashlabError } from "../error.ts";
import type { KernelSymbols } from "../symbols/decode.ts";
import { withKallsyms, withSystemMap } from "../symbols/symtab.ts";
import { SymbolTable } from "../symbols/table.ts";
import { isElf } from "./loaders/elf_image.ts";

/** Modules that come with crashlab. */
const OWN_MODULES: ReadonlySet<string> = new Set([
  "mydriver",
  "labcrash",
  "kasan_test",
  "kasan_stress",
  "kfence_test",
]);

/** The kernel that runs and its modules, as files; their symbols are read when asked for. */
export class KernelFiles {
  readonly #kernel: Uint8Array;
  readonly #own: boolean;
  readonly #build: string | undefined;
  /** A Linux that is not crashlab's. */
  readonly stock: boolean;
  readonly #given: Uint8Array | undefined;
  #vmlinux: SymbolTable | undefined;
  readonly #modules = new Map<string, SymbolTable>();

  /** `symbols`: a vmlinux or System.map in place of what the kernel itself has. */
  constructor(
    kernel: Uint8Array,
    options: {
      readonly own: boolean;
      /** Which instrumented build of the own kernel, if any. */
      readonly build?: string | undefined;
      readonly stock: boolean;
      readonly symbols?: Uint8Array | undefined;
      readonly modules?: { readonly [name: string]: Uint8Array } | undefined;
    },
  ) {
    this.#kernel = kernel;
    this.#own = options.own;
    this.#build = options.build;
    this.stock = options.stock;
    this.#given = options.symbols;
    for (const [name, bytes] of Object.entries(options.modules ?? {}))
      this.#modules.set(name, readModule(name, bytes));
  }

  get vmlinux(): SymbolTable {
    this.#vmlinux ??= SymbolTable.fromElf(this.#symbolFile());
    return this.#vmlinux;
  }

  /** The file given for symbols, or the kernel with those that it carries in itself. */
  #symbolFile(): Uint8Array {
    if (this.#given === undefined) return withKallsyms(this.#kernel);
    return isElf(this.#given) ? this.#given : withSystemMap(this.#kernel, this.#given);
  }

  /** The same; undefined when the kernel's file has none. */
  tryVmlinux(): SymbolTable | undefined {
    try {
      return this.vmlinux;
    } catch (error) {
      if (error instanceof CrashlabError && error.code === "bad-kernel") return undefined;
      throw error;
    }
  }

  /** Symbols of the kernel and of these modules; undefined when the kernel's file has none. */
  async symbols(modules: readonly string[]): Promise<KernelSymbols | undefined> {
    const vmlinux = this.tryVmlinux();
    if (vmlinux === undefined) return undefined;
    for (const name of modules) await this.#load(name);
    return { vmlinux, modules: this.#modules };
  }

  async #load(name: string): Promise<void> {
    if (this.#modules.has(name)) return;
    // The name comes from the guest: only what the build made may be asked for.
    if (!this.#own || !OWN_MODULES.has(name)) return;
    this.#modules.set(name, readModule(name, await loadGuest(`modules/${name}.ko`, this.#build)));
  }
}

function readModule(name: string, bytes: Uint8Array): SymbolTable {
  try {
    return SymbolTable.fromElf(bytes);
  } catch (cause) {
    if (!(cause instanceof CrashlabError)) throw cause;
    throw new CrashlabError(
      "bad-module",
      `expected an ELF module as ${name}, found another file; ${cause.message}`,
      {
        cause,
      },
    );
  }
}
