/** The one-byte opcode map. SDM 2D, table A-2. */

import * as id from "./ids";
import {
  addressBits,
  bits,
  fetch8,
  fetch16,
  fetch32,
  fetch64,
  imm8,
  immz,
  implicitOperand,
  modrm,
  needModrm,
  opsize,
  out,
  peek8,
  regOp,
  repeatPrefix,
  rex,
  set,
  setImm,
  setSize,
} from "./instruction";
import { BIT_MEM } from "./record";
import { DS, ES } from "./state";
import { vex } from "./vex";

export function oneByte(op: u32, mode: u32): void {
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
      if (op == 0x90 && (rex & 1) == 0) return set(repeatPrefix == 0xf3 ? id.PAUSE : id.NOP, 0);
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
    case 0x62:
      // In 64-bit mode, and with a register, it is EVEX, which is not offered.
      if (mode == 64) return set(id.UNDEFINED, 0);
      needModrm();
      return set((bits & BIT_MEM) != 0 ? id.BOUND : id.UNDEFINED, 0);
    case 0x63:
      needModrm();
      if (mode != 64) {
        setSize(2);
        return set(id.ARPL, 0);
      }
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
      return set(id.FP, id.MAP_X87);
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
      if (peek8() >= 0xc0) return vex(op, mode);
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
      implicitOperand();
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
      return set(id.FP, id.MAP_X87);
    case 0xe0:
    case 0xe1:
    case 0xe2:
    case 0xe3:
      setImm(imm8());
      implicitOperand();
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
  implicitOperand();
}
