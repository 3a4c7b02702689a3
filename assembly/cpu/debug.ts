/**
 * Debug registers: breakpoints on instructions (faults), on data and ports (traps after the instruction), single
 * step. SDM 3B chapter 17.2. Watched pages are kept out of the TLB, so that the slow path sees every access.
 */
import { CR4, DR, PENDING, RIP, SIGNAL, SIGNAL_EVENT, WATCH_COUNT } from "../layout";
import { hasWatchpoint, noteAccess } from "../machine/instruments";
import { DB, raise } from "./exceptions";
import { CR4_DE, CS, is64, segmentBase } from "./state";

export const DR6_BD: u64 = 0x2000; // MOV DR while DR7.GD was set
export const DR6_BS: u64 = 0x4000; // single step
export const DR7_GD: u64 = 0x2000;

/** Whether the #DB under way is a fault, which sets RF in the flags it saves. */
export let debugIsFault: bool = false;
/** DR6 bits of data breakpoints met by the instruction under way. */
let met: u64 = 0;

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
    met |= (<u64>1) << n;
    store<u32>(SIGNAL, load<u32>(SIGNAL) | SIGNAL_EVENT);
  }
}

/** An access to ports that may touch an I/O breakpoint, which CR4.DE allows. */
export function watchPort(port: u32, size: u32): void {
  if ((control() & 0xff) == 0 || (load<u64>(CR4) & CR4_DE) == 0) return;
  for (let n: u32 = 0; n < 4; n++) {
    if (!enabled(n) || kindOf(n) != 2 || !overlaps(n, port, size)) continue;
    met |= (<u64>1) << n;
    store<u32>(SIGNAL, load<u32>(SIGNAL) | SIGNAL_EVENT);
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
  debugIsFault = true;
  met = 0;
  store<u64>(DR + 48, load<u64>(DR + 48) | bits);
  raise(DB, 0);
}
/** #DB as a trap behind an instruction that was stepped or met a data breakpoint; false when there is none. */
export function raiseTrap(stepped: bool): bool {
  const bits = met | (stepped ? DR6_BS : 0);
  met = 0;
  if (bits == 0) return false;
  debugIsFault = false;
  store<u64>(DR + 48, load<u64>(DR + 48) | bits);
  store<u32>(PENDING, DB + 1);
  return true;
}
/** A fault takes precedence over what the instruction met before it. */
export function forgetMet(): void {
  met = 0;
}
