/**
 * C types from DWARF (versions 2 to 5): the entries of .debug_info that describe types. Mirrors DWARF 5, chapter 5.
 * Units are looked through one after another until a name is found, and nothing is kept but the names: a kernel's
 * debug information is larger than memory should be.
 */
import { At, type Entry, Tag, TypeAt, type Unit } from "./dwarf.ts";
import {
  type BaseType,
  type EnumType,
  type Member,
  type NamedKind,
  type StructKind,
  type Type,
  type TypeSource,
  VOID,
} from "./types.ts";

interface Place {
  readonly unit: Unit;
  readonly offset: number;
}

const KINDS: ReadonlyMap<number, NamedKind> = new Map([
  [Tag.structure, "struct"],
  [Tag.union, "union"],
  [Tag.enumeration, "enum"],
  [Tag.typedef, "typedef"],
  [Tag.baseType, "base"],
]);
const VARIABLE = 0x34;
const SCANNED: ReadonlySet<number> = new Set([...KINDS.keys(), VARIABLE]);
const ENCODINGS: ReadonlyMap<number, BaseType["encoding"]> = new Map([
  [2, "boolean"],
  [4, "float"],
  [5, "signed"],
  [6, "signed"],
  [7, "unsigned"],
  [8, "unsigned"],
]);

export class DwarfTypes implements TypeSource {
  readonly origin = "DWARF";
  readonly #units: readonly Unit[];
  #scanned = 0;
  readonly #places = new Map<string, Place>();
  readonly #enumerators = new Map<string, bigint>();
  readonly #types = new Map<number, Type>();

  constructor(units: readonly Unit[]) {
    this.#units = units;
  }

  find(kind: NamedKind, name: string): Type | undefined {
    const place = this.#search(() => this.#places.get(`${kind} ${name}`));
    return place === undefined ? undefined : this.#typeAt(place.unit, place.offset);
  }

  enumerator(name: string): bigint | undefined {
    return this.#search(() => this.#enumerators.get(name));
  }

  variable(name: string): Type | undefined {
    const place = this.#search(() => this.#places.get(`variable ${name}`));
    const entry = place?.unit.entryAt(place.offset);
    if (place === undefined || entry === undefined) return undefined;
    return this.#reference(place.unit, entry);
  }

  /** Looks through unit after unit until there is an answer. */
  #search<T>(answer: () => T | undefined): T | undefined {
    for (;;) {
      const found = answer();
      if (found !== undefined) return found;
      const unit = this.#units[this.#scanned++];
      if (unit === undefined) return undefined;
      unit.scan(SCANNED, Tag.enumerator, (entry, top) => {
        const name = entry.attributes.get(At.name);
        if (typeof name !== "string") return;
        if (!top) this.#enumerators.set(name, constant(entry, TypeAt.constantValue) ?? 0n);
        else if (!entry.attributes.has(TypeAt.declaration)) {
          const key = `${KINDS.get(entry.tag) ?? "variable"} ${name}`;
          if (!this.#places.has(key)) this.#places.set(key, { unit, offset: entry.offset });
        }
      });
    }
  }

