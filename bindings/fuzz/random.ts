/** A small fast generator (Chris Doty-Humphrey's sfc32): the same seed gives the same numbers everywhere. */
export class Random {
  #a: number;
  #b = 0x9e3779b9;
  #c = 0x243f6a88;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed | 0;
    this.#c ^= Math.floor(seed / 2 ** 32);
    for (let n = 0; n < 12; n++) this.u32();
  }

  /** 0 to 2^32 - 1. */
  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  below(n: number): number {
    return Math.floor((this.u32() / 2 ** 32) * n);
  }

  /** True in one of `n` cases. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(from: readonly T[]): T {
    const value = from[this.below(from.length)];
    if (value === undefined) throw new RangeError("expected something to choose from, found nothing");
    return value;
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    const words = new Uint32Array(Math.ceil(length / 4));
    for (let n = 0; n < words.length; n++) words[n] = this.u32();
    return new Uint8Array(words.buffer, 0, length);
  }

  /** Numbers that programs and their mistakes are made of: small, round, near a limit, or any. */
  interesting(): bigint {
    const one = 1n << BigInt(this.below(64));
    switch (this.below(6)) {
      case 0:
        return BigInt(this.below(32));
      case 1:
        return one;
      case 2:
        return one - 1n;
      case 3:
        return BigInt.asUintN(64, -BigInt(this.below(300)));
      case 4:
        return BigInt(this.u32());
      default:
        return this.u64();
    }
  }
}
