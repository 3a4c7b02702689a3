/**
 * Page walks: linear to physical by the paging mode in force, with permission checks and A/D bits. SDM 3A
 * chapter 4. A walk reports a fault through exceptions.ts and returns INVALID; of the tables, the accessed bits of
 * the entries that led on are set then (4.8).
 */
import { raisePageFault } from "../cpu/exceptions";
import {
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  cr0,
  cr4,
  EFER_NXE,
  efer,
  FLAG_AC,
  inLongMode,
} from "../cpu/state";
import { CPL, CR3, FLAGS, FRAME_TABLE } from "../layout";
import { FRAME_PRESENT, frameOf, isRam, markDirty } from "./frames";

export const READ: u32 = 0;
export const WRITE: u32 = 1;
export const FETCH: u32 = 2;
/** Accesses the processor makes for itself: supervisor whatever the CPL, and never SMAP's business. */
export const SYSTEM: u32 = 4;

export const INVALID: u64 = u64.MAX_VALUE;

const P: u64 = 1;
const RW: u64 = 2;
const US: u64 = 4;
const A: u64 = 0x20;
const D: u64 = 0x40;
const PS: u64 = 0x80;
const NX: u64 = 0x8000000000000000;
const ADDRESS: u64 = 0x000ffffffffff000;
const IGNORED_IN_LONG_MODE: u64 = 0x7ff0000000000000;
const PHYSICAL_BITS: u64 = 0x000000ffffffffff;

// What the last successful walk found out, for the TLB entry that follows it.
export let walkWritable: bool = false;
export let walkGlobal: bool = false;
/** 0: a page of 4 KiB, 1: 2 or 4 MiB, 2: 1 GiB. */
export let walkLarge: u32 = 0;

function loadEntry(at: u64): u64 {
  if (!isRam(at)) return 0;
  const frame = load<u32>(FRAME_TABLE + ((<u32>(at >> 12)) << 2));
  const page = (frame & FRAME_PRESENT) != 0 ? frame & ~0xfff : frameOf(at);
  return load<u64>(page + (<u32>at & 0xfff));
}
function storeEntry(at: u64, value: u64, size: u32): void {
  if (!isRam(at)) return;
  const host = frameOf(at) + (<u32>at & 0xfff);
  markDirty(at);
  if (size == 4) store<u32>(host, <u32>value);
  else store<u64>(host, value);
}

/** Physical address of `address` for an access of this kind, or INVALID with #PF pending. */
export function walk(address: u64, kind: u32): u64 {
  if ((cr0() & CR0_PG) == 0) {
    walkWritable = true;
    walkGlobal = false;
    walkLarge = 0;
    return address & 0xffffffff;
  }
  if ((cr4() & CR4_PAE) == 0) return walk32(address, kind);
  const user = (kind & SYSTEM) == 0 && load<u32>(CPL) == 3;
  const nxe = (efer() & EFER_NXE) != 0;
  const long = inLongMode();
  let table = long ? load<u64>(CR3) & ADDRESS : load<u64>(CR3) & 0xffffffe0;
  let shift: u32 = long ? 39 : 30;
  let rights: u64 = RW | US;
  let noExecute = false;
  // Bits 52 to 62 are for programs in long mode only (SDM 3A tables 4-9 to 4-11).
  const reserved: u64 = (ADDRESS & ~PHYSICAL_BITS) | (nxe ? 0 : NX) | (long ? 0 : IGNORED_IN_LONG_MODE);
  while (true) {
    const at = table + ((address >> shift) & (shift == 30 && !long ? 3 : 511)) * 8;
    const entry = loadEntry(at);
    if ((entry & P) == 0) return fault(address, kind, user, nxe, 0);
    const isPdpte32 = !long && shift == 30;
    if ((entry & reserved) != 0 || (shift == 39 && (entry & PS) != 0))
      return fault(address, kind, user, nxe, 9);
    if (!isPdpte32) {
      rights &= entry;
      if ((entry & NX) != 0) noExecute = true;
    }
    const large = (shift == 21 || (shift == 30 && long)) && (entry & PS) != 0;
    if (large || shift == 12) {
      const mask: u64 = ((<u64>1) << shift) - 1;
      if (large && (entry & mask & ADDRESS & ~0x1000) != 0) return fault(address, kind, user, nxe, 9);
      if (!permitted(kind, user, rights, noExecute)) return fault(address, kind, user, nxe, 1);
      const isWrite = (kind & WRITE) != 0;
      const marked = entry | A | (isWrite ? D : 0);
      if (marked != entry) storeEntry(at, marked, 8);
      walkWritable = (marked & D) != 0 && writable(user || (kind & SYSTEM) == 0 ? user : false, rights);
      walkGlobal = (entry & 0x100) != 0;
      walkLarge = shift == 12 ? 0 : shift == 21 ? 1 : 2;
      return ((entry & ADDRESS & ~mask) | (address & mask)) & PHYSICAL_BITS;
    }
    // An entry that leads on has been used, whatever comes of the walk.
    if (!isPdpte32 && (entry & A) == 0) storeEntry(at, entry | A, 8);
    table = entry & ADDRESS;
    shift -= 9;
  }
  return INVALID;
}

