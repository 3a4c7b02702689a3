/**
 * The vmlinux that goes with a dump: symbols, types and unwind tables. A file is read section by section; with BTF
 * in it, its DWARF (hundreds of megabytes in a distribution's kernel) is not read at all.
 */
import { CrashlabError } from "../error.ts";
import { BtfTypes } from "../symbols/btf.ts";
import { type OrcLayout, OrcTable } from "../symbols/orc.ts";
import { withKallsyms } from "../symbols/symtab.ts";
import { SymbolTable } from "../symbols/table.ts";
import { NO_TYPES, type TypeSource } from "../symbols/types.ts";
import {
  type DumpSource,
  type RangeReader,
  type ReadOptions,
  rangeReader,
  viewOf,
  watchedReader,
} from "./range_reader.ts";

const SECTION_HEADER = 64;
const SHT_NOBITS = 8;
const CHUNK = 16 << 20;
const FILE_LIMIT = 2 ** 31 - 1;

/**
 * Symbols of a vmlinux or .ko given as a file, a Blob or bytes: its own, or where it was stripped, those of its
 * kallsyms. Throws `bad-kernel` for anything else, `aborted` when the signal fires.
 */
export async function readSymbols(source: DumpSource, options: ReadOptions = {}): Promise<SymbolTable> {
  if (source instanceof Uint8Array) return SymbolTable.fromElf(withKallsyms(source));
  const reader = watchedReader(await rangeReader(source), options);
  if (reader.size > FILE_LIMIT) {
    throw new CrashlabError(
      "bad-kernel",
      `expected a vmlinux of less than 2 GiB, found ${reader.size} bytes; give one with less debug information`,
    );
  }
  return SymbolTable.fromElf(withKallsyms(await readNeeded(reader)));
}

/** The file's bytes without those of debug sections that are not needed; memory for them is never touched. */
async function readNeeded(reader: RangeReader): Promise<Uint8Array> {
  const bytes = new Uint8Array(reader.size);
  const load = async (offset: number, length: number): Promise<void> => {
    for (let at = offset; at < offset + length; at += CHUNK) {
      bytes.set(await reader.read(at, Math.min(CHUNK, offset + length - at)), at);
    }
  };
  if (reader.size < SECTION_HEADER) return load(0, reader.size).then(() => bytes);
  await load(0, SECTION_HEADER);
  const header = viewOf(bytes);
  const table = Number(header.getBigUint64(40, true));
  const count = header.getUint16(60, true);
  const inside = (offset: number, length: number): boolean => offset + length <= reader.size;
  if (!inside(table, count * SECTION_HEADER)) return bytes;
  await load(table, count * SECTION_HEADER);
  const field = (index: number, at: number): number =>
    Number(header.getBigUint64(table + index * SECTION_HEADER + at, true));
  const names = header.getUint16(62, true);
  const nameTable = names < count && inside(field(names, 24), field(names, 32));
  if (nameTable) await load(field(names, 24), field(names, 32));
  const nameOf = (index: number): string => {
    const at = field(names, 24) + header.getUint32(table + index * SECTION_HEADER, true);
    return new TextDecoder("latin1").decode(bytes.subarray(at, at + 16)).split("\0")[0] ?? "";
  };
  const all = nameTable ? Array.from({ length: count }, (_, index) => nameOf(index)) : [];
  const skipDebug = all.includes(".BTF");
  for (let index = 0; index < count; index++) {
    const type = header.getUint32(table + index * SECTION_HEADER + 4, true);
    const skipped = skipDebug && /^\.(?:debug|rela)/.test(all[index] ?? "");
    if (skipped || type === SHT_NOBITS || !inside(field(index, 24), field(index, 32))) continue;
    await load(field(index, 24), field(index, 32));
  }
  return bytes;
}

/** Types of a kernel: from BTF where it has that, else from DWARF. */
export function typesOf(symbols: SymbolTable): TypeSource {
  const btf = symbols.elf.content(".BTF");
  if (btf !== undefined) return new BtfTypes(btf);
  return symbols.elf.section(".debug_info") === undefined ? NO_TYPES : symbols.types;
}

/** The kernel's unwind table; undefined when it was built without one. */
export function orcOf(symbols: SymbolTable, layout: OrcLayout): OrcTable | undefined {
  const ips = symbols.elf.section(".orc_unwind_ip");
  const ipBytes = symbols.elf.content(".orc_unwind_ip");
  const rows = symbols.elf.content(".orc_unwind");
  if (ips === undefined || ipBytes === undefined || rows === undefined) return undefined;
  return new OrcTable(ips.address, ipBytes, rows, layout);
}
