/**
 * Executes the forms of forms.ts. Operands are read and checked before anything changes; the arithmetic is in
 * the files of the families.
 */
import { MXCSR, XMM } from "../../layout";
import { canWrite, write } from "../../mmu/memory";
import { effectiveAddress } from "../address";
import { faulted, raiseGp0 } from "../exceptions";
import { setStatus } from "../flags";
import { executeMmx } from "../mmx/execute";
import { high64, low64, mmxReady, widen } from "../mmx/registers";
import { getRm, setRm } from "../operands";
import {
  BIT_OPSIZE,
  BIT_REX_W,
  recBits,
  recImm,
  recIsMem,
  recOpcode,
  recReg,
  recRep,
  recRm,
} from "../record";
import { FLAG_CF, FLAG_ZF, STATUS_FLAGS, setGpr } from "../state";
import { compareFlags } from "./compare";
import { convert, fromInteger, toInteger } from "./convert";
import { arithmetic, comparison, dotProduct, horizontal, reciprocal, rounded } from "./float";
import * as form from "./forms";
import { packed } from "./packed";
import { packed38 } from "./packed38";
import {
  destination,
  setDestination,
  setXmm,
  source,
  sourceLow,
  sourceUnaligned,
  sseReady,
  store128,
  storeAligned,
  xmm,
  xmmLow64,
} from "./registers";
import { sha1Rounds, sha38 } from "./sha";
import { shiftByImmediate, shiftByOperand } from "./shift";
import { blendVariable, insertSingle, packed3a, shuffle70, shuffleFloats } from "./shuffle";
import { compareStrings } from "./strings";

/** MXCSR bits that exist, denormals-are-zeros included: what FXSAVE stores as MXCSR_MASK. */
export const MXCSR_MASK: u32 = 0xffff;

