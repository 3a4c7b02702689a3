/**
 * DWARF line tables (.debug_line, versions 2 to 5): which source line an address belongs to. Mirrors the DWARF
 * standard, section 6.2. Damaged units are skipped: what cannot be read names no lines.
 */
import { Reader, stringAt } from "./reader.ts";

/** A place in source text. */
export interface SourceLine {
  readonly file: string;
  readonly line: number;
}

export interface LineSections {
  readonly line: Uint8Array;
  readonly lineStrings: Uint8Array;
  readonly strings: Uint8Array;
  /** Compilation directory of the unit whose line table begins at an offset; names are relative to it. */
  readonly directoryOf?: (offset: number) => string;
}

interface Row {
  readonly address: bigint;
  readonly file: number;
  readonly line: number;
}

/** Rows of ascending addresses, read when one of them is asked for. */
interface Sequence {
  readonly low: bigint;
  readonly high: bigint;
  readonly unit: Unit;
  /** Where its part of the unit's line program begins in .debug_line, and where the program ends. */
  readonly start: number;
  readonly end: number;
  rows?: readonly Row[];
}

/** All line tables of a file, searchable by address. */
export class LineTable {
  readonly #sequences: Sequence[] = [];
  readonly #files = new Map<number, readonly string[]>();

  readonly #line: Uint8Array;

  constructor(sections: LineSections) {
    this.#line = sections.line;
    const reader = new Reader(sections.line, 0, sections.line.length);
    while (reader.left > 4) {
      const offset = reader.at;
      let length = reader.u32();
      const wide = length === 0xffffffff;
      if (wide) length = Number(reader.u64());
      const end = reader.at + length;
      if (end > sections.line.length) break;
      try {
        this.#readUnit(new Reader(sections.line, reader.at, end), offset, wide, sections);
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
    sequence.rows ??= readRows(new Reader(this.#line, sequence.start, sequence.end), sequence.unit);
    const row = last(sequence.rows, (each) => each.address <= address);
    const file = row === undefined ? undefined : sequence.unit.files[row.file];
    return row === undefined || file === undefined ? undefined : { file, line: row.line };
  }

  /** Name of a file by its number in the line table at an offset of .debug_line. */
  file(offset: number, number: number): string | undefined {
    return this.#files.get(offset)?.[number];
  }

  #readUnit(reader: Reader, offset: number, wide: boolean, sections: LineSections): void {
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
    const directory = sections.directoryOf?.(offset) ?? "";
    const named = version >= 5 ? readFiles5(reader, wide, sections) : readFiles2(reader);
    const files = named.map((name) => (name === "" ? "" : join(directory, name)));
    this.#files.set(offset, files);
    reader.at = program;
    const unit = { minimum, lineBase, lineRange, opcodeBase, operandCounts, files };
    while (reader.left > 0) {
      const start = reader.at;
      const end = start + reader.left;
      let low: bigint | undefined;
      const high = runSequence(reader, unit, (address) => {
        low ??= address;
      });
      if (low === undefined || high === undefined || high <= low) continue;
      this.#sequences.push({ low, high, unit, start, end });
    }
  }
}

function readRows(reader: Reader, unit: Unit): Row[] {
  const rows: Row[] = [];
  runSequence(reader, unit, (address, file, line) => {
    rows.push({ address, file, line });
  });
  return rows;
}

/** Runs a line program to the end of one sequence; gives that end's address, if there is one. */
function runSequence(
  reader: Reader,
  unit: Unit,
  emit: (address: bigint, file: number, line: number) => void,
): bigint | undefined {
  let address = 0n;
  let file = 1;
  let line = 1;
  const advance = (operations: number): void => {
    address += BigInt(operations * unit.minimum);
  };
  while (reader.left > 0) {
    const opcode = reader.u8();
    if (opcode >= unit.opcodeBase) {
      const adjusted = opcode - unit.opcodeBase;
      advance(Math.floor(adjusted / unit.lineRange));
      line += unit.lineBase + (adjusted % unit.lineRange);
      emit(address, file, line);
      continue;
    }
    switch (opcode) {
      case 0: {
        const length = reader.uleb();
        const next = reader.at + length;
        const extended = reader.u8();
        if (extended === 2) address = reader.u64();
        reader.at = next;
        if (extended === 1) return address;
        break;
      }
      case 1:
        emit(address, file, line);
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
  return undefined;
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
  const entries: { path: string; directory: number }[] = [];
  for (let left = reader.uleb(); left > 0; left--) {
    // Entries without bytes could be any number.
    if (formats.length === 0 || reader.left <= 0) throw new RangeError("entries");
    const entry = { path: "", directory: 0 };
    for (const [content, form] of formats) {
      const value = readForm(reader, form, wide, sections);
      if (content === CONTENT_PATH && typeof value === "string") entry.path = value;
      if (content === CONTENT_DIRECTORY && typeof value === "number") entry.directory = value;
    }
    entries.push(entry);
  }
  return entries;
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
