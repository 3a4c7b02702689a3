/**
 * The image of a batch of cases: a 32-bit ELF with a multiboot header, which both machines load the same way.
 */
import type { Case } from "./case.ts";
import type { ImageKind } from "./machines.ts";
import { field, monitor, WATCHES } from "./monitor.ts";
import * as at from "./places.ts";
import { decodeRecord } from "./record.ts";

const SUPERVISOR = 0x3n;
const USER = 0x7n;
const LARGE_PAGES = 0xe3n; // present, writable, accessed, dirty, large

/** A segment descriptor. `flags`: G, D, L, AVL, the upper four. */
export function descriptor(base: number, limit: number, access: number, flags: number): bigint {
  const b = BigInt(base);
  const l = BigInt(limit);
  return (
    (l & 0xffffn) |
    ((b & 0xffffffn) << 16n) |
    (BigInt(access) << 40n) |
    ((l >> 16n) << 48n) |
    (BigInt(flags) << 52n) |
    ((b >> 24n) << 56n)
  );
}
/** An interrupt or trap gate of 64-bit mode, both halves. `attributes`: the low byte IST, the next type, DPL, P. */
export function gate(selector: number, offset: bigint, attributes: number): readonly [bigint, bigint] {
  const low =
    (offset & 0xffffn) |
    (BigInt(selector) << 16n) |
    (BigInt(attributes) << 32n) |
    (((offset >> 16n) & 0xffffn) << 48n);
  return [low, (offset >> 32n) & 0xffffffffn];
}
/** Where a vector's stub is. */
export function stub(vector: number): bigint {
  return at.HIGH + BigInt(at.STUBS + vector * 16);
}

/** What an image has from MONITOR on, whatever its cases are, and its 32-bit entry. */
export interface FixedMemory {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly entry: number;
}

/** Everything from MONITOR to CASES that does not depend on the cases, with the number of the case to begin with. */
function fixedMemory(first: number, count: number): FixedMemory {
  const bytes = new Uint8Array(at.COUNT + 8 - at.MONITOR);
  const view = new DataView(bytes.buffer);
  const set = (address: number, value: bigint): void =>
    view.setBigUint64(address - at.MONITOR, BigInt.asUintN(64, value), true);
  const { code, entry, stubs } = monitor();
  if (code.length > 0xfe0) throw new RangeError(`expected a monitor below fe0h bytes, found ${code.length}`);
  bytes.set(code, 0);
  bytes.set(stubs, at.STUBS - at.MONITOR);
  // LGDT and LIDT operands; the low half of HIGH is 0, so that they serve before paging too.
  for (const [operand, limit, base] of [
    [at.MONITOR + 0xff0, at.GDT_SIZE - 1, at.GDT],
    [at.MONITOR + 0xfe0, 0xfff, at.IDT],
  ] as const) {
    view.setUint16(operand - at.MONITOR, limit, true);
    set(operand + 2, at.HIGH + BigInt(base));
  }
  set(at.INDEX, BigInt(first));
  set(at.COUNT, BigInt(count));

  for (let vector = 0; vector < 256; vector++) {
    const isOpen = vector === at.END_VECTOR || vector >= 0xf0;
    const [low, high] = gate(at.selectors.code64, stub(vector), (isOpen ? 0xee00 : 0x8e00) | 1);
    set(at.IDT + vector * 16, low);
    set(at.IDT + vector * 16 + 8, high);
  }
  const { selectors } = at;
  const table: readonly (readonly [number, bigint])[] = [
    [selectors.code64, descriptor(0, 0xfffff, 0x9b, 0xa)],
    [selectors.data, descriptor(0, 0xfffff, 0x93, 0xc)],
    [selectors.code32, descriptor(0, 0xfffff, 0x9b, 0xc)],
    [selectors.userCode32, descriptor(0, 0xfffff, 0xfb, 0xc)],
    [selectors.userData, descriptor(0, 0xfffff, 0xf3, 0xc)],
    [selectors.userCode64, descriptor(0, 0xfffff, 0xfb, 0xa)],
    [selectors.conforming, descriptor(0, 0xfffff, 0x9f, 0xa)],
    [selectors.code64Ring1, descriptor(0, 0xfffff, 0xbb, 0xa)],
    [selectors.dataRing1, descriptor(0, 0xfffff, 0xb3, 0xc)],
    [selectors.tss, descriptor(at.TSS, at.TSS_LIMIT, 0x89, 0)],
    [selectors.tss + 8, at.HIGH >> 32n],
    [selectors.ldt, descriptor(at.LDT, at.LDT_SIZE - 1, 0x82, 0)],
    [selectors.ldt + 8, at.HIGH >> 32n],
  ];
  for (const [selector, value] of table) set(at.GDT + selector, value);
  at.RING_STACK.forEach((top, ring) => {
    set(at.TSS + 4 + ring * 8, at.HIGH + BigInt(top));
  });
  for (let entryOfIst = 1; entryOfIst <= 7; entryOfIst++)
    set(at.TSS + 0x1c + entryOfIst * 8, at.HIGH + BigInt(at.IST_STACK));
  view.setUint16(at.TSS + 0x66 - at.MONITOR, 0x68, true);
  bytes.fill(0xff, at.TSS + 0x68 - at.MONITOR, at.TSS + at.TSS_LIMIT + 1 - at.MONITOR);
  bytes.fill(at.END[0], at.CODE - at.MONITOR, at.CODE + 0x1000 - at.MONITOR);

  set(at.PML4, BigInt(at.PDPT) | USER);
  set(at.PML4 + 511 * 8, BigInt(at.MONITOR_TABLES + 0x1000) | 0x23n);
  set(at.PDPT, BigInt(at.DIRECTORY) | USER);
  set(at.DIRECTORY + 2 * 8, BigInt(at.TABLE) | USER);
  const page = (linear: number, frame: number, flags: bigint): void =>
    set(at.TABLE + ((linear >> 12) & 511) * 8, BigInt(frame) | flags);
  page(at.USER_CODE, at.CODE, USER);
  page(at.SYSTEM_CODE, at.CODE, SUPERVISOR);
  page(at.USER_STACK_AT, at.USER_STACK, USER);
  page(at.USER_DATA, at.DATA, USER);
  page(at.SYSTEM_DATA, at.DATA + 0x1000, SUPERVISOR);

  set(at.MONITOR_TABLES, BigInt(at.MONITOR_TABLES + 0x1000) | 0x23n);
  set(at.MONITOR_TABLES + 511 * 8, BigInt(at.MONITOR_TABLES + 0x1000) | 0x23n);
  set(at.MONITOR_TABLES + 0x1000, BigInt(at.MONITOR_TABLES + 0x2000) | 0x23n);
  for (let n = 0; n < at.RAM >> 21; n++)
    set(at.MONITOR_TABLES + 0x2000 + n * 8, BigInt(n << 21) | LARGE_PAGES);
  const live = bytes.slice(at.LIVE - at.MONITOR, at.LIVE + at.LIVE_SIZE - at.MONITOR);
  bytes.set(live, at.TEMPLATE - at.MONITOR);
  return { bytes, entry };
}

