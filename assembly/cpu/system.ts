/** Instructions of the operating system: control registers, tables, system calls, ports, far transfers. */

import { portRead, portWrite } from "../devices/bus";
import { readTpr, writeTpr } from "../devices/lapic";
import {
  ACTIVITY,
  CPL,
  CR0,
  CR2,
  CR3,
  CR4,
  DR,
  EFER,
  FLAGS,
  FMASK,
  GDT_BASE,
  GDT_LIMIT,
  IDT_BASE,
  IDT_LIMIT,
  INHIBIT,
  KERNEL_GS_BASE,
  LSTAR,
  NMI_PENDING,
  PENDING,
  RIP,
  STAR,
  SYSENTER_CS,
  SYSENTER_EIP,
  SYSENTER_ESP,
  TIME,
  TSC_AUX,
} from "../layout";
import { attendFlags, attention } from "../machine/attention";
import { tsc } from "../machine/clock";
import { yieldTurn } from "../machine/cpus";
import { hostBreak } from "../machine/instruments";
import {
  canRead,
  canWrite,
  flushPage,
  flushTlb,
  flushTlbNonGlobal,
  read,
  readBytes,
  systemRead,
  systemWrite,
  write,
} from "../mmu/memory";
import { physicalRead64 } from "../mmu/physical";
import { effectiveAddress, effectiveOffset, linear } from "./address";
import { cpuid } from "./cpuid";
import { DR6_BD, DR7_GD, raiseDebug, watchPort } from "./debug";
import { deliver, EXTERNAL, interruptReturn, SOFTWARE } from "./delivery";
import { DB, faulted, GP, NP, PF, raise, raiseGp0, raiseUd, TS, UD } from "./exceptions";
import { dropped, jump, push, setStackPointer, stackMask, top } from "./execute";
import { farCall, farJump, farReturn } from "./far";
import {
  condition,
  isBelow,
  isEqual,
  materialize,
  NONE,
  rflags,
  SUB,
  setLazy,
  setRflags,
  setStatus,
} from "./flags";
import * as id from "./ids";
import { msrValue, readMsr, writeMsr } from "./msr";
import { getRegister, getRm, setReg, setRegister, setRm } from "./operands";
import {
  BIT_ADDRESS16,
  BIT_ADDRESS32,
  recBits,
  recId,
  recImm,
  recIsMem,
  recLength,
  recOpcode,
  recOperandSize,
  recOperation,
  recReg,
  recRep,
  recRm,
} from "./record";
import {
  ATTR_CODE,
  ATTR_CONFORMING,
  ATTR_D,
  ATTR_L,
  ATTR_P,
  ATTR_S,
  ATTR_WRITABLE,
  descriptor,
  descriptorAttributes,
  descriptorBase,
  descriptorDpl,
  descriptorHigh,
  descriptorLimit,
  installCs,
  loadFromDescriptor,
  loadSegment,
  markAccessed,
  readDescriptor,
} from "./segments";
import * as s from "./state";

const CR0_VALID: u64 = 0xe005003f;
const CR4_VALID: u64 =
  0x7ff | s.CR4_PCIDE | s.CR4_UMIP | s.CR4_FSGSBASE | s.CR4_OSXSAVE | s.CR4_SMEP | s.CR4_SMAP;

/** True when privileged; else #GP(0) is pending. */
function privileged(): bool {
  if (load<u32>(CPL) == 0) return true;
  raiseGp0();
  return false;
}
function portAllowed(port: u32, size: u32): bool {
  if (!s.isProtected() || (<u64>load<u32>(CPL) <= (load<u64>(FLAGS) & s.FLAG_IOPL) >> 12 && !s.inVm86()))
    return true;
  const base = s.segmentBase(s.TR),
    limit = s.segmentLimit(s.TR);
  if (limit >= 0x67) {
    const map = <u32>systemRead<u16>(base + 0x66);
    if (map + (port >> 3) + 1 <= limit) {
      const word = <u32>systemRead<u16>(base + map + (port >> 3));
      if (!faulted() && ((word >> (port & 7)) & ((1 << size) - 1)) == 0) return true;
    }
  }
  if (!faulted()) raiseGp0();
  return false;
}

