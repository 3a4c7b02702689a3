/**
 * LZMA2: chunks of LZMA or plain bytes. Mirrors Igor Pavlov's LZMA specification (lzma-specification.txt) and
 * the chunk headers of The .xz File Format 1.2.1, section 5.3.1. Written here because the packages that
 * browsers can use either lack branch filters or wait for ever on damaged input; this one always ends.
 */
import { CrashlabError } from "../../error.ts";

const STATES = 12;
const POSITION_STATES = 16;
const PROBABILITY_HALF = 1024;
const NORMALIZE_BELOW = 0x1000000;

// Layout of the probability table. A length coder: 2 choices, 16 x 8 low, 16 x 8 middle, 256 high.
const LENGTH_CODER_SIZE = 2 + POSITION_STATES * 8 * 2 + 256;
const IS_MATCH = 0;
const IS_REP = IS_MATCH + STATES * POSITION_STATES;
const IS_REP0 = IS_REP + STATES;
const IS_REP1 = IS_REP0 + STATES;
const IS_REP2 = IS_REP1 + STATES;
const IS_REP0_LONG = IS_REP2 + STATES;
const DISTANCE_SLOT = IS_REP0_LONG + STATES * POSITION_STATES;
const DISTANCE_SPECIAL = DISTANCE_SLOT + 4 * 64;
const DISTANCE_ALIGN = DISTANCE_SPECIAL + 128;
const MATCH_LENGTH = DISTANCE_ALIGN + 16;
const REP_LENGTH = MATCH_LENGTH + LENGTH_CODER_SIZE;
const LITERAL = REP_LENGTH + LENGTH_CODER_SIZE;
const LITERAL_CODER_SIZE = 0x300;

/** Unpacks one LZMA2 stream that fills `output` exactly. Gives the number of packed bytes used. */
export function unpackLzma2(input: Uint8Array, output: Uint8Array): number {
  return new Lzma2(input, output).run();
}

class Lzma2 {
  readonly #input: Uint8Array;
  readonly #output: Uint8Array;
  #at = 0;
  #filled = 0;
  /** Where the dictionary begins: matches do not reach before it. */
  #dictionaryStart = 0;
  #range = 0;
  #code = 0;
  #probabilities = new Uint16Array(LITERAL);
  #literalContextBits = 0;
  #literalPositionMask = 0;
  #positionMask = 0;
  #state = 0;
  #distances: [number, number, number, number] = [0, 0, 0, 0];

  constructor(input: Uint8Array, output: Uint8Array) {
    this.#input = input;
    this.#output = output;
  }

  run(): number {
    let ready = false;
    for (;;) {
      const control = this.#byte();
      if (control === 0) break;
      if (control < 0x80) {
        if (control > 2) throw bad("a chunk type", `${control}`);
        if (control === 1) this.#dictionaryStart = this.#filled;
        this.#plain(this.#big16() + 1);
        continue;
      }
      const size = ((control & 0x1f) << 16) + this.#big16() + 1;
      const packed = this.#big16() + 1;
      const reset = (control >> 5) & 3;
      if (reset === 3) this.#dictionaryStart = this.#filled;
      if (reset >= 2) {
        this.#setProperties(this.#byte());
        ready = true;
      }
      if (!ready) throw bad("properties before the first chunk", "none");
      if (reset >= 1) this.#resetState();
      this.#chunk(size, packed);
    }
    if (this.#filled !== this.#output.length) throw bad(`${this.#output.length} bytes`, `${this.#filled}`);
    return this.#at;
  }

  #plain(size: number): void {
    if (size > this.#input.length - this.#at || size > this.#output.length - this.#filled) {
      throw bad("a plain chunk inside the stream", `one of ${size} bytes`);
    }
    this.#output.set(this.#input.subarray(this.#at, this.#at + size), this.#filled);
    this.#at += size;
    this.#filled += size;
  }

