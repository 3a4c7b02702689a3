/**
 * The MC146818 real-time clock and the 128 bytes of CMOS behind ports 70h/71h. Mirrors Motorola's data sheet
 * and the PC's use of registers 10h-7Fh (memory size, century). The date is a start parameter and advances
 * with guest time: the same run always reads the same clock.
 */
import { now } from "../machine/clock";
import { NO_DEADLINE, SLOT_RTC, setDeadline } from "../machine/events";
import { setIrq } from "./irq";
import { RTC } from "./layout";

const SECOND: u64 = 1000000000;
/** The update cycle is announced this long before the second turns. */
const UPDATE_NOTICE: u64 = 244000;

const CMOS: u32 = RTC; // u8[128]
const INDEX: u32 = RTC + 0x80; // u8
/** u64: Unix time in nanoseconds at guest time 0. */
const EPOCH: u32 = RTC + 0x88;
/** u64: guest time up to which interrupt flags are accounted for. */
const CHECKED: u32 = RTC + 0x90;

const REG_A: u32 = 0x0a;
const REG_B: u32 = 0x0b;
const REG_C: u32 = 0x0c;
const REG_D: u32 = 0x0d;
const CENTURY: u32 = 0x32;

const B_SET: u32 = 0x80;
const B_BINARY: u32 = 0x04;
const B_24H: u32 = 0x02;
const FLAG_PERIODIC: u32 = 0x40;
const FLAG_ALARM: u32 = 0x20;
const FLAG_UPDATE: u32 = 0x10;

/** `startSeconds`: Unix time at reset; `ramBytes` fills the PC's memory size registers. */
export function rtcReset(startSeconds: u64, ramBytes: u64): void {
  memory.fill(RTC, 0, 0x100);
  store<u64>(EPOCH, startSeconds * SECOND);
  set(REG_A, 0x26);
  set(REG_B, B_24H);
  set(REG_D, 0x80);
  // Base memory 640 KiB; extended memory in KiB up to 64 MiB; above 16 MiB in units of 64 KiB.
  set16(0x15, 640);
  const extended = ramBytes > 0x100000 ? (ramBytes - 0x100000) >> 10 : 0;
  set16(0x17, extended > 0xffff ? 0xffff : <u32>extended);
  set16(0x30, extended > 0xffff ? 0xffff : <u32>extended);
  const above = ramBytes > 0x1000000 ? (ramBytes - 0x1000000) >> 16 : 0;
  set16(0x34, above > 0xffff ? 0xffff : <u32>above);
  plan();
}

/** Offset 0 is port 70h, 1 is port 71h. */
export function rtcRead(offset: u32): u32 {
  if (offset == 0) return 0xff;
  const index = load<u8>(INDEX) & 0x7f;
  if (isClock(index)) return (get(REG_B) & B_SET) != 0 ? get(index) : clockField(index);
  if (index == REG_A) return get(REG_A) | (updating() ? 0x80 : 0);
  if (index == REG_C) {
    collect();
    const flags = get(REG_C) & 0x70;
    set(REG_C, 0);
    setIrq(8, false);
    plan();
    return (flags & get(REG_B)) != 0 ? flags | 0x80 : flags;
  }
  return get(index);
}

export function rtcWrite(offset: u32, value: u32): void {
  if (offset == 0) {
    store<u8>(INDEX, <u8>value); // bit 7 masks NMI on a PC; no NMI source of this machine listens to it
    return;
  }
  const index = load<u8>(INDEX) & 0x7f;
  if (index == REG_C || index == REG_D) return;
  collect();
  if (isClock(index)) {
    if ((get(REG_B) & B_SET) != 0) set(index, value);
    else {
      freeze();
      set(index, value);
      thaw();
    }
  } else if (index == REG_A) set(REG_A, value & 0x7f);
  else if (index == REG_B) {
    const before = get(REG_B);
    if ((value & B_SET) != 0 && (before & B_SET) == 0) freeze();
    // The registers were written in the mode that held until now.
    if ((value & B_SET) == 0 && (before & B_SET) != 0) thaw();
    set(REG_B, (value & B_SET) != 0 ? value & ~FLAG_UPDATE : value);
  } else set(index, value);
  update();
}

export function rtcEvent(): void {
  collect();
  update();
}

function isClock(index: u32): bool {
  return index == 0 || index == 2 || index == 4 || (index >= 6 && index <= 9) || index == CENTURY;
}

function unixNow(): u64 {
  return load<u64>(EPOCH) + now();
}

function updating(): bool {
  return (get(REG_B) & B_SET) == 0 && unixNow() % SECOND >= SECOND - UPDATE_NOTICE;
}

/** A time register as the guest reads it. */
function clockField(index: u32): u32 {
  const seconds = unixNow() / SECOND;
  const inDay = <u32>(seconds % 86400);
  switch (index) {
    case 0:
      return encode(inDay % 60);
    case 2:
      return encode((inDay / 60) % 60);
    case 4:
      return encodeHour(inDay / 3600);
    case 6: // 1 January 1970 was a Thursday; Sunday is 1
      return encode(<u32>((seconds / 86400 + 4) % 7) + 1);
  }
  const date = civil(seconds / 86400);
  const year = date >> 16;
  switch (index) {
    case 7:
      return encode(date & 0xff);
    case 8:
      return encode((date >> 8) & 0xff);
    case 9:
      return encode(year % 100);
    default:
      return encode(year / 100);
  }
}

