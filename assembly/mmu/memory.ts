/**
 * The only loads and stores of guest memory by linear address. The fast path is one xor and one compare in a
 * direct-mapped TLB of 1024 entries of 32 bytes:
 *
 *   +0  u64 page if readable, else a tag that cannot match      +16 u32 host address of the page
 *   +8  u64 page if writable without further ado                +20 u32 host address of its shadow (0: none)
 *   +24 u64 physical page
 *
 * A tag that cannot match is the entry's own page with bit 12 flipped: that bit picks the entry, so no address
 * that reaches it can carry it. Everything else (misses, page crossings, devices, code pages) is slow.
 * A fault leaves an exception pending and returns 0; callers test faulted() before they change anything.
 */

import { isWatched, watchAccess } from "../cpu/debug";
import { AC, faulted, GP, raise, SSF } from "../cpu/exceptions";
import { CR0_AM, cr0, FLAG_AC, is64, isCanonical, TLB_NEVER } from "../cpu/state";
import { flushCodeIn } from "../cpu/traces";
import { isMmio, mmioRead, mmioWrite } from "../devices/bus";
import {
  ACTIVE,
  CPL,
  CPUS,
  FETCH_BASE,
  FETCH_TLB,
  FETCH_TLB_SIZE,
  FLAGS,
  LARGE_CACHED,
  MORE_FETCH_TLBS,
  MORE_TLBS,
  SCRATCH,
  SIGNAL,
  TLB,
  TLB_BASE,
  TLB_MODE,
  TLB_SIZE,
} from "../layout";
import { FRAME_CODE, frameFlags, frameOf, hitsCode, isRam, markDirty } from "./frames";
import { INVALID, READ, SYSTEM, WRITE, walk, walkGlobal, walkLarge, walkWritable } from "./walk";

const BOUNCE: u32 = SCRATCH;

function entryOf(address: u64): u32 {
  return load<u32>(TLB_MODE) + (<u32>(address >> 7) & 0x7fe0);
}

export function read<T>(address: u64): T {
  const e = entryOf(address);
  const x = load<u64>(e) ^ address;
  if (x <= 4096 - sizeof<T>()) return load<T>(load<u32>(e, 16) + <u32>x);
  const host = slowRead(address, sizeof<T>());
  return host == 0 ? <T>0 : load<T>(host);
}

export function write<T>(address: u64, value: T): void {
  const e = entryOf(address);
  const x = load<u64>(e, 8) ^ address;
  if (x <= 4096 - sizeof<T>()) {
    store<T>(load<u32>(e, 16) + <u32>x, value);
    return;
  }
  store<T>(BOUNCE, value);
  slowWrite(address, sizeof<T>());
}

/** Host address of a byte that the fast path can read or write, else 0. */
export function hostForRead(address: u64): u32 {
  const e = entryOf(address);
  const x = load<u64>(e) ^ address;
  return x < 4096 ? load<u32>(e, 16) + <u32>x : 0;
}
export function hostForWrite(address: u64): u32 {
  const e = entryOf(address);
  const x = load<u64>(e, 8) ^ address;
  return x < 4096 ? load<u32>(e, 16) + <u32>x : 0;
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
  const host = slowReadTo(address, size, to);
  return host != 0;
}
/** `size` bytes (up to 512) from linear memory at `from`. */
export function writeBytes(address: u64, from: u32, size: u32): bool {
  memory.copy(BOUNCE, from, size);
  return slowWrite(address, size);
}
export function read128(address: u64, to: u32): bool {
  return readBytes(address, to, 16);
}
export function write128(address: u64, from: u32): bool {
  return writeBytes(address, from, 16);
}

/** Which exception an address that is not canonical raises: the caller says whether SS was involved. */
export let stackSegment: bool = false;
export function setStackSegment(value: bool): void {
  stackSegment = value;
}

function checkAddress(address: u64, size: u32): bool {
  if (is64() && !(isCanonical(address) && isCanonical(address + size - 1))) {
    raise(stackSegment ? SSF : GP, 0);
    return false;
  }
  if (load<u32>(CPL) == 3 && (size & (size - 1)) == 0 && size <= 8 && (address & (size - 1)) != 0) {
    if ((load<u64>(FLAGS) & FLAG_AC) != 0 && (cr0() & CR0_AM) != 0) {
      raise(AC, 0);
      return false;
    }
  }
  return true;
}

