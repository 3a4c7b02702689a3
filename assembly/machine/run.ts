/**
 * The run loop: slices of at most `budget` instructions, cut at the next event, with interrupts, NMI, INIT and
 * single step looked at between instructions. Mirrors SDM 3A 6.9 (priority among simultaneous events).
 */

import { checkCodeBreakpoint, forgetMet, hasCodeBreakpoints, raiseTrap } from "../cpu/debug";
import { deliver, deliverPending, EXCEPTION, EXTERNAL } from "../cpu/delivery";
import { executeFp } from "../cpu/dispatch_fp";
import { faulted, NMI } from "../cpu/exceptions";
import { executeSized } from "../cpu/execute";
import { cold } from "../cpu/execute_cold";
import * as hot from "../cpu/execute_hot";
import * as id from "../cpu/ids";
import { RECORD_SIZE } from "../cpu/record";
import { FLAG_IF, FLAG_RF, FLAG_TF } from "../cpu/state";
import { system } from "../cpu/system";
import { findTrace } from "../cpu/traces";
import { acknowledgeInterrupt, interruptPending } from "../devices/irq";
import {
  ACTIVITY,
  BUDGET,
  CPUS,
  EXIT_REASON,
  FLAGS,
  INHIBIT,
  NMI_BLOCKED,
  NMI_PENDING,
  RETIRED,
  RIP,
  RUN_CHUNK,
  SIGNAL,
  STOP_AT,
  TIME,
  TURN,
} from "../layout";
import { EXIT_BUDGET, EXIT_HALTED, EXIT_IDLE, NO_EXIT, requestExit } from "./attention";
import { RUNNING, someoneInterruptible, takeInit, takeTurn } from "./cpus";
import { NO_DEADLINE, nextDeadline, runDueEvents } from "./events";

/**
 * Runs at most `budget` instructions, of all CPUs together, and not beyond guest time STOP_AT; the exit reason.
 * Delivering an exception or interrupt takes the time of an instruction, so that no two states have the same
 * time. Time skipped in HLT costs one of the budget each time.
 */
export function run(budget: i32): u32 {
  let left: i64 = budget;
  store<u32>(EXIT_REASON, NO_EXIT);
  while (left > 0 && load<u64>(TIME) < load<u64>(STOP_AT)) {
    runDueEvents();
    if (!takeTurn()) {
      if (!skipIdle()) break;
      left--;
      continue;
    }
    takeInit();
    if (takeInterrupt()) left -= spend();
    if (load<u32>(EXIT_REASON) != NO_EXIT) break;
    if (load<u32>(ACTIVITY) != RUNNING) {
      left--;
      continue;
    }
    const time = load<u64>(TIME);
    let chunk = left;
    if (load<u32>(CPUS) > 1 && load<i64>(TURN) < chunk) chunk = load<i64>(TURN);
    const deadline = nextDeadline();
    const until = deadline < load<u64>(STOP_AT) ? deadline : load<u64>(STOP_AT);
    if (until - time < <u64>chunk) chunk = <i64>(until - time);
    if (chunk <= 0) continue; // the interrupt took the last of it
    if ((load<u64>(FLAGS) & FLAG_TF) != 0 || load<u32>(INHIBIT) != 0) chunk = 1;
    // RF holds off breakpoints for one instruction, which starts without it.
    const resumed = (load<u64>(FLAGS) & FLAG_RF) != 0;
    const breakpoints = hasCodeBreakpoints();
    if (resumed || breakpoints) chunk = 1;
    store<u64>(FLAGS, load<u64>(FLAGS) & ~FLAG_RF);
    const shadow = load<u32>(INHIBIT);
    const stepping = (load<u64>(FLAGS) & FLAG_TF) != 0;
    store<u32>(INHIBIT, 0);
    store<i64>(RUN_CHUNK, chunk);
    store<i64>(BUDGET, chunk);
    store<u32>(SIGNAL, 0);
    if (breakpoints && !resumed) checkCodeBreakpoint();
    if (!faulted()) slice();
    const done = chunk - load<i64>(BUDGET);
    store<u64>(TIME, load<u64>(TIME) + <u64>done);
    store<i64>(RUN_CHUNK, 0);
    store<i64>(BUDGET, 0);
    store<u64>(RETIRED, load<u64>(RETIRED) + <u64>done);
    store<i64>(TURN, load<i64>(TURN) - done);
    left -= done;
    if (faulted()) forgetMet();
    else if (!raiseTrap(stepping && done != 0)) {
      if (load<u32>(EXIT_REASON) != NO_EXIT) break;
      continue;
    }
    deliverPending();
    left -= spend();
    if (load<u32>(EXIT_REASON) != NO_EXIT) break;
  }
  return load<u32>(EXIT_REASON) == NO_EXIT ? EXIT_BUDGET : load<u32>(EXIT_REASON);
}

/** The time that a delivery takes. */
function spend(): i64 {
  store<u64>(TIME, load<u64>(TIME) + 1);
  store<i64>(TURN, load<i64>(TURN) - 1);
  return 1;
}

