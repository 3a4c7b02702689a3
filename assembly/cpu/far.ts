/**
 * Far transfers: JMP, CALL and RET to other code segments, directly or through call gates. SDM 3A 5.8, SDM 2A CALL,
 * JMP, RET. Task gates and task-state segments as targets are not offered: #GP with their selector.
 */
import { CPL, RIP } from "../layout";
import { implicitRead, systemWrite } from "../mmu/memory";
import { linear } from "./address";
import { dropUnreachable } from "./delivery";
import { faulted, GP, NP, raise, raiseGp0, SSF } from "./exceptions";
import { dropped, push, stackMask, top } from "./execute";
import {
  findInnerPointer,
  findInnerStack,
  fitsInner,
  innerMask,
  innerPointer,
  installInnerStack,
  pushInner,
} from "./inner_stack";
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
  descriptorDpl,
  descriptorHigh,
  descriptorLimit,
  installCs,
  installNullSs,
  isBothWide,
  loadFromDescriptor,
  markAccessed,
  readDescriptor,
} from "./segments";
import * as s from "./state";

const CALL_GATE_16: u32 = 4;
const CALL_GATE: u32 = 12;

export function farJump(target: u32, offset: u64, size: u32): void {
  if (!s.isProtected()) return realTransfer(target, offset, size);
  if (!readTarget(target)) return;
  if ((descriptorAttributes() & ATTR_S) == 0) {
    if (!throughGate(target)) return;
    if (!isReachable(gateTarget, false)) return;
    if (!isInLimit(gateOffset)) return raiseGp0();
    return enter(gateTarget, load<u32>(CPL), gateOffset);
  }
  if (!isReachable(target, true)) return;
  const ip = truncated(offset, size);
  if (!isInLimit(ip)) return raiseGp0();
  enter(target, load<u32>(CPL), ip);
}

export function farCall(target: u32, offset: u64, size: u32): void {
  const sp = s.gpr(s.RSP);
  if (!s.isProtected()) {
    if (!pushReturn(size)) return s.setGpr(s.RSP, sp);
    realTransfer(target, offset, size);
    if (faulted()) s.setGpr(s.RSP, sp);
    return;
  }
  if (!readTarget(target)) return;
  if ((descriptorAttributes() & ATTR_S) == 0) {
    if (!throughGate(target)) return;
    if ((descriptorAttributes() & ATTR_P) == 0) return raise(NP, gateTarget & 0xfffc);
    return callThroughGate();
  }
  if (!isReachable(target, true)) return;
  const ip = truncated(offset, size);
  if (!isInLimit(ip)) return raiseGp0();
  if (!pushReturn(size)) return s.setGpr(s.RSP, sp);
  if (readDescriptor(target, GP, false)) enter(target, load<u32>(CPL), ip);
}

function realTransfer(target: u32, offset: u64, size: u32): void {
  const ip = truncated(offset, size);
  if (ip > s.segmentLimit(s.CS)) return raiseGp0();
  s.setSegment(s.CS, target, 0x9b, (<u64>target) << 4, s.segmentLimit(s.CS));
  store<u64>(RIP, ip);
  s.selectMode();
}

function truncated(offset: u64, size: u32): u64 {
  return size == 2 ? offset & 0xffff : size == 4 ? offset & 0xffffffff : offset;
}

function readTarget(target: u32): bool {
  if ((target & 0xfffc) == 0) {
    raiseGp0();
    return false;
  }
  return readDescriptor(target, GP, false);
}

/** Whether the code segment whose descriptor was read last may be entered without a change of level. */
function isReachable(target: u32, checkRpl: bool): bool {
  const attr = descriptorAttributes();
  const privilege = load<u32>(CPL);
  const dpl = descriptorDpl();
  const allowed =
    (attr & ATTR_CONFORMING) != 0
      ? dpl <= privilege
      : dpl == privilege && (!checkRpl || (target & 3) <= privilege);
  if ((attr & (ATTR_S | ATTR_CODE)) != (ATTR_S | ATTR_CODE) || !allowed || isBothWide())
    raise(GP, target & 0xfffc);
  else if ((attr & ATTR_P) == 0) raise(NP, target & 0xfffc);
  return !faulted();
}
/** The same for an address in it. */
function isInLimit(ip: u64): bool {
  return s.inLongMode() && (descriptorAttributes() & ATTR_L) != 0
    ? s.isCanonical(ip)
    : ip <= descriptorLimit();
}
/** Goes there, by the descriptor read last. */
function enter(target: u32, privilege: u32, ip: u64): void {
  markAccessed(target);
  if (faulted()) return;
  installCs(target, privilege);
  store<u64>(RIP, ip);
}

