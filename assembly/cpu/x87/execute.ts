/**
 * D8 to DF and 9B: which instruction it is. SDM 2D, tables. Rows that the manual leaves out but
 * processors execute (aliases of FSTP, FXCH, FCOM; the 8087's FENI, FDISI, the 80287's FSETPM) do so here too.
 */

import { fpuErrorIgnored, raiseFpuError } from "../../devices/fpu_error";
import { FCW, FDP, FIP, FOP, FSW } from "../../layout";
import { attention } from "../../machine/attention";
import { read, write } from "../../mmu/memory";
import { effectiveAddress, effectiveOffset } from "../address";
import { faulted, MF, NM, raise, raiseUd } from "../exceptions";
import { condition } from "../flags";
import { moveToB, unpack, unpackInteger } from "../float/unpack";
import { recImm, recIsMem, recLength, recOpcode, recReg, recRm } from "../record";
import { CR0_EM, CR0_MP, CR0_NE, CR0_TS, cr0, gpr, RAX, rip, setGpr, setRip } from "../state";
import * as basic from "./arithmetic";
import * as environment from "./environment";
import * as partial from "./partial";
import { begin, pop, SW_ES, setC1, setEmpty, setTop, top } from "./stack";
import * as transcendental from "./transcendental";
import * as transfer from "./transfer";

/** An instruction that waits meets the exceptions of those before it. False: it does not execute now. */
function meetsPending(r: u32): bool {
  if ((load<u32>(FSW) & SW_ES) == 0) return false;
  if ((cr0() & CR0_NE) != 0) {
    raise(MF, 0);
    return true;
  }
  if (fpuErrorIgnored()) return false;
  // FERR# is up; the processor waits here for the interrupt that it causes.
  raiseFpuError();
  setRip(rip() - recLength(r));
  attention();
  return true;
}

export function x87(r: u32): void {
  const op = recOpcode(r);
  if (op == 0x9b) {
    if ((cr0() & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)) return raise(NM, 0);
    meetsPending(r);
    return;
  }
  if ((cr0() & (CR0_EM | CR0_TS)) != 0) return raise(NM, 0);
  const row = ((op & 7) << 3) | (recReg(r) & 7);
  const isMemory = recIsMem(r);
  if (isMemory ? isMemoryControl(row) : isRegisterControl(row, recRm(r) & 7)) {
    if (isMemory) memoryControl(r, row);
    else registerControl(row, recRm(r) & 7);
    return;
  }
  if (isUndefined(row, recRm(r) & 7, isMemory)) return raiseUd();
  if (meetsPending(r)) return;
  if (isMemory) memoryForm(row, effectiveAddress(r));
  else registerForm(row, recRm(r) & 7);
  if (faulted()) return;
  store<u32>(FOP, ((op & 7) << 8) | (<u32>recImm(r) & 0xff));
  store<u64>(FIP, rip() - recLength(r));
  if (isMemory) store<u64>(FDP, effectiveOffset(r));
}

// Rows are numbered as (opcode & 7) * 8 + ModRM.reg, written in octal.

/** FLDENV FLDCW FNSTENV FNSTCW, FRSTOR FNSAVE FNSTSW: they leave FIP, FDP and FOP alone. */
function isMemoryControl(row: u32): bool {
  return (row >= 0o14 && row <= 0o17) || row == 0o54 || row == 0o56 || row == 0o57;
}
function memoryControl(r: u32, row: u32): void {
  const waits = row == 0o14 || row == 0o15 || row == 0o54;
  if (waits && meetsPending(r)) return;
  const address = effectiveAddress(r);
  switch (row) {
    case 0o14:
      return environment.loadEnvironment(address, r);
    case 0o15: {
      const value = read<u16>(address);
      if (!faulted()) environment.setControl(value);
      return;
    }
    case 0o16:
      return environment.storeEnvironment(address, r);
    case 0o17:
      return write<u16>(address, <u16>load<u32>(FCW));
    case 0o54:
      return environment.loadState(address, r);
    case 0o56:
      return environment.storeState(address, r);
    case 0o57:
      return write<u16>(address, <u16>load<u32>(FSW));
  }
}
/** DB E0 to E4, DF E0. */
function isRegisterControl(row: u32, rm: u32): bool {
  return (row == 0o34 && rm <= 4) || (row == 0o74 && rm == 0);
}
function registerControl(row: u32, rm: u32): void {
  if (row == 0o74) setGpr(RAX, (gpr(RAX) & ~0xffff) | (load<u32>(FSW) & 0xffff));
  else if (rm == 2) environment.clearExceptions();
  else if (rm == 3) environment.initialize();
}
/** Rows without an instruction; of 14, 15, 25 and 63 a part. */
function isUndefined(row: u32, rm: u32, isMemory: bool): bool {
  if (isMemory) return row == 0o11 || row == 0o34 || row == 0o36 || row == 0o55;
  switch (row) {
    case 0o12:
      return rm != 0;
    case 0o14:
      return rm == 2 || rm == 3 || rm >= 6;
    case 0o15:
      return rm == 7;
    case 0o25:
    case 0o63:
      return rm != 1;
    case 0o24:
    case 0o26:
    case 0o27:
    case 0o34:
    case 0o37:
    case 0o56:
    case 0o57:
    case 0o74:
    case 0o77:
      return true;
  }
  return false;
}

