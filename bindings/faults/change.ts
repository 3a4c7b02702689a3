/** Changes to a machine that stands still, each with the values before and after. */
import type { Core } from "../core/core.ts";
import type { Registers } from "../core/registers.ts";
import { CrashlabError } from "../error.ts";
import { nameOf, resolvePlace } from "../machine/places.ts";
import type { SymbolTable } from "../symbols/table.ts";
import type { Change, ChangeRecord, Location } from "./fault.ts";

/** THREAD_SIZE: kernel stacks lie at multiples of it. */
const STACK = 0x4000n;
/** fixed_percpu_data.stack_canary, by GS (Linux arch/x86/include/asm/processor.h). */
const CANARY = 40n;
const PRESENT = 1n;
const LARGE = 0x80n;
const FRAME = 0x000ffffffffff000n;

/** Makes the change. Throws `bad-option` or `bad-address` for one that no machine could have. */
export function applyChange(
  core: Core,
  symbols: SymbolTable,
  change: Exclude<Change, { readonly kind: "disk" }>,
): ChangeRecord {
  const cpu = "cpu" in change && change.cpu !== undefined ? change.cpu : core.activeCpu;
  const registers = core.registers(cpu);
  switch (change.kind) {
    case "register": {
      const before = registers[change.name];
      if (before === undefined) {
        throw new CrashlabError("bad-option", `expected the name of a register, found "${change.name}"`);
      }
      core.setRegister(change.name, before ^ bitOf(change.bit, 64), cpu);
      const after = core.registers(cpu)[change.name];
      return { kind: change.kind, cpu, register: change.name, bit: change.bit, size: 8, before, after };
    }
    case "memory":
      return flip(core, symbols, change.kind, locate(core, symbols, change.location), change.bit, 1);
    case "code": {
      const where = mapped(core, registers.rip + BigInt(change.offset ?? 0));
      if (where === undefined) return { kind: change.kind, skipped: "RIP is not mapped" };
      return flip(core, symbols, change.kind, where, change.bit, 1);
    }
    case "page-table":
      return flipEntry(core, symbols, registers, change);
    case "return-address": {
      const where = returnAddress(core, symbols, registers);
      if (where === undefined)
        return { kind: change.kind, skipped: "no return address of the kernel is known" };
      return flip(core, symbols, change.kind, where, change.bit, 8);
    }
    case "canary": {
      const where = findCanary(core, registers);
      if (where === undefined) return { kind: change.kind, skipped: "there is no canary on the stack" };
      return flip(core, symbols, change.kind, where, change.bit, 8);
    }
    case "function-return": {
      const where = mapped(core, registers.rsp);
      if (registers.cpl === 3 || where === undefined)
        return { kind: change.kind, skipped: "no function of the kernel has just been entered" };
      core.setRegister("rip", read(core, where.physical, 8), cpu);
      core.setRegister("rsp", registers.rsp + 8n, cpu);
      core.setRegister("rax", change.value, cpu);
      const after = core.registers(cpu).rax;
      return { kind: change.kind, cpu, register: "rax", size: 8, before: registers.rax, after };
    }
    case "line":
      core.setLineFault(change.line, change.fault);
      return { kind: change.kind, line: change.line };
    case "freeze":
      core.freeze(cpu, true);
      return { kind: change.kind, cpu };
    case "nmi":
      core.nmi(cpu);
      return { kind: change.kind, cpu, vector: 2 };
    case "machine-check":
      core.machineCheck(cpu, change.check);
      return { kind: change.kind, cpu, vector: 18 };
    case "vector":
      core.raiseVector(cpu, change.vector);
      return { kind: change.kind, cpu, vector: change.vector };
  }
}

interface Where {
  readonly physical: bigint;
  readonly virtual?: bigint;
}

function flip(
  core: Core,
  symbols: SymbolTable,
  kind: Change["kind"],
  { physical, virtual }: Where,
  bit: number,
  size: 1 | 8,
): ChangeRecord {
  bitOf(bit, size * 8);
  const before = read(core, physical, size);
  core.flipBit(physical + BigInt(bit >> 3), bit & 7);
  const after = read(core, physical, size);
  const symbol = virtual === undefined ? undefined : nameOf(virtual, symbols);
  return {
    kind,
    physical,
    ...(virtual === undefined ? {} : { virtual }),
    ...(symbol === undefined ? {} : { symbol }),
    bit,
    size,
    before,
    after,
  };
}

