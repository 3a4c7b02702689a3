/**
 * Vector instructions to run on random operands: machine code that goes through a table of cases, the same bytes
 * for the core and for the CPU of the host, and the operands.
 */

/** A case in the table: operands a and b, MXCSR, and what came out: XMM or MMX, MXCSR, RAX, RFLAGS. */
export const CASE = 96;
const OFFSET = { a: 0, b: 16, mxcsr: 32, mxcsrOut: 36, result: 48, rax: 64, flags: 72 };

export interface Instruction {
  readonly name: string;
  /** xmm0 or mm0 the destination and a, xmm1 or mm1 the source and b; EAX or RAX where a general register is. */
  readonly bytes: readonly number[];
  readonly mmx?: boolean;
  /** Flag of /proc/cpuinfo without which a host cannot run it. */
  readonly needs?: string;
}

const PREFIXES = { ps: [], pd: [0x66], ss: [0xf3], sd: [0xf2] } as const;
const KINDS = ["ps", "pd", "ss", "sd"] as const;

/** add, subtract, ..., comparisons and conversions: everything that rounds or raises flags. */
export const FLOATING: readonly Instruction[] = [
  ...Object.entries({ sqrt: 0x51, add: 0x58, mul: 0x59, sub: 0x5c, min: 0x5d, div: 0x5e, max: 0x5f }).flatMap(
    ([name, opcode]) => KINDS.map((kind) => made(`${name}${kind}`, [...PREFIXES[kind], 0x0f, opcode, 0xc1])),
  ),
  ...KINDS.flatMap((kind) =>
    [0, 1, 2, 3, 4, 5, 6, 7].map((predicate) =>
      made(`cmp${kind} ${predicate}`, [...PREFIXES[kind], 0x0f, 0xc2, 0xc1, predicate]),
    ),
  ),
  made("ucomiss", [0x0f, 0x2e, 0xc1]),
  made("comiss", [0x0f, 0x2f, 0xc1]),
  made("ucomisd", [0x66, 0x0f, 0x2e, 0xc1]),
  made("comisd", [0x66, 0x0f, 0x2f, 0xc1]),
  made("cvtps2pd", [0x0f, 0x5a, 0xc1]),
  made("cvtpd2ps", [0x66, 0x0f, 0x5a, 0xc1]),
  made("cvtss2sd", [0xf3, 0x0f, 0x5a, 0xc1]),
  made("cvtsd2ss", [0xf2, 0x0f, 0x5a, 0xc1]),
  made("cvtdq2ps", [0x0f, 0x5b, 0xc1]),
  made("cvtps2dq", [0x66, 0x0f, 0x5b, 0xc1]),
  made("cvttps2dq", [0xf3, 0x0f, 0x5b, 0xc1]),
  made("cvttpd2dq", [0x66, 0x0f, 0xe6, 0xc1]),
  made("cvtdq2pd", [0xf3, 0x0f, 0xe6, 0xc1]),
  made("cvtpd2dq", [0xf2, 0x0f, 0xe6, 0xc1]),
  ...[0xf3, 0xf2].flatMap((prefix) =>
    [0x2c, 0x2d].flatMap((opcode) => [
      made(`cvt2si ${prefix.toString(16)} ${opcode.toString(16)}`, [prefix, 0x0f, opcode, 0xc1]),
      made(`cvt2si ${prefix.toString(16)} ${opcode.toString(16)} 64`, [prefix, 0x48, 0x0f, opcode, 0xc1]),
    ]),
  ),
  // MOVQ RAX, XMM1 first: the integer to convert.
  ...[0xf3, 0xf2].flatMap((prefix) => [
    made(`cvtsi2 ${prefix.toString(16)}`, [0x66, 0x48, 0x0f, 0x7e, 0xc8, prefix, 0x0f, 0x2a, 0xc0]),
    made(`cvtsi2 ${prefix.toString(16)} 64`, [0x66, 0x48, 0x0f, 0x7e, 0xc8, prefix, 0x48, 0x0f, 0x2a, 0xc0]),
  ]),
  ...[0x7c, 0x7d, 0xd0].flatMap((opcode) => [
    made(`pd ${opcode.toString(16)}`, [0x66, 0x0f, opcode, 0xc1], "pni"),
    made(`ps ${opcode.toString(16)}`, [0xf2, 0x0f, opcode, 0xc1], "pni"),
  ]),
  ...[8, 9, 10, 11].flatMap((opcode) =>
    [0, 1, 2, 3, 4, 8, 12].map((control) =>
      made(`round ${opcode} ${control}`, [0x66, 0x0f, 0x3a, opcode, 0xc1, control], "sse4_1"),
    ),
  ),
  // MOVDQ2Q MM1, XMM1 first.
  made("cvtpi2ps", [0xf2, 0x0f, 0xd6, 0xc9, 0x0f, 0x2a, 0xc1]),
  made("cvtpi2pd", [0xf2, 0x0f, 0xd6, 0xc9, 0x66, 0x0f, 0x2a, 0xc1]),
  ...[0x2c, 0x2d].flatMap((opcode) => [
    // CVTPS2PI MM0, XMM1; MOVQ2DQ XMM0, MM0.
    made(`ps2pi ${opcode.toString(16)}`, [0x0f, opcode, 0xc1, 0xf3, 0x0f, 0xd6, 0xc0]),
    made(`pd2pi ${opcode.toString(16)}`, [0x66, 0x0f, opcode, 0xc1, 0xf3, 0x0f, 0xd6, 0xc0]),
  ]),
];

