/** FADD to FDIVR, FSQRT, comparisons, sign operations, classification. SDM 1, 8.3.5 and 8.3.6. */

import { FSW } from "../../layout";
import { setStatus } from "../flags";
import {
  addOperands,
  compareOperands,
  divideOperands,
  EQUAL,
  GREATER,
  LESS,
  multiplyOperands,
  rootOfA,
  UNORDERED,
} from "../float/arithmetic";
import {
  aDenormal,
  aKind,
  bKind,
  KIND_FINITE,
  KIND_INFINITE,
  KIND_QUIET,
  KIND_SIGNALLING,
  KIND_ZERO,
  moveToB,
  negateB,
  swapOperands,
  unpackInteger,
} from "../float/unpack";
import { FLAG_CF, FLAG_PF, FLAG_ZF, STATUS_FLAGS } from "../state";
import {
  begin,
  finish,
  isEmpty,
  place,
  pop,
  SW_C0,
  SW_C1,
  SW_C2,
  SW_C3,
  setC1,
  setConditions,
  settle,
  stackFault,
  underflow,
  unpackRegister,
  unpackWith,
} from "./stack";

/** Rows of D8: ADD MUL COM COMP SUB SUBR DIV DIVR, of ST(0) and the operand b. */
function compute(row: u32): void {
  switch (row) {
    case 0:
      return addOperands();
    case 1:
      return multiplyOperands();
    case 5:
      swapOperands();
    case 4:
      if (bKind < KIND_QUIET) negateB();
      return addOperands();
    case 7:
      swapOperands();
    case 6:
      return divideOperands();
  }
}

/** ST(0) and ST(i) into ST(to); true when the result is there. */
export function arithmetic(row: u32, i: u32, to: u32): bool {
  begin();
  if (isEmpty(0) || isEmpty(i)) return underflow(to);
  unpackWith(i);
  compute(row);
  return finish(to);
}
/** ST(0) and operand b, which came from memory and was unpacked after begin(). */
export function arithmeticWithB(row: u32): void {
  if (isEmpty(0)) {
    underflow(0);
    return;
  }
  unpackRegister(0);
  compute(row);
  finish(0);
}

export function squareRoot(): void {
  begin();
  if (isEmpty(0)) {
    underflow(0);
    return;
  }
  unpackRegister(0);
  rootOfA();
  finish(0);
}

function conditionsOf(order: u32): u32 {
  return order == LESS ? SW_C0 : order == EQUAL ? SW_C3 : order == GREATER ? 0 : SW_C0 | SW_C2 | SW_C3;
}

/** A comparison with an empty register. */
function compareEmpty(): bool {
  if (!stackFault(false)) return false;
  setConditions(SW_C0 | SW_C2 | SW_C3);
  return true;
}
/** Compares a with b; true when the stack may be popped. */
function compareLoaded(signalling: bool): bool {
  const order = compareOperands(signalling);
  if (!settle()) return false;
  setConditions(conditionsOf(order));
  return true;
}
export function compareWith(i: u32, signalling: bool): bool {
  begin();
  if (isEmpty(0) || isEmpty(i)) return compareEmpty();
  unpackWith(i);
  return compareLoaded(signalling);
}
/** With operand b from memory. */
export function compareWithB(): bool {
  if (isEmpty(0)) return compareEmpty();
  unpackRegister(0);
  return compareLoaded(true);
}
/** FTST. */
export function compareWithZero(): void {
  begin();
  unpackInteger(0);
  moveToB();
  compareWithB();
}
/** FCOMI and FUCOMI: ZF PF CF as COMISS has them. Silicon clears OF SF AF and leaves C1 alone. */
export function compareFlags(i: u32, signalling: bool): bool {
  const c1 = load<u32>(FSW) & SW_C1;
  begin();
  let order = UNORDERED;
  if (isEmpty(0) || isEmpty(i)) {
    if (!stackFault(false)) return false;
  } else {
    unpackWith(i);
    order = compareOperands(signalling);
    const compared = settle();
    store<u32>(FSW, load<u32>(FSW) | c1);
    if (!compared) return false;
  }
  setStatus(
    STATUS_FLAGS,
    order == LESS ? FLAG_CF : order == EQUAL ? FLAG_ZF : order == GREATER ? 0 : FLAG_CF | FLAG_PF | FLAG_ZF,
  );
  return true;
}

/** FCHS: toggle, FABS: clear. */
export function changeSign(toggle: bool): void {
  setC1(false);
  if (isEmpty(0)) {
    underflow(0);
    return;
  }
  const at = place(0);
  const old = load<u16>(at, 8);
  store<u16>(at, toggle ? old ^ 0x8000 : old & 0x7fff, 8);
}

/** FXAM. C1 is the sign, of an empty register too. */
export function examine(): void {
  unpackRegister(0);
  let bits: u32 = (load<u16>(place(0), 8) & 0x8000) != 0 ? SW_C1 : 0;
  if (isEmpty(0)) bits |= SW_C3 | SW_C0;
  else if (aKind == KIND_ZERO) bits |= SW_C3;
  else if (aKind == KIND_INFINITE) bits |= SW_C2 | SW_C0;
  else if (aKind == KIND_FINITE) bits |= aDenormal ? SW_C3 | SW_C2 : SW_C2;
  else if (aKind == KIND_QUIET || aKind == KIND_SIGNALLING) bits |= SW_C0;
  setConditions(bits);
}

/** Compare with ST(i), then pop `pops` times if there was a comparison. */
export function compareAndPop(i: u32, signalling: bool, pops: u32): void {
  if (!compareWith(i, signalling)) return;
  for (; pops != 0; pops--) pop();
}
