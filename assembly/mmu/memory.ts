/**
 * The only loads and stores of guest memory by linear address. The fast path is one xor and one compare in a data TLB
 * (mmu/tlb.ts). Everything else (misses, page crossings, devices, code pages) is slow.
 *
 * Where a shadow is checked (shadow/check.ts), an access is fast only when the shadow bytes of its first and last
 * granule plainly allow it. Everything else about it is decided by mayAccess(), before anything is read or written.
 * Of the run loop's forms only those of checked code look (openForRead, openForWrite): others pay nothing.
 *
 * A fault leaves an exception pending and returns 0; callers test faulted() before they change anything.
 */

import { watchAccess } from "../cpu/debug";
import { AC, GP, raise, SSF } from "../cpu/exceptions";
import { ATTR_CODE, ATTR_D, ATTR_EXPAND_DOWN, ATTR_P, ATTR_WRITABLE } from "../cpu/segments";
import {
  attributes,
  CR0_AM,
  CR4_SMAP,
  cr0,
  cr4,
  FLAG_AC,
  is64,
  isCanonical,
  isProtected,
  SS,
  segmentBase,
  segmentLimit,
} from "../cpu/state";
import { flushCodeIn } from "../cpu/traces";
import { isMmio, mmioRead, mmioWrite } from "../devices/bus";
import { CPL, FLAGS, SCRATCH, TLB_BASE, TLB_MODE, TLB_SIZE } from "../layout";
import { mayAccess } from "../shadow/check";
import { hasTag, isTagged } from "../shadow/tags";
import { FRAME_CODE, FRAME_DIRTY, frameFlags, frameOf, hitsCode, isRam, markDirty } from "./frames";
import { bind, CACHED_WRITABLE, entryOf, entryOffset, resolve, tagOf, translate } from "./tlb";
import { INVALID, READ, SYSTEM, WRITE } from "./walk";

const BOUNCE: u32 = SCRATCH;

/** Whether the shadow of an entry, if it has one, allows up to 8 bytes at offset x. */
function isOpen(e: u32, x: u32, size: u32, address: u64): bool {
  const shadow = load<u32>(e, 20);
  return shadow == 0 || allows(shadow, x, size, address);
}
function allows(shadow: u32, x: u32, size: u32, address: u64): bool {
  if (!isTagged()) {
    const end = x + size - 1;
    const last: u32 = load<u8>(shadow + (end >> 3));
    // The last granule may be good in part.
    if (last != 0 && (last > 7 || (end & 7) >= last)) return false;
    return end >> 3 == x >> 3 || load<u8>(shadow + (x >> 3)) == 0;
  }
  if (size == 1) return hasTag(shadow + (x >> 4), address);
  return hasTag(shadow + (x >> 4), address) && hasTag(shadow + ((x + size - 1) >> 4), address);
}

export function read<T>(address: u64): T {
  const e = entryOf(address);
  const x = load<u64>(e) ^ address;
  if (x <= 4096 - sizeof<T>() && isOpen(e, <u32>x, sizeof<T>(), address))
    return load<T>(load<u32>(e, 16) + <u32>x);
  const host = slowRead(address, sizeof<T>());
  return host == 0 ? <T>0 : load<T>(host);
}

export function write<T>(address: u64, value: T): void {
  const e = entryOf(address);
  const x = load<u64>(e, 8) ^ address;
  if (x <= 4096 - sizeof<T>() && isOpen(e, <u32>x, sizeof<T>(), address)) {
    store<T>(load<u32>(e, 16) + <u32>x, value);
    return;
  }
  if (!mayAccess(address, sizeof<T>(), true)) return;
  store<T>(BOUNCE, value);
  slowWrite(address, sizeof<T>());
}