  #setProperties(properties: number): void {
    if (properties >= 9 * 5 * 5) throw bad("properties below 225", `${properties}`);
    const literalContextBits = properties % 9;
    const literalPositionBits = Math.floor(properties / 9) % 5;
    if (literalContextBits + literalPositionBits > 4)
      throw bad("lc + lp of at most 4", `properties ${properties}`);
    this.#literalContextBits = literalContextBits;
    this.#literalPositionMask = (1 << literalPositionBits) - 1;
    this.#positionMask = (1 << Math.floor(properties / 45)) - 1;
    this.#probabilities = new Uint16Array(
      LITERAL + (LITERAL_CODER_SIZE << (literalContextBits + literalPositionBits)),
    );
  }

  #resetState(): void {
    this.#probabilities.fill(PROBABILITY_HALF);
    this.#state = 0;
    this.#distances = [0, 0, 0, 0];
  }

  #chunk(size: number, packed: number): void {
    const end = this.#at + packed;
    const limit = this.#filled + size;
    if (packed < 5 || end > this.#input.length)
      throw bad("a chunk inside the stream", `one of ${packed} bytes`);
    if (limit > this.#output.length) throw bad(`${this.#output.length} bytes`, `at least ${limit}`);
    this.#at++; // the range coder's first byte is always 0
    this.#code = ((this.#big16() << 16) | this.#big16()) >>> 0;
    this.#range = 0xffffffff;
    while (this.#filled < limit) {
      const positionState = (this.#filled - this.#dictionaryStart) & this.#positionMask;
      if (this.#bit(IS_MATCH + this.#state * POSITION_STATES + positionState) === 0) {
        this.#literal();
        continue;
      }
      const length =
        this.#bit(IS_REP + this.#state) === 0 ? this.#match(positionState) : this.#repeat(positionState);
      if (length > 0) this.#copy(length, limit);
    }
    if (this.#range < NORMALIZE_BELOW) this.#normalize();
    if (this.#at !== end) throw bad(`a chunk of ${packed} bytes`, `${packed + this.#at - end}`);
  }

  #literal(): void {
    const output = this.#output;
    const position = this.#filled - this.#dictionaryStart;
    const before = position > 0 ? (output[this.#filled - 1] ?? 0) : 0;
    const context =
      ((position & this.#literalPositionMask) << this.#literalContextBits) +
      (before >> (8 - this.#literalContextBits));
    const coder = LITERAL + context * LITERAL_CODER_SIZE;
    let symbol = 1;
    if (this.#state >= 7) {
      // After a match the byte that would have continued it is the context.
      let expected = output[this.#filled - this.#distances[0] - 1] ?? 0;
      while (symbol < 0x100) {
        const expectedBit = (expected >> 7) & 1;
        expected <<= 1;
        const bit = this.#bit(coder + ((1 + expectedBit) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (bit !== expectedBit) break;
      }
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(coder + symbol);
    output[this.#filled++] = symbol & 0xff;
    this.#state = this.#state < 4 ? 0 : this.#state < 10 ? this.#state - 3 : this.#state - 6;
  }

  /** A match at a new distance; its length. */
  #match(positionState: number): number {
    const [first, second, third] = this.#distances;
    const length = this.#length(MATCH_LENGTH, positionState);
    this.#state = this.#state < 7 ? 7 : 10;
    this.#distances = [this.#distance(length), first, second, third];
    return length;
  }

  /** A match at one of the last four distances; 0 when it was the one-byte form, already copied. */
  #repeat(positionState: number): number {
    const [first, second, third, fourth] = this.#distances;
    const state = this.#state;
    if (this.#bit(IS_REP0 + state) === 0) {
      if (this.#bit(IS_REP0_LONG + state * POSITION_STATES + positionState) === 0) {
        this.#state = state < 7 ? 9 : 11;
        this.#copy(1, this.#output.length);
        return 0;
      }
    } else if (this.#bit(IS_REP1 + state) === 0) this.#distances = [second, first, third, fourth];
    else if (this.#bit(IS_REP2 + state) === 0) this.#distances = [third, first, second, fourth];
    else this.#distances = [fourth, first, second, third];
    const length = this.#length(REP_LENGTH, positionState);
    this.#state = state < 7 ? 8 : 11;
    return length;
  }

  #copy(length: number, limit: number): void {
    const output = this.#output;
    const distance = this.#distances[0] + 1;
    const filled = this.#filled;
    if (distance > filled - this.#dictionaryStart || length > limit - filled) {
      throw bad("a match inside the dictionary", `${length} bytes at distance ${distance}`);
    }
    // A match may overlap what it produces.
    for (let i = filled; i < filled + length; i++) output[i] = output[i - distance] ?? 0;
    this.#filled = filled + length;
  }

  #length(coder: number, positionState: number): number {
    if (this.#bit(coder) === 0) return 2 + this.#tree(coder + 2 + positionState * 8, 3);
    if (this.#bit(coder + 1) === 0)
      return 10 + this.#tree(coder + 2 + (POSITION_STATES + positionState) * 8, 3);
    return 18 + this.#tree(coder + 2 + POSITION_STATES * 16, 8);
  }

  /** Distance less 1. */
  #distance(length: number): number {
    const slot = this.#tree(DISTANCE_SLOT + Math.min(length - 2, 3) * 64, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const base = (2 | (slot & 1)) * 2 ** bits;
    if (slot < 14) return base + this.#reverseTree(DISTANCE_SPECIAL + base - slot, bits);
    let direct = 0;
    for (let i = 4; i < bits; i++) {
      if (this.#range < NORMALIZE_BELOW) this.#normalize();
      this.#range >>>= 1;
      direct *= 2;
      if (this.#code >= this.#range) {
        this.#code -= this.#range;
        direct++;
      }
    }
    return base + direct * 16 + this.#reverseTree(DISTANCE_ALIGN, 4);
  }

  #tree(coder: number, bits: number): number {
    let symbol = 1;
    for (let i = 0; i < bits; i++) symbol = (symbol << 1) | this.#bit(coder + symbol);
    return symbol - (1 << bits);
  }

  #reverseTree(coder: number, bits: number): number {
    let symbol = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.#bit(coder + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  #bit(index: number): number {
    if (this.#range < NORMALIZE_BELOW) this.#normalize();
    const probability = this.#probabilities[index] ?? 0;
    const bound = (this.#range >>> 11) * probability;
    if (this.#code < bound) {
      this.#range = bound;
      this.#probabilities[index] = probability + ((2048 - probability) >> 5);
      return 0;
    }
    this.#range -= bound;
    this.#code -= bound;
    this.#probabilities[index] = probability - (probability >> 5);
    return 1;
  }

  #normalize(): void {
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | this.#byte()) >>> 0;
  }

  #byte(): number {
    const byte = this.#input[this.#at++];
    if (byte === undefined) throw bad("more bytes", "the end of the stream");
    return byte;
  }

  #big16(): number {
    const high = this.#byte();
    return (high << 8) | this.#byte();
  }
}

function bad(expected: string, found: string): CrashlabError {
  return new CrashlabError(
    "bad-kernel",
    `expected ${expected} in the LZMA2 stream, found ${found}; the file is damaged`,
  );
}
