/**
 * The processors: their state after power-on and INIT, and whose turn it is. One runs at a time, in the active
 * block at constant addresses; the others are parked. Turns go round by retired instructions, so that the order
 * is the same in every run: a CPU gives up the rest of its turn when it halts or says PAUSE.
 * SDM 3A 9.1 (state after reset and INIT), 9.4 (starting application processors).
 */
import { settle } from "../cpu/flags";
import { FLAG_IF, selectMode, setSegment } from "../cpu/state";
import { interruptPendingFor } from "../devices/irq";
import {
  ACTIVE,
  ACTIVITY,
  CPL,
  CPU,
  CPU_SIZE,
  CPUS,
  CR0,
  CR2,
  CR3,
  CR4,
  DR,
  EFER,
  FCW,
  FETCH_BASE,
  FLAGS,
  FROZEN,
  GDT_BASE,
  GDT_LIMIT,
  GPR,
  IDT_BASE,
  IDT_LIMIT,
  INHIBIT,
  INIT_PENDING,
  INJECTED,
  INTERLEAVING,
  MC_PENDING,
  MISC_ENABLE,
  MTRR_DEF,
  MXCSR,
  NMI_BLOCKED,
  NMI_PENDING,
  PARKED,
  PAT,
  RIP,
  SIPI_VECTOR,
  TLB_BASE,
  TURN,
  XCR0,
  ZERO,
} from "../layout";
import { fetchTlbOf, flushTlb, tlbOf, unbindAll } from "../mmu/tlb";
import { EXIT_RESET, requestExit } from "./attention";

/** Values of ACTIVITY. */
export const RUNNING: u32 = 0;
export const HALTED: u32 = 1;
export const WAITS_FOR_SIPI: u32 = 2;

/** Instructions of a turn while other CPUs could run too, unless chance has it. */
const QUANTUM: i64 = 10000;
/** IA32_MISC_ENABLE and IA32_MTRR_DEF_TYPE as firmware leaves them: fast string operations; all memory write-back. */
const FAST_STRINGS: u64 = 1;
const MTRR_ENABLED_WRITE_BACK: u64 = 0x806;
/** CPUID signature, which EDX holds after reset. */
const SIGNATURE: u64 = 0x000506e3;

/** Every CPU at power-on: the first about to run, the others waiting to be started. */
export function cpusReset(cpus: u32): void {
  memory.fill(PARKED, 0, 8 * CPU_SIZE);
  store<u32>(CPUS, cpus);
  for (let cpu = <i32>cpus - 1; cpu >= 0; cpu--) {
    store<u32>(ACTIVE, cpu);
    memory.fill(CPU, 0, CPU_SIZE);
    store<u32>(TLB_BASE, tlbOf(cpu));
    store<u32>(FETCH_BASE, fetchTlbOf(cpu));
    store<u64>(PAT, 0x0007040600070406);
    store<u64>(MTRR_DEF, MTRR_ENABLED_WRITE_BACK);
    store<u32>(FCW, 0x37f);
    store<u32>(MXCSR, 0x1f80);
    store<u64>(XCR0, 1);
    store<u64>(MISC_ENABLE, FAST_STRINGS);
    initialise();
    store<u32>(ACTIVITY, cpu == 0 ? RUNNING : WAITS_FOR_SIPI);
    if (cpu != 0) memory.copy(PARKED + cpu * CPU_SIZE, CPU, CPU_SIZE);
  }
  store<i64>(TURN, QUANTUM);
}

/** What INIT sets in the active CPU; MSRs, x87 and SSE state stay (SDM 3A table 9-1). */
function initialise(): void {
  memory.fill(GPR, 0, 16 * 8);
  store<u64>(GPR + 16, SIGNATURE);
  store<u64>(RIP, 0xfff0);
  // The status flags are no longer derived from a result.
  settle();
  store<u64>(FLAGS, 2);
  for (let n: u32 = 0; n < 6; n++) setSegment(n, 0, n == 1 ? 0x9b : 0x93, 0, 0xffff);
  setSegment(1, 0xf000, 0x9b, 0xffff0000, 0xffff);
  setSegment(6, 0, 0x82, 0, 0xffff);
  setSegment(7, 0, 0x8b, 0, 0xffff);
  store<u64>(GDT_BASE, 0);
  store<u32>(GDT_LIMIT, 0xffff);
  store<u64>(IDT_BASE, 0);
  store<u32>(IDT_LIMIT, 0xffff);
  store<u64>(CR0, 0x60000010);
  store<u64>(CR2, 0);
  store<u64>(CR3, 0);
  store<u64>(CR4, 0);
  store<u64>(EFER, 0);
  memory.fill(DR, 0, 40);
  store<u64>(DR + 48, 0xffff0ff0);
  store<u64>(DR + 56, 0x400);
  store<u32>(INHIBIT, 0);
  store<u32>(NMI_BLOCKED, 0);
  store<u32>(NMI_PENDING, 0);
  store<u32>(INIT_PENDING, 0);
  store<i32>(SIPI_VECTOR, -1);
  flushTlb();
  selectMode();
}