export function executeVector(r: u32, operation: u32): void {
  if (operation >= form.MMX_PACKED) {
    if (operation >= form.BOTH && !sseReady()) return;
    if (mmxReady()) executeMmx(r, operation);
    return;
  }
  if (!sseReady()) return;
  switch (operation) {
    case form.PACKED: {
      const b = source(r);
      if (!faulted()) setDestination(r, packed(recOpcode(r), destination(r), b));
      return;
    }
    case form.LOAD: {
      const value = sourceUnaligned(r);
      if (!faulted()) setDestination(r, value);
      return;
    }
    case form.LOAD_ALIGNED: {
      const value = source(r);
      if (!faulted()) setDestination(r, value);
      return;
    }
    case form.STORE:
      return store128(r, destination(r));
    case form.STORE_ALIGNED:
      return storeAligned(r, destination(r));
    case form.LOAD32: {
      const value = sourceLow<u32>(r);
      if (faulted()) return;
      if (recIsMem(r)) setDestination(r, widen(value));
      else store<u32>(XMM + (recReg(r) << 4), value);
      return;
    }
    case form.LOAD64: {
      const value = sourceLow<u64>(r);
      if (faulted()) return;
      if (recIsMem(r)) setDestination(r, widen(value));
      else store<u64>(XMM + (recReg(r) << 4), value);
      return;
    }
    case form.STORE32:
      return storeLow<u32>(r, <u32>xmmLow64(recReg(r)));
    case form.STORE64:
      return storeLow<u64>(r, xmmLow64(recReg(r)));
    case form.LOAD_QUAD: {
      const value = sourceLow<u64>(r);
      if (!faulted()) setDestination(r, widen(value));
      return;
    }
    case form.STORE_QUAD:
      if (recIsMem(r)) write<u64>(effectiveAddress(r), xmmLow64(recReg(r)));
      else setXmm(recRm(r), widen(xmmLow64(recReg(r))));
      return;
    case form.FROM_GENERAL: {
      const value = isWide(r) ? getRm<u64>(r) : getRm<u32>(r);
      if (!faulted()) setDestination(r, widen(value));
      return;
    }
    case form.TO_GENERAL: {
      const value = xmmLow64(recReg(r));
      if (isWide(r)) setRm<u64>(r, value);
      else setRm<u32>(r, <u32>value);
      return;
    }
    case form.BYTE_MASK:
      return setGpr(recReg(r), <u32>i8x16.bitmask(xmm(recRm(r))));
    case form.SHIFT: {
      const count = source(r);
      if (!faulted()) setDestination(r, shiftByOperand(recOpcode(r), destination(r), low64(count)));
      return;
    }
    case form.SHIFT_I:
      // The reg field is the operation.
      return setXmm(
        recRm(r),
        shiftByImmediate(recOpcode(r), recReg(r) & 7, xmm(recRm(r)), <u32>recImm(r) & 0xff),
      );
    case form.SHUFFLE70: {
      const b = source(r);
      if (!faulted()) setDestination(r, shuffle70(b, recRep(r), <u32>recImm(r) & 0xff));
      return;
    }
    case form.SHUFFLE_C6: {
      const b = source(r);
      if (faulted()) return;
      return setDestination(r, shuffleFloats(destination(r), b, <u32>recImm(r) & 0xff, isOpsize(r)));
    }
    case form.PACKED38: {
      const b = source(r);
      if (!faulted()) setDestination(r, packed38(recOpcode(r), destination(r), b));
      return;
    }
    case form.PACKED3A: {
      const b = source(r);
      if (!faulted()) setDestination(r, packed3a(recOpcode(r), destination(r), b, <u32>recImm(r) & 0xff));
      return;
    }
    case form.FLOAT:
      return arithmetic(r);
    case form.FROM_INTEGER:
      return fromInteger(r);
    case form.TO_INTEGER:
      return toInteger(r);
    case form.COMPARE_FLAGS:
      return compareFlags(r);
    case form.CONVERT:
      return convert(r);
    case form.COMPARE:
      return comparison(r);
    case form.HALF:
      return moveHalf(r);
    case form.SIGN_MASK: {
      const value = xmm(recRm(r));
      return setGpr(recReg(r), <u32>(isOpsize(r) ? i64x2.bitmask(value) : i32x4.bitmask(value)));
    }
    case form.INSERT_WORD: {
      const value = recIsMem(r) ? getRm<u16>(r) : <u16>getRm<u32>(r);
      if (!faulted()) store<u16>(lane<u16>(r), value);
      return;
    }
    case form.EXTRACT_WORD:
      return setGpr(recReg(r), load<u16>(XMM + (recRm(r) << 4) + ((<u32>recImm(r) & 7) << 1)));
    case form.EXTEND:
      return extend(r);
    case form.TEST: {
      const b = source(r);
      if (faulted()) return;
      const a = destination(r);
      const zero = !v128.any_true(v128.and(a, b));
      const covered = !v128.any_true(v128.andnot(b, a));
      return setStatus(STATUS_FLAGS, (zero ? FLAG_ZF : 0) | (covered ? FLAG_CF : 0));
    }
    case form.BLEND_VARIABLE: {
      const b = source(r);
      if (!faulted()) setDestination(r, blendVariable(recOpcode(r), destination(r), b));
      return;
    }
    case form.INSERT:
      return insert(r);
    case form.EXTRACT:
      return extract(r);
    case form.STRING:
      return compareStrings(r);
    case form.ROUND:
      return rounded(r);
    case form.DOT:
      return dotProduct(r);
    case form.HORIZONTAL:
      return horizontal(r);
    case form.RECIPROCAL:
      return reciprocal(r);
    case form.SHA: {
      const b = source(r);
      if (!faulted()) setDestination(r, sha38(recOpcode(r), destination(r), b));
      return;
    }
    case form.SHA_ROUNDS: {
      const b = source(r);
      if (!faulted()) setDestination(r, sha1Rounds(destination(r), b, <u32>recImm(r) & 3));
      return;
    }
    case form.MASK_MOVE:
      return storeMasked(r, destination(r), xmm(recRm(r)), 16);
    case form.MXCSR_LOAD: {
      const value = getRm<u32>(r);
      if (faulted()) return;
      if ((value & ~MXCSR_MASK) != 0) return raiseGp0();
      store<u32>(MXCSR, value);
      return;
    }
    case form.MXCSR_STORE:
      return setRm<u32>(r, load<u32>(MXCSR));
  }
}

function isWide(r: u32): bool {
  return (recBits(r) & BIT_REX_W) != 0;
}
function isOpsize(r: u32): bool {
  return (recBits(r) & BIT_OPSIZE) != 0;
}
function storeLow<T>(r: u32, value: T): void {
  if (recIsMem(r)) write<T>(effectiveAddress(r), value);
  else store<T>(XMM + (recRm(r) << 4), value);
}
/** The lane of the register in the reg field that the immediate picks. */
function lane<T>(r: u32): u32 {
  const index = <u32>recImm(r) & (16 / sizeof<T>() - 1);
  return XMM + (recReg(r) << 4) + index * sizeof<T>();
}

