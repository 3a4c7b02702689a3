/**
 * The arithmetic of WebAssembly where it cannot differ from the soft one: all exceptions masked, rounding to
 * nearest, operands normal or zero, the result normal and above the least exponent or an exact zero. The only flag
 * that can arise then is PE, and it does not matter when MXCSR has it already or the result is shown to be exact.
 */

const MASKS_AND_ROUNDING: u32 = 0x7f80;
const ALL_MASKED_NEAREST: u32 = 0x1f80;
export const SQRT: u32 = 1;
export const ADD: u32 = 8;
export const MULTIPLY: u32 = 9;
export const SUBTRACT: u32 = 12;
export const MIN: u32 = 13;
export const DIVIDE: u32 = 14;
export const MAX: u32 = 15;

/** Bits of the result when tryNative has returned true. */
export let nativeResult: u64 = 0;

export function isNativeMode(mxcsr: u32): bool {
  return (mxcsr & MASKS_AND_ROUNDING) == ALL_MASKED_NEAREST;
}

function exponentOf<T>(bits: T): u32 {
  return sizeof<T>() == 4 ? <u32>(bits >> 23) & 0xff : <u32>(<u64>bits >> 52) & 0x7ff;
}
/** Normal or zero. */
export function isTame<T>(bits: T): bool {
  return exponentOf<T>(bits) - 1 < (sizeof<T>() == 4 ? 0xfe : 0x7fe) || bits << 1 == 0;
}
/** Significant bits of a normal number. */
function width<T>(bits: T): u32 {
  return sizeof<T>() == 4 ? 24 - <u32>ctz(<u32>bits | 0x800000) : 53 - <u32>ctz(<u64>bits | 0x10000000000000);
}
function fits<T>(bits: u32): bool {
  return bits <= (sizeof<T>() == 4 ? 24 : 53);
}

/** `operation` is the low digit of the opcode. F is the float type whose bits T holds. */
export function tryNative<T, F>(operation: u32, a: T, b: T, sticky: bool): bool {
  if (!isTame<T>(b)) return false;
  const y = reinterpret<F>(b);
  if (operation == SQRT) {
    const root = sqrt<F>(y);
    const bits = reinterpret<T>(root);
    if (b << 1 != 0) {
      if (<u64>b >> (sizeof<T>() * 8 - 1) != 0) return false;
      if (!sticky && !(fits<T>(2 * width<T>(bits)) && root * root == y)) return false;
    }
    nativeResult = <u64>bits;
    return true;
  }
  if (!isTame<T>(a)) return false;
  const x = reinterpret<F>(a);
  let result: F;
  let exactZero = false;
  switch (operation) {
    case ADD:
    case SUBTRACT: {
      const addend = operation == ADD ? y : -y;
      result = x + addend;
      exactZero = true;
      if (!sticky) {
        // Knuth's TwoSum: the rounding error of the sum.
        const part = result - x;
        const error = x - (result - part) + (addend - part);
        if (error != 0) return false;
      }
      break;
    }
    case MULTIPLY:
      result = x * y;
      exactZero = x == 0 || y == 0;
      if (!sticky && !exactZero && !fits<T>(width<T>(a) + width<T>(b))) return false;
      break;
    case DIVIDE:
      if (y == 0) return false;
      result = x / y;
      exactZero = x == 0;
      if (!sticky && !exactZero) {
        if (!(fits<T>(width<T>(reinterpret<T>(result)) + width<T>(b)) && result * y == x)) return false;
      }
      break;
    case MIN:
      nativeResult = <u64>(x < y ? a : b);
      return true;
    default:
      nativeResult = <u64>(x > y ? a : b);
      return true;
  }
  const bits = reinterpret<T>(result);
  const isInside = exponentOf<T>(bits) - 2 < (sizeof<T>() == 4 ? 0xfd : 0x7fd);
  if (!isInside && !(exactZero && bits << 1 == 0)) return false;
  nativeResult = <u64>bits;
  return true;
}
