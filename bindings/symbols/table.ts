/**
 * Symbols of a kernel or module: names for addresses, addresses for names, source lines. What addr2line,
 * faddr2line and decode_stacktrace.sh answer.
 */
import { BtfTypes } from "./btf.ts";
import { buildIdOf } from "./build_id.ts";
import { DebugInfo } from "./debug_info.ts";
import { At } from "./dwarf.ts";
import { DwarfTypes } from "./dwarf_types.ts";
import { ElfFile, type ElfSymbol } from "./elf.ts";
import { LineTable, type SourceLine } from "./lines.ts";
import { findMember } from "./types.ts";

/** The symbol that an address lies in. */
export interface SymbolMatch {
  readonly name: string;
  /** Distance from the symbol's start. */
  readonly offset: number;
  readonly size: number;
}

/** A function and the line in it: of inlined functions, the innermost first. */
export interface SourceFrame extends SourceLine {
  readonly function: string;
}

const EMPTY = new Uint8Array(0);

/** Symbols, source lines and types of a kernel or module, from its ELF file. */
export class SymbolTable {
  readonly elf: ElfFile;
  /** The id that its linker gave it, hexadecimal. */
  readonly buildId: string | undefined;
  /** Functions by address. */
  readonly #functions: readonly { readonly address: bigint; readonly symbol: ElfSymbol }[];
  readonly #byName = new Map<string, ElfSymbol[]>();
  #lineTable: LineTable | undefined;
  #debugInfo: DebugInfo | undefined;
  #types: DwarfTypes | undefined;
  /** Null: the file has none. */
  #btf: BtfTypes | null | undefined;

  private constructor(elf: ElfFile) {
    this.elf = elf;
    this.buildId = buildIdOf(elf);
    for (const symbol of elf.symbols) {
      if (symbol.name === "" || symbol.section === 0) continue;
      const same = this.#byName.get(symbol.name);
      if (same === undefined) this.#byName.set(symbol.name, [symbol]);
      else same.push(symbol);
    }
    this.#functions = elf.symbols
      .filter((symbol) => symbol.name !== "" && elf.isCode(symbol.section) && symbol.kind !== "section")
      .filter((symbol) => symbol.kind === "function" || symbol.kind === "other")
      .map((symbol) => ({ address: elf.addressOf(symbol), symbol }))
      .sort((a, b) =>
        a.address < b.address ? -1 : a.address > b.address ? 1 : rank(b.symbol) - rank(a.symbol),
      );
  }

  /** Reads a vmlinux or .ko. Throws `bad-kernel` for anything else. */
  static fromElf(bytes: Uint8Array): SymbolTable {
    return new SymbolTable(new ElfFile(bytes));
  }

  /** The function that an address lies in. */
  lookup(address: bigint): SymbolMatch | undefined {
    const low = this.#upperBound(address);
    const next = this.#functions[low]?.address;
    let first = this.#functions[low - 1];
    if (first === undefined) return undefined;
    // Of several names at one address the first sorted one counts: the global function.
    for (let index = low - 2; this.#functions[index]?.address === first.address; index--) {
      first = this.#functions[index] ?? first;
    }
    const size = first.symbol.size || (next === undefined ? 0 : Number(next - first.address));
    const offset = Number(address - first.address);
    return offset >= Math.max(size, 1) ? undefined : { name: first.symbol.name, offset, size };
  }

  /** Address of a symbol; undefined when there is none of that name. */
  address(name: string): bigint | undefined {
    const symbol = this.#byName.get(name)?.[0];
    return symbol === undefined ? undefined : this.elf.addressOf(symbol);
  }

  /** Size in bytes that the file gives a symbol. */
  size(name: string): number | undefined {
    return this.#byName.get(name)?.[0]?.size;
  }

  /** All symbols of a name, in the order of the file. */
  named(name: string): readonly ElfSymbol[] {
    return this.#byName.get(name) ?? [];
  }

  /** Distance from a symbol to the next one of its section: the size that kallsyms prints, padding included. */
  span(symbol: ElfSymbol): number {
    const address = this.elf.addressOf(symbol);
    const next = this.#functions[this.#upperBound(address)];
    const section = this.elf.sections[symbol.section];
    if (next !== undefined && next.symbol.section === symbol.section) return Number(next.address - address);
    if (section === undefined) return symbol.size;
    return Number(BigInt(section.size) - (symbol.value - section.address));
  }

  /** Source line of an address. */
  line(address: bigint): SourceLine | undefined {
    return this.#lines.find(address);
  }

  /**
   * Source line of an address in each function that it belongs to, inlined functions first. Empty when there is
   * no line for it. What `addr2line -i -f` prints.
   */
  frames(address: bigint): SourceFrame[] {
    const line = this.line(address);
    if (line === undefined) return [];
    const functions = this.#info.functions(address);
    if (functions.length === 0) return [{ function: this.lookup(address)?.name ?? "??", ...line }];
    let here: SourceLine = line;
    return functions.map(({ name, call }) => {
      const frame = { function: name, ...here };
      if (call !== undefined) {
        here = { file: this.#lines.file(call.statements, call.file) ?? "??", line: call.line };
      }
      return frame;
    });
  }

  /** The types that the debug information describes. */
  get types(): DwarfTypes {
    this.#types ??= new DwarfTypes(this.#info.units);
    return this.#types;
  }

  /** Byte offset of a structure's member; undefined when the debug information has none. */
  memberOffset(structure: string, member: string): number | undefined {
    const type = this.#btfTypes?.find("struct", structure);
    const found = type === undefined ? undefined : findMember(type, member);
    return found === undefined ? this.#info.memberOffset(structure, member) : found.bitOffset >> 3;
  }

  /** Types of a kernel that has BTF. */
  get #btfTypes(): BtfTypes | undefined {
    if (this.#btf === undefined) {
      const bytes = this.elf.content(".BTF");
      this.#btf = bytes === undefined ? null : new BtfTypes(bytes);
    }
    return this.#btf ?? undefined;
  }

  /** Index of the first function behind an address. */
  #upperBound(address: bigint): number {
    let low = 0;
    let high = this.#functions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#functions[middle]?.address ?? 0n) <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  get #lines(): LineTable {
    this.#lineTable ??= new LineTable({
      line: this.#content(".debug_line"),
      lineStrings: this.#content(".debug_line_str"),
      strings: this.#content(".debug_str"),
      directoryOf: this.#directories(),
    });
    return this.#lineTable;
  }

  get #info(): DebugInfo {
    this.#debugInfo ??= new DebugInfo({
      info: this.#content(".debug_info"),
      abbreviations: this.#content(".debug_abbrev"),
      strings: this.#content(".debug_str"),
      lineStrings: this.#content(".debug_line_str"),
      stringOffsets: this.#content(".debug_str_offsets"),
      addresses: this.#content(".debug_addr"),
      ranges: this.#content(".debug_ranges"),
      rangeLists: this.#content(".debug_rnglists"),
    });
    return this.#debugInfo;
  }

  #directories(): (statements: number) => string {
    const directories = new Map<unknown, unknown>(
      this.#info.units.map(({ root }) => [
        root?.attributes.get(At.statements),
        root?.attributes.get(At.compilationDirectory),
      ]),
    );
    return (statements) => String(directories.get(statements) ?? "");
  }

  #content(section: string): Uint8Array {
    return this.elf.content(section) ?? EMPTY;
  }
}

/** Functions before labels, global before local. */
function rank(symbol: ElfSymbol): number {
  return (symbol.kind === "function" ? 2 : 0) + (symbol.global ? 1 : 0);
}
