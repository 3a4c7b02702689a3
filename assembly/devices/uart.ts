/**
 * Two 16550A serial ports. Mirrors National's PC16550D data sheet: registers, FIFO trigger levels, interrupt
 * priorities, loop-back. The wire is infinitely fast: a byte written is sent at once, received bytes wait on
 * the wire (a ring that the host fills) and are never lost, so there is no overrun and a FIFO reset has
 * nothing to discard. The interrupt line does not depend on OUT2 (nor does it in QEMU).
 */
import { EXIT_OUTPUT, requestExit } from "../machine/attention";
import { setIrq } from "./irq";
import { UART, UART_RX_RINGS, UART_TX_RINGS } from "./layout";

const PORT_SIZE: u32 = 0x80;
export const UART_COUNT: u32 = 2;

export const RX_RING_SIZE: u32 = 0x1000;
export const TX_RING_SIZE: u32 = 0x8000;
/** The run stops for the host when this few bytes are left in a transmit ring. */
const TX_RESERVE: u32 = 0x100;

// Ring positions: free-running u32 counters, taken modulo the ring size. Host side: TX_TAIL and RX_HEAD.
export const TX_HEAD: u32 = 0x40;
export const TX_TAIL: u32 = 0x44;
export const RX_HEAD: u32 = 0x48;
export const RX_TAIL: u32 = 0x4c;
/** Bytes that found the transmit ring full. */
export const TX_DROPPED: u32 = 0x50;
/** Position in the receive ring of a byte that is a BREAK, and whether there is one that no LSR has shown. */
export const BREAK_POSITION: u32 = 0x54;
export const BREAK_PENDING: u32 = 0x58;

// Registers, a byte each.
const IER: u32 = 0;
const FCR: u32 = 1;
const LCR: u32 = 2;
const MCR: u32 = 3;
const SCR: u32 = 4;
const DIVISOR_LOW: u32 = 5;
const DIVISOR_HIGH: u32 = 6;
const THR_EMPTY: u32 = 7; // transmitter-empty interrupt waits to be seen
const MSR_DELTA: u32 = 8;
const LOOP_BYTE: u32 = 9;
const LOOP_FULL: u32 = 10;

const LCR_DIVISOR: u32 = 0x80;
const MCR_LOOP: u32 = 0x10;
const IER_RECEIVED: u32 = 1;
const IER_EMPTY: u32 = 2;
const IER_LINE: u32 = 4;
const IER_MODEM: u32 = 8;
const LSR_READY: u32 = 1;
const LSR_BREAK: u32 = 0x10;
const LSR_EMPTY: u32 = 0x60;
/** Data carrier, data set ready, clear to send: somebody is at the other end. */
const MSR_CONNECTED: u32 = 0xb0;

export function uartReset(): void {
  memory.fill(UART, 0, PORT_SIZE * UART_COUNT);
  for (let index: u32 = 0; index < UART_COUNT; index++) set(index, DIVISOR_LOW, 12);
}

export function uartRead(index: u32, offset: u32): u32 {
  const divisor = (get(index, LCR) & LCR_DIVISOR) != 0;
  switch (offset) {
    case 0:
      return divisor ? get(index, DIVISOR_LOW) : receive(index);
    case 1:
      return divisor ? get(index, DIVISOR_HIGH) : get(index, IER);
    case 2:
      return identify(index);
    case 3:
      return get(index, LCR);
    case 4:
      return get(index, MCR);
    case 5:
      return lineStatus(index);
    case 6:
      return modemStatus(index);
    default:
      return get(index, SCR);
  }
}

export function uartWrite(index: u32, offset: u32, value: u32): void {
  value &= 0xff;
  const divisor = (get(index, LCR) & LCR_DIVISOR) != 0;
  switch (offset) {
    case 0:
      if (divisor) set(index, DIVISOR_LOW, value);
      else transmit(index, value);
      break;
    case 1:
      if (divisor) set(index, DIVISOR_HIGH, value);
      else {
        // Enabling the interrupt while the transmitter is empty raises it.
        if ((value & ~get(index, IER) & IER_EMPTY) != 0) set(index, THR_EMPTY, 1);
        set(index, IER, value & 0x0f);
      }
      break;
    case 2:
      set(index, FCR, (value & 1) != 0 ? value & 0xc9 : 0);
      break;
    case 3:
      set(index, LCR, value);
      break;
    case 4:
      set(index, MCR, value & 0x1f);
      if ((value & MCR_LOOP) == 0) set(index, LOOP_FULL, 0);
      break;
    case 7:
      set(index, SCR, value);
      break;
  }
  uartUpdate(index);
}

/** Drives the interrupt line; the host calls it after feeding the receive ring. */
export function uartUpdate(index: u32): void {
  setIrq(index == 0 ? 4 : 3, pendingCause(index) != 1);
}

