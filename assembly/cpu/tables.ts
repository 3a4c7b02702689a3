/** The registers of the descriptor tables, the task register, the machine status word; LAR, LSL, VERR, VERW. SDM 3A 2.4. */

import { CPL, GDT_BASE, GDT_LIMIT, IDT_BASE, IDT_LIMIT, PENDING } from "../layout";
import { canWrite, read, systemWrite, write } from "../mmu/memory";
import { effectiveAddress } from "./address";
import { setCr0 } from "./control";
import { faulted, GP, NP, PF, privileged, raise, raiseGp0, raiseUd } from "./exceptions";
import { setStatus } from "./flags";
import { getReg, getRm, getRmForWrite, setReg, setRm } from "./operands";
import { recIsMem, recOpcode, recOperandSize, recOperation } from "./record";
import {
  ATTR_CODE,
  ATTR_CONFORMING,
  ATTR_P,
  ATTR_S,
  ATTR_WRITABLE,
  descriptor,
  descriptorAttributes,
  descriptorBase,
  descriptorDpl,
  descriptorHigh,
  descriptorLimit,
  readDescriptor,
} from "./segments";
import * as s from "./state";

/** SLDT STR LLDT LTR VERR VERW. */
export function group6(r: u32): void {
  if (!s.isProtected()) return raiseUd();
  const operation = recOperation(r);
  if (operation < 2) {
    if ((s.cr4() & s.CR4_UMIP) != 0 && load<u32>(CPL) != 0) return raiseGp0();
    return storeSelector(r, s.selector(operation == 0 ? s.LDTR : s.TR));
  }
  if (operation > 5) return raiseUd();
  if (operation < 4 && !privileged()) return;
  const selector = <u32>getRm<u16>(r);
  if (faulted()) return;
  if (operation >= 4) return verify(selector, operation == 5);
  const wide = s.inLongMode();
  if ((selector & 0xfffc) == 0) {
    if (operation == 3) return raiseGp0();
    return s.setSegment(s.LDTR, selector, 0, 0, 0);
  }
  if ((selector & 4) != 0) return raise(GP, selector & 0xfffc);
  if (!readDescriptor(selector, GP, wide)) return;
  const kind = descriptorAttributes() & 0x1f;
  if (operation == 2 ? kind != 2 : kind != 9 && (wide || kind != 1)) return raise(GP, selector & 0xfffc);
  if ((descriptorAttributes() & ATTR_P) == 0) return raise(NP, selector & 0xfffc);
  const base = descriptorBase() | (wide ? descriptorHigh << 32 : 0);
  if (!s.isCanonical(base)) return raise(GP, selector & 0xfffc);
  if (operation == 3)
    systemWrite<u8>(load<u64>(GDT_BASE) + (selector & 0xfff8) + 5, <u8>(descriptor >> 40) | 2);
  if (faulted()) return;
  s.setSegment(
    operation == 2 ? s.LDTR : s.TR,
    selector,
    descriptorAttributes() | (operation == 3 ? 2 : 0),
    base,
    descriptorLimit(),
  );
}

export function storeSelector(r: u32, value: u32): void {
  if (recIsMem(r)) return setRm<u16>(r, <u16>value);
  if (recOperandSize(r) == 2) setRm<u16>(r, <u16>value);
  else setRm<u64>(r, value);
}

/** A selector beyond the table is an answer, not a fault; a table that cannot be read is one: then false. */
function forgetSelectorFault(): bool {
  if (load<u32>(PENDING) == PF + 1) return false;
  store<u32>(PENDING, 0);
  return true;
}

function verify(selector: u32, forWrite: bool): void {
  let ok = false;
  if ((selector & 0xfffc) != 0 && readDescriptor(selector, GP, false)) {
    const attr = descriptorAttributes();
    const privilege = load<u32>(CPL),
      rpl = selector & 3,
      dpl = descriptorDpl();
    const conforming = (attr & (ATTR_CODE | ATTR_CONFORMING)) == (ATTR_CODE | ATTR_CONFORMING);
    if ((attr & ATTR_S) != 0 && (conforming || (dpl >= privilege && dpl >= rpl))) {
      if (forWrite) ok = (attr & (ATTR_CODE | ATTR_WRITABLE)) == ATTR_WRITABLE;
      else ok = (attr & (ATTR_CODE | ATTR_WRITABLE)) != ATTR_CODE;
    }
  }
  if (!forgetSelectorFault()) return;
  setStatus(s.FLAG_ZF, ok ? s.FLAG_ZF : 0);
}

