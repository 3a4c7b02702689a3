/**
 * F2XM1, FYL2X, FYL2XP1, FPTAN, FPATAN, FSIN, FCOS, FSINCOS, to about 120 bits and then rounded once as RC says: within
 * half a unit in the last place but for one case in 2^50. Angles are reduced with the 66-bit pi of SDM 1, 8.3.8.
 */
import { noteDenormals, passA, propagateNan, propagateNanOfA } from "../float/arithmetic";
import { DE, raiseFlags, ZE } from "../float/control";
import {
  addW,
  divideW,
  exponentialSeries,
  fHigh,
  fixedOfW,
  fLow,
  growW,
  multiplyFixed,
  multiplyW,
  oddSeries,
  setNormalized,
  setW,
  shrinkW,
  subtractW,
  trigonometricSeries,
  wExp,
  wHigh,
  wLow,
} from "../float/extended";
import { finite, infinite, invalid, pack80To, x80Exp, x80Sig, zero } from "../float/pack";
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
  KIND_ZERO,
} from "../float/unpack";
import {
  begin,
  DEFAULT_EXP,
  DEFAULT_SIG,
  finishFull,
  isEmpty,
  isRefused,
  pop,
  push,
  setC2,
  setRegister,
  settle,
  stackFault,
  underflow,
  unpackRegister,
  unpackWith,
} from "./stack";

const ONE: u64 = 0x8000000000000000;
/** ln 2 = 0.69 (exponent -1), log2 e = 1.44 (exponent 0), pi (exponent 1). */
const LN2_HIGH: u64 = 0xb17217f7d1cf79ab;
const LN2_LOW: u64 = 0xc9e3b39803f2f6af;
const LOG2E_HIGH: u64 = 0xb8aa3b295c17f0bb;
const LOG2E_LOW: u64 = 0xbe87fed0691d3e89;
const PI_HIGH: u64 = 0xc90fdaa22168c234;
const PI_LOW: u64 = 0xc4c6628b80dc1cd1;
/** Half of the 66-bit pi, in units of 2^-65. */
const QUARTER_TURN_HIGH: u64 = 3;
const QUARTER_TURN_LOW: u64 = 0x243f6a8885a308d3;

/** w as the result; it is never exact. */
function resultW(sign: u32): void {
  finite(sign, wExp, wHigh, wLow | 1);
}

// ---- sine, cosine, tangent ----

let angleExp: i32 = 0;
let angleHigh: u64 = 0;
let angleLow: u64 = 0;
let angleNegative: bool = false;
let quadrant: u32 = 0;

/** |a| to an angle of at most an eighth of a turn, and the number of quarters taken off. */
function reduceAngle(): void {
  quadrant = 0;
  angleNegative = false;
  if (aExp < -1 || (aExp == -1 && aSig <= PI_HIGH)) {
    angleExp = aExp;
    angleHigh = aSig;
    angleLow = 0;
    return;
  }
  let h: u64 = 0,
    l = aSig;
  for (let i = aExp + 2; i > 0; i--) {
    h = (h << 1) | (l >> 63);
    l <<= 1;
    quadrant <<= 1;
    if (h > QUARTER_TURN_HIGH || (h == QUARTER_TURN_HIGH && l >= QUARTER_TURN_LOW)) {
      h = h - QUARTER_TURN_HIGH - (l < QUARTER_TURN_LOW ? 1 : 0);
      l -= QUARTER_TURN_LOW;
      quadrant |= 1;
    }
  }
  const otherHigh = QUARTER_TURN_HIGH - h - (QUARTER_TURN_LOW < l ? 1 : 0),
    otherLow = QUARTER_TURN_LOW - l;
  if (h > otherHigh || (h == otherHigh && l > otherLow)) {
    h = otherHigh;
    l = otherLow;
    angleNegative = true;
    quadrant++;
  }
  setNormalized(62, h, l);
  angleExp = wExp;
  angleHigh = wHigh;
  angleLow = wLow;
}

