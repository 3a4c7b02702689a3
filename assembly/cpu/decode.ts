/**
 * Instruction bytes to records. The bytes come from a window of up to 15 that the caller has fetched; running
 * past its end means that the next page is needed. SDM 2, chapter 2 and appendix A.
 */

import { CODE_MODE, CPU, GPR, RIP, ZERO } from "../layout";
import { ANDN, BEXTR, BLSR, BZHI, MULX, PDEP, PEXT, RORX } from "./bmi";
import * as id from "./ids";
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

/** Operations of FP: D8-DF and 9B; the group 0F AE; from 4 on the forms of sse/forms.ts. */
export const MAP_X87: u32 = 0;
export const MAP_0F: u32 = 1;

let at: u32 = 0; // next byte in the window
let end: u32 = 0;
let short: bool = false;
let out: u32 = 0;
let rex: u32 = 0;
let opsize: u32 = 4;
let addressBits: u32 = 64;
let segment: u32 = 0xff;
let bits: u32 = 0;
let modrm: u32 = 0;

function fetch8(): u32 {
  if (at >= end) {
    short = true;
    return 0;
  }
  return load<u8>(at++);
}
function fetch16(): u32 {
  const low = fetch8();
  return low | (fetch8() << 8);
}
function fetch32(): u32 {
  const low = fetch16();
  return low | (fetch16() << 16);
}
function fetch64(): u64 {
  const low: u64 = fetch32();
  return low | ((<u64>fetch32()) << 32);
}
function imm8(): i64 {
  return <i64>(<i8>fetch8());
}
/** Immediate of the operand size, at most 32 bits, sign-extended. */
function immz(): i64 {
  return opsize == 2 ? <i64>(<i16>fetch16()) : <i64>(<i32>fetch32());
}
function set(handler: u32, operation: u32): void {
  store<u16>(out, <u16>handler);
  store<u8>(out, <u8>operation, 13);
}
function setImm(value: i64): void {
  store<i64>(out, value, 16);
}
function setSize(size: u32): void {
  opsize = size;
}
function slot(n: u32): u16 {
  return <u16>(GPR + (n << 3) - CPU);
}

