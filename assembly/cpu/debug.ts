/**
 * Debug registers: breakpoints on instructions (faults), on data and ports (traps after the instruction), single
 * step. SDM 3B chapter 17.2. Watched pages are kept out of the TLB, so that the slow path sees every access.
 */
import { CR4, DR, FLAGS, INHIBIT, MET, PENDING, RIP, SIGNAL, SIGNAL_EVENT, WATCH_COUNT } from "../layout";
import { hasWatchpoint, noteAccess } from "../machine/instruments";
import { DB, raise } from "./exceptions";
import { CR4_DE, CS, FLAG_TF, is64, segmentBase } from "./state";

export const DR6_BD: u64 = 0x2000; // MOV DR while DR7.GD was set
export const DR6_BS: u64 = 0x4000; // single step
export const DR7_GD: u64 = 0x2000;

/** Whether the #DB under way saves RF set, as other faults do; an instruction breakpoint does not (SDM 3B 17.3.1.1). */
export let debugSetsRf: bool = false;

function control(): u64 {
  return load<u64>(DR + 56);
}
/** Breakpoint n is enabled, locally or globally. */
function enabled(n: u32): bool {
  return ((control() >> (n << 1)) & 3) != 0;
}
/** 0 execution, 1 writes, 2 ports, 3 reads and writes. */
function kindOf(n: u32): u32 {
  return <u32>(control() >> (16 + (n << 2))) & 3;
}
function lengthOf(n: u32): u64 {
  const code = <u32>(control() >> (18 + (n << 2))) & 3;
  return code == 2 ? 8 : code + 1;
}

/** A data breakpoint lies in these bytes. */
export function isWatched(address: u64, size: u64): bool {
  if ((control() & 0xff) != 0) {
    for (let n: u32 = 0; n < 4; n++)
      if (enabled(n) && (kindOf(n) & 1) != 0 && overlaps(n, address, size)) return true;
  }
  return load<u32>(WATCH_COUNT) != 0 && hasWatchpoint(address, size, 3) >= 0;
}
function overlaps(n: u32, address: u64, size: u64): bool {
  const length = lengthOf(n);
  const start = load<u64>(DR + (n << 3)) & ~(length - 1);
  return start < address + size && address < start + length;
}

/** An access that may touch a breakpoint; the trap comes when the instruction is done. */
export function watchAccess(address: u64, size: u32, isWrite: bool): void {
  if (load<u32>(WATCH_COUNT) != 0) noteAccess(address, size, isWrite);
  if ((control() & 0xff) == 0) return;
  for (let n: u32 = 0; n < 4; n++) {
    const kind = kindOf(n);
    if (!enabled(n) || !(kind == 3 || (kind == 1 && isWrite)) || !overlaps(n, address, size)) continue;
    noteMet(n);
  }
}
function noteMet(n: u32): void {
  store<u64>(MET, load<u64>(MET) | ((<u64>1) << n));
  store<u32>(SIGNAL, load<u32>(SIGNAL) | SIGNAL_EVENT);
}

/** An access to ports that may touch an I/O breakpoint, which CR4.DE allows. */
export function watchPort(port: u32, size: u32): void {
  if ((control() & 0xff) == 0 || (load<u64>(CR4) & CR4_DE) == 0) return;
  for (let n: u32 = 0; n < 4; n++) {
    if (!enabled(n) || kindOf(n) != 2 || !overlaps(n, port, size)) continue;
    noteMet(n);
  }
}

/** Whether some breakpoint stops before an instruction: they are then executed one by one. */
export function hasCodeBreakpoints(): bool {
  if ((control() & 0xff) == 0) return false;
  for (let n: u32 = 0; n < 4; n++) if (enabled(n) && kindOf(n) == 0) return true;
  return false;
}
/** Raises #DB when a breakpoint is set on the instruction at RIP. */
export function checkCodeBreakpoint(): void {
  const address = is64() ? load<u64>(RIP) : (load<u64>(RIP) + segmentBase(CS)) & 0xffffffff;
  let bits: u64 = 0;
  for (let n: u32 = 0; n < 4; n++)
    if (enabled(n) && kindOf(n) == 0 && load<u64>(DR + (n << 3)) == address) bits |= (<u64>1) << n;
  if (bits != 0) raiseDebug(bits);
}

/** #DB as a fault: an instruction breakpoint, or general detect. */
export function raiseDebug(bits: u64): void {
  debugSetsRf = (bits & DR6_BD) != 0;
  store<u64>(MET, 0);
  report(bits);
  raise(DB, 0);
}
/** DR6 says what was met now, and keeps what it said of steps and accesses to it (SDM 3B 17.2.3). */
function report(bits: u64): void {
  store<u64>(DR + 48, (load<u64>(DR + 48) & ~15) | bits);
}

let stepped: bool = false;

/** Before an instruction: whether a trap is to follow it because TF is set. */
export function beginStep(stepping: bool): void {
  stepped = stepping;
}
/** INT n and its like have cleared TF on the way to their handler: no trap follows (SDM 3B 17.3.1.4). */
export function cancelStep(): void {
  stepped = false;
}
/** For SYSCALL and SYSRET, TF as they leave it counts. */
export function stepByFlags(): void {
  stepped = (load<u64>(FLAGS) & FLAG_TF) != 0;
}
/** #DB as a trap behind an instruction that was stepped or met a data breakpoint; false when there is none. */
export function raiseTrap(): bool {
  // What a load of SS meets waits for the instruction behind it, and that load is not stepped.
  if (load<u32>(INHIBIT) == 2) return false;
  const bits = load<u64>(MET) | (stepped ? DR6_BS : 0);
  store<u64>(MET, 0);
  if (bits == 0) return false;
  debugSetsRf = false;
  report(bits);
  store<u32>(PENDING, DB + 1);
  return true;
}
/** A fault takes precedence over what the instruction met before it. */
export function forgetMet(): void {
  store<u64>(MET, 0);
}
