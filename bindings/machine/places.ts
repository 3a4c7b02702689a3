/** Addresses of a running kernel by name, and names by address. */
import { CrashlabError } from "../error.ts";
import type { SymbolTable } from "../symbols/table.ts";

/** A linear address, or `symbol+offset` of the kernel (not of its modules), such as "vfs_read" or "panic+0x1c". */
export type Place = bigint | string;

/** Throws `bad-address` for a symbol that the kernel has not. */
export function resolvePlace(place: Place, symbols: SymbolTable): bigint {
  if (typeof place === "bigint") return BigInt.asUintN(64, place);
  const match = /^([\w.$]+)(?:\+(0x[0-9a-f]+|\d+))?$/i.exec(place);
  const address = symbols.address(match?.[1] ?? "");
  if (address === undefined) {
    throw new CrashlabError(
      "bad-address",
      `expected a symbol of the kernel such as vfs_read+0x10, found "${place}"; crashlab analyze's sym lists them`,
    );
  }
  return address + BigInt(match?.[2] ?? 0);
}

/** `symbol+0x10` of kernel code or data; undefined outside it. */
export function nameOf(address: bigint, symbols: SymbolTable): string | undefined {
  const code = symbols.lookup(address);
  if (code !== undefined) return `${code.name}+0x${code.offset.toString(16)}`;
  const object = dataSymbols(symbols).findLast((each) => each.address <= address);
  if (object === undefined || address >= object.address + BigInt(object.size)) return undefined;
  return `${object.name}+0x${(address - object.address).toString(16)}`;
}

interface DataSymbol {
  readonly name: string;
  readonly address: bigint;
  readonly size: number;
}

const known = new WeakMap<SymbolTable, readonly DataSymbol[]>();

/** Objects with a size, by address. */
function dataSymbols(symbols: SymbolTable): readonly DataSymbol[] {
  let found = known.get(symbols);
  if (found === undefined) {
    found = symbols.elf.symbols
      .filter((symbol) => symbol.kind === "object" && symbol.size > 0)
      .map((symbol) => ({ name: symbol.name, address: symbols.elf.addressOf(symbol), size: symbol.size }))
      .sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : a.name < b.name ? -1 : 1));
    known.set(symbols, found);
  }
  return found;
}
