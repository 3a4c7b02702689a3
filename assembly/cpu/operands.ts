/** Register and memory operands of the integer instructions, in all four widths. */
import { GPR } from "../layout";
import { canWrite, read, write } from "../mmu/memory";
import { effectiveAddress } from "./address";
import { BIT_REX, recBits, recIsMem, recReg, recRm } from "./record";

/** Address in linear memory of a register as an operand: AH to BH without REX. */
function place<T>(n: u32, r: u32): u32 {
  if (sizeof<T>() == 1 && n >= 4 && (recBits(r) & BIT_REX) == 0) return GPR + ((n - 4) << 3) + 1;
  return GPR + (n << 3);
}
export function getRegister<T>(n: u32, r: u32): T {
  return load<T>(place<T>(n, r));
}
/** A 32-bit result clears the upper half; 8 and 16-bit results leave the rest alone. */
export function setRegister<T>(n: u32, r: u32, value: T): void {
  if (sizeof<T>() == 4) store<u64>(GPR + (n << 3), <u64>(<u32>value));
  else store<T>(place<T>(n, r), value);
}
export function getReg<T>(r: u32): T {
  return getRegister<T>(recReg(r), r);
}
export function setReg<T>(r: u32, value: T): void {
  setRegister<T>(recReg(r), r, value);
}
/** The ModRM operand; on a fault the value is 0 and an exception pending. */
export function getRm<T>(r: u32): T {
  return recIsMem(r) ? read<T>(effectiveAddress(r)) : getRegister<T>(recRm(r), r);
}
export function setRm<T>(r: u32, value: T): void {
  if (recIsMem(r)) write<T>(effectiveAddress(r), value);
  else setRegister<T>(recRm(r), r, value);
}
/** First half of a read-modify-write: the fault, if any, is that of a write. */
export function getRmForWrite<T>(r: u32): T {
  if (!recIsMem(r)) return getRegister<T>(recRm(r), r);
  const address = effectiveAddress(r);
  if (!canWrite(address, sizeof<T>())) return <T>0;
  return read<T>(address);
}
