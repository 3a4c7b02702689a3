/** The image of a batch of 32-bit cases, and its records. */
import type { Case } from "../system/case.ts";
import { descriptor, stub, withCases } from "../system/image.ts";
import type { ImageKind } from "../system/machines.ts";
import { WATCHES } from "../system/monitor.ts";
import * as at from "../system/places.ts";
import type { Record } from "../system/record.ts";
import { monitor, POPPED, READ } from "./monitor.ts";
import * as own from "./places.ts";

const SUPERVISOR = 3n;
const USER = 7n;

/** A gate of 32-bit or 16-bit code. `access`: P, DPL and type. */
export function gate32(selector: number, offset: number, access: number, parameters = 0): bigint {
  const to = BigInt(offset);
  return (
    (to & 0xffffn) |
    (BigInt(selector) << 16n) |
    (BigInt(parameters) << 32n) |
    (BigInt(access) << 40n) |
    ((to >> 16n) << 48n)
  );
}
/** Where a vector's stub is, below 4 GiB. */
export function stub32(vector: number): number {
  return Number(stub(vector) & 0xffffffffn);
}

function build(cases: readonly Case[], first: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(at.COUNT + 8 - at.MONITOR);
  const view = new DataView(bytes.buffer);
  const set = (address: number, value: bigint): void => view.setBigUint64(address - at.MONITOR, value, true);
  const set32 = (address: number, value: number): void => view.setUint32(address - at.MONITOR, value, true);
  const { code, entry, stubs } = monitor();
  if (code.length > 0xfe0) throw new RangeError(`expected a monitor below fe0h bytes, found ${code.length}`);
  bytes.set(code, 0);
  bytes.set(stubs, at.STUBS - at.MONITOR);
  for (const [operand, limit, base] of [
    [at.MONITOR + 0xff0, at.GDT_SIZE - 1, at.GDT],
    [at.MONITOR + 0xfe0, 0x7ff, at.IDT],
  ] as const) {
    view.setUint16(operand - at.MONITOR, limit, true);
    set32(operand + 2, base);
  }
  set(at.INDEX, BigInt(first));
  set(at.COUNT, BigInt(cases.length));
  const { selectors } = at;
  for (let vector = 0; vector < 256; vector++) {
    const isOpen = vector === at.END_VECTOR || vector >= 0xf0;
    set(at.IDT + vector * 8, gate32(selectors.code32, stub32(vector), isOpen ? 0xee : 0x8e));
  }
  const table: readonly (readonly [number, number, number])[] = [
    [selectors.code64, 0x9b, 0xc],
    [selectors.data, 0x93, 0xc],
    [selectors.code32, 0x9b, 0xc],
    [selectors.userCode32, 0xfb, 0xc],
    [selectors.userData, 0xf3, 0xc],
    [selectors.userCode64, 0xfb, 0xc],
    [selectors.conforming, 0x9f, 0xc],
    [selectors.code64Ring1, 0xbb, 0xc],
    [selectors.dataRing1, 0xb3, 0xc],
  ];
  for (const [selector, access, flags] of table)
    set(at.GDT + selector, descriptor(0, 0xfffff, access, flags));
  set(at.GDT + selectors.tss, descriptor(at.TSS, at.TSS_LIMIT, 0x89, 0));
  set(at.GDT + selectors.ldt, descriptor(at.LDT, at.LDT_SIZE - 1, 0x82, 0));
  // ESP0, SS0 and so on; the level of dataRing1 is 1, so ring 2 has no stack.
  set32(at.TSS + 4, at.RING_STACK[0]);
  set32(at.TSS + 8, selectors.data);
  set32(at.TSS + 12, at.RING_STACK[1]);
  set32(at.TSS + 16, selectors.dataRing1 | 1);
  view.setUint16(at.TSS + 0x66 - at.MONITOR, 0x68, true);
  bytes.fill(0xff, at.TSS + 0x68 - at.MONITOR, at.TSS + at.TSS_LIMIT + 1 - at.MONITOR);
  bytes.fill(at.END[0], at.CODE - at.MONITOR, at.CODE + 0x1000 - at.MONITOR);

  // The same pages in both forms of tables: 400000h on by a table, what is below as it is.
  for (const [linear, frame, flags] of [
    [at.USER_CODE, at.CODE, USER],
    [at.SYSTEM_CODE, at.CODE, SUPERVISOR],
    [at.USER_STACK_AT, at.USER_STACK, USER],
    [at.USER_DATA, at.DATA, USER],
    [at.SYSTEM_DATA, at.DATA + 0x1000, SUPERVISOR],
  ] as const) {
    set32(own.TABLE + ((linear >> 12) & 1023) * 4, frame | Number(flags));
    set(own.PAE_TABLE + ((linear >> 12) & 511) * 8, BigInt(frame) | flags);
  }
  for (let n = own.IDENTITY_FROM >> 12; n < 1024; n++) set32(own.IDENTITY + n * 4, (n << 12) | 3);
  for (let n = own.IDENTITY_FROM >> 12; n < 512; n++)
    set(own.PAE_IDENTITY + n * 8, BigInt(n << 12) | SUPERVISOR);
  set32(own.DIRECTORY, own.IDENTITY | 7);
  set32(own.DIRECTORY + 4, own.TABLE | 7);
  set(own.PAE_POINTERS, BigInt(own.PAE_DIRECTORY) | 1n);
  set(own.PAE_DIRECTORY, BigInt(own.PAE_IDENTITY) | USER);
  set(own.PAE_DIRECTORY + 8, 0x200083n);
  set(own.PAE_DIRECTORY + 16, BigInt(own.PAE_TABLE) | USER);
  const live = bytes.slice(at.LIVE - at.MONITOR, at.LIVE + at.LIVE_SIZE - at.MONITOR);
  bytes.set(live, at.TEMPLATE - at.MONITOR);
  return withCases({ bytes, entry }, cases);
}

export const LEGACY_FIELDS: readonly string[] = [
  ...[...POPPED, ...READ],
  ...Array.from({ length: WATCHES }, (_, n) => `memory${n}`),
];
const WORDS = POPPED.length + READ.length;

function decode(bytes: Uint8Array): Record {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Object.fromEntries(
    LEGACY_FIELDS.map((name, n) => [
      name,
      n < WORDS ? BigInt(view.getUint32(n * 4, true)) : view.getBigUint64(WORDS * 4 + (n - WORDS) * 8, true),
    ]),
  );
}

export const LEGACY_IMAGE: ImageKind = { build, decode };