  #typeAt(unit: Unit, offset: number): Type {
    const known = this.#types.get(offset);
    if (known !== undefined) return known;
    const home = unit.contains(offset) ? unit : this.#units.find((each) => each.contains(offset));
    const entry = home?.entryAt(offset);
    const type = home === undefined || entry === undefined ? VOID : this.#make(home, entry);
    this.#types.set(offset, type);
    return type;
  }

  #reference(unit: Unit, entry: Entry): Type {
    const offset = entry.attributes.get(At.type);
    return typeof offset === "number" ? this.#typeAt(unit, offset) : VOID;
  }

  #make(unit: Unit, entry: Entry): Type {
    const name = entry.attributes.get(At.name);
    const text = typeof name === "string" ? name : undefined;
    const size = Number(constant(entry, TypeAt.byteSize) ?? 0n);
    const target = (): Type => this.#reference(unit, entry);
    switch (entry.tag) {
      case Tag.structure:
      case Tag.union:
        return this.#struct(unit, entry, text, size);
      case Tag.enumeration:
        return this.#enumeration(unit, entry, text, size);
      case Tag.array:
        return this.#array(unit, entry);
      case Tag.pointer:
        return lazy({ kind: "pointer", size: 8 }, { target });
      case Tag.typedef:
        return lazy({ kind: "typedef", name: text ?? "" }, { target });
      case Tag.constant:
        return lazy({ kind: "qualified", qualifier: "const" }, { target });
      case Tag.volatile:
        return lazy({ kind: "qualified", qualifier: "volatile" }, { target });
      case Tag.restrict:
        return lazy({ kind: "qualified", qualifier: "restrict" }, { target });
      case Tag.atomic:
        return lazy({ kind: "qualified", qualifier: "_Atomic" }, { target });
      case Tag.baseType: {
        const encoding = ENCODINGS.get(Number(constant(entry, TypeAt.encoding) ?? 7n)) ?? "unsigned";
        return { kind: "base", name: text ?? "", size, encoding };
      }
      case Tag.subroutineType: {
        const children = (): Entry[] => unit.childrenOf(entry.offset);
        return lazy(
          { kind: "function" },
          {
            result: target,
            parameters: (): Type[] =>
              children()
                .filter((each) => each.tag === Tag.parameter)
                .map((each) => this.#reference(unit, each)),
            variadic: (): boolean => children().some((each) => each.tag === Tag.unspecifiedParameters),
          },
        );
      }
    }
    return VOID;
  }

  /** A structure that is only declared here is looked up by its name. */
  #struct(unit: Unit, entry: Entry, name: string | undefined, size: number): Type {
    const kind: StructKind = entry.tag === Tag.structure ? "struct" : "union";
    const declaration = entry.attributes.has(TypeAt.declaration);
    if (declaration && name !== undefined) {
      const place = this.#search(() => this.#places.get(`${kind} ${name}`));
      if (place !== undefined && place.offset !== entry.offset) return this.#typeAt(place.unit, place.offset);
    }
    return lazy({ kind, name, size, declaration }, { members: () => this.#members(unit, entry) });
  }

  #members(unit: Unit, struct: Entry): Member[] {
    return unit
      .childrenOf(struct.offset)
      .filter((child) => child.tag === Tag.member)
      .map((child) => {
        const name = child.attributes.get(At.name);
        const bitSize = constant(child, TypeAt.bitSize);
        return lazy(
          {
            name: typeof name === "string" ? name : undefined,
            bitOffset: bitOffset(child),
            bitSize: bitSize === undefined ? undefined : Number(bitSize),
          },
          { type: () => this.#reference(unit, child) },
        );
      });
  }

  #enumeration(unit: Unit, entry: Entry, name: string | undefined, size: number): EnumType {
    const enumerators = (): EnumType["enumerators"] =>
      unit
        .childrenOf(entry.offset)
        .filter((child) => child.tag === Tag.enumerator)
        .map((child) => ({
          name: String(child.attributes.get(At.name) ?? ""),
          value: constant(child, TypeAt.constantValue) ?? 0n,
        }));
    return lazy({ kind: "enum", name, size }, { enumerators });
  }

  /** An array of several dimensions is an array of arrays. */
  #array(unit: Unit, entry: Entry): Type {
    const counts = unit
      .childrenOf(entry.offset)
      .filter((child) => child.tag === Tag.subrange)
      .map((child) => {
        const count = constant(child, TypeAt.count);
        const upper = constant(child, TypeAt.upperBound);
        // gcc gives `[]` no bound, or one of -1.
        if (count !== undefined) return Number(count);
        return upper === undefined || upper < 0n || upper >= 0xffffffffn ? undefined : Number(upper) + 1;
      });
    const innermost = (): Type => this.#reference(unit, entry);
    const make = (index: number): Type => {
      if (index >= counts.length) return innermost();
      const count = counts[index];
      const element = (): Type => make(index + 1);
      return lazy({ kind: "array", count }, { element });
    };
    return make(0);
  }
}

/** Fixed fields, and ones that are worked out when first asked for. */
function lazy<F extends object, L extends Record<string, () => unknown>>(
  fixed: F,
  computed: L,
): F & { readonly [K in keyof L]: ReturnType<L[K]> } {
  const result: object = { ...fixed };
  for (const [key, compute] of Object.entries(computed)) {
    Object.defineProperty(result, key, {
      configurable: true,
      enumerable: false,
      get() {
        const value = compute();
        Object.defineProperty(result, key, { value });
        return value;
      },
    });
  }
  return result as F & { readonly [K in keyof L]: ReturnType<L[K]> };
}

function constant(entry: Entry, attribute: number): bigint | undefined {
  const value = entry.attributes.get(attribute);
  if (typeof value === "bigint") return value;
  return typeof value === "number" && Number.isFinite(value) ? BigInt(Math.trunc(value)) : undefined;
}

/** DWARF 4 and later count bit-fields from the start; before, from the high end of their storage unit. */
function bitOffset(member: Entry): number {
  const bytes = Number(constant(member, At.memberLocation) ?? 0n) * 8;
  const bits = constant(member, TypeAt.dataBitOffset);
  if (bits !== undefined) return bytes + Number(bits);
  const old = constant(member, TypeAt.bitOffset);
  if (old === undefined) return bytes;
  const storage = Number(constant(member, TypeAt.byteSize) ?? 4n) * 8;
  return bytes + storage - Number(old) - Number(constant(member, TypeAt.bitSize) ?? 0n);
}
