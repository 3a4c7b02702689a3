/**
 * Where QEMU 7.2 is known to differ from processors: each point a rule with its reference, as narrow as can be said.
 * The rules themselves are in known_paging.ts, known_transfers.ts and known_registers.ts.
 */
import type { Case } from "./case.ts";
import { field } from "./monitor.ts";
import * as at from "./places.ts";
import type { Record } from "./record.ts";

export interface Known {
  /** What silicon does, with its reference; then what QEMU does. */
  readonly reason: string;
  /** Whether it explains that this word of the record differs. */
  readonly covers: (word: string, qemu: Record, core: Record, each: Case) => boolean;
}

export const RF = 0x10000n;
/** Of a descriptor: L and D of code, the accessed bit. */
export const DESCRIPTOR_L: bigint = 1n << 53n;
export const DESCRIPTOR_D: bigint = 1n << 54n;
export const DESCRIPTOR_ACCESSED: bigint = 1n << 40n;

export function differOnlyIn(mask: bigint, word: string, a: Record, b: Record): boolean {
  return (((a[word] ?? 0n) ^ (b[word] ?? 0n)) & ~mask) === 0n;
}
export function isVector(vector: bigint, qemu: Record, core: Record): boolean {
  return qemu["vector"] === vector && core["vector"] === vector;
}
/** Whether the core ends the case in this exception, with this error code. */
export function raises(core: Record, vector: bigint, error: bigint): boolean {
  return core["vector"] === vector && core["error"] === error;
}
export function isCanonical(address: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;
}
/** A register as the case begins. */
export function register(each: Case, n: number): bigint {
  return each.state.get(field.registers + n) ?? 0n;
}

/** The descriptor that a selector names, where the case has put one; else flat code of 64 or 32 bits. */
export function descriptorOf(each: Case, selector: number): bigint {
  const names: readonly number[] = [at.selectors.code64, at.selectors.userCode64, at.selectors.conforming];
  const table = (selector & 4) === 0 ? at.GDT : at.LDT;
  const own = each.patches.findLast(({ address }) => address === table + (selector & 0xfff8))?.value;
  return own ?? (names.includes(selector & 0xfffc) ? 0x00af9b000000ffffn : 0x00cf9b000000ffffn);
}
export function limitOf(descriptor: bigint): bigint {
  const limit = (descriptor & 0xffffn) | ((descriptor >> 32n) & 0xf0000n);
  return ((descriptor >> 55n) & 1n) === 0n ? limit : (limit << 12n) | 0xfffn;
}
/** Type and S, as in the access byte. */
export function typeOf(descriptor: bigint): number {
  return Number((descriptor >> 40n) & 0x1fn);
}
/** The selector that ends the name of a transfer. */
export function targetOf(each: Case): number {
  return Number.parseInt(each.name.split(" ").at(-1) ?? "", 16);
}

/** A value in the frame or far pointer of a transfer: `n` words of the transfer's operand size in. */
export function frameWord(each: Case, n: number): bigint {
  const size = Number(/^(?:32-bit )?(?:iret|far \w+) (\d+)/.exec(each.name)?.[1] ?? 64) / 8;
  let value = 0n;
  for (let byte = size - 1; byte >= 0; byte--) {
    const address = at.FRAME + n * size + byte;
    const word = each.patches.findLast((patch) => patch.address === (address & ~7))?.value ?? 0n;
    value = (value << 8n) | ((word >> BigInt((address & 7) * 8)) & 0xffn);
  }
  return value;
}
