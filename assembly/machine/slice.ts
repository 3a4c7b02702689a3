/**
 * The interpreter's inner loop. It runs traces (cpu/traces.ts) by their records' forms (cpu/forms.ts) until the
 * budget is spent or something wants attention.
 *
 * What it does not do for each instruction, it can still say exactly: RIP is the page's base plus the offset in the
 * record; the budget is taken for a whole trace on entry, and what the trace has not retired is given back on the
 * way out; a trace that the budget does not cover is run from a copy that ends in time. Whatever can fault or
 * be seen from outside goes through `general`, which sets RIP and BUDGET first.
 *
 * V8 compiles the function well only up to about 40 KB of code, so only what programs are full of has a case here.
 */
import { executeFp } from "../cpu/dispatch_fp";
import { faulted, raiseGp0 } from "../cpu/exceptions";
import { executeSized } from "../cpu/execute";
import { cold } from "../cpu/execute_cold";
import * as hot from "../cpu/execute_hot";
import { condition, isEqual } from "../cpu/flags";
import * as form from "../cpu/forms";
import * as id from "../cpu/ids";
import {
  CONDITION,
  FORM,
  NEGATED,
  NEXT,
  PLAIN_FORM,
  RECORD_SIZE,
  recId,
  recImm,
  recLength,
  recOperandSize,
  recOperation,
  SECOND_FORM,
  TAKEN,
} from "../cpu/record";
import { isCanonical, RSP } from "../cpu/state";
import { repeat } from "../cpu/strings";
import { system } from "../cpu/system";
import { cachedTrace, endOf, follow, isKept, isMemoryString, limit, remaining, startOf } from "../cpu/traces";
import { BUDGET, CODE_BASE, GPR, RIP, SIGNAL } from "../layout";
import { hostForRead } from "../mmu/memory";

