/**
 * Raising exceptions. A handler that finds a fault calls one of these and returns before it has changed
 * anything; the run loop then delivers what is pending (cpu/delivery.ts). SDM 3A chapter 6.
 */
import { CPL, PENDING, PENDING_CR2, PENDING_ERROR, SIGNAL, SIGNAL_EVENT } from "../layout";

export const DE: u32 = 0;
export const DB: u32 = 1;
export const NMI: u32 = 2;
export const BP: u32 = 3;
export const OF: u32 = 4;
export const BR: u32 = 5;
export const UD: u32 = 6;
export const NM: u32 = 7;
export const DF: u32 = 8;
export const TS: u32 = 10;
export const NP: u32 = 11;
export const SSF: u32 = 12;
export const GP: u32 = 13;
export const PF: u32 = 14;
export const MF: u32 = 16;
export const AC: u32 = 17;
export const MC: u32 = 18;
export const XM: u32 = 19;
/** The shadow check's own exception (shadow/check.ts); error code bit 0: a write. One of Intel's reserved vectors. */
export const SC: u32 = 22;

/** Whether the instruction under way has raised an exception. */
export function faulted(): bool {
  return load<u32>(PENDING) != 0;
}

export function raise(vector: u32, error: u32): void {
  if (load<u32>(PENDING) != 0) return;
  store<u32>(PENDING, vector + 1);
  store<u32>(PENDING_ERROR, error);
  store<u32>(SIGNAL, load<u32>(SIGNAL) | SIGNAL_EVENT);
}
export function raiseUd(): void {
  raise(UD, 0);
}
export function raiseGp0(): void {
  raise(GP, 0);
}
/** True when privileged; else #GP(0) is pending. */
export function privileged(): bool {
  if (load<u32>(CPL) == 0) return true;
  raiseGp0();
  return false;
}
export function raisePageFault(address: u64, error: u32): void {
  if (load<u32>(PENDING) != 0) return;
  store<u64>(PENDING_CR2, address);
  raise(PF, error);
}
