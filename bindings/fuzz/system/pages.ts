/** Cases of address translation: tables of every shape, rights of pages, accessed and dirty bits. SDM 3A chapter 4. */
import type { Random } from "../random.ts";
import { u64 } from "./assembler.ts";
import { type Case, CaseBuilder, REGISTER } from "./case.ts";
import { field } from "./monitor.ts";
import * as at from "./places.ts";

const PRESENT = 1n;
const WRITABLE = 2n;
const USER = 4n;
const LARGE = 0x80n;
const GLOBAL = 0x100n;
const NO_EXECUTE = 1n << 63n;
const CR0_WP = 0x10000n;
const CR4_PGE = 0x80n;
const CR4_SMEP = 0x100000n;
const CR4_SMAP = 0x200000n;
const EFER_NXE = 0x800n;
const AC = 0x40000n;

/** Rights and other bits of an entry, most of them such that the access gets through. */
function entryBits(random: Random, isUser: boolean): bigint {
  let bits = PRESENT | WRITABLE | (isUser ? USER : 0n);
  const rare = (one: bigint, n: number): void => {
    if (random.oneIn(n)) bits ^= one;
  };
  rare(PRESENT, 20);
  rare(WRITABLE, 6);
  rare(USER, 6);
  rare(8n, 8); // PWT
  rare(0x10n, 8); // PCD
  rare(0x20n, 3); // accessed
  rare(0x40n, 3); // dirty
  rare(GLOBAL, 4);
  rare(BigInt(1 + random.below(7)) << 9n, 6); // ignored
  rare(1n << BigInt(52 + random.below(11)), 12); // ignored
  rare(NO_EXECUTE, 8);
  rare(1n << BigInt(40 + random.below(12)), 40); // beyond physical addresses
  return bits;
}

/** Instructions that touch [rdi], with rax to write. */
const ACCESSES: readonly (readonly number[])[] = [
  [0x48, 0x8b, 0x07], // mov rax, [rdi]
  [0x48, 0x8b, 0x07],
  [0x48, 0x89, 0x07], // mov [rdi], rax
  [0x48, 0x89, 0x07],
  [0x88, 0x07], // mov [rdi], al
  [0x66, 0x89, 0x07], // mov [rdi], ax
  [0x48, 0x21, 0x07], // and [rdi], rax: same value
  [0x48, 0x39, 0x07], // cmp [rdi], rax
  [0xf0, 0x48, 0x09, 0x07], // lock or [rdi], rax
  [0x48, 0x87, 0x07], // xchg [rdi], rax
  [0xf0, 0x48, 0x0f, 0xb1, 0x17], // lock cmpxchg [rdi], rdx
  [0x0f, 0x11, 0x07], // movups [rdi], xmm0
  [0x0f, 0x10, 0x07], // movups xmm0, [rdi]
  [0xff, 0x37], // push qword [rdi]
  [0x8f, 0x07], // pop qword [rdi]
  [0xa4], // movsb
  [0xaa], // stosb
  [0xf3, 0xaa], // rep stosb
  [0xf3, 0xa4], // rep movsb
  [0xac], // lodsb
  [0x0f, 0x18, 0x0f], // prefetcht0 [rdi]
  [0x48, 0x8d, 0x07], // lea rax, [rdi]
  [0x0f, 0xab, 0x0f], // bts [rdi], ecx
  [0xff, 0xe7], // jmp rdi
  [0xff, 0xe7],
  [0xff, 0xe7],
  [0xff, 0xd7], // call rdi
  [0xff, 0x27], // jmp [rdi]
  [0xc8, 0x10, 0, 0], // enter, the stack not at rdi
  [0x0f, 0x01, 0x3f], // invlpg [rdi]
  [0x0f, 0x00, 0x07], // sldt [rdi]
  [0xf7, 0x37], // div dword [rdi]
];