/** Sine or cosine of the reduced angle, without sign, into w. */
function seriesOfAngle(cosine: bool): void {
  setW(angleExp, angleHigh, angleLow);
  multiplyW(angleExp, angleHigh, angleLow);
  fixedOfW();
  trigonometricSeries(fHigh, fLow, cosine ? 1 : 2);
  if (cosine) setW(0, ONE, 0);
  else setW(angleExp, angleHigh, angleLow);
  shrinkW(fHigh, fLow);
}
/** Sine (turn 0) or cosine (turn 1) of a as the result. */
function sineOfA(turn: u32): void {
  const q = quadrant + turn;
  const cosine = (q & 1) != 0;
  seriesOfAngle(cosine);
  let sign: u32 = (q >> 1) & 1;
  if (!cosine && angleNegative) sign ^= 1;
  resultW(turn == 0 ? sign ^ aSign : sign);
}

/** NaN or infinity in: the NaN to return. */
function nanOfAngle(): void {
  if (aKind == KIND_INFINITE) invalid();
  else propagateNanOfA();
}
/** Magnitudes from 2^63 on are left alone, with C2 set. */
function isOutOfRange(): bool {
  const out = aKind == KIND_FINITE && aExp >= 63;
  setC2(out);
  return out;
}
/** The register for a second result must be free. */
function refusesPush(): bool {
  if (!isEmpty(0) && isEmpty(7)) return false;
  if (stackFault(!isEmpty(0))) {
    setRegister(0, DEFAULT_EXP, DEFAULT_SIG);
    push(DEFAULT_EXP, DEFAULT_SIG);
  }
  return true;
}

/** FSIN, FCOS, or both. */
export function sine(wantsSine: bool, wantsCosine: bool): void {
  begin();
  setC2(false);
  const both = wantsSine && wantsCosine;
  if (both) {
    if (refusesPush()) return;
  } else if (isEmpty(0)) {
    underflow(0);
    return;
  }
  unpackRegister(0);
  if (isOutOfRange()) return;
  if (aKind == KIND_FINITE) {
    if (aDenormal) raiseFlags(DE);
    reduceAngle();
  }
  if (wantsSine) {
    if (aKind >= KIND_INFINITE) nanOfAngle();
    else if (aKind == KIND_ZERO) zero(aSign);
    else sineOfA(0);
    if (!both) {
      finishFull(0);
      return;
    }
    pack80To(64);
  }
  const signExp = x80Exp,
    sig = x80Sig;
  if (aKind >= KIND_INFINITE) nanOfAngle();
  else if (aKind == KIND_ZERO) finite(0, 0, ONE, 0);
  else sineOfA(1);
  if (!finishFull(0) || !both) return;
  const cosineExp = x80Exp,
    cosineSig = x80Sig;
  setRegister(0, signExp, sig);
  push(cosineExp, cosineSig);
}

/** FPTAN: the tangent, and 1 above it. */
export function tangent(): void {
  begin();
  setC2(false);
  if (refusesPush()) return;
  unpackRegister(0);
  if (isOutOfRange()) return;
  if (aKind >= KIND_INFINITE) {
    nanOfAngle();
    if (finishFull(0)) push(x80Exp, x80Sig);
    return;
  }
  if (aKind == KIND_ZERO) zero(aSign);
  else {
    if (aDenormal) raiseFlags(DE);
    reduceAngle();
    const odd = (quadrant & 1) != 0;
    seriesOfAngle(!odd);
    const exp = wExp,
      h = wHigh,
      l = wLow;
    seriesOfAngle(odd);
    divideW(exp, h, l);
    resultW(aSign ^ (odd ? 1 : 0) ^ (angleNegative ? 1 : 0));
  }
  if (finishFull(0)) push(0x3fff, ONE);
}

// ---- arctangent ----

