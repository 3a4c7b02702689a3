/**
 * Modules as they lie in a dump: where, how large, with which symbols and unwind table. Mirrors Linux
 * include/linux/module.h: `core_layout` until 6.3, `mem[]` since.
 */
import { type OrcLayout, OrcTable } from "../symbols/orc.ts";
import { type KernelSymbol, sortSymbols } from "./kernel_symbols.ts";
import type { Program } from "./program.ts";
import { viewOf } from "./range_reader.ts";
import type { Value } from "./value.ts";

interface Region {
  readonly start: bigint;
  readonly size: number;
  readonly text: boolean;
}

/** A module in the kernel's list. */
export interface LoadedModule {
  readonly name: string;
  /** Address of its struct module. */
  readonly address: bigint;
  /** Start of its code, and the bytes of all that stays loaded. */
  readonly base: bigint;
  readonly size: number;
  /** Letters of its taint flags, as `(OE)` in an oops. */
  readonly taints: bigint;
  readonly symbols: readonly KernelSymbol[];
  readonly orc: OrcTable | undefined;
  /** Whether an address lies in the module. */
  contains(address: bigint): boolean;
  /** Whether an address lies in its code. */
  isText(address: bigint): boolean;
}

const SYMBOL_SIZE = 24;
/** Tables with more entries are damage. */
const SYMBOLS_LIMIT = 1 << 20;
/** A string table is read as a whole, up to this. */
const STRINGS_LIMIT = 16 << 20;
const MODULES_LIMIT = 4096;
/** mod_mem_type: text, data, read-only data, read-only after init; then those of init. */
const CORE_REGIONS = 4;

/** The modules of a dump, the last loaded first, as the kernel's list has them. */
export async function readModules(program: Program): Promise<LoadedModule[]> {
  const type = program.findType("struct module");
  const head = program.symbols.address("modules");
  const listHead = program.findType("struct list_head");
  if (type === undefined || head === undefined || listHead === undefined) return [];
  const modules: LoadedModule[] = [];
  for await (const module of program.value(listHead, head).list(type, "list", MODULES_LIMIT)) {
    try {
      modules.push(await readModule(program, module));
    } catch (error) {
      program.problem(`module at 0x${module.address.toString(16)}: ${describe(error)}`);
      break;
    }
  }
  return modules;
}

async function readModule(program: Program, module: Value): Promise<LoadedModule> {
  const name = await module.member("name").string();
  const regions = await readRegions(module);
  const contains = (address: bigint): boolean => regions.some((region) => inside(region, address));
  return {
    name,
    address: module.address,
    base: regions[0]?.start ?? 0n,
    size: regions.reduce((sum, { size }) => sum + size, 0),
    taints: module.has("taints") ? await module.member("taints").u64() : 0n,
    symbols: await readModuleSymbols(module, name, contains).catch((error: unknown) => {
      program.problem(`symbols of module ${name}: ${describe(error)}`);
      return [];
    }),
    orc: await readOrc(module, program.orcLayout).catch(() => undefined),
    contains,
    isText: (address) => regions.some((region) => region.text && inside(region, address)),
  };
}

async function readRegions(module: Value): Promise<Region[]> {
  if (!module.has("mem")) {
    const layout = module.member("core_layout");
    const start = await layout.member("base").u64();
    const size = await layout.member("size").number();
    const textSize = await layout.member("text_size").number();
    // One stretch, of which the first part is code; the parts are counted once.
    return [
      { start, size: textSize, text: true },
      { start: start + BigInt(textSize), size: Math.max(0, size - textSize), text: false },
    ];
  }
  const regions: Region[] = [];
  for (let index = 0; index < CORE_REGIONS; index++) {
    const memory = module.member("mem").at(index);
    const size = await memory.member("size").number();
    if (size > 0) regions.push({ start: await memory.member("base").u64(), size, text: index === 0 });
  }
  return regions;
}

async function readModuleSymbols(
  module: Value,
  name: string,
  contains: (address: bigint) => boolean,
): Promise<KernelSymbol[]> {
  const kallsyms = module.has("kallsyms")
    ? await module.member("kallsyms").target()
    : module.member("core_kallsyms");
  const count = Math.min(await kallsyms.member("num_symtab").number(), SYMBOLS_LIMIT);
  const table = await module.memory.read(await kallsyms.member("symtab").u64(), count * SYMBOL_SIZE);
  const strings = await kallsyms.member("strtab").u64();
  const types = kallsyms.has("typetab") ? await kallsyms.member("typetab").u64() : 0n;
  const letters = types === 0n ? undefined : await module.memory.tryRead(types, count);
  const view = viewOf(table);
  const nameOf = await stringsFrom(module, strings, view, count);
  const symbols: KernelSymbol[] = [];
  for (let index = 1; index < count; index++) {
    const at = index * SYMBOL_SIZE;
    const address = view.getBigUint64(at + 8, true);
    const text = nameOf(view.getUint32(at, true));
    if (!contains(address) || text === "" || view.getUint16(at + 6, true) === 0) continue;
    const letter = String.fromCharCode(letters?.[index] ?? 0);
    const kind = view.getUint8(at + 4) & 15;
    const global = view.getUint8(at + 4) >> 4 !== 0;
    const guess = kind === 2 ? "t" : "d";
    const type = /[a-z]/i.test(letter) ? letter : global ? guess.toUpperCase() : guess;
    const size = Number(view.getBigUint64(at + 16, true));
    symbols.push({ name: text, address, size, type, module: name });
  }
  return sortSymbols(symbols);
}

/** All names with one read: from the first to behind the last. */
async function stringsFrom(
  module: Value,
  strings: bigint,
  table: DataView,
  count: number,
): Promise<(offset: number) => string> {
  let last = 0;
  for (let index = 0; index < count; index++)
    last = Math.max(last, table.getUint32(index * SYMBOL_SIZE, true));
  const whole = Math.min(last, STRINGS_LIMIT);
  const bytes = await module.memory.read(strings, whole);
  const tail = await module.memory.string(strings + BigInt(whole), 512);
  return (offset) => {
    if (offset >= whole) return offset === whole ? tail : "";
    const end = bytes.indexOf(0, offset);
    const text = new TextDecoder().decode(bytes.subarray(offset, end < 0 ? whole : end));
    return end < 0 ? text + tail : text;
  };
}

async function readOrc(module: Value, layout: OrcLayout): Promise<OrcTable | undefined> {
  const home = module.has("arch.num_orcs") ? module.member("arch") : module;
  if (!home.has("num_orcs")) return undefined;
  const count = Math.min(await home.member("num_orcs").number(), SYMBOLS_LIMIT);
  if (count === 0) return undefined;
  const address = await home.member("orc_unwind_ip").u64();
  const ips = await module.memory.read(address, count * 4);
  const rows = await module.memory.read(await home.member("orc_unwind").u64(), count * 6);
  return new OrcTable(address, ips, rows, layout);
}

function inside({ start, size }: Region, address: bigint): boolean {
  return address >= start && address < start + BigInt(size);
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
