/**
 * C types from BTF, the compact type information that Linux keeps in its own memory (section .BTF, symbols
 * __start_BTF to __stop_BTF). Mirrors Linux Documentation/bpf/btf.rst. Everything in it is untrusted.
 */
import { CrashlabError } from "../error.ts";
import { stringAt } from "./reader.ts";
import {
  type BaseType,
  type EnumType,
  type Member,
  type NamedKind,
  type Type,
  type TypeSource,
  VOID,
} from "./types.ts";

const MAGIC = 0xeb9f;
const HEADER_SIZE = 24;
const KIND_LIMIT = 19;

/** BTF_KIND_*. */
const Kind = {
  int: 1,
  pointer: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  forward: 7,
  typedef: 8,
  volatile: 9,
  constant: 10,
  restrict: 11,
  function: 12,
  prototype: 13,
  variable: 14,
  section: 15,
  float: 16,
  declarationTag: 17,
  typeTag: 18,
  enum64: 19,
} as const;

const NAMED: ReadonlyMap<number, NamedKind> = new Map([
  [Kind.struct, "struct"],
  [Kind.union, "union"],
  [Kind.enum, "enum"],
  [Kind.enum64, "enum"],
  [Kind.typedef, "typedef"],
  [Kind.int, "base"],
  [Kind.float, "base"],
]);

export class BtfTypes implements TypeSource {
  readonly origin = "BTF";
  readonly #view: DataView;
  readonly #strings: Uint8Array;
  /** Offset of each type's record; type 0 is void. */
  readonly #offsets: number[] = [0];
  readonly #names = new Map<string, number>();
  readonly #variables = new Map<string, number>();
  readonly #enumerators = new Map<string, bigint>();
  readonly #types = new Map<number, Type>();

