/**
 * Gives a vmlinux without symbols a symbol table, as sections .symtab and .strtab behind all else: the file then
 * serves crashlab, gdb, addr2line and nm as one that was built with symbols does. Mirrors the System V gABI.
 */
import { CrashlabError } from "../error.ts";
import { ElfFile, type ElfSection } from "./elf.ts";
import { type KallsymsEntry, readKallsyms, readKallsymsSection } from "./kallsyms.ts";

const SECTION_HEADER = 64;
const SYMBOL = 24;
const SHT_SYMTAB = 2;
const SHT_STRTAB = 3;
const SHF_ALLOC = 2n;
const SHN_ABS = 0xfff1;
const STT = { none: 0, object: 1, function: 2 } as const;
/** Kernel text and data; per-cpu variables are linked from 0 on. */
const KERNEL_START = 0xffffffff80000000n;
/** A function ends here when the next symbol is far away: the start of another section. */
const SIZE_LIMIT = 0x1000000n;

/** The same kernel with the symbols of its own kallsyms; the bytes as they are when it has symbols, or no kallsyms. */
export function withKallsyms(vmlinux: Uint8Array): Uint8Array {
  const elf = new ElfFile(vmlinux);
  if (elf.symbols.length > 0) return vmlinux;
  const symbols = readKallsyms(vmlinux) ?? ownKallsyms(elf);
  return symbols === undefined ? vmlinux : withSymbols(vmlinux, symbols);
}

/** Of the kernel here, whose tables do not say what a symbol is of: its section does. */
function ownKallsyms(elf: ElfFile): KallsymsEntry[] | undefined {
  const section = elf.content(".kallsyms");
  const text = elf.section(".text");
  if (section === undefined || text === undefined) return undefined;
  const code = elf.sections.filter(({ index }) => elf.isCode(index));
  const isCode = (symbol: bigint): boolean =>
    code.some(({ address, size }) => symbol >= address && symbol < address + BigInt(size));
  return readKallsymsSection(section, text.address)?.map((symbol) => ({
    ...symbol,
    type: isCode(symbol.address) ? "T" : "D",
  }));
}

/** The same with the symbols of a System.map. Throws `bad-kernel` for a text that is none. */
export function withSystemMap(vmlinux: Uint8Array, map: Uint8Array): Uint8Array {
  const symbols: KallsymsEntry[] = [];
  for (const line of new TextDecoder("latin1").decode(map).split("\n")) {
    const [, address, type = "", name = ""] = /^([0-9a-f]{8,16}) ([A-Za-z]) (\S+)$/.exec(line) ?? [];
    if (address !== undefined) symbols.push({ name, type, address: BigInt(`0x${address}`) });
  }
  if (symbols.length < 2) {
    throw new CrashlabError(
      "bad-kernel",
      `expected a vmlinux or a System.map as symbols, found neither; Debian has the real ones in its -dbg package, and ` +
        "without the option the kernel's own kallsyms serve",
    );
  }
  return withSymbols(vmlinux, symbols);
}

