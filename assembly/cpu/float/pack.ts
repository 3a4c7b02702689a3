/**
 * The result of an operation, and its rounding into a format. An operation leaves kind, sign, exponent and a
 * significand of 128 bits (`sig` with its top bit set, `low` behind it, the last bit sticky); pack rounds once.
 *
 * Underflow is detected after rounding, as if the exponent had no bounds. Masked, it is reported when the result is
 * tiny and inexact; unmasked, when it is tiny. SDM 1, 4.9.1.4 to 4.9.1.6.
 */
import {
  DOWN,
  flushToZero,
  IE,
  masks,
  NEAREST,
  OE,
  PE,
  precision,
  raiseFlags,
  rounding,
  setRoundedUp,
  UE,
  UP,
} from "./control";
import { KIND_FINITE, KIND_INFINITE, KIND_QUIET, KIND_ZERO } from "./unpack";

let kind: u32 = 0;
let sign: u32 = 0;
let exp: i32 = 0;
let sig: u64 = 0;
let low: u64 = 0;
let inexact: bool = false;

/** Result of pack80: sign and exponent, significand. */
export let x80Exp: u32 = 0;
export let x80Sig: u64 = 0;
/** What an unmasked overflow or underflow adds to the exponent of an x87 register (SDM 1, 8.5.4). */
const BIAS_ADJUST: i32 = 24576;

export function finite(resultSign: u32, resultExp: i32, resultSig: u64, resultLow: u64): void {
  kind = KIND_FINITE;
  sign = resultSign;
  exp = resultExp;
  sig = resultSig;
  low = resultLow;
}
export function zero(resultSign: u32): void {
  kind = KIND_ZERO;
  sign = resultSign;
  sig = 0;
}
export function infinite(resultSign: u32): void {
  kind = KIND_INFINITE;
  sign = resultSign;
  sig = 0x8000000000000000;
}
/** A NaN, made quiet. */
export function nan(resultSign: u32, resultSig: u64): void {
  kind = KIND_QUIET;
  sign = resultSign;
  sig = resultSig | 0xc000000000000000;
}
/** An invalid operation: the default NaN. */
export function invalid(): void {
  raiseFlags(IE);
  nan(1, 0);
}

/** Whether dropping `frac` behind `odd` rounds the magnitude up. */
function roundsUp(frac: u64, odd: bool): bool {
  if (frac == 0) return false;
  if (rounding == NEAREST) return frac > 0x8000000000000000 || (frac == 0x8000000000000000 && odd);
  return sign != 0 ? rounding == DOWN : rounding == UP;
}
/** What lies behind the last kept bit when `drop` bits of sig go, left-aligned. */
function fractionBehind(drop: u32): u64 {
  return drop == 0 ? low : (sig << (64 - drop)) | (low != 0 ? 1 : 0);
}

/** Rounds away the last `drop` bits (0 to 63) of sig and all of low. */
function roundOff(drop: u32): void {
  const frac = fractionBehind(drop);
  const unit = (<u64>1) << drop;
  inexact = frac != 0;
  const up = roundsUp(frac, (sig & unit) != 0);
  setRoundedUp(up);
  if (!inexact) return;
  raiseFlags(PE);
  sig &= ~(unit - 1);
  if (!up) return;
  sig += unit;
  if (sig == 0) {
    sig = 0x8000000000000000;
    exp++;
  }
}

/** Whether rounding as if unbounded reaches the next power of two. */
function carries(drop: u32): bool {
  const unit = (<u64>1) << drop;
  return (sig | (unit - 1)) == u64.MAX_VALUE && roundsUp(fractionBehind(drop), true);
}

/** sig and low to the right, what falls out being sticky. */
function shiftRight(by: u32): void {
  if (by == 0) return;
  if (by < 64) {
    low = (low >> by) | (sig << (64 - by)) | (low << (64 - by) != 0 ? 1 : 0);
    sig >>= by;
  } else {
    const lost: u64 = by > 64 ? (by < 128 ? sig << (128 - by) : sig) | low : low;
    low = (by < 128 ? sig >> (by - 64) : 0) | (lost != 0 ? 1 : 0);
    sig = 0;
  }
}

/** True when overflow gives the largest finite number instead of infinity. */
function overflowsToFinite(): bool {
  return rounding != NEAREST && (sign != 0 ? rounding != DOWN : rounding != UP);
}

