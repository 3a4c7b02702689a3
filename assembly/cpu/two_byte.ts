/** The opcode maps behind 0F, 0F 38 and 0F 3A. SDM 2D, tables. */

import * as id from "./ids";
import {
  bits,
  fetch8,
  fetch32,
  immz,
  implicitOperand,
  mandatoryPrefix,
  modrm,
  needModrm,
  needModrmRegister,
  opsize,
  out,
  regOp,
  repeatPrefix,
  rex,
  set,
  setImm,
  setSize,
  slot,
} from "./instruction";
import { BIT_MEM, BIT_OPSIZE } from "./record";
import * as sse from "./sse/forms";
import { FS, GS, SS } from "./state";

export function twoByte(mode: u32): void {
  const op = fetch8();
  store<u8>(out, <u8>op, 15);
  const rep = repeatPrefix;
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
        return set(rep == 0 && (bits & BIT_OPSIZE) == 0 ? id.FP : id.UNDEFINED, id.MAP_0F);
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
      needModrmRegister();
      return set(id.MOV_CR, op);
    case 0x21:
    case 0x23:
      needModrmRegister();
      return set(id.MOV_DR, op);
    case 0x30:
      return set(id.WRMSR, 0);
    case 0x31:
      return set(id.RDTSC, 0);
    case 0x32:
      return set(id.RDMSR, 0);
    case 0x33: // RDPMC: there is no counter, whatever ECX says
      return set(id.UNDEFINED, 1);
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
      else return set(id.FP, g == 2 ? sse.MXCSR_LOAD : g == 3 ? sse.MXCSR_STORE : id.MAP_0F);
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
        return set(rep == 0 && (bits & BIT_OPSIZE) == 0 ? id.FP : id.UNDEFINED, id.MAP_0F);
      if (regOp() >= 6 && (bits & BIT_MEM) == 0 && rep == 0) return set(id.RDRAND, regOp());
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
  implicitOperand();
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
