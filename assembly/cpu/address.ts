/** Effective addresses and the segment arithmetic behind them. SDM 1, 3.7.5; SDM 3A 5.3. */

import { CPU } from "../layout";
import { setStackSegment } from "../mmu/memory";
import { BIT_ADDRESS16, BIT_ADDRESS32, recBits, recDisp, recSegment } from "./record";
import { FS, is64, SS, segmentBase } from "./state";

/** Offset part alone, as LEA wants it. */
export function effectiveOffset(r: u32): u64 {
  let address =
    load<u64>(CPU + load<u16>(r, 8)) +
    (load<u64>(CPU + load<u16>(r, 10)) << load<u8>(r, 12)) +
    <u64>(<i64>recDisp(r));
  const bits = recBits(r);
  if ((bits & (BIT_ADDRESS32 | BIT_ADDRESS16)) != 0)
    address &= (bits & BIT_ADDRESS32) != 0 ? 0xffffffff : 0xffff;
  return address;
}

/** Linear address of a memory operand. */
export function effectiveAddress(r: u32): u64 {
  const offset = effectiveOffset(r);
  const segment = recSegment(r);
  setStackSegment(segment == SS);
  if (is64()) return segment >= FS ? offset + segmentBase(segment) : offset;
  return (offset + segmentBase(segment)) & 0xffffffff;
}

/** Linear address of an offset in a segment. */
export function linear(segment: u32, offset: u64): u64 {
  setStackSegment(segment == SS);
  if (is64()) return segment >= FS ? offset + segmentBase(segment) : offset;
  return (offset + segmentBase(segment)) & 0xffffffff;
}
