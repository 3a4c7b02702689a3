/**
 * Memory of a dump: physical through a cache of pages, virtual through the page tables in it. Mirrors SDM 3A 4.5:
 * four or five levels, pages of 4 KiB, 2 MiB and 1 GiB. Where an ELF dump says itself what is mapped where, that
 * counts when there are no page tables.
 */
import { CrashlabError } from "../error.ts";
import type { DumpFile } from "./dump_file.ts";
import { viewOf } from "./range_reader.ts";

const PAGE = 4096;
/** 16 MiB. */
const CACHED_PAGES = 4096;
const PRESENT = 1n;
const LARGE = 0x80n;
const FRAME_MASK = 0x000ffffffffff000n;
/** __START_KERNEL_map: where the kernel's image is mapped (Linux Documentation/arch/x86/x86_64/mm.rst). */
export const KERNEL_MAP = 0xffffffff80000000n;
/** No single read of a structure or string needs more. */
const READ_LIMIT = 64 << 20;

/** Root of a set of page tables. */
export interface AddressSpace {
  /** Physical address of the top table. */
  readonly root: bigint;
  /** Five levels (LA57). */
  readonly fiveLevels: boolean;
  /** Bits of entries that are not address: the encryption bit of SME. */
  readonly ignore: bigint;
}

/** An entry of the page tables on the way to an address, for `vtop`. */
export interface Translation {
  readonly physical: bigint;
  readonly pageSize: number;
  readonly entry: bigint;
}

export class PhysicalMemory {
  readonly #dump: DumpFile;
  readonly #pages = new Map<number, Uint8Array>();

  constructor(dump: DumpFile) {
    this.#dump = dump;
  }

  /** A page by its number; undefined when it is not in the dump. */
  async page(frame: number): Promise<Uint8Array | undefined> {
    const known = this.#pages.get(frame);
    if (known !== undefined) return known;
    const page = await this.#dump.readPage(frame);
    if (page === undefined) return undefined;
    if (this.#pages.size >= CACHED_PAGES) {
      const oldest = this.#pages.keys().next();
      if (!oldest.done) this.#pages.delete(oldest.value);
    }
    this.#pages.set(frame, page);
    return page;
  }

  /** Bytes from a physical address on; undefined when they are not all in the dump. */
  async read(address: bigint, length: number): Promise<Uint8Array | undefined> {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = Number(address) + done;
      const page = await this.page(Math.floor(at / PAGE));
      if (page === undefined) return undefined;
      const offset = at % PAGE;
      const count = Math.min(PAGE - offset, length - done);
      bytes.set(page.subarray(offset, offset + count), done);
      done += count;
    }
    return bytes;
  }
}

/** Virtual memory as an address space has it. */
export class VirtualMemory {
  readonly physical: PhysicalMemory;
  readonly space: AddressSpace | undefined;
  readonly #segments: DumpFile["segments"];
  readonly #translations = new Map<bigint, bigint | undefined>();

  constructor(physical: PhysicalMemory, segments: DumpFile["segments"], space: AddressSpace | undefined) {
    this.physical = physical;
    this.space = space;
    this.#segments = segments;
  }

  /** The same memory with other page tables: a process's. */
  within(root: bigint): VirtualMemory {
    const space = this.space ?? { fiveLevels: false, ignore: 0n };
    return new VirtualMemory(this.physical, [], { ...space, root });
  }

