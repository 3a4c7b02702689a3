/** The rarer integer instructions: multiplication and division, bits, exchanges, flags, strings by element. */
import { CPL, FLAGS, GPR, RIP, SIGNAL, SIGNAL_EVENT } from "../layout";
import { attendFlags } from "../machine/attention";
import {
  canWrite,
  forgetLeftRam,
  hostForOverwrite,
  hostForRead,
  hostForWrite,
  implicitRead,
  implicitWrite,
  leftRam,
  read,
  write,
} from "../mmu/memory";
import { isChecking, mayAccess } from "../shadow/check";
import { effectiveAddress, linear } from "./address";
import {
  alu,
  divide128,
  doubleShift,
  multiplyFlags,
  multiplyHigh,
  multiplyHighSigned,
  quotient,
  remainder,
} from "./arithmetic";
import { addWithOneFlag, bitInstruction, crc32, random } from "./bmi";
import { DE, faulted, GP, raise, raiseGp0, raiseUd } from "./exceptions";
import { dropped, jump, push, setStackPointer, stackMask, top } from "./execute";
import { condition, isBelow, isEqual, rflags, SUB, setLazy, setRflags, setStatus } from "./flags";
import * as id from "./ids";
import { getReg, getRegister, getRm, getRmForWrite, setReg, setRegister, setRm } from "./operands";
import {
  BIT_ADDRESS16,
  BIT_ADDRESS32,
  BIT_REX_W,
  recBits,
  recId,
  recImm,
  recIsMem,
  recOpcode,
  recOperandSize,
  recOperation,
  recReg,
  recRep,
  recRm,
} from "./record";
import {
  CR0_PE,
  cr0,
  FLAG_AC,
  FLAG_AF,
  FLAG_CF,
  FLAG_DF,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_OF,
  FLAG_PF,
  FLAG_RF,
  FLAG_SF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  FLAG_ZF,
  gpr,
  inVm86,
  is64,
  isProtected,
  RAX,
  RBP,
  RBX,
  RCX,
  RDI,
  RDX,
  RSI,
  RSP,
  rip,
  SS,
  STATUS_FLAGS,
  selectTlb,
  setGpr,
} from "./state";
import { stringOperation } from "./strings";

