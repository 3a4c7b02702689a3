/** Cases of 32-bit protected mode: paging with and without PAE, gates, far transfers, segments, table registers. */
import type { Random } from "../random.ts";
import { u32 } from "../system/assembler.ts";
import { type Case, CaseBuilder, REGISTER } from "../system/case.ts";
import { someSelector } from "../system/descriptors.ts";
import { descriptor } from "../system/image.ts";
import { field } from "../system/monitor.ts";
import { hex } from "../system/pages.ts";
import * as at from "../system/places.ts";
import { gate32, stub32 } from "./image.ts";
import * as own from "./places.ts";

const { selectors } = at;
const CR0 = 0x80010033n; // PG, WP, NE, ET, MP, PE
const CR4_PSE = 0x10n;
const CR4_PAE = 0x20n;
const CR4_PGE = 0x80n;
const CR4 = 0x600n | CR4_PGE | CR4_PSE;
const EFER_NXE = 0x800n;

/** A case of 32-bit code on the code page, its registers patterns below 4 GiB. */
function begin(random: Random, ring: 0 | 3, pae: boolean): CaseBuilder {
  const one = new CaseBuilder(random, ring);
  one.set(field.cr0, CR0);
  one.set(field.cr3, BigInt(pae ? own.PAE_POINTERS : own.DIRECTORY));
  one.set(field.cr4, CR4 | (pae ? CR4_PAE : 0n));
  one.msr(0xc0000080, pae ? EFER_NXE : 0n);
  one.enter(ring === 3 ? selectors.userCode32 : selectors.code32, ring);
  for (let n = 0; n < 8; n++) if (n !== REGISTER.rsp) one.register(n, BigInt(random.u32()));
  if (ring === 0) for (let n = 0; n < 4; n++) one.set(field.segments + n, BigInt(selectors.data));
  return one;
}
const someRing = (random: Random): 0 | 3 => (random.oneIn(2) ? 3 : 0);

/** Instructions that touch [edi]. */
const ACCESSES: readonly (readonly number[])[] = [
  [0x8b, 0x07],
  [0x8b, 0x07],
  [0x89, 0x07],
  [0x89, 0x07],
  [0x88, 0x07],
  [0x66, 0x89, 0x07],
  [0x21, 0x07], // and [edi], eax: same value
  [0xf0, 0x09, 0x07], // lock or
  [0x87, 0x07], // xchg
  [0xf0, 0x0f, 0xb1, 0x17], // lock cmpxchg
  [0xff, 0x37], // push
  [0x8f, 0x07], // pop
  [0xa4], // movsb
  [0xf3, 0xaa], // rep stosb
  [0xac], // lodsb
  [0x0f, 0xab, 0x0f], // bts [edi], ecx
  [0xff, 0xe7], // jmp edi
  [0xff, 0xe7],
  [0xff, 0xd7], // call edi
  [0x0f, 0x01, 0x3f], // invlpg
  [0xf7, 0x37], // div dword [edi]
  [0x62, 0x0f], // bound ecx, [edi]
  [0x63, 0x0f], // arpl [edi], cx
];

/** Rights and other bits of an entry, most of them such that the access gets through. */
function entryBits(random: Random, isUser: boolean): bigint {
  let bits = 3n | (isUser ? 4n : 0n);
  for (const [bit, n] of [
    [1n, 20],
    [2n, 6],
    [4n, 6],
    [8n, 8],
    [0x10n, 8],
    [0x20n, 3],
    [0x40n, 3],
    [0x100n, 4],
    [0x200n, 8],
  ] as const)
    if (random.oneIn(n)) bits ^= bit;
  return bits;
}
/** Bits that only entries of PAE paging have. */
function wideBits(random: Random): bigint {
  return (random.oneIn(8) ? 1n << 63n : 0n) ^ (random.oneIn(40) ? 1n << BigInt(40 + random.below(23)) : 0n);
}