/** Executes a record of the system families; false when the id is none of theirs. */
export function system(r: u32): bool {
  const size = recOperandSize(r);
  switch (recId(r)) {
    case id.UNDEFINED:
      if (recOperation(r) == 1) raiseGp0();
      else raiseUd();
      return true;
    case id.HOST_BREAK:
      hostBreak();
      return true;
    case id.FLAG_OP:
      flagOperation(recOpcode(r));
      return true;
    case id.SAHF:
      setStatus(0xd5, (s.gpr(s.RAX) >> 8) & 0xff);
      return true;
    case id.LAHF:
      s.setGpr(s.RAX, (s.gpr(s.RAX) & ~0xff00) | ((rflags() & 0xd7) << 8));
      return true;
    case id.HLT:
      if (!privileged()) return true;
      store<u32>(ACTIVITY, 1);
      attention();
      return true;
    case id.PAUSE:
      // A waiting loop: time passes faster, and events that are due by then are seen.
      store<u64>(TIME, load<u64>(TIME) + 64);
      yieldTurn();
      attention();
      return true;
    case id.IN:
    case id.OUT:
      portAccess(r, size);
      return true;
    case id.INS:
    case id.OUTS:
      portString(r, size);
      return true;
    case id.INT3:
      materialize();
      return softwareInterrupt(r, 3);
    case id.INT:
      return softwareInterrupt(r, <u32>recImm(r));
    case id.INTO:
      if (condition(0)) softwareInterrupt(r, 4);
      return true;
    case id.INT1:
      // ICEBP: a #DB trap that needs no privilege and leaves DR6 alone (SDM 3B 17.2.6).
      deliver(DB, 0, EXTERNAL);
      attention();
      return true;
    case id.IRET:
      interruptReturn(size);
      if (!faulted()) {
        attendFlags();
        if (load<u32>(NMI_PENDING) != 0) attention();
      }
      return true;
    case id.SYSCALL:
      systemCall();
      return true;
    case id.SYSENTER:
      if (recOpcode(r) == 0x34) sysenter();
      else sysexit(size);
      return true;
    case id.SYSRET:
      systemReturn(size);
      if (!faulted()) attendFlags();
      return true;
    case id.SWAPGS: {
      if (!privileged()) return true;
      const base = s.segmentBase(s.GS);
      s.setSegmentBase(s.GS, load<u64>(KERNEL_GS_BASE));
      store<u64>(KERNEL_GS_BASE, base);
      return true;
    }
    case id.GROUP6:
      group6(r);
      return true;
    case id.GROUP7:
      group7(r);
      return true;
    case id.INVLPG:
      if (privileged()) flushPage(effectiveAddress(r));
      return true;
    case id.INVPCID:
      invalidateContext(r);
      return true;
    case id.MOV_CR:
      moveControl(r);
      return true;
    case id.MOV_DR:
      moveDebug(r);
      return true;
    case id.RDMSR:
      if (!privileged()) return true;
      if (!readMsr(<u32>s.gpr(s.RCX))) raiseGp0();
      else {
        s.setGpr(s.RAX, msrValue & 0xffffffff);
        s.setGpr(s.RDX, msrValue >> 32);
      }
      return true;
    case id.WRMSR:
      if (!privileged()) return true;
      if (!writeMsr(<u32>s.gpr(s.RCX), (s.gpr(s.RDX) << 32) | (s.gpr(s.RAX) & 0xffffffff))) raiseGp0();
      return true;
    case id.RDTSC: {
      if ((s.cr4() & s.CR4_TSD) != 0 && load<u32>(CPL) != 0) {
        raiseGp0();
        return true;
      }
      const value = tsc();
      s.setGpr(s.RAX, value & 0xffffffff);
      s.setGpr(s.RDX, value >> 32);
      if (recOperation(r) == 1) s.setGpr(s.RCX, load<u64>(TSC_AUX) & 0xffffffff);
      return true;
    }
    case id.CPUID:
      cpuid();
      return true;
    case id.INVD:
      privileged();
      return true;
    case id.CLTS:
      if (privileged()) store<u64>(CR0, s.cr0() & ~s.CR0_TS);
      return true;
    case id.MOV_SEG:
      moveSegment(r, size);
      return true;
    case id.PUSH_SEG: {
      const value = s.selector(recReg(r));
      if (size == 8) push<u64>(value);
      else if (size == 4) push<u32>(value);
      else push<u16>(<u16>value);
      return true;
    }
    case id.POP_SEG: {
      const value = <u32>(size == 8 ? top<u64>(0) : size == 4 ? <u64>top<u32>(0) : <u64>top<u16>(0)) & 0xffff;
      if (faulted() || !loadSegment(recReg(r), value)) return true;
      dropped(size);
      if (recReg(r) == s.SS) shadow();
      return true;
    }
    case id.FAR_JMP:
      farJump(<u32>(recImm(r) >> 32) & 0xffff, <u64>recImm(r) & 0xffffffff, size);
      return true;
    case id.FAR_CALL:
      farCall(<u32>(recImm(r) >> 32) & 0xffff, <u64>recImm(r) & 0xffffffff, size);
      return true;
    case id.FAR_RM: {
      const at = effectiveAddress(r);
      const offset = size == 8 ? read<u64>(at) : size == 4 ? <u64>read<u32>(at) : <u64>read<u16>(at);
      if (faulted()) return true;
      const target = <u32>read<u16>(at + size);
      if (faulted()) return true;
      if (recOperation(r) == 5) farJump(target, offset, size);
      else farCall(target, offset, size);
      return true;
    }
    case id.FAR_RET:
      farReturn(size, <u32>recImm(r));
      return true;
    case id.LOAD_FAR: {
      const at = effectiveAddress(r);
      const offset = size == 8 ? read<u64>(at) : size == 4 ? <u64>read<u32>(at) : <u64>read<u16>(at);
      if (faulted()) return true;
      const target = <u32>read<u16>(at + size);
      if (faulted() || !loadSegment(recOperation(r), target)) return true;
      if (size == 8) setReg<u64>(r, offset);
      else if (size == 4) setReg<u32>(r, <u32>offset);
      else setReg<u16>(r, <u16>offset);
      return true;
    }
    case id.LOOP:
    case id.JCXZ:
      loop(r);
      return true;
    case id.XLAT: {
      const bits = recBits(r);
      let offset = s.gpr(s.RBX) + (s.gpr(s.RAX) & 0xff);
      if ((bits & BIT_ADDRESS32) != 0) offset &= 0xffffffff;
      const value = read<u8>(linear(load<u8>(r, 7), offset));
      if (!faulted()) s.setGpr(s.RAX, (s.gpr(s.RAX) & ~0xff) | value);
      return true;
    }
    case id.FENCE: // or CLFLUSH
      if (recIsMem(r)) canRead(effectiveAddress(r));
      return true;
    case id.FSGSBASE:
      baseAccess(r, size);
      return true;
    case id.STAC:
      if (load<u32>(CPL) != 0) raiseUd();
      else {
        store<u64>(
          FLAGS,
          recOperation(r) != 0 ? load<u64>(FLAGS) | s.FLAG_AC : load<u64>(FLAGS) & ~s.FLAG_AC,
        );
        s.selectTlb();
      }
      return true;
    case id.CMPXCHG8B:
      compareExchangeDouble(r, size);
      return true;
    case id.LAR_LSL:
      loadAccessRights(r, size);
      return true;
  }
  return false;
}