/** Whether the translation that peek() found last is global. */
export let peekGlobal: bool = false;
/** Physical address of a supervisor address in long mode as the tables say it, or INVALID; nothing is marked or raised. */
export function peek(address: u64): u64 {
  if (!inLongMode()) return INVALID;
  let table = load<u64>(CR3) & ADDRESS;
  for (let shift: u32 = 39; shift >= 12; shift -= 9) {
    const entry = loadEntry(table + ((address >> shift) & 511) * 8);
    if ((entry & P) == 0) return INVALID;
    if (shift == 12 || (shift < 39 && (entry & PS) != 0)) {
      const mask: u64 = ((<u64>1) << shift) - 1;
      peekGlobal = (entry & 0x100) != 0;
      return ((entry & ADDRESS & ~mask) | (address & mask)) & PHYSICAL_BITS;
    }
    table = entry & ADDRESS;
  }
  return INVALID;
}

function writable(user: bool, rights: u64): bool {
  if ((rights & RW) != 0) return true;
  return !user && (cr0() & CR0_WP) == 0;
}

function permitted(kind: u32, user: bool, rights: u64, noExecute: bool): bool {
  if (user) {
    if ((rights & US) == 0) return false;
  } else if ((rights & US) != 0) {
    if ((kind & FETCH) != 0) {
      if ((cr4() & CR4_SMEP) != 0) return false;
    } else if ((cr4() & CR4_SMAP) != 0) {
      // SDM 3A 4.6.1: explicit supervisor accesses need RFLAGS.AC, implicit ones are never allowed.
      if ((kind & SYSTEM) != 0 || (load<u64>(FLAGS) & FLAG_AC) == 0) return false;
    }
  }
  if ((kind & FETCH) != 0) return !noExecute;
  if ((kind & WRITE) != 0) return writable(user, rights);
  return true;
}

function fault(address: u64, kind: u32, user: bool, nxe: bool, code: u32): u64 {
  let error = code;
  if ((kind & WRITE) != 0) error |= 2;
  if (user) error |= 4;
  if ((kind & FETCH) != 0 && (nxe || (cr4() & CR4_SMEP) != 0)) error |= 16;
  raisePageFault(address, error);
  return INVALID;
}

/** Two-level paging of 32-bit protected mode: 4 KiB and 4 MiB pages. */
function walk32(address: u64, kind: u32): u64 {
  const user = (kind & SYSTEM) == 0 && load<u32>(CPL) == 3;
  const directory = (load<u64>(CR3) & 0xfffff000) + ((address >> 22) & 1023) * 4;
  const entry = loadEntry(directory) & 0xffffffff;
  if ((entry & P) == 0) return fault(address, kind, user, false, 0);
  const isWrite = (kind & WRITE) != 0;
  if ((entry & PS) != 0 && (cr4() & CR4_PSE) != 0) {
    // Bits 13 to 20 are those above 4 GiB (PSE-36), bit 21 is reserved (SDM 3A table 4-4).
    if ((entry & 0x200000) != 0) return fault(address, kind, user, false, 9);
    if (!permitted(kind, user, entry, false)) return fault(address, kind, user, false, 1);
    const marked = entry | A | (isWrite ? D : 0);
    if (marked != entry) storeEntry(directory, marked, 4);
    walkWritable = (marked & D) != 0 && writable(user, entry);
    walkGlobal = (entry & 0x100) != 0;
    walkLarge = 2; // 4 MiB: two groups of the filter, so say all
    return (entry & 0xffc00000) | (((entry >> 13) & 0xff) << 32) | (address & 0x3fffff);
  }
  const at = (entry & 0xfffff000) + ((address >> 12) & 1023) * 4;
  const page = loadEntry(at) & 0xffffffff;
  if ((entry & A) == 0) storeEntry(directory, entry | A, 4);
  if ((page & P) == 0) return fault(address, kind, user, false, 0);
  const rights = entry & page;
  if (!permitted(kind, user, rights, false)) return fault(address, kind, user, false, 1);
  const marked = page | A | (isWrite ? D : 0);
  if (marked != page) storeEntry(at, marked, 4);
  walkWritable = (marked & D) != 0 && writable(user, rights);
  walkGlobal = (page & 0x100) != 0;
  walkLarge = 0;
  return (page & 0xfffff000) | (address & 0xfff);
}
