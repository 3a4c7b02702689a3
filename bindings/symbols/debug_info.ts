/**
 * What the debugging entries of a kernel tell: which functions an address belongs to, inlined ones first, and
 * where structures have their members. Mirrors DWARF 5, 3.3.8 (inlined subroutines) and 5.7 (structures).
 */
import { At, type Entry, type InfoSections, readUnits, Tag, type Unit } from "./dwarf.ts";
import { type AddressRange, type RangeSections, Ranges } from "./ranges.ts";

/** A function whose code an address belongs to. `call`: where its caller was when it was inlined. */
export interface FunctionFrame {
  readonly name: string;
  readonly call: { readonly statements: number; readonly file: number; readonly line: number } | undefined;
}

interface Block {
  readonly low: bigint;
  readonly high: bigint;
  readonly entry: number;
}

/** Longer chains of references, or deeper structures, are damage. */
const DEPTH_LIMIT = 32;

export class DebugInfo {
  readonly units: readonly Unit[];
  readonly #ranges: Ranges;
  #coverage: readonly { readonly unit: Unit; readonly ranges: readonly AddressRange[] }[] | undefined;
  readonly #blocks = new Map<Unit, readonly Block[]>();
  readonly #indexes = new Map<Unit, ReadonlyMap<number, number>>();
  readonly #offsets = new Map<string, number | undefined>();

  constructor(sections: InfoSections & RangeSections) {
    this.units = readUnits(sections);
    this.#ranges = new Ranges(sections);
  }

  /** Functions at an address, the innermost inlined one first, the one that has the code last. */
  functions(address: bigint): FunctionFrame[] {
    const unit = this.#unitAt(address);
    if (unit === undefined) return [];
    const entries = unit.entries;
    const matching = this.#blocksOf(unit).filter(({ low, high }) => address >= low && address < high);
    // Entries come before what they contain, so the last is the innermost.
    const innermost = matching.at(-1);
    const frames: FunctionFrame[] = [];
    for (let index = innermost?.entry ?? -1; index >= 0; index = entries[index]?.parent ?? -1) {
      const entry = entries[index];
      if (entry?.tag !== Tag.inlined && entry?.tag !== Tag.subprogram) continue;
      frames.push({ name: this.#name(unit, entry), call: callSite(unit, entry) });
      if (entry.tag === Tag.subprogram) break;
    }
    return frames;
  }

  /** Offset of a member of a structure; members of unnamed structures inside count. */
  memberOffset(structure: string, member: string): number | undefined {
    const key = `${structure}.${member}`;
    if (!this.#offsets.has(key)) this.#offsets.set(key, this.#findMember(structure, member));
    return this.#offsets.get(key);
  }

  #findMember(structure: string, member: string): number | undefined {
    for (const unit of this.units) {
      const entries = unit.entries;
      for (let index = 0; index < entries.length; index++) {
        const entry = entries[index];
        if (entry?.tag !== Tag.structure || entry.attributes.get(At.name) !== structure) continue;
        const offset = this.#memberIn(unit, index, member, 0);
        if (offset !== undefined) return offset;
      }
    }
    return undefined;
  }

  #memberIn(unit: Unit, structure: number, member: string, depth: number): number | undefined {
    if (depth > DEPTH_LIMIT) return undefined;
    const entries = unit.entries;
    for (let index = structure + 1; index < entries.length; index++) {
      const entry = entries[index];
      if (entry === undefined || entry.parent < structure) break;
      if (entry.tag !== Tag.member || entry.parent !== structure) continue;
      const location = Number(entry.attributes.get(At.memberLocation) ?? 0);
      const name = entry.attributes.get(At.name);
      if (name === member) return location;
      const type = entry.attributes.get(At.type);
      if (name !== undefined || typeof type !== "number") continue;
      const inner = this.#indexOf(unit, type);
      const offset = inner === undefined ? undefined : this.#memberIn(unit, inner, member, depth + 1);
      if (offset !== undefined) return location + offset;
    }
    return undefined;
  }

  #unitAt(address: bigint): Unit | undefined {
    this.#coverage ??= this.units.map((unit) => ({ unit, ranges: this.#coverageOf(unit) }));
    return this.#coverage.find(({ ranges }) => inRanges(ranges, address))?.unit;
  }

  /** What a unit says of itself; of one that says nothing, its functions. */
  #coverageOf(unit: Unit): readonly AddressRange[] {
    const own = unit.root === undefined ? [] : this.#ranges.of(unit.root, unit);
    return own.length > 0 ? own : this.#blocksOf(unit);
  }

  #blocksOf(unit: Unit): readonly Block[] {
    const known = this.#blocks.get(unit);
    if (known !== undefined) return known;
    const blocks = unit.entries.flatMap((entry, index) =>
      entry.tag === Tag.inlined || entry.tag === Tag.subprogram
        ? this.#ranges.of(entry, unit).map((range) => ({ ...range, entry: index }))
        : [],
    );
    this.#blocks.set(unit, blocks);
    return blocks;
  }

  /** Its own name, or that of the function it is an instance or the definition of. */
  #name(unit: Unit, entry: Entry): string {
    let home = unit;
    let current: Entry | undefined = entry;
    for (let depth = 0; current !== undefined && depth < DEPTH_LIMIT; depth++) {
      const name = current.attributes.get(At.name);
      if (typeof name === "string") return name;
      const origin: unknown =
        current.attributes.get(At.abstractOrigin) ?? current.attributes.get(At.specification);
      if (typeof origin !== "number") break;
      home = home.contains(origin) ? home : (this.units.find((each) => each.contains(origin)) ?? home);
      current = home.entries[this.#indexOf(home, origin) ?? -1];
    }
    return "??";
  }

  #indexOf(unit: Unit, offset: number): number | undefined {
    const known = this.#indexes.get(unit) ?? new Map(unit.entries.map((entry, i) => [entry.offset, i]));
    this.#indexes.set(unit, known);
    return known.get(offset);
  }
}

function callSite(unit: Unit, entry: Entry): FunctionFrame["call"] {
  if (entry.tag !== Tag.inlined) return undefined;
  const number = (attribute: number): number => Number(entry.attributes.get(attribute) ?? 0);
  const statements = Number(unit.root?.attributes.get(At.statements) ?? -1);
  return { statements, file: number(At.callFile), line: number(At.callLine) };
}

function inRanges(ranges: readonly AddressRange[], address: bigint): boolean {
  return ranges.some(({ low, high }) => address >= low && address < high);
}
