/**
 * Delivering exceptions and interrupts through the IDT, and coming back by IRET. SDM 3A chapter 6.
 * A fault while delivering is combined with what was being delivered (table 6-5); the third strike is
 * the triple fault that ends the machine.
 */
import {
  CPL,
  CR2,
  DR,
  EXCEPTION_COUNT,
  EXCEPTION_LOG,
  EXCEPTION_MASK,
  FLAGS,
  IDT_BASE,
  IDT_LIMIT,
  INHIBIT,
  PENDING,
  PENDING_CR2,
  PENDING_ERROR,
  RETIRED,
  RIP,
} from "../layout";
import { EXIT_EXCEPTION, EXIT_TRIPLE_FAULT, requestExit } from "../machine/attention";
import { now } from "../machine/clock";
import { implicitRead, systemRead, systemWrite } from "../mmu/memory";
import { linear } from "./address";
import { DR7_GD, debugSetsRf } from "./debug";
import { BP, DB, DE, DF, faulted, GP, NP, OF, PF, raise, SC, SSF, TS, UD } from "./exceptions";
import { rflags, setRflags } from "./flags";
import {
  findInnerPointer,
  findInnerStack,
  fitsInner,
  innerMask,
  innerPointer,
  innerSelector,
  installInnerStack,
  pushInner,
  usePresentStack,
} from "./inner_stack";
import {
  ATTR_CODE,
  ATTR_CONFORMING,
  ATTR_D,
  ATTR_L,
  ATTR_P,
  ATTR_S,
  descriptorAttributes,
  descriptorDpl,
  descriptorLimit,
  installCs,
  installNullSs,
  isBothWide,
  loadFromDescriptor,
  markAccessed,
  readDescriptor,
} from "./segments";
import {
  attributes,
  CS,
  DS,
  ES,
  FLAG_AC,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  FS,
  GS,
  gpr,
  inLongMode,
  is64,
  isCanonical,
  isProtected,
  RSP,
  SS,
  segmentBase,
  segmentLimit,
  selector,
  selectTlb,
  setGpr,
  setSegment,
  TR,
} from "./state";

/** What started the delivery: hardware, an exception, or INT n (whose gate privilege is checked). */
export const EXTERNAL: u32 = 0;
export const EXCEPTION: u32 = 1;
export const SOFTWARE: u32 = 2;

function hasErrorCode(vector: u32): bool {
  return vector == DF || (vector >= TS && vector <= PF) || vector == 17 || vector == SC;
}
function isContributory(vector: u32): bool {
  return vector == DE || (vector >= TS && vector <= GP);
}

/** Delivers the pending exception. RIP already names the instruction to report. */
export function deliverPending(): void {
  const vector = load<u32>(PENDING) - 1;
  const error = load<u32>(PENDING_ERROR);
  store<u32>(PENDING, 0);
  if (vector == PF) store<u64>(CR2, load<u64>(PENDING_CR2));
  if (vector == DB) store<u64>(DR + 56, load<u64>(DR + 56) & ~DR7_GD);
  log(vector, error);
  deliver(vector, error, EXCEPTION);
}

function log(vector: u32, error: u32): void {
  const count = load<u32>(EXCEPTION_COUNT);
  const at = EXCEPTION_LOG + (count & 63) * 40;
  store<u32>(at, vector);
  store<u32>(at, error, 4);
  store<u64>(at, load<u64>(RIP), 8);
  store<u64>(at, load<u64>(CR2), 16);
  store<u64>(at, load<u32>(CPL), 24);
  store<u64>(at, now(), 32);
  store<u32>(EXCEPTION_COUNT, count + 1);
  if (load<u32>(CPL) != 3 && ((load<u32>(EXCEPTION_MASK) >> vector) & 1) != 0)
    requestExit(EXIT_EXCEPTION, vector);
}

/**
 * Delivers a vector, with the escalation to double and triple fault. For SOFTWARE, `error` is the length of the
 * instruction: a fault while delivering is reported at it, not behind it.
 */
export function deliver(vector: u32, error: u32, source: u32): void {
  let current = vector,
    code = source == SOFTWARE ? 0 : error,
    from = source;
  for (let attempt = 0; attempt < 4; attempt++) {
    if (
      inLongMode()
        ? deliverLong(current, code, from)
        : isProtected()
          ? deliverProtected(current, code, from)
          : deliverReal(current)
    )
      return;
    const second = load<u32>(PENDING) - 1;
    code = load<u32>(PENDING_ERROR) | (from == SOFTWARE ? 0 : second == PF || second == DF ? 0 : 1);
    store<u32>(PENDING, 0);
    if (second == PF) store<u64>(CR2, load<u64>(PENDING_CR2));
    // INT 8 is no double fault.
    if (current == DF && from == EXCEPTION) break;
    if (from == SOFTWARE) store<u64>(RIP, load<u64>(RIP) - error);
    const first = from == EXCEPTION ? current : 0xff;
    log(second, code);
    if (
      (isContributory(first) && isContributory(second)) ||
      (first == PF && (second == PF || isContributory(second)))
    ) {
      current = DF;
      code = 0;
    } else current = second;
    from = EXCEPTION;
  }
  requestExit(EXIT_TRIPLE_FAULT, vector);
}

