/**
 * The instruction that is being decoded: its bytes, its prefixes, its ModRM operand, and the record that it becomes.
 * SDM 2, chapter 2.
 */

import { CODE_MODE, CPU, GPR, RIP, ZERO } from "../layout";
import {
  BIT_ADDRESS16,
  BIT_ADDRESS32,
  BIT_LOCK,
  BIT_MEM,
  BIT_OPSIZE,
  BIT_REX,
  BIT_REX_W,
  RECORD_SIZE,
} from "./record";
import * as sse from "./sse/forms";
import { CS, DS, ES, FS, GS, SS } from "./state";

/** Next byte in the window, and its end. */
let at: u32 = 0;
let end: u32 = 0;
/** The record that is made. */
export let out: u32 = 0;
/** The window was too short. */
export let short: bool = false;
export let rex: u32 = 0;
/** F2h, F3h or 0. */
export let repeatPrefix: u32 = 0;
/** Operand size in bytes. */
export let opsize: u32 = 4;
export let addressBits: u32 = 64;
/** 0xff: none named. */
export let segment: u32 = 0xff;
/** BIT_... of record.ts. */
export let bits: u32 = 0;
export let modrm: u32 = 0;

/** Begins with the bytes from `from` on, of which there are `length`; the record is empty. */
export function begin(from: u32, length: u32, record: u32): void {
  at = from;
  end = from + length;
  short = false;
  out = record;
  rex = 0;
  repeatPrefix = 0;
  segment = 0xff;
  bits = 0;
  memory.fill(out, 0, RECORD_SIZE);
  store<u16>(out, <u16>(ZERO - CPU), 8);
  store<u16>(out, <u16>(ZERO - CPU), 10);
}
/** Takes the prefixes and returns the first opcode byte; of no meaning when `short`. */
export function readPrefixes(mode: u32): u32 {
  let prefix66 = false,
    prefix67 = false;
  let op: u32;
  for (;;) {
    op = fetch8();
    if (op == 0x66) prefix66 = true;
    else if (op == 0x67) prefix67 = true;
    else if (op == 0xf2 || op == 0xf3) repeatPrefix = op;
    else if (op == 0xf0) bits |= BIT_LOCK;
    else if (op == 0x64) segment = FS;
    else if (op == 0x65) segment = GS;
    else if (op == 0x26 || op == 0x2e || op == 0x36 || op == 0x3e) {
      if (mode != 64) segment = op == 0x26 ? ES : op == 0x2e ? CS : op == 0x36 ? SS : DS;
    } else if (mode == 64 && (op & 0xf0) == 0x40) {
      rex = op;
      continue;
    } else break;
    rex = 0;
    if (short) return 0;
  }
  if (rex != 0) bits |= BIT_REX;
  if ((rex & 8) != 0) bits |= BIT_REX_W;
  if (prefix66) bits |= BIT_OPSIZE;
  if (mode == 64) {
    opsize = (rex & 8) != 0 ? 8 : prefix66 ? 2 : 4;
    addressBits = prefix67 ? 32 : 64;
  } else {
    opsize = (mode == 32) != prefix66 ? 4 : 2;
    addressBits = (mode == 32) != prefix67 ? 32 : 16;
  }
  store<u8>(out, <u8>repeatPrefix, 14);
  store<u8>(out, <u8>op, 15);
  return op;
}
/** What a VEX prefix says in the place of REX. */
export function setVexPrefix(value: u32, size: u32): void {
  rex = value;
  opsize = size;
}
/** Completes the record; returns the bytes taken, 0 when the window was too short. */
export function finish(from: u32): u32 {
  if (short) return 0;
  store<u8>(out, <u8>(at - from), 2);
  store<u8>(out, <u8>opsize, 3);
  store<u8>(out, <u8>bits, 6);
  store<u8>(out, <u8>(segment == 0xff ? DS : segment), 7);
  return at - from;
}

