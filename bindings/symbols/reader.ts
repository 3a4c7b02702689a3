/** Fields of DWARF sections: fixed-size, LEB128, strings. Mirrors the DWARF standard, section 7.6. */

/** Bits that the groups of a LEB128 number may cover. */
const LEB_LIMIT = 70;
/** Longer names do not occur; a file that refers to one endless string from everywhere is not read for hours. */
const STRING_LIMIT = 4096;

const UTF8 = new TextDecoder();

/** Little-endian fields in order; leaving the range throws RangeError. */
export class Reader {
  at: number;
  readonly #end: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, end);
    this.at = at;
    this.#end = end;
  }

  get left(): number {
    return this.#end - this.at;
  }

  skip(count: number): void {
    this.at += count;
  }

  u8(): number {
    return this.#view.getUint8(this.at++);
  }

  i8(): number {
    return this.#view.getInt8(this.at++);
  }

  u16(): number {
    this.at += 2;
    return this.#view.getUint16(this.at - 2, true);
  }

  u32(): number {
    this.at += 4;
    return this.#view.getUint32(this.at - 4, true);
  }

  u64(): bigint {
    this.at += 8;
    return this.#view.getBigUint64(this.at - 8, true);
  }

  uleb(): number {
    let value = 0;
    for (let shift = 0; shift < LEB_LIMIT; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) return value;
    }
    throw new RangeError("LEB128 of more than 64 bits");
  }

  sleb(): number {
    let value = 0;
    for (let shift = 0; shift < LEB_LIMIT; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) return (byte & 0x40) === 0 ? value : value - 2 ** (shift + 7);
    }
    throw new RangeError("LEB128 of more than 64 bits");
  }

  string(): string {
    const rest = this.#bytes.subarray(this.at, this.#end);
    const length = rest.indexOf(0);
    if (length < 0) throw new RangeError("string");
    this.at += length + 1;
    return UTF8.decode(rest.subarray(0, length));
  }
}

/** The NUL-terminated string at an offset of a string section. */
export function stringAt(bytes: Uint8Array, at: number): string {
  const most = bytes.subarray(at, at + STRING_LIMIT);
  const end = most.indexOf(0);
  return UTF8.decode(end < 0 ? most : most.subarray(0, end));
}