// Host address of a value that the fast path can read or write, else 0. Without a look at the shadow: for code that is
// not checked; for what PUSH, CALL, RET and their like do to the stack; for strings whose whole range was looked at.
export function hostForRead<T>(address: u64): u32 {
  const e = entryOf(address);
  const x = load<u64>(e) ^ address;
  return x <= 4096 - sizeof<T>() ? load<u32>(e, 16) + <u32>x : 0;
}
export function hostForWrite<T>(address: u64): u32 {
  const e = entryOf(address);
  const x = load<u64>(e, 8) ^ address;
  return x <= 4096 - sizeof<T>() ? load<u32>(e, 16) + <u32>x : 0;
}
/**
 * The same for a stretch of a page that holds code, which is forgotten where it is overwritten. 0 when the page is not
 * cached as writable and dirty.
 */
export function hostForOverwrite(address: u64, size: u32): u32 {
  const e = entryOf(address);
  const known = load<u64>(e, 24);
  const physical = (known & ~0xfff) | (address & 0xfff);
  if ((known & CACHED_WRITABLE) == 0 || load<u64>(e) != (address & ~0xfff)) return 0;
  if ((frameFlags(physical) & (FRAME_CODE | FRAME_DIRTY)) != (FRAME_CODE | FRAME_DIRTY)) return 0;
  if (hitsCode(physical, size)) flushCodeIn(physical);
  return load<u32>(e, 16) + (<u32>address & 0xfff);
}

/** The same for a stretch of up to a page, which the shadow, if it counts, must plainly allow. */
export function rangeForRead(address: u64, size: u32, isChecked: bool): u32 {
  return rangeIn(load<u64>(entryOf(address)), address, size, isChecked);
}
export function rangeForWrite(address: u64, size: u32, isChecked: bool): u32 {
  return rangeIn(load<u64>(entryOf(address), 8), address, size, isChecked);
}
function rangeIn(tag: u64, address: u64, size: u32, isChecked: bool): u32 {
  const x = tag ^ address;
  if (size > 4096 || x > 4096 - size) return 0;
  const e = entryOf(address);
  return isChecked && !allowsRange(load<u32>(e, 20), <u32>x, size) ? 0 : load<u32>(e, 16) + <u32>x;
}
/** All granules are free, but for the last one, of which enough is. */
function allowsRange(shadow: u32, x: u32, size: u32): bool {
  if (shadow == 0 || isTagged()) return false;
  let at = shadow + (x >> 3);
  const end = x + size - 1;
  const last = shadow + (end >> 3);
  for (; at + 16 <= last; at += 16) if (v128.any_true(v128.load(at))) return false;
  for (; at < last; at++) if (load<u8>(at) != 0) return false;
  const value: u32 = load<u8>(last);
  return value == 0 || (value < 8 && (end & 7) < value);
}

// The same for code that is checked by granules, whose TLB has the shadow of every page. Small enough to be inlined: an
// aligned operand lies in one granule, and others, which are rare, are not for here. One mask tests page and alignment.
export function openForRead<T>(address: u64): u32 {
  const e = entryOf(address);
  const x = load<u64>(e) ^ address;
  return isAligned<T>(x) && isFree(load<u32>(e, 20), <u32>x) ? load<u32>(e, 16) + <u32>x : 0;
}
export function openForWrite<T>(address: u64): u32 {
  const e = entryOf(address);
  const x = load<u64>(e, 8) ^ address;
  return isAligned<T>(x) && isFree(load<u32>(e, 20), <u32>x) ? load<u32>(e, 16) + <u32>x : 0;
}
function isAligned<T>(x: u64): bool {
  return (x & ~(<u64>(4096 - sizeof<T>()))) == 0;
}
function isFree(shadow: u32, x: u32): bool {
  return load<u8>(shadow + (x >> 3)) == 0;
}
/** Whether an access of up to 8 bytes is allowed by the tags of a page that the TLB knows. */
export function hasMatchingTags(address: u64, size: u32): bool {
  const e = entryOf(address);
  const x = load<u64>(e) ^ address;
  return x <= 4096 - size && isOpen(e, <u32>x, size, address);
}

