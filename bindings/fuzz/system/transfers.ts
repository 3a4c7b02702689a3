/** Cases of control transfer: interrupts through gates, IRET, far JMP, CALL, RET, system calls. SDM 3A chapters 5, 6. */
import type { Random } from "../random.ts";
import { u32, u64 } from "./assembler.ts";
import { type Case, CaseBuilder, REGISTER } from "./case.ts";
import {
  isWide,
  landing,
  likelyCode,
  randomDescriptor,
  randomGate,
  randomStacks,
  someSelector,
} from "./descriptors.ts";
import { field } from "./monitor.ts";
import { hex } from "./pages.ts";
import * as at from "./places.ts";

const { selectors } = at;
const FLAG_BITS = [
  0x1n,
  0x4n,
  0x10n,
  0x40n,
  0x80n,
  0x100n,
  0x200n,
  0x400n,
  0x800n,
  0x3000n,
  0x4000n,
  0x10000n,
  0x40000n,
  0x200000n,
];

/** RFLAGS; `stepping`: TF may be among them. */
function randomFlags(random: Random, stepping: boolean): bigint {
  let flags = 2n;
  for (const bit of FLAG_BITS) if (random.oneIn(3)) flags ^= bit;
  if (!stepping || !random.oneIn(4)) flags &= ~0x100n;
  return flags;
}

/** Exceptions and INT n through gates that differ. */
export function interruptCase(random: Random): Case {
  const ring = random.oneIn(2) ? 3 : 0;
  const one = new CaseBuilder(random, ring);
  const code = random.oneIn(4) ? (ring === 3 ? selectors.userCode32 : selectors.code32) : undefined;
  if (code !== undefined) one.enter(code, ring);
  const [vector, bytes] = random.pick<readonly [number, readonly number[]]>([
    [0x50, [0xcd, 0x50]],
    [0x50, [0xcd, 0x50]],
    [0xf3, [0xcd, 0xf3]],
    [3, [0xcc]],
    [3, [0xcd, 3]],
    [6, [0x0f, 0x0b]],
    [0, [0x31, 0xc0, 0xf7, 0xf0]], // xor eax, eax; div eax
    [13, [0x49, 0x8b, 0x00]], // mov rax, [r8]: not canonical
    [13, [0xcd, 13]],
    [14, [0x8a, 0x04, 0x25, 0, 0, 0, 0]], // mov al, [0]
    [14, [0xcd, 14]],
    [8, [0xcd, 8]],
  ]);
  randomGate(one, random, vector);
  randomStacks(one, random);
  one.register(REGISTER.rcx, 0x12345n);
  one.flip(field.rflags, randomFlags(random, false) & ~0x4002n);
  one.set(field.ldtr, BigInt(random.oneIn(2) ? selectors.ldt : 0));
  if (random.oneIn(3)) one.patch(at.LDT + random.below(8) * 8, randomDescriptor(random));
  one.code(...bytes);
  one.name = `interrupt ${vector} ${hex(bytes)} ring ${ring}${code === undefined ? "" : " compatibility"}`;
  return one.finish();
}

/** IRET of every size, to everywhere. */
export function returnCase(random: Random): Case {
  const ring = random.oneIn(4) ? 3 : 0;
  const one = new CaseBuilder(random, ring);
  const from32 = random.oneIn(4);
  if (from32) one.enter(ring === 3 ? selectors.userCode32 : selectors.code32, ring);
  const size = from32 ? random.pick([4, 4, 2]) : random.pick([8, 8, 8, 4, 2]);
  const target = random.oneIn(2) ? likelyCode(random, random.oneIn(2) ? 3 : ring) : someSelector(one, random);
  const isUser = (target & 3) === 3;
  const stack = random.oneIn(2)
    ? isUser
      ? selectors.userData | 3
      : random.pick([selectors.data, 0])
    : someSelector(one, random);
  const rsp = random.oneIn(12) ? random.interesting() : BigInt(at.USER_STACK_AT + 0x600);
  const frame = [
    landing(random, isUser, isWide(target)),
    BigInt(target),
    randomFlags(random, true),
    rsp,
    BigInt(stack),
  ];
  const bytes = frame.flatMap((value) => u64(value).slice(0, size));
  one.bytes(at.FRAME, bytes);
  one.set(field.rsp, BigInt((ring === 3 ? at.USER_CODE : at.SYSTEM_CODE) + at.FRAME - at.CODE));
  one.flip(field.rflags, randomFlags(random, false) & ~(random.oneIn(10) ? 2n : 0x4002n));
  one.set(field.ldtr, BigInt(random.oneIn(2) ? selectors.ldt : 0));
  const segments = [0, 1, 2, 3].map(() =>
    random.pick([0, selectors.data, selectors.userData | 3, selectors.userData]),
  );
  segments.forEach((selector, n) => {
    one.set(field.segments + n, BigInt(selector));
  });
  one.code(...(size === 8 ? [0x48] : size === 2 ? [0x66] : []), 0xcf);
  one.name = `iret ${size * 8} ring ${ring}${from32 ? " compatibility" : ""} to ${target.toString(16)}`;
  return one.finish();
}