/** Makes a CPU the active one. */
export function activate(cpu: u32): void {
  const before = load<u32>(ACTIVE);
  if (cpu == before) return;
  // A parked block holds its flags in one form only.
  settle();
  memory.copy(PARKED + before * CPU_SIZE, CPU, CPU_SIZE);
  memory.copy(CPU, PARKED + cpu * CPU_SIZE, CPU_SIZE);
  store<u32>(ACTIVE, cpu);
  selectMode();
}

/** After a restore: whatever the state says, addresses in linear memory are this core's own. */
export function adoptCpus(): void {
  for (let cpu: u32 = 0; cpu < load<u32>(CPUS); cpu++) {
    store<u32>(field(cpu, TLB_BASE), tlbOf(cpu));
    store<u32>(field(cpu, FETCH_BASE), fetchTlbOf(cpu));
    store<u32>(field(cpu, CPL), load<u32>(field(cpu, CPL)) & 3);
  }
  store<u64>(ZERO, 0);
  unbindAll();
  selectMode();
}

function field(cpu: u32, address: u32): u32 {
  return cpu == load<u32>(ACTIVE) ? address : PARKED + cpu * CPU_SIZE + (address - CPU);
}

/** Whether a CPU has something to execute or to accept now. */
function canRun(cpu: u32): bool {
  if (((load<u32>(FROZEN) >> cpu) & 1) != 0) return false;
  const activity = load<u32>(field(cpu, ACTIVITY));
  if (activity == RUNNING || load<u32>(field(cpu, INIT_PENDING)) != 0) return true;
  if (activity == WAITS_FOR_SIPI) return load<i32>(field(cpu, SIPI_VECTOR)) >= 0;
  if (load<u32>(field(cpu, MC_PENDING)) != 0) return true;
  if (load<u32>(field(cpu, NMI_PENDING)) != 0 && load<u32>(field(cpu, NMI_BLOCKED)) == 0) return true;
  return isInterruptible(cpu) && (interruptPendingFor(cpu) || load<u32>(field(cpu, INJECTED)) != 0);
}
function isInterruptible(cpu: u32): bool {
  return (load<u64>(field(cpu, FLAGS)) & FLAG_IF) != 0;
}

/** Whether an interrupt could ever end the halt of some CPU. */
export function someoneInterruptible(): bool {
  for (let cpu: u32 = 0; cpu < load<u32>(CPUS); cpu++) {
    if (load<u32>(field(cpu, ACTIVITY)) == RUNNING) return true; // frozen: the host may let it go on
    if (load<u32>(field(cpu, ACTIVITY)) == HALTED && isInterruptible(cpu)) return true;
  }
  return false;
}

/**
 * Instructions of the next turn. By chance its order of magnitude, not its length, is what is equally likely: a CPU that
 * stands between two instructions while another does much, and one that does little, are both what races are made of.
 */
function nextTurn(): i64 {
  let x = load<u64>(INTERLEAVING);
  if (x == 0) return QUANTUM;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  store<u64>(INTERLEAVING, x);
  return <i64>(1 + ((x >> 8) & (((<u64>1) << ((x & 0xff) % 17)) - 1)));
}

/** Gives the turn to the next CPU that can use it; false when none can. */
export function takeTurn(): bool {
  const cpus = load<u32>(CPUS);
  const active = load<u32>(ACTIVE);
  if (cpus == 1 || load<i64>(TURN) > 0) {
    if (canRun(active)) return true;
  }
  for (let n: u32 = 1; n <= cpus; n++) {
    const cpu = (active + n) % cpus;
    if (!canRun(cpu)) continue;
    activate(cpu);
    store<i64>(TURN, nextTurn());
    return true;
  }
  return false;
}

/** The active CPU has nothing useful to do: the next boundary of the run loop is another's turn. */
export function yieldTurn(): void {
  store<i64>(TURN, 0);
}

/** INIT and start-up messages that have reached the active CPU. */
export function takeInit(): void {
  if (load<u32>(INIT_PENDING) != 0) {
    if (load<u32>(ACTIVE) == 0) {
      // The boot processor would go on in firmware, and there is none.
      store<u32>(INIT_PENDING, 0);
      requestExit(EXIT_RESET, 0);
      return;
    }
    const vector = load<i32>(SIPI_VECTOR);
    initialise();
    store<i32>(SIPI_VECTOR, vector);
    store<u32>(ACTIVITY, WAITS_FOR_SIPI);
  }
  const vector = load<i32>(SIPI_VECTOR);
  if (load<u32>(ACTIVITY) != WAITS_FOR_SIPI || vector < 0) return;
  store<i32>(SIPI_VECTOR, -1);
  // What came while it waited is lost.
  store<u32>(NMI_PENDING, 0);
  store<u32>(MC_PENDING, 0);
  store<u32>(INJECTED, 0);
  setSegment(1, (<u32>vector) << 8, 0x9b, (<u64>(<u32>vector)) << 12, 0xffff);
  store<u64>(RIP, 0);
  store<u32>(ACTIVITY, RUNNING);
  selectMode();
}
