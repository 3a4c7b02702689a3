/**
 * Types and values written as gdb writes them, which is what crash's `struct` shows: members one a line, pointers
 * with the symbol that they point at, arrays in braces.
 */
import { declare, nameOf, type StructType, sizeOf, type Type, underlying } from "../symbols/types.ts";
import type { Program } from "./program.ts";
import { viewOf } from "./range_reader.ts";

/** Elements of an array that are shown (gdb: print elements). */
const ELEMENTS = 200;
const DEPTH_LIMIT = 32;
const LINES_LIMIT = 20_000;

/** A structure's declaration, `struct list_head {...}`, without a semicolon. */
export function showDeclaration(type: StructType): string {
  const lines = [`${nameOf(type)} {`];
  declareMembers(type, 1, lines);
  return [...lines, "}"].join("\n");
}

function declareMembers(type: StructType, depth: number, lines: string[]): void {
  const indent = "    ".repeat(depth);
  for (const member of type.members) {
    if (lines.length > LINES_LIMIT || depth > DEPTH_LIMIT) return;
    const bits = member.bitSize === undefined ? "" : ` : ${member.bitSize}`;
    const inner = unnamedInside(member.type);
    if (inner === undefined) {
      lines.push(`${indent}${declare(member.type, member.name ?? "").replace(/ $/, "")}${bits};`);
      continue;
    }
    lines.push(`${indent}${inner.kind} {`);
    declareMembers(inner, depth + 1, lines);
    const whole = declare(member.type, member.name ?? "");
    const after = whole.slice(whole.indexOf("}") + 1);
    lines.push(`${indent}}${after};`);
  }
}

/** An unnamed structure that a member's type is, or is an array of. */
function unnamedInside(type: Type): StructType | undefined {
  let current = type;
  for (let depth = 0; depth < DEPTH_LIMIT; depth++) {
    if (current.kind === "array") current = current.element;
    else if (current.kind === "qualified" || current.kind === "pointer") current = current.target;
    else break;
  }
  if (current.kind !== "struct" && current.kind !== "union") return undefined;
  return current.name === undefined ? current : undefined;
}

/** A value at an address, `{...}` for a structure. Throws `bad-address` when it cannot be read. */
export async function showValue(program: Program, type: Type, address: bigint): Promise<string> {
  const bytes = await program.memory.read(address, Math.max(sizeOf(type), 1));
  return showBytes(program, type, bytes, 0);
}

/** A value from its bytes. Pointers to strings are followed as gdb does only for `char *`. */
async function showBytes(program: Program, type: Type, bytes: Uint8Array, depth: number): Promise<string> {
  const plain = underlying(type);
  switch (plain.kind) {
    case "struct":
    case "union":
      return showStruct(program, plain, bytes, depth);
    case "array":
      return showArray(program, plain.element, plain.count ?? 0, bytes, depth);
    case "pointer":
      return showPointer(program, plain.target, integerOf(bytes, 8, false));
    case "enum": {
      const value = integerOf(bytes, plain.size, true);
      return enumText(plain.enumerators, value, BigInt.asUintN(plain.size * 8, value));
    }
    case "base":
      return baseText(plain.encoding, plain.name, bytes, plain.size);
    case "void":
    case "function":
      return "void";
  }
}

async function showStruct(
  program: Program,
  type: StructType,
  bytes: Uint8Array,
  depth: number,
): Promise<string> {
  if (depth > DEPTH_LIMIT) return "{...}";
  const indent = "  ".repeat(depth + 1);
  const parts: string[] = [];
  for (const member of type.members) {
    if (parts.length > LINES_LIMIT) break;
    const at = Math.floor(member.bitOffset / 8);
    let text: string;
    if (member.bitSize === undefined) {
      text = await showBytes(program, member.type, bytes.subarray(at, at + sizeOf(member.type)), depth + 1);
    } else text = bitFieldText(member.type, bytes, member.bitOffset, member.bitSize);
    parts.push(`${indent}${member.name === undefined ? "" : `${member.name} = `}${text}`);
  }
  return parts.length === 0 ? "{}" : `{\n${parts.join(",\n")}\n${"  ".repeat(depth)}}`;
}

async function showArray(
  program: Program,
  element: Type,
  count: number,
  bytes: Uint8Array,
  depth: number,
): Promise<string> {
  const size = sizeOf(element);
  const plain = underlying(element);
  if (isCharacter(plain)) return characters(bytes.subarray(0, count));
  if (size === 0 || count === 0 || depth > DEPTH_LIMIT) return count === 0 ? "0x0" : "{...}";
  const parts: string[] = [];
  const most = Math.min(count, ELEMENTS);
  for (let index = 0; index < most; index++) {
    parts.push(
      await showBytes(program, element, bytes.subarray(index * size, (index + 1) * size), depth + 1),
    );
  }
  return `{${parts.join(", ")}${most < count ? "..." : ""}}`;
}

async function showPointer(program: Program, target: Type, value: bigint): Promise<string> {
  const hex = `0x${value.toString(16)}`;
  if (value === 0n) return hex;
  const to = underlying(target);
  if (isCharacter(to)) {
    const text = await program.memory.tryRead(value, 1);
    if (text !== undefined) return `${hex} ${pointedString(await program.memory.string(value, ELEMENTS))}`;
    return hex;
  }
  const place = program.symbols.at(value);
  if (place === undefined) return hex;
  return `${hex} <${place.name}${place.offset === 0 ? "" : `+${place.offset}`}>`;
}

function pointedString(text: string): string {
  return characters(new TextEncoder().encode(`${text}\0`));
}