function memoryForm(row: u32, address: u64): void {
  switch (row >> 3) {
    case 0:
      return realOperand<u32>(row, address);
    case 4:
      return realOperand<u64>(row, address);
    case 2:
      return integerOperand(row, <i64>read<i32>(address));
    case 6:
      return integerOperand(row, <i64>read<i16>(address));
  }
  switch (row) {
    case 0o10:
      return transfer.loadReal<u32>(address);
    case 0o12:
    case 0o13:
      return transfer.storeReal<u32>(address, row == 0o13);
    case 0o30:
      return transfer.loadInteger(read<i32>(address));
    case 0o31:
      return transfer.storeInteger<i32>(address, true, true);
    case 0o32:
    case 0o33:
      return transfer.storeInteger<i32>(address, row == 0o33, false);
    case 0o35:
      return transfer.loadExtended(address);
    case 0o37:
      return transfer.storeExtended(address);
    case 0o50:
      return transfer.loadReal<u64>(address);
    case 0o51:
      return transfer.storeInteger<i64>(address, true, true);
    case 0o52:
    case 0o53:
      return transfer.storeReal<u64>(address, row == 0o53);
    case 0o70:
      return transfer.loadInteger(read<i16>(address));
    case 0o71:
      return transfer.storeInteger<i16>(address, true, true);
    case 0o72:
    case 0o73:
      return transfer.storeInteger<i16>(address, row == 0o73, false);
    case 0o74:
      return transfer.loadDecimal(address);
    case 0o75:
      return transfer.loadInteger(read<i64>(address));
    case 0o76:
      return transfer.storeDecimal(address);
    case 0o77:
      return transfer.storeInteger<i64>(address, true, false);
  }
  raiseUd();
}

function realOperand<T>(row: u32, address: u64): void {
  const value = read<T>(address);
  if (faulted()) return;
  begin();
  unpack<T>(value);
  withB(row & 7);
}
function integerOperand(row: u32, value: i64): void {
  if (faulted()) return;
  begin();
  unpackInteger(value);
  withB(row & 7);
}
function withB(row: u32): void {
  moveToB();
  if (row == 2 || row == 3) {
    if (basic.compareWithB() && row == 3) pop();
  } else basic.arithmeticWithB(row);
}

function registerForm(row: u32, i: u32): void {
  const low = row & 7;
  switch (row) {
    case 0o00:
    case 0o01:
    case 0o04:
    case 0o05:
    case 0o06:
    case 0o07:
      basic.arithmetic(low, i, 0);
      return;
    case 0o02:
    case 0o42:
      return basic.compareAndPop(i, true, 0);
    case 0o03:
    case 0o43:
    case 0o62:
      return basic.compareAndPop(i, true, 1);
    case 0o10:
      return transfer.duplicate(i);
    case 0o11:
    case 0o51:
    case 0o71:
      return transfer.exchange(i);
    case 0o12:
      return; // FNOP
    case 0o13:
    case 0o53:
    case 0o72:
    case 0o73:
      return transfer.storeRegister(i, true);
    case 0o14:
      if (i < 2) return basic.changeSign(i == 0);
      if (i == 4) {
        basic.compareWithZero();
        return;
      }
      return basic.examine();
    case 0o15:
      return transfer.loadConstant(i);
    case 0o16:
      return row16(i);
    case 0o17:
      return row17(i);
    case 0o20:
    case 0o21:
    case 0o22:
    case 0o23:
    case 0o30:
    case 0o31:
    case 0o32:
    case 0o33:
      return transfer.moveIf(
        condition(((MOVE_CONDITIONS >> (low * 4)) & 15) ^ ((row & 0o10) != 0 ? 1 : 0)),
        i,
      );
    case 0o25:
      return basic.compareAndPop(1, false, 2);
    case 0o35:
      basic.compareFlags(i, false);
      return;
    case 0o36:
      basic.compareFlags(i, true);
      return;
    case 0o75:
      if (basic.compareFlags(i, false)) pop();
      return;
    case 0o76:
      if (basic.compareFlags(i, true)) pop();
      return;
    case 0o40:
    case 0o41:
    case 0o44:
    case 0o45:
    case 0o46:
    case 0o47:
      basic.arithmetic(low, i, i);
      return;
    case 0o50:
    case 0o70:
      setEmpty(i);
      if (row == 0o70) setTop(top() + 1);
      return;
    case 0o52:
      return transfer.storeRegister(i, false);
    case 0o54:
      return basic.compareAndPop(i, false, 0);
    case 0o55:
      return basic.compareAndPop(i, false, 1);
    case 0o60:
    case 0o61:
    case 0o64:
    case 0o65:
    case 0o66:
    case 0o67:
      if (basic.arithmetic(low, i, i)) pop();
      return;
    case 0o63:
      return basic.compareAndPop(1, true, 2);
  }
  raiseUd();
}
/** Condition codes of FCMOVB, FCMOVE, FCMOVBE, FCMOVU, from the low digit up. */
const MOVE_CONDITIONS: u32 = 0xa642;

function row16(i: u32): void {
  switch (i) {
    case 0:
      return transcendental.exponential();
    case 1:
      return transcendental.logarithm(false);
    case 2:
      return transcendental.tangent();
    case 3:
      return transcendental.arctangent();
    case 4:
      return partial.extract();
    case 5:
      return partial.remainder(true);
    case 6:
    case 7:
      setC1(false);
      setTop(i == 6 ? top() - 1 : top() + 1);
  }
}
function row17(i: u32): void {
  switch (i) {
    case 0:
      return partial.remainder(false);
    case 1:
      return transcendental.logarithm(true);
    case 2:
      return basic.squareRoot();
    case 3:
      return transcendental.sine(true, true);
    case 4:
      return partial.roundToInteger();
    case 5:
      return partial.scale();
    case 6:
      return transcendental.sine(true, false);
    case 7:
      return transcendental.sine(false, true);
  }
}