function encode(value: u32): u32 {
  return (get(REG_B) & B_BINARY) != 0 ? value : ((value / 10) << 4) | (value % 10);
}

function decode(value: u32): u32 {
  return (get(REG_B) & B_BINARY) != 0 ? value : (value >> 4) * 10 + (value & 15);
}

function encodeHour(hour: u32): u32 {
  if ((get(REG_B) & B_24H) != 0) return encode(hour);
  const twelve = hour % 12;
  return encode(twelve == 0 ? 12 : twelve) | (hour >= 12 ? 0x80 : 0);
}

function decodeHour(value: u32): u32 {
  if ((get(REG_B) & B_24H) != 0) return decode(value);
  const hour = decode(value & 0x7f) % 12;
  return (value & 0x80) != 0 ? hour + 12 : hour;
}

/** Days since 1970 to year<<16 | month<<8 | day, in years that begin in March. */
function civil(days: u64): u32 {
  const shifted = days + 719468;
  const era = shifted / 146097;
  const dayOfEra = <u32>(shifted % 146097);
  const yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365;
  const dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const month = (5 * dayOfYear + 2) / 153;
  const day = dayOfYear - (153 * month + 2) / 5 + 1;
  const january = month < 10 ? month + 3 : month - 9;
  const year = <u32>era * 400 + yearOfEra + (january <= 2 ? 1 : 0);
  return (year << 16) | (january << 8) | day;
}

/** The inverse of `civil`. */
function daysOf(year: u32, month: u32, day: u32): u64 {
  const shifted = month <= 2 ? year - 1 : year;
  const era = shifted / 400;
  const yearOfEra = shifted % 400;
  const dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear;
  return <u64>era * 146097 + dayOfEra - 719468;
}

/** Copies the running time into the registers. */
function freeze(): void {
  for (let index: u32 = 0; index < 10; index++) {
    if (isClock(index)) set(index, clockField(index));
  }
  set(CENTURY, clockField(CENTURY));
}

/** Lets the clock run on from the registers. Nonsense dates are brought into range. */
function thaw(): void {
  let year = decode(get(CENTURY)) * 100 + (decode(get(9)) % 100);
  if (year < 1970) year = 1970;
  if (year > 2399) year = 2399;
  const month = clamp(decode(get(8)), 1, 12);
  const day = clamp(decode(get(7)), 1, 31);
  const inDay = (decodeHour(get(4)) % 24) * 3600 + (decode(get(2)) % 60) * 60 + (decode(get(0)) % 60);
  const seconds = daysOf(year, month, day) * 86400 + inDay;
  store<u64>(EPOCH, seconds * SECOND - now());
}

function clamp(value: u32, low: u32, high: u32): u32 {
  return value < low ? low : value > high ? high : value;
}

/** Periodic rate in nanoseconds, 0 when off (rate bits of register A; 32.768 kHz base). */
function period(): u64 {
  let rate = get(REG_A) & 15;
  if (rate == 0) return 0;
  if (rate <= 2) rate += 7;
  return SECOND / (32768 >> (rate - 1));
}

/** Sets the flags for everything that has happened since the last look. */
function collect(): void {
  const from = load<u64>(CHECKED);
  const to = now();
  if (to <= from) return;
  store<u64>(CHECKED, to);
  let flags = get(REG_C);
  const every = period();
  if (every != 0 && to / every != from / every) flags |= FLAG_PERIODIC;
  if ((get(REG_B) & B_SET) == 0) {
    const epoch = load<u64>(EPOCH);
    if ((epoch + to) / SECOND != (epoch + from) / SECOND) {
      flags |= FLAG_UPDATE;
      if (alarmMatches()) flags |= FLAG_ALARM;
    }
  }
  set(REG_C, flags);
}

/** An alarm byte with its two top bits set matches everything. */
function alarmMatches(): bool {
  for (let index: u32 = 1; index <= 5; index += 2) {
    const alarm = get(index);
    if ((alarm & 0xc0) != 0xc0 && alarm != clockField(index - 1)) return false;
  }
  return true;
}

function update(): void {
  const flags = get(REG_C) & 0x70;
  const asked = (flags & get(REG_B)) != 0;
  set(REG_C, flags | (asked ? 0x80 : 0));
  setIrq(8, asked);
  plan();
}

/** Plans the next look, only when an interrupt is enabled that has not been flagged yet. */
function plan(): void {
  const enabled = get(REG_B) & 0x70 & ~get(REG_C);
  let deadline = NO_DEADLINE;
  const time = now();
  const every = period();
  if ((enabled & FLAG_PERIODIC) != 0 && every != 0) deadline = (time / every + 1) * every;
  if ((enabled & (FLAG_ALARM | FLAG_UPDATE)) != 0) {
    const second = time + SECOND - (unixNow() % SECOND);
    if (second < deadline) deadline = second;
  }
  setDeadline(SLOT_RTC, deadline);
}

function get(index: u32): u32 {
  return load<u8>(CMOS + index);
}

function set(index: u32, value: u32): void {
  store<u8>(CMOS + index, <u8>value);
}

function set16(index: u32, value: u32): void {
  set(index, value & 0xff);
  set(index + 1, value >> 8);
}
