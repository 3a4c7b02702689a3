/**
 * The integer instructions that programs are made of, one generic body for the four operand widths. Everything
 * rarer is in execute_cold.ts and its families.
 */
import { RIP } from "../layout";
import { implicitRead, implicitWrite } from "../mmu/memory";
import { effectiveOffset, linear } from "./address";
import { alu, decrement, increment, multiplyFlags, multiplyHighSigned, shift } from "./arithmetic";
import { faulted, raiseGp0 } from "./exceptions";
import { condition, LOGIC, SUB, setLazy } from "./flags";
import * as id from "./ids";
import { getReg, getRegister, getRm, getRmForWrite, setReg, setRegister, setRm } from "./operands";
import { recId, recImm, recOperandSize, recOperation, recReg, recRm } from "./record";
import {
  attributes,
  CS,
  gpr,
  is64,
  isCanonical,
  RAX,
  RBP,
  RCX,
  RSP,
  rip,
  SS,
  segmentLimit,
  setGpr,
} from "./state";

/** Stack pointer arithmetic wraps at the stack segment's size outside 64-bit mode. */
export function stackMask(): u64 {
  return is64() ? u64.MAX_VALUE : (attributes(SS) & 0x4000) != 0 ? 0xffffffff : 0xffff;
}
export function setStackPointer(value: u64): void {
  const mask = stackMask();
  if (mask == 0xffff) setGpr(RSP, (gpr(RSP) & ~mask) | (value & mask));
  else setGpr(RSP, value & mask);
}
export function push<T>(value: T): bool {
  const sp = (gpr(RSP) - sizeof<T>()) & stackMask();
  implicitWrite<T>(linear(SS, sp), value);
  if (faulted()) return false;
  setStackPointer(sp);
  return true;
}
/** Top of the stack; RSP moves only when the caller says so with dropped(). */
export function top<T>(offset: u32): T {
  return implicitRead<T>(linear(SS, (gpr(RSP) + offset) & stackMask()));
}
export function dropped(bytes: u32): void {
  setStackPointer(gpr(RSP) + bytes);
}

/** Goes to a near target; false with #GP pending when it is not canonical or beyond the code segment. */
export function jump(target: u64, size: u32): bool {
  let to = target;
  if (size == 2) to &= 0xffff;
  else if (size == 4) to &= 0xffffffff;
  if (is64() ? !isCanonical(to) : to > segmentLimit(CS)) {
    raiseGp0();
    return false;
  }
  store<u64>(RIP, to);
  return true;
}

/** Near call. The return address is written before the target is checked, as silicon does it. */
function call<T>(target: u64): void {
  const sp = gpr(RSP);
  if (push<T>(<T>rip()) && !jump(target, sizeof<T>())) setGpr(RSP, sp);
}

export function executeSized(r: u32): void {
  switch (recOperandSize(r)) {
    case 8:
      execute<u64>(r);
      break;
    case 4:
      execute<u32>(r);
      break;
    case 2:
      execute<u16>(r);
      break;
    default:
      execute<u8>(r);
  }
}