function pushReturn(size: u32): bool {
  const cs = s.selector(s.CS);
  const back = s.rip();
  if (size == 8) return push<u64>(cs) && push<u64>(back);
  if (size == 4) return push<u32>(cs) && push<u32>(<u32>back);
  return push<u16>(<u16>cs) && push<u16>(<u16>back);
}

let gateTarget: u32 = 0;
let gateOffset: u64 = 0;
/** Bytes of a push: 2, 4 or 8. */
let gateSize: u32 = 0;
let gateParameters: u32 = 0;

/**
 * Follows the call gate read last: its code segment's descriptor is then the one read last. Whether that is present is
 * looked at by the caller: JMP has more to refuse before it.
 */
function throughGate(gate: u32): bool {
  const kind = descriptorAttributes() & 0x1f;
  const isLong = s.inLongMode();
  const error = gate & 0xfffc;
  if (kind != CALL_GATE && (isLong || kind != CALL_GATE_16)) {
    raise(GP, error);
    return false;
  }
  const dpl = descriptorDpl();
  if (dpl < load<u32>(CPL) || dpl < (gate & 3)) raise(GP, error);
  else if ((descriptorAttributes() & ATTR_P) == 0) raise(NP, error);
  if (faulted()) return false;
  if (isLong) {
    if (!readDescriptor(gate, GP, true)) return false;
    if (((descriptorHigh >> 40) & 0x1f) != 0) {
      raise(GP, error);
      return false;
    }
  }
  gateTarget = <u32>(descriptor >> 16) & 0xffff;
  gateOffset = (descriptor & 0xffff) | (kind == CALL_GATE ? (descriptor >> 32) & 0xffff0000 : 0);
  if (isLong) gateOffset |= descriptorHigh << 32;
  gateSize = isLong ? 8 : kind == CALL_GATE ? 4 : 2;
  gateParameters = isLong ? 0 : <u32>(descriptor >> 32) & 31;
  if (!readTarget(gateTarget)) return false;
  const attr = descriptorAttributes();
  const isCode = (attr & (ATTR_S | ATTR_CODE)) == (ATTR_S | ATTR_CODE);
  const isWrongMode = isLong && (attr & (ATTR_L | ATTR_D)) != ATTR_L;
  if (!isCode || descriptorDpl() > load<u32>(CPL) || isWrongMode) raise(GP, gateTarget & 0xfffc);
  return !faulted();
}

function callThroughGate(): void {
  const privilege = load<u32>(CPL);
  const level = descriptorDpl();
  const sp = s.gpr(s.RSP);
  if (!isInLimit(gateOffset)) return raiseGp0();
  if ((descriptorAttributes() & ATTR_CONFORMING) != 0 || level == privilege) {
    if (!pushReturn(gateSize)) return s.setGpr(s.RSP, sp);
    if (readDescriptor(gateTarget, GP, false)) enter(gateTarget, privilege, gateOffset);
    return;
  }
  if (gateSize == 8) {
    if (!findInnerPointer(4 + level * 8)) return;
    const at = innerPointer;
    systemWrite<u64>(at - 8, s.selector(s.SS));
    systemWrite<u64>(at - 16, sp);
    systemWrite<u64>(at - 24, s.selector(s.CS));
    systemWrite<u64>(at - 32, s.rip());
    if (faulted() || !readDescriptor(gateTarget, GP, false)) return;
    enter(gateTarget, level, gateOffset);
    if (faulted()) return;
    installNullSs(level);
    return s.setGpr(s.RSP, at - 32);
  }
  if (!findInnerStack(level) || !fitsInner((4 + gateParameters) * gateSize, 0)) return;
  const mask = stackMask();
  pushInner(s.selector(s.SS), gateSize);
  pushInner(sp, gateSize);
  for (let n = <i32>gateParameters - 1; n >= 0; n--) {
    const at = linear(s.SS, (sp + <u32>n * gateSize) & mask);
    const value = gateSize == 4 ? <u64>implicitRead<u32>(at) : <u64>implicitRead<u16>(at);
    if (faulted()) return;
    pushInner(value, gateSize);
  }
  pushInner(s.selector(s.CS), gateSize);
  pushInner(s.rip(), gateSize);
  if (faulted() || !readDescriptor(gateTarget, GP, false)) return;
  enter(gateTarget, level, gateOffset);
  if (faulted()) return;
  installInnerStack();
  const inner = innerPointer;
  s.setGpr(s.RSP, innerMask() == 0xffff ? (sp & ~0xffff) | inner : inner);
  s.selectMode();
}

