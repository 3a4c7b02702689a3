/**
 * A value in a dump: a type at an address. Members, elements and what pointers point at are values again, so that
 * sentences come out: `await (await task.member("mm").target()).member("pgd").u64()`.
 */
import { CrashlabError } from "../error.ts";
import { asStruct, declare, findMember, sizeOf, type Type, underlying } from "../symbols/types.ts";
import type { VirtualMemory } from "./memory.ts";

/** A C value in the dump: an address or bits, with a type. */
export class Value {
  readonly memory: VirtualMemory;
  readonly type: Type;
  readonly address: bigint;
  /** Of a bit-field: where it begins in the byte at `address`, and its width. */
  readonly bits: { readonly offset: number; readonly size: number } | undefined;

  constructor(memory: VirtualMemory, type: Type, address: bigint, bits?: Value["bits"]) {
    this.memory = memory;
    this.type = type;
    this.address = BigInt.asUintN(64, address);
    this.bits = bits;
  }

  /** Bytes. */
  get size(): number {
    return sizeOf(this.type);
  }

  /** Whether a path of members, `a.b.c`, exists. */
  has(path: string): boolean {
    return this.#find(path) !== undefined;
  }

  /** A member, or one inside it: `a.b.c`. Throws `bad-option` when the structure has none of that name. */
  member(path: string): Value {
    const found = this.#find(path);
    if (found === undefined) {
      throw new CrashlabError(
        "bad-option",
        `expected a member ${path} of ${declare(this.type)}, found none; give the vmlinux of the dump`,
      );
    }
    return found;
  }

  /** The first of several members that exists: names change between releases. */
  either(...paths: readonly string[]): Value {
    return this.member(paths.find((path) => this.has(path)) ?? paths[0] ?? "");
  }

  #find(path: string): Value | undefined {
    let type = this.type;
    let bits = 0;
    let bitSize: number | undefined;
    for (const name of path.split(".")) {
      const member = findMember(type, name);
      if (member === undefined) return undefined;
      bits += member.bitOffset;
      ({ type, bitSize } = member);
    }
    const address = this.address + BigInt(Math.floor(bits / 8));
    return new Value(
      this.memory,
      type,
      address,
      bitSize === undefined ? undefined : { offset: bits % 8, size: bitSize },
    );
  }

  /** An element of an array, or of what a pointer's value begins. */
  at(index: number): Value {
    const plain = underlying(this.type);
    if (plain.kind !== "array") throw notA("an array", this.type);
    return new Value(
      this.memory,
      plain.element,
      this.address + BigInt(index) * BigInt(sizeOf(plain.element)),
    );
  }

  /** The structure of a type whose member this value is: container_of(). */
  containerOf(type: Type, path: string): Value {
    const base = new Value(this.memory, type, 0n);
    return new Value(this.memory, type, this.address - base.member(path).address);
  }

  /** The same bits or address as another type. */
  cast(type: Type): Value {
    return new Value(this.memory, type, this.address);
  }

  /** A number of up to 8 bytes, unsigned. */
  async u64(): Promise<bigint> {
    const offset = this.bits?.offset ?? 0;
    const size = this.bits?.size ?? Math.min(this.size || 8, 8) * 8;
    const bytes = await this.memory.read(this.address, Math.ceil((offset + size) / 8));
    let value = 0n;
    for (let index = bytes.length - 1; index >= 0; index--) {
      value = (value << 8n) | BigInt(bytes[index] ?? 0);
    }
    return BigInt.asUintN(size, value >> BigInt(offset));
  }

  /** A number as its type has it: signed or not. */
  async integer(): Promise<bigint> {
    const value = await this.u64();
    const size = this.bits?.size ?? Math.min(this.size, 8) * 8;
    return isSigned(this.type) ? BigInt.asIntN(size, value) : value;
  }

  /** A small integer. */
  async number(): Promise<number> {
    return Number(await this.integer());
  }

  /** What a pointer points at; at address 0 for a NULL pointer. */
  async target(): Promise<Value> {
    const plain = underlying(this.type);
    if (plain.kind !== "pointer") throw notA("a pointer", this.type);
    return new Value(this.memory, plain.target, await this.u64());
  }

  /** A string: what a pointer points at, or a character array. */
  async string(limit = 256): Promise<string> {
    const plain = underlying(this.type);
    if (plain.kind === "pointer") return this.memory.string(await this.u64(), limit);
    const most = plain.kind === "array" && plain.count !== undefined ? Math.min(plain.count, limit) : limit;
    return this.memory.string(this.address, most);
  }

  /** Structures that hang on a list from this head on, by the member that links them. At most `limit`. */
  async *list(type: Type, link: string, limit: number = 1 << 20): AsyncGenerator<Value, void, void> {
    const seen = new Set<bigint>([this.address]);
    const base = new Value(this.memory, type, 0n).member(link).address;
    let next = await this.member("next").u64();
    while (next !== 0n && !seen.has(next) && seen.size <= limit) {
      seen.add(next);
      yield new Value(this.memory, type, next - base);
      next = await this.memory.u64(next);
    }
  }
}

function isSigned(type: Type): boolean {
  const plain = underlying(type);
  if (plain.kind === "enum") return plain.enumerators.some(({ value }) => value < 0n);
  return plain.kind === "base" && plain.encoding === "signed";
}

function notA(expected: string, type: Type): CrashlabError {
  const found = asStruct(type) === undefined ? declare(type) : `structure ${declare(type)}`;
  return new CrashlabError("bad-option", `expected ${expected}, found ${found}; ask for another member`);
}
