/**
 * Operands taken apart: kind, sign, exponent, and a significand whose top bit is its integer bit, so that a
 * finite value is sig * 2^(exp - 63). Denormals are normalized and marked; with denormals-are-zeros they are zeros.
 * The significand of a NaN keeps its place: bit 62 is the quiet bit. SDM 1, 4.2.2, 4.8.3.
 */
import { denormalsAreZero } from "./control";

export const KIND_ZERO: u32 = 0;
export const KIND_FINITE: u32 = 1;
export const KIND_INFINITE: u32 = 2;
export const KIND_QUIET: u32 = 3;
export const KIND_SIGNALLING: u32 = 4;
/** Unnormals, pseudo-infinities and pseudo-NaNs of the 80-bit format: invalid wherever they are used. */
export const KIND_UNSUPPORTED: u32 = 5;

export let aKind: u32 = 0;
export let aSign: u32 = 0;
export let aExp: i32 = 0;
export let aSig: u64 = 0;
export let aDenormal: bool = false;

export let bKind: u32 = 0;
export let bSign: u32 = 0;
export let bExp: i32 = 0;
export let bSig: u64 = 0;
export let bDenormal: bool = false;

/** Operand a; T is u32 for single, u64 for double precision. */
export function unpack<T>(bits: T): void {
  const field: u32 = sizeof<T>() == 4 ? <u32>(bits >> 23) & 0xff : <u32>(<u64>bits >> 52) & 0x7ff;
  const fraction: u64 = sizeof<T>() == 4 ? (<u64>bits) << 41 : (<u64>bits) << 12;
  aSign = sizeof<T>() == 4 ? <u32>bits >> 31 : <u32>(<u64>bits >> 63);
  aDenormal = false;
  if (field == (sizeof<T>() == 4 ? 0xff : 0x7ff)) {
    aKind = fraction == 0 ? KIND_INFINITE : fraction >> 63 != 0 ? KIND_QUIET : KIND_SIGNALLING;
    aSig = (fraction >> 1) | 0x8000000000000000;
  } else if (field != 0) {
    aKind = KIND_FINITE;
    aExp = <i32>field - (sizeof<T>() == 4 ? 127 : 1023);
    aSig = (fraction >> 1) | 0x8000000000000000;
  } else if (fraction == 0 || denormalsAreZero) {
    aKind = KIND_ZERO;
    aSig = 0;
  } else {
    const shift = clz(fraction);
    aKind = KIND_FINITE;
    aExp = (sizeof<T>() == 4 ? -127 : -1023) - <i32>shift;
    aSig = fraction << shift;
    aDenormal = true;
  }
}

export function unpackPair<T>(a: T, b: T): void {
  unpack<T>(b);
  moveToB();
  unpack<T>(a);
}

/** Operand a from sign and exponent, significand. */
export function unpack80(signExp: u32, sig: u64): void {
  const field = signExp & 0x7fff;
  aSign = (signExp >> 15) & 1;
  aDenormal = false;
  aSig = sig;
  aExp = <i32>field - 16383;
  if (field == 0) {
    if (sig == 0) {
      aKind = KIND_ZERO;
      return;
    }
    const shift = clz(sig);
    aKind = KIND_FINITE;
    aExp = -16382 - <i32>shift;
    aSig = sig << shift;
    aDenormal = true;
  } else if (sig >> 63 == 0) aKind = KIND_UNSUPPORTED;
  else if (field != 0x7fff) aKind = KIND_FINITE;
  else aKind = sig << 1 == 0 ? KIND_INFINITE : (sig >> 62) & 1 ? KIND_QUIET : KIND_SIGNALLING;
}

export function moveToB(): void {
  bKind = aKind;
  bSign = aSign;
  bExp = aExp;
  bSig = aSig;
  bDenormal = aDenormal;
}
export function swapOperands(): void {
  const kind = bKind,
    sign = bSign,
    exp = bExp,
    sig = bSig,
    denormal = bDenormal;
  moveToB();
  aKind = kind;
  aSign = sign;
  aExp = exp;
  aSig = sig;
  aDenormal = denormal;
}
export function negateB(): void {
  bSign ^= 1;
}
/** An integer as operand a. */
export function unpackInteger(value: i64): void {
  aDenormal = false;
  aSign = value < 0 ? 1 : 0;
  if (value == 0) {
    aKind = KIND_ZERO;
    aSig = 0;
    return;
  }
  const magnitude: u64 = value < 0 ? 0 - <u64>value : <u64>value;
  const shift = clz(magnitude);
  aKind = KIND_FINITE;
  aExp = 63 - <i32>shift;
  aSig = magnitude << shift;
}
