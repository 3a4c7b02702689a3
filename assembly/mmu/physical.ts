/** Guest-physical access for devices and the host: RAM only, decoded code forgotten where it is overwritten. */
import { SCRATCH } from "../layout";
import { frameOf, isRam } from "./frames";
import { readPhysical, writePhysical } from "./memory";

const VALUE: u32 = SCRATCH + 0x800;

export function physicalRead64(address: u64): u64 {
  if (!isRam(address + 7)) return 0;
  readPhysical(address, 8, VALUE);
  return load<u64>(VALUE);
}
export function physicalRead8(address: u64): u8 {
  return isRam(address) ? load<u8>(frameOf(address) + (<u32>address & 0xfff)) : 0;
}
export function physicalWrite8(address: u64, value: u8): void {
  if (!isRam(address)) return;
  store<u8>(VALUE, value);
  writePhysical(address, 1, VALUE);
}
