/**
 * Call frame information (DWARF 4 section 6.4; .eh_frame as in the LSB): CIEs, FDEs and the rows their
 * programs describe. C objects carry .debug_frame, assembly carries .eh_frame.
 */
import type { Elf } from "./elf.ts";

export type Rule =
  | { readonly kind: "same" }
  | { readonly kind: "undefined" }
  | { readonly kind: "offset"; readonly offset: number }
  | { readonly kind: "other" };

export interface Row {
  location: bigint;
  cfaRegister: number;
  cfaOffset: number;
  cfaExpression: Uint8Array | undefined;
  rules: Map<number, Rule>;
}

/** The rows of one function. */
export interface FrameDescription {
  readonly start: bigint;
  readonly end: bigint;
  readonly section: number;
  readonly rows: readonly Row[];
}

interface CommonInformation {
  readonly codeAlign: number;
  readonly dataAlign: number;
  readonly pointerEncoding: number;
  readonly augmented: boolean;
  readonly program: Uint8Array;
}

/** Little-endian reader over bytes. */
export class Reader {
  at: number;
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  u8(): number {
    return this.#view.getUint8(this.at++);
  }
  u16(): number {
    this.at += 2;
    return this.#view.getUint16(this.at - 2, true);
  }
  u32(): number {
    this.at += 4;
    return this.#view.getUint32(this.at - 4, true);
  }
  s32(): number {
    this.at += 4;
    return this.#view.getInt32(this.at - 4, true);
  }
  u64(): bigint {
    this.at += 8;
    return this.#view.getBigUint64(this.at - 8, true);
  }
  uleb(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.u8();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }
  sleb(): number {
    let value = 0;
    for (let scale = 1; ; ) {
      const byte = this.u8();
      value += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) return (byte & 64) !== 0 ? value - scale : value;
    }
  }
  take(count: number): Uint8Array {
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }
  text(): string {
    let value = "";
    for (let c = this.u8(); c !== 0; c = this.u8()) value += String.fromCharCode(c);
    return value;
  }
}

/** Every frame description of an object or image, one an address. */
export function frameDescriptions(elf: Elf): FrameDescription[] {
  const found = new Map<string, FrameDescription>();
  for (const section of [".debug_frame", ".eh_frame"]) {
    for (const frame of parse(elf, section)) found.set(`${frame.section}:${frame.start}`, frame);
  }
  return [...found.values()].sort((a, b) => a.section - b.section || (a.start < b.start ? -1 : 1));
}

function parse(elf: Elf, name: string): FrameDescription[] {
  const section = elf.section(name);
  if (!section) return [];
  const isEh = name === ".eh_frame";
  const bytes = elf.data(section);
  const relocated = new Map(
    elf.relocations(section).map((r) => {
      const symbol = elf.symbols[r.symbol];
      return [r.offset, { value: (symbol?.value ?? 0n) + r.addend, section: symbol?.section ?? 0 }] as const;
    }),
  );
  const common = new Map<number, CommonInformation>();
  const frames: FrameDescription[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const reader = new Reader(bytes, at);
    const length = reader.u32();
    if (length === 0) {
      at += 4;
      continue;
    }
    if (length === 0xffffffff) throw new Error(`${name}+${at}: expected 32-bit CFI, found 64-bit`);
    const end = at + 4 + length;
    const idAt = reader.at;
    const id = reader.u32();
    if (isEh ? id === 0 : id === 0xffffffff) common.set(at, parseCommon(reader, end));
    else {
      const link = isEh ? idAt - id : Number(relocated.get(idAt)?.value ?? BigInt(id));
      const information = common.get(link);
      if (!information) throw new Error(`${name}+${at}: expected a CIE at ${link}, found none`);
      const startAt = reader.at;
      const target = relocated.get(startAt);
      let start: bigint;
      let size: bigint;
      if (isEh && information.pointerEncoding === 0x1b) {
        const delta = reader.s32();
        start = target?.value ?? BigInt.asUintN(64, section.address + BigInt(startAt) + BigInt(delta));
        size = BigInt(reader.u32());
      } else if (!isEh || information.pointerEncoding === 0) {
        const raw = reader.u64();
        start = target?.value ?? raw;
        size = reader.u64();
      } else throw new Error(`${name}+${at}: pointer encoding ${information.pointerEncoding} is not known`);
      if (information.augmented) reader.take(reader.uleb());
      const program = reader.take(end - reader.at);
      if (size > 0n) {
        frames.push({
          start,
          end: start + size,
          section: target?.section ?? 0,
          rows: execute(information, start, program),
        });
      }
    }
    at = end;
  }
  return frames;
}

