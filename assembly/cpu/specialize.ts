/**
 * Second half of decoding: gives a record the form by which the run loop executes it, with the addresses of its
 * operands' values. A form is a shortcut, never a second meaning: what the general handler of the same record does
 * is what the form does, and a record that fits no form keeps GENERAL.
 */
import { CODE_BASE, CPU, GPR, OPERAND, RIP, ZERO } from "../layout";
import { isTagged } from "../shadow/tags";
import * as form from "./forms";
import * as id from "./ids";
import {
  ACCESS_SIZE,
  BELOW,
  BIT_ADDRESS16,
  BIT_ADDRESS32,
  BIT_CHECKED,
  BIT_MEM,
  BIT_REX,
  CONDITION,
  DESTINATION,
  END_OFFSET,
  EQUAL,
  FORM,
  INDEX,
  LESS,
  NEGATED,
  NEGATIVE,
  PLAIN_FORM,
  RECORD_SIZE,
  recBits,
  recDisp,
  recId,
  recIsMem,
  recLength,
  recOperandSize,
  recOperation,
  recReg,
  recRep,
  recRm,
  recSegment,
  SECOND_FORM,
  SOURCE,
} from "./record";
import { FS, is64, RBP, RCX, SEGMENT_BASE, segmentAt } from "./state";

/** Says where the instruction lies; RIP-relative operands become relative to the page, which stays put. */
export function place(r: u32, offset: u32, isChecked: bool): void {
  if (isChecked) store<u8>(r, <u8>(recBits(r) | BIT_CHECKED), 6);
  const end = offset + recLength(r);
  store<u16>(r, <u16>end, END_OFFSET);
  if (!recIsMem(r) || load<u16>(r, 8) != <u16>(RIP - CPU)) return;
  const displacement = <i64>recDisp(r) + end;
  if (displacement > i32.MAX_VALUE) return;
  store<u16>(r, <u16>(CODE_BASE - CPU), 8);
  store<i32>(r, <i32>displacement, 24);
}

function register(n: u32): u32 {
  return GPR + (n << 3);
}
/** A byte register: AH to BH without REX. */
function byteRegister(r: u32, n: u32): u32 {
  return n >= 4 && (recBits(r) & BIT_REX) == 0 ? register(n - 4) + 1 : register(n);
}
function operand(r: u32, n: u32): u32 {
  return recOperandSize(r) == 1 ? byteRegister(r, n) : register(n);
}
function immediate(r: u32): u32 {
  return r + 16;
}

function accessSize(what: u32): u8 {
  switch (what) {
    case form.LOAD8:
    case form.LOAD_ZERO8:
    case form.LOAD_SIGN8_32:
    case form.LOAD_SIGN8_64:
    case form.STORE8:
    case form.FETCH8:
      return 1;
    case form.LOAD_ZERO16:
    case form.LOAD_SIGN16_32:
    case form.LOAD_SIGN16_64:
    case form.STORE16:
      return 2;
    case form.LOAD64:
    case form.STORE64:
    case form.FETCH64:
    case form.UPDATE64:
      return 8;
  }
  return 4;
}

function set(r: u32, what: u32, destination: u32, source: u32): void {
  store<u8>(r, <u8>what, PLAIN_FORM);
  const isChecked = what >= form.LOAD32 && what <= form.UPDATE64 && (recBits(r) & BIT_CHECKED) != 0;
  if (isChecked && isTagged()) {
    store<u8>(r, accessSize(what), ACCESS_SIZE);
    store<u16>(r, <u16>form.TAGGED, FORM);
  } else store<u16>(r, <u16>(isChecked ? what + form.CHECKED : what), FORM);
  store<u32>(r, destination, DESTINATION);
  store<u32>(r, source, SOURCE);
}
/** The form works on a memory operand fetched before it. */
function setFetched(r: u32, what: u32, destination: u32, source: u32): void {
  const size = recOperandSize(r);
  set(r, size == 1 ? form.FETCH8 : size == 4 ? form.FETCH32 : form.FETCH64, destination, source);
  store<u16>(r, <u16>what, SECOND_FORM);
}

/**
 * Memory operands that a form can address: 64-bit offsets, any segment, no index together with FS or GS. LOCK changes nothing
 * where one CPU runs at a time.
 */
function isAddressable(r: u32): bool {
  if (!is64() || (recBits(r) & (BIT_ADDRESS16 | BIT_ADDRESS32)) != 0) return false;
  if (load<u16>(r, 8) == <u16>(RIP - CPU)) return false;
  let index = load<u16>(r, 10);
  if (recSegment(r) >= FS) {
    if (index != <u16>(ZERO - CPU)) return false;
    index = <u16>(segmentAt(recSegment(r)) + SEGMENT_BASE - CPU);
  }
  store<u16>(r, index, INDEX);
  return true;
}

