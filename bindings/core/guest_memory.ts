/**
 * Guest memory as the host sees it: physical pages through the frame table, virtual addresses through the guest's
 * page tables. A frame is filled on first touch, from the base snapshot where there is one.
 */
import { CrashlabError } from "../error.ts";
import * as at from "./layout.ts";
import { type Mapping, type PagingState, walk } from "./page_walk.ts";
import type { Snapshot } from "./snapshot.ts";
import type { CoreInstance } from "./wasm.ts";

export const PAGE = 0x1000;
const TOP_BYTE = 0xffn << 56n;
const KERNEL_BITS = 0x1ffn << 47n;

export class GuestMemory {
  /** Snapshot whose pages the memory differs from by the frames marked dirty. */
  base: Snapshot | undefined;
  readonly #instance: CoreInstance;
  readonly #ramBytes: number;
  readonly #ignoreTopByte: boolean;

  constructor(instance: CoreInstance, ramBytes: number, ignoreTopByte: boolean) {
    this.#instance = instance;
    this.#ramBytes = ramBytes;
    this.#ignoreTopByte = ignoreTopByte;
  }

  get frames(): number {
    return this.#ramBytes / PAGE;
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
    const bits = BigInt.asUintN(64, address);
    const isTagged = this.#ignoreTopByte && (bits & KERNEL_BITS) === KERNEL_BITS;
    const linear = isTagged ? bits | TOP_BYTE : bits;
    return walk(paging, linear, (physical, size) => {
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
    for (let frame = 0; frame < this.frames; frame++) {
      const entry = this.#instance.view.getUint32(at.FRAME_TABLE + frame * 4, true);
      if (entry !== 0 || this.base?.pages.has(frame)) yield frame;
    }
  }

  /** Fills a frame that the core is about to use for the first time; 0 when it is to be zero. */
  fetch(frame: number, address: number): number {
    const page = this.base?.pages.get(frame);
    if (page === undefined) return 0;
    this.#instance.bytes.set(page, address >>> 0);
    return 1;
  }

  /** Fetches the pages of the base that were never looked at. */
  fetchAll(): void {
    for (const frame of this.base?.pages.keys() ?? []) this.#instance.exports.framePointer(frame);
  }

  /** Host address of a page; 0 when it was never touched and so reads as zero. */
  #pageForRead(frame: number): number {
    const entry = this.#instance.view.getUint32(at.FRAME_TABLE + frame * 4, true);
    if (entry !== 0) return (entry & ~(PAGE - 1)) >>> 0;
    if (!this.base?.pages.has(frame)) return 0;
    return this.#instance.exports.framePointer(frame) >>> 0;
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