function execute<T>(r: u32): void {
  switch (recId(r)) {
    case id.ALU_RM_R: {
      const op = recOperation(r);
      const a = op == 7 ? getRm<T>(r) : getRmForWrite<T>(r);
      if (faulted()) return;
      const result = alu<T>(op, a, getReg<T>(r));
      if (op != 7) setRm<T>(r, result);
      return;
    }
    case id.ALU_R_RM: {
      const b = getRm<T>(r);
      if (faulted()) return;
      const op = recOperation(r);
      const result = alu<T>(op, getReg<T>(r), b);
      if (op != 7) setReg<T>(r, result);
      return;
    }
    case id.ALU_RM_I: {
      const op = recOperation(r);
      const a = op == 7 ? getRm<T>(r) : getRmForWrite<T>(r);
      if (faulted()) return;
      const result = alu<T>(op, a, <T>recImm(r));
      if (op != 7) setRm<T>(r, result);
      return;
    }
    case id.TEST_RM_R: {
      const a = getRm<T>(r);
      if (faulted()) return;
      setLazy(LOGIC, sizeof<T>(), 0, 0, <u64>(<T>(a & getReg<T>(r))));
      return;
    }
    case id.TEST_RM_I: {
      const a = getRm<T>(r);
      if (faulted()) return;
      setLazy(LOGIC, sizeof<T>(), 0, 0, <u64>(<T>(a & <T>recImm(r))));
      return;
    }
    case id.MOV_RM_R:
      setRm<T>(r, getReg<T>(r));
      return;
    case id.MOV_R_RM: {
      const value = getRm<T>(r);
      if (!faulted()) setReg<T>(r, value);
      return;
    }
    case id.MOV_RM_I:
      setRm<T>(r, <T>recImm(r));
      return;
    case id.MOV_R_I:
      setRegister<T>(recRm(r), r, <T>recImm(r));
      return;
    case id.LEA:
      setReg<T>(r, <T>effectiveOffset(r));
      return;
    case id.PUSH_R:
      push<T>(<T>gpr(recRm(r)));
      return;
    case id.POP_R: {
      const value = top<T>(0);
      if (faulted()) return;
      dropped(sizeof<T>());
      setRegister<T>(recRm(r), r, value);
      return;
    }
    case id.PUSH_I:
      push<T>(<T>recImm(r));
      return;
    case id.CALL: {
      call<T>(rip() + <u64>recImm(r));
      return;
    }
    case id.RET: {
      const to = top<T>(0);
      if (faulted()) return;
      if (jump(<u64>to, sizeof<T>())) dropped(sizeof<T>());
      return;
    }
    case id.JMP:
      jump(rip() + <u64>recImm(r), sizeof<T>());
      return;
    case id.JCC:
      if (condition(recOperation(r))) jump(rip() + <u64>recImm(r), is64() ? 8 : sizeof<T>());
      return;
    case id.MOVX: {
      const kind = recOperation(r);
      let value: u64;
      switch (kind) {
        case 1:
          value = getRm<u8>(r);
          break;
        case 2:
          value = getRm<u16>(r);
          break;
        case 0x81:
          value = <u64>(<i64>(<i8>getRm<u8>(r)));
          break;
        case 0x82:
          value = <u64>(<i64>(<i16>getRm<u16>(r)));
          break;
        default:
          value = <u64>(<i64>(<i32>getRm<u32>(r)));
      }
      if (!faulted()) setReg<T>(r, <T>value);
      return;
    }
    case id.INC_RM: {
      const a = getRmForWrite<T>(r);
      if (faulted()) return;
      setRm<T>(r, increment<T>(a));
      return;
    }
    case id.DEC_RM: {
      const a = getRmForWrite<T>(r);
      if (faulted()) return;
      setRm<T>(r, decrement<T>(a));
      return;
    }
    case id.SHIFT_I:
    case id.SHIFT_CL: {
      const a = getRmForWrite<T>(r);
      if (faulted()) return;
      const n = recId(r) == id.SHIFT_I ? <u32>recImm(r) : <u32>gpr(RCX);
      const count = n & (sizeof<T>() == 8 ? 63 : 31);
      setRm<T>(r, shift<T>(recOperation(r), a, count));
      return;
    }
    case id.SETCC:
      setRm<T>(r, <T>(condition(recOperation(r)) ? 1 : 0));
      return;
    case id.CMOV: {
      const value = getRm<T>(r);
      if (faulted()) return;
      if (condition(recOperation(r))) setReg<T>(r, value);
      else if (sizeof<T>() == 4) setReg<T>(r, getReg<T>(r));
      return;
    }
    case id.NOP:
      return;
    case id.CALL_RM: {
      const to = getRm<T>(r);
      if (faulted()) return;
      call<T>(<u64>to);
      return;
    }
    case id.JMP_RM: {
      const to = getRm<T>(r);
      if (!faulted()) jump(<u64>to, sizeof<T>());
      return;
    }
    case id.PUSH_RM: {
      const value = getRm<T>(r);
      if (!faulted()) push<T>(value);
      return;
    }
    case id.NEG: {
      const a = getRmForWrite<T>(r);
      if (faulted()) return;
      const result = <T>(0 - a);
      setLazy(SUB, sizeof<T>(), 0, <u64>a, <u64>result);
      setRm<T>(r, result);
      return;
    }
    case id.NOT: {
      const a = getRmForWrite<T>(r);
      if (!faulted()) setRm<T>(r, <T>~a);
      return;
    }
    case id.IMUL2:
    case id.IMUL3: {
      const a = getRm<T>(r);
      if (faulted()) return;
      const b = recId(r) == id.IMUL2 ? getReg<T>(r) : <T>recImm(r);
      setReg<T>(r, multiplySigned<T>(a, b));
      return;
    }
    case id.LEAVE: {
      const frame = gpr(RBP);
      const value = implicitRead<T>(linear(SS, frame & stackMask()));
      if (faulted()) return;
      setStackPointer(frame + sizeof<T>());
      setRegister<T>(RBP, r, value);
      return;
    }
  }
}

function multiplySigned<T>(a: T, b: T): T {
  if (sizeof<T>() == 8) {
    const low = <u64>a * <u64>b;
    multiplyFlags(multiplyHighSigned(<i64>a, <i64>b) != <i64>low >> 63);
    return <T>low;
  }
  const fill: u64 = 64 - sizeof<T>() * 8;
  const product = (<i64>((<u64>a) << fill) >> fill) * (<i64>((<u64>b) << fill) >> fill);
  multiplyFlags(<i64>((<u64>product) << fill) >> fill != product);
  return <T>product;
}

/** Accumulator pair of MUL, DIV and their signed twins: low part. */
export function accumulator<T>(r: u32): T {
  return getRegister<T>(RAX, r);
}
