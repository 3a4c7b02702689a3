/**
 * The 8254 timer at 40h-43h and its share of port 61h (gate and output of channel 2, speaker enable).
 * Mirrors Intel's 8254 data sheet (231164): modes 0-5, binary and BCD counting, latch and read-back.
 * Counters are not stepped: a counter is the tick at which it was loaded, everything else is arithmetic on
 * guest time. A count takes effect at the write, not one clock later.
 */
import { now } from "../machine/clock";
import { NO_DEADLINE, SLOT_PIT, setDeadline } from "../machine/events";
import { setIrq } from "./irq";
import { PIT } from "./layout";

/** 1.193182 MHz against 1 GHz, in lowest terms. */
const TICKS: u64 = 596591;
const NANOSECONDS: u64 = 500000000;

const CHANNEL_SIZE: u32 = 32;
const PORT61: u32 = PIT + CHANNEL_SIZE * 3;

// Fields of one channel.
const LOADED_AT: u32 = 0; // u64 tick; while the gate holds the count: ticks already counted
const COUNT: u32 = 8; // u32 1..65536 (10000 in BCD)
const MODE: u32 = 12; // bytes from here
const ACCESS: u32 = 13; // 1 low, 2 high, 3 low then high
const BCD: u32 = 14;
const GATE: u32 = 15;
const RUNNING: u32 = 16; // a count was written (modes 1, 5: and a trigger came)
const WRITE_HIGH: u32 = 17; // next write is the high byte
const READ_HIGH: u32 = 18;
const WRITE_LOW: u32 = 19; // the low byte waiting for its high byte
const LATCHED: u32 = 20; // count latched: bytes left to read
const LATCH: u32 = 22; // u16
const STATUS_LATCHED: u32 = 24;
const STATUS: u32 = 25;
const NULL_COUNT: u32 = 26;

export function pitReset(): void {
  memory.fill(PIT, 0, CHANNEL_SIZE * 4);
  for (let channel = PIT; channel < PORT61; channel += CHANNEL_SIZE) {
    store<u32>(channel + COUNT, 0x10000);
    set(channel, ACCESS, 3);
    set(channel, GATE, channel == PIT + CHANNEL_SIZE * 2 ? 0 : 1);
    set(channel, MODE, channel == PIT ? 3 : 0);
  }
  updateOutput();
}

/** Offsets 0-3 are 40h-43h, 4 is port 61h. */
export function pitRead(offset: u32): u32 {
  if (offset == 4) return readPort61();
  if (offset == 3) return 0xff;
  const channel = PIT + offset * CHANNEL_SIZE;
  if (get(channel, STATUS_LATCHED) != 0) {
    set(channel, STATUS_LATCHED, 0);
    return get(channel, STATUS);
  }
  const latched = get(channel, LATCHED);
  let value: u32 = 0;
  if (latched != 0) {
    value = load<u16>(channel + LATCH);
    set(channel, LATCHED, latched - 1);
  } else value = current(channel);
  const access = get(channel, ACCESS);
  if (access == 1) return value & 0xff;
  if (access == 2) return value >> 8;
  const high = get(channel, READ_HIGH);
  set(channel, READ_HIGH, high ^ 1);
  return high != 0 ? value >> 8 : value & 0xff;
}

export function pitWrite(offset: u32, value: u32): void {
  value &= 0xff;
  if (offset == 4) writePort61(value);
  else if (offset == 3) control(value);
  else writeCount(PIT + offset * CHANNEL_SIZE, value);
  updateOutput();
}

/** Channel 0's output changes now. */
export function pitEvent(): void {
  updateOutput();
}

function control(value: u32): void {
  const select = value >> 6;
  if (select == 3) {
    readBack(value);
    return;
  }
  const channel = PIT + select * CHANNEL_SIZE;
  const access = (value >> 4) & 3;
  if (access == 0) {
    latchCount(channel);
    return;
  }
  let mode = (value >> 1) & 7;
  if (mode > 5) mode &= 3;
  set(channel, ACCESS, access);
  set(channel, MODE, mode);
  set(channel, BCD, value & 1);
  set(channel, RUNNING, 0);
  set(channel, WRITE_HIGH, 0);
  set(channel, READ_HIGH, 0);
  set(channel, LATCHED, 0);
  set(channel, STATUS_LATCHED, 0);
  set(channel, NULL_COUNT, 1);
}

function readBack(value: u32): void {
  for (let index: u32 = 0; index < 3; index++) {
    if ((value & (2 << index)) == 0) continue;
    const channel = PIT + index * CHANNEL_SIZE;
    if ((value & 0x20) == 0) latchCount(channel);
    if ((value & 0x10) == 0 && get(channel, STATUS_LATCHED) == 0) {
      const status =
        ((<u32>output(channel)) << 7) |
        (get(channel, NULL_COUNT) << 6) |
        (get(channel, ACCESS) << 4) |
        (get(channel, MODE) << 1) |
        get(channel, BCD);
      set(channel, STATUS, status);
      set(channel, STATUS_LATCHED, 1);
    }
  }
}

function latchCount(channel: u32): void {
  if (get(channel, LATCHED) != 0) return;
  store<u16>(channel + LATCH, <u16>current(channel));
  set(channel, LATCHED, get(channel, ACCESS) == 3 ? 2 : 1);
}

function writeCount(channel: u32, value: u32): void {
  switch (get(channel, ACCESS)) {
    case 1:
      loadCount(channel, value);
      return;
    case 2:
      loadCount(channel, value << 8);
      return;
  }
  if (get(channel, WRITE_HIGH) == 0) {
    set(channel, WRITE_LOW, value);
    set(channel, WRITE_HIGH, 1);
    // In mode 0 the first byte stops the count.
    if (get(channel, MODE) == 0) set(channel, RUNNING, 0);
  } else {
    set(channel, WRITE_HIGH, 0);
    loadCount(channel, get(channel, WRITE_LOW) | (value << 8));
  }
}

