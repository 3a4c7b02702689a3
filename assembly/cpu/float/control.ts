/**
 * What governs floating-point arithmetic and what it reports: rounding, precision, masks, flush modes, flags.
 * Flags and masks are those of MXCSR 5:0 and of the x87 status and control words. SDM 1, 4.8.4, 4.9, 8.1.5, 10.2.3.
 */

/** Exception flags: invalid, denormal operand, zero divide, overflow, underflow, precision. */
export const IE: u32 = 1;
export const DE: u32 = 2;
export const ZE: u32 = 4;
export const OE: u32 = 8;
export const UE: u32 = 16;
export const PE: u32 = 32;
/** Those found before anything is computed: when one of them is unmasked, the others are not reported. */
export const EARLY: u32 = IE | DE | ZE;

/** Rounding control, as encoded in MXCSR, the x87 control word and the immediate of ROUNDPS. */
export const NEAREST: u32 = 0;
export const DOWN: u32 = 1;
export const UP: u32 = 2;
export const ZERO: u32 = 3;

export let flags: u32 = 0;
export let rounding: u32 = NEAREST;
export let masks: u32 = 0x3f;
/** Significant bits of x87 results: 24, 53 or 64. */
export let precision: u32 = 64;
export let denormalsAreZero: bool = false;
export let flushToZero: bool = false;
/** Of two NaNs x87 returns the larger significand, SSE the first. */
export let x87Nans: bool = false;
/** Whether the last rounding increased the magnitude: C1 of x87. */
export let roundedUp: bool = false;

export function raiseFlags(bits: u32): void {
  flags |= bits;
}
export function clearFlags(): void {
  flags = 0;
}
export function setRoundedUp(up: bool): void {
  roundedUp = up;
}
/** Changes the rounding until the next setMxcsr or setControlWord. */
export function setRounding(mode: u32): void {
  rounding = mode;
}

/** SSE rules. Leaves the flags alone. */
export function setMxcsr(mxcsr: u32): void {
  rounding = (mxcsr >> 13) & 3;
  masks = (mxcsr >> 7) & 0x3f;
  denormalsAreZero = (mxcsr & 0x40) != 0;
  flushToZero = (mxcsr & 0x8000) != 0;
  x87Nans = false;
}

/** x87 rules; clears flags and C1. */
export function setControlWord(fcw: u32): void {
  rounding = (fcw >> 10) & 3;
  masks = fcw & 0x3f;
  const pc = (fcw >> 8) & 3;
  precision = pc == 0 ? 24 : pc == 2 ? 53 : 64;
  denormalsAreZero = false;
  flushToZero = false;
  x87Nans = true;
  flags = 0;
  roundedUp = false;
}
