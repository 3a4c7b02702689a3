/** Instructions of the operating system and what else is rare: interrupts, segment loads, MSRs, far transfers. */

import {
  ACTIVITY,
  CPL,
  CR0,
  FLAGS,
  INHIBIT,
  KERNEL_GS_BASE,
  NMI_BLOCKED,
  NMI_PENDING,
  TIME,
  TSC_AUX,
} from "../layout";
import { attendFlags, attention } from "../machine/attention";
import { tsc } from "../machine/clock";
import { yieldTurn } from "../machine/cpus";
import { hostBreak } from "../machine/instruments";
import { canRead, canWrite, read, write } from "../mmu/memory";
import { flushPage } from "../mmu/tlb";
import { effectiveAddress, linear } from "./address";
import { invalidateContext, moveControl, moveDebug } from "./control";
import { cpuid } from "./cpuid";
import { cancelStep } from "./debug";
import { deliver, EXTERNAL, interruptReturn, SOFTWARE } from "./delivery";
import { BR, DB, faulted, privileged, raise, raiseGp0, raiseUd } from "./exceptions";
import { dropped, jump, push, top } from "./execute";
import { farCall, farJump, farReturn } from "./far";
import { condition, isBelow, isEqual, materialize, rflags, setStatus } from "./flags";
import * as id from "./ids";
import { msrValue, readMsr, writeMsr } from "./msr";
import { getRm, setReg } from "./operands";
import { portAccess, portString } from "./ports";
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
  recRm,
} from "./record";
import { loadSegment } from "./segments";
import * as s from "./state";
import { sysenter, sysexit, systemCall, systemReturn } from "./syscall";
import { adjustPrivilege, group6, group7, loadAccessRights, storeSelector } from "./tables";

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
    case id.BOUND:
      checkBounds(r, size);
      return true;
    case id.ARPL:
      adjustPrivilege(r);
      return true;
    case id.INT1:
      // ICEBP: a #DB trap that needs no privilege and leaves DR6 alone (SDM 3B 17.2.6).
      deliver(DB, 0, EXTERNAL);
      cancelStep();
      attention();
      return true;
    case id.IRET:
      // Also one that faults lets NMIs in again (SDM 3C 28.2.3).
      store<u32>(NMI_BLOCKED, 0);
      interruptReturn(size);
      if (!faulted()) attendFlags();
      if (load<u32>(NMI_PENDING) != 0) attention();
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
      if (recReg(r) == s.SS) inhibit(INTERRUPTS_AND_DEBUG);
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
      else if ((bits & BIT_ADDRESS16) != 0) offset &= 0xffff;
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
        inhibit(INTERRUPTS);
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
  cancelStep();
  attention();
  return true;
}

/** BOUND: #BR when a signed index is not between the two bounds in memory, both included (SDM 2A). */
function checkBounds(r: u32, size: u32): void {
  const at = effectiveAddress(r);
  const low = size == 4 ? <i64>read<i32>(at) : <i64>read<i16>(at);
  if (faulted()) return;
  const high = size == 4 ? <i64>read<i32>(at + size) : <i64>read<i16>(at + size);
  if (faulted()) return;
  const value = s.gpr(recReg(r));
  const index = size == 4 ? <i64>(<i32>value) : <i64>(<i16>value);
  if (index < low || index > high) raise(BR, 0);
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
  if (loadSegment(n, value) && n == s.SS) inhibit(INTERRUPTS_AND_DEBUG);
}

/** Values of INHIBIT. STI holds off interrupts, a load of SS debug exceptions as well (SDM 3A 6.8.3). */
const INTERRUPTS: u32 = 1;
const INTERRUPTS_AND_DEBUG: u32 = 2;
/** The next instruction runs undisturbed. */
function inhibit(what: u32): void {
  store<u32>(INHIBIT, what);
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
