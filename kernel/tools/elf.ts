/** The little of ELF64 that building the guest needs: sections, symbols, relocations of our own objects. */
export interface Section {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly address: bigint;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
}

export interface ElfSymbol {
  readonly name: string;
  readonly value: bigint;
  readonly size: number;
  readonly type: number;
  readonly section: number;
}

export interface Relocation {
  readonly offset: number;
  readonly type: number;
  readonly symbol: number;
  readonly addend: bigint;
}

const SHT_SYMTAB = 2;
const SHT_RELA = 4;

export class Elf {
  readonly sections: readonly Section[];
  readonly symbols: readonly ElfSymbol[];
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = view;
    const table = Number(view.getBigUint64(40, true));
    const count = view.getUint16(60, true);
    const headers = Array.from({ length: count }, (_, index) => table + index * 64);
    const names = headers[view.getUint16(62, true)] ?? table;
    const nameTable = Number(view.getBigUint64(names + 24, true));
    this.sections = headers.map((at, index) => ({
      index,
      name: this.#text(nameTable + view.getUint32(at, true)),
      type: view.getUint32(at + 4, true),
      flags: Number(view.getBigUint64(at + 8, true)),
      address: view.getBigUint64(at + 16, true),
      offset: Number(view.getBigUint64(at + 24, true)),
      size: Number(view.getBigUint64(at + 32, true)),
      link: view.getUint32(at + 40, true),
      info: view.getUint32(at + 44, true),
    }));
    this.symbols = this.#readSymbols();
  }

  section(name: string): Section | undefined {
    return this.sections.find((section) => section.name === name);
  }

  data(section: Section): Uint8Array {
    return this.#bytes.subarray(section.offset, section.offset + section.size);
  }

  relocations(section: Section): Relocation[] {
    const found: Relocation[] = [];
    for (const table of this.sections) {
      if (table.type !== SHT_RELA || table.info !== section.index) continue;
      for (let at = table.offset; at < table.offset + table.size; at += 24) {
        found.push({
          offset: Number(this.#view.getBigUint64(at, true)),
          type: this.#view.getUint32(at + 8, true),
          symbol: this.#view.getUint32(at + 12, true),
          addend: this.#view.getBigInt64(at + 16, true),
        });
      }
    }
    return found;
  }

  #readSymbols(): ElfSymbol[] {
    const table = this.sections.find((section) => section.type === SHT_SYMTAB);
    const strings = table && this.sections[table.link];
    if (!table || !strings) return [];
    const found: ElfSymbol[] = [];
    for (let at = table.offset; at < table.offset + table.size; at += 24) {
      found.push({
        name: this.#text(strings.offset + this.#view.getUint32(at, true)),
        type: this.#view.getUint8(at + 4) & 15,
        section: this.#view.getUint16(at + 6, true),
        value: this.#view.getBigUint64(at + 8, true),
        size: Number(this.#view.getBigUint64(at + 16, true)),
      });
    }
    return found;
  }

  #text(at: number): string {
    let end = at;
    while (this.#bytes[end]) end++;
    return new TextDecoder("latin1").decode(this.#bytes.subarray(at, end));
  }
}
