/** Loads, stores, constants, integers and packed decimals. SDM 1, 8.3.3 and 8.3.4. */

import { FCW, FSW, SCRATCH } from "../../layout";
import { read, readBytes, write, writeBytes } from "../../mmu/memory";
import { faulted } from "../exceptions";
import { passA } from "../float/arithmetic";
import { clearFlags, DE, flags, IE, raiseFlags, setRoundedUp, setRounding, ZERO } from "../float/control";
import { pack, packInteger } from "../float/pack";
import { aDenormal, aKind, KIND_QUIET, unpack, unpackInteger } from "../float/unpack";
import {
  begin,
  DEFAULT_EXP,
  DEFAULT_SIG,
  finishPush,
  hasRoom,
  isEmpty,
  place,
  pop,
  push,
  setC1,
  setRegister,
  settleStore,
  stackFault,
  underflow,
  unpackRegister,
} from "./stack";

/** FLD m32, m64. */
export function loadReal<T>(address: u64): void {
  const value = read<T>(address);
  if (faulted()) return;
  begin();
  if (!hasRoom()) return;
  unpack<T>(value);
  if (aDenormal) raiseFlags(DE);
  passA();
  finishPush();
}
/** FLD m80: as it is, whatever it is. */
export function loadExtended(address: u64): void {
  if (!readBytes(address, SCRATCH + 64, 10)) return;
  setC1(false);
  if (hasRoom()) push(load<u16>(SCRATCH + 64, 8), load<u64>(SCRATCH + 64));
}
export function loadInteger(value: i64): void {
  if (faulted()) return;
  begin();
  if (!hasRoom()) return;
  unpackInteger(value);
  passA();
  finishPush();
}
/** FLD ST(i). */
export function duplicate(i: u32): void {
  setC1(false);
  if (!hasRoom()) return;
  if (isEmpty(i)) {
    if (stackFault(false)) push(DEFAULT_EXP, DEFAULT_SIG);
    return;
  }
  const at = place(i);
  push(load<u16>(at, 8), load<u64>(at));
}

/**
 * FLD1 FLDL2T FLDL2E FLDPI FLDLG2 FLDLN2 FLDZ: significand rounded down, and whether the nearest is the next one.
 * The precision flag stays clear. SDM 1, 8.3.8 and table 8-10.
 */
export function loadConstant(n: u32): void {
  setC1(false);
  if (!hasRoom()) return;
  const mode = (load<u32>(FCW) >> 10) & 3;
  const up: u64 = mode == 2 || (mode == 0 && n != 1) ? 1 : 0;
  switch (n) {
    case 0:
      return push(0x3fff, 0x8000000000000000);
    case 1:
      return push(0x4000, 0xd49a784bcd1b8afe + up);
    case 2:
      return push(0x3fff, 0xb8aa3b295c17f0bb + up);
    case 3:
      return push(0x4000, 0xc90fdaa22168c234 + up);
    case 4:
      return push(0x3ffd, 0x9a209a84fbcff798 + up);
    case 5:
      return push(0x3ffe, 0xb17217f7d1cf79ab + up);
    default:
      return push(0, 0);
  }
}

/**
 * Stores leave the status word as it was when memory refuses. An instruction that pops does so only when it has
 * stored, or given the masked response.
 */
export function storeReal<T>(address: u64, popping: bool): void {
  const before = load<u32>(FSW);
  begin();
  let value: T;
  if (isEmpty(0)) {
    if (!stackFault(false)) return;
    value = sizeof<T>() == 4 ? <T>0xffc00000 : <T>0xfff8000000000000;
  } else {
    unpackRegister(0);
    passA();
    value = pack<T>();
    if (!settleStore()) return;
  }
  write<T>(address, value);
  done(before, popping);
}
function done(before: u32, popping: bool): void {
  if (faulted()) store<u32>(FSW, before);
  else if (popping) pop();
}

export function storeExtended(address: u64): void {
  const before = load<u32>(FSW);
  setC1(false);
  let at = place(0);
  if (isEmpty(0)) {
    if (!stackFault(false)) return;
    at = SCRATCH + 64;
    store<u64>(at, DEFAULT_SIG);
    store<u16>(at, DEFAULT_EXP, 8);
  }
  writeBytes(address, at, 10);
  done(before, true);
}

