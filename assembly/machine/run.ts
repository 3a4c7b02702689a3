/**
 * The run loop: slices of at most `budget` instructions, cut at the next event, with interrupts, NMI, INIT and
 * single step looked at between instructions. Mirrors SDM 3A 6.9 (priority among simultaneous events).
 */

import { beginStep, checkCodeBreakpoint, forgetMet, hasCodeBreakpoints, raiseTrap } from "../cpu/debug";
import { deliver, deliverPending, EXCEPTION, EXTERNAL } from "../cpu/delivery";
import { faulted, MC, NMI } from "../cpu/exceptions";
import * as id from "../cpu/ids";
import { recId, recLength } from "../cpu/record";
import { CR4_MCE, FLAG_IF, FLAG_RF, FLAG_TF } from "../cpu/state";
import { findTrace } from "../cpu/traces";
import { acknowledgeInterrupt, interruptPending } from "../devices/irq";
import {
  ACTIVITY,
  BUDGET,
  CPUS,
  CR4,
  EXIT_REASON,
  FLAGS,
  HOOK_BRANCH,
  HOOK_INSTRUCTION,
  HOOKS,
  INHIBIT,
  INJECTED,
  MC_PENDING,
  NMI_BLOCKED,
  NMI_PENDING,
  RETIRED,
  RIP,
  RUN_CHUNK,
  SHADOW_ON,
  SHADOW_SKIP,
  SIGNAL,
  STOP_AT,
  TIME,
  TURN,
} from "../layout";
import {
  activeCpu,
  EXIT_BUDGET,
  EXIT_HALTED,
  EXIT_IDLE,
  EXIT_STEP,
  EXIT_TRIPLE_FAULT,
  NO_EXIT,
  requestExit,
} from "./attention";
import { RUNNING, someoneInterruptible, takeInit, takeTurn, WAITS_FOR_SIPI } from "./cpus";
import { NO_DEADLINE, nextDeadline, runDueEvents } from "./events";
import { branch, breakpointSkipped, skipsBreakpoint, stopsBefore, takeHostBreak } from "./instruments";
import { slice } from "./slice";

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
    if (chunk <= 0) {
      left--; // the interrupt took the last of it
      continue;
    }
    const hooked = load<u32>(HOOKS) != 0;
    const from = load<u64>(RIP);
    let fallThrough: u64 = 0;
    if (hooked) {
      if ((load<u32>(HOOKS) & HOOK_INSTRUCTION) != 0 && stopsBefore()) break;
      const r = findTrace();
      if (r != 0) fallThrough = isString(recId(r)) ? 0 : from + recLength(r);
    }
    if ((load<u64>(FLAGS) & FLAG_TF) != 0 || load<u32>(INHIBIT) != 0) chunk = 1;
    // RF holds off breakpoints and the shadow check for one instruction, which starts without it.
    const resumed = (load<u64>(FLAGS) & FLAG_RF) != 0;
    const breakpoints = hasCodeBreakpoints();
    const skips = skipsBreakpoint();
    const unchecked = resumed && load<u32>(SHADOW_ON) != 0;
    if (unchecked || breakpoints || hooked || skips) chunk = 1;
    store<u64>(FLAGS, load<u64>(FLAGS) & ~FLAG_RF);
    store<u32>(SHADOW_SKIP, unchecked ? 1 : 0);
    const holdsDebug = load<u32>(INHIBIT) == 2;
    beginStep((load<u64>(FLAGS) & FLAG_TF) != 0);
    store<u32>(INHIBIT, 0);
    store<i64>(RUN_CHUNK, chunk);
    store<i64>(BUDGET, chunk);
    store<u32>(SIGNAL, 0);
    if (breakpoints && !resumed && !holdsDebug) checkCodeBreakpoint();
    if (!faulted()) slice();
    if (skips) breakpointSkipped();
    const done = chunk - load<i64>(BUDGET);
    store<u64>(TIME, load<u64>(TIME) + <u64>done);
    store<i64>(RUN_CHUNK, 0);
    store<i64>(BUDGET, 0);
    store<u64>(RETIRED, load<u64>(RETIRED) + <u64>done);
    store<i64>(TURN, load<i64>(TURN) - done);
    left -= done;
    if (takeHostBreak()) {
      if (load<u32>(EXIT_REASON) != NO_EXIT) break;
      continue;
    }
    if (
      fallThrough != 0 &&
      done != 0 &&
      load<u64>(RIP) != fallThrough &&
      (load<u32>(HOOKS) & HOOK_BRANCH) != 0
    ) {
      if (branch(activeCpu(), <u32>from, <u32>(from >> 32)) != 0) requestExit(EXIT_STEP, from);
    }
    if (faulted()) forgetMet();
    else if (done == 0 || !raiseTrap()) {
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

function isString(handler: u32): bool {
  return handler >= id.MOVS && handler <= id.OUTS;
}

/** Delivers a machine check, an NMI or an interrupt that the CPU can take now. */
function takeInterrupt(): bool {
  if (load<u32>(ACTIVITY) == WAITS_FOR_SIPI) return false;
  if (load<u32>(MC_PENDING) != 0) {
    store<u32>(MC_PENDING, 0);
    store<u32>(ACTIVITY, RUNNING);
    // Without CR4.MCE the processor shuts down (SDM 3A 6.15, interrupt 18).
    if ((load<u64>(CR4) & CR4_MCE) == 0) requestExit(EXIT_TRIPLE_FAULT, MC);
    else deliver(MC, 0, EXTERNAL);
    return true;
  }
  if (load<u32>(INHIBIT) != 0) return false;
  if (load<u32>(NMI_PENDING) != 0 && load<u32>(NMI_BLOCKED) == 0) {
    store<u32>(NMI_PENDING, 0);
    store<u32>(NMI_BLOCKED, 1);
    store<u32>(ACTIVITY, RUNNING);
    deliver(NMI, 0, EXTERNAL);
    return true;
  }
  if ((load<u64>(FLAGS) & FLAG_IF) == 0) return false;
  let vector = <i32>load<u32>(INJECTED) - 1;
  store<u32>(INJECTED, 0);
  if (vector < 0 && interruptPending()) vector = acknowledgeInterrupt();
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