/** A case as the monitor reads it. */
function encodeCase({ state, patches, watches }: Case): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(at.CASE_SIZE);
  const view = new DataView(bytes.buffer);
  const set = (word: number, value: bigint): void =>
    view.setBigUint64(word * 8, BigInt.asUintN(64, value), true);
  set(field.patches, BigInt(patches.length));
  state.forEach((value, word) => {
    set(word, value);
  });
  for (let n = 0; n < WATCHES; n++) set(field.watches + n, BigInt(watches[n] ?? at.COUNT));
  patches.forEach(({ address, value }, n) => {
    set(field.patchList + 2 * n, BigInt(address));
    set(field.patchList + 2 * n + 1, value);
  });
  return bytes;
}

/** The image of 64-bit cases; it runs those from `first` on. */
function build(cases: readonly Case[], first: number): Uint8Array<ArrayBuffer> {
  return withCases(fixedMemory(first, cases.length), cases);
}

export function withCases(
  { bytes: fixed, entry }: FixedMemory,
  cases: readonly Case[],
): Uint8Array<ArrayBuffer> {
  const encoded = new Uint8Array(cases.length * at.CASE_SIZE);
  cases.forEach((each, n) => {
    encoded.set(encodeCase(each), n * at.CASE_SIZE);
  });
  const parts = [
    { address: at.MONITOR, bytes: fixed },
    { address: at.CASES, bytes: encoded },
  ];
  // ELF header, program headers, contents: the multiboot header must be in the first 8 KiB.
  const HEADER = 0x1000;
  const image = new Uint8Array(HEADER + parts.reduce((sum, part) => sum + part.bytes.length, 0));
  const view = new DataView(image.buffer);
  image.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  view.setUint16(16, 2, true); // executable
  view.setUint16(18, 3, true); // 80386
  view.setUint32(20, 1, true);
  view.setUint32(24, entry, true);
  view.setUint32(28, 52, true); // program headers
  view.setUint16(40, 52, true);
  view.setUint16(42, 32, true);
  view.setUint16(44, parts.length, true);
  let offset = HEADER;
  parts.forEach(({ address, bytes }, n) => {
    const header = 52 + n * 32;
    [1, offset, address, address, bytes.length, bytes.length, 7, 0x1000].forEach((value, word) => {
      view.setUint32(header + word * 4, value, true);
    });
    image.set(bytes, offset);
    offset += bytes.length;
  });
  return image;
}

export const IMAGE: ImageKind = { build, decode: decodeRecord };
