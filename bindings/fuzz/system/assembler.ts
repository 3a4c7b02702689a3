/** Machine code with labels: just enough for the monitor, whose instructions are given as bytes. */
export class Assembler {
  readonly #bytes: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #fixes: { readonly at: number; readonly label: string }[] = [];

  get length(): number {
    return this.#bytes.length;
  }

  emit(...bytes: readonly number[]): void {
    this.#bytes.push(...bytes);
  }

  label(name: string): void {
    this.#labels.set(name, this.#bytes.length);
  }

  /** An instruction that ends in a 32-bit displacement from its end: a jump, or an address relative to RIP. */
  relative(opcode: readonly number[], label: string): void {
    this.emit(...opcode, 0, 0, 0, 0);
    this.#fixes.push({ at: this.#bytes.length - 4, label });
  }

  align(to: number): void {
    while (this.#bytes.length % to !== 0) this.emit(0xcc);
  }

  offsetOf(label: string): number {
    const at = this.#labels.get(label);
    if (at === undefined) throw new RangeError(`expected a label ${label}, found none`);
    return at;
  }

  finish(): Uint8Array<ArrayBuffer> {
    const bytes = Uint8Array.from(this.#bytes);
    const view = new DataView(bytes.buffer);
    for (const { at, label } of this.#fixes) view.setInt32(at, this.offsetOf(label) - (at + 4), true);
    return bytes;
  }
}

export function u32(value: number | bigint): number[] {
  const word = BigInt(value);
  return [0n, 8n, 16n, 24n].map((shift) => Number((word >> shift) & 255n));
}
export function u64(value: number | bigint): number[] {
  const word = BigInt.asUintN(64, BigInt(value));
  return [...u32(word & 0xffffffffn), ...u32(word >> 32n)];
}
