/**
 * Interrupt wiring: device lines to the 8259 pair and the I/O APIC, these to the local APICs and the CPUs.
 * The controllers know nothing of each other; every wire between them is here.
 *
 *   ISA line n --> 8259 input n (n != 2)        line 0 --> I/O APIC pin 2 (as PCs have wired the 8254 since 1994)
 *             \--> I/O APIC pin n (n != 0)       8259 INTR --> LINT0 of every CPU, and I/O APIC pin 0
 *
 * What a CPU must ask before each instruction is one byte: PENDING[cpu]. It is recomputed whenever a
 * controller changes, never polled.
 */
import { activeCpu, attention, cpuCount, cpuInit, cpuNmi, cpuStartup } from "../machine/attention";
import { ioapicEndOfInterrupt, ioapicExternalTarget, ioapicSetLine } from "./ioapic";
import {
  lapicAccept,
  lapicAcknowledge,
  lapicHighestPending,
  lapicIdMatches,
  lapicInit,
  lapicLint0Edge,
  lapicPriority,
  lapicTakesExternal,
} from "./lapic";
import { IRQ, MAX_CPUS } from "./layout";
import { lineFaultHolds } from "./line_faults";
import { picAcknowledge, picOutput, picSetLine } from "./pic";

/** Level of each of the 24 lines, a bit each. */
const LEVELS: u32 = IRQ;
/** Last seen level of the 8259's INTR output. */
const PIC_INTR: u32 = IRQ + 4;
/** A byte a CPU: 0 nothing, 1 the local APIC has a vector, 2 the 8259 pair has one. */
export const PENDING: u32 = IRQ + 8;

const FROM_LAPIC: u8 = 1;
const FROM_PIC: u8 = 2;

/** Delivery modes of ICR, LVT and redirection entries (SDM 3A 11.5.1, 11.6.1). */
export const DELIVERY_FIXED: u32 = 0;
export const DELIVERY_LOWEST: u32 = 1;
export const DELIVERY_NMI: u32 = 4;
export const DELIVERY_INIT: u32 = 5;
export const DELIVERY_STARTUP: u32 = 6;
export const DELIVERY_EXTINT: u32 = 7;

export function irqReset(): void {
  store<u32>(LEVELS, 0);
  store<u32>(PIC_INTR, 0);
  store<u64>(PENDING, 0);
}

/** Drives an interrupt line. Edge or level is the controller's business. */
export function setIrq(line: u32, high: bool): void {
  const levels = load<u32>(LEVELS);
  const mask = (<u32>1) << line;
  const changed = high ? levels | mask : levels & ~mask;
  if (changed == levels) return;
  store<u32>(LEVELS, changed);
  if (!lineFaultHolds(line, high)) driveLine(line, high);
}

/** What the device on this line wants. */
export function lineLevel(line: u32): bool {
  return ((load<u32>(LEVELS) >> line) & 1) != 0;
}

/** A level as the controllers see it. */
export function driveLine(line: u32, high: bool): void {
  if (line < 16 && line != 2) {
    picSetLine(line, high);
    picChanged();
  }
  ioapicSetLine(line == 0 ? 2 : line, high);
}

/** The 8259 pair may have changed its INTR output. */
export function picChanged(): void {
  const high = picOutput();
  if (high && load<u32>(PIC_INTR) == 0) {
    for (let cpu: u32 = 0; cpu < cpuCount(); cpu++) lapicLint0Edge(cpu);
  }
  store<u32>(PIC_INTR, <u32>high);
  interruptsChanged();
}

/** Recomputes what each CPU has pending. */
export function interruptsChanged(): void {
  for (let cpu: u32 = 0; cpu < cpuCount(); cpu++) interruptChanged(cpu);
}

/** Recomputes what one CPU has pending. */
export function interruptChanged(cpu: u32): void {
  let pending: u8 = 0;
  if (lapicHighestPending(cpu) >= 0) pending = FROM_LAPIC;
  else if (load<u32>(PIC_INTR) != 0 && takesExternal(cpu)) pending = FROM_PIC;
  if (pending != load<u8>(PENDING + cpu)) {
    store<u8>(PENDING + cpu, pending);
    if (pending != 0) attention();
  }
}

function takesExternal(cpu: u32): bool {
  if (lapicTakesExternal(cpu)) return true;
  const target = ioapicExternalTarget();
  return target >= 0 && lapicIdMatches(cpu, <u32>target & 0xff, (target & 0x100) != 0);
}

/** Whether the active CPU would take an interrupt if RFLAGS.IF allowed it. */
export function interruptPending(): bool {
  return load<u8>(PENDING + activeCpu()) != 0;
}

export function interruptPendingFor(cpu: u32): bool {
  return load<u8>(PENDING + cpu) != 0;
}

/** The interrupt acknowledge cycle of the active CPU: the vector to deliver, or -1 when the request has gone. */
export function acknowledgeInterrupt(): i32 {
  const cpu = activeCpu();
  const source = load<u8>(PENDING + cpu);
  let vector = -1;
  if (source == FROM_LAPIC) {
    vector = lapicAcknowledge(cpu);
    interruptChanged(cpu);
  } else if (source == FROM_PIC) {
    vector = picAcknowledge();
    picChanged();
  }
  return vector;
}

/**
 * Carries an interrupt message to the local APICs it names.
 * The destination is an APIC ID or, if `logical`, a logical address (SDM 3A 11.6.2).
 */
export function deliverMessage(destination: u32, logical: bool, mode: u32, vector: u32, level: bool): void {
  if (mode == DELIVERY_LOWEST) {
    let chosen = -1;
    let best: u32 = 0x100;
    for (let cpu: u32 = 0; cpu < cpuCount(); cpu++) {
      if (!lapicIdMatches(cpu, destination, logical)) continue;
      const priority = lapicPriority(cpu);
      if (priority < best) {
        best = priority;
        chosen = <i32>cpu;
      }
    }
    if (chosen >= 0) deliverTo(<u32>chosen, DELIVERY_FIXED, vector, level);
    return;
  }
  for (let cpu: u32 = 0; cpu < cpuCount(); cpu++) {
    if (lapicIdMatches(cpu, destination, logical)) deliverTo(cpu, mode, vector, level);
  }
}

/** Gives one CPU's local APIC, or the CPU itself, an interrupt message. */
export function deliverTo(cpu: u32, mode: u32, vector: u32, level: bool): void {
  if (cpu >= MAX_CPUS) return;
  switch (mode) {
    case DELIVERY_FIXED:
    case DELIVERY_LOWEST:
      lapicAccept(cpu, vector, level);
      interruptChanged(cpu);
      break;
    case DELIVERY_NMI:
      cpuNmi(cpu);
      break;
    case DELIVERY_INIT:
      lapicInit(cpu);
      interruptChanged(cpu);
      cpuInit(cpu);
      break;
    case DELIVERY_STARTUP:
      cpuStartup(cpu, vector);
      break;
  }
}

/** A local APIC has ended a level-triggered interrupt. */
export function broadcastEndOfInterrupt(vector: u32): void {
  ioapicEndOfInterrupt(vector);
}
