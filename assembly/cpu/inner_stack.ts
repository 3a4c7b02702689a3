/** The stack of an inner privilege level, from the task-state segment. SDM 3A 5.8.5, 8.2.1, 8.7. */
import { systemRead, systemWrite } from "../mmu/memory";
import { faulted, raise, SSF, TS } from "./exceptions";
import {
  ATTR_CODE,
  ATTR_D,
  ATTR_EXPAND_DOWN,
  ATTR_P,
  ATTR_S,
  ATTR_WRITABLE,
  descriptorAttributes,
  descriptorBase,
  descriptorDpl,
  descriptorLimit,
  markAccessed,
  readDescriptor,
} from "./segments";
import { attributes, isCanonical, SS, segmentBase, segmentLimit, selector, setSegment, TR } from "./state";

// What was found last; nothing of the CPU has changed yet.
export let innerSelector: u32 = 0;
export let innerPointer: u64 = 0;
let innerAttributes: u32 = 0;
let innerBase: u64 = 0;
let innerLimit: u32 = 0;

function inTss(offset: u32, size: u32): bool {
  if (offset + size - 1 <= segmentLimit(TR)) return true;
  raise(TS, selector(TR) & 0xfffc);
  return false;
}

/** RSP at an offset of the 64-bit TSS; false with an exception pending. */
export function findInnerPointer(offset: u32): bool {
  if (!inTss(offset, 8)) return false;
  innerPointer = systemRead<u64>(segmentBase(TR) + offset);
  if (faulted()) return false;
  if (!isCanonical(innerPointer)) raise(SSF, 0);
  return !faulted();
}

/** SS and ESP of a level, from a 32-bit or 16-bit TSS; false with an exception pending. */
export function findInnerStack(level: u32): bool {
  const isWide = (attributes(TR) & 8) != 0;
  const offset = isWide ? 4 + level * 8 : 2 + level * 4;
  if (!inTss(offset, isWide ? 6 : 4)) return false;
  const at = segmentBase(TR) + offset;
  innerPointer = isWide ? <u64>systemRead<u32>(at) : <u64>systemRead<u16>(at);
  innerSelector = <u32>systemRead<u16>(at + (isWide ? 4 : 2));
  if (faulted()) return false;
  const error = innerSelector & 0xfffc;
  if (error == 0) raise(TS, 0);
  if (faulted() || !readDescriptor(innerSelector, TS, false)) return false;
  innerAttributes = descriptorAttributes();
  innerBase = descriptorBase();
  innerLimit = descriptorLimit();
  const kind = innerAttributes & (ATTR_S | ATTR_CODE | ATTR_WRITABLE);
  if ((innerSelector & 3) != level || descriptorDpl() != level || kind != (ATTR_S | ATTR_WRITABLE))
    raise(TS, error);
  else if ((innerAttributes & ATTR_P) == 0) raise(SSF, error);
  else markAccessed(innerSelector);
  return !faulted();
}

/** The present stack in the place of an inner one: for entries that stay at their level. */
export function usePresentStack(pointer: u64): void {
  innerSelector = selector(SS);
  innerPointer = pointer;
  innerAttributes = attributes(SS);
  innerBase = segmentBase(SS);
  innerLimit = segmentLimit(SS);
}
export function innerMask(): u64 {
  return (innerAttributes & ATTR_D) != 0 ? 0xffffffff : 0xffff;
}

/** Whether this many bytes fit below the pointer; `error` is that of the #SS otherwise. */
export function fitsInner(bytes: u32, error: u32): bool {
  const mask = innerMask();
  const first = (innerPointer - bytes) & mask;
  const last = (innerPointer - 1) & mask;
  const isDown = (innerAttributes & ATTR_EXPAND_DOWN) != 0;
  if (first <= last && (isDown ? first > innerLimit : last <= innerLimit)) return true;
  raise(SSF, error);
  return false;
}
/** Pushes on it; the CPU's own RSP stays as it is. */
export function pushInner(value: u64, size: u32): void {
  innerPointer = (innerPointer - size) & innerMask();
  const at = (innerBase + innerPointer) & 0xffffffff;
  if (size == 4) systemWrite<u32>(at, <u32>value);
  else systemWrite<u16>(at, <u16>value);
}
/** Makes it the CPU's stack segment. */
export function installInnerStack(): void {
  setSegment(SS, innerSelector, innerAttributes | 1, innerBase, innerLimit);
}