const PACKED = [
  ...[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x74, 0x75, 0x76],
  ...[0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xe1, 0xe2, 0xe3],
  ...[0xe4, 0xe5, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf8],
  ...[0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe],
];
const PACKED38 = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x1c, 0x1d, 0x1e];
const hex = (value: number): string => value.toString(16);

/** Integer, shuffling and cryptographic instructions, MMX ones too. */
export const INTEGER: readonly Instruction[] = [
  ...PACKED.flatMap((opcode) => [
    made(`sse ${hex(opcode)}`, [0x66, 0x0f, opcode, 0xc1]),
    { ...made(`mmx ${hex(opcode)}`, [0x0f, opcode, 0xc1]), mmx: true },
  ]),
  ...PACKED38.flatMap((opcode) => [
    made(`sse 38 ${hex(opcode)}`, [0x66, 0x0f, 0x38, opcode, 0xc1], "ssse3"),
    { ...made(`mmx 38 ${hex(opcode)}`, [0x0f, 0x38, opcode, 0xc1], "ssse3"), mmx: true },
  ]),
  ...[0x10, 0x14, 0x15, 0x17, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x28, 0x29, 0x2b].map((opcode) =>
    made(`sse 38 ${hex(opcode)}`, [0x66, 0x0f, 0x38, opcode, 0xc1], "sse4_1"),
  ),
  ...[
    0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x37, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x40, 0x41,
  ].map((opcode) => made(`sse 38 ${hex(opcode)}`, [0x66, 0x0f, 0x38, opcode, 0xc1], "sse4_2")),
  ...[0xdb, 0xdc, 0xdd, 0xde, 0xdf].map((opcode) =>
    made(`aes ${hex(opcode)}`, [0x66, 0x0f, 0x38, opcode, 0xc1], "aes"),
  ),
  made("aeskeygenassist", [0x66, 0x0f, 0x3a, 0xdf, 0xc1, 0x36], "aes"),
  ...[0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd].map((opcode) =>
    made(`sha ${hex(opcode)}`, [0x0f, 0x38, opcode, 0xc1], "sha_ni"),
  ),
  ...[0, 1, 2, 3].map((kind) => made(`sha1rnds4 ${kind}`, [0x0f, 0x3a, 0xcc, 0xc1, kind], "sha_ni")),
  ...[0, 1, 16, 17].map((halves) =>
    made(`pclmulqdq ${halves}`, [0x66, 0x0f, 0x3a, 0x44, 0xc1, halves], "pclmulqdq"),
  ),
  ...[0x0c, 0x0d, 0x0e, 0x21, 0x42].flatMap((opcode) =>
    [0, 0x1b, 0x5e, 0xe7].map((control) =>
      made(`3a ${hex(opcode)} ${hex(control)}`, [0x66, 0x0f, 0x3a, opcode, 0xc1, control], "sse4_1"),
    ),
  ),
  ...[0, 5, 8, 15, 16, 21, 32].flatMap((from) => [
    made(`palignr ${from}`, [0x66, 0x0f, 0x3a, 0x0f, 0xc1, from], "ssse3"),
    { ...made(`palignr mmx ${from}`, [0x0f, 0x3a, 0x0f, 0xc1, from], "ssse3"), mmx: true },
  ]),
  ...[0x60, 0x61, 0x62, 0x63].flatMap((opcode) =>
    // EAX is 0 for the explicit forms; MOVD EDX, XMM1 gives the other length. ECX is the counter: it is saved.
    Array.from({ length: 16 }, (_, n) => n * 8 + (n & 3)).map((control) =>
      made(
        `pcmpxstrx ${hex(opcode)} ${hex(control)}`,
        [0x51, 0x66, 0x0f, 0x7e, 0xca, 0x89, 0xd0, 0xc1, 0xf8, 27, 0xc1, 0xfa, 26] // eax and edx: small numbers
          .concat([0x66, 0x0f, 0x3a, opcode, 0xc1, control, 0x9c, 0x89, 0xc8, 0x9d, 0x59]),
        "sse4_2",
      ),
    ),
  ),
  ...[0x1b, 0xe4, 0x93].flatMap((order) => [
    made(`pshufd ${hex(order)}`, [0x66, 0x0f, 0x70, 0xc1, order]),
    made(`pshufhw ${hex(order)}`, [0xf3, 0x0f, 0x70, 0xc1, order]),
    made(`pshuflw ${hex(order)}`, [0xf2, 0x0f, 0x70, 0xc1, order]),
    made(`shufps ${hex(order)}`, [0x0f, 0xc6, 0xc1, order]),
    made(`shufpd ${hex(order)}`, [0x66, 0x0f, 0xc6, 0xc1, order]),
    { ...made(`pshufw ${hex(order)}`, [0x0f, 0x70, 0xc1, order]), mmx: true },
  ]),
  // MOVD EAX, XMM1 or MM1; PINSRW; PEXTRW; PMOVMSKB.
  made("pinsrw", [0x66, 0x0f, 0x7e, 0xc8, 0x66, 0x0f, 0xc4, 0xc0, 6]),
  { ...made("pinsrw mmx", [0x0f, 0x7e, 0xc8, 0x0f, 0xc4, 0xc0, 6]), mmx: true },
  made("pextrw", [0x66, 0x0f, 0xc5, 0xc1, 5]),
  { ...made("pextrw mmx", [0x0f, 0xc5, 0xc1, 5]), mmx: true },
  made("pmovmskb", [0x66, 0x0f, 0xd7, 0xc1]),
  { ...made("pmovmskb mmx", [0x0f, 0xd7, 0xc1]), mmx: true },
];

