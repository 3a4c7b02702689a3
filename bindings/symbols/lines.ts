/**
 * DWARF line tables (.debug_line, versions 2 to 5): which source line an address belongs to. Mirrors the DWARF
 * standard, section 6.2. Damaged units are skipped: what cannot be read names no lines.
 */

export interface SourceLine {
  readonly file: string;
  readonly line: number;
}

export interface LineSections {
  readonly line: Uint8Array;
  readonly lineStrings: Uint8Array;
  readonly strings: Uint8Array;
}

interface Row {
  readonly address: bigint;
  readonly file: number;
  readonly line: number;
  readonly end: boolean;
}

interface Sequence {
  readonly low: bigint;
  readonly high: bigint;
  readonly rows: readonly Row[];
  readonly files: readonly string[];
}

/** All line tables of a file, searchable by address. */
export class LineTable {
  readonly #sequences: Sequence[] = [];

  constructor(sections: LineSections) {
    const reader = new Reader(sections.line, 0, sections.line.length);
    while (reader.left > 4) {
      let length = reader.u32();
      const wide = length === 0xffffffff;
      if (wide) length = Number(reader.u64());
      const end = reader.at + length;
      if (end > sections.line.length) break;
      try {
        this.#readUnit(new Reader(sections.line, reader.at, end), wide, sections);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
      reader.at = end;
    }
    this.#sequences.sort((a, b) => (a.low < b.low ? -1 : a.low > b.low ? 1 : 0));
  }

  /** Source line of an address. */
  find(address: bigint): SourceLine | undefined {
    const sequence = last(this.#sequences, (each) => each.low <= address);
    if (sequence === undefined || address >= sequence.high) return undefined;
    const row = last(sequence.rows, (each) => each.address <= address);
    const file = row === undefined ? undefined : sequence.files[row.file];
    return row === undefined || file === undefined ? undefined : { file, line: row.line };
  }

  #readUnit(reader: Reader, wide: boolean, sections: LineSections): void {
    const version = reader.u16();
    if (version < 2 || version > 5) return;
    if (version >= 5) reader.skip(2); // address and segment selector size
    const headerLength = wide ? Number(reader.u64()) : reader.u32();
    const program = reader.at + headerLength;
    const minimum = reader.u8();
    if (version >= 4) reader.skip(1); // operations per instruction: 1 on this machine
    reader.skip(1); // default is_stmt
    const lineBase = reader.i8();
    const lineRange = reader.u8();
    const opcodeBase = reader.u8();
    const operandCounts = Array.from({ length: opcodeBase - 1 }, () => reader.u8());
    const files = version >= 5 ? readFiles5(reader, wide, sections) : readFiles2(reader);
    reader.at = program;
    this.#runProgram(reader, { minimum, lineBase, lineRange, opcodeBase, operandCounts, files });
  }

  #runProgram(reader: Reader, unit: Unit): void {
    let rows: Row[] = [];
    let address = 0n;
    let file = 1;
    let line = 1;
    const emit = (end: boolean): void => {
      rows.push({ address, file, line, end });
    };
    const advance = (operations: number): void => {
      address += BigInt(operations * unit.minimum);
    };
    while (reader.left > 0) {
      const opcode = reader.u8();
      if (opcode >= unit.opcodeBase) {
        const adjusted = opcode - unit.opcodeBase;
        advance(Math.floor(adjusted / unit.lineRange));
        line += unit.lineBase + (adjusted % unit.lineRange);
        emit(false);
        continue;
      }
      switch (opcode) {
        case 0: {
          const length = reader.uleb();
          const next = reader.at + length;
          const extended = reader.u8();
          if (extended === 1) {
            emit(true);
            this.#addSequence(rows, unit.files);
            rows = [];
            address = 0n;
            file = 1;
            line = 1;
          } else if (extended === 2) address = reader.u64();
          reader.at = next;
          break;
        }
        case 1:
          emit(false);
          break;
        case 2:
          advance(reader.uleb());
          break;
        case 3:
          line += reader.sleb();
          break;
        case 4:
          file = reader.uleb();
          break;
        case 8:
          advance(Math.floor((255 - unit.opcodeBase) / unit.lineRange));
          break;
        case 9:
          address += BigInt(reader.u16());
          break;
        default:
          for (let i = 0; i < (unit.operandCounts[opcode - 1] ?? 0); i++) reader.uleb();
      }
    }
  }

