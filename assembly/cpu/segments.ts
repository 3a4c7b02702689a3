/** Loading segment registers from descriptor tables. SDM 3A 5.4 to 5.8. */
import { CPL, GDT_BASE, GDT_LIMIT } from "../layout";
import { systemRead, systemWrite } from "../mmu/memory";
import { faulted, GP, NP, raise, SSF } from "./exceptions";
import {
  attributes,
  CS,
  inLongMode,
  inVm86,
  is64,
  isProtected,
  LDTR,
  SS,
  segmentBase,
  segmentLimit,
  selectMode,
  setSegment,
} from "./state";

export const ATTR_ACCESSED: u32 = 1;
export const ATTR_WRITABLE: u32 = 2; // data: writable; code: readable
export const ATTR_CONFORMING: u32 = 4; // code: conforming; data: expands down
export const ATTR_EXPAND_DOWN: u32 = 4; // the same bit in a data segment
export const ATTR_CODE: u32 = 8;
export const ATTR_S: u32 = 0x10;
export const ATTR_P: u32 = 0x80;
export const ATTR_L: u32 = 0x2000;
export const ATTR_D: u32 = 0x4000;
export const ATTR_G: u32 = 0x8000;

/** Descriptor last read. */
export let descriptor: u64 = 0;
export let descriptorHigh: u64 = 0;

/** Reads the descriptor a selector names; false with the exception (error code = selector) pending. */
export function readDescriptor(selector: u32, vector: u32, wide: bool): bool {
  const index = selector & 0xfff8;
  const local = (selector & 4) != 0;
  const base = local ? segmentBase(LDTR) : load<u64>(GDT_BASE);
  const limit: u32 = local
    ? (attributes(LDTR) & ATTR_P) == 0
      ? 0
      : segmentLimit(LDTR)
    : load<u32>(GDT_LIMIT);
  if (index + <u32>(wide ? 15 : 7) > limit || (local && (attributes(LDTR) & ATTR_P) == 0)) {
    raise(vector, selector & 0xfffc);
    return false;
  }
  descriptor = systemRead<u64>(base + index);
  if (faulted()) return false;
  descriptorHigh = wide ? systemRead<u64>(base + index + 8) : 0;
  return !faulted();
}
export function descriptorAttributes(): u32 {
  return (<u32>(descriptor >> 40) & 0xff) | (<u32>(descriptor >> 40) & 0xf000);
}
/** L and D together mean nothing in IA-32e mode: such code cannot be entered (SDM 3A 5.2.1). */
export function isBothWide(): bool {
  return inLongMode() && (descriptorAttributes() & (ATTR_L | ATTR_D)) == (ATTR_L | ATTR_D);
}
export function descriptorDpl(): u32 {
  return <u32>(descriptor >> 45) & 3;
}
export function descriptorBase(): u64 {
  return ((descriptor >> 16) & 0xffffff) | ((descriptor >> 32) & 0xff000000);
}
export function descriptorLimit(): u32 {
  const limit = <u32>(descriptor & 0xffff) | (<u32>(descriptor >> 32) & 0xf0000);
  return (descriptorAttributes() & ATTR_G) != 0 ? (limit << 12) | 0xfff : limit;
}
export function markAccessed(selector: u32): void {
  if ((descriptor & ((<u64>1) << 40)) != 0) return;
  const base = (selector & 4) != 0 ? segmentBase(LDTR) : load<u64>(GDT_BASE);
  systemWrite<u8>(base + (selector & 0xfff8) + 5, <u8>(descriptor >> 40) | 1);
}
export function loadFromDescriptor(n: u32, selector: u32): void {
  setSegment(n, selector, descriptorAttributes(), descriptorBase(), descriptorLimit());
}

/** MOV, POP, LxS to a data segment register. False with an exception pending. */
export function loadSegment(n: u32, selector: u32): bool {
  if (!isProtected() || inVm86()) {
    setSegment(n, selector, n == CS ? 0x9b : 0x93, (<u64>selector) << 4, 0xffff);
    return true;
  }
  const privilege = load<u32>(CPL);
  if ((selector & 0xfffc) == 0) {
    if (n == SS && !(is64() && privilege < 3 && (selector & 3) == privilege)) {
      raise(GP, 0);
      return false;
    }
    setSegment(n, selector, n == SS ? privilege << 5 : 0, 0, 0);
    return true;
  }
  if (!readDescriptor(selector, GP, false)) return false;
  const attr = descriptorAttributes();
  const rpl = selector & 3,
    dpl = descriptorDpl();
  if (n == SS) {
    if (
      rpl != privilege ||
      dpl != privilege ||
      (attr & (ATTR_S | ATTR_CODE | ATTR_WRITABLE)) != (ATTR_S | ATTR_WRITABLE)
    ) {
      raise(GP, selector & 0xfffc);
      return false;
    }
  } else {
    const readable = (attr & ATTR_S) != 0 && (attr & (ATTR_CODE | ATTR_WRITABLE)) != ATTR_CODE;
    const conforming = (attr & (ATTR_CODE | ATTR_CONFORMING)) == (ATTR_CODE | ATTR_CONFORMING);
    if (!readable || (!conforming && (rpl > dpl || privilege > dpl))) {
      raise(GP, selector & 0xfffc);
      return false;
    }
  }
  if ((attr & ATTR_P) == 0) {
    raise(n == SS ? SSF : NP, selector & 0xfffc);
    return false;
  }
  markAccessed(selector);
  loadFromDescriptor(n, selector);
  return true;
}

/** Installs CS from the descriptor last read, at this privilege. */
export function installCs(selector: u32, privilege: u32): void {
  setSegment(
    CS,
    (selector & 0xfffc) | privilege,
    descriptorAttributes() | ATTR_ACCESSED,
    descriptorBase(),
    descriptorLimit(),
  );
  store<u32>(CPL, privilege);
  selectMode();
}
/** SS as an inner-privilege entry in long mode leaves it. */
export function installNullSs(privilege: u32): void {
  setSegment(SS, privilege, 0x93 | (privilege << 5), 0, 0);
}
