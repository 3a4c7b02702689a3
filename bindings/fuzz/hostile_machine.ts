/**
 * Machines in random states: code, page tables, descriptors, registers. Half of them keep an interrupt table that
 * works, whose handlers jump back into the code, so that they live for long; the rest is as it comes.
 */
import type { Core } from "../core/core.ts";
import { GENERAL_REGISTERS, SEGMENT_REGISTERS } from "../core/registers.ts";
import type { EntryState, SegmentState } from "../machine/loaders/boot_image.ts";
import { hostileCode } from "./hostile_code.ts";
import type { Random } from "./random.ts";

const PAGE = 0x1000;
const MIB2 = 0x200000;
const TABLES = 0x1000; // PML4, PDPT, two page directories, one page table; PAE and 32-bit ones after them
const PAE_TABLES = 0x7000;
const FLAT_DIRECTORY = 0x8000;
const IDT = 0x9000;
const GDT = 0xa000;
const TSS = 0xb000;
const HANDLERS = 0xc000;
const STACKS = 0x10000;
const CODE = 0x40000;
const CODE_SIZE = 0x10000;
const DATA = 0x100000;

type Mode = "long" | "compatible" | "pae" | "protected" | "paged" | "real";

const flat = (selector: number, attributes: number): SegmentState => ({
  selector,
  base: 0,
  limit: 0xffffffff,
  attributes,
});

/** Puts a core at power-on into a random state. */
export function startHostile(core: Core, random: Random): void {
  const mode = random.pick<Mode>(["long", "long", "long", "compatible", "pae", "protected", "paged", "real"]);
  const wide = mode === "long";
  const bytes = new Uint8Array(STACKS - TABLES);
  const view = new DataView(bytes.buffer);
  writeTables(view, random, core.ramBytes);
  writeGates(view, random, mode);
  writeDescriptors(view, random);
  const isRandomTable = random.oneIn(6);
  if (isRandomTable) bytes.set(random.bytes(PAGE), random.below(11) * PAGE);
  core.start({
    protocol: "linux64",
    pieces: [
      { address: TABLES, bytes },
      { address: CODE, bytes: hostileCode(random, CODE_SIZE, wide) },
      { address: DATA, bytes: random.bytes(0x4000) },
      // Where start-up messages are likely to send the other CPUs.
      { address: 0x20000, bytes: hostileCode(random, PAGE, false) },
    ],
    entry: entryOf(mode, random),
  });
  if (!random.oneIn(3)) randomRegisters(core, random, 0);
  if (random.oneIn(12)) randomSystem(core, random);
  for (let cpu = 1; cpu < core.cpus; cpu++) if (random.oneIn(2)) randomRegisters(core, random, cpu);
}

function writeTables(view: DataView, random: Random, ramBytes: number): void {
  const set = (address: number, value: bigint): void => view.setBigUint64(address - TABLES, value, true);
  const user = random.oneIn(2) ? 7n : 3n;
  set(TABLES, 0x2000n | user);
  set(TABLES + 511 * 8, 0x2000n | user);
  for (const pdpt of [0x2000, PAE_TABLES]) {
    const rights = pdpt === PAE_TABLES ? 1n : user;
    set(pdpt, 0x3000n | rights);
    set(pdpt + 24, 0x4000n | rights);
  }
  for (let n = 0; n < 512; n++) {
    const within = n * MIB2 < ramBytes * 2;
    if (within) set(0x3000 + n * 8, BigInt(n * MIB2) | 0x80n | user);
    if (n >= 0x1f0) set(0x4000 + n * 8, BigInt(0xc0000000 + n * MIB2) | 0x83n);
  }
  for (let n = 0; n < 1024; n++) view.setUint32(FLAT_DIRECTORY - TABLES + n * 4, n * 0x400000 + 0x87, true);
  if (random.oneIn(4)) wildTables(set, random, ramBytes);
  // The second 2 MiB by 4 KiB pages, of which some are damaged.
  set(0x3008, 0x5000n | user);
  for (let n = 0; n < 512; n++)
    set(0x5000 + n * 8, BigInt(random.below(512) * PAGE) | BigInt(random.below(0x200)) | 1n);
  for (let damage = random.pick([0, 0, 2, 20]); damage > 0; damage--) {
    const entry = TABLES + random.below(5) * PAGE + random.pick([0, 8, 16, 24, random.below(512) * 8]);
    const old = view.getBigUint64(entry - TABLES, true);
    set(entry, random.oneIn(3) ? random.u64() : old ^ (1n << BigInt(random.below(64))));
  }
}