function flagOperation(op: u32): void {
  switch (op) {
    case 0xf5:
      setStatus(s.FLAG_CF, isBelow() ? 0 : s.FLAG_CF);
      break;
    case 0xf8:
      setStatus(s.FLAG_CF, 0);
      break;
    case 0xf9:
      setStatus(s.FLAG_CF, s.FLAG_CF);
      break;
    case 0xfa:
    case 0xfb:
      if (<u64>load<u32>(CPL) > (load<u64>(FLAGS) & s.FLAG_IOPL) >> 12) {
        raiseGp0();
        break;
      }
      if (op == 0xfa) store<u64>(FLAGS, load<u64>(FLAGS) & ~s.FLAG_IF);
      else if ((load<u64>(FLAGS) & s.FLAG_IF) == 0) {
        store<u64>(FLAGS, load<u64>(FLAGS) | s.FLAG_IF);
        shadow();
      }
      break;
    case 0xfc:
      store<u64>(FLAGS, load<u64>(FLAGS) & ~s.FLAG_DF);
      break;
    case 0xfd:
      store<u64>(FLAGS, load<u64>(FLAGS) | s.FLAG_DF);
  }
}

function softwareInterrupt(r: u32, vector: u32): bool {
  deliver(vector, recLength(r), SOFTWARE);
  attention();
  return true;
}

