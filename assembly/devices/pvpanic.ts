/**
 * QEMU's pvpanic at 505h: a guest that panics writes what happened. Bit 0: panicked; bit 1: a crash kernel
 * was loaded and takes over. Mirrors QEMU docs/specs/pvpanic.rst.
 */
import { EXIT_PVPANIC, requestExit } from "../machine/attention";

const EVENTS: u32 = 3;

export function pvpanicRead(): u32 {
  return EVENTS;
}

export function pvpanicWrite(value: u32): void {
  if ((value & EVENTS) != 0) requestExit(EXIT_PVPANIC, value & EVENTS);
}
