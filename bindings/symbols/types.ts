/**
 * C types of a kernel, whatever they were read from (DWARF or BTF), and how they are written down. Members and
 * targets are looked up when asked for: types refer to each other in circles.
 */

export type StructKind = "struct" | "union";

/** A basic type: integers, characters, _Bool, floating point. */
export interface BaseType {
  readonly kind: "base";
  readonly name: string;
  readonly size: number;
  readonly encoding: "signed" | "unsigned" | "boolean" | "character" | "float";
}

/** A pointer. */
export interface PointerType {
  readonly kind: "pointer";
  readonly size: 8;
  readonly target: Type;
}

/** A member of a struct or union. */
export interface Member {
  /** Undefined for an unnamed structure or union inside. */
  readonly name: string | undefined;
  readonly type: Type;
  /** From the structure's start. */
  readonly bitOffset: number;
  /** Of a bit-field. */
  readonly bitSize: number | undefined;
}

/** A struct or union. */
export interface StructType {
  readonly kind: StructKind;
  readonly name: string | undefined;
  readonly size: number;
  /** Only declared: its members are elsewhere or nowhere. */
  readonly declaration: boolean;
  readonly members: readonly Member[];
}

/** An array; each dimension is one. */
export interface ArrayType {
  readonly kind: "array";
  readonly element: Type;
  /** Undefined for `[]`. */
  readonly count: number | undefined;
}

/** An enumeration. */
export interface EnumType {
  readonly kind: "enum";
  readonly name: string | undefined;
  readonly size: number;
  readonly enumerators: readonly { readonly name: string; readonly value: bigint }[];
}

/** A typedef. */
export interface TypedefType {
  readonly kind: "typedef";
  readonly name: string;
  readonly target: Type;
}

/** A const, volatile or restrict type. */
export interface QualifiedType {
  readonly kind: "qualified";
  readonly qualifier: "const" | "volatile" | "restrict" | "_Atomic";
  readonly target: Type;
}

/** A function. */
export interface FunctionType {
  readonly kind: "function";
  readonly result: Type;
  readonly parameters: readonly Type[];
  readonly variadic: boolean;
}

/** No type. */
export interface VoidType {
  readonly kind: "void";
}

/** A C type, from DWARF or BTF. */
export type Type =
  | BaseType
  | PointerType
  | StructType
  | ArrayType
  | EnumType
  | TypedefType
  | QualifiedType
  | FunctionType
  | VoidType;

/** Kinds of types that are found by name. */
export type NamedKind = "struct" | "union" | "enum" | "typedef" | "base";

export const VOID: VoidType = { kind: "void" };
export const UNSIGNED_LONG: BaseType = {
  kind: "base",
  name: "unsigned long",
  size: 8,
  encoding: "unsigned",
};
export const CHAR: BaseType = { kind: "base", name: "char", size: 1, encoding: "signed" };

/** Where types come from. */
export interface TypeSource {
  readonly origin: "DWARF" | "BTF" | "none";
  /** The definition of a type; undefined when there is none. */
  find(kind: NamedKind, name: string): Type | undefined;
  /** The value of an enumerator of any enum. */
  enumerator(name: string): bigint | undefined;
  /** Type of a variable, where the source knows variables. */
  variable(name: string): Type | undefined;
}

export const NO_TYPES: TypeSource = {
  origin: "none",
  find: () => undefined,
  enumerator: () => undefined,
  variable: () => undefined,
};

/** Types nest no deeper than this; what does is damage. */
const DEPTH_LIMIT = 64;
/** No value has more bytes. */
const SIZE_LIMIT = 2 ** 40;

/** A type without typedefs and qualifiers around it. */
export function underlying(type: Type): Exclude<Type, TypedefType | QualifiedType> {
  let current = type;
  for (let depth = 0; depth < DEPTH_LIMIT; depth++) {
    if (current.kind !== "typedef" && current.kind !== "qualified") return current;
    current = current.target;
  }
  return VOID;
}

/** Bytes that a value of a type takes. */
export function sizeOf(type: Type): number {
  let current = type;
  let count = 1;
  for (let depth = 0; depth < DEPTH_LIMIT; depth++) {
    if (current.kind === "typedef" || current.kind === "qualified") current = current.target;
    else if (current.kind === "array") {
      count = Math.min(count * (current.count ?? 0), SIZE_LIMIT);
      current = current.element;
    } else if (current.kind === "void" || current.kind === "function") return 0;
    else return Math.min(count * current.size, SIZE_LIMIT);
  }
  return 0;
}

/** A structure behind typedefs and qualifiers; undefined for other types. */
export function asStruct(type: Type): StructType | undefined {
  const plain = underlying(type);
  return plain.kind === "struct" || plain.kind === "union" ? plain : undefined;
}

/** A member by its name, also in unnamed structures inside; its offset counts from the outermost. */
export function findMember(type: Type, name: string): Member | undefined {
  return searchMember(type, name, 0, { left: 10_000 });
}

function searchMember(type: Type, name: string, depth: number, work: { left: number }): Member | undefined {
  const struct = asStruct(type);
  if (struct === undefined || depth > DEPTH_LIMIT) return undefined;
  for (const member of struct.members) {
    if (--work.left < 0) return undefined;
    if (member.name === name) return member;
    if (member.name !== undefined) continue;
    const inner = searchMember(member.type, name, depth + 1, work);
    if (inner === undefined) continue;
    const { type: innerType, bitSize, bitOffset } = inner;
    return { name, type: innerType, bitSize, bitOffset: member.bitOffset + bitOffset };
  }
  return undefined;
}

/** A declaration in C: `declare(type, "next")` is `struct list_head *next`. */
export function declare(type: Type, name = ""): string {
  let current = type;
  let text = name;
  for (let depth = 0; depth < DEPTH_LIMIT; depth++) {
    switch (current.kind) {
      case "pointer": {
        const star = `*${text}`;
        const { target } = current;
        text = target.kind === "array" || target.kind === "function" ? `(${star})` : star;
        current = target;
        break;
      }
      case "array":
        text = `${text}[${current.count ?? ""}]`;
        current = current.element;
        break;
      case "function": {
        const parameters = current.parameters.map((each) => declare(each));
        if (current.variadic) parameters.push("...");
        text = `${text}(${parameters.length === 0 ? "void" : parameters.join(", ")})`;
        current = current.result;
        break;
      }
      case "qualified":
        // `const char *`: before what it qualifies; `char * const`: between the star and the name.
        if (current.target.kind === "pointer")
          text = text === "" ? ` ${current.qualifier}` : ` ${current.qualifier} ${text}`;
        else return joined(`${current.qualifier} ${declare(current.target)}`, text);
        current = current.target;
        break;
      default:
        return joined(nameOf(current), text);
    }
  }
  return name;
}

function joined(type: string, text: string): string {
  return text === "" ? type : `${type} ${text}`;
}

/** `struct task_struct`, `pid_t`, `unsigned int`, `void`. */
export function nameOf(type: Exclude<Type, PointerType | ArrayType | FunctionType | QualifiedType>): string {
  switch (type.kind) {
    case "struct":
    case "union":
    case "enum":
      return type.name === undefined ? `${type.kind} {...}` : `${type.kind} ${type.name}`;
    case "void":
      return "void";
    case "base":
    case "typedef":
      return type.name;
  }
}
