/**
 * The local APICs, one a CPU: MMIO page (xAPIC) and MSRs 800h-83Fh (x2APIC), timer in its three modes,
 * interprocessor interrupts. Mirrors SDM 3A chapter 11. Messages go out through irq.ts.
 *
 * The timer counts guest nanoseconds (a 1 GHz bus) over the divide configuration. There is no firmware to
 * prepare a virtual wire, so the boot processor's APIC leaves reset as firmware would leave it: enabled,
 * LINT0 = ExtINT, LINT1 = NMI. After INIT it is as the manual says.
 */
import { activeCpu, cpuCount, cpuNmi } from "../machine/attention";
import { now, timeOfTsc } from "../machine/clock";
import { NO_DEADLINE, SLOT_LAPIC, setDeadline } from "../machine/events";
import {
  broadcastEndOfInterrupt,
  DELIVERY_EXTINT,
  DELIVERY_FIXED,
  DELIVERY_INIT,
  DELIVERY_LOWEST,
  DELIVERY_NMI,
  DELIVERY_STARTUP,
  deliverMessage,
  deliverTo,
  interruptChanged,
  interruptsChanged,
} from "./irq";
import { LAPIC, MAX_CPUS } from "./layout";

const LAPIC_SIZE: u32 = 512;

// Fields of one local APIC.
const ISR: u32 = 0x00; // u32[8] in service
const TMR: u32 = 0x20; // u32[8] level triggered
const IRR: u32 = 0x40; // u32[8] requested
const LVT: u32 = 0x60; // u32[6] timer, thermal, performance, LINT0, LINT1, error
const ID: u32 = 0x80;
const TPR: u32 = 0x84;
const LDR: u32 = 0x88;
const DFR: u32 = 0x8c;
const SVR: u32 = 0x90;
const ESR: u32 = 0x94; // as read
const ERRORS: u32 = 0x98; // collected since the last write of ESR
const ICR_LOW: u32 = 0x9c;
const ICR_HIGH: u32 = 0xa0;
const DIVIDE: u32 = 0xa4;
const INITIAL: u32 = 0xa8;
const STARTED: u32 = 0xb0; // u64 guest time of the write to INITIAL
const TSC_DEADLINE: u32 = 0xb8; // u64
const BASE: u32 = 0xc0; // u64 IA32_APIC_BASE

const LVT_TIMER: u32 = LVT;
const LVT_LINT0: u32 = LVT + 12;
const LVT_LINT1: u32 = LVT + 16;
const LVT_ERROR: u32 = LVT + 20;
const LVT_MASKED: u32 = 0x10000;

const SVR_ENABLED: u32 = 0x100;
const BASE_ADDRESS: u64 = 0xfee00000;
const BASE_BOOT_CPU: u64 = 0x100;
const BASE_X2APIC: u64 = 0x400;
const BASE_ENABLED: u64 = 0x800;
/** 40 physical address bits, without the reserved low ones. */
const BASE_VALID: u64 = 0xfffffff000 | BASE_BOOT_CPU | BASE_X2APIC | BASE_ENABLED;

/** Version 14h, six LVT entries. */
const VERSION: u32 = 0x00050014;
const ERROR_SEND_VECTOR: u32 = 0x20;
const ERROR_RECEIVE_VECTOR: u32 = 0x40;
const ERROR_REGISTER: u32 = 0x80;

const TIMER_PERIODIC: u32 = 1;
const TIMER_DEADLINE: u32 = 2;

/** Power-on state of every local APIC. */
export function lapicReset(): void {
  for (let cpu: u32 = 0; cpu < MAX_CPUS; cpu++) {
    put64(cpu, BASE, BASE_ADDRESS | BASE_ENABLED | (cpu == 0 ? BASE_BOOT_CPU : 0));
    lapicInit(cpu);
  }
  put(0, SVR, 0xff | SVR_ENABLED);
  put(0, LVT_LINT0, DELIVERY_EXTINT << 8);
  put(0, LVT_LINT1, DELIVERY_NMI << 8);
}

