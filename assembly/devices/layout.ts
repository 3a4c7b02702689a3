/**
 * How the device block is divided. Each device owns one stretch of it and names its own fields inside;
 * nothing in here is a host address, so a snapshot of the devices is a copy of the block.
 *
 *   +0x00000  interrupt lines and pending flags   (irq.ts)
 *   +0x00100  event deadlines                     (machine/events.ts)
 *   +0x00200  8259 pair                           (pic.ts)
 *   +0x00300  8254 and port 61h                   (pit.ts)
 *   +0x00400  MC146818 and its 128 bytes of CMOS  (rtc.ts)
 *   +0x00600  i8042, pvpanic, debug exit, x87 error (i8042.ts, pvpanic.ts, debug_exit.ts, fpu_error.ts)
 *   +0x00700  fw_cfg                              (fw_cfg.ts)
 *   +0x00800  block device                        (block.ts)
 *   +0x00900  doorbell                            (doorbell.ts)
 *   +0x00a00  two 16550 register files            (uart.ts)
 *   +0x00c00  I/O APIC                            (ioapic.ts)
 *   +0x00d00  faults of interrupt lines            (line_faults.ts)
 *   +0x01000  port map, a byte a port             (bus.ts)
 *   +0x02000  local APICs, 512 bytes a CPU        (lapic.ts)
 *   +0x04000  receive rings of the UARTs, 4 KiB each
 *   +0x06000  positions in the debug console's ring (debugcon.ts)
 *   +0x08000  transmit rings of the UARTs, 32 KiB each
 *   +0x18000  the debug console's ring, 32 KiB
 *   +0x20000  end
 */
import { DEVICES } from "../layout";

export const IRQ: u32 = DEVICES;
export const EVENTS: u32 = DEVICES + 0x100;
export const PIC: u32 = DEVICES + 0x200;
export const PIT: u32 = DEVICES + 0x300;
export const RTC: u32 = DEVICES + 0x400;
export const SMALL_DEVICES: u32 = DEVICES + 0x600;
export const FW_CFG: u32 = DEVICES + 0x700;
export const BLOCK: u32 = DEVICES + 0x800;
export const DOORBELL: u32 = DEVICES + 0x900;
export const UART: u32 = DEVICES + 0xa00;
export const IOAPIC: u32 = DEVICES + 0xc00;
export const LINE_FAULTS: u32 = DEVICES + 0xd00;
export const PORT_MAP: u32 = DEVICES + 0x1000;
export const LAPIC: u32 = DEVICES + 0x2000;
export const UART_RX_RINGS: u32 = DEVICES + 0x4000;
export const DEBUGCON: u32 = DEVICES + 0x6000;
export const UART_TX_RINGS: u32 = DEVICES + 0x8000;
export const DEBUGCON_RING: u32 = DEVICES + 0x18000;

/** Bytes of the device block that are in use. */
export const DEVICES_USED: u32 = 0x20000;

/** CPUs the interrupt controllers have room for. */
export const MAX_CPUS: u32 = 8;
