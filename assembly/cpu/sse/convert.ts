/** Conversions among single, double and integers, in XMM, general and MMX registers. SDM 2A, CVTDQ2PD and on. */
import { MXCSR, XMM } from "../../layout";
import { read } from "../../mmu/memory";
import { effectiveAddress } from "../address";
import { faulted } from "../exceptions";
import * as float from "../float/index";
import { enterMmx, mmSource, setMm, widen } from "../mmx/registers";
import { getRm } from "../operands";
import { BIT_OPSIZE, BIT_REX_W, recBits, recIsMem, recOpcode, recReg, recRep, recRm } from "../record";
import { setGpr } from "../state";
import { isNativeMode, isTame } from "./native";
import { setDestination, source, sourceLow, xmmLow64 } from "./registers";
import { begin, finish } from "./status";

const B: u32 = <u32>memory.data(16, 16);
const RESULT: u32 = <u32>memory.data(16, 16);
const PE: u32 = 32;

function isWide(r: u32): bool {
  return (recBits(r) & BIT_REX_W) != 0;
}

/** CVTSI2SS, CVTSI2SD. */
export function fromInteger(r: u32): void {
  const value: i64 = isWide(r) ? <i64>getRm<u64>(r) : <i64>(<i32>getRm<u32>(r));
  if (faulted()) return;
  const at = XMM + (recReg(r) << 4);
  if (recRep(r) == 0xf2) {
    if (abs(value) <= (<i64>1) << 53) {
      store<f64>(at, <f64>value);
      return;
    }
    begin();
    const result = float.fromInteger<u64>(value);
    if (finish()) store<u64>(at, result);
  } else {
    if (abs(value) <= 1 << 24) {
      store<f32>(at, <f32>value);
      return;
    }
    begin();
    const result = float.fromInteger<u32>(value);
    if (finish()) store<u32>(at, result);
  }
}

/** CVTSS2SI, CVTSD2SI (2D), CVTTSS2SI, CVTTSD2SI (2C). */
export function toInteger(r: u32): void {
  const bits: u32 = isWide(r) ? 64 : 32;
  const truncate = recOpcode(r) == 0x2c;
  let value: i64;
  if (recRep(r) == 0xf2) {
    const b = sourceLow<u64>(r);
    if (faulted()) return;
    const x = reinterpret<f64>(b);
    // Truncation of what surely fits: PE when something is cut off.
    if (truncate && isTame<u64>(b) && abs(x) < 2147483648.0) {
      const whole = <i32>x;
      if (<f64>whole == x || (isNativeMode(load<u32>(MXCSR)) && noteInexact())) {
        return setGpr(recReg(r), bits == 64 ? <u64>(<i64>whole) : <u64>(<u32>whole));
      }
    }
    begin();
    value = float.toInteger<u64>(b, bits, truncate);
  } else {
    const b = sourceLow<u32>(r);
    if (faulted()) return;
    begin();
    value = float.toInteger<u32>(b, bits, truncate);
  }
  if (finish()) setGpr(recReg(r), bits == 64 ? <u64>value : <u64>(<u32>value));
}
function noteInexact(): bool {
  store<u32>(MXCSR, load<u32>(MXCSR) | PE);
  return true;
}