/** State after INIT: all but the APIC ID and IA32_APIC_BASE is lost. */
export function lapicInit(cpu: u32): void {
  const base = get64(cpu, BASE);
  memory.fill(LAPIC + cpu * LAPIC_SIZE, 0, LAPIC_SIZE);
  put64(cpu, BASE, base);
  put(cpu, ID, cpu);
  put(cpu, DFR, 0xffffffff);
  put(cpu, SVR, 0xff);
  for (let field = LVT; field <= LVT_ERROR; field += 4) put(cpu, field, LVT_MASKED);
  if ((base & BASE_X2APIC) != 0) put(cpu, LDR, x2apicLogicalId(cpu));
  setDeadline(SLOT_LAPIC + cpu, NO_DEADLINE);
}

/** Whether this physical page is the active CPU's register page. */
export function lapicOwnsPage(page: u64): bool {
  const base = get64(activeCpu(), BASE);
  return (base & (BASE_ENABLED | BASE_X2APIC)) == BASE_ENABLED && (base & 0xfffffff000) == page;
}

/** MMIO read at an offset in the page. Registers are 32 bits wide, one in each 16 bytes. */
export function lapicRead(offset: u32, size: u32): u64 {
  const value = readRegister(activeCpu(), offset >> 4);
  const shift = (offset & 15) * 8;
  return shift >= 32 ? 0 : <u64>(value >> shift);
}

export function lapicWrite(offset: u32, size: u32, value: u64): void {
  if ((offset & 15) != 0 || size < 4) return;
  const register = offset >> 4;
  const cpu = activeCpu();
  if (register == 0x30) {
    put(cpu, ICR_LOW, <u32>value & 0x000ccfff);
    sendMessage(cpu, get(cpu, ICR_HIGH) >> 24, <u32>value);
  } else if (register == 0x31) put(cpu, ICR_HIGH, <u32>value & 0xff000000);
  else if (register == 0x02) put(cpu, ID, <u32>value >> 24);
  else if (register == 0x0d) put(cpu, LDR, <u32>value & 0xff000000);
  else if (register == 0x0e) put(cpu, DFR, <u32>value | 0x0fffffff);
  else writeRegister(cpu, register, <u32>value);
}

/** IA32_APIC_BASE (1Bh). */
export function readApicBase(): u64 {
  return get64(activeCpu(), BASE);
}

/** False: #GP, for reserved bits and the transitions that SDM 3A figure 11-27 forbids. */
export function writeApicBase(value: u64): bool {
  const cpu = activeCpu();
  const before = get64(cpu, BASE);
  if ((value & ~BASE_VALID) != 0) return false;
  const mode = value & (BASE_ENABLED | BASE_X2APIC);
  if (mode == BASE_X2APIC) return false;
  const oldMode = before & (BASE_ENABLED | BASE_X2APIC);
  if (oldMode == (BASE_ENABLED | BASE_X2APIC) && mode == BASE_ENABLED) return false;
  if (oldMode == 0 && mode == (BASE_ENABLED | BASE_X2APIC)) return false;
  put64(cpu, BASE, value);
  if (mode == 0 && oldMode != 0) lapicInit(cpu);
  if (mode == (BASE_ENABLED | BASE_X2APIC) && oldMode == BASE_ENABLED) {
    put(cpu, ID, cpu);
    put(cpu, LDR, x2apicLogicalId(cpu));
    put(cpu, ICR_HIGH, 0);
  }
  interruptChanged(cpu);
  return true;
}

/** Whether RDMSR of 800h-8FFh is allowed; false: #GP. */
export function x2apicReadable(msr: u32): bool {
  if (!inX2apicMode()) return false;
  const register = msr & 0xff;
  if (register >= 0x10 && register <= 0x27) return true;
  switch (register) {
    case 0x02:
    case 0x03:
    case 0x08:
    case 0x0a:
    case 0x0d:
    case 0x0f:
    case 0x28:
    case 0x30:
    case 0x38:
    case 0x39:
    case 0x3e:
      return true;
  }
  return register >= 0x32 && register <= 0x37;
}