/** FIST, FISTP, FISTTP: T is i16, i32 or i64. */
export function storeInteger<T>(address: u64, popping: bool, truncating: bool): void {
  const before = load<u32>(FSW);
  begin();
  const bits: u32 = sizeof<T>() * 8;
  let value: i64 = -((<i64>1) << (bits - 1));
  if (isEmpty(0)) {
    if (!stackFault(false)) return;
  } else {
    if (truncating) setRounding(ZERO);
    unpackRegister(0);
    value = integerOfA(bits);
    if (!settleStore()) return;
  }
  write<T>(address, <T>value);
  done(before, popping);
}
/** NaNs of either kind and unsupported formats are invalid here. */
function integerOfA(bits: u32): i64 {
  if (aKind >= KIND_QUIET) {
    raiseFlags(IE);
    return -((<i64>1) << (bits - 1));
  }
  passA();
  return packInteger(bits);
}

/** FST and FSTP ST(i). */
export function storeRegister(i: u32, popping: bool): void {
  setC1(false);
  if (isEmpty(0)) {
    if (underflow(i) && popping) pop();
    return;
  }
  const at = place(0);
  setRegister(i, load<u16>(at, 8), load<u64>(at));
  if (popping) pop();
}

export function exchange(i: u32): void {
  setC1(false);
  if (isEmpty(0) || isEmpty(i)) {
    if (!stackFault(false)) return;
    if (isEmpty(0)) setRegister(0, DEFAULT_EXP, DEFAULT_SIG);
    if (isEmpty(i)) setRegister(i, DEFAULT_EXP, DEFAULT_SIG);
  }
  const a = place(0),
    b = place(i);
  const sig = load<u64>(a),
    signExp = load<u16>(a, 8);
  setRegister(0, load<u16>(b, 8), load<u64>(b));
  setRegister(i, signExp, sig);
}

/** FCMOVcc. C1 is left alone unless there is a stack fault. */
export function moveIf(condition: bool, i: u32): void {
  if (isEmpty(0) || isEmpty(i)) {
    underflow(0);
    return;
  }
  const at = place(i);
  if (condition) setRegister(0, load<u16>(at, 8), load<u64>(at));
}

const LARGEST_DECIMAL: i64 = 999_999_999_999_999_999;

/** FBLD: 18 decimal digits, sign in bit 79. */
export function loadDecimal(address: u64): void {
  if (!readBytes(address, SCRATCH + 64, 10)) return;
  begin();
  if (!hasRoom()) return;
  let value: i64 = 0;
  for (let i: i32 = 8; i >= 0; i--) {
    const byte: u32 = load<u8>(SCRATCH + 64 + i);
    value = value * 100 + (byte >> 4) * 10 + (byte & 15);
  }
  unpackInteger(value);
  passA();
  const negative = (load<u8>(SCRATCH + 64, 9) & 0x80) != 0;
  finishPush();
  if (negative) store<u16>(place(0), load<u16>(place(0), 8) | 0x8000, 8);
}

/** FBSTP. What does not fit is the packed decimal indefinite. */
export function storeDecimal(address: u64): void {
  const before = load<u32>(FSW);
  begin();
  let value: i64 = 0;
  let fits = false;
  let negative = false;
  if (isEmpty(0)) {
    if (!stackFault(false)) return;
  } else {
    unpackRegister(0);
    negative = (load<u16>(place(0), 8) & 0x8000) != 0;
    value = integerOfA(64);
    if (value < 0) value = -value;
    fits = value >= 0 && value <= LARGEST_DECIMAL && (flags & IE) == 0;
    if (!fits) {
      clearFlags();
      raiseFlags(IE);
      setRoundedUp(false);
    }
    if (!settleStore()) return;
  }
  const at = SCRATCH + 64;
  if (!fits) {
    store<u64>(at, 0xc000000000000000);
    store<u16>(at, 0xffff, 8);
  } else {
    for (let i: u32 = 0; i < 9; i++) {
      const pair = <u32>(value % 100);
      value /= 100;
      store<u8>(at + i, <u8>(((pair / 10) << 4) | (pair % 10)));
    }
    store<u8>(at, negative ? 0x80 : 0, 9);
  }
  writeBytes(address, at, 10);
  done(before, true);
}