/** Entries that lead anywhere, into the tables themselves too; those by which the code runs stay. */
function wildTables(set: (address: number, value: bigint) => void, random: Random, ramBytes: number): void {
  for (let n = random.pick([20, 200, 2000]); n > 0; n--) {
    const table = TABLES + random.below(5) * PAGE;
    const index = 1 + random.below(random.pick([3, 511]));
    const frame = random.oneIn(3) ? TABLES + random.below(5) * PAGE : random.below(ramBytes >> 12) * PAGE;
    const strange = random.oneIn(6) ? 1n << BigInt(random.below(64)) : 0n;
    set(table + index * 8, (BigInt(frame) | BigInt(random.below(0x200) | 1)) ^ strange);
  }
}

/** Vectors whose frames carry an error code do not matter: a handler forgets its frame. */
function writeGates(view: DataView, random: Random, mode: Mode): void {
  const isLong = mode === "long" || mode === "compatible";
  for (let vector = 0; vector < 256; vector++) {
    const gate = isLong ? IDT + vector * 16 : IDT + vector * 8;
    const handler = HANDLERS + (vector & 15) * 32;
    const access = BigInt(random.oneIn(40) ? random.below(256) : 0x8e | (random.oneIn(2) ? 0x60 : 0));
    const stack = isLong && random.below(4) !== 0 ? 1n : 0n;
    const selector = isLong ? 0x10n : 0x18n;
    view.setBigUint64(
      gate - TABLES,
      BigInt(handler & 0xffff) | (selector << 16n) | (stack << 32n) | (access << 40n),
      true,
    );
    if (mode === "real")
      view.setUint32(IDT - TABLES + vector * 4, (CODE << 12) | random.below(0x10000), true);
  }
  for (let n = 0; n < 16; n++) {
    const wide = isLong;
    // rdtsc; and eax, 0ffffh; add eax, CODE; mov esp, STACKS + ...; (sti); jmp rax
    const code = [
      ...[0x0f, 0x31, 0x69, 0xc0, 0x95, 0xe9, 0xd1, 0x5b, 0xc1, 0xe8, 16], // times 1540483477, upper half
      ...[0x05, CODE & 255, (CODE >> 8) & 255, (CODE >> 16) & 255, 0],
      ...[0xbc, 0x00, 0xf0, 0x01, 0x00, ...(random.oneIn(3) ? [0xfb] : [0x90])],
      ...(wide ? [0xff, 0xe0] : [0xff, 0xe0]),
    ];
    new Uint8Array(view.buffer).set(code, HANDLERS - TABLES + n * 32);
  }
  for (let at = 4; at < 0x64; at += 8) view.setBigUint64(TSS - TABLES + at, BigInt(STACKS + 0xf000), true);
  view.setUint16(TSS - TABLES + 0x66, random.oneIn(2) ? 0x68 : random.below(0x10000), true);
}

function writeDescriptors(view: DataView, random: Random): void {
  const known = [
    ...[0n, 0n, 0x00af9b000000ffffn, 0x00cf9b000000ffffn, 0x00cf93000000ffffn, 0x00cffb000000ffffn],
    ...[0x00cff3000000ffffn, 0x00affb000000ffffn, 0x00008b00b0000067n, 0n],
  ];
  for (let n = 0; n < 64; n++) {
    const value = known[n] ?? random.u64() & ~(random.oneIn(2) ? 0xffn << 56n : 0n);
    view.setBigUint64(GDT - TABLES + n * 8, value, true);
  }
}

