/**
 * ORC unwind tables: how to find the caller from an instruction's address. Mirrors Linux arch/x86/include/asm/
 * orc_types.h and arch/x86/kernel/unwind_orc.c. Addresses are relative to where they stand, rows are 6 bytes.
 */

/** Registers that a frame can be found by (ORC_REG_*). */
export const OrcRegister = {
  undefined: 0,
  previousSp: 1,
  dx: 2,
  di: 3,
  bp: 4,
  sp: 5,
  r10: 6,
  r13: 7,
  bpIndirect: 8,
  spIndirect: 9,
} as const;

/** How to find a frame's caller from a text address on (Linux arch/x86/include/asm/orc_types.h). */
export interface OrcRow {
  readonly spOffset: number;
  readonly bpOffset: number;
  readonly spRegister: number;
  readonly bpRegister: number;
  /** What lies where the row says: a return address, a struct pt_regs, an interrupt frame; or nothing more. */
  readonly kind: "call" | "regs" | "regs-partial" | "end" | "undefined";
}

/** Bits of a row's last word: until 6.2, in 6.3, and since 6.4. */
export type OrcLayout = "5.15" | "6.3" | "6.4";

/** The layout that a release (`6.1.0-13-amd64`) has. */
export function orcLayout(release: string | undefined): OrcLayout {
  const [, major = "5", minor = "15"] = /^(\d+)\.(\d+)/.exec(release ?? "") ?? [];
  const version = Number(major) * 1000 + Number(minor);
  return version >= 6004 ? "6.4" : version >= 6003 ? "6.3" : "5.15";
}

const ROW = 6;
const OLD_KINDS = ["call", "regs", "regs-partial", "undefined"] as const;
const NEW_KINDS = ["undefined", "end", "call", "regs", "regs-partial"] as const;

/** ORC unwind data of a kernel. */
export class OrcTable {
  readonly #address: bigint;
  readonly #ips: DataView;
  readonly #rows: DataView;
  readonly #layout: OrcLayout;
  readonly #count: number;

  /** `ips` and `rows` are the contents of .orc_unwind_ip and .orc_unwind, `address` that of the first. */
  constructor(address: bigint, ips: Uint8Array, rows: Uint8Array, layout: OrcLayout) {
    this.#address = address;
    this.#ips = new DataView(ips.buffer, ips.byteOffset, ips.byteLength);
    this.#rows = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
    this.#layout = layout;
    this.#count = Math.min(Math.floor(ips.length / 4), Math.floor(rows.length / ROW));
  }

  /** The row for an instruction; undefined when the table begins behind it. */
  find(address: bigint): OrcRow | undefined {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ip(middle) <= address) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : this.#row(low - 1);
  }

  #ip(index: number): bigint {
    const at = this.#address + BigInt(index * 4);
    return BigInt.asUintN(64, at + BigInt(this.#ips.getInt32(index * 4, true)));
  }

  #row(index: number): OrcRow {
    const at = index * ROW;
    const bits = this.#rows.getUint16(at + 4, true);
    const spRegister = bits & 15;
    const old = this.#layout !== "6.4";
    let kind: OrcRow["kind"] = old
      ? (OLD_KINDS[(bits >> 8) & 3] ?? "undefined")
      : (NEW_KINDS[(bits >> 8) & 7] ?? "undefined");
    if (old) {
      const end = (bits >> (this.#layout === "6.3" ? 11 : 10)) & 1;
      if (end !== 0) kind = "end";
      else if (spRegister === OrcRegister.undefined) kind = "undefined";
    }
    return {
      spOffset: this.#rows.getInt16(at, true),
      bpOffset: this.#rows.getInt16(at + 2, true),
      spRegister,
      bpRegister: (bits >> 4) & 15,
      kind,
    };
  }
}