function topWord(size: u32, offset: u32): u64 {
  return size == 8 ? top<u64>(offset) : size == 4 ? <u64>top<u32>(offset) : <u64>top<u16>(offset);
}

/** RET far. `release`: bytes of parameters to drop, from both stacks when the level changes. */
export function farReturn(size: u32, release: u32): void {
  const ip = topWord(size, 0);
  const cs = <u32>topWord(size, size) & 0xffff;
  if (faulted()) return;
  if (!s.isProtected()) {
    realTransfer(cs, ip, size);
    if (!faulted()) dropped(2 * size + release);
    return;
  }
  const privilege = load<u32>(CPL);
  const rpl = cs & 3;
  if (!readTarget(cs)) return;
  const attr = descriptorAttributes();
  const dpl = descriptorDpl();
  const isCode = (attr & (ATTR_S | ATTR_CODE)) == (ATTR_S | ATTR_CODE);
  const isAllowed = (attr & ATTR_CONFORMING) != 0 ? dpl <= rpl : dpl == rpl;
  if (rpl < privilege || !isCode || !isAllowed || isBothWide()) return raise(GP, cs & 0xfffc);
  if ((attr & ATTR_P) == 0) return raise(NP, cs & 0xfffc);
  const isGood = isInLimit(ip);
  if (rpl == privilege) {
    if (!isGood) return raiseGp0();
    enter(cs, rpl, ip);
    if (!faulted()) dropped(2 * size + release);
    return;
  }
  const to64 = s.inLongMode() && (attr & ATTR_L) != 0;
  const sp = topWord(size, 2 * size + release);
  const ss = <u32>topWord(size, 3 * size + release) & 0xffff;
  if (faulted()) return;
  const isNull = (ss & 0xfffc) == 0;
  if (isNull) {
    if (!(to64 && rpl < 3 && ss == rpl)) return raiseGp0();
  } else {
    if (!readDescriptor(ss, GP, false)) return;
    const stack = descriptorAttributes();
    const kind = stack & (ATTR_S | ATTR_CODE | ATTR_WRITABLE);
    if ((ss & 3) != rpl || descriptorDpl() != rpl || kind != (ATTR_S | ATTR_WRITABLE))
      return raise(GP, ss & 0xfffc);
    if ((stack & ATTR_P) == 0) return raise(SSF, ss & 0xfffc);
  }
  if (!isGood) return raiseGp0();
  if (!isNull) {
    markAccessed(ss);
    if (faulted() || !readDescriptor(cs, GP, false)) return;
  }
  enter(cs, rpl, ip);
  if (faulted()) return;
  if (isNull) s.setSegment(s.SS, ss, 0x93 | (rpl << 5), 0, 0);
  else {
    // The tables belong to the supervisor: reading them again does not fault.
    readDescriptor(ss, GP, false);
    loadFromDescriptor(s.SS, ss);
  }
  const wide = to64 || (s.attributes(s.SS) & ATTR_D) != 0;
  const next = sp + release;
  s.setGpr(s.RSP, to64 ? next : wide ? next & 0xffffffff : (s.gpr(s.RSP) & ~0xffff) | (next & 0xffff));
  dropUnreachable(rpl);
  s.selectMode();
}