export function implicitRead<T>(address: u64): T {
  const host = hostForRead<T>(address);
  if (host != 0) return load<T>(host);
  const copy = slowReadTo(address, sizeof<T>(), BOUNCE);
  return copy == 0 ? <T>0 : load<T>(copy);
}
export function implicitWrite<T>(address: u64, value: T): void {
  const host = hostForWrite<T>(address);
  if (host != 0) {
    store<T>(host, value);
    return;
  }
  store<T>(BOUNCE, value);
  slowWrite(address, sizeof<T>());
}

export function readU8(address: u64): u64 {
  return read<u8>(address);
}
export function readU16(address: u64): u64 {
  return read<u16>(address);
}
export function readU32(address: u64): u64 {
  return read<u32>(address);
}
export function readU64(address: u64): u64 {
  return read<u64>(address);
}
export function writeU8(address: u64, value: u64): void {
  write<u8>(address, <u8>value);
}
export function writeU16(address: u64, value: u64): void {
  write<u16>(address, <u16>value);
}
export function writeU32(address: u64, value: u64): void {
  write<u32>(address, <u32>value);
}
export function writeU64(address: u64, value: u64): void {
  write<u64>(address, value);
}
/** `size` bytes (up to 512) at `address` into linear memory at `to`; false with an exception pending. */
export function readBytes(address: u64, to: u32, size: u32): bool {
  return mayAccess(address, size, false) && slowReadTo(address, size, to) != 0;
}
/** `size` bytes (up to 512) from linear memory at `from`. */
export function writeBytes(address: u64, from: u32, size: u32): bool {
  if (!mayAccess(address, size, true)) return false;
  memory.copy(BOUNCE, from, size);
  return slowWrite(address, size);
}
/** 16 bytes of any alignment; on a fault the value is 0 and an exception pending. */
export function read128(address: u64): v128 {
  const e = entryOf(address);
  const x = load<u64>(e) ^ address;
  if (x <= 4096 - 16 && load<u32>(e, 20) == 0) return v128.load(load<u32>(e, 16) + <u32>x);
  const host = slowRead(address, 16);
  return host == 0 ? i64x2.splat(0) : v128.load(host);
}
export function write128(address: u64, value: v128): void {
  const e = entryOf(address);
  const x = load<u64>(e, 8) ^ address;
  if (x <= 4096 - 16 && load<u32>(e, 20) == 0) {
    v128.store(load<u32>(e, 16) + <u32>x, value);
    return;
  }
  if (!mayAccess(address, 16, true)) return;
  v128.store(BOUNCE, value);
  slowWrite(address, 16);
}

/** Which exception an address that is not canonical raises: the caller says whether SS was involved. */
export let stackSegment: bool = false;
export function setStackSegment(value: bool): void {
  stackSegment = value;
}

/** Marks an address outside 64-bit mode whose segment, in the bits above, has to be checked (cpu/address.ts). */
export const LIMITED: u64 = 1 << 43;
export const LIMITED_SHIFT: u64 = 40;

/** Limit and type of the segment that a marked address names (SDM 3A 5.3, 5.5). */
function checkSegment(address: u64, size: u32, isWrite: bool): bool {
  const segment = <u32>(address >> LIMITED_SHIFT) & 7;
  const attr = attributes(segment);
  const first = (address - segmentBase(segment)) & 0xffffffff;
  const last = first + size - 1;
  const limit: u64 = segmentLimit(segment);
  const isData = (attr & ATTR_CODE) == 0;
  let ok = (attr & ATTR_P) != 0;
  if (isProtected()) {
    if (isWrite) ok = ok && isData && (attr & ATTR_WRITABLE) != 0;
    else ok = ok && (isData || (attr & ATTR_WRITABLE) != 0);
  }
  if (isData && (attr & ATTR_EXPAND_DOWN) != 0)
    ok = ok && first > limit && last <= ((attr & ATTR_D) != 0 ? 0xffffffff : 0xffff);
  else ok = ok && last <= limit;
  if (!ok) raise(segment == SS ? SSF : GP, 0);
  return ok;
}

