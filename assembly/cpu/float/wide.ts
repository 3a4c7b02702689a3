/** 128-bit integers as two u64: products, quotients, square roots. Results beyond 64 bits lie in globals. */

export let high: u64 = 0;
export let low: u64 = 0;
/** Remainder of divideWide, or of squareRoot (whose 65th bit is `remainderCarry`). */
export let remainder: u64 = 0;
export let remainderCarry: bool = false;

/** a * b into high and low. */
export function multiplyWide(a: u64, b: u64): void {
  const a0 = a & 0xffffffff,
    a1 = a >> 32,
    b0 = b & 0xffffffff,
    b1 = b >> 32;
  const p00 = a0 * b0,
    p01 = a0 * b1,
    p10 = a1 * b0;
  const middle = (p00 >> 32) + (p01 & 0xffffffff) + (p10 & 0xffffffff);
  low = (p00 & 0xffffffff) | (middle << 32);
  high = a1 * b1 + (p01 >> 32) + (p10 >> 32) + (middle >> 32);
}

/** (numeratorHigh : numeratorLow) / divisor, where divisor has its top bit set and exceeds numeratorHigh. */
export function divideWide(numeratorHigh: u64, numeratorLow: u64, divisor: u64): u64 {
  const d1 = divisor >> 32,
    d0 = divisor & 0xffffffff;
  let q1 = numeratorHigh / d1;
  let r = numeratorHigh - q1 * d1;
  while (q1 > 0xffffffff || q1 * d0 > ((r << 32) | (numeratorLow >> 32))) {
    q1--;
    r += d1;
    if (r > 0xffffffff) break;
  }
  const middle = ((numeratorHigh << 32) | (numeratorLow >> 32)) - q1 * divisor;
  let q0 = middle / d1;
  r = middle - q0 * d1;
  while (q0 > 0xffffffff || q0 * d0 > ((r << 32) | (numeratorLow & 0xffffffff))) {
    q0--;
    r += d1;
    if (r > 0xffffffff) break;
  }
  remainder = ((middle << 32) | (numeratorLow & 0xffffffff)) - q0 * divisor;
  return (q1 << 32) | q0;
}

/** Whole part of the square root of (squareHigh : squareLow), squareHigh at least 2^62. */
export function squareRoot(squareHigh: u64, squareLow: u64): u64 {
  // The square root of the processor is good to 52 bits, one step of Newton's to all.
  const guess = Math.sqrt(<f64>squareHigh) * 4294967296.0;
  let root: u64 = guess >= 18446744073709551615.0 ? u64.MAX_VALUE : <u64>guess;
  if (squareHigh >= root) root = u64.MAX_VALUE;
  if (squareHigh < root) {
    const quotient = divideWide(squareHigh, squareLow, root);
    root = (root >> 1) + (quotient >> 1) + (root & quotient & 1);
  }
  for (;;) {
    multiplyWide(root, root);
    if (high < squareHigh || (high == squareHigh && low <= squareLow)) break;
    root--;
  }
  // The remainder has up to 65 bits; beyond twice the root, which has 65 too, the root is too small.
  while (exceedsTwice(root, squareHigh, squareLow)) {
    root++;
    multiplyWide(root, root);
  }
  return root;
}
function exceedsTwice(root: u64, squareHigh: u64, squareLow: u64): bool {
  remainder = squareLow - low;
  const carry = squareHigh - high - (squareLow < low ? 1 : 0);
  remainderCarry = carry != 0;
  return carry > 1 || (carry == 1 && remainder > root << 1);
}
