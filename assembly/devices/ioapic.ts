/**
 * The I/O APIC at FEC00000h: 24 pins, index/data register pair. Mirrors Intel's 82093AA data sheet (290566).
 * Polarity is stored but not applied: lines are active high whatever an entry says, as boards wire ISA.
 */
import { DELIVERY_EXTINT, deliverMessage, interruptsChanged } from "./irq";
import { IOAPIC } from "./layout";

const PINS: u32 = 24;
const VERSION: u32 = 0x00170011; // 24 entries, version 11h

const INDEX: u32 = IOAPIC;
const ID: u32 = IOAPIC + 4;
const LEVELS: u32 = IOAPIC + 8; // pins that are high, a bit each
const ENTRIES: u32 = IOAPIC + 0x20; // u64[24]

const ENTRY_REMOTE_IRR: u64 = 0x4000;
const ENTRY_LEVEL: u64 = 0x8000;
const ENTRY_MASKED: u64 = 0x10000;
const ENTRY_STATUS: u64 = 0x5000; // read-only bits
const ENTRY_WRITABLE: u64 = 0xff0000000001afff;

export function ioapicReset(): void {
  store<u32>(INDEX, 0);
  store<u32>(ID, 0);
  store<u32>(LEVELS, 0);
  for (let pin: u32 = 0; pin < PINS; pin++) store<u64>(entry(pin), ENTRY_MASKED);
}

export function ioapicRead(offset: u32, size: u32): u64 {
  if (offset == 0x00) return load<u32>(INDEX);
  if (offset != 0x10) return 0;
  const index = load<u32>(INDEX);
  if (index == 0 || index == 2) return (<u64>load<u32>(ID)) << 24;
  if (index == 1) return VERSION;
  const pin = (index - 0x10) >> 1;
  if (index < 0x10 || pin >= PINS) return 0;
  return load<u32>(entry(pin) + (index & 1) * 4);
}

export function ioapicWrite(offset: u32, size: u32, value: u64): void {
  if (offset == 0x00) store<u32>(INDEX, <u32>value & 0xff);
  if (offset != 0x10) return;
  const index = load<u32>(INDEX);
  if (index == 0) store<u32>(ID, (<u32>value >> 24) & 15);
  const pin = (index - 0x10) >> 1;
  if (index < 0x10 || pin >= PINS) return;
  const before = load<u64>(entry(pin));
  const written =
    (index & 1) != 0 ? (before & 0xffffffff) | (value << 32) : (before & ~0xffffffff) | (value & 0xffffffff);
  let after = (written & ENTRY_WRITABLE) | (before & ENTRY_STATUS);
  // An edge entry has no end of interrupt to wait for.
  if ((after & ENTRY_LEVEL) == 0) after &= ~ENTRY_REMOTE_IRR;
  store<u64>(entry(pin), after);
  if ((after & ENTRY_LEVEL) != 0 && isHigh(pin)) send(pin);
  interruptsChanged();
}

/** Drives pin 0-23. An edge at a masked pin is lost. */
export function ioapicSetLine(pin: u32, high: bool): void {
  const levels = load<u32>(LEVELS);
  const mask: u32 = 1 << pin;
  store<u32>(LEVELS, high ? levels | mask : levels & ~mask);
  if (high) send(pin);
}

/** End of interrupt for a vector: level entries that are still high are sent again. */
export function ioapicEndOfInterrupt(vector: u32): void {
  for (let pin: u32 = 0; pin < PINS; pin++) {
    const value = load<u64>(entry(pin));
    if ((value & 0xff) != vector || (value & ENTRY_LEVEL) == 0) continue;
    store<u64>(entry(pin), value & ~ENTRY_REMOTE_IRR);
    if (isHigh(pin)) send(pin);
  }
}

/** Pin 0 carries the 8259's request: its destination, +100h when logical, or -1 if it is not passed on. */
export function ioapicExternalTarget(): i32 {
  const value = load<u64>(entry(0));
  if ((value & ENTRY_MASKED) != 0 || ((<u32>value >> 8) & 7) != DELIVERY_EXTINT) return -1;
  return <i32>((<u32>(value >> 56) & 0xff) | (((<u32>value >> 11) & 1) << 8));
}

function send(pin: u32): void {
  const value = load<u64>(entry(pin));
  const mode = (<u32>value >> 8) & 7;
  if ((value & ENTRY_MASKED) != 0 || mode == DELIVERY_EXTINT) return;
  const level = (value & ENTRY_LEVEL) != 0;
  if (level) {
    if ((value & ENTRY_REMOTE_IRR) != 0) return;
    store<u64>(entry(pin), value | ENTRY_REMOTE_IRR);
  }
  deliverMessage(<u32>(value >> 56), ((<u32>value >> 11) & 1) != 0, mode, <u32>value & 0xff, level);
}

function isHigh(pin: u32): bool {
  return (load<u32>(LEVELS) & (1 << pin)) != 0;
}

function entry(pin: u32): u32 {
  return ENTRIES + pin * 8;
}
