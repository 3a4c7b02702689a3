/** A small machine in ring 0 of long mode that runs hand-assembled code until it halts; every vector's handler is HLT. */
import { Core } from "../../bindings/core/core.ts";

export const CODE = 0x10000;
export const STACK = 0x20000;
/** A page of two-megabyte mappings for tests to change; entry 0 maps the machine itself. */
export const DIRECTORY = 0x3000;
const DEVICE_DIRECTORY = 0x4000;
const IDT = 0x5000;
const GDT = 0x6000;
const TSS = 0x6800;
const HANDLER = 0x8000;
const MIB2 = 0x200000;

export interface Gates {
  /** Vectors with a handler of their own. */
  readonly handlers?: { readonly [vector: number]: number };
  /** Vectors whose gate is not present. */
  readonly absent?: readonly number[];
  /** Vectors whose handler returns at once. */
  readonly returning?: readonly number[];
}

export interface Board {
  readonly cpus?: number;
  readonly ignoreTopByte?: boolean;
  readonly shadowCheck?: boolean;
  /** More memory contents. */
  readonly pieces?: readonly { readonly address: number; readonly bytes: Uint8Array }[];
}

export async function ring0(code: readonly number[], gates: Gates = {}, board: Board = {}): Promise<Core> {
  const core = await Core.create({
    ramBytes: 4 * MIB2,
    cpus: board.cpus ?? 1,
    ignoreTopByte: board.ignoreTopByte ?? false,
    shadowCheck: board.shadowCheck ?? false,
  });
  const system = new DataView(new ArrayBuffer(0x8000));
  const entry = (address: number, value: bigint): void => system.setBigUint64(address - 0x1000, value, true);
  entry(0x1000, 0x2003n);
  entry(0x2000, BigInt(DIRECTORY) | 3n);
  // The last GiB of the address space is the first of memory, as for a kernel.
  entry(0x1ff8, 0x2003n);
  entry(0x2ff8, BigInt(DIRECTORY) | 3n);
  for (let n = 0; n < 4; n++) entry(DIRECTORY + n * 8, BigInt(n * MIB2) | 0x83n);
  // Device registers, where they are: the last GiB below 4 GiB.
  entry(0x2018, BigInt(DEVICE_DIRECTORY) | 3n);
  entry(DEVICE_DIRECTORY + 0x1f6 * 8, 0xfec00083n);
  entry(DEVICE_DIRECTORY + 0x1f7 * 8, 0xfee00083n);
  for (let vector = 0; vector < 256; vector++) {
    const handler = BigInt(
      gates.handlers?.[vector] ?? (gates.returning?.includes(vector) ? HANDLER + 0x10 : HANDLER),
    );
    const present = gates.absent?.includes(vector) ? 0x0en : 0x8en;
    entry(IDT + vector * 16, handler | (0x10n << 16n) | (present << 40n));
  }
  entry(GDT + 0x10, 0x00af9b000000ffffn);
  entry(GDT + 0x18, 0x00cf93000000ffffn);
  const segment = (selector: number, attributes: number) => ({
    selector,
    base: 0,
    limit: 0xffffffff,
    attributes,
  });
  core.start({
    protocol: "linux64",
    pieces: [
      { address: 0x1000, bytes: new Uint8Array(system.buffer) },
      { address: HANDLER, bytes: Uint8Array.of(0xf4) },
      { address: HANDLER + 0x10, bytes: Uint8Array.of(0x48, 0xcf) },
      { address: CODE, bytes: Uint8Array.from(code) },
      ...(board.pieces ?? []),
    ],
    entry: {
      rip: CODE,
      rsp: STACK,
      cr0: 0x80050033,
      cr3: 0x1000,
      cr4: 0x20,
      efer: 0xd01,
      cs: segment(0x10, 0xa09b),
      data: segment(0x18, 0xc093),
      tr: { selector: 0x40, base: TSS, limit: 0x67, attributes: 0x8b },
      gdt: { base: GDT, limit: 0x4f },
      idt: { base: IDT, limit: 0xfff },
    },
  });
  return core;
}

/** RIP and RFLAGS as the last exception without an error code pushed them. */
export function frame(core: Core): { rip: number; rflags: bigint } {
  const bytes = core.readPhysical(core.registers().rsp, 24);
  const view = new DataView(bytes.buffer);
  return { rip: Number(view.getBigUint64(0, true)), rflags: view.getBigUint64(16, true) };
}
