/** What the core exports: numbers only. The host reads and writes everything else in linear memory. */

import { rflags, setRflags } from "./cpu/flags";
import { selectMode } from "./cpu/state";
import { flushCodeIn, tracesReset } from "./cpu/traces";
import { devicesReset, portRead, portWrite } from "./devices/bus";
import { HEADER, MAGIC, PENDING, RAM_BYTES, RUN, STOP_AT, VERSION } from "./layout";
import { activate, adoptCpus, cpusReset } from "./machine/cpus";
import { FRAME_CODE, frameFlags, frameOf, framesReset, isRam, markDirty } from "./mmu/frames";
import { flushAllTlbs, flushTlb, unbindWrites } from "./mmu/tlb";
import { READ, SYSTEM, walk } from "./mmu/walk";

export { blockAttach, blockComplete } from "./devices/block";
export { isMmio, mmioRead, mmioWrite } from "./devices/bus";
export { doorbellAnswer, doorbellSignal } from "./devices/doorbell";
export { acknowledgeInterrupt, interruptPending } from "./devices/irq";
export { setLineFault } from "./devices/line_faults";
export { uartUpdate } from "./devices/uart";
export { cpuNmi } from "./machine/attention";
export { nextDeadline, runDueEvents } from "./machine/events";
export { stateHash } from "./machine/hash";
export { run } from "./machine/run";
export {
  activate,
  adoptCpus,
  flushAllTlbs,
  flushTlb,
  framesReset,
  portRead,
  portWrite,
  rflags,
  selectMode,
  setRflags,
  tracesReset,
  unbindWrites,
};

/** Power on: all state gone, RAM empty, CPU 0 as at reset. */
export function reset(ramMegabytes: u32, cpus: u32, startSeconds: f64, serialPorts: u32): void {
  framesReset();
  memory.fill(RUN, 0, 0x1000);
  store<u32>(HEADER, MAGIC);
  store<u32>(HEADER + 4, VERSION);
  store<u64>(RAM_BYTES, (<u64>ramMegabytes) << 20);
  store<u64>(STOP_AT, u64.MAX_VALUE);
  cpusReset(cpus);
  tracesReset();
  devicesReset((<u64>ramMegabytes) << 20, cpus, <u64>startSeconds, serialPorts);
}

/** Host address of the frame at this guest-physical page, 0 when it is not RAM. */
export function framePointer(page: u32): u32 {
  const physical = (<u64>page) << 12;
  return isRam(physical) ? frameOf(physical) : 0;
}

/** The same for a page that the host is about to write: code decoded from it is forgotten. */
export function framePointerForWrite(page: u32): u32 {
  const physical = (<u64>page) << 12;
  if (!isRam(physical)) return 0;
  const host = frameOf(physical);
  if ((frameFlags(physical) & FRAME_CODE) != 0) flushCodeIn(physical);
  markDirty(physical);
  return host;
}

/** Guest-physical page of a linear address with the active CPU's tables, 0xffffffff when unmapped. */
export function translatePage(low: u32, high: u32): u32 {
  const before = load<u32>(PENDING);
  const physical = walk(((<u64>high) << 32) | low, READ | SYSTEM);
  store<u32>(PENDING, before);
  return physical == u64.MAX_VALUE ? 0xffffffff : <u32>(physical >> 12);
}
