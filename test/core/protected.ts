/** 32-bit protected mode without paging: code at CODE, its own descriptors, every vector's handler is HLT. */
import { Core } from "../../bindings/core/core.ts";

export const CODE = 0x10000;
export const STACK = 0x20000;
const IDT = 0x5000;
const GDT = 0x6000;
export const HANDLER = 0x8000;
export const TSS = 0x6800;

/** Selectors 8 code and 10h data are flat; `descriptors` begin at 18h. */
export interface ProtectedOptions {
  readonly descriptors?: readonly bigint[];
  /** Vectors with an interrupt gate of DPL 3 and a handler of their own. */
  readonly handlers?: { readonly [vector: number]: number };
  readonly pieces?: readonly { readonly address: number; readonly bytes: Uint8Array }[];
  /** Bits of CR0 beyond PE, ET. */
  readonly cr0?: number;
  readonly cr3?: number;
  readonly cr4?: number;
  readonly efer?: number;
  /** Where ring 0's stack is for entries from ring 3. */
  readonly esp0?: number;
}

export async function protected32(code: readonly number[], options: ProtectedOptions = {}): Promise<Core> {
  const core = await Core.create({ ramBytes: 8 << 20 });
  const system = new DataView(new ArrayBuffer(0x2000));
  const entry = (address: number, value: bigint): void => system.setBigUint64(address - IDT, value, true);
  for (let vector = 0; vector < 256; vector++) {
    const own = options.handlers?.[vector];
    const handler = BigInt(own ?? HANDLER);
    const kind = own === undefined ? 0x8en : 0xeen;
    entry(IDT + vector * 8, (handler & 0xffffn) | (8n << 16n) | (kind << 40n) | ((handler >> 16n) << 48n));
  }
  const descriptors = [0n, 0x00cf9b000000ffffn, 0x00cf93000000ffffn, ...(options.descriptors ?? [])];
  descriptors.forEach((descriptor, index) => {
    entry(GDT + index * 8, descriptor);
  });
  system.setUint32(TSS - IDT + 4, options.esp0 ?? STACK - 0x1000, true);
  system.setUint32(TSS - IDT + 8, 0x10, true);
  system.setUint16(TSS - IDT + 0x66, 0x68, true); // no I/O map
  const segment = (selector: number, attributes: number) => ({
    selector,
    base: 0,
    limit: 0xffffffff,
    attributes,
  });
  core.start({
    protocol: "multiboot",
    pieces: [
      { address: IDT, bytes: new Uint8Array(system.buffer) },
      { address: HANDLER, bytes: Uint8Array.of(0xf4) },
      { address: CODE, bytes: Uint8Array.from(code) },
      ...(options.pieces ?? []),
    ],
    entry: {
      rip: CODE,
      rsp: STACK,
      cr0: 0x31 + (options.cr0 ?? 0),
      cr3: options.cr3 ?? 0,
      cr4: options.cr4 ?? 0,
      efer: options.efer ?? 0,
      cs: segment(8, 0xc09b),
      data: segment(0x10, 0xc093),
      tr: { selector: 0x78, base: TSS, limit: 0x67, attributes: 0x8b },
      gdt: { base: GDT, limit: 0xff },
      idt: { base: IDT, limit: 0x7ff },
    },
  });
  return core;
}

export function descriptor(base: number, limit: number, access: number, flags: number): bigint {
  const b = BigInt(base);
  const l = BigInt(limit);
  return (
    (l & 0xffffn) |
    ((b & 0xffffffn) << 16n) |
    (BigInt(access) << 40n) |
    ((l >> 16n) << 48n) |
    (BigInt(flags) << 52n) |
    ((b >> 24n) << 56n)
  );
}