/** `address`: as resolve() has given it for `from`. */
function checkAddress(from: u64, address: u64, size: u32, isWrite: bool): bool {
  if (is64()) {
    if (!(isCanonical(address) && isCanonical(address + size - 1))) {
      raise(stackSegment ? SSF : GP, 0);
      return false;
    }
  } else if ((from & LIMITED) != 0 && !checkSegment(from, size, isWrite)) return false;
  // 80-bit operands are to be aligned as 64-bit ones are (SDM 3A table 6-7).
  const unit = size == 10 ? 8 : size;
  if (load<u32>(CPL) == 3 && (unit & (unit - 1)) == 0 && unit <= 8 && (address & (unit - 1)) != 0) {
    if ((load<u64>(FLAGS) & FLAG_AC) != 0 && (cr0() & CR0_AM) != 0) {
      raise(AC, 0);
      return false;
    }
  }
  return true;
}

function slowRead(address: u64, size: u32): u32 {
  return mayAccess(address, size, false) ? slowReadTo(address, size, BOUNCE) : 0;
}

function addressMask(): u64 {
  return is64() ? u64.MAX_VALUE : 0xffffffff;
}

/** Host address of `size` readable bytes: the page itself, or a copy at `to`. 0 with an exception pending. */
function slowReadTo(from: u64, size: u32, to: u32): u32 {
  const address = resolve(from);
  if (!checkAddress(from, address, size, false)) return 0;
  const inFirst: u32 = 4096 - (<u32>address & 0xfff);
  const first = translate(tagOf(from), address, READ);
  if (first == INVALID) return 0;
  if (size <= inFirst) {
    watchAccess(address, size, false);
    return readPhysical(first, size, to) ? to : 0;
  }
  const second = translate(tagOf(from + inFirst), (address + inFirst) & addressMask(), READ);
  if (second == INVALID) return 0;
  watchAccess(address, size, false);
  readPhysical(first, inFirst, to);
  readPhysical(second, size - inFirst, to + inFirst);
  return to;
}

/** Writes the bounce buffer. */
function slowWrite(from: u64, size: u32): bool {
  const address = resolve(from);
  if (!checkAddress(from, address, size, true)) return false;
  const inFirst: u32 = 4096 - (<u32>address & 0xfff);
  const first = translate(tagOf(from), address, WRITE);
  if (first == INVALID) return false;
  if (size <= inFirst) {
    watchAccess(address, size, true);
    writePhysical(first, size, BOUNCE);
    bind(tagOf(from), first);
    return true;
  }
  const second = translate(tagOf(from + inFirst), (address + inFirst) & addressMask(), WRITE);
  if (second == INVALID) return false;
  watchAccess(address, size, true);
  writePhysical(first, inFirst, BOUNCE);
  writePhysical(second, size - inFirst, BOUNCE + inFirst);
  return true;
}

/** True when the byte at `address` could be read: what CLFLUSH checks. Else the exception is pending. */
export function canRead(from: u64): bool {
  if (hostForRead<u8>(from) != 0) return true;
  const address = resolve(from);
  return checkAddress(from, address, 1, false) && translate(tagOf(from), address, READ) != INVALID;
}

/** True when a store of `size` bytes at `address` would succeed; else the exception is pending. */
export function canWrite(from: u64, size: u32): bool {
  const e = entryOf(from);
  const x = load<u64>(e, 8) ^ from;
  if (x <= 4096 - size && (size <= 8 ? isOpen(e, <u32>x, size, from) : load<u32>(e, 20) == 0)) return true;
  if (!mayAccess(from, size, true)) return false;
  const address = resolve(from);
  if (!checkAddress(from, address, size, true)) return false;
  if (translate(tagOf(from), address, WRITE) == INVALID) return false;
  const inFirst: u32 = 4096 - (<u32>address & 0xfff);
  return (
    size <= inFirst || translate(tagOf(from + inFirst), (address + inFirst) & addressMask(), WRITE) != INVALID
  );
}

