/**
 * DWARF debugging entries (.debug_info and .debug_abbrev, versions 2 to 5): units and their attributes, as far
 * as functions, inlining and structures need them. Mirrors the DWARF standard, chapters 2 and 7.5.
 */
import { Reader, stringAt } from "./reader.ts";

/** Attribute numbers (DWARF 5, table 7.5). */
export const At = {
  name: 0x03,
  statements: 0x10,
  compilationDirectory: 0x1b,
  lowPc: 0x11,
  highPc: 0x12,
  abstractOrigin: 0x31,
  memberLocation: 0x38,
  specification: 0x47,
  type: 0x49,
  ranges: 0x55,
  callFile: 0x58,
  callLine: 0x59,
  stringOffsetsBase: 0x72,
  addressBase: 0x73,
  rangeListsBase: 0x74,
} as const;

/** Attributes that only types have; kept by `entryAt` and `childrenOf`. */
export const TypeAt = {
  byteSize: 0x0b,
  bitOffset: 0x0c,
  bitSize: 0x0d,
  constantValue: 0x1c,
  upperBound: 0x2f,
  count: 0x37,
  declaration: 0x3c,
  encoding: 0x3e,
  dataBitOffset: 0x6b,
} as const;

/** Tag numbers (DWARF 5, table 7.3). */
export const Tag = {
  array: 0x01,
  enumeration: 0x04,
  parameter: 0x05,
  member: 0x0d,
  pointer: 0x0f,
  compileUnit: 0x11,
  structure: 0x13,
  subroutineType: 0x15,
  typedef: 0x16,
  union: 0x17,
  unspecifiedParameters: 0x18,
  inlined: 0x1d,
  subrange: 0x21,
  baseType: 0x24,
  constant: 0x26,
  enumerator: 0x28,
  subprogram: 0x2e,
  volatile: 0x35,
  restrict: 0x37,
  atomic: 0x47,
} as const;

/** An attribute's value: a number is a constant or an offset, a bigint an address. */
export type AttributeValue = number | bigint | string;

export interface Entry {
  /** Offset in .debug_info. */
  readonly offset: number;
  readonly tag: number;
  /** Index of its parent among the unit's entries; -1 for the unit itself. */
  readonly parent: number;
  readonly attributes: ReadonlyMap<number, AttributeValue>;
}

export interface InfoSections {
  readonly info: Uint8Array;
  readonly abbreviations: Uint8Array;
  readonly strings: Uint8Array;
  readonly lineStrings: Uint8Array;
  readonly stringOffsets: Uint8Array;
  readonly addresses: Uint8Array;
}

interface Abbreviation {
  readonly tag: number;
  readonly children: boolean;
  /** Attribute, form, and the value of DW_FORM_implicit_const. */
  readonly specifications: readonly (readonly [number, number, number])[];
}

const KEPT: ReadonlySet<number> = new Set(Object.values(At));
const KEPT_OF_TYPES: ReadonlySet<number> = new Set([...Object.values(At), ...Object.values(TypeAt)]);
const SKELETON = 4;
const SPLIT_COMPILE = 5;
const TYPE_UNIT = 2;
const SPLIT_TYPE = 6;
const IMPLICIT_CONST = 0x21;

/** One unit of .debug_info; entries are read when asked for. */
export class Unit {
  readonly version: number;
  readonly wide: boolean;
  root: Entry | undefined;
  readonly #sections: InfoSections;
  readonly #start: number;
  readonly #first: number;
  readonly #end: number;
  readonly #addressSize: number;
  readonly #abbreviations: ReadonlyMap<number, Abbreviation>;
  #entries: readonly Entry[] | undefined;