function portAccess(r: u32, size: u32): void {
  const port = recOperation(r) == 1 ? <u32>s.gpr(s.RDX) & 0xffff : <u32>recImm(r);
  if (!portAllowed(port, size)) return;
  watchPort(port, size);
  if (recId(r) == id.IN) {
    const value = portRead(port, size);
    if (size == 4) s.setGpr(s.RAX, value);
    else if (size == 2) setRegister<u16>(s.RAX, r, <u16>value);
    else s.setGpr(s.RAX, (s.gpr(s.RAX) & ~0xff) | (value & 0xff));
  } else {
    const value = <u32>s.gpr(s.RAX);
    portWrite(port, size, size == 4 ? value : value & ((1 << (size * 8)) - 1));
  }
}

/** INS and OUTS, one element an execution; a repeated one runs again until RCX is zero. */
function portString(r: u32, size: u32): void {
  const bits = recBits(r);
  const mask: u64 =
    (bits & BIT_ADDRESS32) != 0 ? 0xffffffff : (bits & BIT_ADDRESS16) != 0 ? 0xffff : u64.MAX_VALUE;
  const rep = recRep(r) != 0;
  if (rep && (s.gpr(s.RCX) & mask) == 0) return;
  const port = <u32>s.gpr(s.RDX) & 0xffff;
  if (!portAllowed(port, size)) return;
  watchPort(port, size);
  const step: u64 = (load<u64>(FLAGS) & s.FLAG_DF) != 0 ? 0 - <u64>size : size;
  const isIn = recId(r) == id.INS;
  const pointer = isIn ? s.RDI : s.RSI;
  const at = linear(isIn ? s.ES : load<u8>(r, 7), s.gpr(pointer) & mask);
  if (isIn) {
    if (!canWrite(at, size)) return;
    const value = portRead(port, size);
    if (size == 4) write<u32>(at, value);
    else if (size == 2) write<u16>(at, <u16>value);
    else write<u8>(at, <u8>value);
  } else {
    const value: u32 = size == 4 ? read<u32>(at) : size == 2 ? <u32>read<u16>(at) : <u32>read<u8>(at);
    if (faulted()) return;
    portWrite(port, size, value);
  }
  s.setGpr(
    pointer,
    mask == 0xffff
      ? (s.gpr(pointer) & ~mask) | ((s.gpr(pointer) + step) & mask)
      : (s.gpr(pointer) + step) & mask,
  );
  if (!rep) return;
  const left = ((s.gpr(s.RCX) & mask) - 1) & mask;
  s.setGpr(s.RCX, mask == 0xffff ? (s.gpr(s.RCX) & ~mask) | left : left);
  if (left != 0) store<u64>(RIP, s.rip() - recLength(r));
}

