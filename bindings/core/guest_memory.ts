/**
 * Guest memory as the host sees it: physical pages through the frame table, virtual addresses through the guest's
 * page tables. A frame is filled on first touch, from the base where that has a page for it.
 *
 * Frames carry three marks in the frame table. Clean and shared: the base's page lies here and nowhere else. Clean:
 * the base has a copy of its own. Dirty: written since the base was taken.
 */
import { CrashlabError } from "../error.ts";
import * as at from "./layout.ts";
import { type Mapping, type PagingState, walk } from "./page_walk.ts";
import { PAGE, type Page, PageKeeper, PageTable, pageBytes } from "./pages.ts";
import type { CoreInstance } from "./wasm.ts";

const PRESENT = 1;
const DIRTY = 2;
const CODE = 4;
const SHARED = 8;

export class GuestMemory {
  /** Pages that the memory differs from by the frames marked dirty. */
  #base: PageTable | undefined;
  /** Whether frames may be marked shared. */
  #isShared = false;
  readonly #keeper = new PageKeeper();
  readonly #instance: CoreInstance;
  readonly #ramBytes: number;

  constructor(instance: CoreInstance, ramBytes: number) {
    this.#instance = instance;
    this.#ramBytes = ramBytes;
  }

  /** The line of its base. */
  get line(): symbol | undefined {
    return this.#base?.line;
  }

  /** Pages never touched are zero. Throws `bad-address` outside memory. */
  read(address: bigint, length: number): Uint8Array<ArrayBuffer> {
    const start = this.check(address, length);
    const result = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const offset = (start + done) % PAGE;
      const count = Math.min(PAGE - offset, length - done);
      const host = this.#pageForRead(Math.floor((start + done) / PAGE));
      if (host !== 0) result.set(this.#instance.bytes.subarray(host + offset, host + offset + count), done);
      done += count;
    }
    return result;
  }

  /** Throws `bad-address` outside memory. */
  write(address: bigint, bytes: Uint8Array): void {
    const start = this.check(address, bytes.length);
    for (let done = 0; done < bytes.length; ) {
      const offset = (start + done) % PAGE;
      const count = Math.min(PAGE - offset, bytes.length - done);
      const host = this.#instance.exports.framePointerForWrite(Math.floor((start + done) / PAGE)) >>> 0;
      this.#instance.bytes.set(bytes.subarray(done, done + count), host + offset);
      done += count;
    }
  }