  /** Physical address of a virtual one; undefined when it is not mapped or the tables are not in the dump. */
  async translate(address: bigint): Promise<bigint | undefined> {
    const page = address & ~0xfffn;
    if (!this.#translations.has(page)) {
      if (this.#translations.size >= CACHED_PAGES) this.#translations.clear();
      const walked = this.space === undefined ? undefined : await this.walk(page);
      this.#translations.set(page, walked?.physical ?? this.#segmentAddress(page));
    }
    const physical = this.#translations.get(page);
    return physical === undefined ? undefined : physical + (address & 0xfffn);
  }

  /** Walks the page tables. */
  async walk(address: bigint): Promise<Translation | undefined> {
    const { space } = this;
    if (space === undefined || !isCanonical(address, space.fiveLevels)) return undefined;
    let table = space.root;
    for (let shift = space.fiveLevels ? 48n : 39n; shift >= 12n; shift -= 9n) {
      const at = table + ((address >> shift) & 511n) * 8n;
      const bytes = await this.physical.read(at, 8);
      if (bytes === undefined) return undefined;
      const entry = viewOf(bytes).getBigUint64(0, true);
      if ((entry & PRESENT) === 0n) return undefined;
      table = entry & FRAME_MASK & ~space.ignore;
      const last = shift === 12n || ((entry & LARGE) !== 0n && shift <= 30n);
      if (!last) continue;
      const inside = (1n << shift) - 1n;
      return {
        physical: (table & ~inside) | (address & inside),
        pageSize: Number(1n << shift),
        entry,
      };
    }
    return undefined;
  }

  #segmentAddress(address: bigint): bigint | undefined {
    const segment = this.#segments.find(
      ({ virtual, length }) => address >= virtual && address < virtual + length && virtual !== 0n,
    );
    return segment === undefined ? undefined : segment.physical + (address - segment.virtual);
  }

  /** Bytes at an address; undefined when some are not mapped or not in the dump. */
  async tryRead(address: bigint, length: number): Promise<Uint8Array | undefined> {
    if (length < 0 || length > READ_LIMIT) return undefined;
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = BigInt.asUintN(64, address + BigInt(done));
      const physical = await this.translate(at);
      if (physical === undefined) return undefined;
      const page = await this.physical.page(Number(physical >> 12n));
      if (page === undefined) return undefined;
      const offset = Number(at & 0xfffn);
      const count = Math.min(PAGE - offset, length - done);
      bytes.set(page.subarray(offset, offset + count), done);
      done += count;
    }
    return bytes;
  }

  /** Bytes at an address. Throws `bad-address` when some are not mapped or not in the dump. */
  async read(address: bigint, length: number): Promise<Uint8Array> {
    const bytes = await this.tryRead(address, length);
    if (bytes === undefined) {
      throw new CrashlabError(
        "bad-address",
        `expected ${length} bytes at 0x${address.toString(16)}, found memory that is not mapped or not in the dump; give another address, or a dump of a lower -d level`,
      );
    }
    return bytes;
  }

  async u8(address: bigint): Promise<number> {
    return (await this.read(address, 1))[0] ?? 0;
  }

  async u16(address: bigint): Promise<number> {
    return viewOf(await this.read(address, 2)).getUint16(0, true);
  }

  async u32(address: bigint): Promise<number> {
    return viewOf(await this.read(address, 4)).getUint32(0, true);
  }

  async u64(address: bigint): Promise<bigint> {
    return viewOf(await this.read(address, 8)).getBigUint64(0, true);
  }

  /** The NUL-terminated string at an address, at most `limit` bytes of it; "" when it cannot be read. */
  async string(address: bigint, limit = 256): Promise<string> {
    const parts: number[] = [];
    while (parts.length < limit) {
      const at = address + BigInt(parts.length);
      const count = Math.min(PAGE - Number(at & 0xfffn), limit - parts.length);
      const bytes = await this.tryRead(at, count);
      if (bytes === undefined) break;
      const end = bytes.indexOf(0);
      parts.push(...bytes.subarray(0, end < 0 ? count : end));
      if (end >= 0) break;
    }
    return new TextDecoder().decode(Uint8Array.from(parts));
  }
}

function isCanonical(address: bigint, fiveLevels: boolean): boolean {
  const top = BigInt.asUintN(64, address) >> (fiveLevels ? 56n : 47n);
  return top === 0n || top === (fiveLevels ? 0xffn : 0x1ffffn);
}
