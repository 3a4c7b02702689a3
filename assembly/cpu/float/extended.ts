/**
 * One working number w of 128 significant bits for the transcendental functions, and their power series in fixed
 * point (fractions of 2^128). Each step truncates: an error of a few units in bit 128, some 2^-55 units in the
 * last place of an 80-bit result. w is positive: wHigh * 2^-63 * 2^wExp, wLow behind it.
 */
import { high, low, multiplyWide } from "./wide";

export let wExp: i32 = 0;
export let wHigh: u64 = 0;
export let wLow: u64 = 0;
/** Result of the fixed-point functions. */
export let fHigh: u64 = 0;
export let fLow: u64 = 0;

export function setW(exp: i32, h: u64, l: u64): void {
  wExp = exp;
  wHigh = h;
  wLow = l;
}
function normalize(): void {
  if (wHigh == 0) {
    wHigh = wLow;
    wLow = 0;
    wExp -= 64;
  }
  const shift = clz(wHigh);
  if (shift == 0 || shift == 64) return;
  wHigh = (wHigh << shift) | (wLow >> (64 - shift));
  wLow <<= shift;
  wExp -= <i32>shift;
}
/** w = (h : l) * 2^-127 * 2^exp, not all zero. */
export function setNormalized(exp: i32, h: u64, l: u64): void {
  setW(exp, h, l);
  normalize();
}

/** Upper half of the product of two fractions. */
export function multiplyFixed(ah: u64, al: u64, bh: u64, bl: u64): void {
  multiplyWide(ah, bl);
  const m1 = high,
    c1 = low;
  multiplyWide(al, bh);
  const m2 = high,
    c2 = low;
  multiplyWide(ah, bh);
  let l = low + m1;
  let h = high + (l < m1 ? 1 : 0);
  l += m2;
  if (l < m2) h++;
  if (c1 + c2 < c1 && ++l == 0) h++;
  fHigh = h;
  fLow = l;
}
/** A fraction divided by a small integer. */
export function divideFixed(h: u64, l: u64, by: u64): void {
  fHigh = h / by;
  let rest = h - fHigh * by;
  const upper = (rest << 32) | (l >> 32);
  const q = upper / by;
  rest = upper - q * by;
  fLow = (q << 32) | (((rest << 32) | (l & 0xffffffff)) / by);
}
/** w, below 1, as a fraction. */
export function fixedOfW(): void {
  const by = <u32>(-1 - wExp);
  if (by == 0) {
    fHigh = wHigh;
    fLow = wLow;
  } else if (by < 64) {
    fHigh = wHigh >> by;
    fLow = (wLow >> by) | (wHigh << (64 - by));
  } else {
    fHigh = 0;
    fLow = by < 128 ? wHigh >> (by - 64) : 0;
  }
}