export function fetch8(): u32 {
  if (at >= end) {
    short = true;
    return 0;
  }
  return load<u8>(at++);
}
/** The next byte, which stays; 0 behind the end. */
export function peek8(): u32 {
  return at < end ? load<u8>(at) : 0;
}
export function fetch16(): u32 {
  const low = fetch8();
  return low | (fetch8() << 8);
}
export function fetch32(): u32 {
  const low = fetch16();
  return low | (fetch16() << 16);
}
export function fetch64(): u64 {
  const low: u64 = fetch32();
  return low | ((<u64>fetch32()) << 32);
}
export function imm8(): i64 {
  return <i64>(<i8>fetch8());
}
/** Immediate of the operand size, at most 32 bits, sign-extended. */
export function immz(): i64 {
  return opsize == 2 ? <i64>(<i16>fetch16()) : <i64>(<i32>fetch32());
}
export function set(handler: u32, operation: u32): void {
  store<u16>(out, <u16>handler);
  store<u8>(out, <u8>operation, 13);
}
export function setImm(value: i64): void {
  store<i64>(out, value, 16);
}
export function setSize(size: u32): void {
  opsize = size;
}
export function slot(n: u32): u16 {
  return <u16>(GPR + (n << 3) - CPU);
}

/** The ModRM byte of an instruction that has registers only, whatever its mod field says: MOV to and from CRn, DRn. */
export function needModrmRegister(): void {
  modrm = fetch8();
  store<u8>(out, <u8>(((modrm >> 3) & 7) | ((rex & 4) << 1)), 4);
  store<u8>(out, <u8>((modrm & 7) | ((rex & 1) << 3)), 5);
}
export function needModrm(): void {
  if (peek8() >= 0xc0) return needModrmRegister();
  modrm = fetch8();
  const mod = modrm >> 6;
  const rm = modrm & 7;
  store<u8>(out, <u8>(((modrm >> 3) & 7) | ((rex & 4) << 1)), 4);
  bits |= BIT_MEM;
  let base: u16 = <u16>(ZERO - CPU),
    index: u16 = <u16>(ZERO - CPU);
  let scale: u32 = 0;
  let disp: i32 = 0;
  let stack = false;
  if (addressBits == 16) {
    bits |= BIT_ADDRESS16;
    if (mod == 0 && rm == 6) disp = <i32>(<i16>fetch16());
    else {
      base = slot(rm == 0 || rm == 1 || rm == 7 ? 3 : rm == 2 || rm == 3 || rm == 6 ? 5 : rm == 4 ? 6 : 7);
      if (rm < 4) index = slot((rm & 1) == 0 ? 6 : 7);
      stack = rm == 2 || rm == 3 || rm == 6;
      if (mod == 1) disp = <i32>imm8();
      else if (mod == 2) disp = <i32>(<i16>fetch16());
    }
  } else {
    if (addressBits == 32) bits |= BIT_ADDRESS32;
    if (rm == 4) {
      const sib = fetch8();
      const i = ((sib >> 3) & 7) | ((rex & 2) << 2);
      const b = sib & 7;
      scale = sib >> 6;
      if (i != 4) index = slot(i);
      if (b == 5 && mod == 0) disp = <i32>fetch32();
      else {
        base = slot(b | ((rex & 1) << 3));
        stack = (b | ((rex & 1) << 3)) == 4 || (b | ((rex & 1) << 3)) == 5;
      }
    } else if (rm == 5 && mod == 0) {
      disp = <i32>fetch32();
      if (load<u32>(CODE_MODE) == 64) base = <u16>(RIP - CPU);
    } else {
      base = slot(rm | ((rex & 1) << 3));
      stack = (rm | ((rex & 1) << 3)) == 5;
    }
    if (mod == 1) disp = <i32>imm8();
    else if (mod == 2) disp = <i32>fetch32();
  }
  if (segment == 0xff) segment = stack ? SS : DS;
  store<u16>(out, base, 8);
  store<u16>(out, index, 10);
  store<u8>(out, <u8>scale, 12);
  store<i32>(out, disp, 24);
}
export function regOp(): u32 {
  return (modrm >> 3) & 7;
}
/** The operand of an instruction that has one without naming it: DS unless a prefix says else, the address size. */
export function implicitOperand(): void {
  if (segment == 0xff) segment = DS;
  if (addressBits == 32) bits |= BIT_ADDRESS32;
  if (addressBits == 16) bits |= BIT_ADDRESS16;
}
export function mandatoryPrefix(): u32 {
  if (repeatPrefix != 0) return repeatPrefix == 0xf3 ? sse.F3 : sse.F2;
  return (bits & BIT_OPSIZE) != 0 ? sse.P66 : sse.NONE;
}
