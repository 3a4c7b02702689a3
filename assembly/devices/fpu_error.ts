/**
 * x87 errors as the PC/AT reports them when CR0.NE is clear: FERR# drives interrupt line 13 through a latch; a write
 * to port F0h clears the latch and holds IGNNE# down, so that the handler may use the x87, until FERR# goes away.
 * SDM 1, appendix D.2.1.
 */
import { setIrq } from "./irq";
import { SMALL_DEVICES } from "./layout";

const IGNNE: u32 = SMALL_DEVICES + 0x20; // u32
const LINE: u32 = 13;

export function fpuErrorReset(): void {
  store<u32>(IGNNE, 0);
}
/** FERR# goes up. */
export function raiseFpuError(): void {
  setIrq(LINE, true);
}
/** FERR# goes down. */
export function fpuErrorGone(): void {
  store<u32>(IGNNE, 0);
}
export function fpuErrorIgnored(): bool {
  return load<u32>(IGNNE) != 0;
}
/** Port F0h. */
export function fpuErrorWrite(): void {
  setIrq(LINE, false);
  store<u32>(IGNNE, 1);
}