/** The forms between vectors, and CVTPI2PD from memory, which leaves MMX alone. */
export function convert(r: u32): void {
  const rep = recRep(r);
  const isOpsize = (recBits(r) & BIT_OPSIZE) != 0;
  switch (recOpcode(r)) {
    case 0x5a:
      if (rep == 0xf3) return singleToDouble(r);
      if (rep == 0xf2) return doubleToSingle(r);
      return isOpsize ? doublesToSingles(r) : singlesToDoubles(r);
    case 0x5b:
      return rep == 0 && !isOpsize ? integersToSingles(r) : singlesToIntegers(r, rep == 0xf3);
    case 0xe6:
      return rep == 0xf3 ? integersToDoubles(r) : doublesToIntegers(r, rep == 0);
    default: // 2A
      return integersToDoubles(r);
  }
}
function singleToDouble(r: u32): void {
  const b = sourceLow<u32>(r);
  if (faulted()) return;
  const at = XMM + (recReg(r) << 4);
  if (isTame<u32>(b)) {
    store<f64>(at, <f64>reinterpret<f32>(b));
    return;
  }
  begin();
  const result = float.convert<u32, u64>(b);
  if (finish()) store<u64>(at, result);
}
function doubleToSingle(r: u32): void {
  const b = sourceLow<u64>(r);
  if (faulted()) return;
  begin();
  const result = float.convert<u64, u32>(b);
  if (finish()) store<u32>(XMM + (recReg(r) << 4), result);
}
function doublesToSingles(r: u32): void {
  const b = source(r);
  if (faulted()) return;
  v128.store(B, b);
  begin();
  const low = float.convert<u64, u32>(load<u64>(B));
  const high = float.convert<u64, u32>(load<u64>(B, 8));
  if (finish()) setDestination(r, widen(<u64>low | ((<u64>high) << 32)));
}
function singlesToDoubles(r: u32): void {
  const b = sourceLow<u64>(r);
  if (faulted()) return;
  begin();
  store<u64>(RESULT, float.convert<u32, u64>(<u32>b));
  store<u64>(RESULT, float.convert<u32, u64>(<u32>(b >> 32)), 8);
  if (finish()) setDestination(r, v128.load(RESULT));
}
function integersToSingles(r: u32): void {
  const b = source(r);
  if (faulted()) return;
  v128.store(B, b);
  begin();
  for (let i: u32 = 0; i < 16; i += 4) store<u32>(RESULT + i, float.fromInteger<u32>(load<i32>(B + i)));
  if (finish()) setDestination(r, v128.load(RESULT));
}
function integersToDoubles(r: u32): void {
  const b = sourceLow<u64>(r);
  if (faulted()) return;
  setDestination(r, f64x2.convert_low_i32x4_s(widen(b))); // always exact
}
function singlesToIntegers(r: u32, truncate: bool): void {
  const b = source(r);
  if (faulted()) return;
  v128.store(B, b);
  begin();
  for (let i: u32 = 0; i < 16; i += 4)
    store<u32>(RESULT + i, <u32>float.toInteger<u32>(load<u32>(B + i), 32, truncate));
  if (finish()) setDestination(r, v128.load(RESULT));
}
function doublesToIntegers(r: u32, truncate: bool): void {
  const b = source(r);
  if (faulted()) return;
  v128.store(B, b);
  begin();
  const both = pairOfIntegers(truncate);
  if (finish()) setDestination(r, widen(both));
}
/** The two doubles at B as 32-bit integers. */
function pairOfIntegers(truncate: bool): u64 {
  const low = <u32>float.toInteger<u64>(load<u64>(B), 32, truncate);
  const high = <u32>float.toInteger<u64>(load<u64>(B, 8), 32, truncate);
  return <u64>low | ((<u64>high) << 32);
}

/** CVTPI2PS, and CVTPI2PD from a register. */
export function fromMmx(r: u32): void {
  const b = mmSource(r);
  if (faulted()) return;
  if ((recBits(r) & BIT_OPSIZE) != 0) {
    setDestination(r, f64x2.convert_low_i32x4_s(widen(b)));
    return enterMmx();
  }
  begin();
  const low = float.fromInteger<u32>(<i64>(<i32>b));
  const high = float.fromInteger<u32>(<i64>(<i32>(b >> 32)));
  if (!finish()) return;
  store<u64>(XMM + (recReg(r) << 4), <u64>low | ((<u64>high) << 32));
  enterMmx();
}

/** CVTPS2PI, CVTPD2PI (2D), CVTTPS2PI, CVTTPD2PI (2C). */
export function toMmx(r: u32): void {
  const truncate = recOpcode(r) == 0x2c;
  let both: u64;
  if ((recBits(r) & BIT_OPSIZE) != 0) {
    const b = source(r);
    if (faulted()) return;
    v128.store(B, b);
    begin();
    both = pairOfIntegers(truncate);
  } else {
    const b = recIsMem(r) ? read<u64>(effectiveAddress(r)) : xmmLow64(recRm(r));
    if (faulted()) return;
    begin();
    const low = <u32>float.toInteger<u32>(<u32>b, 32, truncate);
    const high = <u32>float.toInteger<u32>(<u32>(b >> 32), 32, truncate);
    both = <u64>low | ((<u64>high) << 32);
  }
  if (finish()) setMm(recReg(r), both);
}