/** Runs until BUDGET is spent or SIGNAL set; BUDGET then holds what is left, RIP the next instruction. */
export function slice(): void {
  let budget = load<i64>(BUDGET);
  let r = follow(load<u64>(RIP), 0, budget);
  if (r == 0) return;
  budget -= remaining(r);
  let what: u32 = load<u16>(r, FORM);
  // Where control goes from a record that ends a trace: the address of its link, or a trace.
  let link: u32 = 0;
  let to: u32 = 0;
  while (true) {
    switch (what) {
      case form.NOP:
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.ADD32:
        hot.add<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.ADD64:
        hot.add<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.OR32:
        hot.or<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.OR64:
        hot.or<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.ADC32:
        hot.addCarry<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.ADC64:
        hot.addCarry<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.SBB32:
        hot.subtractBorrow<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.SBB64:
        hot.subtractBorrow<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.AND32:
        hot.and<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.AND64:
        hot.and<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.SUB32:
        hot.subtract<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.SUB64:
        hot.subtract<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.XOR32:
        hot.xor<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.XOR64:
        hot.xor<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CMP32:
        hot.compare<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CMP64:
        hot.compare<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.TEST32:
        hot.test<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.TEST64:
        hot.test<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CMP8:
        hot.compare<u8>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.TEST8:
        hot.test<u8>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.INC32:
        hot.increment<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.INC64:
        hot.increment<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.DEC32:
        hot.decrement<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.DEC64:
        hot.decrement<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.NEG32:
        hot.negate<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.NEG64:
        hot.negate<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.NOT32:
        hot.invert<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.NOT64:
        hot.invert<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.MOV32:
        hot.move<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.MOV64:
        hot.move<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.MOV8:
        hot.moveByte(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.ZERO8:
        hot.move<u8>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.ZERO16:
        hot.move<u16>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.SIGN8_32:
        hot.moveSigned<i8, u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.SIGN8_64:
        hot.moveSigned<i8, u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.SIGN16_32:
        hot.moveSigned<i16, u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.SIGN16_64:
        hot.moveSigned<i16, u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.SIGN32_64:
        hot.moveSigned<i32, u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.SHL32:
        hot.shiftLeft<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.SHL64:
        hot.shiftLeft<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.SHR32:
        hot.shiftRight<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.SHR64:
        hot.shiftRight<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.SAR32:
        hot.shiftSigned<u32, i32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.SAR64:
        hot.shiftSigned<u64, i64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.ROL32:
        hot.rotateLeft<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.ROL64:
        hot.rotateLeft<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.ROR32:
        hot.rotateRight<u32>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.ROR64:
        hot.rotateRight<u64>(r);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.IMUL32:
        hot.multiply32(r, <i64>load<i32>(hot.destination(r)), <i64>load<i32>(hot.source(r)));
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.IMUL64:
        hot.multiply64(r, load<i64>(hot.destination(r)), load<i64>(hot.source(r)));
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.IMUL32_I:
        hot.multiply32(r, <i64>load<i32>(hot.source(r)), recImm(r));
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.IMUL64_I:
        hot.multiply64(r, load<i64>(hot.source(r)), recImm(r));
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.LEA32:
        store<u64>(hot.destination(r), hot.address(r) & 0xffffffff);
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.LEA64:
        store<u64>(hot.destination(r), hot.address(r));
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.SETCC:
        hot.setByte(r, recOperation(r));
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CMOV32:
        hot.moveIf<u32>(r, recOperation(r));
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CMOV64:
        hot.moveIf<u64>(r, recOperation(r));
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.LOAD32:
        if (!hot.loadValue<u32>(r, hot.readable<u32>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.LOAD64:
        if (!hot.loadValue<u64>(r, hot.readable<u64>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.LOAD8:
        if (!hot.loadByte(r, hot.readable<u8>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.LOAD_ZERO8:
        if (!hot.loadValue<u8>(r, hot.readable<u8>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.LOAD_ZERO16:
        if (!hot.loadValue<u16>(r, hot.readable<u16>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.LOAD_SIGN8_32:
        if (!hot.loadSigned<i8, u32>(r, hot.readable<i8>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.LOAD_SIGN8_64:
        if (!hot.loadSigned<i8, u64>(r, hot.readable<i8>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.LOAD_SIGN16_32:
        if (!hot.loadSigned<i16, u32>(r, hot.readable<i16>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.LOAD_SIGN16_64:
        if (!hot.loadSigned<i16, u64>(r, hot.readable<i16>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.LOAD_SIGN32_64:
        if (!hot.loadSigned<i32, u64>(r, hot.readable<i32>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.STORE8:
        if (!hot.storeValue<u8>(r, hot.writable<u8>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.STORE16:
        if (!hot.storeValue<u16>(r, hot.writable<u16>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.STORE32:
        if (!hot.storeValue<u32>(r, hot.writable<u32>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.STORE64:
        if (!hot.storeValue<u64>(r, hot.writable<u64>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.FETCH8:
        if (!hot.fetch<u8>(r, hot.readable<u8>(r))) break;
        what = load<u16>(r, SECOND_FORM);
        continue;
      case form.FETCH32:
        if (!hot.fetch<u32>(r, hot.readable<u32>(r))) break;
        what = load<u16>(r, SECOND_FORM);
        continue;
      case form.FETCH64:
        if (!hot.fetch<u64>(r, hot.readable<u64>(r))) break;
        what = load<u16>(r, SECOND_FORM);
        continue;
      case form.UPDATE32:
        if (!hot.update<u32>(r, hot.writable<u32>(r), recOperation(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.UPDATE64:
        if (!hot.update<u64>(r, hot.writable<u64>(r), recOperation(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.PUSH64:
        if (!hot.push(load<u64>(hot.source(r)))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.POP64:
        if (!hot.pop(r)) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.LEAVE64:
        if (!hot.leave()) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CHECKED_LOAD32:
        if (!hot.loadValue<u32>(r, hot.checkedReadable<u32>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CHECKED_LOAD64:
        if (!hot.loadValue<u64>(r, hot.checkedReadable<u64>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CHECKED_LOAD8:
        if (!hot.loadByte(r, hot.checkedReadable<u8>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CHECKED_LOAD_ZERO8:
        if (!hot.loadValue<u8>(r, hot.checkedReadable<u8>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CHECKED_LOAD_ZERO16:
        if (!hot.loadValue<u16>(r, hot.checkedReadable<u16>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CHECKED_LOAD_SIGN8_32:
        if (!hot.loadSigned<i8, u32>(r, hot.checkedReadable<i8>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CHECKED_LOAD_SIGN8_64:
        if (!hot.loadSigned<i8, u64>(r, hot.checkedReadable<i8>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CHECKED_LOAD_SIGN16_32:
        if (!hot.loadSigned<i16, u32>(r, hot.checkedReadable<i16>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CHECKED_LOAD_SIGN16_64:
        if (!hot.loadSigned<i16, u64>(r, hot.checkedReadable<i16>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CHECKED_LOAD_SIGN32_64:
        if (!hot.loadSigned<i32, u64>(r, hot.checkedReadable<i32>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CHECKED_STORE8:
        if (!hot.storeValue<u8>(r, hot.checkedWritable<u8>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CHECKED_STORE16:
        if (!hot.storeValue<u16>(r, hot.checkedWritable<u16>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CHECKED_STORE32:
        if (!hot.storeValue<u32>(r, hot.checkedWritable<u32>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CHECKED_STORE64:
        if (!hot.storeValue<u64>(r, hot.checkedWritable<u64>(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CHECKED_FETCH8:
        if (!hot.fetch<u8>(r, hot.checkedReadable<u8>(r))) break;
        what = load<u16>(r, SECOND_FORM);
        continue;
      case form.CHECKED_FETCH32:
        if (!hot.fetch<u32>(r, hot.checkedReadable<u32>(r))) break;
        what = load<u16>(r, SECOND_FORM);
        continue;
      case form.CHECKED_FETCH64:
        if (!hot.fetch<u64>(r, hot.checkedReadable<u64>(r))) break;
        what = load<u16>(r, SECOND_FORM);
        continue;
      case form.CHECKED_UPDATE32:
        if (!hot.update<u32>(r, hot.checkedWritable<u32>(r), recOperation(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.CHECKED_UPDATE64:
        if (!hot.update<u64>(r, hot.checkedWritable<u64>(r), recOperation(r))) break;
        r += RECORD_SIZE;
        what = load<u16>(r, FORM);
        continue;
      case form.TAGGED:
        if (!hot.hasTags(r)) break;
        what = load<u8>(r, PLAIN_FORM);
        continue;
      case form.CMP32_JCC: {
        const outcome = hot.compareOutcome<u32, i32>(r);
        r += RECORD_SIZE;
        link = r + (isMet(r, outcome) ? TAKEN : NEXT);
        break;
      }
      case form.CMP64_JCC: {
        const outcome = hot.compareOutcome<u64, i64>(r);
        r += RECORD_SIZE;
        link = r + (isMet(r, outcome) ? TAKEN : NEXT);
        break;
      }
      case form.TEST32_JCC: {
        const outcome = hot.testOutcome<u32, i32>(r);
        r += RECORD_SIZE;
        link = r + (isMet(r, outcome) ? TAKEN : NEXT);
        break;
      }
      case form.TEST64_JCC: {
        const outcome = hot.testOutcome<u64, i64>(r);
        r += RECORD_SIZE;
        link = r + (isMet(r, outcome) ? TAKEN : NEXT);
        break;
      }
      case form.CMP8_JCC: {
        const outcome = hot.compareOutcome<u8, i8>(r);
        r += RECORD_SIZE;
        link = r + (isMet(r, outcome) ? TAKEN : NEXT);
        break;
      }
      case form.TEST8_JCC: {
        const outcome = hot.testOutcome<u8, i8>(r);
        r += RECORD_SIZE;
        link = r + (isMet(r, outcome) ? TAKEN : NEXT);
        break;
      }
      case form.JE:
        link = r + (isEqual() ? TAKEN : NEXT);
        break;
      case form.JNE:
        link = r + (isEqual() ? NEXT : TAKEN);
        break;
      case form.JCC:
        link = r + (condition(recOperation(r)) ? TAKEN : NEXT);
        break;
      case form.JMP:
        link = r + TAKEN;
        break;
      case form.CALL:
        if (load<u32>(r, TAKEN) == 0 && !isCanonical(endOf(r) + recImm(r))) break;
        if (hot.push(endOf(r))) link = r + TAKEN;
        break;
      case form.END_FALL:
        link = r + NEXT;
        break;
      case form.RET: {
        const stack = load<u64>(GPR + RSP * 8);
        const host = hostForRead<u64>(stack);
        if (host == 0) break;
        const target = load<u64>(host);
        if (!isCanonical(target)) break;
        store<u64>(GPR + RSP * 8, stack + 8);
        to = cachedTrace(target);
        if (to == 0) to = found(target, budget);
        if (to == 0) return;
        break;
      }
      case form.JMP_VALUE: {
        const target = load<u64>(hot.source(r));
        if (!isCanonical(target)) break;
        to = cachedTrace(target);
        if (to == 0) to = found(target, budget);
        if (to == 0) return;
        break;
      }
      case form.CALL_VALUE: {
        const target = load<u64>(hot.source(r));
        if (!isCanonical(target) || !hot.push(endOf(r))) break;
        to = cachedTrace(target);
        if (to == 0) to = found(target, budget);
        if (to == 0) return;
        break;
      }
      case form.REPEAT:
        if (!repeat(r)) break;
        r += RECORD_SIZE;
        link = r + NEXT;
        break;
      case form.END_STRING:
        if (load<u64>(RIP) == endOf(r)) {
          link = r + NEXT;
          break;
        }
        to = found(load<u64>(RIP), budget);
        if (to == 0) return;
        break;
      case form.END:
        to = found(load<u64>(RIP), budget);
        if (to == 0) return;
        break;
    }
    if (link != 0) {
      to = load<u32>(link);
      if (to == 0) to = resolve(r, link, budget);
      if (to == 0) return;
      link = 0;
    }
    if (to != 0) {
      if (<i64>remaining(to) > budget) {
        to = limit(to, budget);
        if (to == 0) {
          store<i64>(BUDGET, budget);
          return;
        }
      }
      budget -= remaining(to);
      r = to;
      to = 0;
    } else {
      if (!general(r, budget)) return;
      r += RECORD_SIZE;
    }
    what = load<u16>(r, FORM);
  }
}

/** Whether a comparison's outcome meets the condition of a jump. */
function isMet(r: u32, outcome: u32): bool {
  const wanted: u32 = load<u16>(r, CONDITION);
  return ((outcome & wanted) != 0) != ((wanted & NEGATED) != 0);
}

/** The trace at `rip`; 0, with BUDGET and RIP set, when the loop has to end there. */
function found(rip: u64, budget: i64): u32 {
  const to = follow(rip, 0, budget);
  if (to == 0) store<i64>(BUDGET, budget);
  return to;
}

/** The same for a link that is not yet known. A jump to an address that is not canonical faults here. */
function resolve(r: u32, link: u32, budget: i64): u32 {
  const isTaken = link == r + TAKEN;
  const rip = endOf(r) + (isTaken ? recImm(r) : 0);
  if (isTaken && !isCanonical(rip)) {
    store<u64>(RIP, startOf(r));
    store<i64>(BUDGET, budget + 1);
    raiseGp0();
    return 0;
  }
  const base = load<u64>(CODE_BASE);
  let to = cachedTrace(rip);
  if (to != 0) {
    if (load<u64>(CODE_BASE) == base && isKept(link) && isKept(to)) store<u32>(link, to);
    return to;
  }
  to = follow(rip, link, budget);
  if (to == 0) store<i64>(BUDGET, budget);
  return to;
}

/** The instruction by its general handler; false, with BUDGET and RIP set, when the loop has to end after it. */
function general(r: u32, budget: i64): bool {
  const left = budget + remaining(r);
  store<u64>(RIP, endOf(r));
  store<i64>(BUDGET, left);
  if (recId(r) < id.COLD) executeSized(r);
  else executeCold(r);
  if (load<u32>(SIGNAL) == 0) return true;
  if (faulted()) store<u64>(RIP, load<u64>(RIP) - recLength(r));
  else store<i64>(BUDGET, left - 1);
  return false;
}

function executeCold(r: u32): void {
  if (recId(r) == id.FP) return executeFp(r);
  if (!isMemoryString(recId(r)) && system(r)) return;
  switch (recOperandSize(r)) {
    case 8:
      cold<u64>(r);
      break;
    case 4:
      cold<u32>(r);
      break;
    case 2:
      cold<u16>(r);
      break;
    default:
      cold<u8>(r);
  }
}