export function cold<T>(r: u32): void {
  switch (recId(r)) {
    case id.MUL:
    case id.IMUL1: {
      const b = getRm<T>(r);
      if (faulted()) return;
      const a = getRegister<T>(RAX, r);
      const signed = recId(r) == id.IMUL1;
      if (sizeof<T>() == 8) {
        const low = <u64>a * <u64>b;
        const high = signed ? <u64>multiplyHighSigned(<i64>a, <i64>b) : multiplyHigh(<u64>a, <u64>b);
        setGpr(RAX, low);
        setGpr(RDX, high);
        multiplyFlags(signed ? <i64>high != <i64>low >> 63 : high != 0);
        return;
      }
      const width: u64 = sizeof<T>() * 8;
      const fill: u64 = 64 - width;
      let product: u64;
      if (signed) {
        const p = (<i64>((<u64>a) << fill) >> fill) * (<i64>((<u64>b) << fill) >> fill);
        product = <u64>p;
        multiplyFlags(<i64>(product << fill) >> fill != p);
      } else {
        product = <u64>a * <u64>b;
        multiplyFlags(product >> width != 0);
      }
      if (sizeof<T>() == 1) setGpr(RAX, (gpr(RAX) & ~0xffff) | (product & 0xffff));
      else {
        setRegister<T>(RAX, r, <T>product);
        setRegister<T>(RDX, r, <T>(product >> width));
      }
      return;
    }
    case id.DIV:
    case id.IDIV: {
      const d = getRm<T>(r);
      if (faulted()) return;
      divide<T>(r, d, recId(r) == id.IDIV);
      return;
    }
    case id.XCHG: {
      const a = getRmForWrite<T>(r);
      if (faulted()) return;
      const b = getReg<T>(r);
      setRm<T>(r, b);
      setReg<T>(r, a);
      return;
    }
    case id.POP_RM: {
      const value = top<T>(0);
      if (faulted()) return;
      const before = gpr(RSP);
      dropped(sizeof<T>()); // an address based on RSP uses the value after the pop
      setRm<T>(r, value);
      if (faulted()) setGpr(RSP, before);
      return;
    }
    case id.BT_R:
    case id.BT_I: {
      const operation = recOperation(r);
      const width: u64 = sizeof<T>() * 8;
      const isRegister = recId(r) == id.BT_R;
      const n: u64 = isRegister ? <u64>getReg<T>(r) : <u64>recImm(r);
      let value: T;
      let address: u64 = 0;
      if (recIsMem(r)) {
        address = effectiveAddress(r);
        if (isRegister) {
          const fill: u64 = 64 - width;
          const offset = (<i64>(n << fill) >> fill) >> (sizeof<T>() == 8 ? 6 : sizeof<T>() == 4 ? 5 : 4);
          address += <u64>(offset * sizeof<T>());
          if (!is64()) address &= 0xffffffff;
        }
        if (operation != 0 && !canWrite(address, sizeof<T>())) return;
        value = read<T>(address);
      } else value = getRegister<T>(recRm(r), r);
      if (faulted()) return;
      const bit = <T>((<u64>1) << (n & (width - 1)));
      const was = (value & bit) != 0;
      let result = value;
      if (operation == 1) result = <T>(value | bit);
      else if (operation == 2) result = <T>(value & ~bit);
      else if (operation == 3) result = <T>(value ^ bit);
      if (operation != 0) {
        if (recIsMem(r)) write<T>(address, result);
        else setRegister<T>(recRm(r), r, result);
      }
      setStatus(FLAG_CF, was ? FLAG_CF : 0);
      return;
    }
    case id.BSF:
    case id.BSR: {
      const value = <u64>getRm<T>(r);
      if (faulted()) return;
      setStatus(FLAG_ZF, value == 0 ? FLAG_ZF : 0);
      if (value != 0) setReg<T>(r, <T>(recId(r) == id.BSF ? ctz(value) : 63 - clz(value)));
      return;
    }
    case id.TZCNT:
    case id.LZCNT: {
      const value = <u64>getRm<T>(r);
      if (faulted()) return;
      const width: u64 = sizeof<T>() * 8;
      const n: u64 = value == 0 ? width : recId(r) == id.TZCNT ? ctz(value) : clz(value) - (64 - width);
      setStatus(FLAG_CF | FLAG_ZF, (value == 0 ? FLAG_CF : 0) | (n == 0 ? FLAG_ZF : 0));
      setReg<T>(r, <T>n);
      return;
    }
    case id.POPCNT: {
      const value = <u64>getRm<T>(r);
      if (faulted()) return;
      setStatus(STATUS_FLAGS, value == 0 ? FLAG_ZF : 0);
      setReg<T>(r, <T>popcnt<u64>(value));
      return;
    }
    case id.BSWAP: {
      const value = getRegister<T>(recRm(r), r);
      setRegister<T>(recRm(r), r, sizeof<T>() == 2 ? <T>0 : bswap<T>(value));
      return;
    }
    case id.MOVBE:
      if (recOperation(r) == 0) {
        const value = getRm<T>(r);
        if (!faulted()) setReg<T>(r, bswap<T>(value));
      } else setRm<T>(r, bswap<T>(getReg<T>(r)));
      return;
    case id.SHLD:
    case id.SHRD: {
      const a = getRmForWrite<T>(r);
      if (faulted()) return;
      const n = <u32>(recOperation(r) == 0 ? <u64>recImm(r) : gpr(RCX)) & (sizeof<T>() == 8 ? 63 : 31);
      setRm<T>(r, n == 0 ? a : doubleShift<T>(recId(r) == id.SHLD, a, getReg<T>(r), n));
      return;
    }
    case id.XADD: {
      const a = getRmForWrite<T>(r);
      if (faulted()) return;
      const sum = alu<T>(0, a, getReg<T>(r));
      // Memory first: the register may be part of its address. A register added to itself ends as the sum.
      if (recIsMem(r)) setRm<T>(r, sum);
      setReg<T>(r, a);
      if (!recIsMem(r)) setRm<T>(r, sum);
      return;
    }
    case id.CMPXCHG: {
      const a = getRmForWrite<T>(r);
      if (faulted()) return;
      const expected = getRegister<T>(RAX, r);
      setLazy(SUB, sizeof<T>(), <u64>expected, <u64>a, <u64>(<T>(expected - a)));
      if (expected == a) setRm<T>(r, getReg<T>(r));
      else {
        // Memory is written back in any case; a register keeps its upper half.
        if (recIsMem(r)) setRm<T>(r, a);
        setRegister<T>(RAX, r, a);
      }
      return;
    }
    case id.CONVERT:
      if (sizeof<T>() == 8) setGpr(RAX, <u64>(<i64>(<i32>gpr(RAX))));
      else if (sizeof<T>() == 4) setGpr(RAX, <u64>(<u32>(<i32>(<i16>gpr(RAX)))));
      else setRegister<u16>(RAX, r, <u16>(<i16>(<i8>gpr(RAX))));
      return;
    case id.EXTEND:
      setRegister<T>(RDX, r, <u64>getRegister<T>(RAX, r) >> (sizeof<T>() * 8 - 1) != 0 ? <T>-1 : <T>0);
      return;
    case id.PUSHF:
      push<T>(<T>(rflags() & ~(FLAG_RF | FLAG_VM)));
      return;
    case id.POPF: {
      const value = <u64>top<T>(0);
      if (faulted()) return;
      dropped(sizeof<T>());
      popFlags(value, sizeof<T>());
      return;
    }
    case id.ENTER: {
      enter<T>(r);
      return;
    }
    case id.RET_I: {
      const to = top<T>(0);
      if (faulted()) return;
      if (jump(<u64>to, sizeof<T>())) dropped(sizeof<T>() + <u32>recImm(r));
      return;
    }
    case id.MOFFS: {
      const address = linear(load<u8>(r, 7), <u64>recImm(r));
      if (recOpcode(r) < 0xa2) {
        const value = read<T>(address);
        if (!faulted()) setRegister<T>(RAX, r, value);
      } else write<T>(address, getRegister<T>(RAX, r));
      return;
    }
    case id.PUSHA: {
      const sp = gpr(RSP);
      const start = (sp - 8 * sizeof<T>()) & stackMask();
      if (!canWrite(linear(SS, start), 8 * sizeof<T>())) return;
      for (let n: u32 = 0; n < 8; n++) push<T>(n == RSP ? <T>sp : <T>gpr(n));
      return;
    }
    case id.POPA: {
      top<T>(0);
      top<T>(7 * sizeof<T>());
      if (faulted()) return;
      for (let n: u32 = 0; n < 8; n++) if (7 - n != RSP) setRegister<T>(7 - n, r, top<T>(n * sizeof<T>()));
      dropped(8 * sizeof<T>());
      return;
    }
    case id.MOVS:
    case id.STOS:
    case id.LODS:
    case id.CMPS:
    case id.SCAS:
      stringOperation<T>(r);
      return;
    case id.BMI:
      // 16-bit code has VEX in protected mode only (SDM 2A 2.3.1).
      if (isProtected() && !inVm86()) bitInstruction<T>(r);
      else raiseUd();
      return;
    case id.ADX:
      addWithOneFlag<T>(r);
      return;
    case id.CRC32:
      crc32<T>(r);
      return;
    case id.RDRAND:
      random<T>(r);
      return;
  }
  raiseUd();
}