function isCharacter(type: Type): boolean {
  return type.kind === "base" && type.size === 1 && /char|^u8$|^s8$/.test(type.name);
}

/** A character array: in quotes, without its last byte if that is 0. */
function characters(bytes: Uint8Array): string {
  const whole = bytes.length > 0 && bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes;
  const text = [...whole.subarray(0, ELEMENTS)].map(characterText).join("");
  return `"${text}"${whole.length > ELEMENTS ? "..." : ""}`;
}

const ESCAPES: ReadonlyMap<number, string> = new Map([
  [7, "\\a"],
  [8, "\\b"],
  [9, "\\t"],
  [10, "\\n"],
  [12, "\\f"],
  [13, "\\r"],
  [27, "\\033"],
  [34, '\\"'],
  [92, "\\\\"],
]);

function characterText(byte: number): string {
  const known = ESCAPES.get(byte);
  if (known !== undefined) return known;
  if (byte >= 32 && byte < 127) return String.fromCharCode(byte);
  return `\\${byte.toString(8).padStart(3, "0")}`;
}

function enumText(
  enumerators: readonly { readonly name: string; readonly value: bigint }[],
  signed: bigint,
  value: bigint,
): string {
  const exact = enumerators.find((each) => each.value === signed || each.value === value);
  if (exact !== undefined) return exact.name;
  let left = value;
  const flags = enumerators.every((each) => each.value >= 0n && (each.value & (each.value - 1n)) === 0n);
  if (!flags || value === 0n) return String(signed);
  const names: string[] = [];
  for (const each of enumerators) {
    if (each.value === 0n || (left & each.value) !== each.value) continue;
    names.push(each.name);
    left &= ~each.value;
  }
  if (names.length === 0) return `(unknown: 0x${value.toString(16)})`;
  return `(${names.join(" | ")}${left === 0n ? "" : ` | unknown: 0x${left.toString(16)}`})`;
}

function baseText(encoding: string, name: string, bytes: Uint8Array, size: number): string {
  if (encoding === "float") {
    const view = viewOf(bytes);
    return String(size === 4 ? view.getFloat32(0, true) : size === 8 ? view.getFloat64(0, true) : Number.NaN);
  }
  const value = integerOf(bytes, Math.min(size, 16), encoding === "signed");
  if (encoding === "boolean" && value <= 1n) return value === 1n ? "true" : "false";
  if (size === 1 && /char/.test(name))
    return `${value} '${characterText(Number(BigInt.asUintN(8, value))).replace('\\"', '"')}'`;
  return String(value);
}

function bitFieldText(type: Type, bytes: Uint8Array, bitOffset: number, bitSize: number): string {
  const first = Math.floor(bitOffset / 8);
  const count = Math.ceil(((bitOffset % 8) + bitSize) / 8);
  const raw = integerOf(bytes.subarray(first, first + count), count, false) >> BigInt(bitOffset % 8);
  const value = BigInt.asUintN(bitSize, raw);
  const plain = underlying(type);
  if (plain.kind === "enum") return enumText(plain.enumerators, value, value);
  const signed = plain.kind === "base" && plain.encoding === "signed";
  if (plain.kind === "base" && plain.encoding === "boolean") return value === 0n ? "false" : "true";
  return String(signed ? BigInt.asIntN(bitSize, value) : value);
}

function integerOf(bytes: Uint8Array, size: number, signed: boolean): bigint {
  let value = 0n;
  for (let index = size - 1; index >= 0; index--) value = (value << 8n) | BigInt(bytes[index] ?? 0);
  return signed ? BigInt.asIntN(size * 8, value) : value;
}

/** A value as JSON: numbers as bigint, structures as objects, character arrays as strings. */
export async function valueToJson(program: Program, type: Type, address: bigint): Promise<unknown> {
  const bytes = await program.memory.read(address, Math.max(sizeOf(type), 1));
  return jsonOf(type, bytes, 0);
}

function jsonOf(type: Type, bytes: Uint8Array, depth: number): unknown {
  const plain = underlying(type);
  if (depth > DEPTH_LIMIT) return null;
  switch (plain.kind) {
    case "struct":
    case "union": {
      const result: Record<string, unknown> = {};
      plain.members.forEach((member, index) => {
        const at = Math.floor(member.bitOffset / 8);
        const own = bytes.subarray(at, at + sizeOf(member.type));
        result[member.name ?? `#${index}`] =
          member.bitSize === undefined
            ? jsonOf(member.type, own, depth + 1)
            : Number(bitFieldText(NUMBER, bytes, member.bitOffset, member.bitSize));
      });
      return result;
    }
    case "array": {
      if (isCharacter(underlying(plain.element))) {
        const end = bytes.indexOf(0);
        return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
      }
      const size = sizeOf(plain.element);
      const count = Math.min(plain.count ?? 0, size === 0 ? 0 : Math.floor(bytes.length / size));
      return Array.from({ length: count }, (_, index) =>
        jsonOf(plain.element, bytes.subarray(index * size, (index + 1) * size), depth + 1),
      );
    }
    case "pointer":
      return integerOf(bytes, 8, false);
    case "enum":
      return Number(integerOf(bytes, plain.size, true));
    case "base": {
      if (plain.encoding === "float") return baseText("float", plain.name, bytes, plain.size);
      const value = integerOf(bytes, Math.min(plain.size, 16), plain.encoding === "signed");
      if (plain.encoding === "boolean") return value !== 0n;
      return plain.size <= 4 ? Number(value) : value;
    }
    case "void":
    case "function":
      return null;
  }
}

const NUMBER: Type = { kind: "base", name: "unsigned long", size: 8, encoding: "unsigned" };
