/** FPREM, FPREM1, FSCALE, FXTRACT, FRNDINT: exact operations on exponent and significand. */
import { noteDenormals, passA, propagateNan, propagateNanOfA } from "../float/arithmetic";
import { DE, raiseFlags, roundedUp, setRoundedUp, ZE } from "../float/control";
import { finite, infinite, invalid, pack80To, roundIntegral, x80Exp, x80Sig, zero } from "../float/pack";
import {
  aDenormal,
  aExp,
  aKind,
  aSig,
  aSign,
  bExp,
  bKind,
  bSig,
  bSign,
  KIND_FINITE,
  KIND_INFINITE,
  KIND_QUIET,
  KIND_ZERO,
  unpackInteger,
} from "../float/unpack";
import {
  begin,
  DEFAULT_EXP,
  DEFAULT_SIG,
  finishFull,
  isEmpty,
  push,
  SW_C0,
  SW_C1,
  SW_C2,
  SW_C3,
  setC2,
  setConditions,
  setRegister,
  settle,
  stackFault,
  underflow,
  unpackRegister,
  unpackWith,
} from "./stack";

/**
 * ST(0) modulo ST(1), the quotient truncated (FPREM) or to nearest (FPREM1). Exponents that differ by 64 or more are
 * brought nearer by 32 to 63 a time, with C2 set. Without a quotient C0 and C3 stay as they were.
 */
export function remainder(nearest: bool): void {
  begin();
  setC2(false);
  if (isEmpty(0) || isEmpty(1)) {
    underflow(0);
    return;
  }
  unpackWith(1);
  if (aKind >= KIND_QUIET || bKind >= KIND_QUIET) propagateNan();
  else if (aKind == KIND_INFINITE || bKind == KIND_ZERO) invalid();
  else {
    noteDenormals();
    const distance = aExp - bExp;
    const least = nearest ? -1 : 0;
    if (aKind == KIND_ZERO || bKind == KIND_INFINITE || distance < least) {
      setConditions(0);
      passA();
    } else return reduce(distance, nearest);
  }
  finishFull(0);
}

function reduce(distance: i32, nearest: bool): void {
  const partial = distance >= 64;
  const steps = partial ? (distance & 31) | 32 : distance;
  let quotient: u64 = 0,
    rest = aSig,
    sign = aSign,
    exp = bExp + distance - steps;
  if (steps < 0) {
    // Half of b at most, plus: the quotient is 0 or 1.
    if (rest > bSig) {
      quotient = 1;
      rest = bSig - (rest - bSig);
      sign ^= 1;
    }
    exp--;
  } else {
    if (rest >= bSig) {
      rest -= bSig;
      quotient = 1;
    }
    for (let i = 0; i < steps; i++) {
      const carry = rest >> 63 != 0;
      rest <<= 1;
      quotient <<= 1;
      if (carry || rest >= bSig) {
        rest -= bSig;
        quotient |= 1;
      }
    }
    if (nearest && !partial) {
      const other = bSig - rest;
      if (rest > other || (rest == other && (quotient & 1) != 0)) {
        rest = other;
        quotient++;
        sign ^= 1;
      }
    }
  }
  if (rest == 0) zero(aSign);
  else {
    const shift = clz(rest);
    finite(sign, exp - <i32>shift, rest << shift, 0);
  }
  if (!finishFull(0)) return;
  setConditions(
    partial
      ? SW_C2
      : ((quotient & 4) != 0 ? SW_C0 : 0) |
          ((quotient & 2) != 0 ? SW_C3 : 0) |
          ((quotient & 1) != 0 ? SW_C1 : 0),
  );
}

/** ST(0) times two to the power of ST(1), truncated. */
export function scale(): void {
  begin();
  if (isEmpty(0) || isEmpty(1)) {
    underflow(0);
    return;
  }
  unpackWith(1);
  if (aKind >= KIND_QUIET || bKind >= KIND_QUIET) propagateNan();
  else if (bKind == KIND_INFINITE) {
    if (aKind == (bSign != 0 ? KIND_INFINITE : KIND_ZERO)) invalid();
    else {
      noteDenormals();
      if (bSign != 0) zero(aSign);
      else infinite(aSign);
    }
  } else {
    noteDenormals();
    if (aKind != KIND_FINITE || bKind == KIND_ZERO || bExp < 0) passA();
    else {
      const by = bExp > 16 ? 0x20000 : <i32>(bSig >> (63 - bExp));
      finite(aSign, aExp + (bSign != 0 ? -by : by), aSig, 0);
    }
  }
  finishFull(0);
}

/** Exponent into ST(0), significand pushed. */
export function extract(): void {
  begin();
  if (isEmpty(0) || !isEmpty(7)) {
    if (!stackFault(!isEmpty(0))) return;
    setRegister(0, DEFAULT_EXP, DEFAULT_SIG);
    return push(DEFAULT_EXP, DEFAULT_SIG);
  }
  unpackRegister(0);
  if (aKind >= KIND_QUIET) propagateNanOfA();
  else if (aKind == KIND_ZERO) {
    raiseFlags(ZE);
    zero(aSign);
  } else if (aKind == KIND_INFINITE) infinite(aSign);
  else {
    if (aDenormal) raiseFlags(DE);
    finite(aSign, 0, aSig, 0);
  }
  const kind = aKind;
  pack80To(64);
  if (!settle()) return;
  const signExp = x80Exp,
    sig = x80Sig;
  if (kind == KIND_FINITE) {
    unpackInteger(aExp);
    passA();
  } else if (kind < KIND_QUIET) infinite(kind == KIND_ZERO ? 1 : 0);
  pack80To(64);
  setRegister(0, x80Exp, x80Sig);
  push(signExp, sig);
}

export function roundToInteger(): void {
  begin();
  if (isEmpty(0)) {
    underflow(0);
    return;
  }
  unpackRegister(0);
  if (aDenormal) raiseFlags(DE);
  passA();
  roundIntegral(false);
  const up = roundedUp;
  pack80To(64);
  setRoundedUp(up);
  if (settle()) setRegister(0, x80Exp, x80Sig);
}
