/** Control and debug registers, and what forgets translations. SDM 3A 2.5, 4.10.4 and SDM 3B 17.2. */

import { readTpr, writeTpr } from "../devices/lapic";
import { CR0, CR2, CR3, CR4, DR, EFER } from "../layout";
import { attention } from "../machine/attention";
import { read } from "../mmu/memory";
import { physicalRead64 } from "../mmu/physical";
import { flushPage, flushTlb, flushTlbNonGlobal } from "../mmu/tlb";
import { effectiveAddress } from "./address";
import { DR6_BD, DR7_GD, raiseDebug } from "./debug";
import { faulted, privileged, raiseGp0, raiseUd } from "./exceptions";
import { recOpcode, recReg, recRm } from "./record";
import { ATTR_L } from "./segments";
import * as s from "./state";

const CR0_VALID: u64 = 0xe005003f;
const CR4_VALID: u64 =
  0x7ff | s.CR4_PCIDE | s.CR4_UMIP | s.CR4_FSGSBASE | s.CR4_OSXSAVE | s.CR4_SMEP | s.CR4_SMAP;
/** Changing these in CR4 loads the PDPTEs again (SDM 3A 4.4.1). */
const PDPTE_RELOAD: u64 = s.CR4_PSE | s.CR4_PAE | s.CR4_PGE | s.CR4_SMEP;
/** Bits 1, 2, 5 to 8 and those beyond physical addresses of 40 bits. */
const PDPTE_RESERVED: u64 = 0xffffff00000001e6;

/** PAE paging outside long mode. */
function usesPdptes(cr0: u64, cr4: u64): bool {
  return (cr0 & s.CR0_PG) != 0 && (cr4 & s.CR4_PAE) != 0 && !s.inLongMode();
}

/** Whether the four page-directory-pointer entries that a CR3 names can be loaded. */
function arePdptesValid(cr3: u64): bool {
  for (let n: u64 = 0; n < 4; n++) {
    const entry = physicalRead64((cr3 & 0xffffffe0) + n * 8);
    if ((entry & 1) != 0 && (entry & PDPTE_RESERVED) != 0) return false;
  }
  return true;
}

export function setCr0(value: u64): void {
  const old = s.cr0();
  const next = (value & CR0_VALID) | 0x10;
  if (
    (next & (s.CR0_PG | s.CR0_PE)) == s.CR0_PG ||
    (next & (s.CR0_NW | s.CR0_CD)) == s.CR0_NW ||
    value >> 32 != 0
  )
    return raiseGp0();
  if ((next & ~old & s.CR0_PG) != 0 && (s.efer() & s.EFER_LME) == 0) {
    if (usesPdptes(next, s.cr4()) && !arePdptesValid(load<u64>(CR3))) return raiseGp0();
  }
  if ((next & s.CR0_PG) != 0 && (old & s.CR0_PG) == 0 && (s.efer() & s.EFER_LME) != 0) {
    // Nor with a task-state segment of 16 bits, busy or not (SDM 3A 10.8.5.1).
    const is16BitTask = (s.attributes(s.TR) & 0x1d) == 1;
    if ((s.cr4() & s.CR4_PAE) == 0 || (s.attributes(s.CS) & ATTR_L) != 0 || is16BitTask) return raiseGp0();
    store<u64>(EFER, s.efer() | s.EFER_LMA);
  }
  if ((next & s.CR0_PG) == 0 && (old & s.CR0_PG) != 0) {
    if (s.is64() || (s.cr4() & s.CR4_PCIDE) != 0) return raiseGp0();
    store<u64>(EFER, s.efer() & ~s.EFER_LMA);
  }
  store<u64>(CR0, next);
  flushTlb();
  s.selectMode();
}

