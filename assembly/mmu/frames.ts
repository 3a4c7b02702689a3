/**
 * Guest-physical memory: frames of 4 KiB handed out on first touch. The frame table holds, for each guest
 * frame number, the linear-memory address of its frame and flags in the low 12 bits.
 */
import { CODE_LINES, FRAME_TABLE, FRAMES, LAZY_FRAMES, POOL_NEXT, POOL_USED, RAM_BYTES } from "../layout";

export const FRAME_PRESENT: u32 = 1;
export const FRAME_DIRTY: u32 = 2;
export const FRAME_CODE: u32 = 4;
/** A snapshot has this frame's content by reference only; it is clean. */
export const FRAME_SHARED: u32 = 8;

/** Fills a frame from a base snapshot; 0 leaves it zero. */
declare function fetchFrame(frame: u32, address: u32): i32;
/** Copies a shared frame for those who refer to it: it is about to be written. */
declare function keepFrame(frame: u32): void;

/** Where a page that cannot be had is read from and written to: the machine has run out of host memory. */
export const EXHAUSTED: u32 = 0;

export function isRam(physical: u64): bool {
  return physical < load<u64>(RAM_BYTES);
}

/** Host address of the frame that holds this physical address; the caller has checked isRam. */
export function frameOf(physical: u64): u32 {
  const entry = FRAME_TABLE + ((<u32>(physical >> 12)) << 2);
  const value = load<u32>(entry);
  if ((value & FRAME_PRESENT) != 0) return value & ~0xfff;
  return allocate(<u32>(physical >> 12), entry);
}

function allocate(frame: u32, entry: u32): u32 {
  const address = load<u32>(POOL_NEXT);
  if (<u64>address + 0x1000 > (<u64>memory.size()) << 16) {
    // Grow by a megabyte at a time; the host bounded RAM so that the pool fits in 4 GiB.
    if (memory.grow(16) < 0) unreachable();
  }
  store<u32>(POOL_NEXT, address + 0x1000);
  store<u32>(entry, address | FRAME_PRESENT);
  if (load<u32>(LAZY_FRAMES) != 0 && fetchFrame(frame, address) != 0) return address;
  if (address < load<u32>(POOL_USED)) memory.fill(address, 0, 0x1000);
  return address;
}

export function frameFlags(physical: u64): u32 {
  return load<u32>(FRAME_TABLE + ((<u32>(physical >> 12)) << 2)) & 0xfff;
}

/** Marks a frame as holding decoded code in these 64-byte lines. */
export function markCode(physical: u64, length: u32): void {
  const frame = <u32>(physical >> 12);
  const entry = FRAME_TABLE + (frame << 2);
  store<u32>(entry, load<u32>(entry) | FRAME_CODE);
  const first = (<u32>physical & 0xfff) >> 6;
  let last = ((<u32>physical & 0xfff) + length - 1) >> 6;
  if (last > 63) last = 63;
  let bits: u64 = 0;
  for (let line = first; line <= last; line++) bits |= (<u64>1) << line;
  const at = CODE_LINES + (frame << 3);
  store<u64>(at, load<u64>(at) | bits);
}

/** Whether a write of `size` bytes would change decoded code. */
export function hitsCode(physical: u64, size: u32): bool {
  const lines = load<u64>(CODE_LINES + ((<u32>(physical >> 12)) << 3));
  const first = (<u32>physical & 0xfff) >> 6;
  let last = ((<u32>physical & 0xfff) + size - 1) >> 6;
  if (last > 63) last = 63;
  for (let line = first; line <= last; line++) if (((lines >> line) & 1) != 0) return true;
  return false;
}

/** To be called before the frame is written. */
export function markDirty(physical: u64): void {
  const frame = <u32>(physical >> 12);
  const entry = FRAME_TABLE + (frame << 2);
  if ((load<u32>(entry) & FRAME_SHARED) != 0) keepFrame(frame);
  store<u32>(entry, (load<u32>(entry) & ~FRAME_SHARED) | FRAME_DIRTY);
}

/** Gives all frames back. */
export function framesReset(): void {
  const next = load<u32>(POOL_NEXT);
  if (next > load<u32>(POOL_USED)) store<u32>(POOL_USED, next);
  // What is zero is not written: a page of memory costs most when it is touched for the first time.
  if (next > FRAMES) {
    const frames = <u32>(load<u64>(RAM_BYTES) >> 12);
    memory.fill(FRAME_TABLE, 0, frames << 2);
    memory.fill(CODE_LINES, 0, frames << 3);
  }
  store<u32>(POOL_NEXT, FRAMES);
  store<u32>(LAZY_FRAMES, 0);
}
