/**
 * Floating point in software, exact to the bit: the operations on single (T = u32) and double (T = u64) bits.
 * x87 works with the parts directly (unpack80, addOperands, ..., pack80); its results lie in x80Exp and x80Sig.
 *
 * How SSE uses it:
 *
 *   setMxcsr(mxcsr)        once an instruction: rounding, masks, DAZ, FTZ, the NaN rule (first operand)
 *   clearFlags()           before the first element
 *   add<u32>(a, b) ...     any number of elements; exceptions collect in `flags`, bits as MXCSR 5:0
 *   flags                  read at the end. If flags & EARLY & ~masks is not 0, only `flags & EARLY` counts. If
 *                          flags & ~masks is not 0, the results are not to be used: set MXCSR, raise #XM
 *   setRounding(mode)      for ROUNDPS and truncating conversions, until the next setMxcsr
 *
 * Denormal operands raise DE in arithmetic, compare and between formats, not in conversions to integers or
 * roundToIntegral. MIN and MAX belong to the caller: compare<T>(a, b, true), then choose.
 */
import { addOperands, compareOperands, divideOperands, multiplyOperands, passA, rootOfA } from "./arithmetic";
import { DE, IE, raiseFlags, rounding, setRounding, ZERO } from "./control";
import { pack, packInteger, roundIntegral } from "./pack";
import { aDenormal, aKind, bKind, KIND_QUIET, negateB, unpack, unpackInteger, unpackPair } from "./unpack";

export function add<T>(a: T, b: T): T {
  unpackPair<T>(a, b);
  addOperands();
  return pack<T>();
}
/** A NaN in b keeps its sign. */
export function subtract<T>(a: T, b: T): T {
  unpackPair<T>(a, b);
  if (bKind < KIND_QUIET) negateB();
  addOperands();
  return pack<T>();
}
export function multiply<T>(a: T, b: T): T {
  unpackPair<T>(a, b);
  multiplyOperands();
  return pack<T>();
}
export function divide<T>(a: T, b: T): T {
  unpackPair<T>(a, b);
  divideOperands();
  return pack<T>();
}
export function squareRootOf<T>(a: T): T {
  unpack<T>(a);
  rootOfA();
  return pack<T>();
}
/** LESS, EQUAL, GREATER or UNORDERED; `signalling`: IE for quiet NaNs too (COMISS, CMPLTPS), else for signalling. */
export function compare<T>(a: T, b: T, signalling: bool): u32 {
  unpackPair<T>(a, b);
  return compareOperands(signalling);
}
/** From one format to the other: convert<u32, u64> is CVTSS2SD. */
export function convert<From, To>(a: From): To {
  unpack<From>(a);
  if (aDenormal) raiseFlags(DE);
  passA();
  return pack<To>();
}
/** To an integer of 32 or 64 bits; out of range: IE and the integer indefinite (8000...). */
export function toInteger<T>(a: T, bits: u32, truncate: bool): i64 {
  unpack<T>(a);
  if (aKind >= KIND_QUIET) {
    raiseFlags(IE);
    return -((<i64>1) << (bits - 1));
  }
  passA();
  const mode = rounding;
  if (truncate) setRounding(ZERO);
  const value = packInteger(bits);
  setRounding(mode);
  return value;
}
export function fromInteger<T>(value: i64): T {
  unpackInteger(value);
  passA();
  return pack<T>();
}
/** Rounds to an integral value with the rounding in force; `quiet`: without PE. */
export function roundToIntegral<T>(a: T, quiet: bool): T {
  unpack<T>(a);
  passA();
  roundIntegral(quiet);
  return pack<T>();
}