  /** Where a virtual address lies by these control registers. */
  translate(paging: PagingState, address: bigint): Mapping | undefined {
    return walk(paging, address, (physical, size) => {
      if (physical + BigInt(size) > BigInt(this.#ramBytes)) return 0n;
      const host = this.#pageForRead(Number(physical >> 12n));
      if (host === 0) return 0n;
      const entry = host + Number(physical & 0xfffn);
      const { view } = this.#instance;
      return size === 8 ? view.getBigUint64(entry, true) : BigInt(view.getUint32(entry, true));
    });
  }

  /** The pieces of a virtual range, a page at most each. Throws `bad-address` where nothing is mapped. */
  *pieces(
    paging: PagingState,
    address: bigint,
    length: number,
  ): Generator<{ readonly physical: bigint; readonly offset: number; readonly count: number }> {
    for (let offset = 0; offset < length; ) {
      const here = BigInt.asUintN(64, address + BigInt(offset));
      const count = Math.min(PAGE - Number(here & 0xfffn), length - offset);
      const mapping = this.translate(paging, here);
      if (mapping === undefined) {
        throw new CrashlabError(
          "bad-address",
          `expected a mapped virtual address, found 0x${here.toString(16)}`,
        );
      }
      yield { physical: mapping.physical, offset, count };
      offset += count;
    }
  }

  /** Guest frames that have been touched, ascending. */
  *touchedFrames(): Generator<number> {
    for (let frame = 0; frame < this.#ramBytes / PAGE; frame++) {
      const entry = this.#instance.view.getUint32(at.FRAME_TABLE + frame * 4, true);
      if (entry !== 0 || this.#base?.get(frame) !== undefined) yield frame;
    }
  }

  /** All of memory as it is now. It stays where it is, and is copied page by page when it is written next. */
  share(): PageTable {
    const { exports } = this.#instance;
    const table = this.#frameTable();
    const wanted = this.#base === undefined ? PRESENT : DIRTY;
    const pages: [number, Page][] = [];
    for (let frame = 0; frame < table.length; frame++) {
      const entry = table[frame] ?? 0;
      if ((entry & wanted) === 0) continue;
      pages.push([frame, { source: this.#instance, offset: hostOf(entry) }]);
      table[frame] = (entry & ~DIRTY) | SHARED;
    }
    // Writes must be seen again: without dirty marks no page keeps its fast write path.
    if (pages.length > 0) {
      exports.unbindWrites();
      this.#isShared = true;
    }
    this.#base = this.#base?.with(pages) ?? PageTable.of(pages);
    return this.#base;
  }

  /** Sets memory to these pages: by what differs, if they are of the same line as the base. */
  become(pages: PageTable): void {
    const base = this.#base;
    if (base === undefined || base.line !== pages.line) this.clear();
    else {
      if (base !== pages) for (const frame of base.differences(pages)) this.#load(frame, pages.get(frame));
      const table = this.#frameTable();
      for (let frame = 0; frame < table.length; frame++)
        if (((table[frame] ?? 0) & DIRTY) !== 0) this.#load(frame, pages.get(frame));
    }
    this.#base = pages;
    this.#instance.view.setUint32(at.LAZY_FRAMES, 1, true);
  }

  #load(frame: number, page: Page | undefined): void {
    const { exports, bytes } = this.#instance;
    const table = this.#frameTable();
    const entry = table[frame] ?? 0;
    if (entry === 0) return;
    // Keeps what a snapshot shares; decoded code of pages that do not change stays good.
    if ((entry & (CODE | SHARED)) !== 0) exports.framePointerForWrite(frame);
    const host = hostOf(entry);
    if (page === undefined) bytes.fill(0, host, host + PAGE);
    else bytes.set(pageBytes(page), host);
    table[frame] = (table[frame] ?? 0) & ~DIRTY;
  }

  /** What was decoded from the code at this address is decoded anew; the page stays as it is. */
  forgetCode(address: bigint): void {
    const frame = Math.floor(this.check(address, 1) / PAGE);
    const table = this.#frameTable();
    const entry = table[frame] ?? 0;
    if ((entry & CODE) === 0) return;
    this.#instance.exports.framePointerForWrite(frame);
    if ((entry & DIRTY) === 0 && this.#base !== undefined) table[frame] = (table[frame] ?? 0) & ~DIRTY;
  }

  /** All of it is zero again. */
  clear(): void {
    const { exports } = this.#instance;
    if (this.#isShared) {
      const table = this.#frameTable();
      for (let frame = 0; frame < table.length; frame++)
        if (((table[frame] ?? 0) & SHARED) !== 0) this.keep(frame);
    }
    this.#isShared = false;
    exports.tracesReset();
    exports.framesReset();
    this.#base = undefined;
  }

  /** Whether snapshots or forks may refer to what lies here. */
  get isShared(): boolean {
    return this.#isShared;
  }

  /** Fills a frame that the core is about to use for the first time; 0 when it is to be zero. */
  fetch(frame: number, address: number): number {
    const page = this.#base?.get(frame);
    if (page === undefined) return 0;
    this.#instance.bytes.set(pageBytes(page), address >>> 0);
    return 1;
  }

  /** A shared frame is about to be written. */
  keep(frame: number): void {
    const page = this.#base?.get(frame);
    if (page !== undefined) this.#keeper.keep(page);
  }

  /** Fetches the pages of the base that were never looked at. */
  fetchAll(): void {
    for (const frame of this.#base?.frames() ?? []) this.#instance.exports.framePointer(frame);
  }

  /** Host address of a page; 0 when it was never touched and so reads as zero. */
  #pageForRead(frame: number): number {
    const entry = this.#instance.view.getUint32(at.FRAME_TABLE + frame * 4, true);
    if (entry !== 0) return hostOf(entry);
    if (this.#base?.get(frame) === undefined) return 0;
    return this.#instance.exports.framePointer(frame) >>> 0;
  }

  #frameTable(): Uint32Array {
    return new Uint32Array(this.#instance.bytes.buffer, at.FRAME_TABLE, this.#ramBytes / PAGE);
  }

  /** The address as a number. Throws `bad-address` unless all of the range lies in memory. */
  check(address: bigint, length: number): number {
    if (address < 0n || address + BigInt(length) > BigInt(this.#ramBytes)) {
      throw new CrashlabError(
        "bad-address",
        `expected ${length} bytes inside ${this.#ramBytes} bytes of memory, found address 0x${address.toString(16)}`,
      );
    }
    return Number(address);
  }
}

function hostOf(entry: number): number {
  return (entry & ~(PAGE - 1)) >>> 0;
}
