/** MXCSR around an instruction: rounding and masks before, flags and #XM after. SDM 1, 10.2.3 and 11.5. */
import { CR4, MXCSR } from "../../layout";
import { raise, raiseUd, XM } from "../exceptions";
import { clearFlags, EARLY, flags, masks, setMxcsr } from "../float/control";
import { CR4_OSXMMEXCPT } from "../state";

export function begin(): void {
  setMxcsr(load<u32>(MXCSR));
  clearFlags();
}

/** Whether an unmasked exception has been found so far. */
export function isUnmasked(): bool {
  return (flags & ~masks) != 0;
}

/**
 * Adds the flags to MXCSR; false when one of them is unmasked and the exception pending: then nothing else may
 * change. An exception found before computing keeps those of the result from being found at all.
 */
export function finish(): bool {
  const unmasked = flags & ~masks;
  const early = (unmasked & EARLY) != 0;
  store<u32>(MXCSR, load<u32>(MXCSR) | (early ? flags & EARLY : flags));
  if (unmasked == 0) return true;
  if ((load<u32>(CR4) & <u32>CR4_OSXMMEXCPT) != 0) raise(XM, 0);
  else raiseUd();
  return false;
}
