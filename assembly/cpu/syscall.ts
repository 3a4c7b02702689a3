/** SYSCALL, SYSRET, SYSENTER, SYSEXIT: between rings without a gate. SDM 2B and SDM 3A 5.8.7, 5.8.8. */

import { CPL, FMASK, LSTAR, RIP, STAR, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP } from "../layout";
import { stepByFlags } from "./debug";
import { privileged, raiseGp0, raiseUd } from "./exceptions";
import { rflags, setRflags } from "./flags";
import * as s from "./state";

/** SYSCALL, 64-bit mode (SDM 2B). */
export function systemCall(): void {
  if ((s.efer() & s.EFER_SCE) == 0) return raiseUd();
  const flags = rflags();
  s.setGpr(s.RCX, s.rip());
  s.setGpr(11, flags & ~s.FLAG_RF);
  store<u64>(RIP, load<u64>(LSTAR));
  setRflags(flags & ~load<u64>(FMASK) & ~s.FLAG_RF);
  stepByFlags();
  const selector = <u32>(load<u64>(STAR) >> 32) & 0xfffc;
  s.setSegment(s.CS, selector, 0xa09b, 0, 0xffffffff);
  s.setSegment(s.SS, selector + 8, 0xc093, 0, 0xffffffff);
  store<u32>(CPL, 0);
  s.selectMode();
}

export function systemReturn(size: u32): void {
  if ((s.efer() & s.EFER_SCE) == 0 || !s.is64()) return raiseUd();
  if (!privileged()) return;
  const target = s.gpr(s.RCX);
  if (size == 8 && !s.isCanonical(target)) return raiseGp0();
  const base = <u32>(load<u64>(STAR) >> 48);
  setRflags((s.gpr(11) & 0x3c7fd7) | 2);
  stepByFlags();
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
export function sysenter(): void {
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

export function sysexit(size: u32): void {
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
