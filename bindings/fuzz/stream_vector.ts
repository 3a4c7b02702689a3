/** Units of SSE to SSE4.2, AES, SHA, PCLMUL, MMX and x87 instructions; see stream_code.ts. */
import { encode, FREE, general, memory, register, type Unit } from "./stream_encoding.ts";

/** Opcode map, mandatory prefixes (0: none), opcodes; `imm8` where an immediate follows; `mmx` registers without prefix. */
interface Family {
  readonly map: readonly number[];
  readonly prefixes: readonly number[];
  readonly opcodes: readonly number[];
  readonly immediate?: boolean;
  /** Memory operands are 16 bytes and must be aligned. */
  readonly align?: number;
  readonly operand?: "register" | "memory" | "general";
  readonly register?: "general";
}
const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, n) => first + n);
const FAMILIES: readonly Family[] = [
  {
    map: [0x0f],
    prefixes: [0, 0x66],
    opcodes: [0x10, 0x11, 0x28, 0x29, 0x14, 0x15, 0x54, 0x55, 0x56, 0x57],
    align: 16,
  },
  {
    map: [0x0f],
    prefixes: [0, 0x66, 0xf2, 0xf3],
    opcodes: [0x51, 0x58, 0x59, 0x5c, 0x5d, 0x5e, 0x5f],
    align: 16,
  },
  { map: [0x0f], prefixes: [0, 0x66, 0xf2, 0xf3], opcodes: [0xc2], immediate: true, align: 16 },
  { map: [0x0f], prefixes: [0, 0x66], opcodes: [0x2e, 0x2f], align: 8 },
  { map: [0x0f], prefixes: [0xf2, 0xf3], opcodes: [0x10, 0x11, 0x5a], align: 8 },
  { map: [0x0f], prefixes: [0, 0x66], opcodes: [0x12, 0x13, 0x16, 0x17], operand: "memory", align: 8 },
  { map: [0x0f], prefixes: [0], opcodes: [0x12, 0x16], operand: "register" },
  { map: [0x0f], prefixes: [0xf2], opcodes: [0x12], align: 8 },
  { map: [0x0f], prefixes: [0xf3], opcodes: [0x12, 0x16], align: 16 },
  { map: [0x0f], prefixes: [0, 0x66, 0xf3], opcodes: [0x5b], align: 16 },
  { map: [0x0f], prefixes: [0, 0x66], opcodes: [0x5a], align: 16 },
  { map: [0x0f], prefixes: [0x66, 0xf2, 0xf3], opcodes: [0xe6], align: 16 },
  { map: [0x0f], prefixes: [0xf2, 0xf3], opcodes: [0x2a], operand: "general" },
  { map: [0x0f], prefixes: [0xf2, 0xf3], opcodes: [0x2c, 0x2d], register: "general", align: 8 },
  { map: [0x0f], prefixes: [0, 0x66], opcodes: [0x50], register: "general", operand: "register" },
  { map: [0x0f], prefixes: [0x66], opcodes: [0xd7], register: "general", operand: "register" },
  { map: [0x0f], prefixes: [0, 0x66], opcodes: [0xc6], immediate: true, align: 16 },
  { map: [0x0f], prefixes: [0x66, 0xf2, 0xf3], opcodes: [0x70], immediate: true, align: 16 },
  { map: [0x0f], prefixes: [0x66, 0xf2], opcodes: [0x7c, 0x7d, 0xd0], align: 16 },
  {
    map: [0x0f],
    prefixes: [0x66],
    opcodes: [...range(0x60, 0x6d), ...range(0x74, 0x76), ...range(0xd1, 0xd5)],
    align: 16,
  },
  {
    map: [0x0f],
    prefixes: [0x66],
    opcodes: [...range(0xd8, 0xe5), ...range(0xe8, 0xef), ...range(0xf1, 0xf6)],
    align: 16,
  },
  { map: [0x0f], prefixes: [0x66], opcodes: range(0xf8, 0xfe), align: 16 },
  { map: [0x0f], prefixes: [0x66, 0xf3], opcodes: [0x6f, 0x7f], align: 16 },
  { map: [0x0f], prefixes: [0x66], opcodes: [0xd6, 0x7e], align: 8 },
  { map: [0x0f], prefixes: [0xf3], opcodes: [0x7e], align: 8 },
  { map: [0x0f], prefixes: [0x66], opcodes: [0x6e, 0x7e], operand: "general" },
  { map: [0x0f], prefixes: [0x66], opcodes: [0xe7, 0x2b], operand: "memory", align: 16 },
  { map: [0x0f], prefixes: [0], opcodes: [0x2b], operand: "memory", align: 16 },
  { map: [0x0f], prefixes: [0x66], opcodes: [0xc4], operand: "general", immediate: true },
  {
    map: [0x0f],
    prefixes: [0x66],
    opcodes: [0xc5],
    register: "general",
    operand: "register",
    immediate: true,
  },
  {
    map: [0x0f, 0x38],
    prefixes: [0x66],
    opcodes: [...range(0x00, 0x0b), 0x1c, 0x1d, 0x1e, ...range(0x20, 0x25)],
    align: 16,
  },
  { map: [0x0f, 0x38], prefixes: [0x66], opcodes: [0x10, 0x14, 0x15, 0x17, 0x28, 0x29, 0x2b], align: 16 },
  {
    map: [0x0f, 0x38],
    prefixes: [0x66],
    opcodes: [...range(0x30, 0x35), ...range(0x37, 0x41), ...range(0xdb, 0xdf)],
    align: 16,
  },
  { map: [0x0f, 0x38], prefixes: [0x66], opcodes: [0x2a], operand: "memory", align: 16 },
  { map: [0x0f, 0x38], prefixes: [0], opcodes: range(0xc8, 0xcd), operand: "register" },
  {
    map: [0x0f, 0x3a],
    prefixes: [0x66],
    opcodes: [...range(0x08, 0x0f), 0x42, 0x44, 0xdf],
    immediate: true,
    align: 16,
  },
  { map: [0x0f, 0x3a], prefixes: [0x66], opcodes: range(0x60, 0x63), immediate: true, align: 16 },
  {
    map: [0x0f, 0x3a],
    prefixes: [0x66],
    opcodes: [0x14, 0x15, 0x16, 0x17, 0x20, 0x22],
    immediate: true,
    operand: "general",
  },
  { map: [0x0f, 0x3a], prefixes: [0x66], opcodes: [0x21], immediate: true },
  { map: [0x0f, 0x3a], prefixes: [0], opcodes: [0xcc], immediate: true, operand: "register" },
];
export const sse: Unit = (r) => {
  const family = r.pick(FAMILIES);
  const prefix = r.pick(family.prefixes);
  const isGeneral = family.operand === "general";
  const isMemory = family.operand === "memory" || (family.operand !== "register" && r.oneIn(3));
  const isPlain = isGeneral || family.register === "general";
  return encode({
    prefixes: prefix === 0 ? [] : [prefix],
    wide: isPlain && r.oneIn(2),
    opcode: [...family.map, r.pick(family.opcodes)],
    reg: family.register === "general" ? r.pick(FREE) : r.below(16),
    operand: isMemory ? memory(r, family.align ?? 1) : isGeneral ? general(r) : register(r.below(16)),
    immediate: family.immediate === true ? [r.below(256)] : [],
  });
};
export const shiftImmediate: Unit = (r) => [
  ...[0x66, ...(r.oneIn(2) ? [0x41] : []), 0x0f],
  ...r
    .pick([
      [0x71, 0xd0],
      [0x71, 0xe0],
      [0x71, 0xf0],
      [0x72, 0xd0],
      [0x72, 0xe0],
      [0x72, 0xf0],
      [0x73, 0xd0],
      [0x73, 0xd8],
      [0x73, 0xf0],
      [0x73, 0xf8],
    ])
    .map((byte, n) => (n === 1 ? byte | r.below(8) : byte)),
  r.oneIn(4) ? r.below(256) : r.below(70),
];
export const mmx: Unit = (r) => {
  const opcode = r.pick([
    ...range(0x60, 0x6b),
    0x74,
    0x75,
    0x76,
    ...range(0xd1, 0xd5),
    ...range(0xd8, 0xdf),
    0xe0,
  ]);
  const more = r.pick([
    0xe3, 0xe5, 0xe8, 0xe9, 0xeb, 0xec, 0xed, 0xef, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf8, 0xfc, 0xfe,
    0x6f, 0x7f,
  ]);
  return encode({
    opcode: [0x0f, r.oneIn(2) ? opcode : more],
    reg: r.below(8),
    operand: r.oneIn(3) ? memory(r) : register(r.below(8)),
  });
};

/** What both makers do alike. */
export const x87: Unit = (r) => {
  switch (r.below(6)) {
    case 0:
      return [r.pick([0xd8, 0xdc, 0xde]), r.pick([0xc0, 0xc8, 0xe0, 0xe8, 0xf0, 0xf8]) | r.below(8)];
    case 1:
      return [0xd9, r.pick([0xc0, 0xc8]) | r.below(8)];
    case 2:
      return [0xd9, r.pick([0xe0, 0xe1, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xfa, 0xfc, 0xf6, 0xf7])];
    case 3:
      return encode({
        opcode: [r.pick([0xd8, 0xda, 0xdc, 0xde])],
        reg: r.pick([0, 1, 4, 5, 6, 7]),
        operand: memory(r),
      });
    case 4:
      return encode({
        opcode: [r.pick([0xd9, 0xdb, 0xdd, 0xdf])],
        reg: r.pick([0, 2, 3]),
        operand: memory(r),
      });
    default:
      return r.oneIn(3)
        ? encode({ opcode: [r.pick([0xdb, 0xdf])], reg: r.pick([5, 7]), operand: memory(r) })
        : [0xda | r.below(2), r.pick([0xc0, 0xc8, 0xd0, 0xd8]) | r.below(8)];
  }
};
