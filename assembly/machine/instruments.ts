/**
 * What the host watches without the guest noticing: breakpoints, which are records of their own in the decode
 * cache; watchpoints, which keep their pages out of the TLB as the guest's own do (cpu/debug.ts); and hooks, for
 * which the run loop goes instruction by instruction. None of it costs anything while it is not used.
 */
import { is64, segmentBase } from "../cpu/state";
import { tracesReset } from "../cpu/traces";
import {
  ACTIVE,
  BREAK_COUNT,
  BREAK_LIST,
  HOOK_STOPPED,
  PENDING,
  RIP,
  SIGNAL,
  SIGNAL_HOST,
  SKIP_AT,
  SKIPPING,
  WATCH_COUNT,
  WATCH_LIST,
} from "../layout";
import { EXIT_BREAKPOINT, EXIT_STEP, EXIT_WATCHPOINT, requestExit } from "./attention";

/** About to execute the instruction at RIP; anything but 0 ends the run before it. */
export declare function instruction(cpu: u32): i32;
/** Control went from here to RIP other than to the next instruction; anything but 0 ends the run. */
export declare function branch(cpu: u32, fromLow: u32, fromHigh: u32): i32;

/** Stands in PENDING for "a breakpoint of the host": it undoes the instruction as a fault does. */
const HOST_BREAK: u32 = 0x101;

export function isBreakpoint(address: u64): bool {
  for (let n: u32 = 0; n < load<u32>(BREAK_COUNT); n++)
    if (load<u64>(BREAK_LIST + (n << 3)) == address) return true;
  return false;
}
function linearRip(): u64 {
  return is64() ? load<u64>(RIP) : (load<u64>(RIP) + segmentBase(1)) & 0xffffffff;
}

/** The record of a breakpoint is executed. */
export function hostBreak(): void {
  store<u32>(PENDING, HOST_BREAK);
  store<u32>(SIGNAL, load<u32>(SIGNAL) | SIGNAL_HOST);
}
/** After a slice: whether it ended at a breakpoint. The record may also be met by another address of its page. */
export function takeHostBreak(): bool {
  if (load<u32>(PENDING) != HOST_BREAK) return false;
  store<u32>(PENDING, 0);
  if (isBreakpoint(linearRip())) requestExit(EXIT_BREAKPOINT, linearRip());
  store<u32>(SKIPPING, load<u32>(ACTIVE) + 1);
  store<u64>(SKIP_AT, load<u64>(RIP));
  return true;
}

/** Tells the host of the instruction at RIP; true when the run is to end before it, which is asked once. */
export function stopsBefore(): bool {
  if (load<u32>(HOOK_STOPPED) != 0) store<u32>(HOOK_STOPPED, 0);
  else if (instruction(load<u32>(ACTIVE)) != 0) {
    store<u32>(HOOK_STOPPED, 1);
    requestExit(EXIT_STEP, load<u64>(RIP));
    return true;
  }
  return false;
}

let hidden: u32 = 0;

/** Whether the instruction at RIP is to be executed although it has a breakpoint; those are then out of sight. */
export function skipsBreakpoint(): bool {
  if (load<u32>(SKIPPING) != load<u32>(ACTIVE) + 1) return false;
  if (load<u64>(SKIP_AT) != load<u64>(RIP)) {
    // The CPU goes on elsewhere: when it comes back here, that is another hit.
    store<u32>(SKIPPING, 0);
    return false;
  }
  hidden = load<u32>(BREAK_COUNT);
  store<u32>(BREAK_COUNT, 0);
  tracesReset();
  return true;
}
export function breakpointSkipped(): void {
  store<u32>(SKIPPING, 0);
  store<u32>(BREAK_COUNT, hidden);
  tracesReset();
}

/** Whether a watchpoint lies in these bytes. */
export function hasWatchpoint(address: u64, size: u64, kinds: u32): i32 {
  for (let n: u32 = 0; n < load<u32>(WATCH_COUNT); n++) {
    const at = WATCH_LIST + n * 24;
    if ((load<u32>(at, 16) & kinds) == 0) continue;
    const start = load<u64>(at);
    if (start < address + size && address < start + load<u64>(at, 8)) return <i32>n;
  }
  return -1;
}
/** An access that may touch a watchpoint; the run ends behind the instruction. */
export function noteAccess(address: u64, size: u32, isWrite: bool): void {
  const n = hasWatchpoint(address, size, isWrite ? 1 : 2);
  if (n < 0) return;
  requestExitQuietly(((<u64>n) << 1) | (isWrite ? 1 : 0));
}
function requestExitQuietly(detail: u64): void {
  const before = load<u32>(SIGNAL);
  requestExit(EXIT_WATCHPOINT, detail);
  // A repeated string instruction must not stop for what only the host wants to know.
  store<u32>(SIGNAL, before | SIGNAL_HOST);
}
