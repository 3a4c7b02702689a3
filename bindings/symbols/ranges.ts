/** Addresses that a debugging entry covers: low and high pc, or a range list. Mirrors DWARF 5, 2.17 and 7.25. */
import { At, type Entry, type Unit } from "./dwarf.ts";
import { Reader } from "./reader.ts";

/** Addresses from `low` up to, not including, `high`. */
export interface AddressRange {
  readonly low: bigint;
  readonly high: bigint;
}

export interface RangeSections {
  /** .debug_ranges, before version 5. */
  readonly ranges: Uint8Array;
  /** .debug_rnglists, since. */
  readonly rangeLists: Uint8Array;
}

const ALL_ONES = 0xffffffffffffffffn;

/** The ranges of entries. */
export class Ranges {
  readonly #sections: RangeSections;
  /** Sound lists are read a few times; ones that all entries share would take the square of the file's size. */
  #steps: number;

  constructor(sections: RangeSections) {
    this.#sections = sections;
    this.#steps = (sections.ranges.length + sections.rangeLists.length) * 4;
  }

  /** The ranges of an entry; none when it has no code or its list is damaged. */
  of(entry: Entry, unit: Unit): AddressRange[] {
    const low = entry.attributes.get(At.lowPc);
    const high = entry.attributes.get(At.highPc);
    if (typeof low === "bigint" && high !== undefined && typeof high !== "string") {
      const end = typeof high === "bigint" ? high : low + BigInt(Math.trunc(high));
      return end > low ? [{ low, high: end }] : [];
    }
    const list = entry.attributes.get(At.ranges);
    if (typeof list !== "number") return [];
    const base = unit.root?.attributes.get(At.lowPc);
    const start = typeof base === "bigint" ? base : 0n;
    try {
      return unit.version < 5 ? this.#read4(list, start) : this.#read5(list, start, unit);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return [];
    }
  }

  /** Pairs of offsets from a base; a pair with all ones sets the base, two zeros end. */
  #read4(at: number, start: bigint): AddressRange[] {
    const reader = new Reader(this.#sections.ranges, at, this.#sections.ranges.length);
    const found: AddressRange[] = [];
    let base = start;
    for (;;) {
      this.#step();
      const low = reader.u64();
      const high = reader.u64();
      if (low === 0n && high === 0n) return found;
      if (low === ALL_ONES) base = high;
      else if (high > low) found.push({ low: base + low, high: base + high });
    }
  }

  #read5(list: number, start: bigint, unit: Unit): AddressRange[] {
    const bytes = this.#sections.rangeLists;
    const reader = new Reader(bytes, listOffset(unit, list, bytes), bytes.length);
    const found: AddressRange[] = [];
    let base = start;
    const add = (low: bigint, high: bigint): void => {
      if (high > low) found.push({ low, high });
    };
    for (;;) {
      this.#step();
      switch (reader.u8()) {
        case 1: // base_addressx
          base = unit.indexedAddress(reader.uleb());
          break;
        case 2: // startx_endx
          add(unit.indexedAddress(reader.uleb()), unit.indexedAddress(reader.uleb()));
          break;
        case 3: {
          // startx_length
          const low = unit.indexedAddress(reader.uleb());
          add(low, low + BigInt(reader.uleb()));
          break;
        }
        case 4: // offset_pair
          add(base + BigInt(reader.uleb()), base + BigInt(reader.uleb()));
          break;
        case 5: // base_address
          base = reader.u64();
          break;
        case 6: // start_end
          add(reader.u64(), reader.u64());
          break;
        case 7: {
          // start_length
          const low = reader.u64();
          add(low, low + BigInt(reader.uleb()));
          break;
        }
        default: // end_of_list
          return found;
      }
    }
  }

  #step(): void {
    if (--this.#steps < 0) throw new RangeError("overlapping range lists");
  }
}

/** A number below the list's base is an index (DW_FORM_rnglistx), others are offsets (DW_FORM_sec_offset). */
function listOffset(unit: Unit, list: number, bytes: Uint8Array): number {
  const base = unit.root?.attributes.get(At.rangeListsBase);
  if (typeof base !== "number" || list >= base) return list;
  const width = unit.wide ? 8 : 4;
  const reader = new Reader(bytes, base + list * width, bytes.length);
  return base + (unit.wide ? Number(reader.u64()) : reader.u32());
}
