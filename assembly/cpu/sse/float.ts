/**
 * Floating-point arithmetic of SSE: packed and scalar, horizontal, dot products, rounding, reciprocals.
 * Everything goes through float/, apart from what native.ts can answer. SDM 1, 11.5; SDM 2.
 */
import { MXCSR, XMM } from "../../layout";
import { faulted } from "../exceptions";
import { EQUAL, GREATER, LESS, UNORDERED } from "../float/arithmetic";
import { denormalsAreZero, setRounding } from "../float/control";
import { add, compare, divide, multiply, roundToIntegral, squareRootOf, subtract } from "../float/index";
import { BIT_OPSIZE, recBits, recImm, recOpcode, recReg, recRep } from "../record";
import { isNativeMode, MIN, nativeResult, tryNative } from "./native";
import { destination, setDestination, source, sourceLow } from "./registers";
import { begin, finish, isUnmasked } from "./status";

const PE: u32 = 32;
/** Destination and source in a row, so that horizontal pairs run through both; and the result. */
const A: u32 = <u32>memory.data(32, 16);
const B: u32 = A + 16;
const RESULT: u32 = <u32>memory.data(16, 16);

function isDouble(r: u32): bool {
  return (recBits(r) & BIT_OPSIZE) != 0;
}

/** MIN and MAX give the source when neither is less: also for two zeros and for a NaN. */
function chosen<T>(a: T, b: T, wanted: u32): T {
  const result = compare<T>(a, b, true) == wanted ? a : b;
  if (!denormalsAreZero || !isDenormal<T>(result)) return result;
  return sizeof<T>() == 4 ? <T>(<u32>result & 0x80000000) : <T>(<u64>result & 0x8000000000000000);
}
function isDenormal<T>(bits: T): bool {
  return sizeof<T>() == 4 ? (<u32>bits & 0x7f800000) == 0 : (<u64>bits & 0x7ff0000000000000) == 0;
}
/** 51, 58, 59, 5C to 5F. */
function operate<T>(opcode: u32, a: T, b: T): T {
  switch (opcode & 15) {
    case 1:
      return squareRootOf<T>(b);
    case 8:
      return add<T>(a, b);
    case 9:
      return multiply<T>(a, b);
    case 12:
      return subtract<T>(a, b);
    case 14:
      return divide<T>(a, b);
    default:
      return chosen<T>(a, b, (opcode & 15) == MIN ? LESS : GREATER);
  }
}

export function arithmetic(r: u32): void {
  const rep = recRep(r);
  if (rep == 0xf2) scalar<u64, f64>(r);
  else if (rep == 0xf3) scalar<u32, f32>(r);
  else {
    const b = source(r);
    if (faulted()) return;
    v128.store(A, destination(r));
    v128.store(B, b);
    const done = isDouble(r) ? packed<u64, f64>(recOpcode(r)) : packed<u32, f32>(recOpcode(r));
    if (done) setDestination(r, v128.load(RESULT));
  }
}
function scalar<T, F>(r: u32): void {
  const b = sourceLow<T>(r);
  if (faulted()) return;
  const at = XMM + (recReg(r) << 4);
  const a = load<T>(at);
  const mxcsr = load<u32>(MXCSR);
  if (isNativeMode(mxcsr) && tryNative<T, F>(recOpcode(r) & 15, a, b, (mxcsr & PE) != 0)) {
    store<T>(at, <T>nativeResult);
    return;
  }
  begin();
  const result = operate<T>(recOpcode(r), a, b);
  if (finish()) store<T>(at, result);
}
function packed<T, F>(opcode: u32): bool {
  if (packedNative<T, F>(opcode & 15)) return true;
  begin();
  for (let i: u32 = 0; i < 16; i += sizeof<T>())
    store<T>(RESULT + i, operate<T>(opcode, load<T>(A + i), load<T>(B + i)));
  return finish();
}
function packedNative<T, F>(operation: u32): bool {
  const mxcsr = load<u32>(MXCSR);
  if (!isNativeMode(mxcsr)) return false;
  for (let i: u32 = 0; i < 16; i += sizeof<T>()) {
    if (!tryNative<T, F>(operation, load<T>(A + i), load<T>(B + i), (mxcsr & PE) != 0)) return false;
    store<T>(RESULT + i, <T>nativeResult);
  }
  return true;
}