/** The result in single (u32) or double (u64) precision. */
export function pack<T>(): T {
  const top: T = sizeof<T>() == 4 ? (<T>sign) << 31 : <T>((<u64>sign) << 63);
  if (kind == KIND_ZERO) return top;
  const special: T = sizeof<T>() == 4 ? <T>0x7f800000 : <T>0x7ff0000000000000;
  const drop: u32 = sizeof<T>() == 4 ? 40 : 11;
  if (kind != KIND_FINITE) return top | special | <T>((sig << 1) >> (drop + 1));
  const least: i32 = sizeof<T>() == 4 ? -126 : -1022;
  if (exp >= least) {
    roundOff(drop);
    if (exp > (sizeof<T>() == 4 ? 127 : 1023)) {
      const keep = overflowsToFinite();
      raiseFlags(OE);
      if ((masks & OE) == 0) return top; // never used
      raiseFlags(PE);
      setRoundedUp(!keep);
      return top | (keep ? special - 1 : special);
    }
    return top | (((<T>(exp - least)) << (<T>(63 - drop))) + <T>(sig >> drop));
  }
  const tiny = exp < least - 1 || !carries(drop);
  if (tiny) {
    if ((masks & UE) == 0) {
      raiseFlags(UE);
      roundOff(drop);
      return top; // never used
    }
    if (flushToZero) {
      raiseFlags(UE | PE);
      return top;
    }
  }
  shiftRight(<u32>(least - exp));
  roundOff(drop);
  if (tiny && inexact) raiseFlags(UE);
  return top | <T>(sig >> drop);
}

/** The result in the 80-bit format, with `bits` significant bits, into x80Exp and x80Sig. */
export function pack80To(bits: u32): void {
  x80Sig = sig;
  x80Exp = sign << 15;
  if (kind == KIND_ZERO) return;
  if (kind != KIND_FINITE) {
    x80Exp |= 0x7fff;
    return;
  }
  const drop = 64 - bits;
  if (exp < -16382) {
    const tiny = exp < -16383 || !carries(drop);
    if (!tiny || (masks & UE) != 0) {
      shiftRight(<u32>(-16382 - exp));
      roundOff(drop);
      if (tiny && inexact) raiseFlags(UE);
      x80Sig = sig;
      x80Exp |= sig >> 63 != 0 ? 1 : 0;
      return;
    }
    raiseFlags(UE);
    exp += BIAS_ADJUST;
    roundOff(drop);
    if (exp < -16382) {
      // Too small even so, which only FSCALE can be: zero.
      raiseFlags(PE);
      x80Sig = 0;
      return;
    }
  } else roundOff(drop);
  if (exp > 16383) {
    raiseFlags(OE);
    if ((masks & OE) != 0 || exp - BIAS_ADJUST > 16383) {
      raiseFlags(PE);
      const keep = overflowsToFinite() && (masks & OE) != 0;
      setRoundedUp(!keep);
      x80Exp |= keep ? 0x7ffe : 0x7fff;
      x80Sig = keep ? u64.MAX_VALUE << drop : 0x8000000000000000;
      return;
    }
    exp -= BIAS_ADJUST;
  }
  x80Sig = sig;
  x80Exp |= <u32>(exp + 16383);
}
/** With the precision of the control word. */
export function pack80(): void {
  pack80To(precision);
}

/**
 * The result rounded to an integer of `bits` bits, two's complement; out of range: IE and the integer indefinite,
 * which is the most negative one.
 */
export function packInteger(bits: u32): i64 {
  const indefinite: i64 = -((<i64>1) << (bits - 1));
  if (kind == KIND_ZERO) return 0;
  if (kind != KIND_FINITE || exp > 63) {
    raiseFlags(IE);
    return indefinite;
  }
  const magnitude = roundedMagnitude();
  const limit: u64 = (<u64>1) << (bits - 1);
  if (magnitude == u64.MAX_VALUE || magnitude > limit || (magnitude == limit && sign == 0)) {
    raiseFlags(IE);
    setRoundedUp(false);
    return indefinite;
  }
  if (inexact) raiseFlags(PE);
  return sign != 0 ? -(<i64>magnitude) : <i64>magnitude;
}

/** sig rounded to an integer for an exponent of at most 63; u64.MAX_VALUE stands for anything above 2^64 - 2. */
function roundedMagnitude(): u64 {
  const whole: u64 = exp < 0 ? 0 : sig >> (63 - exp);
  const frac: u64 =
    exp >= 0
      ? exp == 63
        ? low
        : (sig << (exp + 1)) | (low != 0 ? 1 : 0)
      : exp == -1
        ? sig | (low != 0 ? 1 : 0)
        : 1;
  inexact = frac != 0;
  const up = roundsUp(frac, (whole & 1) != 0);
  setRoundedUp(up);
  return up && whole != u64.MAX_VALUE ? whole + 1 : whole;
}

/** Rounds the result to an integral value of the same kind; `quiet` leaves PE alone. */
export function roundIntegral(quiet: bool): void {
  setRoundedUp(false);
  if (kind != KIND_FINITE || exp >= 63) return;
  const magnitude = roundedMagnitude();
  if (inexact && !quiet) raiseFlags(PE);
  if (magnitude == 0) return zero(sign);
  const shift = clz(magnitude);
  finite(sign, 63 - <i32>shift, magnitude << shift, 0);
}