/** Form of a decoded and placed record. */
export function specialize(r: u32): void {
  set(r, form.GENERAL, 0, 0);
  const size = recOperandSize(r);
  if (recId(r) == id.NOP) return set(r, form.NOP, 0, 0); // whatever operand it has
  if (size == 2) return specializeWords(r);
  const wide: u32 = size == 8 ? 1 : 0;
  const isByte = size == 1;
  const isMemory = recIsMem(r);
  if (isMemory && recId(r) != id.LEA && !isAddressable(r)) return;
  const rm = operand(r, recRm(r)),
    reg = operand(r, recReg(r));
  const operation = recOperation(r);
  switch (recId(r)) {
    case id.ALU_RM_R:
    case id.ALU_RM_I:
    case id.ALU_R_RM: {
      const what = isByte
        ? form.CMP8
        : operation == 7
          ? form.CMP32 + wide
          : form.ADD32 + operation * 2 + wide;
      if (isByte && operation != 7) return;
      const other = recId(r) == id.ALU_RM_I ? immediate(r) : reg;
      if (!isMemory) {
        if (recId(r) == id.ALU_R_RM) set(r, what, reg, rm);
        else set(r, what, rm, other);
      } else if (recId(r) == id.ALU_R_RM) setFetched(r, what, reg, OPERAND);
      else if (operation == 7) setFetched(r, what, OPERAND, other);
      else if (operation != 2 && operation != 3) set(r, form.UPDATE32 + wide, 0, other);
      return;
    }
    case id.TEST_RM_R:
    case id.TEST_RM_I: {
      const what = isByte ? form.TEST8 : form.TEST32 + wide;
      const other = recId(r) == id.TEST_RM_I ? immediate(r) : reg;
      if (isMemory) setFetched(r, what, OPERAND, other);
      else set(r, what, rm, other);
      return;
    }
    case id.MOV_RM_R:
    case id.MOV_RM_I: {
      const other = recId(r) == id.MOV_RM_I ? immediate(r) : reg;
      if (isMemory) set(r, isByte ? form.STORE8 : form.STORE32 + wide, 0, other);
      else set(r, isByte ? form.MOV8 : form.MOV32 + wide, rm, other);
      return;
    }
    case id.MOV_R_RM:
      if (isMemory) set(r, isByte ? form.LOAD8 : form.LOAD32 + wide, reg, 0);
      else set(r, isByte ? form.MOV8 : form.MOV32 + wide, reg, rm);
      return;
    case id.MOV_R_I:
      return set(r, isByte ? form.MOV8 : form.MOV32 + wide, rm, immediate(r));
    case id.MOVX:
      return specializeExtension(r, wide);
    case id.LEA:
      if ((recBits(r) & (BIT_ADDRESS16 | BIT_ADDRESS32)) != 0 || load<u16>(r, 8) == <u16>(RIP - CPU)) return;
      store<u16>(r, load<u16>(r, 10), INDEX);
      return set(r, form.LEA32 + wide, reg, 0);
    case id.INC_RM:
      if (!isMemory && !isByte) set(r, form.INC32 + wide, rm, rm);
      return;
    case id.DEC_RM:
      if (!isMemory && !isByte) set(r, form.DEC32 + wide, rm, rm);
      return;
    case id.NEG:
      if (!isMemory && !isByte) set(r, form.NEG32 + wide, rm, rm);
      return;
    case id.NOT:
      if (!isMemory && !isByte) set(r, form.NOT32 + wide, rm, rm);
      return;
    case id.SHIFT_I:
    case id.SHIFT_CL: {
      if (isMemory || isByte) return;
      const count = recId(r) == id.SHIFT_I ? immediate(r) : register(RCX);
      const what =
        operation == 0
          ? form.ROL32
          : operation == 1
            ? form.ROR32
            : operation == 4 || operation == 6
              ? form.SHL32
              : operation == 5
                ? form.SHR32
                : operation == 7
                  ? form.SAR32
                  : form.GENERAL;
      if (what != form.GENERAL) set(r, what + wide, rm, count);
      return;
    }
    case id.IMUL2:
      if (isMemory) setFetched(r, form.IMUL32 + wide, reg, OPERAND);
      else set(r, form.IMUL32 + wide, reg, rm);
      return;
    case id.IMUL3:
      if (isMemory) setFetched(r, form.IMUL32_I + wide, reg, OPERAND);
      else set(r, form.IMUL32_I + wide, reg, rm);
      return;
    case id.SETCC:
      if (!isMemory) set(r, form.SETCC, rm, 0);
      return;
    case id.CMOV:
      if (isMemory) setFetched(r, form.CMOV32 + wide, reg, OPERAND);
      else set(r, form.CMOV32 + wide, reg, rm);
      return;
  }
  if (!is64()) return;
  switch (recId(r)) {
    case id.PUSH_R:
      return set(r, form.PUSH64, 0, rm);
    case id.PUSH_I:
      return set(r, form.PUSH64, 0, immediate(r));
    case id.PUSH_RM:
      if (isMemory) setFetched(r, form.PUSH64, 0, OPERAND);
      else set(r, form.PUSH64, 0, rm);
      return;
    case id.POP_R:
      return set(r, form.POP64, rm, 0);
    case id.LEAVE:
      return set(r, form.LEAVE64, register(RBP), 0);
    case id.MOVS:
    case id.STOS:
      if (
        recRep(r) != 0 &&
        size != 4 &&
        recSegment(r) < FS &&
        (recBits(r) & (BIT_ADDRESS16 | BIT_ADDRESS32)) == 0
      )
        set(r, form.REPEAT, 0, 0);
      return;
    case id.JMP:
      return set(r, form.JMP, 0, 0);
    case id.CALL:
      return set(r, form.CALL, 0, 0);
    case id.RET:
      return set(r, form.RET, 0, 0);
    case id.JMP_RM:
      if (isMemory) setFetched(r, form.JMP_VALUE, 0, OPERAND);
      else set(r, form.JMP_VALUE, 0, rm);
      return;
    case id.CALL_RM:
      if (isMemory) setFetched(r, form.CALL_VALUE, 0, OPERAND);
      else set(r, form.CALL_VALUE, 0, rm);
      return;
    case id.JCC:
      set(r, operation == 4 ? form.JE : operation == 5 ? form.JNE : form.JCC, 0, 0);
      store<u16>(r, <u16>conditionMask(operation), CONDITION);
  }
}

