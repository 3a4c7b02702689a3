/** The rings between the host and the guest's serial ports and debug console. */
import * as at from "./layout.ts";
import type { CoreInstance } from "./wasm.ts";

const UART_BLOCK = 0x80;
const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/** What a serial port has sent since the last call. */
export function takeSerial(instance: CoreInstance, port: 0 | 1): Uint8Array<ArrayBuffer> {
  const block = at.UART + port * UART_BLOCK;
  const ring = at.UART_TX_RINGS + port * at.TX_RING_SIZE;
  return takeRing(instance, block + at.TX_HEAD, block + at.TX_TAIL, ring, at.TX_RING_SIZE);
}

/** What was written to port E9h since the last call. */
export function takeDebugConsole(instance: CoreInstance): Uint8Array<ArrayBuffer> {
  return takeRing(instance, at.DEBUGCON_HEAD, at.DEBUGCON_TAIL, at.DEBUGCON_RING, at.DEBUGCON_RING_SIZE);
}

function takeRing(
  { bytes, view }: CoreInstance,
  headAt: number,
  tailAt: number,
  ring: number,
  size: number,
): Uint8Array<ArrayBuffer> {
  const head = view.getUint32(headAt, true);
  const tail = view.getUint32(tailAt, true);
  const length = Math.min((head - tail) >>> 0, size);
  if (length === 0) return NOTHING;
  const output = new Uint8Array(length);
  const first = tail % size;
  const untilEnd = Math.min(length, size - first);
  output.set(bytes.subarray(ring + first, ring + first + untilEnd));
  output.set(bytes.subarray(ring, ring + length - untilEnd), untilEnd);
  view.setUint32(tailAt, head, true);
  return output;
}

/** How many bytes a serial port has room for. */
export function serialRoom({ view }: CoreInstance, port: 0 | 1): number {
  const block = at.UART + port * UART_BLOCK;
  const head = view.getUint32(block + at.RX_HEAD, true);
  const tail = view.getUint32(block + at.RX_TAIL, true);
  return at.RX_RING_SIZE - ((head - tail) >>> 0);
}

/** Puts a BREAK on the wire, a zero byte that the port marks. False when there is no room, or one that has not been seen. */
export function feedBreak(instance: CoreInstance, port: 0 | 1): boolean {
  const { view } = instance;
  const block = at.UART + port * UART_BLOCK;
  if (view.getUint32(block + at.BREAK_PENDING, true) !== 0 || serialRoom(instance, port) === 0) return false;
  view.setUint32(block + at.BREAK_POSITION, view.getUint32(block + at.RX_HEAD, true), true);
  view.setUint32(block + at.BREAK_PENDING, 1, true);
  feedSerial(instance, port, new Uint8Array(1));
  return true;
}

/** Puts bytes that there is room for on the wire to a serial port. */
export function feedSerial({ bytes, view, exports }: CoreInstance, port: 0 | 1, input: Uint8Array): void {
  const headAt = at.UART + port * UART_BLOCK + at.RX_HEAD;
  const head = view.getUint32(headAt, true);
  const ring = at.UART_RX_RINGS + port * at.RX_RING_SIZE;
  input.forEach((byte, index) => {
    bytes[ring + ((head + index) % at.RX_RING_SIZE)] = byte;
  });
  view.setUint32(headAt, (head + input.length) >>> 0, true);
  exports.uartUpdate(port);
}