function made(name: string, bytes: readonly number[], needs?: string): Instruction {
  return { name, bytes, ...(needs === undefined ? {} : { needs }) };
}

/** RBX the table, ECX the number of cases; ends behind its last byte. */
export function loop({ bytes, mmx }: Instruction): number[] {
  const body = [
    ...(mmx === true ? [0x0f, 0x6f, 0x03] : [0x0f, 0x10, 0x03]), // movq mm0, [rbx] or movups xmm0, [rbx]
    ...(mmx === true ? [0x0f, 0x6f, 0x4b, OFFSET.b] : [0x0f, 0x10, 0x4b, OFFSET.b]),
    ...[0x0f, 0xae, 0x53, OFFSET.mxcsr], // ldmxcsr
    ...[0x31, 0xc0], // xor eax, eax
    ...bytes,
    ...[0x9c, 0x5a], // pushfq; pop rdx
    ...[0x0f, 0xae, 0x5b, OFFSET.mxcsrOut], // stmxcsr
    ...(mmx === true ? [0x0f, 0x7f, 0x43, OFFSET.result] : [0x0f, 0x11, 0x43, OFFSET.result]),
    ...[0x48, 0x89, 0x43, OFFSET.rax, 0x66, 0x89, 0x53, OFFSET.flags], // mov [], rax; mov [], dx
    ...[0x0f, 0x77], // emms
    ...[0x48, 0x83, 0xc3, CASE, 0xff, 0xc9], // add rbx, CASE; dec ecx
  ];
  const back = -(body.length + 2);
  if (back < -128) {
    const far = new DataView(new ArrayBuffer(4));
    far.setInt32(0, -(body.length + 6), true);
    return [...body, 0x0f, 0x85, ...new Uint8Array(far.buffer)];
  }
  return [...body, 0x75, back & 0xff];
}

/** A generator of 32-bit numbers with a printable state. */
export function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