export function pageCase(random: Random): Case {
  const ring = random.oneIn(2) ? 3 : 0;
  const one = new CaseBuilder(random, ring);
  const isUser = ring === 3 || random.oneIn(3);
  const top = random.pick([2, 2, 255, 256, 300]);
  const large = random.pick([0, 0, 0, 1, 1, 2]); // levels left out: 4 KiB, 2 MiB, 1 GiB
  const third = random.below(3);
  const second = large === 2 ? 2 : random.below(4);
  const page = large > 0 ? at.LARGE_PAGE : random.below(512);
  const offset = random.pick([0, 8, 0x7f8, 0xff8, 0xffc, 0xfff, 0x123]);
  const linear = BigInt.asIntN(
    48,
    (BigInt(top) << 39n) | (BigInt(third) << 30n) | (BigInt(second) << 21n) | BigInt((page << 12) | offset),
  );
  const link = (address: number, value: bigint): void => {
    one.patch(address, value);
    one.watch(address);
  };
  const bits = (): bigint => entryBits(random, isUser);
  link(at.PML4 + top * 8, BigInt(at.SHAPE_PDPT) ^ bits() ^ (random.oneIn(30) ? LARGE : 0n));
  const atThird = at.SHAPE_PDPT + third * 8;
  if (large === 2) {
    // Bit 12 is PAT; bits 13 to 29 are reserved. The frame is at 0, of which DIRECTORY entry 2 is LARGE.
    link(
      atThird,
      bits() ^ LARGE ^ (random.oneIn(4) ? 0x1000n : 0n) ^ (random.oneIn(12) ? reserved(random, 13, 30) : 0n),
    );
  } else {
    link(atThird, BigInt(at.SHAPE_DIRECTORY) ^ bits());
    const atSecond = at.SHAPE_DIRECTORY + second * 8;
    if (large === 1)
      link(
        atSecond,
        BigInt(at.LARGE) ^
          bits() ^
          LARGE ^
          (random.oneIn(4) ? 0x1000n : 0n) ^
          (random.oneIn(12) ? reserved(random, 13, 21) : 0n),
      );
    else {
      link(atSecond, BigInt(at.SHAPE_TABLE) ^ bits());
      link(at.SHAPE_TABLE + page * 8, BigInt(at.DATA + 0x2000) ^ bits() ^ (random.oneIn(6) ? LARGE : 0n)); // PAT
      if (offset > 0xff8 && page < 511)
        link(at.SHAPE_TABLE + page * 8 + 8, BigInt(at.DATA + 0x3000) ^ bits());
    }
  }
  // Modes that have a say in it.
  if (random.oneIn(2)) one.flip(field.cr0, CR0_WP);
  if (random.oneIn(3)) one.flip(field.cr4, CR4_SMEP);
  if (random.oneIn(3)) one.flip(field.cr4, CR4_SMAP);
  if (random.oneIn(6)) one.flip(field.cr4, CR4_PGE);
  if (random.oneIn(8)) one.msr(0xc0000080, 0xd01n ^ EFER_NXE);
  if (random.oneIn(3)) one.flip(field.rflags, AC);
  const source = isUser || random.oneIn(2) ? at.USER_DATA : at.SYSTEM_DATA;
  one.register(REGISTER.rdi, linear);
  one.register(REGISTER.rsi, BigInt(source) + 0x10n);
  one.register(REGISTER.rax, 0xcdcdcdcdcdcdcdcdn);
  one.register(REGISTER.rdx, 0xcdcdcdcdcdcdcdcdn);
  one.register(REGISTER.rcx, BigInt(random.pick([1, 3, 8])));
  const accesses = Array.from({ length: random.pick([1, 1, 2, 3]) }, () => random.pick(ACCESSES));
  one.code(...accesses.flat());
  one.name = `page ${["4K", "2M", "1G"][large]} ring ${ring} ${accesses.map(hex).join(" ")}`;
  return one.finish();
}

function reserved(random: Random, from: number, to: number): bigint {
  return 1n << BigInt(from + random.below(to - from));
}
export function hex(bytes: readonly number[]): string {
  return Buffer.from(bytes).toString("hex");
}

/** Entries that change while they are in use: with INVLPG, with CR3, with context numbers. */
export function invalidationCase(random: Random): Case {
  const one = new CaseBuilder(random, 0);
  const linear = (2n << 39n) | 0x5000n;
  const entry = at.SHAPE_TABLE + 5 * 8;
  const isGlobal = random.oneIn(2);
  one.patch(at.PML4 + 16, BigInt(at.SHAPE_PDPT) | 3n);
  one.patch(at.SHAPE_PDPT, BigInt(at.SHAPE_DIRECTORY) | 3n);
  one.patch(at.SHAPE_DIRECTORY, BigInt(at.SHAPE_TABLE) | 3n);
  one.patch(entry, BigInt(at.DATA + 0x2000) | 3n | (isGlobal ? GLOBAL : 0n));
  one.watch(entry);
  const next = random.pick([0n, BigInt(at.DATA + 0x3000) | 1n, BigInt(at.DATA + 0x3000) | 3n]);
  one.register(REGISTER.rdi, linear);
  one.register(REGISTER.rsi, at.HIGH + BigInt(entry));
  one.register(REGISTER.rdx, next);
  one.register(REGISTER.rcx, SAFE_CR4_WITHOUT_GLOBAL);
  const forget = random.pick([
    [0x0f, 0x01, 0x3f], // invlpg [rdi]
    [0x0f, 0x01, 0xbf, 0xff, 0x0f, 0, 0], // invlpg [rdi + 0fffh]
    [0x0f, 0x22, 0xe1, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8], // CR4.PGE off, then CR3
  ]);
  one.code(
    ...random.pick([
      [0x48, 0x8b, 0x07],
      [0x48, 0x89, 0x07],
    ]),
    ...[0x48, 0x89, 0x16], // mov [rsi], rdx
    ...forget,
    ...random.pick([
      [0x48, 0x8b, 0x07],
      [0x48, 0x89, 0x07],
    ]),
  );
  one.register(REGISTER.rax, 0xcdcdcdcdcdcdcdcdn);
  one.name = `invalidation ${hex(forget)}`;
  return one.finish();
}
const SAFE_CR4_WITHOUT_GLOBAL = 0x620n;

/** Addresses that are not canonical, and the segment they come by. */
export function canonicalCase(random: Random): Case {
  const ring = random.oneIn(2) ? 3 : 0;
  const one = new CaseBuilder(random, ring);
  const address = (random.oneIn(2) ? 1n << BigInt(47 + random.below(17)) : random.u64()) & ~7n;
  one.register(REGISTER.rdi, address);
  one.register(REGISTER.rbp, address);
  one.register(REGISTER.rcx, 1n);
  const access = random.pick([
    ...ACCESSES.filter(([first]) => first !== 0xff),
    [0x48, 0x8b, 0x45, 0x00], // mov rax, [rbp]: by SS
    [0x48, 0x89, 0x45, 0x00],
    [0xc9], // leave
    [0x64, 0x8b, 0x07], // fs:
    [0x48, 0xa1, ...u64(address)], // mov rax, [address]
  ]);
  one.code(...access);
  one.name = `canonical ring ${ring} ${hex(access)}`;
  return one.finish();
}