function deliverLong(vector: u32, error: u32, source: u32): bool {
  const gateError: u32 = vector * 8 + 2;
  if (vector * 16 + 15 > load<u32>(IDT_LIMIT)) return refuse(GP, gateError);
  const low = systemRead<u64>(load<u64>(IDT_BASE) + vector * 16);
  const high = systemRead<u64>(load<u64>(IDT_BASE) + vector * 16 + 8);
  if (faulted()) return false;
  const kind = <u32>(low >> 40) & 0x1f;
  if (kind != 0x0e && kind != 0x0f) return refuse(GP, gateError);
  const privilege = load<u32>(CPL);
  if (source == SOFTWARE && (<u32>(low >> 45) & 3) < privilege) return refuse(GP, gateError);
  if ((low & 0x800000000000) == 0) return refuse(NP, gateError);
  const target = <u32>(low >> 16) & 0xffff;
  const entry = (low & 0xffff) | ((low >> 32) & 0xffff0000) | (high << 32);
  const ist = <u32>(low >> 32) & 7;
  if ((target & 0xfffc) == 0) return refuse(GP, 0);
  if (!readDescriptor(target, GP, false)) return false;
  const attr = descriptorAttributes();
  const dpl = descriptorDpl();
  if (
    (attr & (ATTR_S | ATTR_CODE)) != (ATTR_S | ATTR_CODE) ||
    dpl > privilege ||
    (attr & (ATTR_L | ATTR_D)) != ATTR_L
  )
    return refuse(GP, target & 0xfffc);
  if ((attr & ATTR_P) == 0) return refuse(NP, target & 0xfffc);
  const inner = (attr & ATTR_CONFORMING) == 0 && dpl < privilege;
  const next = inner ? dpl : privilege;
  let sp: u64;
  if (ist != 0 || inner) {
    if (!findInnerPointer(ist != 0 ? 0x1c + ist * 8 : 4 + dpl * 8)) return false;
    sp = innerPointer;
  } else sp = gpr(RSP);
  if (!isCanonical(sp)) return refuse(SSF, 0);
  sp &= ~15;
  const flags = rflags();
  let at = sp - 8;
  // Frames are written with the privilege of the handler.
  store<u32>(CPL, next);
  selectTlb();
  systemWrite<u64>(at, selector(SS));
  systemWrite<u64>(at - 8, gpr(RSP));
  systemWrite<u64>(
    at - 16,
    flags |
      (source == EXCEPTION && (vector != DB || debugSetsRf) && vector != BP && vector != OF && vector != DF
        ? FLAG_RF
        : 0),
  );
  systemWrite<u64>(at - 24, selector(CS));
  systemWrite<u64>(at - 32, load<u64>(RIP));
  at -= 32;
  if (source == EXCEPTION && hasErrorCode(vector)) {
    at -= 8;
    systemWrite<u64>(at, error);
  }
  if (faulted() || !isCanonical(entry)) {
    store<u32>(CPL, privilege);
    selectTlb();
    return faulted() ? false : refuse(GP, 0);
  }
  setGpr(RSP, at);
  store<u64>(RIP, entry);
  let masked = flags & ~(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM);
  if (kind == 0x0e) masked &= ~FLAG_IF;
  setRflags(masked);
  installCs(target, next);
  if (inner) installNullSs(next);
  store<u32>(INHIBIT, 0);
  return true;
}

function refuse(vector: u32, error: u32): bool {
  raise(vector, error);
  return false;
}