export function readX2apic(msr: u32): u64 {
  const cpu = activeCpu();
  const register = msr & 0xff;
  if (register == 0x02) return get(cpu, ID);
  if (register == 0x0d) return get(cpu, LDR);
  if (register == 0x30) return ((<u64>get(cpu, ICR_HIGH)) << 32) | get(cpu, ICR_LOW);
  return readRegister(cpu, register);
}

/** False: #GP. */
export function writeX2apic(msr: u32, value: u64): bool {
  if (!inX2apicMode()) return false;
  const cpu = activeCpu();
  const register = msr & 0xff;
  if (register == 0x30) {
    if ((value & 0xfff33000) != 0) return false;
    put(cpu, ICR_HIGH, <u32>(value >> 32));
    put(cpu, ICR_LOW, <u32>value);
    sendMessage(cpu, <u32>(value >> 32), <u32>value);
    return true;
  }
  if (value >> 32 != 0) return false;
  const low = <u32>value;
  switch (register) {
    case 0x08:
      if (low > 0xff) return false;
      break;
    case 0x0b: // only zero may be written
    case 0x28:
      if (low != 0) return false;
      break;
    case 0x0f:
      if ((low & ~0x3ff) != 0) return false;
      break;
    case 0x32:
      if ((low & 0xfff8ef00) != 0) return false;
      break;
    case 0x33:
    case 0x34:
    case 0x35:
    case 0x36:
    case 0x37:
      if ((low & 0xfffe0800) != 0) return false;
      break;
    case 0x38:
      break;
    case 0x3e:
      if ((low & ~0x0b) != 0) return false;
      break;
    case 0x3f:
      if (low > 0xff) return false;
      deliverTo(cpu, DELIVERY_FIXED, low, false);
      return true;
    default:
      return false;
  }
  writeRegister(cpu, register, low);
  return true;
}

/** CR8. */
export function readTpr(): u64 {
  return get(activeCpu(), TPR) >> 4;
}

export function writeTpr(value: u64): void {
  const cpu = activeCpu();
  put(cpu, TPR, (<u32>value & 15) << 4);
  interruptChanged(cpu);
}

/** IA32_TSC_DEADLINE (6E0h): 0 when disarmed or not in that mode. */
export function readTscDeadline(): u64 {
  return get64(activeCpu(), TSC_DEADLINE);
}

export function writeTscDeadline(value: u64): void {
  const cpu = activeCpu();
  if (timerMode(cpu) != TIMER_DEADLINE) return;
  put64(cpu, TSC_DEADLINE, value);
  planTimer(cpu);
}

/** The CPU's time-stamp counter was written: a deadline in its terms has moved. */
export function lapicTscChanged(): void {
  planTimer(activeCpu());
}

/** The timer of a CPU has run out. */
export function lapicEvent(cpu: u32): void {
  if (timerMode(cpu) == TIMER_DEADLINE) put64(cpu, TSC_DEADLINE, 0);
  const entry = get(cpu, LVT_TIMER);
  if ((entry & LVT_MASKED) == 0) deliverTo(cpu, DELIVERY_FIXED, entry & 0xff, false);
  planTimer(cpu);
}

/** Takes a fixed interrupt. A software-disabled APIC takes none. */
export function lapicAccept(cpu: u32, vector: u32, level: bool): void {
  vector &= 0xff;
  if (vector < 16) {
    recordError(cpu, ERROR_RECEIVE_VECTOR);
    return;
  }
  if ((get(cpu, SVR) & SVR_ENABLED) == 0 || (get64(cpu, BASE) & BASE_ENABLED) == 0) return;
  setBit(cpu, IRR, vector);
  if (level) setBit(cpu, TMR, vector);
  else clearBit(cpu, TMR, vector);
}

