/**
 * Add, multiply, divide, square root and comparison of the operands in unpack.ts; the result is left in pack.ts.
 * Priority: signalling NaNs and unsupported formats, quiet NaNs, other invalid operations and division by zero,
 * denormal operands (SDM 1, table 4-11 and 8.7).
 */
import { DE, DOWN, IE, raiseFlags, rounding, x87Nans, ZE } from "./control";
import { finite, infinite, invalid, nan, zero } from "./pack";
import {
  aDenormal,
  aExp,
  aKind,
  aSig,
  aSign,
  bDenormal,
  bExp,
  bKind,
  bSig,
  bSign,
  KIND_FINITE,
  KIND_INFINITE,
  KIND_QUIET,
  KIND_SIGNALLING,
  KIND_UNSUPPORTED,
  KIND_ZERO,
  swapOperands,
} from "./unpack";
import { divideWide, high, low, multiplyWide, remainder, remainderCarry, squareRoot } from "./wide";

/** The NaN that two operands give. SDM 1, table 4-7. */
export function propagateNan(): void {
  if (aKind == KIND_UNSUPPORTED || bKind == KIND_UNSUPPORTED) return invalid();
  if (aKind == KIND_SIGNALLING || bKind == KIND_SIGNALLING) raiseFlags(IE);
  if (aKind < KIND_QUIET) return nan(bSign, bSig);
  if (bKind < KIND_QUIET) return nan(aSign, aSig);
  let first = true;
  if (x87Nans) {
    if (aKind != bKind) first = aKind == KIND_QUIET;
    else if (aSig != bSig) first = aSig > bSig;
    else first = aSign <= bSign;
  }
  if (first) nan(aSign, aSig);
  else nan(bSign, bSig);
}

/** The NaN that operand a gives alone. */
export function propagateNanOfA(): void {
  if (aKind == KIND_UNSUPPORTED) return invalid();
  if (aKind == KIND_SIGNALLING) raiseFlags(IE);
  nan(aSign, aSig);
}

export function noteDenormals(): void {
  if (aDenormal || bDenormal) raiseFlags(DE);
}

/** a + b. */
export function addOperands(): void {
  if (aKind >= KIND_QUIET || bKind >= KIND_QUIET) return propagateNan();
  if (aKind == KIND_INFINITE || bKind == KIND_INFINITE) {
    if (aKind == bKind && aSign != bSign) return invalid();
    noteDenormals();
    return infinite(aKind == KIND_INFINITE ? aSign : bSign);
  }
  noteDenormals();
  if (aKind == KIND_ZERO) {
    if (bKind != KIND_ZERO) return finite(bSign, bExp, bSig, 0);
    return zero(aSign == bSign ? aSign : rounding == DOWN ? 1 : 0);
  }
  if (bKind == KIND_ZERO) return finite(aSign, aExp, aSig, 0);
  if (aExp < bExp || (aExp == bExp && aSig < bSig)) swapOperands();
  const distance = <u32>(aExp - bExp);
  let h: u64 = 0,
    l: u64 = 0;
  if (distance == 0) h = bSig;
  else if (distance < 64) {
    h = bSig >> distance;
    l = bSig << (64 - distance);
  } else if (distance == 64) l = bSig;
  else if (distance < 128) l = (bSig >> (distance - 64)) | (bSig << (128 - distance) != 0 ? 1 : 0);
  else l = 1;
  if (aSign == bSign) {
    const sum = aSig + h;
    if (sum < h) finite(aSign, aExp + 1, (sum >> 1) | 0x8000000000000000, (l >> 1) | (l & 1) | (sum << 63));
    else finite(aSign, aExp, sum, l);
    return;
  }
  h = aSig - h - (l != 0 ? 1 : 0);
  l = 0 - l;
  if (h == 0) {
    if (l == 0) return zero(rounding == DOWN ? 1 : 0);
    const shift = clz(l);
    return finite(aSign, aExp - 64 - <i32>shift, l << shift, 0);
  }
  const shift = clz(h);
  if (shift != 0) {
    h = (h << shift) | (l >> (64 - shift));
    l <<= shift;
  }
  finite(aSign, aExp - <i32>shift, h, l);
}