export function legacyPageCase(random: Random): Case {
  const ring = someRing(random);
  const pae = random.oneIn(2);
  const one = begin(random, ring, pae);
  const isUser = ring === 3 || random.oneIn(3);
  const isLarge = random.oneIn(3);
  const offset = random.pick([0, 8, 0x7f8, 0xff8, 0xffc, 0xfff, 0x123]);
  const page = isLarge ? at.LARGE_PAGE : random.below(256) * 2;
  const bits = (): bigint => entryBits(random, isUser);
  const put = (address: number, value: bigint): void => {
    one.patch(address, value);
    one.watch(address);
  };
  let linear: number;
  if (pae) {
    const third = 1 + random.below(3);
    const second = random.below(512);
    linear = third * 0x40000000 + second * 0x200000 + page * 0x1000 + offset;
    // Rights are none of this entry's; its reserved bits are looked at when it is loaded (test/core/pdpte.test.ts).
    put(own.PAE_POINTERS + third * 8, BigInt(own.PAE_SHAPE_DIRECTORY) | (random.oneIn(20) ? 0n : 1n) | 0x18n);
    const directory = isLarge ? BigInt(at.LARGE) | 0x80n : BigInt(own.PAE_SHAPE_TABLE);
    const odd = isLarge && random.oneIn(12) ? 1n << BigInt(13 + random.below(8)) : 0n;
    put(own.PAE_SHAPE_DIRECTORY + second * 8, directory ^ bits() ^ wideBits(random) ^ odd);
    if (!isLarge) {
      put(own.PAE_SHAPE_TABLE + page * 8, BigInt(at.DATA + 0x2000) ^ bits() ^ wideBits(random));
      if (offset > 0xff8) put(own.PAE_SHAPE_TABLE + page * 8 + 8, BigInt(at.DATA + 0x3000) ^ bits());
    }
  } else {
    const first = random.pick([2, 4, 512, 514, 1022]);
    linear = first * 0x400000 + page * 0x1000 + offset;
    const directory = isLarge ? BigInt(at.LARGE) | 0x80n : BigInt(own.SHAPE_TABLE);
    const odd = isLarge && random.oneIn(12) ? 0x200000n : 0n;
    put(own.DIRECTORY + first * 4, directory ^ bits() ^ odd);
    if (!isLarge) {
      const second = offset > 0xff8 ? (BigInt(at.DATA + 0x3000) ^ bits()) << 32n : 0n;
      put(own.SHAPE_TABLE + page * 4, BigInt(at.DATA + 0x2000) ^ bits() ^ second);
    }
    if (random.oneIn(6)) one.flip(field.cr4, CR4_PSE);
  }
  if (random.oneIn(2)) one.flip(field.cr0, 0x10000n); // WP
  if (random.oneIn(3)) one.flip(field.cr4, 0x100000n); // SMEP
  if (random.oneIn(3)) one.flip(field.cr4, 0x200000n); // SMAP
  if (random.oneIn(6)) one.flip(field.cr4, CR4_PGE);
  if (random.oneIn(8)) one.msr(0xc0000080, pae ? 0n : EFER_NXE);
  if (random.oneIn(3)) one.flip(field.rflags, 0x40000n); // AC
  one.register(REGISTER.rdi, BigInt(linear));
  one.register(REGISTER.rsi, BigInt(ring === 3 || random.oneIn(2) ? at.USER_DATA : at.SYSTEM_DATA) + 0x10n);
  one.register(REGISTER.rax, 0xcdcdcdcdn);
  one.register(REGISTER.rdx, 0xcdcdcdcdn);
  one.register(REGISTER.rcx, BigInt(random.pick([1, 3, 8])));
  const accesses = Array.from({ length: random.pick([1, 1, 2, 3]) }, () => random.pick(ACCESSES));
  one.code(...accesses.flat());
  one.name = `32-bit page${pae ? " PAE" : ""}${isLarge ? " large" : ""} ring ${ring} ${accesses.map(hex).join(" ")}`;
  return one.finish();
}

/** Data and code segments as systems have them; no task-state segments and task gates, which would switch tasks. */
const ACCESS = [
  ...[0x93, 0xf3, 0xb3, 0x92, 0xf2, 0x91, 0xf1, 0x90, 0xf7, 0x97, 0xf6, 0x95],
  ...[0x9b, 0xfb, 0xbb, 0xdb, 0x9a, 0xfa, 0x99, 0xf9, 0x98, 0xf8, 0x9f, 0xff, 0x9c, 0xbd],
  ...[0x82, 0xe2, 0x80, 0x88, 0x8d],
] as const;
function legacyDescriptor(random: Random): bigint {
  const access = random.pick(ACCESS) & (random.oneIn(10) ? 0x7f : 0xff);
  // Flat, since QEMU looks at no limit of an access; a small one is for LSL and for what goes to code.
  const isSmall = random.oneIn(5);
  return descriptor(0, isSmall ? 0xffff : 0xfffff, access, isSmall ? 4 : 0xc);
}
const selectorOf = (one: CaseBuilder, random: Random): number => someSelector(one, random, legacyDescriptor);
/** A selector of code that a transfer at this level is likely to accept. */
const likelyCode = (random: Random, ring: number): number =>
  ring === 3 ? selectors.userCode32 | 3 : random.pick([selectors.code32, selectors.conforming]);