function deliverProtected(vector: u32, error: u32, source: u32): bool {
  const gateError: u32 = vector * 8 + 2;
  if (vector * 8 + 7 > load<u32>(IDT_LIMIT)) return refuse(GP, gateError);
  const gate = systemRead<u64>(load<u64>(IDT_BASE) + vector * 8);
  if (faulted()) return false;
  const kind = <u32>(gate >> 40) & 0x1f;
  const wide = kind == 0x0e || kind == 0x0f;
  if (!wide && kind != 6 && kind != 7) return refuse(GP, gateError);
  const privilege = load<u32>(CPL);
  if (source == SOFTWARE && (<u32>(gate >> 45) & 3) < privilege) return refuse(GP, gateError);
  if ((gate & 0x800000000000) == 0) return refuse(NP, gateError);
  const target = <u32>(gate >> 16) & 0xffff;
  const entry: u64 = (gate & 0xffff) | (wide ? (gate >> 32) & 0xffff0000 : 0);
  if ((target & 0xfffc) == 0) return refuse(GP, 0);
  if (!readDescriptor(target, GP, false)) return false;
  const attr = descriptorAttributes();
  const dpl = descriptorDpl();
  if ((attr & (ATTR_S | ATTR_CODE)) != (ATTR_S | ATTR_CODE) || dpl > privilege)
    return refuse(GP, target & 0xfffc);
  if ((attr & ATTR_P) == 0) return refuse(NP, target & 0xfffc);
  if (entry > descriptorLimit()) return refuse(GP, 0);
  const isInner = (attr & ATTR_CONFORMING) == 0 && dpl < privilege;
  const next = isInner ? dpl : privilege;
  const flags = rflags();
  const size: u32 = wide ? 4 : 2;
  const hasError = source == EXCEPTION && hasErrorCode(vector);
  if (isInner) {
    if (!findInnerStack(dpl)) return false;
  } else usePresentStack(gpr(RSP));
  if (!fitsInner(((isInner ? 5 : 3) + (hasError ? 1 : 0)) * size, isInner ? innerSelector & 0xfffc : 0))
    return false;
  if (isInner) {
    pushInner(selector(SS), size);
    pushInner(gpr(RSP), size);
  }
  pushInner(flags | (source == EXCEPTION && (vector != DB || debugSetsRf) ? FLAG_RF : 0), size);
  pushInner(selector(CS), size);
  pushInner(load<u64>(RIP), size);
  if (hasError) pushInner(error, size);
  if (faulted() || !readDescriptor(target, GP, false)) return false;
  // Nothing can fault from here on.
  if (isInner) installInnerStack();
  setGpr(RSP, innerMask() == 0xffff ? (gpr(RSP) & ~0xffff) | innerPointer : innerPointer);
  store<u64>(RIP, entry);
  let masked = flags & ~(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM);
  if ((kind & 1) == 0) masked &= ~FLAG_IF;
  setRflags(masked);
  installCs(target, next);
  store<u32>(INHIBIT, 0);
  return true;
}

function pushWord(base: u64, sp: u64, value: u64): u64 {
  const at = (sp - 2) & 0xffff;
  systemWrite<u16>((base + at) & 0xffffffff, <u16>value);
  return at;
}

function deliverReal(vector: u32): bool {
  if (vector * 4 + 3 > load<u32>(IDT_LIMIT)) return refuse(GP, 0);
  const entry = systemRead<u32>(load<u64>(IDT_BASE) + vector * 4);
  let sp = gpr(RSP);
  const flags = rflags();
  sp = pushWord(segmentBase(SS), sp, flags);
  sp = pushWord(segmentBase(SS), sp, selector(CS));
  sp = pushWord(segmentBase(SS), sp, load<u64>(RIP));
  if (faulted()) return false;
  setGpr(RSP, (gpr(RSP) & ~0xffff) | sp);
  setRflags(flags & ~(FLAG_IF | FLAG_TF | FLAG_AC));
  setSegment(CS, entry >> 16, 0x9b, (<u64>(entry >> 16)) << 4, 0xffff);
  store<u64>(RIP, entry & 0xffff);
  return true;
}