/** ARPL: raises the RPL of a selector to that of its caller's (SDM 2A). */
export function adjustPrivilege(r: u32): void {
  if (!s.isProtected() || s.inVm86()) return raiseUd();
  const selector = getRmForWrite<u16>(r);
  if (faulted()) return;
  const rpl = getReg<u16>(r) & 3;
  const isRaised = (selector & 3) < rpl;
  if (isRaised) setRm<u16>(r, (selector & ~3) | rpl);
  setStatus(s.FLAG_ZF, isRaised ? s.FLAG_ZF : 0);
}

export function loadAccessRights(r: u32, size: u32): void {
  if (!s.isProtected()) return raiseUd();
  const selector = <u32>getRm<u16>(r);
  if (faulted()) return;
  let ok = false;
  if ((selector & 0xfffc) != 0 && readDescriptor(selector, GP, false)) {
    const attr = descriptorAttributes();
    const kind = attr & 0x1f;
    const privilege = load<u32>(CPL),
      rpl = selector & 3,
      dpl = descriptorDpl();
    const conforming =
      (attr & (ATTR_S | ATTR_CODE | ATTR_CONFORMING)) == (ATTR_S | ATTR_CODE | ATTR_CONFORMING);
    const isSystem = (attr & ATTR_S) == 0;
    const known =
      !isSystem ||
      kind == 2 ||
      kind == 9 ||
      kind == 11 ||
      (recOpcode(r) == 2 && kind == 12) ||
      (!s.inLongMode() && (kind == 1 || kind == 3 || (recOpcode(r) == 2 && (kind == 4 || kind == 5))));
    ok = known && (conforming || (dpl >= privilege && dpl >= rpl));
  }
  if (!forgetSelectorFault()) return;
  if (ok) {
    const value: u32 = recOpcode(r) == 2 ? <u32>(descriptor >> 32) & 0xffff00 : descriptorLimit();
    if (size == 8) setReg<u64>(r, value);
    else if (size == 4) setReg<u32>(r, value);
    else setReg<u16>(r, <u16>value);
  }
  setStatus(s.FLAG_ZF, ok ? s.FLAG_ZF : 0);
}

/** SGDT SIDT LGDT LIDT SMSW LMSW. */
export function group7(r: u32): void {
  const operation = recOperation(r);
  const bytes: u32 = s.is64() ? 8 : 4;
  switch (operation) {
    case 0:
    case 1: {
      if (!recIsMem(r)) {
        if (operation == 1 || operation == 0) return raiseUd();
      }
      if ((s.cr4() & s.CR4_UMIP) != 0 && load<u32>(CPL) != 0) return raiseGp0();
      const at = effectiveAddress(r);
      if (!canWrite(at, 2 + bytes)) return;
      write<u16>(at, <u16>load<u32>(operation == 0 ? GDT_LIMIT : IDT_LIMIT));
      const base = load<u64>(operation == 0 ? GDT_BASE : IDT_BASE);
      if (bytes == 8) write<u64>(at + 2, base);
      else write<u32>(at + 2, <u32>base);
      return;
    }
    case 2:
    case 3: {
      if (!recIsMem(r)) return raiseUd();
      if (!privileged()) return;
      const at = effectiveAddress(r);
      const limit = read<u16>(at);
      if (faulted()) return;
      let base = bytes == 8 ? read<u64>(at + 2) : <u64>read<u32>(at + 2);
      if (faulted()) return;
      if (bytes == 4 && recOperandSize(r) == 2) base &= 0xffffff;
      if (!s.isCanonical(base)) return raiseGp0();
      store<u32>(operation == 2 ? GDT_LIMIT : IDT_LIMIT, limit);
      store<u64>(operation == 2 ? GDT_BASE : IDT_BASE, base);
      return;
    }
    case 4:
      if ((s.cr4() & s.CR4_UMIP) != 0 && load<u32>(CPL) != 0) return raiseGp0();
      if (recIsMem(r) || recOperandSize(r) == 2) setRm<u16>(r, <u16>s.cr0());
      else setRm<u64>(r, s.cr0() & 0xffffffff);
      return;
    case 6: {
      if (!privileged()) return;
      const value = <u64>getRm<u16>(r);
      if (faulted()) return;
      setCr0((s.cr0() & ~14) | (value & 15));
      return;
    }
  }
  raiseUd();
}