function entryOf(mode: Mode, random: Random): EntryState {
  const isLong = mode === "long" || mode === "compatible";
  const ring = random.oneIn(4) ? 3 : 0;
  const code = isLong && mode === "long" ? 0xa09b : 0xc09b;
  const entry = {
    rip: CODE + random.below(CODE_SIZE),
    rsp: STACKS + 0xe000,
    rax: random.u32(),
    rbx: random.u32(),
    rsi: DATA,
    gdt: { base: GDT, limit: 0x1ff },
    idt: { base: IDT, limit: isLong ? 0xfff : 0x7ff },
    tr: { selector: 0x40, base: TSS, limit: 0x67, attributes: 0x8b },
  };
  const data = flat(0x20 | ring, 0xc093 | (ring << 5));
  const cs = flat((mode === "long" ? 0x10 : 0x18) | ring, code | (ring << 5));
  const extra = random.oneIn(2) ? random.u32() & 0x3f07ff & ~0x20 : 0x600;
  switch (mode) {
    case "long":
    case "compatible":
      return { ...entry, cr0: 0x80050033, cr3: TABLES, cr4: 0x20 | extra, efer: 0xd01, cs, data };
    case "pae":
      return { ...entry, cr0: 0x80050033, cr3: PAE_TABLES, cr4: 0x620, efer: 0x800, cs, data };
    case "paged":
      return { ...entry, cr0: 0x80050033, cr3: FLAT_DIRECTORY, cr4: 0x610, efer: 0, cs, data };
    case "protected":
      return { ...entry, cr0: 0x33, cr3: 0, cr4: 0x600, efer: 0, cs, data };
    case "real": {
      const segment = { selector: CODE >> 4, base: CODE, limit: 0xffff, attributes: 0x93 };
      return {
        ...entry,
        ...{ rip: random.below(0x10000), rsp: 0xf000, cr0: 0x10, cr3: 0, cr4: 0x600, efer: 0 },
        cs: { ...segment, attributes: 0x9b },
        data: { ...segment, selector: 0x1000, base: 0x10000 },
        idt: { base: IDT, limit: 0x3ff },
      };
    }
  }
}

/** An address somewhere of interest. */
function place(random: Random): bigint {
  switch (random.below(8)) {
    case 0:
      return BigInt(CODE + random.below(CODE_SIZE));
    case 1:
      return BigInt(0xfee00000 + random.below(0x400));
    case 2:
      return BigInt(TABLES + random.below(STACKS - TABLES));
    case 3:
      return BigInt(MIB2 + random.below(MIB2));
    case 4:
      return random.interesting();
    case 5:
      return BigInt.asUintN(64, -BigInt(1 + random.below(0x40000000)));
    default:
      return BigInt(DATA + random.below(0x4000));
  }
}

function randomRegisters(core: Core, random: Random, cpu: number): void {
  for (const name of GENERAL_REGISTERS) {
    if (name === "rsp" && !random.oneIn(6)) continue;
    core.setRegister(name, random.oneIn(3) ? random.interesting() : place(random), cpu);
  }
  core.setRegister(
    "rflags",
    (BigInt(random.u32()) & 0x3f7fd5n & ~(random.oneIn(8) ? 0n : 0x20100n)) | 2n,
    cpu,
  );
  if (random.oneIn(3)) {
    for (const name of ["dr0", "dr1", "dr2", "dr3"] as const) core.setRegister(name, place(random), cpu);
    core.setRegister(
      "dr7",
      BigInt(random.u32() & 0xffff_07ff) & (random.oneIn(2) ? 0xffffffffn : 0xff000fn),
      cpu,
    );
  }
  core.setRegister("lstar", place(random), cpu);
  core.setRegister("star", random.u64() & 0x3b003b00000000n, cpu);
  core.setRegister("sysenterEip", place(random), cpu);
  core.setRegister("sysenterCs", BigInt(random.below(0x40)), cpu);
  core.setFpu(
    {
      controlWord: 0x40 | random.below(0x1000),
      statusWord: random.below(0x10000),
      tagWord: random.below(256),
      stack: Array.from({ length: 8 }, () => random.bytes(10)),
      xmm: Array.from({ length: 16 }, () => random.bytes(16)),
      mxcsr: random.below(0x10000),
    },
    cpu,
  );
}

/** States that no processor could reach: a damaged snapshot could hold them. */
function randomSystem(core: Core, random: Random): void {
  for (let n = random.below(4); n >= 0; n--) {
    const name = random.pick([
      "cr0",
      "cr3",
      "cr4",
      "efer",
      "gdtBase",
      "idtBase",
      "dr7",
      "dr0",
      "xcr0",
      "tscOffset",
    ] as const);
    core.setRegister(name, random.oneIn(2) ? random.u64() : place(random));
  }
  for (let n = random.below(4); n >= 0; n--) {
    core.setSegment(random.pick(SEGMENT_REGISTERS), {
      selector: random.below(0x10000),
      base: random.interesting(),
      limit: random.u32(),
      attributes: random.below(0x10000),
    });
  }
  if (random.oneIn(3)) core.setPrivilege(random.below(4));
}