export function popFlags(value: u64, size: u32): void {
  let mask: u64 = STATUS_FLAGS | FLAG_TF | FLAG_DF | FLAG_NT;
  if (size > 2) mask |= FLAG_AC | FLAG_ID;
  const privilege: u32 = load<u32>(CPL);
  const old = rflags();
  if (privilege == 0) mask |= FLAG_IOPL;
  if (<u64>privilege <= (old & FLAG_IOPL) >> 12) mask |= FLAG_IF;
  if (size > 2) mask |= FLAG_RF;
  let next = (old & ~mask) | (value & mask);
  if (size > 2) next &= ~FLAG_RF;
  setRflags(next);
  selectTlb();
  attendFlags();
}

function divide<T>(r: u32, divisor: T, signed: bool): void {
  if (divisor == 0) return raise(DE, 0);
  if (sizeof<T>() == 8) {
    let high = gpr(RDX),
      low = gpr(RAX);
    if (!signed) {
      if (high >= <u64>divisor) return raise(DE, 0);
      divide128(high, low, <u64>divisor);
      setGpr(RAX, quotient);
      setGpr(RDX, remainder);
      return;
    }
    const negative = <i64>high < 0;
    if (negative) {
      low = 0 - low;
      high = ~high + (low == 0 ? 1 : 0);
    }
    const d: u64 = <i64>divisor < 0 ? 0 - <u64>divisor : <u64>divisor;
    if (high >= d) return raise(DE, 0);
    divide128(high, low, d);
    const flip = negative != <i64>divisor < 0;
    if (flip ? quotient > 0x8000000000000000 : quotient > 0x7fffffffffffffff) return raise(DE, 0);
    setGpr(RAX, flip ? 0 - quotient : quotient);
    setGpr(RDX, negative ? 0 - remainder : remainder);
    return;
  }
  const width: u64 = sizeof<T>() * 8;
  const fill: u64 = 64 - width;
  const pair: u64 =
    sizeof<T>() == 1
      ? gpr(RAX) & 0xffff
      : ((<u64>getRegister<T>(RDX, r)) << width) | <u64>getRegister<T>(RAX, r);
  let q: u64, m: u64;
  if (signed) {
    const n = sizeof<T>() == 4 ? <i64>pair : <i64>(pair << (64 - 2 * width)) >> (64 - 2 * width);
    const d = <i64>((<u64>divisor) << fill) >> fill;
    if (d == -1 && n == i64.MIN_VALUE) return raise(DE, 0);
    const quot = n / d;
    if (<i64>((<u64>quot) << fill) >> fill != quot) return raise(DE, 0);
    q = <u64>quot;
    m = <u64>(n % d);
  } else {
    q = pair / <u64>divisor;
    if (q >> width != 0) return raise(DE, 0);
    m = pair % <u64>divisor;
  }
  if (sizeof<T>() == 1) setGpr(RAX, (gpr(RAX) & ~0xffff) | (q & 0xff) | ((m & 0xff) << 8));
  else {
    setRegister<T>(RAX, r, <T>q);
    setRegister<T>(RDX, r, <T>m);
  }
}

/** ENTER: nesting levels are rare, but part of the instruction (SDM 2A). */
function enter<T>(r: u32): void {
  const bytes = <u64>recImm(r) & 0xffff;
  const level = <u32>(recImm(r) >> 32) & 31;
  const sp = gpr(RSP);
  let at = (sp - sizeof<T>()) & stackMask();
  implicitWrite<T>(linear(SS, at), <T>gpr(RBP));
  if (faulted()) return;
  const frame = at;
  for (let i: u32 = 1; i < level; i++) {
    const value = implicitRead<T>(linear(SS, (gpr(RBP) - i * sizeof<T>()) & stackMask()));
    if (faulted()) return;
    at = (at - sizeof<T>()) & stackMask();
    implicitWrite<T>(linear(SS, at), value);
    if (faulted()) return;
  }
  if (level > 0) {
    at = (at - sizeof<T>()) & stackMask();
    implicitWrite<T>(linear(SS, at), <T>frame);
    if (faulted()) return;
  }
  if (!canWrite(linear(SS, (at - bytes) & stackMask()), 1)) return;
  setRegister<T>(RBP, r, <T>frame);
  setStackPointer(at - bytes);
}