/** MOVLPS, MOVHPS, MOVLHPS, MOVHLPS, MOVLPD, MOVHPD, MOVSLDUP, MOVSHDUP, MOVDDUP. */
function moveHalf(r: u32): void {
  const opcode = recOpcode(r);
  const half: u32 = opcode >= 0x16 ? 8 : 0;
  const own = XMM + (recReg(r) << 4) + half;
  if ((opcode & 1) != 0) return write<u64>(effectiveAddress(r), load<u64>(own));
  const rep = recRep(r);
  if (rep == 0xf3) {
    const b = source(r);
    if (faulted()) return;
    const value = half != 0 ? v128.shuffle<i32>(b, b, 1, 1, 3, 3) : v128.shuffle<i32>(b, b, 0, 0, 2, 2);
    return setDestination(r, value);
  }
  if (rep == 0xf2) {
    const value = sourceLow<u64>(r);
    if (!faulted()) setDestination(r, i64x2.splat(value));
    return;
  }
  const value = recIsMem(r) ? sourceLow<u64>(r) : load<u64>(XMM + (recRm(r) << 4) + (8 - half));
  if (!faulted()) store<u64>(own, value);
}

/** PMOVSX (2x), PMOVZX (3x). */
function extend(r: u32): void {
  const opcode = recOpcode(r);
  const kind = opcode & 7;
  // Eight, four or two bytes: 0 and 3 and 5 double the width, 1 and 4 quadruple it, 2 makes it eightfold.
  let b: v128;
  if (kind == 0 || kind == 3 || kind == 5) b = widen(sourceLow<u64>(r));
  else if (kind == 2) b = widen(sourceLow<u16>(r));
  else b = widen(sourceLow<u32>(r));
  if (faulted()) return;
  const signed = opcode < 0x30;
  if (kind < 3) {
    b = signed ? i16x8.extend_low_i8x16_s(b) : i16x8.extend_low_i8x16_u(b);
    if (kind >= 1) b = signed ? i32x4.extend_low_i16x8_s(b) : i32x4.extend_low_i16x8_u(b);
    if (kind == 2) b = signed ? i64x2.extend_low_i32x4_s(b) : i64x2.extend_low_i32x4_u(b);
  } else {
    if (kind != 5) b = signed ? i32x4.extend_low_i16x8_s(b) : i32x4.extend_low_i16x8_u(b);
    if (kind != 3) b = signed ? i64x2.extend_low_i32x4_s(b) : i64x2.extend_low_i32x4_u(b);
  }
  setDestination(r, b);
}

/** PINSRB, INSERTPS, PINSRD, PINSRQ. */
function insert(r: u32): void {
  const opcode = recOpcode(r);
  if (opcode == 0x20) {
    const value = recIsMem(r) ? getRm<u8>(r) : <u8>getRm<u32>(r);
    if (!faulted()) store<u8>(lane<u8>(r), value);
  } else if (opcode == 0x21) {
    const control = <u32>recImm(r) & 0xff;
    const value = recIsMem(r) ? sourceLow<u32>(r) : load<u32>(XMM + (recRm(r) << 4) + ((control >> 4) & 12));
    if (!faulted()) setDestination(r, insertSingle(destination(r), value, control));
  } else if (isWide(r)) {
    const value = getRm<u64>(r);
    if (!faulted()) store<u64>(lane<u64>(r), value);
  } else {
    const value = getRm<u32>(r);
    if (!faulted()) store<u32>(lane<u32>(r), value);
  }
}

/** PEXTRB, PEXTRW, PEXTRD, PEXTRQ, EXTRACTPS: a register gets the value with zeros above it. */
function extract(r: u32): void {
  const opcode = recOpcode(r);
  if (opcode == 0x14) extractLane<u8>(r);
  else if (opcode == 0x15) extractLane<u16>(r);
  else if (opcode == 0x16 && isWide(r)) extractLane<u64>(r);
  else extractLane<u32>(r);
}
function extractLane<T>(r: u32): void {
  const value = load<T>(lane<T>(r));
  if (recIsMem(r)) write<T>(effectiveAddress(r), value);
  else setGpr(recRm(r), <u64>value);
}

/** MASKMOVDQU, MASKMOVQ: the bytes whose mask byte is negative, all of them or none. */
export function storeMasked(r: u32, value: v128, mask: v128, size: u32): void {
  const bits = <u32>i8x16.bitmask(mask) & (((<u32>1) << size) - 1);
  const address = effectiveAddress(r);
  for (let i: u32 = 0; i < size; i++) if (((bits >> i) & 1) != 0 && !canWrite(address + i, 1)) return;
  for (let i: u32 = 0; i < size; i++) {
    if (((bits >> i) & 1) == 0) continue;
    const half = i < 8 ? low64(value) : high64(value);
    write<u8>(address + i, <u8>(half >> ((i & 7) << 3)));
  }
}