/** The requested vector that outranks the processor priority, or -1. */
export function lapicHighestPending(cpu: u32): i32 {
  const vector = highestBit(cpu, IRR);
  return vector >= 0 && <u32>vector >> 4 > lapicPriority(cpu) >> 4 ? vector : -1;
}

/** The acknowledge cycle; the spurious vector when the request has gone. */
export function lapicAcknowledge(cpu: u32): i32 {
  const vector = lapicHighestPending(cpu);
  if (vector < 0) return <i32>(get(cpu, SVR) & 0xff);
  clearBit(cpu, IRR, <u32>vector);
  setBit(cpu, ISR, <u32>vector);
  return vector;
}

/** Processor priority register. */
export function lapicPriority(cpu: u32): u32 {
  const task = get(cpu, TPR);
  const served = highestBit(cpu, ISR);
  if (served < 0 || task >> 4 >= <u32>served >> 4) return task;
  return <u32>served & 0xf0;
}

/** Whether the 8259's request reaches this CPU: no local APIC in the way, or LINT0 set to ExtINT. */
export function lapicTakesExternal(cpu: u32): bool {
  if ((get64(cpu, BASE) & BASE_ENABLED) == 0) return cpu == 0;
  const entry = get(cpu, LVT_LINT0);
  return (entry & LVT_MASKED) == 0 && ((entry >> 8) & 7) == DELIVERY_EXTINT;
}

/** LINT0 rises: fixed and NMI entries act on the edge. */
export function lapicLint0Edge(cpu: u32): void {
  const entry = get(cpu, LVT_LINT0);
  if ((entry & LVT_MASKED) != 0) return;
  const mode = (entry >> 8) & 7;
  if (mode == DELIVERY_FIXED) lapicAccept(cpu, entry & 0xff, false);
  else if (mode == DELIVERY_NMI) cpuNmi(cpu);
}

/** Whether a message to this destination is for this CPU (SDM 3A 11.6.2). */
export function lapicIdMatches(cpu: u32, destination: u32, logical: bool): bool {
  const base = get64(cpu, BASE);
  if ((base & BASE_ENABLED) == 0) return false;
  if ((base & BASE_X2APIC) != 0) {
    if (destination == 0xffffffff) return true;
    if (!logical) return destination == get(cpu, ID) || destination == 0xff;
    const address = get(cpu, LDR);
    return destination >> 16 == address >> 16 && (destination & address & 0xffff) != 0;
  }
  if (!logical) return destination == get(cpu, ID) || destination == 0xff;
  const address = get(cpu, LDR) >> 24;
  if (get(cpu, DFR) >> 28 == 15) return (destination & address) != 0;
  return destination >> 4 == address >> 4 && (destination & address & 15) != 0;
}

function x2apicLogicalId(cpu: u32): u32 {
  return ((cpu >> 4) << 16) | (1 << (cpu & 15));
}

function inX2apicMode(): bool {
  return (get64(activeCpu(), BASE) & BASE_X2APIC) != 0;
}

/** Registers by number: MMIO offset / 16 = MSR - 800h. */
function readRegister(cpu: u32, register: u32): u32 {
  if (register >= 0x10 && register <= 0x17) return get(cpu, ISR + (register & 7) * 4);
  if (register >= 0x18 && register <= 0x1f) return get(cpu, TMR + (register & 7) * 4);
  if (register >= 0x20 && register <= 0x27) return get(cpu, IRR + (register & 7) * 4);
  if (register >= 0x32 && register <= 0x37) return get(cpu, LVT + (register - 0x32) * 4);
  switch (register) {
    case 0x02:
      return get(cpu, ID) << 24;
    case 0x03:
      return VERSION;
    case 0x08:
      return get(cpu, TPR);
    case 0x0a:
      return lapicPriority(cpu);
    case 0x0d:
      return get(cpu, LDR);
    case 0x0e:
      return get(cpu, DFR);
    case 0x0f:
      return get(cpu, SVR);
    case 0x28:
      return get(cpu, ESR);
    case 0x30:
      return get(cpu, ICR_LOW);
    case 0x31:
      return get(cpu, ICR_HIGH);
    case 0x38:
      return get(cpu, INITIAL);
    case 0x39:
      return currentCount(cpu);
    case 0x3e:
      return get(cpu, DIVIDE);
  }
  return 0;
}

