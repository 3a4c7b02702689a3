/**
 * Address decoding: which device answers a port or a physical page, and with which of its own offsets.
 * Ports are found in a table of one byte a port, filled from the list in `busReset`; ports of nobody read
 * all-ones and ignore writes. Devices with byte registers see wide accesses as a run of byte accesses,
 * devices with 32-bit registers answer aligned 32-bit accesses only.
 */

import { EXIT_RESET, requestExit } from "../machine/attention";
import { eventsReset } from "../machine/events";
import { blockRead, blockReset, blockWrite } from "./block";
import { debugExitWrite } from "./debug_exit";
import { debugconRead, debugconReset, debugconWrite } from "./debugcon";
import { doorbellRead, doorbellReset, doorbellWrite } from "./doorbell";
import { fpuErrorReset, fpuErrorWrite } from "./fpu_error";
import { fwCfgRead, fwCfgReset, fwCfgWrite } from "./fw_cfg";
import { i8042Read, i8042Write } from "./i8042";
import { ioapicRead, ioapicReset, ioapicWrite } from "./ioapic";
import { irqReset, picChanged } from "./irq";
import { lapicOwnsPage, lapicRead, lapicReset, lapicWrite } from "./lapic";
import { PORT_MAP } from "./layout";
import { lineFaultsReset } from "./line_faults";
import { picRead, picReset, picWrite } from "./pic";
import { pitRead, pitReset, pitWrite } from "./pit";
import { pvpanicRead, pvpanicWrite } from "./pvpanic";
import { rtcRead, rtcReset, rtcWrite } from "./rtc";
import { uartRead, uartReset, uartWrite } from "./uart";

/** Ports from here on belong to nobody. */
const PORTS: u32 = 0x600;

/** Reset control of PIIX3 (Intel 290550 2.5.3), write-only here; bit 2 resets. Part of a wider access it is PCI's. */
const RESET_CONTROL: u32 = 0xcf9;

const NOBODY: u32 = 0;
const MASTER_PIC: u32 = 1;
const SLAVE_PIC: u32 = 2;
const ELCR: u32 = 3;
const TIMER: u32 = 4;
const PORT_61: u32 = 5;
const CLOCK: u32 = 6;
const KEYBOARD_DATA: u32 = 7;
const KEYBOARD_COMMAND: u32 = 8;
const SERIAL_0: u32 = 9;
const SERIAL_1: u32 = 10;
const PANIC: u32 = 11;
const FPU_ERROR: u32 = 12;
const DEBUG_CONSOLE: u32 = 13;
// From here on wide accesses reach the device in one piece.
const FIRMWARE: u32 = 14;
const DEBUG_EXIT: u32 = 15;
const DISK: u32 = 16;
const BELL: u32 = 17;

const IOAPIC_PAGE: u64 = 0xfec00000;

/** Power-on state of every device. `serialPorts`: 0-2 UARTs on the board. */
export function devicesReset(ramBytes: u64, cpus: u32, startSeconds: u64, serialPorts: u32): void {
  eventsReset();
  irqReset();
  lineFaultsReset();
  picReset();
  ioapicReset();
  lapicReset();
  pitReset();
  rtcReset(startSeconds, ramBytes);
  uartReset();
  fpuErrorReset();
  fwCfgReset(ramBytes, cpus);
  blockReset();
  doorbellReset();
  debugconReset();
  memory.fill(PORT_MAP, <u8>NOBODY, PORTS);
  claim(0x20, 2, MASTER_PIC);
  claim(0x40, 4, TIMER);
  claim(0x60, 1, KEYBOARD_DATA);
  claim(0x61, 1, PORT_61);
  claim(0x64, 1, KEYBOARD_COMMAND);
  claim(0x70, 2, CLOCK);
  claim(0xa0, 2, SLAVE_PIC);
  claim(0xe9, 1, DEBUG_CONSOLE);
  claim(0xf0, 2, FPU_ERROR);
  claim(0xf4, 4, DEBUG_EXIT);
  if (serialPorts > 1) claim(0x2f8, 8, SERIAL_1);
  if (serialPorts > 0) claim(0x3f8, 8, SERIAL_0);
  claim(0x4d0, 2, ELCR);
  claim(0x505, 1, PANIC);
  claim(0x510, 2, FIRMWARE);
  claim(0x5c0, 16, BELL);
  claim(0x5e0, 32, DISK);
}

function claim(first: u32, count: u32, owner: u32): void {
  memory.fill(PORT_MAP + first, <u8>owner, count);
}

function ownerOf(port: u32): u32 {
  return port < PORTS ? load<u8>(PORT_MAP + port) : NOBODY;
}

/** IN of 1, 2 or 4 bytes. */
export function portRead(port: u32, size: u32): u32 {
  const owner = ownerOf(port);
  if (owner >= FIRMWARE) return readWide(owner, port, size);
  let value: u32 = 0;
  for (let i: u32 = 0; i < size; i++) {
    const at = (port + i) & 0xffff;
    value |= (readByte(ownerOf(at), at) & 0xff) << (i * 8);
  }
  return value;
}

