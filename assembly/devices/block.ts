/**
 * A block device whose back end is the host. Eight 32-bit registers at 5E0h, interrupt 10:
 *
 *   +00 R  "CBLK" (4B4C4243h), or all-ones when no disk is attached
 *   +04 R  capacity in 512-byte sectors, low     W  first sector, low
 *   +08 R  capacity, high                        W  first sector, high
 *   +0c    guest-physical address of the buffer, low
 *   +10    its high half
 *   +14    number of sectors
 *   +18 W  command: 1 read, 2 write, 3 flush     R  status: 0 ready, 1 busy, 2 I/O error, 3 bad request
 *   +1c W  acknowledge: lowers the interrupt
 *
 * The CPU stops after the command; the host moves the data between its back end and guest memory, sets the
 * status and raises the interrupt. Guest time stands still meanwhile, so disks have no speed to vary.
 */
import { EXIT_BLOCK, requestExit } from "../machine/attention";
import { setIrq } from "./irq";
import { BLOCK } from "./layout";

const SIGNATURE: u32 = 0x4b4c4243;
const LINE: u32 = 10;

const CAPACITY: u32 = BLOCK; // u64; 0 when no disk is attached
/** u32 registers as the guest wrote them, read by the host. */
export const BLOCK_SECTOR_LOW: u32 = BLOCK + 0x08;
export const BLOCK_SECTOR_HIGH: u32 = BLOCK + 0x0c;
export const BLOCK_ADDRESS_LOW: u32 = BLOCK + 0x10;
export const BLOCK_ADDRESS_HIGH: u32 = BLOCK + 0x14;
export const BLOCK_COUNT: u32 = BLOCK + 0x18;
export const BLOCK_COMMAND: u32 = BLOCK + 0x1c;
const STATUS: u32 = BLOCK + 0x20;

const STATUS_BUSY: u32 = 1;
const STATUS_BAD_REQUEST: u32 = 3;

export function blockReset(): void {
  memory.fill(BLOCK, 0, 0x40);
}

/** The host attaches a disk of this many sectors; 0 detaches. */
export function blockAttach(sectors: u64): void {
  store<u64>(CAPACITY, sectors);
}

/** The host has served the command. */
export function blockComplete(status: u32): void {
  store<u32>(STATUS, status);
  setIrq(LINE, true);
}

export function blockRead(offset: u32): u32 {
  const capacity = load<u64>(CAPACITY);
  if (capacity == 0) return u32.MAX_VALUE;
  switch (offset) {
    case 0x00:
      return SIGNATURE;
    case 0x04:
      return <u32>capacity;
    case 0x08:
      return <u32>(capacity >> 32);
    case 0x0c:
      return load<u32>(BLOCK_ADDRESS_LOW);
    case 0x10:
      return load<u32>(BLOCK_ADDRESS_HIGH);
    case 0x14:
      return load<u32>(BLOCK_COUNT);
    case 0x18:
      return load<u32>(STATUS);
  }
  return 0;
}

export function blockWrite(offset: u32, value: u32): void {
  if (load<u64>(CAPACITY) == 0) return;
  if (offset == 0x1c) setIrq(LINE, false);
  if (load<u32>(STATUS) == STATUS_BUSY) return;
  switch (offset) {
    case 0x04:
      store<u32>(BLOCK_SECTOR_LOW, value);
      break;
    case 0x08:
      store<u32>(BLOCK_SECTOR_HIGH, value);
      break;
    case 0x0c:
      store<u32>(BLOCK_ADDRESS_LOW, value);
      break;
    case 0x10:
      store<u32>(BLOCK_ADDRESS_HIGH, value);
      break;
    case 0x14:
      store<u32>(BLOCK_COUNT, value);
      break;
    case 0x18:
      command(value);
      break;
  }
}

function command(value: u32): void {
  const first = ((<u64>load<u32>(BLOCK_SECTOR_HIGH)) << 32) | load<u32>(BLOCK_SECTOR_LOW);
  const count: u64 = load<u32>(BLOCK_COUNT);
  const capacity = load<u64>(CAPACITY);
  store<u32>(BLOCK_COMMAND, value);
  if (value == 0 || value > 3 || first > capacity || count > capacity - first) {
    blockComplete(STATUS_BAD_REQUEST);
    return;
  }
  store<u32>(STATUS, STATUS_BUSY);
  requestExit(EXIT_BLOCK, value);
}