function writeRegister(cpu: u32, register: u32, value: u32): void {
  switch (register) {
    case 0x08:
      put(cpu, TPR, value & 0xff);
      break;
    case 0x0b:
      endOfInterrupt(cpu);
      break;
    case 0x0f:
      put(cpu, SVR, value & 0x3ff);
      // Software disable masks every local vector.
      if ((value & SVR_ENABLED) == 0) {
        for (let field = LVT; field <= LVT_ERROR; field += 4) put(cpu, field, get(cpu, field) | LVT_MASKED);
      }
      break;
    case 0x28:
      put(cpu, ESR, get(cpu, ERRORS));
      put(cpu, ERRORS, 0);
      break;
    case 0x32: {
      const before = timerMode(cpu);
      put(cpu, LVT_TIMER, lvtValue(cpu, value & 0x700ff));
      if ((before == TIMER_DEADLINE) != (timerMode(cpu) == TIMER_DEADLINE)) {
        put(cpu, INITIAL, 0);
        put64(cpu, TSC_DEADLINE, 0);
      }
      planTimer(cpu);
      break;
    }
    case 0x33:
    case 0x34:
      put(cpu, LVT + (register - 0x32) * 4, lvtValue(cpu, value & 0x107ff));
      break;
    case 0x35:
    case 0x36:
      put(cpu, LVT + (register - 0x32) * 4, lvtValue(cpu, value & 0x1a7ff));
      break;
    case 0x37:
      put(cpu, LVT_ERROR, lvtValue(cpu, value & 0x100ff));
      break;
    case 0x38:
      if (timerMode(cpu) == TIMER_DEADLINE) break;
      put(cpu, INITIAL, value);
      put64(cpu, STARTED, now());
      planTimer(cpu);
      break;
    case 0x3e: {
      // The count goes on from where it is, at the new pace.
      const left = currentCount(cpu);
      put(cpu, DIVIDE, value & 0x0b);
      if (left != 0) put64(cpu, STARTED, now() - <u64>(get(cpu, INITIAL) - left) * divisor(cpu));
      planTimer(cpu);
      break;
    }
    default:
      recordError(cpu, ERROR_REGISTER);
  }
  interruptChanged(cpu);
}

/** An LVT entry cannot be unmasked while the APIC is software disabled. */
function lvtValue(cpu: u32, value: u32): u32 {
  return (get(cpu, SVR) & SVR_ENABLED) == 0 ? value | LVT_MASKED : value;
}

function endOfInterrupt(cpu: u32): void {
  const vector = highestBit(cpu, ISR);
  if (vector < 0) return;
  clearBit(cpu, ISR, <u32>vector);
  if (testBit(cpu, TMR, <u32>vector)) broadcastEndOfInterrupt(<u32>vector);
}

/** Acts on a write of ICR. */
function sendMessage(cpu: u32, destination: u32, command: u32): void {
  const mode = (command >> 8) & 7;
  const vector = command & 0xff;
  const level = (command & 0x8000) != 0;
  // INIT level de-assert has done nothing since the Pentium 4.
  if (mode == DELIVERY_INIT && level && (command & 0x4000) == 0) return;
  if ((mode == DELIVERY_FIXED || mode == DELIVERY_LOWEST) && vector < 16) {
    recordError(cpu, ERROR_SEND_VECTOR);
    return;
  }
  switch ((command >> 18) & 3) {
    case 0:
      deliverMessage(destination, (command & 0x800) != 0, mode, vector, false);
      break;
    case 1:
      if (mode == DELIVERY_FIXED) deliverTo(cpu, mode, vector, false);
      break;
    case 2:
      for (let other: u32 = 0; other < cpuCount(); other++) deliverTo(other, mode, vector, false);
      break;
    case 3:
      for (let other: u32 = 0; other < cpuCount(); other++) {
        if (other != cpu) deliverTo(other, mode, vector, false);
      }
      break;
  }
}

