/**
 * Runs vectors on a core: ring 3 of long mode, the regions mapped and nothing else but one supervisor area at the
 * top of the address space, with the tables and the stack that deliver an exception.
 */
import { Core } from "../core/core.ts";
import { GENERAL_REGISTERS } from "../core/registers.ts";
import type { EntryState, MemoryPiece } from "../machine/loaders/boot_image.ts";
import { compare } from "./compare.ts";
import type { VectorSet } from "./load.ts";
import type { Outcome, Region, Vector, VectorException } from "./types.ts";

const PAGE = 0x1000;
const RAM = 0x200000;
/** Physical places: page tables, system area, regions. */
const TABLES = 0x1000;
const SYSTEM = 0x20000;
const REGIONS = 0x30000;
/** Where the system area is mapped: IDT, GDT and TSS, stack. */
const SYSTEM_BASE = 0xffff_c000_0000_0000n;
const SYSTEM_PAGES = 3;
// Their addresses must be exact as numbers: multiples of 2048 up there.
const GDT = PAGE;
const TSS = PAGE + 0x800;
const STACK_TOP = 3 * PAGE;
const FRAME = 5 * 8;

const PRESENT = 0x61n; // accessed and dirty from the start
const WRITABLE = 2n;
const USER = 4n;
const NO_EXECUTE = 1n << 63n;

const CS = 0x33;
const DS = 0x2b;

export class VectorRunner {
  readonly #core: Core;
  readonly #set: VectorSet;
  readonly #fixed: readonly MemoryPiece[];
  readonly #places: ReadonlyMap<string, number>;

