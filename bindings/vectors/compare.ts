/** Differences between what a vector says and what a run gave. */
import { GENERAL_REGISTERS } from "../core/registers.ts";
import { poke, type VectorSet } from "./load.ts";
import type { Outcome, Vector, VectorException } from "./types.ts";

/** RFLAGS bits that no vector carries: TF and RF. */
const NOT_RECORDED = 0x10100n;

/** One line a difference; none when the vector passes. */
export function compare(set: VectorSet, vector: Vector, outcome: Outcome): string[] {
  const found: string[] = [];
  const check = (name: string, want: bigint | number, have: bigint | number, mask = -1n): void => {
    if (((BigInt(want) ^ BigInt(have)) & mask) !== 0n) {
      found.push(`${name}: expected ${want.toString(16)}, found ${have.toString(16)}`);
    }
  };
  const { after, exception, undefinedParts, approximate } = vector;
  const { state } = outcome;
  if (describe(exception) !== describe(outcome.exception)) {
    found.push(`exception: expected ${describe(exception)}, found ${describe(outcome.exception)}`);
    if (exception?.vector !== outcome.exception?.vector) return found;
  }
  GENERAL_REGISTERS.forEach((name, index) => {
    const ignored = undefinedParts.general.get(index) ?? 0n;
    check(name, after.general[index] ?? 0n, state.general[index] ?? 0n, ~ignored);
  });
  check("rip", after.rip, state.rip);
  check("rflags", after.rflags, state.rflags, ~(undefinedParts.flags | NOT_RECORDED));
  check("mxcsr", after.fpu.mxcsr, state.fpu.mxcsr);
  check("fcw", after.fpu.controlWord, state.fpu.controlWord);
  check("ftw", after.fpu.tagWord, state.fpu.tagWord);
  // An approximate result may round the other way: C1, PE and the like follow it.
  const loose = approximate === undefined ? 0 : 0x223f;
  check("fsw", after.fpu.statusWord, state.fpu.statusWord, ~BigInt(undefinedParts.statusWord | loose));
  after.fpu.xmm.forEach((want, index) => {
    const have = state.fpu.xmm[index] ?? new Uint8Array(16);
    if (same(want, have) || (approximate === "f32" && closeSingles(want, have))) return;
    found.push(`xmm${index}: expected ${hex(want)}, found ${hex(have)}`);
  });
  const top = (after.fpu.statusWord >> 11) & 7;
  after.fpu.stack.forEach((want, index) => {
    if (((after.fpu.tagWord >> ((top + index) & 7)) & 1) === 0) return;
    const have = state.fpu.stack[index] ?? new Uint8Array(10);
    if (same(want, have) || (approximate === "x87" && closeExtended(want, have))) return;
    found.push(`st${index}: expected ${hex(want)}, found ${hex(have)}`);
  });
  found.push(...compareMemory(set, vector, outcome));
  return found;
}

function compareMemory(set: VectorSet, vector: Vector, outcome: Outcome): string[] {
  const found: string[] = [];
  for (const region of set.regions.filter(({ writable }) => writable)) {
    const want = set.contents(region, vector);
    for (const patch of vector.memoryAfter) poke(region, want, patch);
    const have = outcome.memory.get(region.name) ?? new Uint8Array(region.size);
    if (same(want, have)) continue;
    const ignored = (offset: number): boolean => {
      const address = region.base + BigInt(offset);
      return vector.undefinedParts.memory.some(
        (part) => address >= part.address && address < part.address + BigInt(part.length),
      );
    };
    const offset = want.findIndex((byte, index) => byte !== have[index] && !ignored(index));
    if (offset < 0) continue;
    const shown = (bytes: Uint8Array): string => hex(bytes.subarray(offset, offset + 16));
    const address = (region.base + BigInt(offset)).toString(16);
    found.push(`memory ${address}: expected ${shown(want)}, found ${shown(have)}`);
  }
  return found;
}

function describe(exception: VectorException | undefined): string {
  if (exception === undefined) return "none";
  const { vector, error, address } = exception;
  return `${vector} (error ${error.toString(16)}${vector === 14 ? `, cr2 ${address?.toString(16)}` : ""})`;
}

/** RCP and RSQRT: either side may be wrong by 1.5 * 2^-12 of the value. */
function closeSingles(a: Uint8Array, b: Uint8Array): boolean {
  const x = new DataView(a.buffer, a.byteOffset, 16);
  const y = new DataView(b.buffer, b.byteOffset, 16);
  for (let at = 0; at < 16; at += 4) {
    if (x.getUint32(at, true) === y.getUint32(at, true)) continue;
    const p = x.getFloat32(at, true);
    const q = y.getFloat32(at, true);
    if (!Number.isFinite(p) || !Number.isFinite(q) || p === 0 || q === 0) return false;
    if (Math.abs(p - q) > Math.abs(p) * 3 * 2 ** -12) return false;
  }
  return true;
}

/** Transcendental functions: within four units in the last place. */
function closeExtended(a: Uint8Array, b: Uint8Array): boolean {
  const [x, y] = [a, b].map((bytes) => BigInt(`0x${hex(bytes.toReversed())}`));
  if (x === undefined || y === undefined || x >> 79n !== y >> 79n) return false;
  return (x > y ? x - y : y - x) <= 4n;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
