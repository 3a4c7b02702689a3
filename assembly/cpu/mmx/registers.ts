/**
 * MMX registers: the significands of the physical x87 registers. Every MMX instruction but EMMS marks the whole
 * stack as in use with TOP 0, and a write sets sign and exponent to ones. SDM 1, 9.2.3; SDM 3A, 13.2.
 */
import { CR0, FSW, FTW, ST } from "../../layout";
import { read } from "../../mmu/memory";
import { effectiveAddress } from "../address";
import { MF, NM, raise, raiseUd } from "../exceptions";
import { recIsMem, recReg, recRm } from "../record";
import { CR0_EM, CR0_TS } from "../state";

/** Exception summary of the status word: an unmasked x87 exception waits. */
const FSW_ES: u32 = 0x80;
const FSW_TOP: u32 = 0x3800;

/** True when an MMX instruction may go on; else #UD, #NM or #MF is pending. */
export function mmxReady(): bool {
  const control = load<u32>(CR0) & <u32>(CR0_EM | CR0_TS);
  if (control == 0 && (load<u32>(FSW) & FSW_ES) == 0) return true;
  if ((control & <u32>CR0_EM) != 0) raiseUd();
  else raise(control != 0 ? NM : MF, 0);
  return false;
}

/** The transition of x87 state that an MMX instruction makes once it can no longer fault. */
export function enterMmx(): void {
  store<u32>(FSW, load<u32>(FSW) & ~FSW_TOP);
  store<u32>(FTW, 0xff);
}
/** EMMS: every register is empty. */
export function emms(): void {
  store<u32>(FSW, load<u32>(FSW) & ~FSW_TOP);
  store<u32>(FTW, 0);
}

export function mm(n: u32): u64 {
  return load<u64>(ST + ((n & 7) << 4));
}
/** Writes a register and makes the transition. */
export function setMm(n: u32, value: u64): void {
  enterMmx();
  store<u64>(ST + ((n & 7) << 4), value);
  store<u16>(ST + ((n & 7) << 4), 0xffff, 8);
}
export function mmDestination(r: u32): u64 {
  return mm(recReg(r));
}
export function mmSource(r: u32): u64 {
  return recIsMem(r) ? read<u64>(effectiveAddress(r)) : mm(recRm(r));
}
/** A 64-bit value as the low half of a vector. */
export function widen(value: u64): v128 {
  return i64x2.replace_lane(i64x2.splat(0), 0, value);
}
export function low64(value: v128): u64 {
  return <u64>i64x2.extract_lane(value, 0);
}
export function high64(value: v128): u64 {
  return <u64>i64x2.extract_lane(value, 1);
}