/** atan(k/8) for k from 1 to 8, as fractions of 2^128. */
function tableArctangent(k: u32): void {
  switch (k) {
    case 1:
      return setNormalized(-1, 0x1fd5ba9aac2f6dc6, 0x5912f313e7d111df);
    case 2:
      return setNormalized(-1, 0x3eb6ebf25901bac5, 0x5b71e7bd7de885f9);
    case 3:
      return setNormalized(-1, 0x5bd86507937bc239, 0xc55190916e7f2242);
    case 4:
      return setNormalized(-1, 0x76b19c1586ed3da2, 0xb7f222f65e1d4682);
    case 5:
      return setNormalized(-1, 0x8f005d5ef7f59f9b, 0x5c835e1665c43748);
    case 6:
      return setNormalized(-1, 0xa4bc7d1934f70924, 0x19a87f2a457dac9f);
    case 7:
      return setNormalized(-1, 0xb8053e2bc2319e73, 0xcb2da55210a4443d);
    default:
      return setNormalized(-1, PI_HIGH, PI_LOW);
  }
}

/** Arctangent of w (at most 1) into w, by way of the nearest k/8 when w is not small. */
function arctangentOfW(): void {
  let k: u32 = 0;
  let below = false,
    equal = false;
  if (wExp >= -4) {
    fixedOfWUpToOne();
    k = <u32>((fHigh >> 60) + 1) >> 1;
  }
  if (k != 0) {
    // t' = (t - c) / (1 + t c) with c = k/8
    const shift = clz(<u64>k);
    const cExp = 60 - <i32>shift,
      cSig = (<u64>k) << shift;
    const exp = wExp,
      h = wHigh,
      l = wLow;
    below = exp < cExp || (exp == cExp && h < cSig);
    multiplyW(cExp, cSig, 0);
    addW(0, ONE, 0);
    const dExp = wExp,
      dHigh = wHigh,
      dLow = wLow;
    if (below) {
      setW(cExp, cSig, 0);
      equal = !subtractW(exp, h, l);
    } else {
      setW(exp, h, l);
      equal = !subtractW(cExp, cSig, 0);
    }
    if (!equal) divideW(dExp, dHigh, dLow);
  }
  if (!equal) {
    const exp = wExp,
      h = wHigh,
      l = wLow;
    multiplyW(exp, h, l);
    fixedOfW();
    oddSeries(fHigh, fLow, 16, true);
    setW(exp, h, l);
    shrinkW(fHigh, fLow);
  }
  if (k == 0) return;
  const exp = wExp,
    h = wHigh,
    l = wLow;
  tableArctangent(k);
  if (equal) return;
  if (below) subtractW(exp, h, l);
  else addW(exp, h, l);
}
/** w as a fraction, all ones for 1. */
function fixedOfWUpToOne(): void {
  if (wExp >= 0) setW(-1, u64.MAX_VALUE, u64.MAX_VALUE);
  fixedOfW();
}

/** FPATAN: the angle of the point (ST(0), ST(1)) into ST(1), and pop. SDM 1, table 8-11; 2A, table 3-30. */
export function arctangent(): void {
  begin();
  if (isEmpty(0) || isEmpty(1)) {
    if (underflow(1)) pop();
    return;
  }
  unpackWith(1);
  if (aKind >= KIND_QUIET || bKind >= KIND_QUIET) propagateNan();
  else {
    noteDenormals();
    angleOfPoint();
  }
  if (finishFull(1)) pop();
}
/** x is operand a, y operand b. */
function angleOfPoint(): void {
  if (bKind == KIND_ZERO || (aKind == KIND_INFINITE && bKind != KIND_INFINITE)) {
    if (aSign == 0) return zero(bSign);
    setW(1, PI_HIGH, PI_LOW);
  } else if (aKind == KIND_ZERO || (bKind == KIND_INFINITE && aKind != KIND_INFINITE))
    setW(0, PI_HIGH, PI_LOW);
  else if (aKind == KIND_INFINITE) {
    setW(-1, PI_HIGH, PI_LOW);
    if (aSign != 0) addW(0, PI_HIGH, PI_LOW);
  } else {
    const steep = bExp > aExp || (bExp == aExp && bSig > aSig);
    if (steep) {
      setW(aExp, aSig, 0);
      divideW(bExp, bSig, 0);
    } else {
      setW(bExp, bSig, 0);
      divideW(aExp, aSig, 0);
    }
    arctangentOfW();
    if (steep) {
      const exp = wExp,
        h = wHigh,
        l = wLow;
      setW(0, PI_HIGH, PI_LOW);
      if (aSign == 0) subtractW(exp, h, l);
      else addW(exp, h, l);
    } else if (aSign != 0) {
      const exp = wExp,
        h = wHigh,
        l = wLow;
      setW(1, PI_HIGH, PI_LOW);
      subtractW(exp, h, l);
    }
  }
  resultW(bSign);
}

