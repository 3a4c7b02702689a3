/**
 * Which pages a dump leaves out at `-d` level 0 to 31, by the guest's own struct page. Mirrors makedumpfile(8): the
 * level is the sum of 1 zero pages, 2 cache without private data, 4 cache with, 8 user data, 16 free pages. Offsets
 * and flag numbers are those that the kernel gives in VMCOREINFO.
 */
import { CrashlabError } from "../error.ts";
import { viewOf } from "./range_reader.ts";
import type { VmcoreInfo } from "./vmcoreinfo.ts";

const PAGE = 4096;
const ZERO = 1;
const CACHE = 2;
const PRIVATE_CACHE = 4;
const USER = 8;
const FREE = 16;
/** Start of the array of struct page with four levels and no KASLR (Linux Documentation/arch/x86/x86_64/mm.rst). */
const VMEMMAP = 0xffffea0000000000n;
/** struct page of this many pages are read at a time. */
const BATCH = 1024;
/** Pages that are read at once: 1 MiB. */
const READ_PAGES = 256;

export interface GuestMemory {
  readPhysical(address: bigint, length: number): Uint8Array<ArrayBuffer>;
  /** Undefined where nothing is mapped. */
  readVirtual(address: bigint, length: number): Uint8Array<ArrayBuffer> | undefined;
}

/** 1 for each page of a memory that a level leaves out. Throws `bad-option` for a level that is none. */
export function excludedPages(
  memory: GuestMemory,
  info: VmcoreInfo,
  frames: number,
  level: number,
): Uint8Array {
  if (!Number.isInteger(level) || level < 0 || level > 31) {
    throw new CrashlabError("bad-option", `expected a dump level from 0 to 31, found ${level}`);
  }
  const excluded = new Uint8Array(frames);
  if ((level & ~ZERO) !== 0) filterByType(memory, info, excluded, level);
  if ((level & ZERO) === 0) return excluded;
  for (let first = 0; first < frames; first += READ_PAGES) {
    const count = Math.min(READ_PAGES, frames - first);
    if (excluded.subarray(first, first + count).every((each) => each === 1)) continue;
    const bytes = memory.readPhysical(BigInt(first * PAGE), count * PAGE);
    for (let index = 0; index < count; index++) {
      if (isZero(bytes.subarray(index * PAGE, (index + 1) * PAGE))) excluded[first + index] = 1;
    }
  }
  return excluded;
}

export function isZero(page: Uint8Array<ArrayBuffer>): boolean {
  const words = new Int32Array(page.buffer, page.byteOffset, page.length / 4);
  // By index: iterating over the elements is ten times slower.
  for (let index = 0; index < words.length; index++) if (words[index] !== 0) return false;
  return true;
}

function filterByType(memory: GuestMemory, info: VmcoreInfo, excluded: Uint8Array, level: number): void {
  const size = required(info.size("page"), "SIZE(page)");
  const offset = (member: string): number =>
    required(info.offset(`page.${member}`), `OFFSET(page.${member})`);
  const flag = (name: string): bigint => 1n << BigInt(required(number(info, name), `NUMBER(${name})`));
  const at = {
    flags: offset("flags"),
    count: offset("_refcount"),
    mapcount: offset("_mapcount"),
    mapping: offset("mapping"),
    private: offset("private"),
  };
  const [lru, slab, hasPrivate] = [flag("PG_lru"), flag("PG_slab"), flag("PG_private")];
  const buddy = required(number(info, "PAGE_BUDDY_MAPCOUNT_VALUE"), "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)");
  for (let first = 0; first < excluded.length; first += BATCH) {
    const count = Math.min(BATCH, excluded.length - first);
    const bytes = memory.readVirtual(VMEMMAP + BigInt(first * size), count * size);
    if (bytes === undefined) continue;
    const view = viewOf(bytes);
    for (let index = 0; index < count; index++) {
      const page = index * size;
      const flags = view.getBigUint64(page + at.flags, true);
      const mapping = view.getBigUint64(page + at.mapping, true);
      const free =
        view.getInt32(page + at.count, true) === 0 && view.getInt32(page + at.mapcount, true) === buddy;
      if (free) {
        if ((level & FREE) === 0) continue;
        const order = Number(view.getBigUint64(page + at.private, true) & 31n);
        excluded.fill(1, first + index, first + index + 2 ** order);
        continue;
      }
      const anonymous = (mapping & 1n) !== 0n && mapping !== 0n;
      const cache = (flags & lru) !== 0n && !anonymous;
      const drop =
        (cache && (flags & hasPrivate) === 0n && (level & CACHE) !== 0) ||
        (cache && (level & PRIVATE_CACHE) !== 0) ||
        (anonymous && (flags & slab) === 0n && (level & USER) !== 0);
      if (drop) excluded[first + index] = 1;
    }
  }
}

function number(info: VmcoreInfo, name: string): number | undefined {
  const value = info.number(name);
  return value === undefined ? undefined : Number(value);
}

function required(value: number | undefined, name: string): number {
  if (value !== undefined) return value;
  throw new CrashlabError(
    "bad-kernel",
    `expected ${name} in the kernel's VMCOREINFO, found none; capture with dump level 0 or 1`,
  );
}
