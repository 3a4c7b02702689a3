/** Code that means no good: random bytes, and sequences that reach for everything a system program can. */
import type { Random } from "./random.ts";

const u32 = (value: number): number[] => [
  value & 255,
  (value >>> 8) & 255,
  (value >>> 16) & 255,
  value >>> 24,
];

const MSRS = [
  ...[0x10, 0x1b, 0x3b, 0x8b, 0xfe, 0x140, 0x174, 0x175, 0x176, 0x179, 0x17a, 0x1a0, 0x1d9, 0x277, 0x2ff],
  ...[0x400, 0x401, 0x404, 0x405, 0x407, 0x6e0, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084],
  ...[0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103],
];
const PORTS = [
  ...[
    0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x60, 0x64, 0x70, 0x71, 0x80, 0xf0, 0xf1, 0xcf8,
    0xcfc,
  ],
  ...[0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x2f8, 0x2f9, 0x2fc, 0x510, 0x511, 0x514, 0x505],
  ...[0x5c0, 0x5c4, 0x5c8, 0x5cc, 0x5d0, 0x5d4, 0x5d8, 0x5dc, 0x5e0, 0x5e4, 0x5e8, 0x5ec, 0x5f0],
];
/** Ends a round: seldom. */
const FINAL_PORTS = [0xf4, 0x64, 0xcf9, 0x505, 0x92];
const DEVICE_PAGES = [0xfee00000, 0xfee00000, 0xfec00000, 0xfed00000];

type Sequence = (random: Random, wide: boolean) => number[];

/** mov eax, value (operand size of the mode; 16-bit code reads it otherwise, which is as good). */
const load = (register: number, value: number): number[] => [0xb8 + register, ...u32(value)];

const wrmsr = (msr: number, low: number, high: number): number[] => [
  ...[...load(1, msr), ...load(0, low), ...load(2, high)],
  ...[0x0f, 0x30],
];
/** invpcid rax, [rsi] */
const INVPCID = [0x66, 0x0f, 0x38, 0x82, 0x06];

