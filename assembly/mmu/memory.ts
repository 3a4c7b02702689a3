/**
 * The only loads and stores of guest memory by linear address. The fast path is one xor and one compare in a
 * direct-mapped TLB of 2048 entries of 32 bytes:
 *
 *   +0  u64 page if readable, else a tag that cannot match      +16 u32 host address of the page
 *   +8  u64 page if writable without further ado                +20 u32 host address of its shadow (0: none)
 *   +24 u64 physical page, and what is cached: bit 0 global (its shadow too), bit 1 writable, bit 2 anything at all
 *
 * A guest can tell what is cached from what is not (it may change tables without INVLPG), so a cached translation
 * stays one when its fast path is taken away: for a page that begins to hold code, for dirty tracking, after a
 * restore. The slow path then uses it without a walk.
 *
 * Where a shadow is checked (shadow/check.ts), an access is fast only when the shadow bytes of its first and last
 * granule plainly allow it. Everything else about it is decided by mayAccess(), before anything is read or written.
 * Of the run loop's forms only those of checked code look (openForRead, openForWrite): others pay nothing.
 *
 * A tag that cannot match is the entry's own page with bit 12 flipped: that bit picks the entry, so no address
 * that reaches it can carry it. Everything else (misses, page crossings, devices, code pages) is slow.
 * A fault leaves an exception pending and returns 0; callers test faulted() before they change anything.
 */

import { isWatched, watchAccess } from "../cpu/debug";
import { AC, faulted, GP, raise, SSF } from "../cpu/exceptions";
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
  TLB_NEVER,
} from "../cpu/state";
import { flushCodeIn, forgetJumps, forgetProgramJumps } from "../cpu/traces";
import { isMmio, mmioRead, mmioWrite } from "../devices/bus";
import {
  ACTIVE,
  CPL,
  CPUS,
  FETCH_BASE,
  FETCH_TLB,
  FETCH_TLB_SIZE,
  FLAGS,
  GLOBAL_TLB_JOURNALS,
  LARGE_CACHED,
  LARGE_CACHED_SIZE,
  MORE_FETCH_TLBS,
  MORE_TLBS,
  OPTION_IGNORE_TOP_BYTE,
  OPTIONS,
  SCRATCH,
  SIGNAL,
  SIGNAL_CACHES,
  TLB,
  TLB_BASE,
  TLB_ENTRIES,
  TLB_JOURNAL_SIZE,
  TLB_JOURNALS,
  TLB_MODE,
  TLB_SIZE,
} from "../layout";
import { mayAccess, shadowGlobal, shadowOf } from "../shadow/check";
import { forgetShadowPages, isShadow } from "../shadow/pages";
import { hasTag, isTagged } from "../shadow/tags";
import { FRAME_CODE, FRAME_DIRTY, frameFlags, frameOf, hitsCode, isRam, markDirty } from "./frames";
import { INVALID, READ, SYSTEM, WRITE, walk, walkGlobal, walkLarge, walkWritable } from "./walk";

const BOUNCE: u32 = SCRATCH;

function entryOffset(address: u64): u32 {
  return <u32>(address >> 7) & (TLB_SIZE - 32);
}
function entryOf(address: u64): u32 {
  return load<u32>(TLB_MODE) + entryOffset(address);
}

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

/** The address that is translated: without the mark of its segment, or without a top byte that does not count. */
function resolve(address: u64): u64 {
  if (!is64()) return address & 0xffffffff;
  if ((load<u32>(OPTIONS) & OPTION_IGNORE_TOP_BYTE) != 0 && load<u32>(CPL) != 3) {
    if (((address >> 47) & 0x1ff) == 0x1ff) return address | 0xff00000000000000;
  }
  return address;
}

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

function addressMask(): u64 {
  return is64() ? u64.MAX_VALUE : 0xffffffff;
}