function slowRead(address: u64, size: u32): u32 {
  return slowReadTo(address, size, BOUNCE);
}

/** Host address of `size` readable bytes: the page itself, or a copy at `to`. 0 with an exception pending. */
function slowReadTo(address: u64, size: u32, to: u32): u32 {
  if (!checkAddress(address, size)) return 0;
  const inFirst: u32 = 4096 - (<u32>address & 0xfff);
  const first = walk(address, READ);
  if (first == INVALID) return 0;
  watchAccess(address, size, false);
  if (size <= inFirst) {
    fillTlb(address, first);
    return readPhysical(first, size, to) ? to : 0;
  }
  const second = walk((address + inFirst) & addressMask(), READ);
  if (second == INVALID) return 0;
  readPhysical(first, inFirst, to);
  readPhysical(second, size - inFirst, to + inFirst);
  return to;
}

function addressMask(): u64 {
  return is64() ? u64.MAX_VALUE : 0xffffffff;
}

/** Writes the bounce buffer. */
function slowWrite(address: u64, size: u32): bool {
  if (!checkAddress(address, size)) return false;
  const inFirst: u32 = 4096 - (<u32>address & 0xfff);
  const first = walk(address, WRITE);
  if (first == INVALID) return false;
  watchAccess(address, size, true);
  if (size <= inFirst) {
    writePhysical(first, size, BOUNCE);
    fillTlb(address, first);
    return true;
  }
  const second = walk((address + inFirst) & addressMask(), WRITE);
  if (second == INVALID) return false;
  writePhysical(first, inFirst, BOUNCE);
  writePhysical(second, size - inFirst, BOUNCE + inFirst);
  return true;
}

/** True when a store of `size` bytes at `address` would succeed; else the exception is pending. */
export function canWrite(address: u64, size: u32): bool {
  const e = entryOf(address);
  if ((load<u64>(e, 8) ^ address) <= 4096 - size) return true;
  if (!checkAddress(address, size)) return false;
  const first = walk(address, WRITE);
  if (first == INVALID) return false;
  const inFirst: u32 = 4096 - (<u32>address & 0xfff);
  return size <= inFirst || walk((address + inFirst) & addressMask(), WRITE) != INVALID;
}

/** Loads and stores the processor makes for itself: descriptor tables, TSS, interrupt frames. */
export function systemRead<T>(address: u64): T {
  const physical = walk(address, READ | SYSTEM);
  if (physical == INVALID) return <T>0;
  if ((<u32>address & 0xfff) + sizeof<T>() <= 4096) {
    readPhysical(physical, sizeof<T>(), BOUNCE);
    return load<T>(BOUNCE);
  }
  let value: u64 = 0;
  for (let i: u32 = 0; i < <u32>sizeof<T>(); i++) {
    const at = walk(address + i, READ | SYSTEM);
    if (at == INVALID) return <T>0;
    readPhysical(at, 1, BOUNCE);
    value |= (<u64>load<u8>(BOUNCE)) << (i << 3);
  }
  return <T>value;
}
export function systemWrite<T>(address: u64, value: T): void {
  for (let i: u32 = 0; i < <u32>sizeof<T>(); ) {
    let chunk: u32 = 4096 - (<u32>(address + i) & 0xfff);
    if (chunk > <u32>sizeof<T>() - i) chunk = <u32>sizeof<T>() - i;
    const at = walk(address + i, WRITE | SYSTEM);
    if (at == INVALID) return;
    store<T>(BOUNCE, value);
    writePhysical(at, chunk, BOUNCE + i);
    i += chunk;
  }
}

export function readPhysical(physical: u64, size: u32, to: u32): bool {
  if (isRam(physical)) {
    memory.copy(to, frameOf(physical) + (<u32>physical & 0xfff), size);
    return true;
  }
  if (isMmio(physical) && size <= 8) store<u64>(to, mmioRead(physical, size));
  else memory.fill(to, 0xff, size);
  return true;
}