function needModrm(): void {
  modrm = fetch8();
  const mod = modrm >> 6;
  const rm = modrm & 7;
  store<u8>(out, <u8>(((modrm >> 3) & 7) | ((rex & 4) << 1)), 4);
  if (mod == 3) {
    store<u8>(out, <u8>(rm | ((rex & 1) << 3)), 5);
    return;
  }
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
function regOp(): u32 {
  return (modrm >> 3) & 7;
}

/** Decodes the instruction at `from` into `record`. Returns its length; 0 when the window was too short. */
export function decode(from: u32, length: u32, record: u32): u32 {
  at = from;
  end = from + length;
  short = false;
  out = record;
  rex = 0;
  segment = 0xff;
  bits = 0;
  memory.fill(out, 0, RECORD_SIZE);
  store<u16>(out, <u16>(ZERO - CPU), 8);
  store<u16>(out, <u16>(ZERO - CPU), 10);
  const mode = load<u32>(CODE_MODE);
  let prefix66 = false,
    prefix67 = false,
    rep: u32 = 0;
  let op: u32;
  for (;;) {
    op = fetch8();
    if (op == 0x66) prefix66 = true;
    else if (op == 0x67) prefix67 = true;
    else if (op == 0xf2 || op == 0xf3) rep = op;
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
  if (short) return 0;
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
  store<u8>(out, <u8>rep, 14);
  store<u8>(out, <u8>op, 15);
  if (op == 0x0f) twoByte(mode);
  else oneByte(op, mode);
  if (short) return 0;
  store<u8>(out, <u8>(at - from), 2);
  store<u8>(out, <u8>opsize, 3);
  store<u8>(out, <u8>bits, 6);
  store<u8>(out, <u8>(segment == 0xff ? DS : segment), 7);
  if ((bits & BIT_LOCK) != 0 && !lockable()) set(id.UNDEFINED, 0);
  if (at - from > 15) set(id.UNDEFINED, 1);
  return at - from;
}

function oneByte(op: u32, mode: u32): void {
  if (op < 0x40) {
    const low = op & 7;
    if (low < 6) {
      if ((op & 1) == 0) setSize(1);
      if (low < 4) {
        needModrm();
        set(low < 2 ? id.ALU_RM_R : id.ALU_R_RM, op >> 3);
      } else {
        setImm(low == 4 ? imm8() : immz());
        set(id.ALU_RM_I, op >> 3); // rm = rax, register form
      }
      return;
    }
    if (mode == 64) return set(id.UNDEFINED, 0);
    if (op == 0x27 || op == 0x2f || op == 0x37 || op == 0x3f) return set(id.BCD, op);
    store<u8>(out, <u8>(op >> 3), 4);
    return set((op & 1) == 0 ? id.PUSH_SEG : id.POP_SEG, 0);
  }
  switch (op >> 3) {
    case 0x40 >> 3:
    case 0x48 >> 3:
      store<u8>(out, <u8>(op & 7), 5);
      return set(op < 0x48 ? id.INC_RM : id.DEC_RM, 0);
    case 0x50 >> 3:
    case 0x58 >> 3:
      if (mode == 64) setSize(opsize == 2 ? 2 : 8);
      store<u8>(out, <u8>((op & 7) | ((rex & 1) << 3)), 5);
      return set(op < 0x58 ? id.PUSH_R : id.POP_R, 0);
    case 0x70 >> 3:
    case 0x78 >> 3:
      setImm(imm8());
      return set(id.JCC, op & 15);
    case 0x90 >> 3:
      if (op == 0x90 && (rex & 1) == 0) return set(load<u8>(out, 14) == 0xf3 ? id.PAUSE : id.NOP, 0);
      store<u8>(out, <u8>((op & 7) | ((rex & 1) << 3)), 5);
      return set(id.XCHG, 0); // reg = rax
    case 0xb0 >> 3:
      setSize(1);
      setImm(imm8());
      store<u8>(out, <u8>((op & 7) | ((rex & 1) << 3)), 5);
      return set(id.MOV_R_I, 0);
    case 0xb8 >> 3:
      setImm(opsize == 8 ? <i64>fetch64() : immz());
      store<u8>(out, <u8>((op & 7) | ((rex & 1) << 3)), 5);
      return set(id.MOV_R_I, 0);
  }
  switch (op) {
    case 0x60:
    case 0x61:
      return mode == 64 ? set(id.UNDEFINED, 0) : set(op == 0x60 ? id.PUSHA : id.POPA, 0);
    case 0x63:
      if (mode != 64) return set(id.UNDEFINED, 0);
      needModrm();
      return set(id.MOVX, opsize == 2 ? 0x82 : 0x84);
    case 0x68:
      setImm(immz());
      if (mode == 64) setSize(opsize == 2 ? 2 : 8);
      return set(id.PUSH_I, 0);
    case 0x6a:
      setImm(imm8());
      if (mode == 64) setSize(opsize == 2 ? 2 : 8);
      return set(id.PUSH_I, 0);
    case 0x69:
    case 0x6b:
      needModrm();
      setImm(op == 0x69 ? immz() : imm8());
      return set(id.IMUL3, 0);
    case 0x6c:
    case 0x6d:
      stringSize(op);
      return set(id.INS, 0);
    case 0x6e:
    case 0x6f:
      stringSize(op);
      return set(id.OUTS, 0);
    case 0x80:
    case 0x81:
    case 0x82:
    case 0x83:
      if (op == 0x82 && mode == 64) return set(id.UNDEFINED, 0);
      if ((op & 1) == 0) setSize(1);
      needModrm();
      setImm(op == 0x81 ? immz() : imm8());
      return set(id.ALU_RM_I, regOp());
    case 0x84:
    case 0x85:
      if ((op & 1) == 0) setSize(1);
      needModrm();
      return set(id.TEST_RM_R, 0);
    case 0x86:
    case 0x87:
      if ((op & 1) == 0) setSize(1);
      needModrm();
      return set(id.XCHG, 0);
    case 0x88:
    case 0x89:
      if ((op & 1) == 0) setSize(1);
      needModrm();
      return set(id.MOV_RM_R, 0);
    case 0x8a:
    case 0x8b:
      if ((op & 1) == 0) setSize(1);
      needModrm();
      return set(id.MOV_R_RM, 0);
    case 0x8c:
    case 0x8e:
      needModrm();
      return set(id.MOV_SEG, op);
    case 0x8d:
      needModrm();
      return set((bits & BIT_MEM) != 0 ? id.LEA : id.UNDEFINED, 0);
    case 0x8f:
      if (mode == 64) setSize(opsize == 2 ? 2 : 8);
      needModrm();
      return set(regOp() == 0 ? id.POP_RM : id.UNDEFINED, 0);
    case 0x98:
      return set(id.CONVERT, 0);
    case 0x99:
      return set(id.EXTEND, 0);
    case 0x9a:
    case 0xea: {
      if (mode == 64) return set(id.UNDEFINED, 0);
      const offset: u64 = opsize == 2 ? fetch16() : fetch32();
      setImm(<i64>(offset | ((<u64>fetch16()) << 32)));
      return set(op == 0x9a ? id.FAR_CALL : id.FAR_JMP, 0);
    }
    case 0x9b:
      return set(id.FP, MAP_X87);
    case 0x9c:
      if (mode == 64) setSize(opsize == 2 ? 2 : 8);
      return set(id.PUSHF, 0);
    case 0x9d:
      if (mode == 64) setSize(opsize == 2 ? 2 : 8);
      return set(id.POPF, 0);
    case 0x9e:
      return set(id.SAHF, 0);
    case 0x9f:
      return set(id.LAHF, 0);
    case 0xa0:
    case 0xa1:
    case 0xa2:
    case 0xa3:
      if ((op & 1) == 0) setSize(1);
      setImm(addressBits == 64 ? <i64>fetch64() : addressBits == 32 ? <i64>fetch32() : <i64>fetch16());
      return set(id.MOFFS, op);
    case 0xa4:
    case 0xa5:
      stringSize(op);
      return set(id.MOVS, 0);
    case 0xa6:
    case 0xa7:
      stringSize(op);
      return set(id.CMPS, 0);
    case 0xa8:
    case 0xa9:
      if ((op & 1) == 0) setSize(1);
      setImm(op == 0xa8 ? imm8() : immz());
      return set(id.TEST_RM_I, 0);
    case 0xaa:
    case 0xab:
      stringSize(op);
      return set(id.STOS, 0);
    case 0xac:
    case 0xad:
      stringSize(op);
      return set(id.LODS, 0);
    case 0xae:
    case 0xaf:
      stringSize(op);
      return set(id.SCAS, 0);
    case 0xc0:
    case 0xc1:
    case 0xd0:
    case 0xd1:
      if ((op & 1) == 0) setSize(1);
      needModrm();
      setImm(op < 0xd0 ? fetch8() : 1);
      return set(id.SHIFT_I, regOp());
    case 0xd2:
    case 0xd3:
      if ((op & 1) == 0) setSize(1);
      needModrm();
      return set(id.SHIFT_CL, regOp());
    case 0xc2:
    case 0xc3:
      if (mode == 64) setSize(8);
      setImm(op == 0xc2 ? fetch16() : 0);
      return set(op == 0xc2 ? id.RET_I : id.RET, 0);
    case 0xc4:
    case 0xc5:
      if (mode == 64) return vex(op, mode);
      // Outside 64-bit mode a ModRM byte of register form, which LES and LDS do not have, makes it VEX.
      if (mode == 32 && at < end && load<u8>(at) >= 0xc0) return vex(op, mode);
      needModrm();
      return set((bits & BIT_MEM) != 0 ? id.LOAD_FAR : id.UNDEFINED, op == 0xc4 ? ES : DS);
    case 0xc6:
    case 0xc7:
      if ((op & 1) == 0) setSize(1);
      needModrm();
      setImm(op == 0xc6 ? imm8() : immz());
      return set(regOp() == 0 ? id.MOV_RM_I : id.UNDEFINED, 0);
    case 0xc8:
      if (mode == 64) setSize(opsize == 2 ? 2 : 8);
      setImm(fetch16());
      setImm(load<i64>(out, 16) | ((<i64>fetch8()) << 32));
      return set(id.ENTER, 0);
    case 0xc9:
      if (mode == 64) setSize(opsize == 2 ? 2 : 8);
      return set(id.LEAVE, 0);
    case 0xca:
    case 0xcb:
      setImm(op == 0xca ? fetch16() : 0);
      return set(id.FAR_RET, 0);
    case 0xcc:
      return set(id.INT3, 0);
    case 0xcd:
      setImm(fetch8());
      return set(id.INT, 0);
    case 0xce:
      return set(mode == 64 ? id.UNDEFINED : id.INTO, 0);
    case 0xcf:
      return set(id.IRET, 0);
    case 0xd7:
      if (segment == 0xff) segment = DS;
      if (addressBits == 32) bits |= BIT_ADDRESS32;
      return set(id.XLAT, 0);
    case 0xd8:
    case 0xd9:
    case 0xda:
    case 0xdb:
    case 0xdc:
    case 0xdd:
    case 0xde:
    case 0xdf:
      needModrm();
      setImm(modrm); // for FOP
      return set(id.FP, MAP_X87);
    case 0xe0:
    case 0xe1:
    case 0xe2:
    case 0xe3:
      setImm(imm8());
      if (addressBits == 32) bits |= BIT_ADDRESS32;
      if (addressBits == 16) bits |= BIT_ADDRESS16;
      return set(op == 0xe3 ? id.JCXZ : id.LOOP, op & 3);
    case 0xe4:
    case 0xe5:
    case 0xe6:
    case 0xe7:
      setSize((op & 1) == 0 ? 1 : opsize == 2 ? 2 : 4);
      setImm(fetch8());
      return set(op < 0xe6 ? id.IN : id.OUT, 0);
    case 0xec:
    case 0xed:
    case 0xee:
    case 0xef:
      setSize((op & 1) == 0 ? 1 : opsize == 2 ? 2 : 4);
      return set(op < 0xee ? id.IN : id.OUT, 1);
    case 0xe8:
    case 0xe9:
      if (mode == 64) setSize(8);
      setImm(mode == 64 ? <i64>(<i32>fetch32()) : immz());
      return set(op == 0xe8 ? id.CALL : id.JMP, 0);
    case 0xeb:
      if (mode == 64) setSize(8);
      setImm(imm8());
      return set(id.JMP, 0);
    case 0xf1:
      return set(id.INT1, 0);
    case 0xf4:
      return set(id.HLT, 0);
    case 0xf5:
    case 0xf8:
    case 0xf9:
    case 0xfa:
    case 0xfb:
    case 0xfc:
    case 0xfd:
      return set(id.FLAG_OP, op);
    case 0xf6:
    case 0xf7: {
      if ((op & 1) == 0) setSize(1);
      needModrm();
      const g = regOp();
      if (g < 2) {
        setImm(opsize == 1 ? imm8() : immz());
        return set(id.TEST_RM_I, 0);
      }
      return set(
        g == 2 ? id.NOT : g == 3 ? id.NEG : g == 4 ? id.MUL : g == 5 ? id.IMUL1 : g == 6 ? id.DIV : id.IDIV,
        0,
      );
    }
    case 0xfe:
    case 0xff: {
      if ((op & 1) == 0) setSize(1);
      needModrm();
      const g = regOp();
      if (g < 2) return set(g == 0 ? id.INC_RM : id.DEC_RM, 0);
      if (op == 0xfe || g == 7) return set(id.UNDEFINED, 0);
      if (g == 3 || g == 5) return set((bits & BIT_MEM) != 0 ? id.FAR_RM : id.UNDEFINED, g);
      if (mode == 64) setSize(g == 6 && opsize == 2 ? 2 : 8);
      return set(g == 2 ? id.CALL_RM : g == 4 ? id.JMP_RM : id.PUSH_RM, 0);
    }
  }
  set(id.UNDEFINED, 0);
}

function stringSize(op: u32): void {
  if ((op & 1) == 0) setSize(1);
  else if (op < 0x70 && opsize == 8) setSize(4);
  if (segment == 0xff) segment = DS;
  if (addressBits == 32) bits |= BIT_ADDRESS32;
  if (addressBits == 16) bits |= BIT_ADDRESS16;
}

function twoByte(mode: u32): void {
  const op = fetch8();
  store<u8>(out, <u8>op, 15);
  const rep: u32 = load<u8>(out, 14);
  if ((op & 0xf0) == 0x40) {
    needModrm();
    return set(id.CMOV, op & 15);
  }
  if ((op & 0xf0) == 0x80) {
    setImm(mode == 64 ? <i64>(<i32>fetch32()) : immz());
    if (mode == 64) setSize(8);
    return set(id.JCC, op & 15);
  }
  if ((op & 0xf0) == 0x90) {
    setSize(1);
    needModrm();
    return set(id.SETCC, op & 15);
  }
  if ((op & 0xf8) == 0xc8) {
    store<u8>(out, <u8>((op & 7) | ((rex & 1) << 3)), 5);
    return set(id.BSWAP, 0);
  }
  switch (op) {
    case 0x00:
      needModrm();
      return set(id.GROUP6, regOp());
    case 0x01:
      needModrm();
      if (modrm == 0xd0 || modrm == 0xd1)
        return set(rep == 0 && (bits & BIT_OPSIZE) == 0 ? id.FP : id.UNDEFINED, MAP_0F);
      if (modrm == 0xf8) return set(mode == 64 ? id.SWAPGS : id.UNDEFINED, 0);
      if (modrm == 0xf9) return set(id.RDTSC, 1);
      if (modrm == 0xca || modrm == 0xcb) return set(id.STAC, modrm & 1);
      if ((bits & BIT_MEM) != 0 && regOp() == 7) return set(id.INVLPG, 0);
      return set(id.GROUP7, regOp());
    case 0x02:
    case 0x03:
      needModrm();
      return set(id.LAR_LSL, op);
    case 0x05:
      return set(mode == 64 ? id.SYSCALL : id.UNDEFINED, 0);
    case 0x06:
      return set(id.CLTS, 0);
    case 0x07:
      return set(id.SYSRET, 0);
    case 0x08:
    case 0x09:
      return set(id.INVD, 0);
    case 0x0d:
    case 0x18:
    case 0x19:
    case 0x1a:
    case 0x1b:
    case 0x1c:
    case 0x1d:
    case 0x1e:
    case 0x1f:
      needModrm();
      return set(id.NOP, 0);
    case 0x20:
    case 0x22:
      needModrm();
      return set(id.MOV_CR, op);
    case 0x21:
    case 0x23:
      needModrm();
      return set(id.MOV_DR, op);
    case 0x30:
      return set(id.WRMSR, 0);
    case 0x31:
      return set(id.RDTSC, 0);
    case 0x32:
      return set(id.RDMSR, 0);
    case 0xa0:
    case 0xa8:
      if (mode == 64) setSize(opsize == 2 ? 2 : 8);
      store<u8>(out, <u8>(op == 0xa0 ? FS : GS), 4);
      return set(id.PUSH_SEG, 0);
    case 0xa1:
    case 0xa9:
      if (mode == 64) setSize(opsize == 2 ? 2 : 8);
      store<u8>(out, <u8>(op == 0xa1 ? FS : GS), 4);
      return set(id.POP_SEG, 0);
    case 0xa2:
      return set(id.CPUID, 0);
    case 0xa3:
    case 0xab:
    case 0xb3:
    case 0xbb:
      needModrm();
      return set(id.BT_R, (op >> 3) & 3);
    case 0xba:
      needModrm();
      setImm(fetch8());
      if (regOp() < 4) return set(id.UNDEFINED, 0);
      return set(id.BT_I, regOp() & 3);
    case 0xa4:
    case 0xac:
      needModrm();
      setImm(fetch8());
      return set(op == 0xa4 ? id.SHLD : id.SHRD, 0);
    case 0xa5:
    case 0xad:
      needModrm();
      return set(op == 0xa5 ? id.SHLD : id.SHRD, 1);
    case 0xae: {
      needModrm();
      const g = regOp();
      const isPlain = rep == 0 && (bits & BIT_OPSIZE) == 0;
      if ((bits & BIT_MEM) == 0) {
        if (rep == 0xf3 && g < 4 && mode == 64) return set(id.FSGSBASE, g);
        if (isPlain && g >= 5) return set(id.FENCE, g);
      } else if (!isPlain) return set(id.UNDEFINED, 0);
      else if (g == 7) return set(id.FENCE, g);
      else return set(id.FP, g == 2 ? sse.MXCSR_LOAD : g == 3 ? sse.MXCSR_STORE : MAP_0F);
      return set(id.UNDEFINED, 0);
    }
    case 0xaf:
      needModrm();
      return set(id.IMUL2, 0);
    case 0xb0:
    case 0xb1:
      if ((op & 1) == 0) setSize(1);
      needModrm();
      return set(id.CMPXCHG, 0);
    case 0xb2:
    case 0xb4:
    case 0xb5:
      needModrm();
      return set((bits & BIT_MEM) != 0 ? id.LOAD_FAR : id.UNDEFINED, op == 0xb2 ? SS : op == 0xb4 ? FS : GS);
    case 0xb6:
    case 0xb7:
    case 0xbe:
    case 0xbf:
      needModrm();
      return set(id.MOVX, ((op & 1) + 1) | (op >= 0xbe ? 0x80 : 0));
    case 0xb8:
      needModrm();
      return set(rep == 0xf3 ? id.POPCNT : id.UNDEFINED, 0);
    case 0xbc:
    case 0xbd:
      needModrm();
      if (rep == 0xf3) return set(op == 0xbc ? id.TZCNT : id.LZCNT, 0);
      return set(op == 0xbc ? id.BSF : id.BSR, 0);
    case 0xc0:
    case 0xc1:
      if ((op & 1) == 0) setSize(1);
      needModrm();
      return set(id.XADD, 0);
    case 0xc3:
      needModrm();
      return set((bits & BIT_MEM) != 0 ? id.MOV_RM_R : id.UNDEFINED, 0);
    case 0xc7:
      needModrm();
      if (regOp() == 1 && (bits & BIT_MEM) != 0) return set(id.CMPXCHG8B, 0);
      if (regOp() == 4 && (bits & BIT_MEM) != 0)
        return set(rep == 0 && (bits & BIT_OPSIZE) == 0 ? id.FP : id.UNDEFINED, MAP_0F);
      if (regOp() >= 6 && (bits & BIT_MEM) == 0) return set(id.RDRAND, regOp());
      return set(id.UNDEFINED, 0);
    case 0x34:
    case 0x35:
      return set(id.SYSENTER, op);
    case 0x38:
      return threeByte(rep);
    case 0x3a:
      store<u8>(out, <u8>fetch8(), 15);
      needModrm();
      setImm(fetch8());
      return setVector(sse.form3a(load<u8>(out, 15), mandatoryPrefix()));
    case 0x77:
      return setVector(sse.form0f(op, mandatoryPrefix(), false, 0));
    case 0x70:
    case 0x71:
    case 0x72:
    case 0x73:
    case 0xc2:
    case 0xc4:
    case 0xc5:
    case 0xc6:
      needModrm();
      setImm(fetch8());
      return setVector0f(op);
    case 0xb9: // UD1
    case 0xff: // UD0
      needModrm();
      return set(id.UNDEFINED, 0);
  }
  if ((op >= 0x10 && op <= 0x17) || (op >= 0x28 && op <= 0x2f) || (op >= 0x50 && op <= 0x7f) || op >= 0xd0) {
    needModrm();
    if (op == 0xf7) maskMoveOperand();
    return setVector0f(op);
  }
  set(id.UNDEFINED, 0);
}

function mandatoryPrefix(): u32 {
  const rep: u32 = load<u8>(out, 14);
  return rep == 0xf3 ? sse.F3 : rep == 0xf2 ? sse.F2 : (bits & BIT_OPSIZE) != 0 ? sse.P66 : sse.NONE;
}
function setVector(form: u32): void {
  set(form == sse.NO_FORM ? id.UNDEFINED : id.FP, form == sse.NO_FORM ? 0 : form);
}
function setVector0f(op: u32): void {
  const prefix = mandatoryPrefix();
  setVector(sse.form0f(op, prefix, (bits & BIT_MEM) != 0, regOp()));
  // UNPCKLPS, UNPCKHPS, UNPCKLPD, UNPCKHPD do what PUNPCKLDQ, PUNPCKHDQ, PUNPCKLQDQ, PUNPCKHQDQ do.
  if (op == 0x14) store<u8>(out, prefix == sse.NONE ? 0x62 : 0x6c, 15);
  else if (op == 0x15) store<u8>(out, prefix == sse.NONE ? 0x6a : 0x6d, 15);
}
/** MASKMOVDQU and MASKMOVQ store at DS:RDI, which no ModRM field names. */
function maskMoveOperand(): void {
  if ((bits & BIT_MEM) != 0) return;
  store<u16>(out, slot(7), 8);
  if (segment == 0xff) segment = DS;
  if (addressBits == 32) bits |= BIT_ADDRESS32;
  if (addressBits == 16) bits |= BIT_ADDRESS16;
}

/** 0F 38: MOVBE, CRC32, ADX and INVPCID among the vector instructions. */
function threeByte(rep: u32): void {
  const op = fetch8();
  store<u8>(out, <u8>op, 15);
  needModrm();
  const isMemory = (bits & BIT_MEM) != 0;
  const isOpsize = (bits & BIT_OPSIZE) != 0;
  switch (op) {
    case 0xf0:
    case 0xf1:
      if (rep == 0xf2) {
        // The destination is 32 bits wide, or 64 with REX.W; the operand size is that of the source.
        if (op == 0xf0) setSize(1);
        return set(id.CRC32, 0);
      }
      return set(isMemory ? id.MOVBE : id.UNDEFINED, isMemory ? op & 1 : 0);
    case 0xf6:
      if (opsize == 2) setSize(4);
      if (rep == 0xf3) return set(id.ADX, 1);
      return set(rep == 0 && isOpsize ? id.ADX : id.UNDEFINED, 0);
    case 0x82:
      return set(isMemory && isOpsize && rep == 0 ? id.INVPCID : id.UNDEFINED, 0);
  }
  setVector(sse.form38(op, mandatoryPrefix(), isMemory));
}

/**
 * VEX: only the bit instructions of BMI1 and BMI2 are here. The second source or destination, VEX.vvvv, lies in
 * the immediate. SDM 2, 2.3.5.
 */
function vex(op: u32, mode: u32): void {
  const first = fetch8();
  if (op == 0xc5) return set(id.UNDEFINED, 0);
  const second = fetch8();
  const code = fetch8();
  if ((bits & (BIT_LOCK | BIT_OPSIZE | BIT_REX)) != 0 || load<u8>(out, 14) != 0) return set(id.UNDEFINED, 0);
  rex = (~first >> 5) & 7;
  if (mode != 64) rex = 0;
  opsize = mode == 64 && (second & 0x80) != 0 ? 8 : 4;
  const vvvv = (~second >> 3) & (mode == 64 ? 15 : 7);
  const pp = second & 3;
  const map = first & 31;
  needModrm();
  store<u8>(out, <u8>code, 15);
  if ((second & 4) != 0) return set(id.UNDEFINED, 0);
  if (map == 3 && code == 0xf0 && pp == 3) {
    setImm(fetch8());
    return set((second & 0x78) == 0x78 ? id.BMI : id.UNDEFINED, (second & 0x78) == 0x78 ? RORX : 0);
  }
  setImm(vvvv);
  let operation: u32 = 0xff;
  if (map == 2) {
    if (code == 0xf2 && pp == 0) operation = ANDN;
    else if (code == 0xf3 && pp == 0 && regOp() >= 1 && regOp() <= 3) operation = BLSR + regOp() - 1;
    else if (code == 0xf5 && pp != 1) operation = pp == 0 ? BZHI : pp == 2 ? PEXT : PDEP;
    else if (code == 0xf6 && pp == 3) operation = MULX;
    else if (code == 0xf7) operation = BEXTR + pp;
  }
  set(operation == 0xff ? id.UNDEFINED : id.BMI, operation == 0xff ? 0 : operation);
}

/** LOCK is for read-modify-write instructions with a memory destination; elsewhere it is #UD. SDM 2A, LOCK. */
function lockable(): bool {
  if ((bits & BIT_MEM) == 0) return false;
  const operation: u32 = load<u8>(out, 13);
  switch (<u32>load<u16>(out)) {
    case id.ALU_RM_R:
    case id.ALU_RM_I:
      return operation != 7;
    case id.BT_R:
    case id.BT_I:
      return operation != 0;
    case id.NEG:
    case id.NOT:
    case id.INC_RM:
    case id.DEC_RM:
    case id.XCHG:
    case id.XADD:
    case id.CMPXCHG:
    case id.CMPXCHG8B:
      return true;
  }
  return false;
}