export function multiplyW(exp: i32, h: u64, l: u64): void {
  multiplyFixed(wHigh, wLow, h, l);
  wHigh = fHigh;
  wLow = fLow;
  wExp += exp + 1;
  normalize();
}
export function divideW(exp: i32, h: u64, l: u64): void {
  let rh = wHigh,
    rl = wLow,
    qh: u64 = 0,
    ql: u64 = 0;
  let carry = false;
  wExp -= exp;
  if (rh < h || (rh == h && rl < l)) {
    carry = true;
    rh = (rh << 1) | (rl >> 63);
    rl <<= 1;
    wExp--;
  }
  for (let i = 0; i < 128; i++) {
    const fits = carry || rh > h || (rh == h && rl >= l);
    if (fits) {
      rh = rh - h - (rl < l ? 1 : 0);
      rl -= l;
    }
    qh = (qh << 1) | (ql >> 63);
    ql = (ql << 1) | (fits ? 1 : 0);
    carry = rh >> 63 != 0;
    rh = (rh << 1) | (rl >> 63);
    rl <<= 1;
  }
  wHigh = qh;
  wLow = ql;
}
/** The bits of (h : l) * 2^-127 * 2^exp brought to the exponent of w, into fHigh and fLow. */
function align(exp: i32, h: u64, l: u64): void {
  const by = <u32>(wExp - exp);
  if (by == 0) {
    fHigh = h;
    fLow = l;
  } else if (by < 64) {
    fHigh = h >> by;
    fLow = (l >> by) | (h << (64 - by));
  } else {
    fHigh = 0;
    fLow = by < 128 ? h >> (by - 64) : 0;
  }
}
/** w + a number. */
export function addW(exp: i32, h: u64, l: u64): void {
  if (exp > wExp) {
    const oldExp = wExp,
      oldHigh = wHigh,
      oldLow = wLow;
    setW(exp, h, l);
    align(oldExp, oldHigh, oldLow);
  } else align(exp, h, l);
  addAligned();
}
function addAligned(): void {
  const l = wLow + fLow;
  const c: u64 = l < fLow ? 1 : 0;
  const h = wHigh + fHigh;
  const overflow = h < fHigh || h + c < c;
  wHigh = h + c;
  wLow = l;
  if (!overflow) return;
  wLow = (wLow >> 1) | (wHigh << 63);
  wHigh = (wHigh >> 1) | 0x8000000000000000;
  wExp++;
}
/** w - a smaller number; what is too small to matter still makes w smaller. False: they are equal, w is unchanged. */
export function subtractW(exp: i32, h: u64, l: u64): bool {
  const far = wExp - exp >= 64;
  align(exp, h, l);
  if (fHigh == wHigh && fLow == wLow) return false;
  if (far && ++fLow == 0) fHigh++;
  subtractAligned();
  return true;
}
function subtractAligned(): void {
  wHigh = wHigh - fHigh - (wLow < fLow ? 1 : 0);
  wLow -= fLow;
  normalize();
}
/** w * (1 + fraction). */
export function growW(h: u64, l: u64): void {
  multiplyFixed(wHigh, wLow, h, l);
  addAligned();
}
/** w * (1 - fraction), less than w in any case. */
export function shrinkW(h: u64, l: u64): void {
  multiplyFixed(wHigh, wLow, h, l);
  if (++fLow == 0) fHigh++;
  subtractAligned();
}

const SINE_TERMS: u64 = 18;
/** z / (k (k+1)) - z^2 / (k ... (k+3)) + ...: 1 - sin(x)/x for k = 2, 1 - cos(x) for k = 1, z being x^2. */
export function trigonometricSeries(zh: u64, zl: u64, k: u64): void {
  let h: u64 = 0,
    l: u64 = 0;
  for (let n: u64 = SINE_TERMS; n != 0; n--) {
    const first = k + (n - 1) * 2;
    divideFixed(zh, zl, first * (first + 1));
    if ((h | l) != 0) multiplyFixed(fHigh, fLow, ~h + (l == 0 ? 1 : 0), 0 - l);
    h = fHigh;
    l = fLow;
  }
}
const EXPONENTIAL_TERMS: u64 = 34;
/** y/2 + y^2/6 + y^3/24 + ...: (e^y - 1)/y - 1. */
export function exponentialSeries(yh: u64, yl: u64): void {
  let h: u64 = 0,
    l: u64 = 0;
  for (let n: u64 = EXPONENTIAL_TERMS; n > 1; n--) {
    divideFixed(yh, yl, n);
    const ph = fHigh,
      pl = fLow;
    multiplyFixed(ph, pl, h, l);
    l = fLow + pl;
    h = fHigh + ph + (l < pl ? 1 : 0);
  }
  fHigh = h;
  fLow = l;
}
/** z/3 + z^2/5 + ... (areatangent), or with alternating signs z/3 - z^2/5 + ... (arctangent). */
export function oddSeries(zh: u64, zl: u64, terms: u64, alternating: bool): void {
  let h: u64 = 0,
    l: u64 = 0;
  for (let n = terms; n != 0; n--) {
    divideFixed(u64.MAX_VALUE, u64.MAX_VALUE, 2 * n + 1);
    if (alternating) {
      h = fHigh - h - (fLow < l ? 1 : 0);
      l = fLow - l;
    } else {
      l += fLow;
      h += fHigh + (l < fLow ? 1 : 0);
    }
    multiplyFixed(zh, zl, h, l);
    h = fHigh;
    l = fLow;
  }
}