/** IRET in protected and long mode (not to virtual-8086 mode). `size`: operand size in bytes. */
export function interruptReturn(size: u32): void {
  if (!isProtected()) return interruptReturnReal(size);
  const long = is64();
  const flagsNow = rflags();
  if ((flagsNow & FLAG_NT) != 0) return raise(GP, 0);
  const mask: u64 = long ? u64.MAX_VALUE : isWideStack() ? 0xffffffff : 0xffff;
  const sp = gpr(RSP);
  const ip = popWord(sp, mask, size, 0);
  const cs = <u32>popWord(sp, mask, size, 1) & 0xffff;
  const flags = popWord(sp, mask, size, 2);
  if (faulted()) return;
  const privilege = load<u32>(CPL);
  // Virtual-8086 mode is not offered.
  if (!inLongMode() && privilege == 0 && (flags & FLAG_VM) != 0) return raise(GP, 0);
  const rpl = cs & 3;
  if ((cs & 0xfffc) == 0) return raise(GP, 0);
  if (rpl < privilege) return raise(GP, cs & 0xfffc);
  const outer = rpl > privilege;
  let newSp: u64 = 0;
  let ss: u32 = 0;
  if (long || outer) {
    newSp = popWord(sp, mask, size, 3);
    ss = <u32>popWord(sp, mask, size, 4) & 0xffff;
    if (faulted()) return;
  }
  if (!readDescriptor(cs, GP, false)) return;
  const attr = descriptorAttributes();
  const dpl = descriptorDpl();
  if ((attr & (ATTR_S | ATTR_CODE)) != (ATTR_S | ATTR_CODE)) return raise(GP, cs & 0xfffc);
  if ((attr & ATTR_CONFORMING) != 0 ? dpl > rpl : dpl != rpl) return raise(GP, cs & 0xfffc);
  if (isBothWide()) return raise(GP, cs & 0xfffc);
  if ((attr & ATTR_P) == 0) return raise(NP, cs & 0xfffc);
  const to64 = inLongMode() && (attr & ATTR_L) != 0;
  const isInLimit = to64 ? isCanonical(ip) : ip <= descriptorLimit();
  const csDescriptor = cs;
  if (long || outer) {
    if ((ss & 0xfffc) == 0) {
      if (!(to64 && rpl < 3 && ss == rpl)) return raise(GP, 0);
    } else {
      if (!readDescriptor(ss, GP, false)) return;
      const sAttr = descriptorAttributes();
      if ((ss & 3) != rpl || descriptorDpl() != rpl || (sAttr & 0x1a) != 0x12) return raise(GP, ss & 0xfffc);
      if ((sAttr & ATTR_P) == 0) return raise(SSF, ss & 0xfffc);
    }
  }
  if (!isInLimit) return raise(GP, 0);
  // Nothing can fail from here on.
  let changeable: u64 = 0xcd5 | FLAG_TF | FLAG_NT | FLAG_RF;
  if (size > 2) changeable |= FLAG_AC | 0x200000;
  if (privilege == 0) changeable |= FLAG_IOPL | FLAG_VIF | FLAG_VIP;
  if (<u64>privilege <= (flagsNow & FLAG_IOPL) >> 12) changeable |= FLAG_IF;
  setRflags((flagsNow & ~changeable) | (flags & changeable));
  if (long || outer) {
    if ((ss & 0xfffc) == 0) installNullSsSelector(ss, rpl);
    else {
      markAccessed(ss);
      loadFromDescriptor(SS, ss);
    }
  }
  if (readDescriptor(csDescriptor, GP, false)) {
    markAccessed(csDescriptor);
    installCs(csDescriptor, rpl);
  }
  store<u64>(RIP, to64 ? ip : ip & 0xffffffff);
  if (long || outer)
    setGpr(RSP, to64 ? newSp : isWideStack() ? newSp & 0xffffffff : (gpr(RSP) & ~0xffff) | (newSp & 0xffff));
  else setGpr(RSP, mask == 0xffff ? (sp & ~mask) | ((sp + 3 * size) & mask) : (sp + 3 * size) & mask);
  if (outer) dropUnreachable(rpl);
}

function isWideStack(): bool {
  return (attributes(SS) & ATTR_D) != 0;
}
function installNullSsSelector(ss: u32, rpl: u32): void {
  setSegment(SS, ss, 0x93 | (rpl << 5), 0, 0);
}

/** Data segments the outer level may not see are emptied (SDM 2A, IRET). */
export function dropUnreachable(privilege: u32): void {
  dropSegment(ES, privilege);
  dropSegment(DS, privilege);
  dropSegment(FS, privilege);
  dropSegment(GS, privilege);
}
function dropSegment(n: u32, privilege: u32): void {
  const attr = attributes(n);
  if ((selector(n) & 0xfffc) == 0) return;
  if ((attr & (ATTR_CODE | ATTR_CONFORMING)) == (ATTR_CODE | ATTR_CONFORMING)) return;
  // The base stays: in 64-bit mode FS and GS go on with it.
  if (((attr >> 5) & 3) < privilege) setSegment(n, 0, 0, segmentBase(n), 0);
}

/** A word of the frame, read with the rights of the program. */
function popWord(sp: u64, mask: u64, size: u32, index: u32): u64 {
  const at = linear(SS, (sp + index * size) & mask);
  if (size == 8) return implicitRead<u64>(at);
  return size == 4 ? implicitRead<u32>(at) : implicitRead<u16>(at);
}

function interruptReturnReal(size: u32): void {
  const sp = gpr(RSP);
  const ip = popWord(sp, 0xffff, size, 0);
  const cs = <u32>popWord(sp, 0xffff, size, 1) & 0xffff;
  const flags = popWord(sp, 0xffff, size, 2);
  if (!faulted() && ip > segmentLimit(CS)) raise(GP, 0);
  if (faulted()) return;
  setGpr(RSP, (sp & ~0xffff) | ((sp + 3 * size) & 0xffff));
  const keep: u64 = size == 2 ? 0xffff0000 : FLAG_VM | FLAG_VIF | FLAG_VIP;
  setRflags((rflags() & keep) | (flags & ~keep & 0x257fd5));
  setSegment(CS, cs, 0x9b, (<u64>cs) << 4, segmentLimit(CS));
  store<u64>(RIP, ip);
}