/** C2: bit LESS, EQUAL, GREATER, UNORDERED of the nibble says for which outcomes the predicate holds. */
function holds(predicate: u32, outcome: u32): bool {
  const four: u32 =
    (predicate & 3) == 0
      ? 1 << EQUAL
      : (predicate & 3) == 1
        ? 1 << LESS
        : (predicate & 3) == 2
          ? (1 << LESS) | (1 << EQUAL)
          : 1 << UNORDERED;
  return ((four >> outcome) & 1) != predicate >> 2;
}
function compareLane<T>(predicate: u32, a: T, b: T): T {
  const signalling = (predicate & 3) == 1 || (predicate & 3) == 2;
  return holds(predicate, compare<T>(a, b, signalling)) ? <T>-1 : <T>0;
}
/** CMPPS, CMPPD, CMPSS, CMPSD. */
export function comparison(r: u32): void {
  const predicate = <u32>recImm(r) & 7;
  const rep = recRep(r);
  const at = XMM + (recReg(r) << 4);
  if (rep == 0xf3) {
    const b = sourceLow<u32>(r);
    if (faulted()) return;
    begin();
    const result = compareLane<u32>(predicate, load<u32>(at), b);
    if (finish()) store<u32>(at, result);
  } else if (rep == 0xf2) {
    const b = sourceLow<u64>(r);
    if (faulted()) return;
    begin();
    const result = compareLane<u64>(predicate, load<u64>(at), b);
    if (finish()) store<u64>(at, result);
  } else {
    const b = source(r);
    if (faulted()) return;
    v128.store(B, b);
    begin();
    if (isDouble(r)) compareLanes<u64>(predicate, at);
    else compareLanes<u32>(predicate, at);
    if (finish()) setDestination(r, v128.load(RESULT));
  }
}
function compareLanes<T>(predicate: u32, at: u32): void {
  for (let i: u32 = 0; i < 16; i += sizeof<T>())
    store<T>(RESULT + i, compareLane<T>(predicate, load<T>(at + i), load<T>(B + i)));
}

/** HADDPS and HADDPD (7C), HSUBPS and HSUBPD (7D), ADDSUBPS and ADDSUBPD (D0). */
export function horizontal(r: u32): void {
  const b = source(r);
  if (faulted()) return;
  v128.store(A, destination(r));
  v128.store(B, b);
  begin();
  if (recRep(r) == 0xf2) horizontalLanes<u32>(recOpcode(r));
  else horizontalLanes<u64>(recOpcode(r));
  if (finish()) setDestination(r, v128.load(RESULT));
}
function horizontalLanes<T>(opcode: u32): void {
  const size: u32 = sizeof<T>();
  for (let i: u32 = 0; i < 16; i += size) {
    const alternates = opcode == 0xd0;
    const x = load<T>(alternates ? A + i : A + 2 * i);
    const y = load<T>(alternates ? B + i : A + 2 * i + size);
    const subtracts = alternates ? (i & size) == 0 : opcode == 0x7d;
    store<T>(RESULT + i, subtracts ? subtract<T>(x, y) : add<T>(x, y));
  }
}

/**
 * DPPS (40), DPPD (41): the high half of the immediate picks products, the low half where the sum goes. Each lane
 * adds to its neighbour and then to the other pair's sum, which shows where two of them are NaNs.
 */