/** SYSCALL, 64-bit mode (SDM 2B). */
function systemCall(): void {
  if ((s.efer() & s.EFER_SCE) == 0) return raiseUd();
  const flags = rflags();
  s.setGpr(s.RCX, s.rip());
  s.setGpr(11, flags & ~s.FLAG_RF);
  store<u64>(RIP, load<u64>(LSTAR));
  setRflags(flags & ~load<u64>(FMASK) & ~s.FLAG_RF);
  const selector = <u32>(load<u64>(STAR) >> 32) & 0xfffc;
  s.setSegment(s.CS, selector, 0xa09b, 0, 0xffffffff);
  s.setSegment(s.SS, selector + 8, 0xc093, 0, 0xffffffff);
  store<u32>(CPL, 0);
  s.selectMode();
}
function systemReturn(size: u32): void {
  if ((s.efer() & s.EFER_SCE) == 0 || !s.is64()) return raiseUd();
  if (!privileged()) return;
  const target = s.gpr(s.RCX);
  if (size == 8 && !s.isCanonical(target)) return raiseGp0();
  const base = <u32>(load<u64>(STAR) >> 48);
  setRflags((s.gpr(11) & 0x3c7fd7) | 2);
  store<u64>(RIP, size == 8 ? target : target & 0xffffffff);
  s.setSegment(
    s.CS,
    ((size == 8 ? base + 16 : base) & 0xffff) | 3,
    size == 8 ? 0xa0fb : 0xc0fb,
    0,
    0xffffffff,
  );
  s.setSegment(s.SS, ((base + 8) & 0xffff) | 3, 0xc0f3, 0, 0xffffffff);
  store<u32>(CPL, 3);
  s.selectMode();
}

/** SYSENTER and SYSEXIT, which take their selectors from one MSR (SDM 2B). */
function sysenter(): void {
  const base = load<u32>(SYSENTER_CS) & 0xfffc;
  if (!s.isProtected() || base == 0) return raiseGp0();
  const long = s.inLongMode();
  setRflags(rflags() & ~(s.FLAG_VM | s.FLAG_IF | s.FLAG_RF));
  store<u64>(RIP, long ? load<u64>(SYSENTER_EIP) : load<u64>(SYSENTER_EIP) & 0xffffffff);
  s.setGpr(s.RSP, long ? load<u64>(SYSENTER_ESP) : load<u64>(SYSENTER_ESP) & 0xffffffff);
  s.setSegment(s.CS, base, long ? 0xa09b : 0xc09b, 0, 0xffffffff);
  s.setSegment(s.SS, base + 8, 0xc093, 0, 0xffffffff);
  store<u32>(CPL, 0);
  s.selectMode();
}
function sysexit(size: u32): void {
  const base = load<u32>(SYSENTER_CS) & 0xfffc;
  if (!s.isProtected() || base == 0 || load<u32>(CPL) != 0) return raiseGp0();
  const long = size == 8;
  const target = s.gpr(s.RDX),
    stack = s.gpr(s.RCX);
  if (long && !(s.isCanonical(target) && s.isCanonical(stack))) return raiseGp0();
  const selector = base + (long ? 32 : 16);
  store<u64>(RIP, long ? target : target & 0xffffffff);
  s.setGpr(s.RSP, long ? stack : stack & 0xffffffff);
  s.setSegment(s.CS, selector | 3, long ? 0xa0fb : 0xc0fb, 0, 0xffffffff);
  s.setSegment(s.SS, (selector + 8) | 3, 0xc0f3, 0, 0xffffffff);
  store<u32>(CPL, 3);
  s.selectMode();
}

