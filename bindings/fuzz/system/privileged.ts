/** Cases of segment loads, control registers, MSRs, I/O rights and debug exceptions. SDM 3A 2.5, 5; 3B 17; SDM 1 19.5. */
import type { Random } from "../random.ts";
import { u32 } from "./assembler.ts";
import { type Case, CaseBuilder, REGISTER } from "./case.ts";
import { randomDescriptor, someSelector } from "./descriptors.ts";
import { CASE_MSRS, field, SAFE_CR0, SAFE_CR4 } from "./monitor.ts";
import { hex } from "./pages.ts";
import * as at from "./places.ts";

const { selectors } = at;

/** Loads and questions about selectors. */
export function segmentCase(random: Random): Case {
  const ring = random.oneIn(2) ? 3 : 0;
  const one = new CaseBuilder(random, ring);
  const from32 = random.oneIn(4);
  if (from32) one.enter(ring === 3 ? selectors.userCode32 : selectors.code32, ring);
  const selector = someSelector(one, random);
  const far = (ring === 3 ? at.USER_CODE : at.SYSTEM_CODE) + 0xd00;
  one.bytes(at.CODE + 0xd00, [...u32(0x12345678), selector & 255, selector >> 8]);
  one.register(REGISTER.rax, BigInt(selector) | 0xabcd0000n);
  one.register(REGISTER.rdi, BigInt(far));
  one.set(field.ldtr, BigInt(random.oneIn(2) ? selectors.ldt : 0));
  one.watch(at.GDT + (selector & 0x1f8));
  for (let n = 0; n < 3; n++) {
    const place = at.LDT + random.below(12) * 8;
    one.patch(place, randomDescriptor(random));
    one.watch(place);
  }
  const bytes = random.pick([
    ...[0, 2, 3, 4, 5].map((n) => [0x8e, 0xc0 | (n << 3)]), // mov sreg, ax
    ...[0, 3, 4, 5].map((n) => [0x8e, 0xc0 | (n << 3)]),
    [0x8e, 0xc8], // mov cs
    [0x8e, 0x67, 0x04], // mov fs, [rdi + 4]
    [0x0f, 0xb2, 0x37], // lss esi, [rdi]
    [0x0f, 0xb4, 0x37], // lfs
    [0x0f, 0xb5, 0x37], // lgs
    [0x50, 0x0f, 0xa1], // push rax; pop fs
    [0x50, 0x0f, 0xa9], // pop gs
    [0x0f, 0x02, 0xd0], // lar edx, eax
    [0x0f, 0x02, 0xd0],
    [0x66, 0x0f, 0x02, 0xd0],
    [0x0f, 0x03, 0xd0], // lsl edx, eax
    [0x0f, 0x03, 0xd0],
    [0x66, 0x0f, 0x03, 0xd0],
    [0x0f, 0x00, 0xe0], // verr
    [0x0f, 0x00, 0xe8], // verw
    [0x0f, 0x00, 0xd0], // lldt
    [0x0f, 0x00, 0xd8], // ltr
    [0x8c, 0xda], // mov edx, ds
    [0x0f, 0x00, 0xca], // str edx
    [0x0f, 0x00, 0xc2], // sldt edx
  ]);
  one.code(...bytes);
  one.name = `segment ${hex(bytes)} ring ${ring}${from32 ? " compatibility" : ""} ${selector.toString(16)}`;
  return one.finish();
}

const WRITABLE_MSRS = [...CASE_MSRS, 0x277] as const;

