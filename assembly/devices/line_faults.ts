/**
 * Faults of interrupt lines, for the host to cause: a line that loses its edges, delivers them late, or raises
 * one after another by itself. Healthy lines pass straight through.
 *
 *   32 bytes a line: +0 u32 kind, +4 u32 edges left (all-ones: until cleared), +8 u64 nanoseconds, +16 u64 due, 0 not
 */
import { now } from "../machine/clock";
import { NO_DEADLINE, SLOT_LINES, setDeadline } from "../machine/events";
import { driveLine, lineLevel } from "./irq";
import { LINE_FAULTS } from "./layout";

export const LINE_HEALTHY: u32 = 0;
export const LINE_DROPS: u32 = 1;
export const LINE_DELAYS: u32 = 2;
export const LINE_STORMS: u32 = 3;

const LINES: u32 = 24;
const ENDLESS: u32 = 0xffffffff;

function place(line: u32): u32 {
  return LINE_FAULTS + line * 32;
}

export function lineFaultsReset(): void {
  memory.fill(LINE_FAULTS, 0, LINES * 32);
}

/** Breaks a line, or heals it. `count`: edges it applies to. */
export function setLineFault(line: u32, kind: u32, count: u32, nanoseconds: u64): void {
  if (line >= LINES) return;
  const at = place(line);
  store<u32>(at, kind);
  store<u32>(at, count, 4);
  store<u64>(at, nanoseconds != 0 ? nanoseconds : 1, 8); // at least one, so that time goes on
  store<u64>(at, kind == LINE_STORMS && count != 0 ? now() + load<u64>(at, 8) : 0, 16);
  plan();
}

/** A device has changed its line; true when that is to have no effect now. */
export function lineFaultHolds(line: u32, high: bool): bool {
  const at = place(line);
  const kind = load<u32>(at);
  if (kind == LINE_HEALTHY || kind == LINE_STORMS) return false;
  if (load<u64>(at, 16) != 0) return true;
  if (load<u32>(at, 4) == 0) return false;
  if (kind == LINE_DROPS) {
    if (high) useUp(at);
    return high;
  }
  if (!high) return false;
  useUp(at);
  store<u64>(at, now() + load<u64>(at, 8), 16);
  plan();
  return true;
}

/** The time of some line has come. */
export function lineFaultsEvent(): void {
  for (let line: u32 = 0; line < LINES; line++) {
    const at = place(line);
    const due = load<u64>(at, 16);
    if (due == 0 || due > now()) continue;
    store<u64>(at, 0, 16);
    driveLine(line, false);
    driveLine(line, true);
    driveLine(line, lineLevel(line));
    if (load<u32>(at) != LINE_STORMS) continue;
    useUp(at);
    if (load<u32>(at, 4) != 0) store<u64>(at, now() + load<u64>(at, 8), 16);
  }
  plan();
}

function useUp(at: u32): void {
  const left = load<u32>(at, 4);
  if (left != ENDLESS && left != 0) store<u32>(at, left - 1, 4);
}

function plan(): void {
  let earliest = NO_DEADLINE;
  for (let line: u32 = 0; line < LINES; line++) {
    const due = load<u64>(place(line), 16);
    if (due != 0 && due < earliest) earliest = due;
  }
  setDeadline(SLOT_LINES, earliest);
}