export function dotProduct(r: u32): void {
  const b = source(r);
  if (faulted()) return;
  v128.store(A, destination(r));
  v128.store(B, b);
  const control = <u32>recImm(r) & 0xff;
  begin();
  if (recOpcode(r) == 0x40) dot<u32>(control);
  else dot<u64>(control);
  if (finish()) setDestination(r, v128.load(RESULT));
}
function dot<T>(control: u32): void {
  const lanes: u32 = 16 / sizeof<T>();
  for (let n: u32 = 0; n < lanes; n++) {
    const at = n * sizeof<T>();
    const isPicked = ((control >> (4 + n)) & 1) != 0;
    store<T>(A + at, isPicked ? multiply<T>(load<T>(A + at), load<T>(B + at)) : <T>0);
  }
  for (let distance: u32 = 1; distance < lanes && !isUnmasked(); distance <<= 1) {
    for (let n: u32 = 0; n < lanes; n++) {
      const sum = add<T>(load<T>(A + (n ^ distance) * sizeof<T>()), load<T>(A + n * sizeof<T>()));
      store<T>(RESULT + n * sizeof<T>(), sum);
    }
    v128.store(A, v128.load(RESULT));
  }
  for (let n: u32 = 0; n < lanes; n++)
    if (((control >> n) & 1) == 0) store<T>(RESULT + n * sizeof<T>(), <T>0);
}

/** ROUNDPS, ROUNDPD, ROUNDSS, ROUNDSD: bits 1:0 the rounding, or with bit 2 that of MXCSR; bit 3 no PE. */
export function rounded(r: u32): void {
  const control = <u32>recImm(r);
  const quiet = (control & 8) != 0;
  const at = XMM + (recReg(r) << 4);
  switch (recOpcode(r)) {
    case 0x08:
    case 0x09: {
      const b = source(r);
      if (faulted()) return;
      v128.store(B, b);
      beginRounding(control);
      if (recOpcode(r) == 0x08) roundLanes<u32>(quiet);
      else roundLanes<u64>(quiet);
      if (finish()) setDestination(r, v128.load(RESULT));
      return;
    }
    case 0x0a: {
      const b = sourceLow<u32>(r);
      if (faulted()) return;
      beginRounding(control);
      const result = roundToIntegral<u32>(b, quiet);
      if (finish()) store<u32>(at, result);
      return;
    }
    default: {
      const b = sourceLow<u64>(r);
      if (faulted()) return;
      beginRounding(control);
      const result = roundToIntegral<u64>(b, quiet);
      if (finish()) store<u64>(at, result);
    }
  }
}
function beginRounding(control: u32): void {
  begin();
  if ((control & 4) == 0) setRounding(control & 3);
}
function roundLanes<T>(quiet: bool): void {
  for (let i: u32 = 0; i < 16; i += sizeof<T>())
    store<T>(RESULT + i, roundToIntegral<T>(load<T>(B + i), quiet));
}

/** RSQRTPS, RSQRTSS (52), RCPPS, RCPSS (53). */
export function reciprocal(r: u32): void {
  const opcode = recOpcode(r);
  if (recRep(r) == 0xf3) {
    const b = sourceLow<u32>(r);
    if (!faulted()) store<u32>(XMM + (recReg(r) << 4), approximate(opcode, b));
    return;
  }
  const b = source(r);
  if (faulted()) return;
  v128.store(B, b);
  for (let i: u32 = 0; i < 16; i += 4) store<u32>(RESULT + i, approximate(opcode, load<u32>(B + i)));
  setDestination(r, v128.load(RESULT));
}
/**
 * The manual bounds the relative error by 1.5 * 2^-12 and leaves the rest to the processor; this one rounds to
 * single precision. Denormals count as zero, as operand and as result; MXCSR plays no part.
 */
function approximate(opcode: u32, bits: u32): u32 {
  const sign = bits & 0x80000000;
  if ((bits & 0x7fffffff) > 0x7f800000) return bits | 0x400000;
  if ((bits & 0x7f800000) == 0) return sign | 0x7f800000;
  const isRoot = opcode == 0x52;
  if (isRoot && sign != 0) return 0xffc00000;
  const x = reinterpret<f32>(bits);
  const result = reinterpret<u32>(isRoot ? <f32>(1.0 / sqrt(<f64>x)) : <f32>1.0 / x);
  return (result & 0x7f800000) == 0 ? sign : result;
}
