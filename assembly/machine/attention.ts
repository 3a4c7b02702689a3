/** How devices and instructions stop the hot loop: after the instruction under way it looks at everything anew. */
import { FLAG_IF, FLAG_RF, FLAG_TF } from "../cpu/state";
import { interruptPending } from "../devices/irq";
import {
  ACTIVE,
  ACTIVITY,
  CPU,
  CPU_SIZE,
  CPUS,
  EXIT_DETAIL,
  EXIT_REASON,
  FLAGS,
  INIT_PENDING,
  NMI_PENDING,
  PARKED,
  SIGNAL,
  SIGNAL_EVENT,
  SIPI_VECTOR,
} from "../layout";

export const EXIT_BUDGET: u32 = 0;
export const EXIT_HALTED: u32 = 1;
export const EXIT_TRIPLE_FAULT: u32 = 2;
export const EXIT_DOORBELL: u32 = 3;
export const EXIT_DEBUG: u32 = 4;
export const EXIT_BREAKPOINT: u32 = 5;
export const EXIT_EXCEPTION: u32 = 6;
export const EXIT_RESET: u32 = 7;
export const EXIT_OUTPUT: u32 = 8;
export const EXIT_STEP: u32 = 9;
export const EXIT_PVPANIC: u32 = 10;
export const EXIT_BLOCK: u32 = 11;
export const EXIT_IDLE: u32 = 12;
export const EXIT_WATCHPOINT: u32 = 13;
export const NO_EXIT: u32 = 0xffffffff;

export function attention(): void {
  store<u32>(SIGNAL, load<u32>(SIGNAL) | SIGNAL_EVENT);
}
/** RFLAGS were loaded as a whole: single step, resume and interrupts now enabled must be seen at the next boundary. */
export function attendFlags(): void {
  const flags = load<u64>(FLAGS);
  if ((flags & (FLAG_TF | FLAG_RF)) != 0 || ((flags & FLAG_IF) != 0 && interruptPending())) attention();
}
/** Ends run() after this instruction. The first request of a slice wins. */
export function requestExit(reason: u32, detail: u64): void {
  if (load<u32>(EXIT_REASON) == NO_EXIT) {
    store<u32>(EXIT_REASON, reason);
    store<u64>(EXIT_DETAIL, detail);
  }
  attention();
}
export function activeCpu(): u32 {
  return load<u32>(ACTIVE);
}
export function cpuCount(): u32 {
  return load<u32>(CPUS);
}
/** Where a CPU's block lies now. */
function blockOf(cpu: u32): u32 {
  return cpu == activeCpu() ? CPU : PARKED + cpu * CPU_SIZE;
}
export function cpuNmi(cpu: u32): void {
  store<u32>(blockOf(cpu) + (NMI_PENDING - CPU), 1);
  attention();
}
export function cpuInit(cpu: u32): void {
  store<u32>(blockOf(cpu) + (INIT_PENDING - CPU), 1);
  store<i32>(blockOf(cpu) + (SIPI_VECTOR - CPU), -1);
  attention();
}
/** A start-up message is lost on a CPU that does not wait for one (SDM 3A 9.4.4). */
export function cpuStartup(cpu: u32, vector: u32): void {
  const block = blockOf(cpu);
  if (load<u32>(block + (ACTIVITY - CPU)) != 2 && load<u32>(block + (INIT_PENDING - CPU)) == 0) return;
  store<i32>(block + (SIPI_VECTOR - CPU), vector);
  attention();
}
/** A field of a CPU's block, wherever it lies now. */
export function cpuField64(cpu: u32, address: u32): u64 {
  return load<u64>(blockOf(cpu) + (address - CPU));
}
