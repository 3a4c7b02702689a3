/**
 * As much of a keyboard controller as reset needs: command FEh pulses the CPU's reset line (60h/64h).
 * The status register shows an output buffer that never empties and an input buffer that is always free:
 * drivers that probe for a controller flush it, give up and report none; reset code that waits for the input
 * buffer goes on at once.
 */
import { EXIT_RESET, requestExit } from "../machine/attention";

const STATUS: u32 = 0x1d; // output full, system flag, command, keyboard not locked
const COMMAND_RESET: u32 = 0xfe;

/** Offset 0 is port 60h, 1 is port 64h. */
export function i8042Read(offset: u32): u32 {
  return offset == 0 ? 0xff : STATUS;
}

export function i8042Write(offset: u32, value: u32): void {
  if (offset == 1 && (value & 0xff) == COMMAND_RESET) requestExit(EXIT_RESET, value);
}