function receive(index: u32): u32 {
  let byte: u32 = 0;
  if ((get(index, MCR) & MCR_LOOP) != 0) {
    byte = get(index, LOOP_BYTE);
    set(index, LOOP_FULL, 0);
  } else if (available(index) != 0) {
    const tail = position(index, RX_TAIL);
    if (isBreak(index)) move(index, BREAK_PENDING, 0);
    byte = load<u8>(UART_RX_RINGS + index * RX_RING_SIZE + (tail % RX_RING_SIZE));
    move(index, RX_TAIL, tail + 1);
  }
  uartUpdate(index);
  return byte;
}

function transmit(index: u32, byte: u32): void {
  // The byte leaves at once: the request falls and rises again, an edge for the interrupt controller.
  set(index, THR_EMPTY, 0);
  uartUpdate(index);
  set(index, THR_EMPTY, 1);
  if ((get(index, MCR) & MCR_LOOP) != 0) {
    set(index, LOOP_BYTE, byte);
    set(index, LOOP_FULL, 1);
    return;
  }
  const head = position(index, TX_HEAD);
  const used = head - position(index, TX_TAIL);
  if (used >= TX_RING_SIZE) {
    move(index, TX_DROPPED, position(index, TX_DROPPED) + 1);
    return;
  }
  store<u8>(UART_TX_RINGS + index * TX_RING_SIZE + (head % TX_RING_SIZE), <u8>byte);
  move(index, TX_HEAD, head + 1);
  if (used >= TX_RING_SIZE - TX_RESERVE) requestExit(EXIT_OUTPUT, index);
}

/** LSR. Reading it takes the mark of a BREAK away; its byte, a zero, stays. */
function lineStatus(index: u32): u32 {
  let status = LSR_EMPTY | (available(index) != 0 ? LSR_READY : 0);
  if (isBreak(index)) {
    status |= LSR_BREAK;
    move(index, BREAK_PENDING, 0);
    uartUpdate(index);
  }
  return status;
}

/** Whether the next byte to be read is a BREAK that has not been seen. */
function isBreak(index: u32): bool {
  return (
    position(index, BREAK_PENDING) != 0 &&
    (get(index, MCR) & MCR_LOOP) == 0 &&
    position(index, RX_TAIL) == position(index, BREAK_POSITION)
  );
}

/** Bytes the receiver holds. */
function available(index: u32): u32 {
  if ((get(index, MCR) & MCR_LOOP) != 0) return get(index, LOOP_FULL);
  return position(index, RX_HEAD) - position(index, RX_TAIL);
}

/** The most urgent enabled cause in IIR's coding; 1 is none. */
function pendingCause(index: u32): u32 {
  const enabled = get(index, IER);
  if ((enabled & IER_LINE) != 0 && isBreak(index)) return 0x06;
  if ((enabled & IER_RECEIVED) != 0) {
    const waiting = available(index);
    // Below the trigger level no more is coming soon: the FIFO's character timeout.
    if (waiting != 0) return get(index, FCR) != 0 && waiting < trigger(index) ? 0x0c : 0x04;
  }
  if ((enabled & IER_EMPTY) != 0 && get(index, THR_EMPTY) != 0) return 0x02;
  if ((enabled & IER_MODEM) != 0 && get(index, MSR_DELTA) != 0) return 0x00;
  return 0x01;
}

function trigger(index: u32): u32 {
  switch (get(index, FCR) >> 6) {
    case 0:
      return 1;
    case 1:
      return 4;
    case 2:
      return 8;
    default:
      return 14;
  }
}

/** IIR. Reading it accepts a transmitter-empty interrupt. */
function identify(index: u32): u32 {
  const cause = pendingCause(index);
  if (cause == 0x02) {
    set(index, THR_EMPTY, 0);
    uartUpdate(index);
  }
  return cause | (get(index, FCR) != 0 ? 0xc0 : 0);
}

function modemStatus(index: u32): u32 {
  const delta = get(index, MSR_DELTA);
  set(index, MSR_DELTA, 0);
  uartUpdate(index);
  const control = get(index, MCR);
  if ((control & MCR_LOOP) == 0) return MSR_CONNECTED | delta;
  // Looped back: DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD.
  return ((control & 1) << 5) | ((control & 2) << 3) | ((control & 0x0c) << 4) | delta;
}

function get(index: u32, field: u32): u32 {
  return load<u8>(UART + index * PORT_SIZE + field);
}

function set(index: u32, field: u32, value: u32): void {
  store<u8>(UART + index * PORT_SIZE + field, <u8>value);
}

function position(index: u32, field: u32): u32 {
  return load<u32>(UART + index * PORT_SIZE + field);
}

function move(index: u32, field: u32, value: u32): void {
  store<u32>(UART + index * PORT_SIZE + field, value);
}