const placeOf = (isUser: boolean): number => (isUser ? at.USER_CODE : at.SYSTEM_CODE) + 0x900;

/** INT n and exceptions through gates of 16 and 32 bits. */
export function legacyGateCase(random: Random): Case {
  const ring = someRing(random);
  const one = begin(random, ring, random.oneIn(4));
  const [vector, bytes] = random.pick<readonly [number, readonly number[]]>([
    [0x50, [0xcd, 0x50]],
    [0x50, [0xcd, 0x50]],
    [0xf3, [0xcd, 0xf3]],
    [3, [0xcc]],
    [4, [0xb8, 0xff, 0xff, 0xff, 0x7f, 0x40, 0xce]], // mov eax, 7fffffffh; inc eax; into
    [5, [0xb8, 0xff, 0, 0, 0, 0x62, 0x05, ...u32(at.USER_DATA)]], // bound eax, [data]
    [6, [0x0f, 0x0b]],
    [0, [0x31, 0xc0, 0xf7, 0xf0]],
    [13, [0xb8, 0xf8, 0xff, 0, 0, 0x8e, 0xd8]], // mov eax, fff8h; mov ds, ax
  ]);
  // What #GP leads to must work.
  const target = vector === 13 || random.oneIn(2) ? selectors.code32 : selectorOf(one, random);
  let access: number = random.pick([0x8e, 0xee, 0x8f, 0xef, 0xee, 0xee]);
  if (random.oneIn(12)) access &= 0x7f;
  if (random.oneIn(12)) access = (access & ~0x1f) | random.pick([0, 1, 4, 12, 13]);
  // The stubs lie above 64 KiB, so a 16-bit gate leads to where no page is.
  const is16Bit = random.oneIn(8);
  if (is16Bit) access = (access & ~8) | 6;
  one.patch(at.IDT + vector * 8, gate32(target, is16Bit ? stub32(vector) & 0xffff : stub32(vector), access));
  if (random.oneIn(4))
    one.patch(
      at.TSS + 12,
      BigInt(at.RING_STACK[1]) | (BigInt(random.pick([0, 0x10, 0x68, 0x69, 0x2b])) << 32n),
    );
  one.set(field.ldtr, BigInt(random.oneIn(2) ? selectors.ldt : 0));
  one.code(...bytes);
  one.name = `32-bit gate ${vector} ${hex(bytes)} ring ${ring} to ${target.toString(16)} ${access.toString(16)}`;
  return one.finish();
}