export function moveControl(r: u32): void {
  const n = recReg(r);
  const rm = recRm(r);
  if (n != 0 && n != 2 && n != 3 && n != 4 && n != 8) return raiseUd();
  if (!privileged()) return;
  if (recOpcode(r) == 0x20) {
    const value =
      n == 0 ? s.cr0() : n == 2 ? load<u64>(CR2) : n == 3 ? load<u64>(CR3) : n == 4 ? s.cr4() : readTpr();
    if (s.is64()) s.setGpr(rm, value);
    else s.setGpr(rm, value & 0xffffffff);
    return;
  }
  let value = s.is64() ? s.gpr(rm) : s.gpr(rm) & 0xffffffff;
  switch (n) {
    case 0:
      return setCr0(value);
    case 2:
      store<u64>(CR2, value);
      return;
    case 3:
      // Bit 63 allows translations of other address spaces to stay; they may as well go.
      if ((s.cr4() & s.CR4_PCIDE) != 0) value &= 0x7fffffffffffffff;
      if (s.inLongMode() && value >> 40 != 0) return raiseGp0();
      if (usesPdptes(s.cr0(), s.cr4()) && !arePdptesValid(value)) return raiseGp0();
      store<u64>(CR3, value);
      if ((s.cr4() & s.CR4_PGE) != 0) flushTlbNonGlobal();
      else flushTlb();
      return;
    case 4:
      if ((value & ~CR4_VALID) != 0 || (s.inLongMode() && (value & s.CR4_PAE) == 0)) return raiseGp0();
      if ((value & ~s.cr4() & s.CR4_PCIDE) != 0 && (!s.inLongMode() || (load<u64>(CR3) & 0xfff) != 0))
        return raiseGp0();
      if (
        usesPdptes(s.cr0(), value) &&
        ((value ^ s.cr4()) & PDPTE_RELOAD) != 0 &&
        !arePdptesValid(load<u64>(CR3))
      )
        return raiseGp0();
      store<u64>(CR4, value);
      flushTlb();
      s.selectMode();
      return;
    default:
      if (value > 15) return raiseGp0();
      writeTpr(value);
      attention();
  }
}

/** INVPCID. The TLB carries no context numbers, so that each form forgets at least what it names (SDM 2A). */
export function invalidateContext(r: u32): void {
  if (!privileged()) return;
  const kind = s.is64() ? s.gpr(recReg(r)) : s.gpr(recReg(r)) & 0xffffffff;
  const at = effectiveAddress(r);
  const context = read<u64>(at);
  if (faulted()) return;
  const address = read<u64>(at + 8);
  if (faulted()) return;
  if (kind > 3 || context >> 12 != 0) return raiseGp0();
  if (kind < 2 && context != 0 && (s.cr4() & s.CR4_PCIDE) == 0) return raiseGp0();
  if (kind == 0 && !s.isCanonical(address)) return raiseGp0();
  if (kind == 0) flushPage(address);
  else if (kind == 2) flushTlb();
  else flushTlbNonGlobal();
}

export function moveDebug(r: u32): void {
  let n = recReg(r);
  if (n > 7) return raiseUd();
  if ((s.cr4() & s.CR4_DE) != 0 && (n == 4 || n == 5)) return raiseUd();
  if (!privileged()) return;
  if ((load<u64>(DR + 56) & DR7_GD) != 0) return raiseDebug(DR6_BD);
  if (n == 4 || n == 5) n += 2;
  if (recOpcode(r) == 0x21) {
    s.setGpr(recRm(r), load<u64>(DR + n * 8));
    return;
  }
  let value = s.is64() ? s.gpr(recRm(r)) : s.gpr(recRm(r)) & 0xffffffff;
  if (n >= 6 && value >> 32 != 0) return raiseGp0();
  if (n == 6) value = (value & 0xe00f) | 0xffff0ff0;
  if (n == 7) value = (value & 0xffff2fff) | 0x400;
  store<u64>(DR + n * 8, value);
  flushTlb(); // watched pages have no fast path
  attention(); // code breakpoints are looked for between slices
}