function parseCommon(reader: Reader, end: number): CommonInformation {
  const version = reader.u8();
  const augmentation = reader.text();
  if (version === 4) reader.take(2);
  const codeAlign = reader.uleb();
  const dataAlign = reader.sleb();
  if (version === 1) reader.u8();
  else reader.uleb();
  let pointerEncoding = 0;
  const augmented = augmentation.startsWith("z");
  if (augmented) {
    const stop = reader.uleb() + reader.at;
    for (const letter of augmentation.slice(1)) {
      if (letter === "R") pointerEncoding = reader.u8();
      else if (letter !== "S") throw new Error(`CIE augmentation ${augmentation} is not known`);
    }
    reader.at = stop;
  } else if (augmentation !== "" && augmentation !== "S") {
    throw new Error(`CIE augmentation ${augmentation} is not known`);
  }
  return { codeAlign, dataAlign, pointerEncoding, augmented, program: reader.take(end - reader.at) };
}

function copyRow(row: Row): Row {
  return { ...row, rules: new Map(row.rules) };
}

/** Runs the CIE's and the FDE's program; an operation that is not known is an error, never skipped. */
function execute(information: CommonInformation, start: bigint, program: Uint8Array): Row[] {
  let row: Row = {
    location: start,
    cfaRegister: -1,
    cfaOffset: 0,
    cfaExpression: undefined,
    rules: new Map(),
  };
  const rows: Row[] = [];
  const saved: Row[] = [];
  let initial: Row | undefined;
  const advance = (delta: number): void => {
    if (delta === 0) return;
    rows.push(copyRow(row));
    row.location += BigInt(delta * information.codeAlign);
  };
  const restore = (register: number): void => {
    const rule = initial?.rules.get(register);
    if (rule) row.rules.set(register, rule);
    else row.rules.delete(register);
  };
  const atOffset = (offset: number): Rule => ({ kind: "offset", offset: offset * information.dataAlign });
  const interpret = (bytes: Uint8Array): void => {
    const reader = new Reader(bytes);
    while (reader.at < bytes.length) {
      const byte = reader.u8();
      const low = byte & 63;
      if (byte >> 6 === 1) advance(low);
      else if (byte >> 6 === 2) row.rules.set(low, atOffset(reader.uleb()));
      else if (byte >> 6 === 3) restore(low);
      else {
        switch (low) {
          case 0x00:
            break;
          case 0x02:
            advance(reader.u8());
            break;
          case 0x03:
            advance(reader.u16());
            break;
          case 0x04:
            advance(reader.u32());
            break;
          case 0x05: {
            const register = reader.uleb();
            row.rules.set(register, atOffset(reader.uleb()));
            break;
          }
          case 0x06:
            restore(reader.uleb());
            break;
          case 0x07:
            row.rules.set(reader.uleb(), { kind: "undefined" });
            break;
          case 0x08:
            row.rules.set(reader.uleb(), { kind: "same" });
            break;
          case 0x0a:
            saved.push(copyRow(row));
            break;
          case 0x0b: {
            const before = saved.pop();
            if (!before) throw new Error("CFI restores a state it never remembered");
            row = { ...before, location: row.location };
            break;
          }
          case 0x0c:
            row.cfaRegister = reader.uleb();
            row.cfaOffset = reader.uleb();
            row.cfaExpression = undefined;
            break;
          case 0x0d:
            row.cfaRegister = reader.uleb();
            row.cfaExpression = undefined;
            break;
          case 0x0e:
            row.cfaOffset = reader.uleb();
            break;
          case 0x0f:
            row.cfaExpression = reader.take(reader.uleb());
            break;
          case 0x10: {
            const register = reader.uleb();
            reader.take(reader.uleb());
            row.rules.set(register, { kind: "other" });
            break;
          }
          case 0x11: {
            const register = reader.uleb();
            row.rules.set(register, atOffset(reader.sleb()));
            break;
          }
          case 0x2e:
            reader.uleb();
            break;
          default:
            throw new Error(`CFI operation 0x${low.toString(16)} is not known`);
        }
      }
    }
  };
  interpret(information.program);
  initial = copyRow(row);
  interpret(program);
  rows.push(row);
  return rows;
}