/** Far JMP, CALL, RET, directly and through call gates, and IRET. */
export function legacyFarCase(random: Random): Case {
  const ring = someRing(random);
  const one = begin(random, ring, random.oneIn(4));
  const size = random.pick([4, 4, 4, 2]);
  const kind = random.pick(["call", "jmp", "ret", "iret"] as const);
  let target = random.oneIn(2) ? likelyCode(random, ring) : selectorOf(one, random);
  const throughGate = (kind === "call" || kind === "jmp") && random.oneIn(2);
  let offset = random.oneIn(10) ? 0xdead0000 : placeOf((target & 3) === 3);
  if (throughGate) {
    const code = random.oneIn(6)
      ? target
      : random.pick([selectors.code32, selectors.conforming, selectors.code64Ring1]);
    const access = random.oneIn(8)
      ? random.pick([0x6c, 0x84, 0xe4, 0x86])
      : random.pick([0xec, 0xec, 0x8c, 0xcc]);
    offset = placeOf(code === selectors.conforming && ring === 3);
    if ((access & 8) === 0) offset &= 0xffff;
    one.patch(at.GDT + selectors.gate, gate32(code, offset, access, random.below(6)));
    target = selectors.gate | random.below(4);
  }
  const prefix = size === 2 ? [0x66] : [];
  const words = (values: readonly number[]): number[] => values.flatMap((value) => u32(value).slice(0, size));
  const page = ring === 3 ? at.USER_CODE : at.SYSTEM_CODE;
  const frame = page + at.FRAME - at.CODE;
  if (kind === "call" || kind === "jmp") {
    one.bytes(at.FRAME, [...words([offset]), target & 255, target >> 8]);
    one.code(...prefix, 0xff, kind === "call" ? 0x1d : 0x2d, ...u32(frame));
  } else {
    const release = kind === "ret" ? random.pick([0, 0, 8]) : 0;
    const stack = [
      at.USER_STACK_AT + 0x600,
      random.oneIn(3) ? selectorOf(one, random) : selectors.userData | 3,
    ];
    const flags = random.pick([2, 2, 0x8d7, 0x3202, 0x240002, 0x4002]);
    const dropped = Array.from({ length: release / size }, () => 0x55);
    one.bytes(at.FRAME, words([offset, target, ...(kind === "iret" ? [flags] : dropped), ...stack]));
    one.set(field.rsp, BigInt(frame));
    one.code(...prefix, ...(kind === "iret" ? [0xcf] : release === 0 ? [0xcb] : [0xca, release, 0]));
  }
  one.set(field.ldtr, BigInt(random.oneIn(2) ? selectors.ldt : 0));
  one.name = `32-bit far ${kind} ${size * 8} ring ${ring} to ${target.toString(16)}`;
  return one.finish();
}

/** Segment loads, LAR, LSL, VERR, VERW, ARPL, LLDT; LGDT and LIDT and what they keep. */
export function legacySegmentCase(random: Random): Case {
  const ring = someRing(random);
  const one = begin(random, ring, random.oneIn(4));
  const selector = selectorOf(one, random);
  one.bytes(at.CODE + 0xd00, [...u32(at.USER_DATA), selector & 255, selector >> 8]);
  one.register(REGISTER.rax, BigInt(selector) | 0xabcd0000n);
  one.register(REGISTER.rcx, BigInt(random.below(4)));
  one.register(REGISTER.rsi, BigInt((ring === 3 ? at.USER_CODE : at.SYSTEM_CODE) + 0xd00));
  one.set(field.ldtr, BigInt(random.oneIn(2) ? selectors.ldt : 0));
  for (let n = 0; n < 2; n++) one.patch(at.LDT + random.below(12) * 8, legacyDescriptor(random));
  one.watch(at.GDT + (selector & 0x1f8));
  const table = [...u32(0x12340000 | random.below(0x10000)), ...u32(random.u32())];
  one.bytes(at.CODE + 0xd10, table);
  const other = at.SYSTEM_CODE + 0xd10;
  const size = random.oneIn(3) ? [0x66] : [];
  const kept = at.SYSTEM_DATA + 0x100;
  const bytes = random.pick<readonly number[]>([
    ...[0, 2, 3, 4, 5].map((n) => [0x8e, 0xc0 | (n << 3)]), // mov sreg, ax
    [0xc4, 0x16], // les edx, [esi]
    [0xc5, 0x16], // lds
    [0x0f, 0xb4, 0x16], // lfs
    [0x50, 0x07], // push eax; pop es
    [0x0f, 0x02, 0xd0], // lar edx, eax
    [0x0f, 0x03, 0xd0], // lsl
    [0x66, 0x0f, 0x03, 0xd0],
    [0x0f, 0x00, 0xe0], // verr
    [0x0f, 0x00, 0xe8], // verw
    [0x63, 0xc8], // arpl ax, cx
    [0x0f, 0x00, 0xd0], // lldt
    // lgdt, sgdt, and lidt, sidt; then the monitor's again
    ...[0, 1].map((n) => [
      ...[...size, 0x0f, 0x01, 0x15 | (n << 3), ...u32(other), 0x0f, 0x01, 0x05 | (n << 3), ...u32(kept)],
      ...[0x0f, 0x01, 0x15 | (n << 3), ...u32(at.MONITOR + (n === 0 ? 0xff0 : 0xfe0))],
    ]),
  ]);
  one.watch(at.DATA + 0x1100);
  one.code(...bytes);
  one.name = `32-bit segment ${hex(bytes)} ring ${ring} ${selector.toString(16)}`;
  return one.finish();
}