/** MOV to and from control registers, MSRs, UMIP, CLTS, LMSW and what only ring 0 may do. */
export function controlCase(random: Random): Case {
  const ring = random.oneIn(4) ? 3 : 0;
  const one = new CaseBuilder(random, ring);
  const bit = 1n << BigInt(random.below(random.oneIn(6) ? 64 : 32));
  const msr = random.pick(WRITABLE_MSRS);
  const [value, ...bytes] = random.pick<readonly [bigint, ...(readonly number[])]>([
    // Not PG or PE: QEMU leaves long mode at once, where processors raise #GP.
    [SAFE_CR0 ^ (bit & ~0x80000001n), 0x0f, 0x22, 0xc0],
    [SAFE_CR0 ^ (bit & ~0x80000001n) ^ (1n << BigInt(29 + random.below(2))), 0x0f, 0x22, 0xc0],
    [SAFE_CR4 ^ (bit & CR4_ALIKE), 0x0f, 0x22, 0xe0],
    [SAFE_CR4 ^ (bit & CR4_ALIKE) ^ 0x800n, 0x0f, 0x22, 0xe0],
    [BigInt(at.PML4) | (bit & 0xfffn), 0x0f, 0x22, 0xd8], // cr3
    [bit, 0x0f, 0x22, 0xd0], // cr2
    [random.interesting() & 0xfn, 0x44, 0x0f, 0x22, 0xc0, 0x44, 0x0f, 0x20, 0xc2], // cr8
    [0n, 0x0f, 0x20, 0xc0], // mov rax, cr0
    [0n, 0x0f, 0x20, 0xe0], // cr4
    [0n, 0x0f, 0x20, (random.below(256) & 0xc7) | (random.pick([0, 2, 3, 4]) << 3)],
    [0n, 0x0f, 0x21, 0xc0 | random.below(64)],
    [0n, 0x0f, 0x23, 0xc0 | (random.below(8) << 3)], // without general detect: that has a test of its own
    [random.interesting() & ~0x2000n, 0x0f, 0x23, 0xf8 & ~(random.below(2) << 3)], // dr7, dr6
    [random.interesting() & 0xffffdfffn, 0x0f, 0x23, 0xf8, 0x0f, 0x21, 0xf9], // and back
    [bit, 0x0f, 0x30], // wrmsr
    [random.interesting(), 0x0f, 0x30],
    [0xd01n ^ bit, 0x0f, 0x30],
    [bit, 0x0f, 0x01, 0xf0], // lmsw
    [0n, 0x0f, 0x01, 0xe0], // smsw
    [0n, 0x0f, 0x06], // clts
    [0n, 0x0f, 0x31, 0x31, 0xc0, 0x31, 0xd2], // rdtsc
    [0n, 0x0f, 0x01, 0xf8], // swapgs
    [0n, 0x0f, 0x01, 0xca], // clac
    [0n, 0x0f, 0x01, 0xcb], // stac
    [0n, 0x0f, 0x01, 0x07], // sgdt [rdi]
    [0n, 0x0f, 0x01, 0x0f], // sidt [rdi]
    [0n, 0x0f, 0x00, 0xc0], // sldt
    [0n, 0x0f, 0x09], // wbinvd
    [0n, 0xf3, 0x0f, 0xae, 0xd0], // wrfsbase eax
    [random.interesting(), 0xf3, 0x48, 0x0f, 0xae, 0xd8], // wrgsbase rax
    [0n, 0x0f, 0x01, 0xd0, 0x31, 0xc0, 0x31, 0xd2], // xgetbv
    [0n, 0x0f, 0x01, 0xc8], // monitor
    [0n, 0x0f, 0xaa], // rsm
  ]);
  one.register(REGISTER.rax, value);
  one.register(REGISTER.rdx, bytes[1] === 0x30 ? value >> 32n : 0n);
  one.register(
    REGISTER.rcx,
    BigInt(bytes[1] === 0x30 || bytes[1] === 0x32 ? (value === (0xd01n ^ bit) ? 0xc0000080 : msr) : 0),
  );
  one.register(REGISTER.rdi, BigInt(ring === 3 ? at.USER_DATA : at.SYSTEM_DATA));
  for (const [optional, n] of [
    [0x800n, 4], // UMIP
    [0x10000n, 2], // FSGSBASE
    [4n, 3], // TSD
    [8n, 3], // DE
    [0x100n, 4], // PCE
  ] as const)
    if (random.oneIn(n)) one.flip(field.cr4, optional);
  if (random.oneIn(5)) one.flip(field.cr0, 8n); // TS
  one.code(...bytes);
  one.name = `control ${hex(bytes)} ring ${ring}`;
  return one.finish();
}
/**
 * What both have and may change. QEMU has no PCIDE in its translator, does not get over OSXSAVE, leaves long mode with PAE
 * where processors raise #GP, and repeats a write of reserved bits for ever (test/core has those).
 */
const CR4_ALIKE = 0x310f8fn;