const SINGLES = [
  ...[
    0, 0x80000000, 1, 0x80000001, 0x7fffff, 0x807fffff, 0x800000, 0x80800000, 0x800001, 0x3f800000,
    0xbf800000,
  ],
  ...[
    0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7fa12345, 0xff800001,
    0x4b000001,
  ],
  ...[
    0x4effffff, 0x4f000000, 0xcf000000, 0x5f000000, 0x3f000000, 0x3fc00000, 0x00ffffff, 0x34000000,
    0x33800000,
  ],
];
const DOUBLES = [
  ...[
    0n,
    1n << 63n,
    1n,
    (1n << 63n) | 1n,
    (1n << 52n) - 1n,
    1n << 52n,
    (1n << 52n) + 1n,
    0x3ff0000000000000n,
  ],
  ...[
    0xbff0000000000000n,
    0x7fefffffffffffffn,
    0x7ff0000000000000n,
    0xfff0000000000000n,
    0x7ff8000000000000n,
  ],
  ...[
    0xfff8000000000001n,
    0x7ff4000000000000n,
    0xfff0000000000001n,
    0x4330000000000001n,
    0x41dfffffffc00000n,
  ],
  ...[
    0x41e0000000000000n,
    0xc1e0000000000000n,
    0x43e0000000000000n,
    0x3fe0000000000000n,
    0x3ff8000000000000n,
  ],
  ...[
    0x380fffffffffffffn,
    0x3810000000000000n,
    0x47efffffe0000000n,
    0x47effffff0000000n,
    0x369fffffffffffffn,
  ],
  0x001fffffffffffffn,
];

/** Sixteen bytes: two doubles or four singles of one kind or another. */
function operand(view: DataView, at: number, next: () => number, other: number | undefined): void {
  const style = next() % 8;
  for (let half = 0; half < 16; half += 8) {
    const near = other !== undefined && next() % 4 === 0;
    if (near) {
      // Close to the other operand, or its negative: cancellation, ties, equality.
      view.setBigUint64(at + half, view.getBigUint64(other + half, true), true);
      if (next() % 2 === 0) view.setUint8(at + half + 7, view.getUint8(at + half + 7) ^ 0x80);
      if (next() % 2 === 0) view.setUint8(at + half, (view.getUint8(at + half) + (next() % 3)) & 0xff);
    } else if (style < 2) {
      view.setUint32(at + half, next(), true);
      view.setUint32(at + half + 4, next(), true);
    } else if (style === 2) view.setBigUint64(at + half, DOUBLES[next() % DOUBLES.length] ?? 0n, true);
    else if (style === 3) {
      view.setUint32(at + half, SINGLES[next() % SINGLES.length] ?? 0, true);
      view.setUint32(at + half + 4, SINGLES[next() % SINGLES.length] ?? 0, true);
    } else if (style === 4) view.setFloat64(at + half, (next() - 0x80000000) / 2 ** (next() % 64), true);
    else if (style === 5) view.setFloat64(at + half, (next() % 2048) - 1024, true);
    else if (style === 6) {
      view.setFloat32(at + half, (next() - 0x80000000) / 2 ** (next() % 48), true);
      view.setFloat32(at + half + 4, (next() % 512) - 256, true);
    } else {
      // Near the least and the greatest exponents.
      const high = next() % 2 === 0 ? (next() % 3) << 20 : (0x7fd + (next() % 2)) << 20;
      view.setUint32(at + half, next(), true);
      view.setUint32(at + half + 4, (high | (next() & 0x800fffff)) >>> 0, true);
    }
  }
}

/** A table of cases; `mxcsr` gives the MXCSR of each. */
export function cases(count: number, next: () => number, mxcsr: (next: () => number) => number): Uint8Array {
  const bytes = new Uint8Array(count * CASE);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += CASE) {
    operand(view, at + OFFSET.a, next, undefined);
    operand(view, at + OFFSET.b, next, at + OFFSET.a);
    view.setUint32(at + OFFSET.mxcsr, mxcsr(next), true);
  }
  return bytes;
}

/** The first case that came out differently, in words; undefined when there is none. */
export function difference(
  name: string,
  one: Uint8Array,
  other: Uint8Array,
  ignoreMasks = 0,
): string | undefined {
  const a = new DataView(one.buffer, one.byteOffset, one.length);
  const b = new DataView(other.buffer, other.byteOffset, other.length);
  const quad = (view: DataView, at: number): string => view.getBigUint64(at, true).toString(16);
  for (let at = 0; at < one.length; at += CASE) {
    const show = (view: DataView): string =>
      `${quad(view, at + OFFSET.result + 8)}:${quad(view, at + OFFSET.result)} mxcsr ${(
        view.getUint32(at + OFFSET.mxcsrOut, true) & ~ignoreMasks
      ).toString(
        16,
      )} rax ${quad(view, at + OFFSET.rax)} flags ${(view.getUint16(at + OFFSET.flags, true) & 0x8d5).toString(16)}`;
    if (show(a) === show(b)) continue;
    const input = [OFFSET.a + 8, OFFSET.a, OFFSET.b + 8, OFFSET.b].map((o) => quad(a, at + o)).join(" ");
    return `${name}, case ${at / CASE}, a and b ${input}, mxcsr ${a.getUint32(at + OFFSET.mxcsr, true).toString(16)}: ${show(a)} / ${show(b)}`;
  }
  return undefined;
}