/** What a TLB entry for this address is found by: in 64-bit mode a top byte that does not count is part of it. */
function tagOf(address: u64): u64 {
  return (is64() ? address : address & 0xffffffff) & ~0xfff;
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

/** Where a CPU's TLBs lie. */
export function tlbOf(cpu: u32): u32 {
  return cpu == 0 ? TLB : MORE_TLBS + (cpu - 1) * 4 * TLB_SIZE;
}
export function fetchTlbOf(cpu: u32): u32 {
  return cpu == 0 ? FETCH_TLB : MORE_FETCH_TLBS + (cpu - 1) * FETCH_TLB_SIZE;
}
/** A number for the 2 MiB that an address lies in. Others share it, but in no layout that kernels have. */
function largeGroup(address: u64): u64 {
  const group = address >> 21;
  return group ^ (group >> 12) ^ (group >> 24) ^ (group >> 36);
}
/** Where the bit of a group lies, and its mask. */
function largeWord(group: u64): u32 {
  return LARGE_CACHED + load<u32>(ACTIVE) * LARGE_CACHED_SIZE + ((<u32>(group >> 6) & 63) << 3);
}
function largeBit(group: u64): u64 {
  return (<u64>1) << (group & 63);
}

/** A piece of a large page is cached: INVLPG anywhere in that page has to forget it. A GiB covers many groups. */
export function noteLarge(address: u64): void {
  if (walkLarge == 2)
    return memory.fill(LARGE_CACHED + load<u32>(ACTIVE) * LARGE_CACHED_SIZE, 0xff, LARGE_CACHED_SIZE);
  const group = largeGroup(address);
  const word = largeWord(group);
  store<u64>(word, load<u64>(word) | largeBit(group));
}

const CACHED_GLOBAL: u64 = 1;
const CACHED_WRITABLE: u64 = 2;
const CACHED: u64 = 4;

/** Physical address by what is cached for this page, else by a walk, which is then cached. */
function translate(page: u64, address: u64, kind: u32, system: u32 = 0): u64 {
  const e = entryOf(page);
  const known = load<u64>(e, 24);
  if (
    (known & (kind == WRITE ? CACHED_WRITABLE : CACHED)) != 0 &&
    (load<u64>(e) & ~0x1000) == (page & ~0x1000)
  ) {
    const physical = (known & ~0xfff) | (address & 0xfff);
    bind(page, physical);
    return physical;
  }
  const lost = lostEntry(page);
  const again = load<u64>(lost, 8);
  if (
    load<u64>(lost) == (page | modeInForce()) &&
    (again & (kind == WRITE ? CACHED_WRITABLE : CACHED)) != 0 &&
    isRam(again)
  ) {
    store<u64>(lost, u64.MAX_VALUE);
    fill(e, page, again);
    return (again & ~0xfff) | (address & 0xfff);
  }
  const physical = walk(address, kind | system);
  if (physical == INVALID || !isRam(physical) || isWatched(address & ~0xfff, 4096)) return physical;
  if (load<u32>(TLB_MODE) == load<u32>(TLB_BASE) + TLB_NEVER * TLB_SIZE) return physical;
  if (walkLarge) noteLarge(address);
  const cached = CACHED | (walkGlobal ? CACHED_GLOBAL : 0) | (walkWritable ? CACHED_WRITABLE : 0);
  fill(e, page, (physical & ~0xfff) | cached);
  return physical;
}

/** A translation becomes a page's entry. What was there, if global, is kept for when it is wanted again soon. */
function fill(e: u32, page: u64, translation: u64): void {
  const known = load<u64>(e, 24);
  if ((known & (CACHED | CACHED_GLOBAL)) == (CACHED | CACHED_GLOBAL)) {
    // Which of two pages its tag is for, the entry's number says.
    const old = (load<u64>(e) & ~0x1fff) | ((<u64>((e >> 5) & 1)) << 12);
    const lost = lostEntry(old);
    store<u64>(lost, old | modeInForce());
    store<u64>(lost, known, 8);
  }
  store<u64>(e, translation, 24);
  store<u64>(e, page ^ 0x1000);
  bind(page, translation & ~0xfff);
  if ((known & CACHED) == 0 || ((known ^ load<u64>(e, 24)) & CACHED_GLOBAL) != 0)
    noteFilled(load<u32>(ACTIVE), e);
}

/**
 * Two pages of the kernel that want the same entry in turn, as an object and a variable may, would cost a walk each time. So
 * the global translations that a CPU's data TLBs lost last are kept behind its fetch TLB, by page:
 * +0 u64 page, with the number of its TLB in the low bits; +8 u64 as at +24 of an entry.
 */
function lostEntry(page: u64): u32 {
  return load<u32>(FETCH_BASE) + 2 * PROGRAM_FETCHES + fetchEntry(page);
}
function modeInForce(): u64 {
  return (load<u32>(TLB_MODE) - load<u32>(TLB_BASE)) / TLB_SIZE;
}

/** Gives a cached page its fast paths. Code pages and pages not yet dirty keep the slow write path. */
function bind(page: u64, physical: u64): void {
  const e = entryOf(page);
  const known = load<u64>(e, 24);
  if ((known & CACHED) == 0 || (load<u64>(e) & ~0x1000) != (page & ~0x1000)) return;
  if (load<u64>(e) != page) {
    store<u32>(e, frameOf(physical), 16);
    store<u32>(e, shadowOf(page), 20);
    if (!shadowGlobal && (known & CACHED_GLOBAL) != 0) {
      store<u64>(e, known & ~CACHED_GLOBAL, 24);
      noteFilled(load<u32>(ACTIVE), e);
    }
  }
  const flags = frameFlags(physical);
  const isPlain = (flags & FRAME_CODE) == 0 && (flags & FRAME_DIRTY) != 0;
  store<u64>(e, page);
  store<u64>(e, (known & CACHED_WRITABLE) != 0 && isPlain ? page : page ^ 0x1000, 8);
}

/** After a snapshot: first writes must be seen again. */
export function unbindWrites(): void {
  for (let cpu: u32 = 0; cpu < load<u32>(CPUS); cpu++) {
    const base = tlbOf(cpu);
    for (let i: u32 = 0; i < TLB_NEVER * TLB_ENTRIES; i++)
      store<u64>(base + i * 32, emptyTag(i & (TLB_ENTRIES - 1)), 8);
  }
}
/** After a restore: frames lie elsewhere, what is cached stays. */
export function unbindAll(): void {
  unbindWrites();
  forgetJumps();
  for (let cpu: u32 = 0; cpu < load<u32>(CPUS); cpu++) {
    const base = tlbOf(cpu);
    for (let i: u32 = 0; i < TLB_NEVER * TLB_ENTRIES; i++) {
      const e = base + i * 32;
      const known = load<u64>(e, 24);
      if ((known & CACHED) == 0 || !isRam(known)) {
        store<u64>(e, emptyTag(i & (TLB_ENTRIES - 1)));
        store<u64>(e, 0, 24);
      } else if ((<u32>(load<u64>(e) >> 12) & 1) == (i & 1)) store<u64>(e, load<u64>(e) ^ 0x1000);
    }
    noteAll(cpu);
  }
}

/** A tag that no address which picks entry i carries. */
function emptyTag(i: u32): u64 {
  return (<u64>(i ^ 1)) << 12;
}

function emptyEntry(e: u32): void {
  const bad = emptyTag((e >> 5) & (TLB_ENTRIES - 1));
  store<u64>(e, bad);
  store<u64>(e, bad, 8);
  store<u64>(e, 0, 24);
}

/**
 * A CPU's two journals name the entries filled with global and other translations since those were last emptied, so
 * that emptying them again costs what was used of them. 0 instead of a count: nobody knows, look at all.
 */
function journalOf(cpu: u32, isGlobal: bool): u32 {
  return (isGlobal ? GLOBAL_TLB_JOURNALS : TLB_JOURNALS) + cpu * TLB_JOURNAL_SIZE;
}
function noteFilled(cpu: u32, e: u32): void {
  const journal = journalOf(cpu, (load<u64>(e, 24) & CACHED_GLOBAL) != 0);
  const count = load<u32>(journal);
  if (count == 0) return;
  if (count * 4 == TLB_JOURNAL_SIZE) return noteAll(cpu);
  store<u32>(journal + count * 4, e);
  store<u32>(journal, count + 1);
}
/** Begins both journals anew: names of entries that were emptied since, and second ones, go. A quarter is to be left. */
function noteAll(cpu: u32): void {
  const journal = journalOf(cpu, false);
  const globals = journalOf(cpu, true);
  store<u32>(journal, 1);
  store<u32>(globals, 1);
  const end = tlbOf(cpu) + TLB_NEVER * TLB_SIZE;
  for (let e = tlbOf(cpu); e < end; e += 32) {
    if ((load<u64>(e, 24) & CACHED) == 0) continue;
    const at = (load<u64>(e, 24) & CACHED_GLOBAL) != 0 ? globals : journal;
    const count = load<u32>(at);
    if (count == 0) continue;
    store<u32>(at + count * 4, e);
    store<u32>(at, count < (TLB_JOURNAL_SIZE / 16) * 3 ? count + 1 : 0);
  }
}

/** Empties the entries of a CPU's TLBs, or those whose translation is not global. */
function emptyEntries(cpu: u32, keepGlobal: bool): void {
  const journal = journalOf(cpu, false);
  const globals = journalOf(cpu, true);
  if (load<u32>(journal) != 0 && (keepGlobal || load<u32>(globals) != 0)) {
    emptyNamed(journal, keepGlobal);
    if (!keepGlobal) emptyNamed(globals, false);
  } else {
    const base = tlbOf(cpu);
    for (let i: u32 = 0; i < (TLB_NEVER + 1) * TLB_ENTRIES; i++) emptyUnless(base + i * 32, keepGlobal);
  }
  store<u32>(journal, 1);
  if (!keepGlobal) store<u32>(globals, 1);
  forgetShadowPages(cpu, keepGlobal);
}
function emptyNamed(journal: u32, keepGlobal: bool): void {
  const end = journal + load<u32>(journal) * 4;
  for (let at = journal + 4; at < end; at += 4) emptyUnless(load<u32>(at), keepGlobal);
}
/** An entry may be named by both journals: what it holds now counts. */
function emptyUnless(e: u32, keepGlobal: bool): void {
  if (!keepGlobal || (load<u64>(e, 24) & CACHED_GLOBAL) == 0) emptyEntry(e);
}

// The fetch TLB, by page: those of privilege 0 to 2, then those of 3. +0 u64 page number, +8 u64 physical page, bit 0 global
const FETCH_ENTRIES: u32 = 256;
export const PROGRAM_FETCHES: u32 = FETCH_ENTRIES * 16;
export const FETCH_GLOBAL: u64 = 1;
/** Offset of an address's entry. A kernel's image and its modules, which end in the same bits, get different ones. */
export function fetchEntry(address: u64): u32 {
  return (<u32>((address >> 12) ^ (address >> 22)) & (FETCH_ENTRIES - 1)) << 4;
}
/** Of programs' pages all are forgotten: that one of them is global hardly happens. */
function forgetLocalFetches(cpu: u32): void {
  const kernel = fetchTlbOf(cpu);
  memory.fill(kernel + PROGRAM_FETCHES, 0xff, PROGRAM_FETCHES);
  forgetProgramJumps();
  let found = false;
  for (let e = kernel; e < kernel + PROGRAM_FETCHES; e += 16) {
    if (load<u64>(e) == u64.MAX_VALUE || (load<u64>(e, 8) & FETCH_GLOBAL) != 0) continue;
    store<u64>(e, u64.MAX_VALUE);
    found = true;
  }
  if (found) forgetJumps();
}

function emptyTlb(cpu: u32): void {
  memory.fill(LARGE_CACHED + cpu * LARGE_CACHED_SIZE, 0, LARGE_CACHED_SIZE);
  emptyEntries(cpu, false);
  memory.fill(fetchTlbOf(cpu), 0xff, FETCH_TLB_SIZE);
  forgetJumps();
}

/**
 * The active CPU forgets every translation of every mode. As with all that one CPU forgets by itself, the instruction
 * that asks for it ends its trace, and the next one is looked up anew.
 */
export function flushTlb(): void {
  emptyTlb(load<u32>(ACTIVE));
}
/** The same for all CPUs: what the host changes, none of them may have cached. */
export function flushAllTlbs(): void {
  for (let cpu: u32 = 0; cpu < load<u32>(CPUS); cpu++) emptyTlb(cpu);
  store<u32>(SIGNAL, load<u32>(SIGNAL) | SIGNAL_CACHES);
}

/** Forgets translations that are not global (CR3 loads). */
export function flushTlbNonGlobal(): void {
  const cpu = load<u32>(ACTIVE);
  emptyEntries(cpu, true);
  forgetLocalFetches(cpu);
}

/** Bits that tell pages with one entry apart, whatever their top bytes and whether they have a fast path. */
const PAGE_OF_ANY_TAG: u64 = 0x0000ffffffffe000;
/** INVLPG: forgets the page of this address, all of it if it is large. */
export function flushPage(address: u64): void {
  if (isShadow(address)) return flushTlb();
  const group = largeGroup(resolve(address));
  if ((load<u64>(largeWord(group)) & largeBit(group)) != 0) return flushTlb();
  const first = load<u32>(TLB_BASE) + entryOffset(address);
  for (let e = first; e < first + TLB_NEVER * TLB_SIZE; e += TLB_SIZE)
    if (((load<u64>(e) ^ address) & PAGE_OF_ANY_TAG) == 0) emptyEntry(e);
  const lost = lostEntry(address);
  if (((load<u64>(lost) ^ address) & 0x0000fffffffff000) == 0) store<u64>(lost, u64.MAX_VALUE);
  const page = resolve(address);
  const fetch = load<u32>(FETCH_BASE) + fetchEntry(page);
  forgetFetched(fetch, page >> 12);
  forgetFetched(fetch + PROGRAM_FETCHES, page >> 12);
}
/** The jump cache knows nothing of a page that is not cached for fetches. */
function forgetFetched(entry: u32, page: u64): void {
  if (load<u64>(entry) != page) return;
  store<u64>(entry, u64.MAX_VALUE);
  forgetJumps();
}

/** A frame has begun to hold code: its pages lose their fast write path on every CPU. */
export function protectFrame(physical: u64): void {
  const page = physical & ~0xfff;
  for (let cpu: u32 = 0; cpu < load<u32>(CPUS); cpu++) {
    const journal = journalOf(cpu, false);
    const globals = journalOf(cpu, true);
    if (load<u32>(journal) != 0 && load<u32>(globals) != 0) {
      protectNamed(journal, page);
      protectNamed(globals, page);
    } else {
      const base = tlbOf(cpu);
      for (let i: u32 = 0; i < TLB_NEVER * TLB_ENTRIES; i++) protectEntry(base + i * 32, page);
    }
  }
}
function protectNamed(journal: u32, page: u64): void {
  const end = journal + load<u32>(journal) * 4;
  for (let at = journal + 4; at < end; at += 4) protectEntry(load<u32>(at), page);
}
function protectEntry(e: u32, page: u64): void {
  if ((load<u64>(e, 24) & ~0xfff) == page) store<u64>(e, emptyTag((e >> 5) & (TLB_ENTRIES - 1)), 8);
}