  #addSequence(rows: readonly Row[], files: readonly string[]): void {
    const low = rows[0]?.address;
    const high = rows.at(-1)?.address;
    if (low !== undefined && high !== undefined && high > low)
      this.#sequences.push({ low, high, rows, files });
  }
}

interface Unit {
  readonly minimum: number;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeBase: number;
  readonly operandCounts: readonly number[];
  /** By the number that the program uses: from 1 before version 5, from 0 since. */
  readonly files: readonly string[];
}

function readFiles2(reader: Reader): string[] {
  const directories = [""];
  for (let name = reader.string(); name !== ""; name = reader.string()) directories.push(name);
  const files = [""];
  for (let name = reader.string(); name !== ""; name = reader.string()) {
    files.push(join(directories[reader.uleb()] ?? "", name));
    reader.uleb();
    reader.uleb();
  }
  return files;
}

const CONTENT_PATH = 1;
const CONTENT_DIRECTORY = 2;

function readFiles5(reader: Reader, wide: boolean, sections: LineSections): string[] {
  const directories = readEntries(reader, wide, sections).map((entry) => entry.path);
  return readEntries(reader, wide, sections).map((entry) =>
    join(directories[entry.directory] ?? "", entry.path),
  );
}

function readEntries(
  reader: Reader,
  wide: boolean,
  sections: LineSections,
): { path: string; directory: number }[] {
  const formats = Array.from({ length: reader.u8() }, () => [reader.uleb(), reader.uleb()] as const);
  return Array.from({ length: reader.uleb() }, () => {
    const entry = { path: "", directory: 0 };
    for (const [content, form] of formats) {
      const value = readForm(reader, form, wide, sections);
      if (content === CONTENT_PATH && typeof value === "string") entry.path = value;
      if (content === CONTENT_DIRECTORY && typeof value === "number") entry.directory = value;
    }
    return entry;
  });
}

/** The forms that line tables use (DWARF 5, 7.5.6). */
function readForm(reader: Reader, form: number, wide: boolean, sections: LineSections): string | number {
  const offset = (): number => (wide ? Number(reader.u64()) : reader.u32());
  switch (form) {
    case 0x08: // string
      return reader.string();
    case 0x1f: // line_strp
      return stringAt(sections.lineStrings, offset());
    case 0x0e: // strp
      return stringAt(sections.strings, offset());
    case 0x0b: // data1
      return reader.u8();
    case 0x05: // data2
      return reader.u16();
    case 0x06: // data4
      return reader.u32();
    case 0x0f: // udata
      return reader.uleb();
    case 0x1e: // data16
      reader.skip(16);
      return 0;
    case 0x09: // block
      reader.skip(reader.uleb());
      return 0;
  }
  throw new RangeError(`form ${form}`);
}

function stringAt(bytes: Uint8Array, at: number): string {
  const end = bytes.indexOf(0, at);
  return new TextDecoder().decode(bytes.subarray(at, end < 0 ? bytes.length : end));
}

function join(directory: string, name: string): string {
  return directory === "" || name.startsWith("/") ? name : `${directory}/${name}`;
}

/** The last element of a sorted array for which the test holds. */
function last<T>(items: readonly T[], test: (item: T) => boolean): T | undefined {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const item = items[middle];
    if (item !== undefined && test(item)) low = middle + 1;
    else high = middle;
  }
  return items[low - 1];
}

/** Little-endian fields; leaving the range throws RangeError. */
class Reader {
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
    for (let shift = 0; ; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) return value;
    }
  }

  sleb(): number {
    let value = 0;
    let shift = 0;
    for (;;) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      shift += 7;
      if ((byte & 0x80) !== 0) continue;
      return shift < 32 && (byte & 0x40) !== 0 ? value | (-1 << shift) : value;
    }
  }

  string(): string {
    const start = this.at;
    const end = this.#bytes.indexOf(0, start);
    if (end < 0 || end >= this.#end) throw new RangeError("string");
    this.at = end + 1;
    return new TextDecoder().decode(this.#bytes.subarray(start, end));
  }
}