// ---- exponential and logarithm ----

/** F2XM1: 2^ST(0) - 1. Outside -1 to 1, where the result is undefined, ST(0) stays. */
export function exponential(): void {
  begin();
  if (isEmpty(0)) {
    underflow(0);
    return;
  }
  unpackRegister(0);
  if (aKind >= KIND_QUIET) propagateNanOfA();
  else if (aKind == KIND_INFINITE) {
    if (aSign != 0) finite(1, 0, ONE, 0);
    else infinite(0);
  } else {
    if (aDenormal) raiseFlags(DE);
    if (aKind == KIND_ZERO || aExp > 0 || (aExp == 0 && aSig != ONE)) passA();
    else if (aExp == 0) finite(aSign, aSign != 0 ? -1 : 0, ONE, 0);
    else exponentialOfA();
  }
  finishFull(0);
}
function exponentialOfA(): void {
  setW(aExp, aSig, 0);
  multiplyW(-1, LN2_HIGH, LN2_LOW);
  const exp = wExp,
    h = wHigh,
    l = wLow;
  fixedOfW();
  exponentialSeries(fHigh, fLow);
  setW(exp, h, l);
  growW(fHigh, fLow);
  if (aSign != 0) {
    // 2^-x - 1 = -(2^x - 1) / 2^x
    const rExp = wExp,
      rHigh = wHigh,
      rLow = wLow;
    addW(0, ONE, 0);
    const dExp = wExp,
      dHigh = wHigh,
      dLow = wLow;
    setW(rExp, rHigh, rLow);
    divideW(dExp, dHigh, dLow);
  }
  resultW(aSign);
}

let logarithmSign: u32 = 0;

/** log2((1 + w) / (1 - w)) into w; w below 0.18. */
function areatangentOfW(): void {
  const exp = wExp,
    h = wHigh,
    l = wLow;
  multiplyW(exp, h, l);
  fixedOfW();
  oddSeries(fHigh, fLow, 26, false);
  setW(exp + 1, h, l);
  growW(fHigh, fLow);
  multiplyW(0, LOG2E_HIGH, LOG2E_LOW);
}

const ROOT2: u64 = 0xb504f333f9de6484;
/** log2 of a number, its sign in logarithmSign; false: the logarithm is 0. */
function logarithmOf(exp: i32, h: u64, l: u64): bool {
  let k = exp,
    fraction = 0;
  if (h > ROOT2) {
    fraction = -1;
    k++;
  }
  // m = (h : l) * 2^fraction lies between the square root of one half and that of two.
  const under = fraction != 0;
  let has = true;
  if (under) {
    setW(0, ONE, 0);
    subtractW(-1, h, l);
  } else if (h == ONE && l == 0) has = false;
  else {
    setW(0, h, l);
    subtractW(0, ONE, 0);
  }
  if (has) {
    const nExp = wExp,
      nHigh = wHigh,
      nLow = wLow;
    setW(fraction, h, l);
    addW(0, ONE, 0);
    const dExp = wExp,
      dHigh = wHigh,
      dLow = wLow;
    setW(nExp, nHigh, nLow);
    divideW(dExp, dHigh, dLow);
    areatangentOfW();
  }
  logarithmSign = under ? 1 : 0;
  if (k == 0) return has;
  const magnitude: u64 = k < 0 ? <u64>-k : <u64>k;
  const shift = clz(magnitude);
  const kExp = 63 - <i32>shift,
    kSig = magnitude << shift;
  const kSign: u32 = k < 0 ? 1 : 0;
  if (!has) setW(kExp, kSig, 0);
  else if (kSign == logarithmSign) addW(kExp, kSig, 0);
  else {
    // |log m| is at most one half, |k| at least 1.
    const lExp = wExp,
      lHigh = wHigh,
      lLow = wLow;
    setW(kExp, kSig, 0);
    subtractW(lExp, lHigh, lLow);
  }
  logarithmSign = kSign;
  return true;
}

