/** Encoding of instructions of 64-bit mode with random operands in the arena: prefixes, ModRM, SIB, VEX. SDM 2A chapter 2. */
import type { Random } from "./random.ts";

/** Linear addresses, the same in tools on the native side (native/streams.c). */
export const ARENA = 0x30000e00;
export const ARENA_SIZE = 1024;
export const ARENA_MIDDLE: number = ARENA + 512;

export const CF = 0x1;
export const PF = 0x4;
export const AF = 0x10;
export const ZF = 0x40;
export const SF = 0x80;
export const OF = 0x800;
export const ALL: number = CF | PF | AF | ZF | SF | OF;

/** General registers that may be written. */
export const FREE: readonly number[] = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12];

export const u32 = (value: number): number[] => [
  value & 255,
  (value >> 8) & 255,
  (value >> 16) & 255,
  value >>> 24,
];
export const imm = (r: Random, size: number): number[] => {
  const value = Number(r.interesting() & 0xffffffffn) | 0;
  return size === 1 ? [value & 255] : size === 2 ? u32(value).slice(0, 2) : u32(value);
};

/** pushfq; and dword [rsp], ~flags; popfq */
export const define = (undefinedFlags: number): number[] =>
  undefinedFlags === 0 ? [] : [0x9c, 0x81, 0x24, 0x24, ...u32(~undefinedFlags), 0x9d];

/** ModRM with what follows it; `rex` are its X and B bits. */
export interface Operand {
  readonly rex: number;
  readonly isMemory: boolean;
  readonly address32?: boolean;
  readonly bytes: (reg: number) => number[];
}
export const register = (n: number): Operand => ({
  rex: n >> 3,
  isMemory: false,
  bytes: (reg) => [0xc0 | ((reg & 7) << 3) | (n & 7)],
});

/** `align`: what the address is a multiple of, most of the time. */
export function memory(r: Random, align = 1): Operand {
  let offset = r.below(ARENA_SIZE - 64) - 512;
  if (!r.oneIn(150)) offset &= -align;
  if (r.oneIn(400))
    offset =
      r.pick([0xff0, 0xff8, 0xffc, 0xffe, 0xfff, 0x1000, -0x1008, -0x1001, 0x1010 - 0x20]) + r.below(8);
  const isByte = offset >= -128 && offset < 128;
  const displacement = isByte ? [offset & 255] : u32(offset);
  const mod = isByte ? 0x40 : 0x80;
  switch (r.below(20)) {
    case 0:
    case 1:
    case 2: {
      const scale = r.below(4);
      // [r15 + r14 * scale + displacement], R14 being a multiple of 16 or 0
      return {
        rex: 3,
        isMemory: true,
        bytes: (reg) => [mod | ((reg & 7) << 3) | 4, (scale << 6) | (6 << 3) | 7, ...displacement],
      };
    }
    case 3:
    case 4:
      return {
        rex: 0,
        isMemory: true,
        bytes: (reg) => [((reg & 7) << 3) | 4, 0x25, ...u32(ARENA_MIDDLE + offset)],
      };
    case 5:
      if (r.oneIn(40))
        return { rex: 1, isMemory: true, bytes: (reg) => [mod | ((reg & 7) << 3) | 5, ...displacement] };
      break;
    case 6:
      return {
        rex: 1,
        isMemory: true,
        address32: true,
        bytes: (reg) => [mod | ((reg & 7) << 3) | 7, ...displacement],
      };
  }
  return { rex: 1, isMemory: true, bytes: (reg) => [mod | ((reg & 7) << 3) | 7, ...displacement] };
}
export const general = (r: Random): Operand => register(r.pick(FREE));
export const either = (r: Random, align = 1): Operand => (r.oneIn(3) ? memory(r, align) : general(r));

export interface Parts {
  /** 66h, F2h, F3h, F0h. */
  readonly prefixes?: readonly number[];
  readonly wide?: boolean;
  readonly opcode: readonly number[];
  readonly reg: number;
  readonly operand: Operand;
  readonly immediate?: readonly number[];
  /** Even when it says nothing. */
  readonly rex?: boolean;
}
export function encode({
  prefixes = [],
  wide = false,
  opcode,
  reg,
  operand,
  immediate = [],
  rex = false,
}: Parts): number[] {
  const bits = (wide ? 8 : 0) | (reg >> 3 !== 0 ? 4 : 0) | operand.rex;
  return [
    ...(operand.address32 === true ? [0x67] : []),
    ...prefixes,
    ...(bits !== 0 || rex ? [0x40 | bits] : []),
    ...opcode,
    ...operand.bytes(reg),
    ...immediate,
  ];
}
export function vex(
  r: Random,
  map: number,
  pp: number,
  opcode: number,
  reg: number,
  v: number,
  operand: Operand,
): number[] {
  const wide = r.below(2);
  return [
    ...(operand.address32 === true ? [0x67] : []),
    0xc4,
    (reg >> 3 === 0 ? 0x80 : 0) |
      ((operand.rex & 2) === 0 ? 0x40 : 0) |
      ((operand.rex & 1) === 0 ? 0x20 : 0) |
      map,
    (wide << 7) | ((~v & 15) << 3) | pp,
    opcode,
    ...operand.bytes(reg),
  ];
}

/** Operand size by prefix: 2, 4 or 8 bytes. */
export interface Sized {
  readonly prefixes: number[];
  readonly wide: boolean;
  readonly size: number;
}
export function sized(r: Random): Sized {
  switch (r.below(5)) {
    case 0:
      return { prefixes: [0x66], wide: false, size: 2 };
    case 1:
    case 2:
      return { prefixes: [], wide: true, size: 8 };
    default:
      return { prefixes: [], wide: false, size: 4 };
  }
}
/** A register and an operand for byte instructions: AH to BH without REX, SIL and the like with it. */
export function bytePair(r: Random, withMemory = true): { reg: number; operand: Operand; rex: boolean } {
  if (r.oneIn(2)) return { reg: r.pick(FREE), operand: withMemory ? either(r) : general(r), rex: true };
  const operand = withMemory && r.oneIn(3) ? memory(r) : register(r.below(8));
  // With a REX that addressing needs, 4 would be SPL.
  const reg = operand.rex !== 0 ? r.pick(FREE) : r.below(8);
  return { reg, operand, rex: operand.rex !== 0 };
}

export type Unit = (r: Random) => number[];