/** 16-bit operands are rare: only stores of them. */
function specializeWords(r: u32): void {
  if (!recIsMem(r) || !isAddressable(r)) return;
  if (recId(r) == id.MOV_RM_R) set(r, form.STORE16, 0, register(recReg(r)));
  else if (recId(r) == id.MOV_RM_I) set(r, form.STORE16, 0, immediate(r));
}

function specializeExtension(r: u32, wide: u32): void {
  const kind = recOperation(r);
  const reg = register(recReg(r));
  if (recIsMem(r)) {
    if (kind == 1) set(r, form.LOAD_ZERO8, reg, 0);
    else if (kind == 2) set(r, form.LOAD_ZERO16, reg, 0);
    else if (kind == 0x81) set(r, form.LOAD_SIGN8_32 + wide, reg, 0);
    else if (kind == 0x82) set(r, form.LOAD_SIGN16_32 + wide, reg, 0);
    else set(r, wide ? form.LOAD_SIGN32_64 : form.LOAD32, reg, 0);
    return;
  }
  const rm = (kind & 3) == 1 ? byteRegister(r, recRm(r)) : register(recRm(r));
  if (kind == 1) set(r, form.ZERO8, reg, rm);
  else if (kind == 2) set(r, form.ZERO16, reg, rm);
  else if (kind == 0x81) set(r, form.SIGN8_32 + wide, reg, rm);
  else if (kind == 0x82) set(r, form.SIGN16_32 + wide, reg, rm);
  else set(r, wide ? form.SIGN32_64 : form.MOV32, reg, rm);
}

/** Outcomes of a comparison for which the condition code holds; 0 for overflow and parity, which need the flags. */
function conditionMask(cc: u32): u32 {
  let mask: u32 = 0;
  switch (cc >> 1) {
    case 1:
      mask = BELOW;
      break;
    case 2:
      mask = EQUAL;
      break;
    case 3:
      mask = BELOW | EQUAL;
      break;
    case 4:
      mask = NEGATIVE;
      break;
    case 6:
      mask = LESS;
      break;
    case 7:
      mask = LESS | EQUAL;
      break;
  }
  return mask == 0 || (cc & 1) == 0 ? mask : mask | NEGATED;
}

/** A comparison right before a conditional jump becomes one form with it. */
export function fuse(r: u32): void {
  const jump: u32 = load<u16>(r + RECORD_SIZE, FORM);
  if (jump < form.JE || jump > form.JCC || load<u16>(r + RECORD_SIZE, CONDITION) == 0) return;
  const plain: u32 = load<u8>(r, PLAIN_FORM);
  const at = plain >= form.FETCH8 && plain <= form.FETCH64 ? SECOND_FORM : FORM;
  const what: u32 = load<u16>(r + at);
  if (what >= form.CMP32 && what <= form.TEST8) store<u16>(r + at, <u16>(what + form.FUSED));
}
