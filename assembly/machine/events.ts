/**
 * The event queue: one deadline in guest nanoseconds for each source that can act by itself. The run loop
 * never passes `nextDeadline()`; when it stands there, `runDueEvents()` lets every due source act, in slot
 * order, so two sources due at the same instruction always act in the same order.
 */

import { lapicEvent } from "../devices/lapic";
import { EVENTS } from "../devices/layout";
import { lineFaultsEvent } from "../devices/line_faults";
import { pitEvent } from "../devices/pit";
import { rtcEvent } from "../devices/rtc";
import { attention } from "./attention";
import { now } from "./clock";

export const SLOT_PIT: u32 = 0;
export const SLOT_RTC: u32 = 1;
export const SLOT_LINES: u32 = 2;
/** One slot a CPU from here on. */
export const SLOT_LAPIC: u32 = 8;
const SLOTS: u32 = 16;

/** "Never". */
export const NO_DEADLINE: u64 = u64.MAX_VALUE;

const NEXT: u32 = EVENTS;
const DEADLINES: u32 = EVENTS + 8;

export function eventsReset(): void {
  for (let slot: u32 = 0; slot < SLOTS; slot++) store<u64>(DEADLINES + slot * 8, NO_DEADLINE);
  store<u64>(NEXT, NO_DEADLINE);
}

/** Guest time of the earliest event, NO_DEADLINE when nothing is planned. */
export function nextDeadline(): u64 {
  return load<u64>(NEXT);
}

/** Plans (or, with NO_DEADLINE, forgets) the next act of a source. */
export function setDeadline(slot: u32, time: u64): void {
  store<u64>(DEADLINES + slot * 8, time);
  const before = load<u64>(NEXT);
  let earliest = NO_DEADLINE;
  for (let i: u32 = 0; i < SLOTS; i++) {
    const deadline = load<u64>(DEADLINES + i * 8);
    if (deadline < earliest) earliest = deadline;
  }
  store<u64>(NEXT, earliest);
  if (earliest < before) attention();
}

/** Lets every source whose time has come act once. A source that is due again at once acts in the next call. */
export function runDueEvents(): void {
  const time = now();
  if (time < load<u64>(NEXT)) return;
  for (let slot: u32 = 0; slot < SLOTS; slot++) {
    if (load<u64>(DEADLINES + slot * 8) > time) continue;
    setDeadline(slot, NO_DEADLINE);
    if (slot >= SLOT_LAPIC) lapicEvent(slot - SLOT_LAPIC);
    else if (slot == SLOT_PIT) pitEvent();
    else if (slot == SLOT_RTC) rtcEvent();
    else if (slot == SLOT_LINES) lineFaultsEvent();
  }
}