const SEQUENCES: readonly Sequence[] = [
  // rdmsr, wrmsr
  (r) => [
    ...load(1, r.oneIn(4) ? 0x800 + r.below(0x40) : r.oneIn(16) ? r.u32() : r.pick(MSRS)),
    ...load(0, r.oneIn(2) ? r.u32() : Number(r.interesting() & 0xffffffffn)),
    ...load(2, r.oneIn(2) ? 0 : r.u32()),
    ...[0x0f, r.oneIn(3) ? 0x32 : 0x30],
  ],
  // in, out, ins, outs
  (r) => [
    ...load(2, r.oneIn(400) ? r.pick(FINAL_PORTS) : r.oneIn(10) ? r.below(0x10000) : r.pick(PORTS)),
    ...load(0, r.oneIn(2) ? r.below(256) : r.u32()),
    ...(r.oneIn(6) ? [...load(1, r.below(64)), 0xf3, r.pick([0x6c, 0x6d, 0x6e, 0x6f])] : []),
    ...(r.oneIn(6) ? [0x66] : []),
    r.pick([0xec, 0xed, 0xee, 0xef, 0xee, 0xef]),
  ],
  // device registers in memory: mov eax, [address]; mov [address], value
  (r, wide) => {
    const address = r.pick(DEVICE_PAGES) + (r.oneIn(8) ? r.below(0x1000) : r.below(0x40) * 16);
    const place = wide ? [0x67, 0x8b, 0x04, 0x25, ...u32(address)] : [0x8b, 0x05, ...u32(address)];
    if (r.oneIn(3)) return place;
    const at = wide ? [0x04, 0x25] : [0x05];
    return [
      ...(wide ? [0x67] : []),
      0xc7,
      ...at,
      ...u32(address),
      ...u32(r.oneIn(2) ? r.u32() : r.below(0x800)),
    ];
  },
  // interprocessor interrupts through the APIC
  (r, wide) => {
    const at = wide ? [0x04, 0x25] : [0x05];
    const send = (address: number, value: number): number[] => [
      ...(wide ? [0x67] : []),
      0xc7,
      ...at,
      ...u32(address),
      ...u32(value),
    ];
    return [
      ...send(0xfee00310, r.below(8) << 24),
      ...send(0xfee00300, (r.below(4) << 18) | (r.below(16) << 12) | (r.below(8) << 8) | r.below(256)),
    ];
  },
  // mov cr, mov dr
  (r) => {
    const cr = r.pick([0, 0, 2, 3, 4, 4, 8]);
    const toggle = 1 << r.below(32);
    return r.oneIn(3)
      ? [0x0f, r.pick([0x21, 0x23]), 0xc0 | (r.below(8) << 3)]
      : // mov eax, crN; xor eax, bit; mov crN, eax
        [...[0x0f, 0x20, 0xc0 | (cr << 3)], ...[0x35, ...u32(toggle)], ...[0x0f, 0x22, 0xc0 | (cr << 3)]];
  },
  // a breakpoint somewhere near: mov drN, rax; mov dr7, rax
  (r) => {
    const n = r.below(4);
    const near = r.pick([0x40000 + r.below(0x10000), 0x100000 + r.below(0x4000), r.below(0x10000), r.u32()]);
    const control = (r.below(4) << (n * 2)) | (r.below(16) << (16 + n * 4)) | (r.oneIn(8) ? r.u32() : 0x400);
    return [...[...load(0, near), 0x0f, 0x23, 0xc0 | (n << 3)], ...[...load(0, control), 0x0f, 0x23, 0xf8]];
  },
  // single step: pushf; or dword [rsp], TF; popf
  () => [0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d],
  // x2APIC mode, its registers, the TSC deadline
  (r) => wrmsr(0x1b, 0xfee00000 | r.pick([0xd00, 0xc00, 0x900, 0x100]), 0),
  (r) =>
    wrmsr(0x800 + r.pick([0x08, 0x0b, 0x0f, 0x28, 0x30, 0x30, 0x32, 0x38, 0x3e, 0x3f]), r.u32(), r.below(5)),
  (r) => [...wrmsr(0x832, 0x40000 | r.below(256), 0), ...wrmsr(0x6e0, r.below(0x100000), 0)],
  // a request to the disk, with a buffer in memory or anywhere
  (r) => {
    const out = (port: number, value: number): number[] => [
      ...load(2, 0x5e0 + port),
      ...load(0, value),
      0xef,
    ];
    return [
      ...[...out(0x04, r.below(16)), ...out(0x0c, r.oneIn(4) ? r.u32() : r.below(0x800000) & ~511)],
      ...[...out(0x14, r.oneIn(4) ? r.u32() : r.below(9)), ...out(0x18, r.below(5))],
    ];
  },
  // an entry of a table changes, and what is cached of it may go
  (r, wide) => {
    const entry = 0x1000 + r.below(5) * 0x1000 + r.below(r.pick([4, 512])) * 8;
    const value = (r.below(0x800) << 12) | r.below(0x1000);
    const at = wide ? [0x67, 0xc7, 0x04, 0x25] : [0xc7, 0x05];
    const forget = r.pick([[], [0x0f, 0x01, 0x3f], [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8], INVPCID]);
    return [...at, ...u32(entry), ...u32(value), ...load(0, r.below(5)), ...forget];
  },
  // segment and table registers, far transfers, INT, IRET
  (r) => [
    ...load(0, r.oneIn(3) ? r.below(0x10000) : r.below(16) * 8 + r.below(4)),
    0x8e,
    0xc0 | (r.below(6) << 3),
  ],
  (r) => [...load(0, r.below(16) * 8), 0x0f, 0x00, 0xc0 | (r.below(6) << 3)],
  (r) => [0x0f, 0x01, (r.below(8) << 3) | r.pick([0x06, 0x03, 0xc0, 0xc8, 0xd0, 0xf8])],
  (r) => [0xcd, r.below(256)],
  (r) => [r.pick([0xcf, 0xcb, 0xca, 0x9d, 0xfb, 0xfa, 0xf4, 0xf1, 0xcc, 0x9b])],
  (r) => [0x48, r.pick([0xcf, 0xcb])],
  (r) => [0x0f, r.pick([0x05, 0x07, 0x34, 0x35, 0x06, 0x08, 0x09, 0x0b, 0xa2, 0x31, 0x77, 0x0e])],
  // strings with long counts, either way
  (r) => [
    ...load(1, r.oneIn(3) ? r.u32() : r.below(0x3000)),
    ...(r.oneIn(3) ? [0xfd] : [0xfc]),
    ...(r.oneIn(2) ? [0x48] : []),
    r.pick([0xf3, 0xf2]),
    r.pick([0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf]),
  ],
  // any two-byte or three-byte opcode, with any prefixes
  (r) => [
    ...(r.oneIn(3) ? [r.pick([0x66, 0xf2, 0xf3, 0xf0, 0x67, 0x64, 0x65])] : []),
    ...(r.oneIn(3) ? [0x40 + r.below(16)] : []),
    0x0f,
    ...(r.oneIn(4) ? [r.pick([0x38, 0x3a, 0x01, 0xae, 0xc7, 0x00])] : []),
    r.below(256),
    r.below(256),
  ],
  // x87
  (r) => [0xd8 + r.below(8), r.below(256)],
  // VEX
  (r) => [0xc4, r.below(256), r.below(256), r.below(256), r.below(256)],
  // integer work on registers and memory near them
  (r) => [0x48, r.pick([0x01, 0x03, 0x29, 0x31, 0x89, 0x8b, 0x87, 0x39]), 0x40 | r.below(64), r.below(256)],
  (r) => [r.pick([0x70, 0x74, 0x75, 0x78, 0xe2, 0xeb]) + r.below(2), r.below(64) - 32],
  (r) => [0x50 + r.below(16)],
];

/** The longest sequence in bytes. */
const LONGEST = 64;

/** A page or more of code. `wide`: for 64-bit mode. */
export function hostileCode(random: Random, length: number, wide: boolean): Uint8Array {
  const bytes = random.bytes(length);
  const share = random.pick([0, 2, 2, 8]);
  if (share === 0) return bytes;
  for (let at = 0; at < length - LONGEST; ) {
    if (random.below(10) < share) {
      const sequence = random.pick(SEQUENCES)(random, wide);
      bytes.set(sequence, at);
      at += sequence.length;
    } else at += 1 + random.below(6);
  }
  return bytes;
}
