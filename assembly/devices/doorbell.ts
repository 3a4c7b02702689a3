/**
 * The doorbell: the one channel between guest software and the host (5C0h-5CFh, 32-bit registers, interrupt 11).
 *
 *   +00 R  "CLAB" (42414C43h); a machine without the device reads all-ones
 *   +04 W  guest-physical address of the request page, low
 *   +08 W  its high half
 *   +0c W  ring with a command     R  result of the last command
 *
 * The CPU stops right after the ring; the host answers, possibly much later in its own time, and guest time
 * has not moved. The host raises the interrupt when it has a request of its own; the guest fetches it.
 * docs/doorbell.md lists the commands.
 */
import { EXIT_DOORBELL, requestExit } from "../machine/attention";
import { setIrq } from "./irq";
import { DOORBELL } from "./layout";

const SIGNATURE: u32 = 0x42414c43;
const LINE: u32 = 11;

/** u64, u32: read by the host. */
export const DOORBELL_ADDRESS: u32 = DOORBELL;
export const DOORBELL_COMMAND: u32 = DOORBELL + 8;
const RESULT: u32 = DOORBELL + 12;

export function doorbellReset(): void {
  memory.fill(DOORBELL, 0, 16);
}

export function doorbellRead(offset: u32): u32 {
  switch (offset) {
    case 0x00:
      return SIGNATURE;
    case 0x04:
      return load<u32>(DOORBELL_ADDRESS);
    case 0x08:
      return load<u32>(DOORBELL_ADDRESS + 4);
    default:
      return load<u32>(RESULT);
  }
}

export function doorbellWrite(offset: u32, value: u32): void {
  if (offset == 0x04) store<u32>(DOORBELL_ADDRESS, value);
  else if (offset == 0x08) store<u32>(DOORBELL_ADDRESS + 4, value);
  else if (offset == 0x0c) {
    store<u32>(DOORBELL_COMMAND, value);
    store<u32>(RESULT, u32.MAX_VALUE);
    requestExit(EXIT_DOORBELL, value);
  }
}

/** The host's answer to the last ring. */
export function doorbellAnswer(result: u32): void {
  store<u32>(RESULT, result);
}

/** The host has (or no longer has) something to fetch. */
export function doorbellSignal(high: bool): void {
  setIrq(LINE, high);
}
