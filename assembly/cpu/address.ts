/** Effective addresses and the segment arithmetic behind them. SDM 1, 3.7.5; SDM 3A 5.3. */

import { CPU } from "../layout";
import { LIMITED, LIMITED_SHIFT, setStackSegment } from "../mmu/memory";
import { BIT_ADDRESS16, BIT_ADDRESS32, recBits, recDisp, recSegment } from "./record";
import { ATTR_CODE, ATTR_EXPAND_DOWN, ATTR_P, ATTR_WRITABLE } from "./segments";
import { attributes, FS, is64, SS, segmentBase, segmentLimit } from "./state";

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
  return linear(recSegment(r), effectiveOffset(r));
}

/**
 * Linear address of an offset in a segment. Outside 64-bit mode a segment that is anything but 4 GiB of writable
 * data is named in the address: no TLB entry matches that, and the slow path checks limit and type (mmu/memory.ts).
 */
export function linear(segment: u32, offset: u64): u64 {
  setStackSegment(segment == SS);
  if (is64()) return segment >= FS ? offset + segmentBase(segment) : offset;
  const address = (offset + segmentBase(segment)) & 0xffffffff;
  return isFlat(segment) ? address : address | LIMITED | ((<u64>segment) << LIMITED_SHIFT);
}

function isFlat(segment: u32): bool {
  return (
    (attributes(segment) & (ATTR_P | ATTR_CODE | ATTR_EXPAND_DOWN | ATTR_WRITABLE)) ==
      (ATTR_P | ATTR_WRITABLE) && segmentLimit(segment) == 0xffffffff
  );
}
