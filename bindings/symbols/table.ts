/**
 * Symbols of a kernel or module: names for addresses, addresses for names, source lines. What addr2line,
 * faddr2line and decode_stacktrace.sh answer.
 */
import { ElfFile, type ElfSymbol } from "./elf.ts";
import { LineTable, type SourceLine } from "./lines.ts";

export interface SymbolMatch {
  readonly name: string;
  /** Distance from the symbol's start. */
  readonly offset: number;
  readonly size: number;
}

const EMPTY = new Uint8Array(0);

export class SymbolTable {
  readonly elf: ElfFile;
  /** Functions by address. */
  readonly #functions: readonly { readonly address: bigint; readonly symbol: ElfSymbol }[];
  readonly #byName = new Map<string, ElfSymbol[]>();
  #lines: LineTable | undefined;

  private constructor(elf: ElfFile) {
    this.elf = elf;
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
    let low = 0;
    let high = this.#functions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#functions[middle]?.address ?? 0n) <= address) low = middle + 1;
      else high = middle;
    }
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

  /** Source line of an address. */
  line(address: bigint): SourceLine | undefined {
    this.#lines ??= new LineTable({
      line: this.elf.content(".debug_line") ?? EMPTY,
      lineStrings: this.elf.content(".debug_line_str") ?? EMPTY,
      strings: this.elf.content(".debug_str") ?? EMPTY,
    });
    return this.#lines.find(address);
  }

  /**
   * Source line of `symbol+offset/size`, as faddr2line reads it: the size picks among symbols of one name.
   * `call` looks one byte before, where the call is that a return address follows.
   */
  lineOf(symbol: string, offset: number, size: number | undefined, call: boolean): SourceLine | undefined {
    const candidates = this.#byName.get(symbol) ?? [];
    const chosen = candidates.find((each) => each.size === size) ?? candidates[0];
    if (chosen === undefined) return undefined;
    return this.line(this.elf.addressOf(chosen) + BigInt(offset) - (call ? 1n : 0n));
  }
}

/** Functions before labels, global before local. */
function rank(symbol: ElfSymbol): number {
  return (symbol.kind === "function" ? 2 : 0) + (symbol.global ? 1 : 0);
}