/** A copy of the file with these symbols. */
export function withSymbols(vmlinux: Uint8Array, symbols: readonly KallsymsEntry[]): Uint8Array {
  const elf = new ElfFile(vmlinux);
  const { bytes: names, places } = stringTable(symbols.map((symbol) => symbol.name));
  const table = symbolTable(elf.sections, symbols, places);
  const oldNames = sectionNames(vmlinux, elf);
  const sectionStrings = concat([oldNames, new TextEncoder().encode(".symtab\0.strtab\0")]);
  const parts = [table, names, sectionStrings];
  const starts: number[] = [];
  let end = align8(vmlinux.length);
  for (const part of parts) {
    starts.push(end);
    end = align8(end + part.length);
  }
  const headers = end;
  const count = elf.sections.length;
  const result = new Uint8Array(headers + (count + 2) * SECTION_HEADER);
  result.set(vmlinux);
  parts.forEach((part, index) => {
    result.set(part, starts[index]);
  });
  const view = new DataView(result.buffer);
  const oldTable = Number(view.getBigUint64(40, true));
  result.set(vmlinux.subarray(oldTable, oldTable + count * SECTION_HEADER), headers);
  view.setBigUint64(40, BigInt(headers), true);
  view.setUint16(60, count + 2, true);
  const namesAt = headers + view.getUint16(62, true) * SECTION_HEADER;
  view.setBigUint64(namesAt + 24, BigInt(starts[2] ?? 0), true);
  view.setBigUint64(namesAt + 32, BigInt(sectionStrings.length), true);
  const header = (index: number, name: number, type: number, start = 0, size = 0): number => {
    const at = headers + index * SECTION_HEADER;
    view.setUint32(at, name, true);
    view.setUint32(at + 4, type, true);
    view.setBigUint64(at + 24, BigInt(start), true);
    view.setBigUint64(at + 32, BigInt(size), true);
    view.setBigUint64(at + 48, 8n, true);
    return at;
  };
  const symtab = header(count, oldNames.length, SHT_SYMTAB, starts[0], table.length);
  view.setUint32(symtab + 40, count + 1, true); // its strings
  view.setUint32(symtab + 44, 1, true); // the first global symbol: all but the null symbol may be
  view.setBigUint64(symtab + 56, BigInt(SYMBOL), true);
  header(count + 1, oldNames.length + 8, SHT_STRTAB, starts[1], names.length);
  return result;
}

/** The names of sections, which a reader of a hostile file may not find where the header says. */
function sectionNames(bytes: Uint8Array, elf: ElfFile): Uint8Array {
  const index = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint16(62, true);
  const section = elf.sections[index];
  return section === undefined
    ? new Uint8Array(0)
    : bytes.subarray(section.offset, section.offset + section.size);
}

function symbolTable(
  sections: readonly ElfSection[],
  symbols: readonly KallsymsEntry[],
  places: readonly number[],
): Uint8Array {
  const loaded = sections.filter((section) => (section.flags & SHF_ALLOC) !== 0n);
  const addresses = [...new Set(symbols.map((symbol) => symbol.address))].sort((a, b) => (a < b ? -1 : 1));
  const next = new Map(addresses.map((address, index) => [address, addresses[index + 1]]));
  const bytes = new Uint8Array((symbols.length + 1) * SYMBOL);
  const view = new DataView(bytes.buffer);
  symbols.forEach(({ type, address }, index) => {
    const section = loaded.findLast(
      (each) => address >= each.address && address < each.address + BigInt(each.size),
    );
    const isAbsolute = type === "A" && address < KERNEL_START && section === undefined;
    const size = (next.get(address) ?? address) - address;
    const isCode = type === "T" || type === "t" || type === "W" || type === "w";
    const kind = isCode ? STT.function : type === "A" || type === "a" ? STT.none : STT.object;
    const binding = type === type.toUpperCase() ? 1 : 0;
    const at = (index + 1) * SYMBOL;
    view.setUint32(at, places[index] ?? 0, true);
    view.setUint8(at + 4, (binding << 4) | kind);
    view.setUint16(at + 6, section === undefined || isAbsolute ? SHN_ABS : section.index, true);
    view.setBigUint64(at + 8, address, true);
    view.setBigUint64(at + 16, size < SIZE_LIMIT ? size : 0n, true);
  });
  return bytes;
}

function stringTable(names: readonly string[]): {
  readonly bytes: Uint8Array;
  readonly places: readonly number[];
} {
  const places: number[] = [];
  let length = 1;
  for (const name of names) {
    places.push(length);
    length += name.length + 1;
  }
  const bytes = new Uint8Array(length);
  names.forEach((name, index) => {
    const start = places[index] ?? 0;
    for (let at = 0; at < name.length; at++) bytes[start + at] = name.charCodeAt(at);
  });
  return { bytes, places };
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

function align8(value: number): number {
  return (value + 7) & ~7;
}
