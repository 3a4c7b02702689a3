/**
 * XMM registers and operands of the vector instructions, and when those may execute at all.
 * SDM 2A, 2.5 (exception classes of legacy SSE); SDM 3A, 2.5 (CR0.EM, CR0.TS, CR4.OSFXSR).
 */
import { CR0, CR4, XMM } from "../../layout";
import { read, read128, write, write128 } from "../../mmu/memory";
import { effectiveAddress } from "../address";
import { NM, raise, raiseGp0, raiseUd } from "../exceptions";
import { recIsMem, recReg, recRm } from "../record";
import { CR0_EM, CR0_TS, CR4_OSFXSR } from "../state";

/** True when an instruction that uses XMM or MXCSR may go on; else #UD or #NM is pending. */
export function sseReady(): bool {
  const control = load<u32>(CR0) & <u32>(CR0_EM | CR0_TS);
  if (control == 0 && (load<u32>(CR4) & <u32>CR4_OSFXSR) != 0) return true;
  if ((control & <u32>CR0_EM) != 0 || (load<u32>(CR4) & <u32>CR4_OSFXSR) == 0) raiseUd();
  else raise(NM, 0);
  return false;
}

export function xmm(n: u32): v128 {
  return v128.load(XMM + (n << 4));
}
export function setXmm(n: u32, value: v128): void {
  v128.store(XMM + (n << 4), value);
}
export function xmmLow64(n: u32): u64 {
  return load<u64>(XMM + (n << 4));
}
/** The register in the reg field. */
export function destination(r: u32): v128 {
  return xmm(recReg(r));
}
export function setDestination(r: u32, value: v128): void {
  setXmm(recReg(r), value);
}

/** Zero with #GP pending when the address is no multiple of 16. */
export function readAligned(address: u64): v128 {
  if ((address & 15) != 0) {
    raiseGp0();
    return i64x2.splat(0);
  }
  return read128(address);
}
/** The ModRM operand of 128 bits, which must be aligned in memory. */
export function source(r: u32): v128 {
  return recIsMem(r) ? readAligned(effectiveAddress(r)) : xmm(recRm(r));
}
export function sourceUnaligned(r: u32): v128 {
  return recIsMem(r) ? read128(effectiveAddress(r)) : xmm(recRm(r));
}
/** The low 64, 32 or 16 bits of the ModRM operand. */
export function sourceLow<T>(r: u32): T {
  return recIsMem(r) ? read<T>(effectiveAddress(r)) : load<T>(XMM + (recRm(r) << 4));
}
export function store128(r: u32, value: v128): void {
  if (recIsMem(r)) write128(effectiveAddress(r), value);
  else setXmm(recRm(r), value);
}
export function storeAligned(r: u32, value: v128): void {
  if (!recIsMem(r)) return setXmm(recRm(r), value);
  const address = effectiveAddress(r);
  if ((address & 15) != 0) raiseGp0();
  else write128(address, value);
}
/** A memory operand of 64 bits or fewer. */
export function storeMemory<T>(r: u32, value: T): void {
  write<T>(effectiveAddress(r), value);
}
