/**
 * Names for addresses in a dump and back: the vmlinux's symbols where KASLR put them, and those of the modules as
 * they lie in the dump's memory.
 */
import type { ElfSymbol } from "../symbols/elf.ts";
import type { SymbolTable } from "../symbols/table.ts";
import type { LoadedModule } from "./modules.ts";

/** A symbol at its address in the running kernel. */
export interface KernelSymbol {
  readonly name: string;
  readonly address: bigint;
  /** Distance to the next symbol, or the symbol's own size where it is the last. */
  readonly size: number;
  /** The letter of nm: T text, D data, ...; lower case for local symbols. */
  readonly type: string;
  readonly module: string | undefined;
}

/** A symbol and how far from its start an address is. */
export interface SymbolPlace extends KernelSymbol {
  readonly offset: number;
}

const SHF_WRITE = 1n;
const SHT_NOBITS = 8;
const ABSOLUTE = 0xfff1;

export class KernelSymbols {
  readonly table: SymbolTable;
  /** How far the kernel runs from where it is linked. */
  readonly shift: bigint;
  readonly #sorted: readonly KernelSymbol[];
  readonly #byName = new Map<string, KernelSymbol[]>();
  readonly #perCpuSection: number;
  #modules: readonly LoadedModule[] = [];

  constructor(table: SymbolTable, shift: bigint) {
    this.table = table;
    this.shift = shift;
    this.#perCpuSection = table.elf.section(".data..percpu")?.index ?? -1;
    const symbols: KernelSymbol[] = [];
    for (const symbol of table.elf.symbols) {
      if (symbol.name === "" || symbol.section === 0 || symbol.kind === "section" || symbol.kind === "file")
        continue;
      const address = this.#runtime(symbol);
      const known = {
        name: symbol.name,
        address,
        size: symbol.size,
        type: this.#letter(symbol),
        module: undefined,
      };
      const same = this.#byName.get(symbol.name);
      if (same === undefined) this.#byName.set(symbol.name, [known]);
      else same.push(known);
      if (symbol.section !== ABSOLUTE && symbol.section !== this.#perCpuSection) symbols.push(known);
    }
    this.#sorted = sortSymbols(symbols);
  }

  /** Modules whose symbols count from now on. */
  set modules(modules: readonly LoadedModule[]) {
    this.#modules = modules;
  }

  #runtime(symbol: ElfSymbol): bigint {
    const fixed = symbol.section === ABSOLUTE || symbol.section === this.#perCpuSection;
    return BigInt.asUintN(64, fixed ? symbol.value : symbol.value + this.shift);
  }

  #letter(symbol: ElfSymbol): string {
    const section = this.table.elf.sections[symbol.section];
    let letter = "A";
    if (section !== undefined) {
      if (this.table.elf.isCode(symbol.section)) letter = "T";
      else if (section.type === SHT_NOBITS) letter = "B";
      else letter = (section.flags & SHF_WRITE) !== 0n ? "D" : "R";
    }
    return symbol.global ? letter : letter.toLowerCase();
  }

  /** Whether an address is that of a per-cpu variable: one to which a CPU's offset is added. */
  isPerCpu(name: string): boolean {
    const symbol = this.table.named(name)[0];
    return symbol !== undefined && symbol.section === this.#perCpuSection;
  }

  /** Runtime address of a symbol of the kernel or, behind it, of the modules. */
  address(name: string): bigint | undefined {
    return this.named(name)[0]?.address;
  }

  /** All symbols of a name. */
  named(name: string): readonly KernelSymbol[] {
    const own = this.#byName.get(name);
    if (own !== undefined) return own;
    return this.#modules.flatMap((module) => module.symbols.filter((symbol) => symbol.name === name));
  }

  /** All symbols whose name holds a text, for `sym -q`. */
  containing(text: string): KernelSymbol[] {
    const all = [...this.#sorted, ...this.#modules.flatMap((module) => module.symbols)];
    return all.filter((symbol) => symbol.name.includes(text));
  }

  /** The symbol that an address belongs to. */
  at(address: bigint): SymbolPlace | undefined {
    const module = this.#modules.find((each) => each.contains(address));
    if (module !== undefined) return nearest(module.symbols, address);
    const place = nearest(this.#sorted, address);
    const last = this.#sorted.at(-1);
    // Behind the last symbol there is nothing of the kernel.
    return place !== undefined && last !== undefined && address > last.address + BigInt(last.size)
      ? undefined
      : place;
  }

  /** Whether an address is one of code. */
  isText(address: bigint): boolean {
    const module = this.#modules.find((each) => each.contains(address));
    if (module !== undefined) return module.isText(address);
    const place = this.at(address);
    return place !== undefined && (place.type === "T" || place.type === "t");
  }

  /** `panic+12`, `my_read+36 [mydriver]`; undefined where no symbol is. Offsets are decimal, as crash has them. */
  format(address: bigint): string | undefined {
    const place = this.at(address);
    if (place === undefined) return undefined;
    const offset = place.offset === 0 ? "" : `+${place.offset}`;
    return `${place.name}${offset}${place.module === undefined ? "" : ` [${place.module}]`}`;
  }
}

/** By address; of several at one address global functions come last, so that they are the ones found. */
export function sortSymbols(symbols: readonly KernelSymbol[]): KernelSymbol[] {
  const sorted = symbols.map((symbol, index) => ({ symbol, index }));
  const rank = ({ type }: KernelSymbol): number => (type === type.toUpperCase() ? 1 : 0);
  sorted.sort((a, b) => {
    if (a.symbol.address !== b.symbol.address) return a.symbol.address < b.symbol.address ? -1 : 1;
    return rank(b.symbol) - rank(a.symbol) || a.index - b.index;
  });
  // Sizes are distances to the next address, as kallsyms counts them.
  let next: bigint | undefined;
  const result: KernelSymbol[] = [];
  for (let index = sorted.length - 1; index >= 0; index--) {
    const symbol = sorted[index]?.symbol;
    if (symbol === undefined) continue;
    const above = sorted[index + 1]?.symbol;
    if (above !== undefined && above.address !== symbol.address) next = above.address;
    result.push({ ...symbol, size: next === undefined ? symbol.size : Number(next - symbol.address) });
  }
  return result.reverse();
}

function nearest(symbols: readonly KernelSymbol[], address: bigint): SymbolPlace | undefined {
  let low = 0;
  let high = symbols.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((symbols[middle]?.address ?? 0n) <= address) low = middle + 1;
    else high = middle;
  }
  let found = symbols[low - 1];
  if (found === undefined) return undefined;
  // Of several at one address the first counts.
  for (let index = low - 2; symbols[index]?.address === found.address; index--)
    found = symbols[index] ?? found;
  return { ...found, offset: Number(address - found.address) };
}