/** Far JMP, CALL and RET, to segments and through call gates. */
export function farCase(random: Random): Case {
  const ring = random.oneIn(2) ? 3 : 0;
  const one = new CaseBuilder(random, ring);
  const from32 = random.oneIn(3);
  if (from32) one.enter(ring === 3 ? selectors.userCode32 : selectors.code32, ring);
  const size = from32 ? random.pick([4, 4, 2]) : random.pick([8, 8, 4, 2]);
  const prefix = size === 8 ? [0x48] : size === 2 ? [0x66] : [];
  const page = ring === 3 ? at.USER_CODE : at.SYSTEM_CODE;
  const throughGate = random.oneIn(3);
  const isUser = ring === 3 && !throughGate;
  let target = random.oneIn(2) ? likelyCode(random, ring) : someSelector(one, random);
  if (throughGate) {
    const rpl = random.below(4);
    const isGood = !random.oneIn(6);
    const code = isGood
      ? random.pick([selectors.code64, selectors.conforming, selectors.userCode64, selectors.code64Ring1])
      : target;
    const offset = landing(random, false, true);
    const access = random.oneIn(8) ? random.below(256) : random.pick([0xec, 0xec, 0xec, 0x8c, 0xcc]);
    const low =
      (offset & 0xffffn) |
      (BigInt(code) << 16n) |
      (BigInt(access) << 40n) |
      (((offset >> 16n) & 0xffffn) << 48n);
    one.patch(at.GDT + selectors.gate, low);
    one.patch(
      at.GDT + selectors.gate + 8,
      ((offset >> 32n) & 0xffffffffn) | (random.oneIn(12) ? BigInt(random.below(32)) << 40n : 0n),
    );
    target = selectors.gate | rpl;
  }
  randomStacks(one, random);
  const to = landing(random, isUser, isWide(target));
  const pointer = [...u64(to).slice(0, size), target & 255, target >> 8];
  const kind = random.below(3);
  if (kind === 2) {
    const release = random.pick([0, 0, 8, 16]);
    const rpl = target & 3;
    const back = [to, BigInt(target), ...Array.from({ length: release / size }, () => 0x55n)];
    const outer = [
      BigInt(at.USER_STACK_AT + 0x600),
      BigInt(random.oneIn(3) ? someSelector(one, random) : selectors.userData | rpl),
    ];
    one.bytes(
      at.FRAME,
      [...back, ...outer].flatMap((value) => u64(value).slice(0, size)),
    );
    one.set(field.rsp, BigInt(page + at.FRAME - at.CODE));
    one.code(...prefix, ...(release === 0 ? [0xcb] : [0xca, release, 0]));
  } else {
    one.bytes(at.FRAME, pointer);
    const address = page + at.FRAME - at.CODE;
    // ff /3 and ff /5 with an absolute address: SIB form in 64-bit code.
    const operand = from32 ? [0x1d, ...u32(address)] : [0x1c, 0x25, ...u32(address)];
    operand[0] = (operand[0] ?? 0) | (kind === 1 ? 0x10 : 0);
    if (kind === 1) operand[0] = from32 ? 0x2d : 0x2c;
    one.code(...prefix, 0xff, ...operand);
  }
  one.set(field.ldtr, BigInt(random.oneIn(2) ? selectors.ldt : 0));
  if (random.oneIn(3)) one.patch(at.LDT + random.below(8) * 8, randomDescriptor(random));
  one.name = `far ${["call", "jmp", "ret"][kind]} ${size * 8} ring ${ring}${from32 ? " compatibility" : ""} to ${target.toString(16)}`;
  return one.finish();
}

/** SYSCALL, SYSRET, SYSENTER, SYSEXIT. */
export function systemCallCase(random: Random): Case {
  const kind = random.below(4);
  const ring = (kind & 1) === 0 ? (random.oneIn(6) ? 0 : 3) : random.oneIn(6) ? 3 : 0;
  const one = new CaseBuilder(random, ring);
  // In 32-bit code SYSCALL and SYSRET are AMD's alone.
  if (kind > 1 && random.oneIn(5)) one.enter(ring === 3 ? selectors.userCode32 : selectors.code32, ring);
  const wide = random.oneIn(2);
  const bytes =
    [
      [0x0f, 0x05],
      [...(wide ? [0x48] : []), 0x0f, 0x07],
      [0x0f, 0x34],
      [...(wide ? [0x48] : []), 0x0f, 0x35],
    ][kind] ?? [];
  if (random.oneIn(6)) one.msr(0xc0000080, 0xd00n);
  one.msr(0xc0000084, random.pick([0n, 0x47700n, BigInt(random.u32())]));
  if (random.oneIn(4))
    one.msr(0xc0000081, (BigInt(random.below(0x200)) << 48n) | (BigInt(random.below(0x200)) << 32n));
  if (random.oneIn(4)) one.msr(0x174, random.pick([0n, 0x1_0008n, BigInt(4 + random.below(0x1fc))]));
  one.flip(field.rflags, randomFlags(random, true) & ~0x10002n);
  one.register(REGISTER.rcx, kind === 1 ? landing(random, true, wide) : BigInt(at.USER_STACK_AT + 0x700));
  one.register(REGISTER.rdx, landing(random, true, wide));
  one.register(11, randomFlags(random, true) | (random.u64() & ~0xffffffffn));
  one.code(...bytes);
  one.name = `${["syscall", "sysret", "sysenter", "sysexit"][kind]}${wide ? " 64" : ""} ring ${ring}`;
  return one.finish();
}