  private constructor(core: Core, set: VectorSet) {
    this.#core = core;
    this.#set = set;
    const tables = new PageTables();
    const places = new Map<string, number>();
    let next = REGIONS;
    for (const region of set.regions) {
      places.set(region.name, next);
      const rights = USER | (region.writable ? WRITABLE : 0n) | (region.executable ? 0n : NO_EXECUTE);
      for (let at = 0; at < region.size; at += PAGE) tables.map(region.base + BigInt(at), next + at, rights);
      next += region.size;
    }
    for (let page = 0; page < SYSTEM_PAGES; page++) {
      tables.map(SYSTEM_BASE + BigInt(page * PAGE), SYSTEM + page * PAGE, WRITABLE);
    }
    this.#places = places;
    this.#fixed = [
      { address: TABLES, bytes: tables.bytes },
      { address: SYSTEM, bytes: systemArea() },
    ];
  }

  static async create(set: VectorSet, wasm?: Uint8Array<ArrayBuffer>): Promise<VectorRunner> {
    const core = await Core.create({
      ramBytes: RAM,
      recordInputs: false,
      ...(wasm === undefined ? {} : { wasm }),
    });
    return new VectorRunner(core, set);
  }

  /** Runs a vector; the differences, none when it passes. */
  run(vector: Vector): string[] {
    this.#prepare(vector);
    for (let step = 1; step <= vector.steps; step++) {
      const before = this.#core.exceptionCount;
      const exit = this.#step();
      if (exit !== "budget") return [`step ${step} of ${vector.steps}: the machine stopped: ${exit}`];
      const count = this.#core.exceptionCount - before;
      if (count === 0) continue;
      const record = this.#core.exceptions().at(-1);
      if (count > 1 || record === undefined) return [`step ${step}: exception while one was delivered`];
      const exception: VectorException = {
        vector: record.vector,
        error: record.error,
        ...(record.vector === 14 ? { address: record.cr2 } : {}),
      };
      if (step < vector.steps) return [`step ${step} of ${vector.steps}: exception ${record.vector}`];
      return compare(this.#set, vector, this.#outcome(exception));
    }
    return compare(this.#set, vector, this.#outcome(undefined));
  }

  /** One instruction. A long repeated string instruction takes several turns, at the same RIP with RCX going down. */
  #step(): string {
    for (;;) {
      const before = this.#core.registers();
      const exit = this.#core.run(1);
      const { rip, rcx, cpl } = this.#core.registers();
      if (exit.kind !== "budget" || cpl === 0) return exit.kind;
      if (rip !== before.rip || before.rcx - rcx < 0x80n) return exit.kind;
    }
  }

  #prepare(vector: Vector): void {
    const core = this.#core;
    const regions = this.#set.regions.map((region) => ({
      address: this.#place(region),
      bytes: this.#set.contents(region, vector),
    }));
    const { before } = vector;
    core.start({ protocol: "linux64", pieces: [...this.#fixed, ...regions], entry: ENTRY });
    core.setSegment("ss", { selector: DS, base: 0, limit: 0xffffffff, attributes: 0xc0f3 });
    GENERAL_REGISTERS.forEach((name, index) => {
      core.setRegister(name, before.general[index] ?? 0n);
    });
    core.setRegister("rip", before.rip);
    core.setRegister("rflags", before.rflags | 0x202n);
    core.setSegmentBase("fs", before.fsBase);
    core.setSegmentBase("gs", before.gsBase);
    core.fpu = before.fpu;
  }

  #outcome(exception: VectorException | undefined): Outcome {
    const core = this.#core;
    const registers = core.registers();
    const general = GENERAL_REGISTERS.map((name) => registers[name]);
    let { rip, rflags } = registers;
    if (exception !== undefined) {
      // The state that the handler finds on its stack.
      const bytes = core.readPhysical(BigInt(SYSTEM + STACK_TOP - FRAME), FRAME);
      const frame = new DataView(bytes.buffer);
      rip = frame.getBigUint64(0, true);
      rflags = frame.getBigUint64(16, true);
      general[4] = frame.getBigUint64(24, true);
    }
    const memory = new Map<string, Uint8Array>();
    for (const region of this.#set.regions) {
      if (region.writable)
        memory.set(region.name, core.readPhysical(BigInt(this.#place(region)), region.size));
    }
    const { fs, gs } = registers.segments;
    const state = { general, rip, rflags, fpu: core.fpu, fsBase: fs.base, gsBase: gs.base };
    return { state, exception, memory };
  }

  #place(region: Region): number {
    return this.#places.get(region.name) ?? 0;
  }
}

const NULL_SEGMENT = { selector: 0, base: 0, limit: 0, attributes: 0 };

/** Control registers as Linux runs user programs. */
const ENTRY: EntryState = {
  rip: 0,
  cr0: 0x80050033,
  cr3: TABLES,
  cr4: 0x50620,
  efer: 0xd01,
  cs: { selector: CS, base: 0, limit: 0xffffffff, attributes: 0xa0fb },
  data: NULL_SEGMENT,
  tr: { selector: 0x40, base: Number(SYSTEM_BASE) + TSS, limit: 0x67, attributes: 0x8b },
  gdt: { base: Number(SYSTEM_BASE) + GDT, limit: 0x4f },
  idt: { base: Number(SYSTEM_BASE), limit: 0xfff },
};

/** IDT with a gate for every vector, GDT with ring 0 code at 0x10, TSS with the ring 0 stack. */
function systemArea(): Uint8Array {
  const bytes = new Uint8Array(SYSTEM_PAGES * PAGE);
  const view = new DataView(bytes.buffer);
  const handler = SYSTEM_BASE + BigInt(2 * PAGE);
  for (let vector = 0; vector < 256; vector++) {
    const low =
      (handler & 0xffffn) | (0x10n << 16n) | (0x8e00n << 32n) | (((handler >> 16n) & 0xffffn) << 48n);
    view.setBigUint64(vector * 16, low, true);
    view.setBigUint64(vector * 16 + 8, handler >> 32n, true);
  }
  view.setBigUint64(GDT + 0x10, 0x00af9b000000ffffn, true);
  view.setBigUint64(GDT + 0x28, 0x00cff3000000ffffn, true);
  view.setBigUint64(GDT + 0x30, 0x00affb000000ffffn, true);
  view.setBigUint64(TSS + 4, SYSTEM_BASE + BigInt(STACK_TOP), true);
  view.setUint16(TSS + 0x66, 0x68, true); // no port bitmap
  return bytes;
}

/** Four-level page tables, laid out from TABLES. */
class PageTables {
  readonly #view: DataView = new DataView(new ArrayBuffer(16 * PAGE));
  #used = PAGE;

  get bytes(): Uint8Array {
    return new Uint8Array(this.#view.buffer, 0, this.#used);
  }

  map(address: bigint, physical: number, rights: bigint): void {
    let table = 0;
    for (let shift = 39n; shift > 12n; shift -= 9n) {
      const entry = table + Number((address >> shift) & 511n) * 8;
      let value = this.#view.getBigUint64(entry, true);
      if (value === 0n) {
        value = BigInt(TABLES + this.#used) | PRESENT | WRITABLE | USER;
        this.#used += PAGE;
        this.#view.setBigUint64(entry, value, true);
      }
      table = Number(value & 0xffff000n) - TABLES;
    }
    const entry = table + Number((address >> 12n) & 511n) * 8;
    this.#view.setBigUint64(entry, BigInt(physical) | PRESENT | rights, true);
  }
}