/** OUT of 1, 2 or 4 bytes. */
export function portWrite(port: u32, size: u32, value: u32): void {
  const owner = ownerOf(port);
  if (owner >= FIRMWARE) {
    writeWide(owner, port, size, value);
    return;
  }
  if (port == RESET_CONTROL && size == 1 && (value & 4) != 0) requestExit(EXIT_RESET, value);
  for (let i: u32 = 0; i < size; i++) {
    const at = (port + i) & 0xffff;
    writeByte(ownerOf(at), at, (value >> (i * 8)) & 0xff);
  }
}

function readByte(owner: u32, port: u32): u32 {
  switch (owner) {
    case MASTER_PIC: {
      const value = picRead(port - 0x20);
      picChanged();
      return value;
    }
    case SLAVE_PIC: {
      const value = picRead(port - 0xa0 + 2);
      picChanged();
      return value;
    }
    case ELCR:
      return picRead(port - 0x4d0 + 4);
    case TIMER:
      return pitRead(port - 0x40);
    case PORT_61:
      return pitRead(4);
    case CLOCK:
      return rtcRead(port - 0x70);
    case KEYBOARD_DATA:
      return i8042Read(0);
    case KEYBOARD_COMMAND:
      return i8042Read(1);
    case SERIAL_0:
      return uartRead(0, port - 0x3f8);
    case SERIAL_1:
      return uartRead(1, port - 0x2f8);
    case PANIC:
      return pvpanicRead();
    case DEBUG_CONSOLE:
      return debugconRead();
  }
  return 0xff;
}

function writeByte(owner: u32, port: u32, value: u32): void {
  switch (owner) {
    case MASTER_PIC:
      picWrite(port - 0x20, value);
      picChanged();
      break;
    case SLAVE_PIC:
      picWrite(port - 0xa0 + 2, value);
      picChanged();
      break;
    case ELCR:
      picWrite(port - 0x4d0 + 4, value);
      picChanged();
      break;
    case TIMER:
      pitWrite(port - 0x40, value);
      break;
    case PORT_61:
      pitWrite(4, value);
      break;
    case CLOCK:
      rtcWrite(port - 0x70, value);
      break;
    case KEYBOARD_DATA:
      i8042Write(0, value);
      break;
    case KEYBOARD_COMMAND:
      i8042Write(1, value);
      break;
    case SERIAL_0:
      uartWrite(0, port - 0x3f8, value);
      break;
    case SERIAL_1:
      uartWrite(1, port - 0x2f8, value);
      break;
    case PANIC:
      pvpanicWrite(value);
      break;
    case FPU_ERROR:
      fpuErrorWrite();
      break;
    case DEBUG_CONSOLE:
      debugconWrite(value);
      break;
  }
}

function readWide(owner: u32, port: u32, size: u32): u32 {
  if (owner == FIRMWARE) return fwCfgRead(port - 0x510, size);
  if (size != 4 || (port & 3) != 0) return u32.MAX_VALUE;
  if (owner == DISK) return blockRead(port - 0x5e0);
  if (owner == BELL) return doorbellRead(port - 0x5c0);
  return u32.MAX_VALUE;
}

function writeWide(owner: u32, port: u32, size: u32, value: u32): void {
  if (owner == FIRMWARE) fwCfgWrite(port - 0x510, size, value);
  else if (owner == DEBUG_EXIT) debugExitWrite(value);
  else if (size == 4 && (port & 3) == 0) {
    if (owner == DISK) blockWrite(port - 0x5e0, value);
    else if (owner == BELL) doorbellWrite(port - 0x5c0, value);
  }
}

/** Whether a device answers at this physical address for the active CPU. */
export function isMmio(physical: u64): bool {
  const page = physical & ~0xfff;
  return page == IOAPIC_PAGE || lapicOwnsPage(page);
}

/** Load of 1, 2, 4 or 8 bytes inside a page for which `isMmio` holds. */
export function mmioRead(physical: u64, size: u32): u64 {
  const page = physical & ~0xfff;
  const offset = <u32>physical & 0xfff;
  let value: u64 = 0;
  if (page == IOAPIC_PAGE) value = ioapicRead(offset, size);
  else if (lapicOwnsPage(page)) value = lapicRead(offset, size);
  return size >= 8 ? value : value & (((<u64>1) << (size * 8)) - 1);
}

export function mmioWrite(physical: u64, size: u32, value: u64): void {
  const page = physical & ~0xfff;
  const offset = <u32>physical & 0xfff;
  if (page == IOAPIC_PAGE) ioapicWrite(offset, size, value);
  else if (lapicOwnsPage(page)) lapicWrite(offset, size, value);
}