  constructor(
    sections: InfoSections,
    tables: AbbreviationTables,
    { start, end, wide, reader }: { start: number; end: number; wide: boolean; reader: Reader },
  ) {
    this.#sections = sections;
    this.#start = start;
    this.#end = end;
    this.wide = wide;
    this.version = reader.u16();
    if (this.version < 2 || this.version > 5) throw new RangeError("DWARF version");
    const kind = this.version >= 5 ? reader.u8() : 0;
    const offset = (): number => (wide ? Number(reader.u64()) : reader.u32());
    if (this.version >= 5) {
      this.#addressSize = reader.u8();
      this.#abbreviations = tables.at(offset());
      if (kind === SKELETON || kind === SPLIT_COMPILE) reader.skip(8);
      if (kind === TYPE_UNIT || kind === SPLIT_TYPE) reader.skip(wide ? 16 : 12);
    } else {
      this.#abbreviations = tables.at(offset());
      this.#addressSize = reader.u8();
    }
    if (this.#addressSize !== 8) throw new RangeError("address size");
    this.#first = reader.at;
    // Once for the bases that it names, once more with them: its own values may be indexes from there.
    this.root = this.#read(1)[0];
    this.root = this.#read(1)[0];
  }

  /** All entries in the order of the file; as many as are sound. */
  get entries(): readonly Entry[] {
    this.#entries ??= this.#read(Number.POSITIVE_INFINITY);
    return this.#entries;
  }

  /** Holds the entry at an offset of .debug_info. */
  contains(offset: number): boolean {
    return offset >= this.#first && offset < this.#end;
  }

  /** An address of .debug_addr by its index. */
  indexedAddress(index: number): bigint {
    const base = Number(this.root?.attributes.get(At.addressBase) ?? 8);
    return new Reader(this.#sections.addresses, base + index * 8, this.#sections.addresses.length).u64();
  }

  /** The entry at an offset of .debug_info; undefined when there is none. */
  entryAt(offset: number): Entry | undefined {
    const found = this.#typeEntries(offset, 0);
    return found[0];
  }

  /** The entries directly inside the one at an offset. */
  childrenOf(offset: number): Entry[] {
    return this.#typeEntries(offset, 1);
  }

  /** The entry at an offset (depth 0), or those directly inside it (depth 1). */
  #typeEntries(offset: number, depth: 0 | 1): Entry[] {
    const found: Entry[] = [];
    if (!this.contains(offset)) return found;
    const reader = new Reader(this.#sections.info, offset, this.#end);
    let work = reader.left * 64;
    try {
      for (let level = 0; ; ) {
        const at = reader.at;
        const abbreviation = this.#abbreviation(reader);
        if (abbreviation === undefined) {
          if (--level <= 0) return found;
          continue;
        }
        work -= abbreviation.specifications.length;
        if (work < 0) return found;
        if (level === depth) {
          const attributes = this.#attributes(reader, abbreviation, KEPT_OF_TYPES);
          found.push({ offset: at, tag: abbreviation.tag, parent: -1, attributes });
          if (depth === 0) return found;
        } else this.#skip(reader, abbreviation);
        if (abbreviation.children) level++;
        else if (level === 0) return found;
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return found;
    }
  }

  /**
   * Visits the entries right below the unit that have one of the tags, without keeping anything; `inside` those
   * among the entries directly inside them with its tag.
   */
  scan(tags: ReadonlySet<number>, inside: number, visit: (entry: Entry, top: boolean) => void): void {
    const reader = new Reader(this.#sections.info, this.#first, this.#end);
    let work = reader.left * 64;
    let wanted = false;
    try {
      for (let level = 0; reader.left > 0; ) {
        const at = reader.at;
        const abbreviation = this.#abbreviation(reader);
        if (abbreviation === undefined) {
          if (--level <= 0) return;
          continue;
        }
        work -= abbreviation.specifications.length;
        if (work < 0) return;
        const { tag } = abbreviation;
        const top = level === 1 && tags.has(tag);
        if (level === 1) wanted = top;
        if (top || (level === 2 && wanted && tag === inside)) {
          const attributes = this.#attributes(reader, abbreviation, KEPT_OF_TYPES);
          visit({ offset: at, tag, parent: -1, attributes }, top);
        } else this.#skip(reader, abbreviation);
        if (abbreviation.children) level++;
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }

  /** The next entry's abbreviation; undefined for the null entry that ends a list. */
  #abbreviation(reader: Reader): Abbreviation | undefined {
    const code = reader.uleb();
    if (code === 0) return undefined;
    const abbreviation = this.#abbreviations.get(code);
    if (abbreviation === undefined) throw new RangeError(`abbreviation ${code}`);
    return abbreviation;
  }

  #read(limit: number): Entry[] {
    const reader = new Reader(this.#sections.info, this.#first, this.#end);
    const entries: Entry[] = [];
    const parents: number[] = [];
    // Entries may hold attributes without bytes; sound ones hold a few.
    let work = reader.left * 64;
    try {
      while (reader.left > 0 && entries.length < limit) {
        const offset = reader.at;
        const code = reader.uleb();
        if (code === 0) {
          parents.pop();
          continue;
        }
        const abbreviation = this.#abbreviations.get(code);
        if (abbreviation === undefined) break;
        work -= abbreviation.specifications.length;
        if (work < 0) break;
        const parent = parents.at(-1) ?? -1;
        const attributes = this.#attributes(reader, abbreviation);
        entries.push({ offset, tag: abbreviation.tag, parent, attributes });
        if (abbreviation.children) parents.push(entries.length - 1);
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
    return entries;
  }

  #attributes(
    reader: Reader,
    abbreviation: Abbreviation,
    kept: ReadonlySet<number> = KEPT,
  ): ReadonlyMap<number, AttributeValue> {
    const attributes = new Map<number, AttributeValue>();
    for (const [attribute, form, implicit] of abbreviation.specifications) {
      const value = this.#form(reader, form, implicit);
      if (value !== undefined && kept.has(attribute)) attributes.set(attribute, value);
    }
    return attributes;
  }

  /** Steps over an entry's values. */
  #skip(reader: Reader, abbreviation: Abbreviation): void {
    for (const [, form, implicit] of abbreviation.specifications) {
      if (form === 0x0e || form === 0x1f) reader.skip(this.wide ? 8 : 4);
      else if (form === 0x1a || form === 0x1b) reader.uleb();
      else if (form === 0x25 || form === 0x29) reader.skip(1);
      else if (form === 0x26 || form === 0x2a) reader.skip(2);
      else if (form === 0x27 || form === 0x2b) reader.skip(3);
      else if (form === 0x28 || form === 0x2c) reader.skip(4);
      else if (form === 0x01 || form === 0x07) reader.skip(8);
      else this.#form(reader, form, implicit);
    }
  }

  /** One value (DWARF 5, 7.5.6). Blocks and signatures are stepped over. */
  #form(reader: Reader, form: number, implicit: number): AttributeValue | undefined {
    const offset = (): number => (this.wide ? Number(reader.u64()) : reader.u32());
    switch (form) {
      case 0x01: // addr
        return reader.u64();
      case 0x0b: // data1
      case 0x0c: // flag
        return reader.u8();
      case 0x05: // data2
        return reader.u16();
      case 0x06: // data4
        return reader.u32();
      case 0x07: // data8
        return Number(reader.u64());
      case 0x0d: // sdata
        return reader.sleb();
      case 0x0f: // udata
        return reader.uleb();
      case 0x08: // string
        return reader.string();
      case 0x0e: // strp
        return stringAt(this.#sections.strings, offset());
      case 0x1f: // line_strp
        return stringAt(this.#sections.lineStrings, offset());
      case 0x1a: // strx
        return this.#indexedString(reader.uleb());
      case 0x25: // strx1
        return this.#indexedString(reader.u8());
      case 0x26: // strx2
        return this.#indexedString(reader.u16());
      case 0x27: // strx3
        return this.#indexedString(reader.u16() + reader.u8() * 65536);
      case 0x28: // strx4
        return this.#indexedString(reader.u32());
      case 0x1b: // addrx
        return this.indexedAddress(reader.uleb());
      case 0x29: // addrx1
        return this.indexedAddress(reader.u8());
      case 0x2a: // addrx2
        return this.indexedAddress(reader.u16());
      case 0x2b: // addrx3
        return this.indexedAddress(reader.u16() + reader.u8() * 65536);
      case 0x2c: // addrx4
        return this.indexedAddress(reader.u32());
      case 0x11: // ref1
        return this.#start + reader.u8();
      case 0x12: // ref2
        return this.#start + reader.u16();
      case 0x13: // ref4
        return this.#start + reader.u32();
      case 0x14: // ref8
        return this.#start + Number(reader.u64());
      case 0x15: // ref_udata
        return this.#start + reader.uleb();
      case 0x10: // ref_addr: an address in version 2, an offset since
        return this.version === 2 ? Number(reader.u64()) : offset();
      case 0x17: // sec_offset
        return offset();
      case 0x22: // loclistx
      case 0x23: // rnglistx
        return reader.uleb();
      case 0x19: // flag_present
        return 1;
      case IMPLICIT_CONST:
        return implicit;
      case 0x20: // ref_sig8
        reader.skip(8);
        return undefined;
      case 0x1c: // ref_sup4
        reader.skip(4);
        return undefined;
      case 0x24: // ref_sup8
        reader.skip(8);
        return undefined;
      case 0x1d: // strp_sup
        offset();
        return undefined;
      case 0x1e: // data16
        reader.skip(16);
        return undefined;
      case 0x0a: // block1
        reader.skip(reader.u8());
        return undefined;
      case 0x03: // block2
        reader.skip(reader.u16());
        return undefined;
      case 0x04: // block4
        reader.skip(reader.u32());
        return undefined;
      case 0x09: // block
      case 0x18: // exprloc
        reader.skip(reader.uleb());
        return undefined;
      case 0x16: // indirect
        return this.#form(reader, reader.uleb(), implicit);
    }
    throw new RangeError(`form ${form}`);
  }

  #indexedString(index: number): string {
    const width = this.wide ? 8 : 4;
    const base = Number(this.root?.attributes.get(At.stringOffsetsBase) ?? width * 2);
    const { stringOffsets, strings } = this.#sections;
    const reader = new Reader(stringOffsets, base + index * width, stringOffsets.length);
    return stringAt(strings, this.wide ? Number(reader.u64()) : reader.u32());
  }
}

/** The units of a file. Damaged ones are left out. */
export function readUnits(sections: InfoSections): Unit[] {
  const units: Unit[] = [];
  const { info } = sections;
  const tables = new AbbreviationTables(sections.abbreviations);
  for (let start = 0; start + 12 <= info.length; ) {
    const reader = new Reader(info, start, info.length);
    let length = reader.u32();
    const wide = length === 0xffffffff;
    if (wide) length = Number(reader.u64());
    const end = reader.at + length;
    if (end > info.length) break;
    try {
      units.push(new Unit(sections, tables, { start, end, wide, reader }));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
    start = end;
  }
  return units;
}

/** Abbreviation tables by their offset. */
class AbbreviationTables {
  readonly #bytes: Uint8Array;
  readonly #tables = new Map<number, ReadonlyMap<number, Abbreviation>>();
  /** Sound tables do not overlap; ones that do, one for each unit, would take the square of the file's size. */
  #left: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#left = bytes.length * 4;
  }

  at(offset: number): ReadonlyMap<number, Abbreviation> {
    const known = this.#tables.get(offset);
    if (known !== undefined) return known;
    if (this.#left < 0) throw new RangeError("overlapping abbreviations");
    const reader = new Reader(this.#bytes, offset, this.#bytes.length);
    const table = new Map<number, Abbreviation>();
    try {
      for (let code = reader.uleb(); code !== 0; code = reader.uleb())
        table.set(code, readAbbreviation(reader));
    } finally {
      this.#left -= Math.max(reader.at - offset, 1);
    }
    this.#tables.set(offset, table);
    return table;
  }
}

function readAbbreviation(reader: Reader): Abbreviation {
  const tag = reader.uleb();
  const children = reader.u8() !== 0;
  const specifications: [number, number, number][] = [];
  for (;;) {
    const attribute = reader.uleb();
    const form = reader.uleb();
    if (attribute === 0 && form === 0) return { tag, children, specifications };
    specifications.push([attribute, form, form === IMPLICIT_CONST ? reader.sleb() : 0]);
  }
}