function loadCount(channel: u32, written: u32): void {
  let count = written;
  if (get(channel, BCD) != 0) {
    count =
      (written >> 12) * 1000 + ((written >> 8) & 15) * 100 + ((written >> 4) & 15) * 10 + (written & 15);
    if (count == 0) count = 10000;
  } else if (count == 0) count = 0x10000;
  store<u32>(channel + COUNT, count);
  set(channel, NULL_COUNT, 0);
  const mode = get(channel, MODE);
  // Modes 1 and 5 wait for a rising gate.
  if (mode == 1 || mode == 5) return;
  set(channel, RUNNING, 1);
  store<u64>(channel + LOADED_AT, get(channel, GATE) != 0 ? ticksNow() : 0);
}

function setGate(channel: u32, high: u32): void {
  const before = get(channel, GATE);
  if (before == high) return;
  const elapsedTicks = elapsed(channel);
  set(channel, GATE, high);
  const mode = get(channel, MODE);
  if (mode == 1 || mode == 5) {
    // A trigger restarts; a falling gate does not matter.
    if (high != 0) {
      store<u64>(channel + LOADED_AT, ticksNow());
      set(channel, RUNNING, 1);
    }
    return;
  }
  if (high == 0) store<u64>(channel + LOADED_AT, elapsedTicks);
  else if (mode == 0 || mode == 4) store<u64>(channel + LOADED_AT, ticksNow() - elapsedTicks);
  else store<u64>(channel + LOADED_AT, ticksNow());
}

/** Ticks counted since the load. */
function elapsed(channel: u32): u64 {
  const mark = load<u64>(channel + LOADED_AT);
  const mode = get(channel, MODE);
  if (get(channel, GATE) == 0 && mode != 1 && mode != 5) return mark;
  return ticksNow() - mark;
}

/** What a read of the counter gives. */
function current(channel: u32): u32 {
  const count: u64 = load<u32>(channel + COUNT);
  const modulus: u64 = get(channel, BCD) != 0 ? 10000 : 0x10000;
  let value = count;
  if (get(channel, RUNNING) != 0) {
    const ticks = elapsed(channel);
    switch (get(channel, MODE)) {
      case 2:
        value = count - (ticks % count);
        break;
      case 3:
        value = count - ((ticks * 2) % count);
        break;
      default:
        value = (count + modulus - (ticks % modulus)) % modulus;
    }
  }
  if (get(channel, BCD) != 0) {
    const low = <u32>(value % 10000);
    return ((low / 1000) << 12) | (((low / 100) % 10) << 8) | (((low / 10) % 10) << 4) | (low % 10);
  }
  return <u32>value & 0xffff;
}

/** The OUT pin. */
function output(channel: u32): bool {
  const mode = get(channel, MODE);
  if (get(channel, RUNNING) == 0) return mode != 0;
  const count: u64 = load<u32>(channel + COUNT);
  const ticks = elapsed(channel);
  switch (mode) {
    case 0:
      return ticks >= count;
    case 1:
      return ticks >= count;
    case 2:
      return get(channel, GATE) == 0 || ticks % count != count - 1;
    case 3:
      return get(channel, GATE) == 0 || ticks % count < (count + 1) / 2;
    default:
      return ticks != count;
  }
}

/** Ticks since the load at which OUT changes next, or NO_DEADLINE. */
function nextChange(channel: u32): u64 {
  if (get(channel, RUNNING) == 0) return NO_DEADLINE;
  const count: u64 = load<u32>(channel + COUNT);
  const ticks = elapsed(channel);
  const phase = ticks % count;
  const start = ticks - phase;
  switch (get(channel, MODE)) {
    case 0:
    case 1:
      return ticks < count ? count : NO_DEADLINE;
    case 2:
      return phase < count - 1 ? start + count - 1 : start + count;
    case 3: {
      const high = (count + 1) / 2;
      return phase < high ? start + high : start + count;
    }
    default:
      if (ticks < count) return count;
      return ticks == count ? count + 1 : NO_DEADLINE;
  }
}

/** Drives line 0 from channel 0 and plans its next change. */
function updateOutput(): void {
  setIrq(0, output(PIT));
  const change = nextChange(PIT);
  if (change == NO_DEADLINE) setDeadline(SLOT_PIT, NO_DEADLINE);
  else setDeadline(SLOT_PIT, timeOfTick(load<u64>(PIT + LOADED_AT) + change));
}

/** Bit 4 toggles with each DRAM refresh (15 us) on a real board; old delay loops watch it. */
function readPort61(): u32 {
  const channel = PIT + CHANNEL_SIZE * 2;
  const refresh = <u32>((now() / 15085) & 1);
  return (load<u8>(PORT61) & 3) | (refresh << 4) | ((<u32>output(channel)) << 5);
}

function writePort61(value: u32): void {
  store<u8>(PORT61, <u8>(value & 3));
  setGate(PIT + CHANNEL_SIZE * 2, value & 1);
}

function ticksNow(): u64 {
  const time = now();
  return (time / NANOSECONDS) * TICKS + ((time % NANOSECONDS) * TICKS) / NANOSECONDS;
}

/** The first nanosecond at which `ticksNow()` is `tick`. */
function timeOfTick(tick: u64): u64 {
  return (tick / TICKS) * NANOSECONDS + ((tick % TICKS) * NANOSECONDS + TICKS - 1) / TICKS;
}

function get(channel: u32, field: u32): u32 {
  return load<u8>(channel + field);
}

function set(channel: u32, field: u32, value: u32): void {
  store<u8>(channel + field, <u8>value);
}