/** SLDT STR LLDT LTR VERR VERW. */
function group6(r: u32): void {
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
function storeSelector(r: u32, value: u32): void {
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
function loadAccessRights(r: u32, size: u32): void {
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
      (!s.inLongMode() && (kind == 1 || kind == 3));
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
function group7(r: u32): void {
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

function setCr0(value: u64): void {
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
    if ((s.cr4() & s.CR4_PAE) == 0 || (s.attributes(s.CS) & ATTR_L) != 0) return raiseGp0();
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

function moveControl(r: u32): void {
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
function invalidateContext(r: u32): void {
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

function moveDebug(r: u32): void {
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
}

function moveSegment(r: u32, size: u32): void {
  const n = recReg(r) & 7;
  if (recOpcode(r) == 0x8c) {
    if (n > 5) return raiseUd();
    return storeSelector(r, s.selector(n));
  }
  if (n > 5 || n == s.CS) return raiseUd();
  const value = <u32>getRm<u16>(r);
  if (faulted()) return;
  if (loadSegment(n, value) && n == s.SS) shadow();
}

/** The next instruction runs undisturbed: SS and RSP are loaded as a pair (SDM 3A 6.8.3). */
function shadow(): void {
  store<u32>(INHIBIT, 1);
  attention();
}

function loop(r: u32): void {
  const bits = recBits(r);
  const mask: u64 =
    (bits & BIT_ADDRESS32) != 0 ? 0xffffffff : (bits & BIT_ADDRESS16) != 0 ? 0xffff : u64.MAX_VALUE;
  let count = s.gpr(s.RCX) & mask;
  let taken: bool;
  if (recId(r) == id.JCXZ) taken = count == 0;
  else {
    count = (count - 1) & mask;
    taken = count != 0 && (recOperation(r) == 2 || isEqual() == (recOperation(r) == 1));
  }
  if (taken && !jump(s.rip() + <u64>recImm(r), s.is64() ? 8 : recOperandSize(r))) return;
  if (recId(r) == id.LOOP) s.setGpr(s.RCX, mask == 0xffff ? (s.gpr(s.RCX) & ~mask) | count : count);
}

function baseAccess(r: u32, size: u32): void {
  if ((s.cr4() & s.CR4_FSGSBASE) == 0) return raiseUd();
  const n = (recOperation(r) & 1) == 0 ? s.FS : s.GS;
  if (recOperation(r) < 2) {
    s.setGpr(recRm(r), size == 8 ? s.segmentBase(n) : s.segmentBase(n) & 0xffffffff);
    return;
  }
  const value = size == 8 ? s.gpr(recRm(r)) : s.gpr(recRm(r)) & 0xffffffff;
  if (!s.isCanonical(value)) return raiseGp0();
  s.setSegmentBase(n, value);
}

/** CMPXCHG8B and CMPXCHG16B. */
function compareExchangeDouble(r: u32, size: u32): void {
  const at = effectiveAddress(r);
  if (size == 8) {
    if ((at & 15) != 0) return raiseGp0();
    if (!canWrite(at, 16)) return;
    const low = read<u64>(at),
      high = read<u64>(at + 8);
    const same = low == s.gpr(s.RAX) && high == s.gpr(s.RDX);
    if (same) {
      write<u64>(at, s.gpr(s.RBX));
      write<u64>(at + 8, s.gpr(s.RCX));
    } else {
      s.setGpr(s.RAX, low);
      s.setGpr(s.RDX, high);
    }
    return setStatus(s.FLAG_ZF, same ? s.FLAG_ZF : 0);
  }
  if (!canWrite(at, 8)) return;
  const value = read<u64>(at);
  const same = value == ((s.gpr(s.RDX) << 32) | (s.gpr(s.RAX) & 0xffffffff));
  if (same) write<u64>(at, (s.gpr(s.RCX) << 32) | (s.gpr(s.RBX) & 0xffffffff));
  else {
    s.setGpr(s.RAX, value & 0xffffffff);
    s.setGpr(s.RDX, value >> 32);
  }
  setStatus(s.FLAG_ZF, same ? s.FLAG_ZF : 0);
}
