/**
 * The register stack, its tags, the status word, and how an instruction's exceptions become visible there.
 * An unmasked invalid operation, denormal operand or division by zero keeps the operands and the stack as they were;
 * an unmasked overflow, underflow or inexact result of a register does not. Either way #MF waits for the next
 * instruction. SDM 1, 8.1 to 8.7.
 */
import { fpuErrorGone } from "../../devices/fpu_error";
import { FCW, FSW, FTW, ST } from "../../layout";
import { clearFlags, EARLY, flags, IE, masks, OE, PE, roundedUp, setControlWord, UE } from "../float/control";
import { invalid, pack80, pack80To, x80Exp, x80Sig } from "../float/pack";
import { moveToB, unpack80 } from "../float/unpack";

export const SW_SF: u32 = 0x40;
export const SW_ES: u32 = 0x80;
export const SW_C0: u32 = 0x100;
export const SW_C1: u32 = 0x200;
export const SW_C2: u32 = 0x400;
export const SW_C3: u32 = 0x4000;
export const SW_B: u32 = 0x8000;
export const SW_TOP: u32 = 0x3800;
export const CONDITIONS: u32 = SW_C0 | SW_C1 | SW_C2 | SW_C3;

export function top(): u32 {
  return (load<u32>(FSW) >> 11) & 7;
}
export function setTop(n: u32): void {
  store<u32>(FSW, (load<u32>(FSW) & ~SW_TOP) | ((n & 7) << 11));
}
function physical(i: u32): u32 {
  return (top() + i) & 7;
}
/** Address of ST(i): significand, then sign and exponent. */
export function place(i: u32): u32 {
  return ST + (physical(i) << 4);
}
export function isEmpty(i: u32): bool {
  return ((load<u32>(FTW) >> physical(i)) & 1) == 0;
}
export function setEmpty(i: u32): void {
  store<u32>(FTW, load<u32>(FTW) & ~((<u32>1) << physical(i)));
}
export function setRegister(i: u32, signExp: u32, sig: u64): void {
  const at = place(i);
  store<u64>(at, sig);
  store<u64>(at, signExp, 8);
  store<u32>(FTW, load<u32>(FTW) | ((<u32>1) << physical(i)));
}
export function unpackRegister(i: u32): void {
  const at = place(i);
  unpack80(load<u16>(at, 8), load<u64>(at));
}
/** ST(0) as operand a, ST(i) as operand b. */
export function unpackWith(i: u32): void {
  unpackRegister(i);
  moveToB();
  unpackRegister(0);
}

export function pop(): void {
  setEmpty(0);
  setTop(top() + 1);
}
export function push(signExp: u32, sig: u64): void {
  setTop(top() - 1);
  setRegister(0, signExp, sig);
}

export function setConditions(bits: u32): void {
  store<u32>(FSW, (load<u32>(FSW) & ~CONDITIONS) | bits);
}
export function setC2(on: bool): void {
  store<u32>(FSW, (load<u32>(FSW) & ~SW_C2) | (on ? SW_C2 : 0));
}
export function setC1(on: bool): void {
  store<u32>(FSW, (load<u32>(FSW) & ~SW_C1) | (on ? SW_C1 : 0));
}

/** An instruction that computes begins: rounding and masks from the control word, no exceptions, C1 clear. */
export function begin(): void {
  setControlWord(load<u32>(FCW));
  setC1(false);
}

/** ES and B follow the exceptions and their masks. */
export function summarize(): void {
  const status = load<u32>(FSW) & ~(SW_ES | SW_B);
  const pending = (status & ~load<u32>(FCW) & 0x3f) != 0;
  store<u32>(FSW, pending ? status | SW_ES | SW_B : status);
  if (!pending) fpuErrorGone();
}

/** Whether an exception found so far forbids a result. */
export function isRefused(): bool {
  return (flags & EARLY & ~masks) != 0;
}
/** Moves the exceptions of this instruction to the status word; false when there is no result to store. */
export function settle(): bool {
  return report(isRefused(), EARLY);
}
/** The same for a result in memory, which an unmasked overflow or underflow forbids too; it is then not inexact. */
export function settleStore(): bool {
  if (!isRefused() && (flags & ~masks & (OE | UE)) != 0) return report(true, ~PE);
  return settle();
}
function report(refused: bool, kept: u32): bool {
  const found = refused ? flags & kept : flags;
  if (found != 0) {
    store<u32>(FSW, load<u32>(FSW) | found);
    summarize();
  }
  setC1(!refused && roundedUp);
  return !refused;
}

/** A stack fault; true when it is masked and its response is to be given. */
export function stackFault(overflow: bool): bool {
  store<u32>(FSW, load<u32>(FSW) | IE | SW_SF);
  setC1(overflow);
  summarize();
  return (load<u32>(FCW) & IE) != 0;
}
export const DEFAULT_EXP: u32 = 0xffff;
export const DEFAULT_SIG: u64 = 0xc000000000000000;
/** Underflow with ST(i) as the destination. */
export function underflow(i: u32): bool {
  if (!stackFault(false)) return false;
  setRegister(i, DEFAULT_EXP, DEFAULT_SIG);
  return true;
}
/** Room for a push: otherwise overflow, masked response included. */
export function hasRoom(): bool {
  if (isEmpty(7)) return true;
  if (stackFault(true)) push(DEFAULT_EXP, DEFAULT_SIG);
  return false;
}

/** Stores the result into ST(i), rounded to the precision in force. */
export function finish(i: u32): bool {
  pack80();
  if (!settle()) return false;
  setRegister(i, x80Exp, x80Sig);
  return true;
}
/** Stores the result into ST(i) with 64 bits, whatever the precision in force. */
export function finishFull(i: u32): bool {
  pack80To(64);
  if (!settle()) return false;
  setRegister(i, x80Exp, x80Sig);
  return true;
}
/** Pushes the result. */
export function finishPush(): void {
  pack80To(64);
  if (settle()) push(x80Exp, x80Sig);
}
/** The default NaN as result, for an invalid operation. */
export function finishInvalid(i: u32): bool {
  clearFlags();
  invalid();
  return finishFull(i);
}