/** a * b. */
export function multiplyOperands(): void {
  if (aKind >= KIND_QUIET || bKind >= KIND_QUIET) return propagateNan();
  const sign = aSign ^ bSign;
  if (aKind == KIND_INFINITE || bKind == KIND_INFINITE) {
    if (aKind == KIND_ZERO || bKind == KIND_ZERO) return invalid();
    noteDenormals();
    return infinite(sign);
  }
  noteDenormals();
  if (aKind == KIND_ZERO || bKind == KIND_ZERO) return zero(sign);
  multiplyWide(aSig, bSig);
  if (high >> 63 != 0) finite(sign, aExp + bExp + 1, high, low);
  else finite(sign, aExp + bExp, (high << 1) | (low >> 63), low << 1);
}

/** a / b. */
export function divideOperands(): void {
  if (aKind >= KIND_QUIET || bKind >= KIND_QUIET) return propagateNan();
  const sign = aSign ^ bSign;
  if (aKind == KIND_INFINITE) {
    if (bKind == KIND_INFINITE) return invalid();
    noteDenormals();
    return infinite(sign);
  }
  if (bKind == KIND_ZERO) {
    if (aKind == KIND_ZERO) return invalid();
    raiseFlags(ZE);
    return infinite(sign);
  }
  noteDenormals();
  if (bKind == KIND_INFINITE || aKind == KIND_ZERO) return zero(sign);
  const under = aSig < bSig;
  const quotient = under ? divideWide(aSig, 0, bSig) : divideWide(aSig >> 1, aSig << 63, bSig);
  finite(sign, aExp - bExp - (under ? 1 : 0), quotient, behind(remainder, bSig));
}

/** The bits behind a quotient: less than, equal to, more than half, or none. */
export function behind(rest: u64, divisor: u64): u64 {
  if (rest == 0) return 0;
  const other = divisor - rest;
  return rest > other ? 0xc000000000000000 : rest == other ? 0x8000000000000000 : 0x4000000000000000;
}

/** Square root of a. */
export function rootOfA(): void {
  if (aKind >= KIND_QUIET) return propagateNanOfA();
  if (aKind == KIND_ZERO) return zero(aSign);
  if (aSign != 0) return invalid();
  if (aKind == KIND_INFINITE) return infinite(0);
  if (aDenormal) raiseFlags(DE);
  // An even exponent keeps sig below one half of the root's square, so that the root has 64 bits.
  const odd = (aExp & 1) != 0;
  const root = odd ? squareRoot(aSig, 0) : squareRoot(aSig >> 1, aSig << 63);
  const half = remainderCarry || remainder > root;
  finite(0, aExp >> 1, root, half ? 0xc000000000000000 : remainder != 0 ? 0x4000000000000000 : 0);
}

export const LESS: u32 = 0;
export const EQUAL: u32 = 1;
export const GREATER: u32 = 2;
export const UNORDERED: u32 = 3;

/** Compares a with b. `signalling`: a quiet NaN too is an invalid operation. */
export function compareOperands(signalling: bool): u32 {
  if (aKind >= KIND_QUIET || bKind >= KIND_QUIET) {
    if (signalling || aKind >= KIND_SIGNALLING || bKind >= KIND_SIGNALLING) raiseFlags(IE);
    return UNORDERED;
  }
  noteDenormals();
  if (aKind == KIND_ZERO && bKind == KIND_ZERO) return EQUAL;
  const aNegative = aSign != 0,
    bNegative = bSign != 0;
  if (aKind == KIND_ZERO) return bNegative ? GREATER : LESS;
  if (bKind == KIND_ZERO) return aNegative ? LESS : GREATER;
  if (aNegative != bNegative) return aNegative ? LESS : GREATER;
  let larger: bool;
  if (aKind == KIND_INFINITE || bKind == KIND_INFINITE) {
    if (aKind == bKind) return EQUAL;
    larger = aKind == KIND_INFINITE;
  } else if (aExp != bExp) larger = aExp > bExp;
  else if (aSig != bSig) larger = aSig > bSig;
  else return EQUAL;
  return larger != aNegative ? GREATER : LESS;
}

/** Operand a as the result, to be converted to another format. */
export function passA(): void {
  if (aKind >= KIND_QUIET) propagateNanOfA();
  else if (aKind == KIND_INFINITE) infinite(aSign);
  else if (aKind == KIND_FINITE) finite(aSign, aExp, aSig, 0);
  else zero(aSign);
}