/** FYL2X: ST(1) * log2(ST(0)), FYL2XP1: ST(1) * log2(ST(0) + 1), into ST(1), and pop. */
export function logarithm(plusOne: bool): void {
  begin();
  if (isEmpty(0) || isEmpty(1)) {
    if (underflow(1)) pop();
    return;
  }
  unpackWith(1);
  if (aKind >= KIND_QUIET || bKind >= KIND_QUIET) propagateNan();
  else if (plusOne) logarithmPlusOne();
  else logarithmOfA();
  if (finishFull(1)) pop();
}

/** y times a logarithm that is 0, infinite, or in w. */
function timesY(sign: u32): void {
  const resultSign = sign ^ bSign;
  noteDenormals();
  if (bKind == KIND_INFINITE) return infinite(resultSign);
  if (bKind == KIND_ZERO) return zero(resultSign);
  const exact = wLow == 0;
  multiplyW(bExp, bSig, 0);
  if (exact) finite(resultSign, wExp, wHigh, wLow);
  else resultW(resultSign);
}
function timesInfinity(sign: u32): void {
  if (bKind == KIND_ZERO) return invalid();
  noteDenormals();
  infinite(sign ^ bSign);
}
function timesZero(): void {
  if (bKind == KIND_INFINITE) return invalid();
  noteDenormals();
  zero(bSign);
}

function logarithmOfA(): void {
  if (aKind == KIND_ZERO) {
    if (bKind == KIND_ZERO) return invalid();
    if (bKind == KIND_INFINITE) return infinite(bSign ^ 1);
    raiseFlags(ZE);
    return infinite(bSign ^ 1);
  }
  if (aSign != 0) return invalid();
  if (aKind == KIND_INFINITE) return timesInfinity(0);
  if (!logarithmOf(aExp, aSig, 0)) return timesZero();
  timesY(logarithmSign);
}

function logarithmPlusOne(): void {
  if (aKind == KIND_INFINITE) {
    if (aSign != 0) return invalid();
    return timesInfinity(0);
  }
  if (aKind == KIND_ZERO) {
    if (bKind == KIND_INFINITE) return invalid();
    noteDenormals();
    return zero(aSign ^ bSign);
  }
  if (aExp < -2 || (aExp == -2 && (aSign == 0 || aSig < 0x9000000000000000))) {
    // s = x / (2 + x)
    setW(1, ONE, 0);
    if (aSign != 0) subtractW(aExp, aSig, 0);
    else addW(aExp, aSig, 0);
    const dExp = wExp,
      dHigh = wHigh,
      dLow = wLow;
    setW(aExp, aSig, 0);
    divideW(dExp, dHigh, dLow);
    areatangentOfW();
    if (wLow == 0) setW(wExp, wHigh, 1);
    return timesY(aSign);
  }
  if (aSign != 0) {
    if (aExp >= 0) return invalid();
    setW(0, ONE, 0);
    subtractW(aExp, aSig, 0);
  } else {
    setW(0, ONE, 0);
    addW(aExp, aSig, 0);
  }
  if (!logarithmOf(wExp, wHigh, wLow)) return timesZero();
  timesY(logarithmSign);
}
