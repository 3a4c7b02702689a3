/**
 * Pages of snapshots. A page that was not written since is not copied: it is read where it lies in the memory of the
 * machine it was taken of, which copies it before it writes there. Tables of pages are persistent: one that follows
 * another shares every group of pages in which nothing has changed.
 */
import type { CoreInstance } from "./wasm.ts";

export const PAGE = 0x1000;
/** Pages that a table holds in one piece. */
const GROUP = 64;
/** Copies are made side by side: a buffer for each page would cost more than what is in it. */
const SLAB = 64 * PAGE;

/** A page of a snapshot; equal pages of tables that follow one another are one object. */
export interface Page {
  source: Uint8Array<ArrayBufferLike> | CoreInstance;
  offset: number;
}

/** The bytes of a page, to be read at once: they may lie in a running machine. */
export function pageBytes({ source, offset }: Page): Uint8Array {
  const bytes = source instanceof Uint8Array ? source : source.bytes;
  return bytes.subarray(offset, offset + PAGE);
}

/** Copies pages out of machines. */
export class PageKeeper {
  #slab = new Uint8Array(0);
  #used = 0;

  /** The page's content stays as it is now, wherever it lies. */
  keep(page: Page): void {
    if (page.source instanceof Uint8Array) return;
    if (this.#used === this.#slab.length) {
      this.#slab = new Uint8Array(SLAB);
      this.#used = 0;
    }
    this.#slab.set(pageBytes(page), this.#used);
    page.source = this.#slab;
    page.offset = this.#used;
    this.#used += PAGE;
  }
}

type Group = readonly (Page | undefined)[];

/** Pages by guest frame number; a frame that has none is zero. Immutable. */
export class PageTable {
  /** Tables of one line follow one another, and may share pages. */
  readonly line: symbol;
  readonly #groups: readonly (Group | undefined)[];

  private constructor(line: symbol, groups: readonly (Group | undefined)[]) {
    this.line = line;
    this.#groups = groups;
  }

  /** The first of a line. */
  static of(pages: Iterable<readonly [frame: number, page: Page]>): PageTable {
    return new PageTable(Symbol(), []).with(pages);
  }

  /** This table with other pages in some places. */
  with(pages: Iterable<readonly [frame: number, page: Page]>): PageTable {
    const groups = this.#groups.slice();
    const fresh = new Map<number, (Page | undefined)[]>();
    for (const [frame, page] of pages) {
      const number = Math.floor(frame / GROUP);
      let group = fresh.get(number);
      if (group === undefined) {
        group = groups[number]?.slice() ?? new Array<undefined>(GROUP).fill(undefined);
        fresh.set(number, group);
        while (groups.length <= number) groups.push(undefined);
        groups[number] = group;
      }
      group[frame % GROUP] = page;
    }
    return fresh.size === 0 ? this : new PageTable(this.line, groups);
  }

  get(frame: number): Page | undefined {
    return this.#groups[Math.floor(frame / GROUP)]?.[frame % GROUP];
  }

  /** Frames that have a page, ascending. */
  *frames(): Generator<number> {
    for (const [number, group] of this.#groups.entries()) {
      if (group === undefined) continue;
      for (const [index, page] of group.entries()) if (page !== undefined) yield number * GROUP + index;
    }
  }

  /** Frames whose pages another table of the line has otherwise, ascending. */
  *differences(other: PageTable): Generator<number> {
    const count = Math.max(this.#groups.length, other.#groups.length);
    for (let number = 0; number < count; number++) {
      const [mine, theirs] = [this.#groups[number], other.#groups[number]];
      if (mine === theirs) continue;
      for (let index = 0; index < GROUP; index++)
        if (mine?.[index] !== theirs?.[index]) yield number * GROUP + index;
    }
  }
}
