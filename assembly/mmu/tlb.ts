/**
 * The TLBs. A CPU's data TLBs are direct-mapped, one of 2048 entries of 32 bytes for each mode of access (cpu/state.ts):
 *
 *   +0  u64 page if readable, else a tag that cannot match      +16 u32 host address of the page
 *   +8  u64 page if writable without further ado                +20 u32 host address of its shadow (0: none)
 *   +24 u64 physical page, and what is cached: bit 0 global (its shadow too), bit 1 writable, bit 2 anything at all
 *
 * A guest can tell what is cached from what is not (it may change tables without INVLPG), so a cached translation
 * stays one when its fast path is taken away: for a page that begins to hold code, for dirty tracking, after a
 * restore. The slow path then uses it without a walk.
 *
 * A tag that cannot match is the entry's own page with bit 12 flipped: that bit picks the entry, so no address
 * that reaches it can carry it.
 */

import { isWatched } from "../cpu/debug";
import { is64, TLB_NEVER } from "../cpu/state";
import { forgetJumps, forgetProgramJumps } from "../cpu/traces";
import {
  ACTIVE,
  CPL,
  CPUS,
  FETCH_BASE,
  FETCH_TLB,
  FETCH_TLB_SIZE,
  GLOBAL_TLB_JOURNALS,
  LARGE_CACHED,
  LARGE_CACHED_SIZE,
  MORE_FETCH_TLBS,
  MORE_TLBS,
  OPTION_IGNORE_TOP_BYTE,
  OPTIONS,
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
import { shadowGlobal, shadowOf } from "../shadow/check";
import { forgetShadowPages, isShadow } from "../shadow/pages";
import { FRAME_CODE, FRAME_DIRTY, frameFlags, frameOf, isRam } from "./frames";
import { INVALID, WRITE, walk, walkGlobal, walkLarge, walkWritable } from "./walk";

export function entryOffset(address: u64): u32 {
  return <u32>(address >> 7) & (TLB_SIZE - 32);
}
export function entryOf(address: u64): u32 {
  return load<u32>(TLB_MODE) + entryOffset(address);
}

/** The address that is translated: without the mark of its segment, or without a top byte that does not count. */
export function resolve(address: u64): u64 {
  if (!is64()) return address & 0xffffffff;
  if ((load<u32>(OPTIONS) & OPTION_IGNORE_TOP_BYTE) != 0 && load<u32>(CPL) != 3) {
    if (((address >> 47) & 0x1ff) == 0x1ff) return address | 0xff00000000000000;
  }
  return address;
}

/** What a TLB entry for this address is found by: in 64-bit mode a top byte that does not count is part of it. */
export function tagOf(address: u64): u64 {
  return (is64() ? address : address & 0xffffffff) & ~0xfff;
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
export const CACHED_WRITABLE: u64 = 2;
const CACHED: u64 = 4;

/** Physical address by what is cached for this page, else by a walk, which is then cached. */
export function translate(page: u64, address: u64, kind: u32, system: u32 = 0): u64 {
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
export function bind(page: u64, physical: u64): void {
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