function recordError(cpu: u32, error: u32): void {
  put(cpu, ERRORS, get(cpu, ERRORS) | error);
  const entry = get(cpu, LVT_ERROR);
  if ((entry & LVT_MASKED) == 0 && (entry & 0xff) >= 16) deliverTo(cpu, DELIVERY_FIXED, entry & 0xff, false);
}

function timerMode(cpu: u32): u32 {
  return (get(cpu, LVT_TIMER) >> 17) & 3;
}

/** Divide configuration: bits 0, 1 and 3 as n, 2^(n+1), but 7 divides by 1. */
function divisor(cpu: u32): u64 {
  const value = get(cpu, DIVIDE);
  const power = (((value & 3) | ((value >> 1) & 4)) + 1) & 7;
  return (<u64>1) << power;
}

function currentCount(cpu: u32): u32 {
  const initial: u64 = get(cpu, INITIAL);
  if (initial == 0 || timerMode(cpu) == TIMER_DEADLINE) return 0;
  const counted = (now() - get64(cpu, STARTED)) / divisor(cpu);
  if (timerMode(cpu) == TIMER_PERIODIC) return <u32>(initial - (counted % initial));
  return counted >= initial ? 0 : <u32>(initial - counted);
}

function planTimer(cpu: u32): void {
  let deadline = NO_DEADLINE;
  const initial: u64 = get(cpu, INITIAL);
  if (timerMode(cpu) == TIMER_DEADLINE) {
    const target = get64(cpu, TSC_DEADLINE);
    if (target != 0) deadline = timeOfTsc(cpu, target);
  } else if (initial != 0) {
    const whole = initial * divisor(cpu);
    const passed = now() - get64(cpu, STARTED);
    if (timerMode(cpu) == TIMER_PERIODIC) deadline = get64(cpu, STARTED) + (passed / whole + 1) * whole;
    else if (passed < whole) deadline = get64(cpu, STARTED) + whole;
  }
  setDeadline(SLOT_LAPIC + cpu, deadline);
}

/** The highest set bit of a 256-bit register, or -1. */
function highestBit(cpu: u32, field: u32): i32 {
  for (let word = 7; word >= 0; word--) {
    const bits = get(cpu, field + <u32>word * 4);
    if (bits != 0) return word * 32 + 31 - <i32>clz(bits);
  }
  return -1;
}

function testBit(cpu: u32, field: u32, bit: u32): bool {
  return (get(cpu, field + (bit >> 5) * 4) & (1 << (bit & 31))) != 0;
}

function setBit(cpu: u32, field: u32, bit: u32): void {
  const word = field + (bit >> 5) * 4;
  put(cpu, word, get(cpu, word) | (1 << (bit & 31)));
}

function clearBit(cpu: u32, field: u32, bit: u32): void {
  const word = field + (bit >> 5) * 4;
  put(cpu, word, get(cpu, word) & ~(1 << (bit & 31)));
}

function get(cpu: u32, field: u32): u32 {
  return load<u32>(LAPIC + cpu * LAPIC_SIZE + field);
}

function put(cpu: u32, field: u32, value: u32): void {
  store<u32>(LAPIC + cpu * LAPIC_SIZE + field, value);
}

function get64(cpu: u32, field: u32): u64 {
  return load<u64>(LAPIC + cpu * LAPIC_SIZE + field);
}

function put64(cpu: u32, field: u32, value: u64): void {
  store<u64>(LAPIC + cpu * LAPIC_SIZE + field, value);
}
