/**
 * A debug console at port E9h, as Bochs and QEMU (isa-debugcon) have it: each byte written goes to the host, and a
 * read gives E9h, by which software knows that there is one. A kernel needs no driver for it, so a program with
 * iopl(3) can get bulk data out of a machine that has nothing else: REP OUTSB stops for the host whenever the
 * ring is nearly full. Nothing in here is visible to the guest.
 */
import { EXIT_OUTPUT, requestExit } from "../machine/attention";
import { DEBUGCON, DEBUGCON_RING } from "./layout";

export const DEBUGCON_RING_SIZE: u32 = 0x8000;
/** The run stops for the host when this few bytes are left in the ring. */
const RESERVE: u32 = 0x100;
const SIGNATURE: u32 = 0xe9;
/** What EXIT_OUTPUT names beside the serial ports 0 and 1. */
const PORT: u64 = 2;

// Free-running u32 counters, taken modulo the ring size; the host moves the tail.
export const DEBUGCON_HEAD: u32 = DEBUGCON;
export const DEBUGCON_TAIL: u32 = DEBUGCON + 4;

export function debugconReset(): void {
  store<u64>(DEBUGCON, 0);
}

export function debugconRead(): u32 {
  return SIGNATURE;
}

export function debugconWrite(value: u32): void {
  const head = load<u32>(DEBUGCON_HEAD);
  const used = head - load<u32>(DEBUGCON_TAIL);
  if (used >= DEBUGCON_RING_SIZE) return;
  store<u8>(DEBUGCON_RING + (head % DEBUGCON_RING_SIZE), <u8>value);
  store<u32>(DEBUGCON_HEAD, head + 1);
  if (used >= DEBUGCON_RING_SIZE - RESERVE) requestExit(EXIT_OUTPUT, PORT);
}