/** Flags and ports against IOPL and the bitmap of the TSS. */
export function rightsCase(random: Random): Case {
  const one = new CaseBuilder(random, 3);
  if (random.oneIn(4)) one.enter(selectors.userCode32, 3);
  const port = random.pick([0x80, 0x80, 0xed, 0xff, 0x100]);
  const bytes = random.pick([
    [0xfa], // cli
    [0xfb, 0x90], // sti
    [0x9c, 0x58], // pushf; pop rax
    [0x68, ...u32(random.u32() & 0x247fd7 & ~0x100), 0x9d], // popf
    [0x66, 0x68, random.below(256), random.below(256) & ~1, 0x66, 0x9d],
    [0xf4], // hlt
    [0xe6, port & 255], // out imm8, al
    [0x66, 0xef], // out dx, ax
    [0xef], // out dx, eax
    [0x6e], // outsb
    [0x66, 0x6f], // outsw
  ]);
  one.register(REGISTER.rdx, BigInt(port));
  one.register(REGISTER.rsi, BigInt(at.USER_DATA));
  if (random.oneIn(2)) one.flip(field.rflags, 0x3000n & (BigInt(random.below(4)) << 12n));
  if (random.oneIn(2)) one.patch(at.TSS + 0x68 + (port >> 3), random.oneIn(2) ? 0n : random.u64());
  if (random.oneIn(6)) one.patch(at.TSS + 0x60, BigInt(random.pick([0x68, 0x78, 0x80, 0x88, 0xffff])) << 48n);
  one.code(...bytes);
  one.name = `rights ${hex(bytes)} ${port.toString(16)}`;
  return one.finish();
}

/** Units for steps and breakpoints. */
const STEPS: readonly (readonly number[])[] = [
  [0x90],
  [0x89, 0x07], // mov [rdi], eax
  [0x8b, 0x0f], // mov ecx, [rdi]
  [0x48, 0x89, 0x47, 0x08], // mov [rdi + 8], rax
  [0x01, 0x07], // add [rdi], eax
  [0xff, 0x37, 0x59], // push [rdi]; pop rcx
  [0xeb, 0x00], // jmp to the next
];
/** More of them, for steps alone. */
const WIDER_STEPS: readonly (readonly number[])[] = [
  ...STEPS,
  [0x9c, 0x59], // pushf; pop rcx
  [0x68, 0x02, 0x01, 0, 0, 0x9d], // popf with TF
  [0x68, 0x02, 0, 0, 0, 0x9d], // and without
  [0xcd, 0xf1],
  [0xcc],
  [0x0f, 0x0b],
  [0x0f, 0x05],
  [0x8a, 0x04, 0x25, 0, 0, 0, 0], // a page fault
];

/**
 * Single step, or one breakpoint. Both together, ports, general detect and loads of SS are not here: what QEMU makes
 * of them cannot be compared with (test/core has cases of their own).
 */
export function debugCase(random: Random): Case {
  const ring = random.oneIn(2) ? 3 : 0;
  const one = new CaseBuilder(random, ring);
  const data = BigInt(ring === 3 ? at.USER_DATA : at.SYSTEM_DATA);
  const isStep = random.oneIn(2);
  one.register(REGISTER.rdi, data + BigInt(random.below(4) * 8));
  const units = Array.from({ length: 1 + random.below(4) }, () => random.pick(isStep ? WIDER_STEPS : STEPS));
  if (isStep) {
    if (!random.oneIn(4)) one.flip(field.rflags, 0x100n);
  } else {
    const n = random.below(4);
    const kind = random.pick([0, 1, 3]); // execution, writes, both
    const length = kind === 0 ? 0 : random.below(4);
    const bytes = [1, 2, 8, 4][length] ?? 1;
    const place = BigInt(random.below(24) & ~(bytes - 1));
    one.set(field.dr + n, kind === 0 ? one.rip + BigInt(random.below(8)) : data + place);
    one.set(
      field.dr + 5,
      0x400n |
        (BigInt(1 + random.below(3)) << BigInt(2 * n)) |
        (BigInt(kind | (length << 2)) << BigInt(16 + 4 * n)),
    );
    // RF holds off a breakpoint on the first instruction.
    if (random.oneIn(4)) one.flip(field.rflags, 0x10000n);
  }
  one.code(...units.flat());
  one.name = `debug ring ${ring} ${units.map(hex).join(" ")}`;
  return one.finish();
}