export function writePhysical(physical: u64, size: u32, from: u32): void {
  if (isRam(physical)) {
    if ((frameFlags(physical) & FRAME_CODE) != 0 && hitsCode(physical, size)) flushCodeIn(physical);
    memory.copy(frameOf(physical) + (<u32>physical & 0xfff), from, size);
    markDirty(physical);
    return;
  }
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
function largeCached(): u32 {
  return LARGE_CACHED + (load<u32>(ACTIVE) << 3);
}

/** A piece of a large page is cached: INVLPG anywhere in that page has to forget it. A GiB covers every group. */
export function noteLarge(address: u64): void {
  const bits: u64 = walkLarge == 2 ? u64.MAX_VALUE : (<u64>1) << ((address >> 21) & 63);
  store<u64>(largeCached(), load<u64>(largeCached()) | bits);
}

/** After a successful walk: remember the page. Code pages and pages not yet dirty keep the slow write path. */
function fillTlb(address: u64, physical: u64): void {
  const page = address & ~0xfff;
  const e = entryOf(address);
  const never = load<u32>(TLB_BASE) + TLB_NEVER * TLB_SIZE;
  if (!isRam(physical) || load<u32>(TLB_MODE) == never || isWatched(page, 4096)) return;
  if (walkLarge) noteLarge(address);
  const host = frameOf(physical);
  const flags = frameFlags(physical);
  store<u64>(e, page);
  store<u64>(e, walkWritable && (flags & FRAME_CODE) == 0 && (flags & 2) != 0 ? page : page ^ 0x1000, 8);
  store<u32>(e, host, 16);
  store<u64>(e, (physical & ~0xfff) | (walkGlobal ? 1 : 0), 24);
}

/** A tag that no address which picks entry i carries. */
function emptyTag(i: u32): u64 {
  return (<u64>(i ^ 1)) << 12;
}

function emptyTlb(cpu: u32): void {
  store<u64>(LARGE_CACHED + (cpu << 3), 0);
  const base = tlbOf(cpu);
  for (let i: u32 = 0; i < 4096; i++) {
    const bad = emptyTag(i & 1023);
    store<u64>(base + i * 32, bad);
    store<u64>(base + i * 32, bad, 8);
  }
  memory.fill(fetchTlbOf(cpu), 0xff, FETCH_TLB_SIZE);
}

/** The active CPU forgets every translation of every mode. */
export function flushTlb(): void {
  emptyTlb(load<u32>(ACTIVE));
  store<u32>(SIGNAL, 1);
}
/** The same for all CPUs: what the host changes, none of them may have cached. */
export function flushAllTlbs(): void {
  for (let cpu: u32 = 0; cpu < load<u32>(CPUS); cpu++) emptyTlb(cpu);
  store<u32>(SIGNAL, 1);
}

/** Forgets translations that are not global (CR3 loads). */
export function flushTlbNonGlobal(): void {
  const base = load<u32>(TLB_BASE);
  for (let i: u32 = 0; i < TLB_NEVER * 1024; i++) {
    const e = base + i * 32;
    if ((load<u64>(e, 24) & 1) != 0) continue;
    const bad = emptyTag(i & 1023);
    store<u64>(e, bad);
    store<u64>(e, bad, 8);
  }
  memory.fill(load<u32>(FETCH_BASE), 0xff, FETCH_TLB_SIZE);
  store<u32>(SIGNAL, 1);
}

/** INVLPG: forgets the page of this address, all of it if it is large. */
export function flushPage(address: u64): void {
  if (((load<u64>(largeCached()) >> ((address >> 21) & 63)) & 1) != 0) return flushTlb();
  const i = <u32>(address >> 12) & 1023;
  const bad = emptyTag(i);
  for (let mode: u32 = 0; mode < TLB_NEVER; mode++) {
    const e = load<u32>(TLB_BASE) + mode * TLB_SIZE + i * 32;
    store<u64>(e, bad);
    store<u64>(e, bad, 8);
  }
  const fetch = load<u32>(FETCH_BASE) + ((<u32>(address >> 12) & 255) << 4);
  store<u64>(fetch, u64.MAX_VALUE);
  store<u64>(fetch + 256 * 16, u64.MAX_VALUE);
  store<u32>(SIGNAL, 1);
}

/** A frame has begun to hold code: its pages lose their fast write path on every CPU. */
export function protectFrame(physical: u64): void {
  const page = physical & ~0xfff;
  for (let cpu: u32 = 0; cpu < load<u32>(CPUS); cpu++) {
    const base = tlbOf(cpu);
    for (let i: u32 = 0; i < TLB_NEVER * 1024; i++) {
      const e = base + i * 32;
      if ((load<u64>(e, 24) & ~0xfff) == page) store<u64>(e, emptyTag(i & 1023), 8);
    }
  }
}
