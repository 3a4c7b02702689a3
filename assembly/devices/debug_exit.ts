/** QEMU's isa-debug-exit at F4h: a write of v ends the machine with process status (v << 1) | 1. */
import { EXIT_DEBUG, requestExit } from "../machine/attention";

export function debugExitWrite(value: u32): void {
  requestExit(EXIT_DEBUG, value);
}
