/** Random places of the guest's kernel and modules, the same for the same seed. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { findFunctionPlaces, SymbolTable } from "../../bindings/symbols/index.ts";
import { GUEST, VMLINUX } from "../machine/crashed.ts";
import { readBytes } from "./program.ts";

/** `count` different numbers below a limit, the same for the same seed. */
export function randomNumbers(seed: number, below: number, count: number): number[] {
  const found = new Set<number>();
  let state = seed;
  while (found.size < Math.min(count, below)) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    found.add(Math.floor((state / 2 ** 32) * below));
  }
  return [...found];
}

/** A vmlinux or .ko: its symbols, and where its .text is for them. */
export interface ObjectFile {
  /** `vmlinux`, `mydriver.ko`. */
  readonly name: string;
  readonly file: string;
  readonly symbols: SymbolTable;
  /** What is added to an address as binutils counts it: sections of a module begin at 0 there. */
  readonly base: bigint;
  /** Of .text, as binutils counts it. */
  readonly start: bigint;
  readonly size: number;
  /** Options that tell binutils which section addresses are of. */
  readonly section: readonly string[];
}

function openObject(name: string, file: string): ObjectFile {
  const symbols = SymbolTable.fromElf(readBytes(file));
  const text = symbols.elf.section(".text");
  const common = { name, file, symbols, size: text?.size ?? 0 };
  if (!symbols.elf.relocatable) return { ...common, base: 0n, start: text?.address ?? 0n, section: [] };
  return { ...common, base: BigInt(text?.index ?? 0) << 32n, start: 0n, section: ["-j", ".text"] };
}

export const KERNEL: ObjectFile = openObject("vmlinux", VMLINUX);
export const MODULES: readonly ObjectFile[] = readdirSync(join(GUEST, "modules"))
  .filter((name) => name.endsWith(".ko"))
  .map((name) => openObject(name, join(GUEST, "modules", name)));

/** Random addresses of functions, as binutils counts them: between functions there is padding, which it gives to the one before. */
export function randomAddresses(
  { symbols, base, start, size }: ObjectFile,
  seed: number,
  count: number,
): bigint[] {
  const random = randomNumbers(seed, size, 2 * count).map((offset) => start + BigInt(offset));
  return random.filter((address) => symbols.lookup(base + address) !== undefined).slice(0, count);
}

export type Place = ReturnType<typeof findFunctionPlaces>["matches"][number];

/** `function+offset` of addresses, where the name means one place only, as it does for scripts/faddr2line. */
export function placesOf({ symbols, base }: ObjectFile, addresses: readonly bigint[]): Place[] {
  return addresses.flatMap((address) => {
    const name = symbols.lookup(base + address);
    if (name === undefined) return [];
    const { matches } = findFunctionPlaces(symbols, name.name, name.offset);
    const [match] = matches;
    return match === undefined || matches.length > 1 || match.address !== base + address
      ? []
      : [{ ...match, address }];
  });
}
