/**
 * ELF files as a linker or debugger sees them: sections, symbols, relocated section contents. Mirrors the
 * System V gABI and the x86-64 psABI. 64-bit little-endian only; everything in the file is untrusted.
 */
import { unzlibSync } from "fflate";
import { CrashlabError } from "../error.ts";
import { stringAt } from "./reader.ts";

/** A section header (System V ABI, chapter 4). */
export interface ElfSection {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: bigint;
  readonly address: bigint;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
}

/** An entry of the symbol table. */
export interface ElfSymbol {
  readonly name: string;
  readonly value: bigint;
  readonly size: number;
  readonly kind: "function" | "object" | "section" | "file" | "other";
  readonly global: boolean;
  /** Index of its section; 0 undefined, 0xfff1 absolute. */
  readonly section: number;
}

const SHT_SYMTAB = 2;
const SHT_RELA = 4;
const SHT_NOBITS = 8;
const SHF_COMPRESSED = 0x800n;
const SHF_EXECINSTR = 4n;
const ET_REL = 1;
const R_X86_64_64 = 1;
const R_X86_64_32 = 10;
const COMPRESSION_ZLIB = 1;
const COMPRESSION_HEADER = 24;
/** Deflate packs no better than this. */
const DEFLATE_RATIO = 1032;
const UNPACKED_LIMIT = 2 ** 31 - 1;
const KINDS = ["other", "object", "function", "section", "file"] as const;
/** In a relocatable file each section of code gets addresses of its own: index times this. */
export const SECTION_STRIDE = 0x1_0000_0000n;