/** Delivers an NMI or an interrupt that the CPU can take now. */
function takeInterrupt(): bool {
  if (load<u32>(INHIBIT) != 0) return false;
  if (load<u32>(NMI_PENDING) != 0 && load<u32>(NMI_BLOCKED) == 0) {
    store<u32>(NMI_PENDING, 0);
    store<u32>(NMI_BLOCKED, 1);
    store<u32>(ACTIVITY, RUNNING);
    deliver(NMI, 0, EXTERNAL);
    return true;
  }
  if ((load<u64>(FLAGS) & FLAG_IF) == 0 || !interruptPending()) return false;
  const vector = acknowledgeInterrupt();
  if (vector < 0) return false;
  store<u32>(ACTIVITY, RUNNING);
  deliver(<u32>vector, 0, EXTERNAL);
  return true;
}

/** Every CPU is halted with nothing to do: jump to the next event, or stop for good. */
function skipIdle(): bool {
  if (!someoneInterruptible()) {
    requestExit(EXIT_HALTED, 0);
    return false;
  }
  const deadline = nextDeadline();
  if (deadline == NO_DEADLINE) {
    requestExit(EXIT_IDLE, 0);
    return false;
  }
  const until = deadline < load<u64>(STOP_AT) ? deadline : load<u64>(STOP_AT);
  if (until > load<u64>(TIME)) store<u64>(TIME, until);
  return true;
}

/** The hot loop: trace after trace until the budget is spent or something wants attention. */
function slice(): void {
  let budget = load<i64>(BUDGET);
  while (budget > 0) {
    let r = findTrace();
    if (r == 0) break;
    let handler: u32 = load<u16>(r);
    while (handler != id.END) {
      const length = load<u8>(r, 2);
      store<u64>(RIP, load<u64>(RIP) + length);
      if (handler >= id.HOT) {
        switch (handler) {
          case id.HOT_ALU + 0:
            hot.add<u32>(r);
            break;
          case id.HOT_ALU + 1:
            hot.add<u64>(r);
            break;
          case id.HOT_ALU + 2:
            hot.addImmediate<u32>(r);
            break;
          case id.HOT_ALU + 3:
            hot.addImmediate<u64>(r);
            break;
          case id.HOT_ALU + 4:
            hot.or<u32>(r);
            break;
          case id.HOT_ALU + 5:
            hot.or<u64>(r);
            break;
          case id.HOT_ALU + 6:
            hot.orImmediate<u32>(r);
            break;
          case id.HOT_ALU + 7:
            hot.orImmediate<u64>(r);
            break;
          case id.HOT_ALU + 8:
            hot.test<u32>(r);
            break;
          case id.HOT_ALU + 9:
            hot.test<u64>(r);
            break;
          case id.HOT_ALU + 10:
            hot.testImmediate<u32>(r);
            break;
          case id.HOT_ALU + 11:
            hot.testImmediate<u64>(r);
            break;
          case id.HOT_ALU + 16:
            hot.and<u32>(r);
            break;
          case id.HOT_ALU + 17:
            hot.and<u64>(r);
            break;
          case id.HOT_ALU + 18:
            hot.andImmediate<u32>(r);
            break;
          case id.HOT_ALU + 19:
            hot.andImmediate<u64>(r);
            break;
          case id.HOT_ALU + 20:
            hot.subtract<u32>(r);
            break;
          case id.HOT_ALU + 21:
            hot.subtract<u64>(r);
            break;
          case id.HOT_ALU + 22:
            hot.subtractImmediate<u32>(r);
            break;
          case id.HOT_ALU + 23:
            hot.subtractImmediate<u64>(r);
            break;
          case id.HOT_ALU + 24:
            hot.xor<u32>(r);
            break;
          case id.HOT_ALU + 25:
            hot.xor<u64>(r);
            break;
          case id.HOT_ALU + 26:
            hot.xorImmediate<u32>(r);
            break;
          case id.HOT_ALU + 27:
            hot.xorImmediate<u64>(r);
            break;
          case id.HOT_ALU + 28:
            hot.compare<u32>(r);
            break;
          case id.HOT_ALU + 29:
            hot.compare<u64>(r);
            break;
          case id.HOT_ALU + 30:
            hot.compareImmediate<u32>(r);
            break;
          case id.HOT_ALU + 31:
            hot.compareImmediate<u64>(r);
            break;
          case id.HOT_MOV32:
            hot.moveRegister<u32>(r);
            break;
          case id.HOT_MOV64:
            hot.moveRegister<u64>(r);
            break;
          case id.HOT_MOV_I:
            hot.moveImmediate(r);
            break;
          case id.HOT_LOAD32:
            hot.loadRegister<u32>(r);
            break;
          case id.HOT_LOAD64:
            hot.loadRegister<u64>(r);
            break;
          case id.HOT_STORE32:
            hot.storeRegister<u32>(r);
            break;
          case id.HOT_STORE64:
            hot.storeRegister<u64>(r);
            break;
        }
        if (handler <= id.HOT_LAST_SILENT) {
          if (--budget <= 0) break;
          r += RECORD_SIZE;
          handler = load<u16>(r);
          continue;
        }
      } else if (handler < id.COLD) executeSized(r);
      else {
        store<i64>(BUDGET, budget);
        executeCold(r);
      }
      if (load<u32>(SIGNAL) != 0) {
        if (faulted()) store<u64>(RIP, load<u64>(RIP) - length);
        else budget--;
        store<i64>(BUDGET, budget);
        return;
      }
      budget--;
      if (budget <= 0) break;
      r += RECORD_SIZE;
      handler = load<u16>(r);
    }
  }
  store<i64>(BUDGET, budget);
}

function executeCold(r: u32): void {
  if (load<u16>(r) == id.FP) return executeFp(r);
  if (system(r)) return;
  switch (load<u8>(r, 3)) {
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