/** The TLB of accesses that the processor makes for itself: supervisor, and never SMAP's exception. */
function systemTlb(): u32 {
  return load<u32>(TLB_BASE) + ((cr4() & CR4_SMAP) != 0 ? TLB_SIZE : 0);
}
function systemTranslate(address: u64, kind: u32): u64 {
  const mode = load<u32>(TLB_MODE);
  store<u32>(TLB_MODE, systemTlb());
  const physical = translate(tagOf(address), address, kind, SYSTEM);
  store<u32>(TLB_MODE, mode);
  return physical;
}

/** Loads and stores the processor makes for itself: descriptor tables, TSS, interrupt frames. */
export function systemRead<T>(address: u64): T {
  const e = systemTlb() + entryOffset(address);
  const x = load<u64>(e) ^ address;
  if (x <= 4096 - sizeof<T>()) return load<T>(load<u32>(e, 16) + <u32>x);
  const physical = systemTranslate(address, READ);
  if (physical == INVALID) return <T>0;
  if ((<u32>address & 0xfff) + sizeof<T>() <= 4096) {
    readPhysical(physical, sizeof<T>(), BOUNCE);
    return load<T>(BOUNCE);
  }
  let value: u64 = 0;
  for (let i: u32 = 0; i < <u32>sizeof<T>(); i++) {
    const at = systemTranslate(address + i, READ);
    if (at == INVALID) return <T>0;
    readPhysical(at, 1, BOUNCE);
    value |= (<u64>load<u8>(BOUNCE)) << (i << 3);
  }
  return <T>value;
}
export function systemWrite<T>(address: u64, value: T): void {
  const e = systemTlb() + entryOffset(address);
  const x = load<u64>(e, 8) ^ address;
  if (x <= 4096 - sizeof<T>()) {
    store<T>(load<u32>(e, 16) + <u32>x, value);
    return;
  }
  for (let i: u32 = 0; i < <u32>sizeof<T>(); ) {
    let chunk: u32 = 4096 - (<u32>(address + i) & 0xfff);
    if (chunk > <u32>sizeof<T>() - i) chunk = <u32>sizeof<T>() - i;
    const at = systemTranslate(address + i, WRITE);
    if (at == INVALID) return;
    store<T>(BOUNCE, value);
    writePhysical(at, chunk, BOUNCE + i);
    i += chunk;
  }
}

/** An access has gone beyond RAM since a string instruction asked: there each element takes long. */
export let leftRam: bool = false;
export function forgetLeftRam(): void {
  leftRam = false;
}

/** memory.copy is a call into the engine; an operand is one load and one store. */
function copy(to: u32, from: u32, size: u32): void {
  if (size == 8) store<u64>(to, load<u64>(from));
  else if (size == 4) store<u32>(to, load<u32>(from));
  else if (size == 1) store<u8>(to, load<u8>(from));
  else memory.copy(to, from, size);
}

export function readPhysical(physical: u64, size: u32, to: u32): bool {
  if (isRam(physical)) {
    copy(to, frameOf(physical) + (<u32>physical & 0xfff), size);
    return true;
  }
  leftRam = true;
  if (isMmio(physical) && size <= 8) store<u64>(to, mmioRead(physical, size));
  else memory.fill(to, 0xff, size);
  return true;
}

export function writePhysical(physical: u64, size: u32, from: u32): void {
  if (isRam(physical)) {
    if ((frameFlags(physical) & FRAME_CODE) != 0 && hitsCode(physical, size)) flushCodeIn(physical);
    const host = frameOf(physical) + (<u32>physical & 0xfff);
    markDirty(physical);
    copy(host, from, size);
    return;
  }
  leftRam = true;
  if (isMmio(physical) && size <= 8) {
    let value = load<u64>(from);
    if (size < 8) value &= ((<u64>1) << (size * 8)) - 1;
    mmioWrite(physical, size, value);
  }
}