  /** Reads the contents of a .BTF section. Throws `bad-kernel` when they are not that. */
  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < HEADER_SIZE || this.#view.getUint16(0, true) !== MAGIC) throw bad("its magic number");
    const header = this.#view.getUint32(4, true);
    const start = header + this.#view.getUint32(8, true);
    const end = start + this.#view.getUint32(12, true);
    const strings = header + this.#view.getUint32(16, true);
    const stringsEnd = strings + this.#view.getUint32(20, true);
    if (end > bytes.length || stringsEnd > bytes.length) throw bad("types and strings inside the section");
    this.#strings = bytes.subarray(strings, stringsEnd);
    for (let at = start; at + 12 <= end; ) {
      const info = this.#view.getUint32(at + 4, true);
      const kind = (info >>> 24) & 31;
      const size = recordSize(kind, info & 0xffff);
      if (size === undefined || at + size > end) throw bad(`a type record at ${at}`);
      this.#index(at, kind, info & 0xffff);
      at += size;
    }
  }

  find(kind: NamedKind, name: string): Type | undefined {
    const id = this.#names.get(`${kind} ${name}`);
    return id === undefined ? undefined : this.#type(id);
  }

  enumerator(name: string): bigint | undefined {
    return this.#enumerators.get(name);
  }

  variable(name: string): Type | undefined {
    const id = this.#variables.get(name);
    return id === undefined ? undefined : this.#type(id);
  }

  #index(at: number, kind: number, count: number): void {
    const id = this.#offsets.push(at) - 1;
    const name = this.#name(at);
    const named = NAMED.get(kind);
    if (named !== undefined && name !== "" && !this.#names.has(`${named} ${name}`)) {
      this.#names.set(`${named} ${name}`, id);
    }
    if (kind === Kind.variable) this.#variables.set(name, this.#view.getUint32(at + 8, true));
    if (kind !== Kind.enum && kind !== Kind.enum64) return;
    for (const { name: each, value } of this.#enumeratorsAt(at, kind, count)) {
      this.#enumerators.set(each, value);
    }
  }

  #name(at: number): string {
    return stringAt(this.#strings, this.#view.getUint32(at, true));
  }

  #type(id: number): Type {
    const known = this.#types.get(id);
    if (known !== undefined) return known;
    const at = this.#offsets[id];
    const type = id === 0 || at === undefined ? VOID : this.#make(at);
    this.#types.set(id, type);
    return type;
  }

  #make(at: number): Type {
    const view = this.#view;
    const info = view.getUint32(at + 4, true);
    const kind = (info >>> 24) & 31;
    const flag = info >>> 31 !== 0;
    const count = info & 0xffff;
    const size = view.getUint32(at + 8, true);
    const text = this.#name(at);
    const name = text === "" ? undefined : text;
    const target = (): Type => this.#type(size);
    switch (kind) {
      case Kind.int: {
        const bits = view.getUint32(at + 12, true);
        const flags = (bits >>> 24) & 15;
        const encoding: BaseType["encoding"] =
          (flags & 4) !== 0 ? "boolean" : (flags & 1) !== 0 ? "signed" : "unsigned";
        // BTF calls char unsigned only where it is; the name is the kernel's own.
        return { kind: "base", name: text, size, encoding: text === "char" ? "signed" : encoding };
      }
      case Kind.float:
        return { kind: "base", name: text, size, encoding: "float" };
      case Kind.pointer:
        return lazyTarget({ kind: "pointer", size: 8 }, target);
      case Kind.typedef:
        return lazyTarget({ kind: "typedef", name: text }, target);
      case Kind.constant:
        return lazyTarget({ kind: "qualified", qualifier: "const" }, target);
      case Kind.volatile:
        return lazyTarget({ kind: "qualified", qualifier: "volatile" }, target);
      case Kind.restrict:
        return lazyTarget({ kind: "qualified", qualifier: "restrict" }, target);
      case Kind.typeTag:
        return lazyTarget({ kind: "typedef", name: `/* ${text} */` }, target);
      case Kind.array:
        return this.#array(at);
      case Kind.struct:
      case Kind.union: {
        const members = this.#members.bind(this, at, count, flag);
        return {
          ...{ kind: kind === Kind.struct ? "struct" : "union", name, size, declaration: false },
          get members() {
            return members();
          },
        };
      }
      case Kind.forward:
        return { kind: flag ? "union" : "struct", name, size: 0, declaration: true, members: [] };
      case Kind.enum:
      case Kind.enum64: {
        const enumerators = this.#enumeratorsAt(at, kind, count);
        return { kind: "enum", name, size, enumerators };
      }
      case Kind.prototype:
        return this.#prototype(at, count);
    }
    return VOID;
  }

  #array(at: number): Type {
    const element = this.#type.bind(this, this.#view.getUint32(at + 12, true));
    const length = this.#view.getUint32(at + 20, true);
    return {
      kind: "array",
      count: length,
      get element() {
        return element();
      },
    };
  }

  #members(at: number, count: number, flag: boolean): Member[] {
    return Array.from({ length: count }, (_, index) => {
      const record = at + 12 + index * 12;
      const type = this.#type.bind(this, this.#view.getUint32(record + 4, true));
      const offset = this.#view.getUint32(record + 8, true);
      const bitSize = flag ? offset >>> 24 : 0;
      const name = this.#name(record);
      return {
        name: name === "" ? undefined : name,
        bitOffset: flag ? offset & 0xffffff : offset,
        bitSize: bitSize === 0 ? undefined : bitSize,
        get type() {
          return type();
        },
      };
    });
  }

  #enumeratorsAt(at: number, kind: number, count: number): EnumType["enumerators"] {
    const view = this.#view;
    return Array.from({ length: count }, (_, index) => {
      const record = at + 12 + index * (kind === Kind.enum ? 8 : 12);
      const low = view.getInt32(record + 4, true);
      const value =
        kind === Kind.enum
          ? BigInt(low)
          : (BigInt(view.getInt32(record + 8, true)) << 32n) + BigInt(low >>> 0);
      return { name: this.#name(record), value };
    });
  }

  #prototype(at: number, count: number): Type {
    const view = this.#view;
    const result = this.#type.bind(this, view.getUint32(at + 8, true));
    const ids = Array.from({ length: count }, (_, index) => view.getUint32(at + 12 + index * 8 + 4, true));
    const variadic = ids.at(-1) === 0;
    const parameters = (): Type[] => (variadic ? ids.slice(0, -1) : ids).map((id) => this.#type(id));
    return {
      kind: "function",
      variadic,
      get result() {
        return result();
      },
      get parameters() {
        return parameters();
      },
    };
  }
}

function lazyTarget<F extends object>(fixed: F, target: () => Type): F & { readonly target: Type } {
  return Object.defineProperty({ ...fixed }, "target", { get: target }) as F & { readonly target: Type };
}

/** Bytes of a record: a header of 12 and what follows it. */
function recordSize(kind: number, count: number): number | undefined {
  if (kind === 0 || kind > KIND_LIMIT) return undefined;
  switch (kind) {
    case Kind.int:
    case Kind.variable:
    case Kind.declarationTag:
      return 16;
    case Kind.array:
      return 24;
    case Kind.struct:
    case Kind.union:
    case Kind.section:
    case Kind.enum64:
      return 12 + count * 12;
    case Kind.enum:
    case Kind.prototype:
      return 12 + count * 8;
  }
  return 12;
}

function bad(expected: string): CrashlabError {
  return new CrashlabError(
    "bad-kernel",
    `expected BTF with ${expected}, found none; give the vmlinux of the dump`,
  );
}