function locate(core: Core, symbols: SymbolTable, location: Location): Where {
  if ("place" in location) {
    const virtual = resolvePlace(location.place, symbols);
    const where = mapped(core, virtual);
    if (where !== undefined) return where;
    throw new CrashlabError("bad-address", `expected a mapped address, found 0x${virtual.toString(16)}`);
  }
  const { physical } = location;
  // The kernel's image is mapped at this address, all memory above the other: its names are of the image.
  const image = symbols.address("_text");
  const inImage = physical + IMAGE_MAP;
  if (image !== undefined && inImage >= image && nameOf(inImage, symbols) !== undefined)
    return { physical, virtual: inImage };
  return { physical, virtual: physical + DIRECT_MAP };
}

/** __START_KERNEL_map and page_offset_base (Linux Documentation/x86/x86_64/mm.rst). */
const IMAGE_MAP = 0xffffffff80000000n;
const DIRECT_MAP = 0xffff888000000000n;

function mapped(core: Core, virtual: bigint): Where | undefined {
  const address = BigInt.asUintN(64, virtual);
  const physical = core.translate(address)?.physical;
  if (physical === undefined || physical + 8n > BigInt(core.ramBytes)) return undefined;
  return { physical, virtual: address };
}

function read(core: Core, physical: bigint, size: 1 | 8): bigint {
  const bytes = core.readPhysical(physical, size);
  return size === 1 ? BigInt(bytes[0] ?? 0) : new DataView(bytes.buffer).getBigUint64(0, true);
}

/** The entry of the page tables that CR3 points to. No CPU goes on with what it has cached: the kernel's pages are global. */
function flipEntry(
  core: Core,
  symbols: SymbolTable,
  { cr3 }: Registers,
  change: Extract<Change, { kind: "page-table" }>,
): ChangeRecord {
  bitOf(change.bit, 64);
  const { kind, level: wanted = 1, bit } = change;
  const address = resolvePlace(change.place, symbols);
  let table = cr3 & FRAME;
  for (let level = 4; level >= 1; level--) {
    const physical = table + ((address >> BigInt(3 + 9 * level)) & 0x1ffn) * 8n;
    if (physical + 8n > BigInt(core.ramBytes)) break;
    const entry = read(core, physical, 8);
    const isLeaf = level === 1 || (level < 4 && (entry & LARGE) !== 0n);
    if (level === wanted || isLeaf || (entry & PRESENT) === 0n) {
      const record = flip(core, symbols, kind, { physical, virtual: physical + DIRECT_MAP }, bit, 8);
      core.flushTlbs();
      return { ...record, level };
    }
    table = entry & FRAME;
  }
  return { kind, skipped: "the page tables lead out of memory" };
}

/** At a function's first instruction it is on top of the stack, later above the saved frame pointer. */
function returnAddress(core: Core, symbols: SymbolTable, registers: Registers): Where | undefined {
  if (registers.cpl === 3) return undefined;
  const isEntry = symbols.lookup(registers.rip)?.offset === 0;
  const where = mapped(core, isEntry ? registers.rsp : registers.rbp + 8n);
  if (where === undefined) return undefined;
  return read(core, where.physical, 8) >= IMAGE_MAP ? where : undefined;
}

/** The word nearest to RSP that equals the CPU's canary. */
function findCanary(core: Core, { cpl, segments, kernelGsBase, rsp }: Registers): Where | undefined {
  if (cpl === 3) return undefined;
  const gs = segments.gs.base > 1n << 63n ? segments.gs.base : kernelGsBase;
  const own = mapped(core, gs + CANARY);
  if (own === undefined) return undefined;
  const canary = read(core, own.physical, 8);
  const end = (rsp | (STACK - 1n)) + 1n;
  for (let address = (rsp + 7n) & ~7n; address < end; address += 8n) {
    const where = mapped(core, address);
    if (where === undefined) return undefined;
    if (read(core, where.physical, 8) === canary) return where;
  }
  return undefined;
}

function bitOf(bit: number, width: number): bigint {
  if (Number.isInteger(bit) && bit >= 0 && bit < width) return 1n << BigInt(bit);
  throw new CrashlabError("bad-option", `expected a bit from 0 to ${width - 1}, found ${bit}`);
}