/** A 64-bit little-endian ELF file: sections and symbols. Throws `bad-kernel` for anything else. */
export class ElfFile {
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
  /** A .ko or .o: addresses are section index * SECTION_STRIDE + offset. */
  readonly relocatable: boolean;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  /** Symbols may be left out where only the sections count. */
  constructor(bytes: Uint8Array, { symbols = true }: { readonly symbols?: boolean } = {}) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < 64 || this.#view.getUint32(0, false) !== 0x7f454c46) {
      throw bad("an ELF file", bytes.length === 0 ? "an empty one" : "something else");
    }
    if (bytes[4] !== 2 || bytes[5] !== 1) throw bad("a 64-bit little-endian ELF file", `class ${bytes[4]}`);
    this.relocatable = this.#view.getUint16(16, true) === ET_REL;
    this.sections = this.#readSections();
    this.symbols = symbols ? this.#readSymbols() : [];
  }

  /** The section of that name. */
  section(name: string): ElfSection | undefined {
    return this.sections.find((section) => section.name === name);
  }

  /** Bytes of a section, unpacked and, in a relocatable file, relocated. Undefined when there is none. */
  content(name: string): Uint8Array | undefined {
    const section = this.section(name);
    if (section === undefined || section.type === SHT_NOBITS) return undefined;
    const raw = this.#contents(section);
    const plain = (section.flags & SHF_COMPRESSED) === 0n ? raw : decompress(raw);
    return this.relocatable ? this.#relocate(section, plain.slice()) : plain;
  }

  /** Address of a symbol as this file counts them. */
  addressOf(symbol: ElfSymbol): bigint {
    return this.relocatable ? BigInt(symbol.section) * SECTION_STRIDE + symbol.value : symbol.value;
  }

  /** Whether a section holds instructions. */
  isCode(section: number): boolean {
    return ((this.sections[section]?.flags ?? 0n) & SHF_EXECINSTR) !== 0n;
  }

  #readSections(): ElfSection[] {
    const view = this.#view;
    const table = Number(view.getBigUint64(40, true));
    const count = view.getUint16(60, true);
    const names = view.getUint16(62, true);
    if (table + count * 64 > this.#bytes.length)
      throw bad("section headers inside the file", `a table at ${table}`);
    const headers = Array.from({ length: count }, (_, index) => {
      const at = table + index * 64;
      return {
        index,
        nameAt: view.getUint32(at, true),
        type: view.getUint32(at + 4, true),
        flags: view.getBigUint64(at + 8, true),
        address: view.getBigUint64(at + 16, true),
        offset: Number(view.getBigUint64(at + 24, true)),
        size: Number(view.getBigUint64(at + 32, true)),
        link: view.getUint32(at + 40, true),
        info: view.getUint32(at + 44, true),
      };
    });
    for (const header of headers) {
      if (header.type !== SHT_NOBITS && header.offset + header.size > this.#bytes.length) {
        throw bad(`section ${header.index} inside the file`, `${header.size} bytes at ${header.offset}`);
      }
    }
    const strings = this.#contents(headers[names]);
    return headers.map(({ nameAt, ...section }) => ({ ...section, name: stringAt(strings, nameAt) }));
  }

  #readSymbols(): ElfSymbol[] {
    const table = this.sections.find((section) => section.type === SHT_SYMTAB);
    if (table === undefined) return [];
    const strings = this.#contents(this.sections[table.link]);
    const view = this.#view;
    return Array.from({ length: Math.floor(table.size / 24) }, (_, index) => {
      const at = table.offset + index * 24;
      const info = view.getUint8(at + 4);
      return {
        name: stringAt(strings, view.getUint32(at, true)),
        value: view.getBigUint64(at + 8, true),
        size: Number(view.getBigUint64(at + 16, true)),
        kind: KINDS[info & 15] ?? "other",
        global: info >> 4 !== 0,
        section: view.getUint16(at + 6, true),
      };
    });
  }

  #relocate(section: ElfSection, content: Uint8Array): Uint8Array {
    const target = new DataView(content.buffer, content.byteOffset, content.byteLength);
    // Sound tables do not overlap, so that all of them together are no longer than the file.
    let left = this.#bytes.length;
    for (const rela of this.sections) {
      if (rela.type !== SHT_RELA || rela.info !== section.index) continue;
      for (let at = rela.offset; at + 24 <= rela.offset + rela.size && left >= 24; at += 24) {
        left -= 24;
        const offset = Number(this.#view.getBigUint64(at, true));
        const info = this.#view.getBigUint64(at + 8, true);
        const addend = this.#view.getBigInt64(at + 16, true);
        const symbol = this.symbols[Number(info >> 32n)];
        if (symbol === undefined) continue;
        const base = this.isCode(symbol.section) ? this.addressOf(symbol) : symbol.value;
        const value = BigInt.asUintN(64, base + addend);
        const type = Number(info & 0xffffffffn);
        if (type === R_X86_64_64 && offset + 8 <= content.length) target.setBigUint64(offset, value, true);
        else if (type === R_X86_64_32 && offset + 4 <= content.length) {
          target.setUint32(offset, Number(value & 0xffffffffn), true);
        }
      }
    }
    return content;
  }

  /** Bytes of a section as they are in the file; none for one that is not in it. */
  #contents(
    section: { readonly type: number; readonly offset: number; readonly size: number } | undefined,
  ): Uint8Array {
    if (section === undefined || section.type === SHT_NOBITS) return new Uint8Array(0);
    return this.#bytes.subarray(section.offset, section.offset + section.size);
  }
}

/** SHF_COMPRESSED: a header with type and unpacked size, then a zlib stream. */
function decompress(raw: Uint8Array): Uint8Array {
  if (raw.length < COMPRESSION_HEADER) throw bad("a packed section with a header", `${raw.length} bytes`);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const type = view.getUint32(0, true);
  const size = Number(view.getBigUint64(8, true));
  if (type !== COMPRESSION_ZLIB) throw bad("a section packed with zlib", `compression type ${type}`);
  if (size > Math.min(raw.length * DEFLATE_RATIO, UNPACKED_LIMIT)) {
    throw bad("a packed section of a credible size", `${size} bytes from ${raw.length}`);
  }
  try {
    return unzlibSync(raw.subarray(COMPRESSION_HEADER), { out: new Uint8Array(size) });
  } catch (cause) {
    throw new CrashlabError(
      "bad-kernel",
      "expected a zlib stream in a packed section, found damage; copy the file again",
      { cause },
    );
  }
}

function bad(expected: string, found: string): CrashlabError {
  return new CrashlabError(
    "bad-kernel",
    `expected ${expected}, found ${found}; give a vmlinux or .ko with symbols`,
  );
}
