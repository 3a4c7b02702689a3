/**
 * FXSAVE, FXRSTOR and the XSAVE family for the two components of this processor: bit 0 x87, bit 1 SSE. Images are
 * composed aside; memory is touched when the whole of it is known to be there. SDM 1, 10.5 and chapter 13.
 */
import { CPL, FCW, FDP, FIP, FOP, FSW, FTW, MXCSR, SCRATCH, XCR0, XMM } from "../../layout";
import { canWrite, readBytes, writeBytes } from "../../mmu/memory";
import { effectiveAddress } from "../address";
import { faulted, NM, raise, raiseGp0, raiseUd } from "../exceptions";
import { BIT_REX_W, recBits, recIsMem, recOpcode, recReg, recRm } from "../record";
import { CR0_EM, CR0_TS, CR4_OSXSAVE, cr0, cr4, gpr, is64, RAX, RCX, RDX, setGpr } from "../state";
import { initialize, setControl } from "./environment";
import { place } from "./stack";

const IMAGE: u32 = SCRATCH + 0x400;
const HEADER: u32 = IMAGE + 512;
const LEGACY_SIZE: u32 = 512;
const AREA_SIZE: u32 = 576;
const X87: u64 = 1;
const SSE: u64 = 2;
const COMPACT: u64 = 0x8000000000000000;
const MXCSR_DEFAULT: u32 = 0x1f80;
export const MXCSR_MASK: u32 = 0xffff;

/** 0F AE /0 /1 /4 /5 /6, 0F C7 /4, 0F 01 D0 and D1. */
export function stateInstruction(r: u32): void {
  const op = recOpcode(r);
  if (op == 0x01) return (recRm(r) & 7) == 0 ? readControl() : writeControl();
  if (!recIsMem(r)) return raiseUd();
  const n = op == 0xc7 ? 7 : recReg(r) & 7;
  if (n < 2) {
    if ((cr0() & (CR0_EM | CR0_TS)) != 0) return raise(NM, 0);
  } else {
    if ((cr4() & CR4_OSXSAVE) == 0) return raiseUd();
    if ((cr0() & CR0_TS) != 0) return raise(NM, 0);
  }
  const address = effectiveAddress(r);
  if ((address & (n < 2 ? 15 : 63)) != 0) return raiseGp0();
  const wide = (recBits(r) & BIT_REX_W) != 0;
  switch (n) {
    case 0:
      return fxsave(address, wide);
    case 1:
      return fxrstor(address, wide);
    case 4:
      return xsave(address, wide, false);
    case 5:
      return xrstor(address, wide);
    case 6:
      return xsave(address, wide, true);
    case 7:
      return xsavec(address, wide);
  }
  raiseUd();
}

function xmmBytes(): u32 {
  return is64() ? 256 : 128;
}
function composeX87(wide: bool): void {
  store<u16>(IMAGE, <u16>load<u32>(FCW));
  store<u16>(IMAGE, <u16>load<u32>(FSW), 2);
  store<u16>(IMAGE, <u16>load<u32>(FTW), 4);
  store<u16>(IMAGE, <u16>load<u32>(FOP), 6);
  store<u64>(IMAGE, wide ? load<u64>(FIP) : load<u64>(FIP) & 0xffffffff, 8);
  store<u64>(IMAGE, wide ? load<u64>(FDP) : load<u64>(FDP) & 0xffffffff, 16);
  for (let i: u32 = 0; i < 8; i++) {
    const at = IMAGE + 32 + i * 16;
    store<u64>(at, load<u64>(place(i)));
    store<u64>(at, load<u16>(place(i), 8), 8);
  }
}
function composeMxcsr(): void {
  store<u32>(IMAGE, load<u32>(MXCSR), 24);
  store<u32>(IMAGE, MXCSR_MASK, 28);
}
function applyX87(wide: bool): void {
  store<u32>(FSW, load<u16>(IMAGE, 2));
  store<u32>(FTW, load<u8>(IMAGE, 4));
  store<u32>(FOP, load<u16>(IMAGE, 6) & 0x7ff);
  store<u64>(FIP, wide ? load<u64>(IMAGE, 8) : load<u32>(IMAGE, 8));
  store<u64>(FDP, wide ? load<u64>(IMAGE, 16) : load<u32>(IMAGE, 16));
  setControl(load<u16>(IMAGE));
  for (let i: u32 = 0; i < 8; i++) {
    const at = IMAGE + 32 + i * 16;
    store<u64>(place(i), load<u64>(at));
    store<u64>(place(i), load<u16>(at, 8), 8);
  }
}

function fxsave(address: u64, wide: bool): void {
  if (!canWrite(address, LEGACY_SIZE)) return;
  composeX87(wide);
  composeMxcsr();
  memory.copy(IMAGE + 160, XMM, xmmBytes());
  writeBytes(address, IMAGE, 160 + xmmBytes());
}
function fxrstor(address: u64, wide: bool): void {
  if (!readBytes(address, IMAGE, LEGACY_SIZE)) return;
  if ((load<u32>(IMAGE, 24) & ~MXCSR_MASK) != 0) return raiseGp0();
  applyX87(wide);
  store<u32>(MXCSR, load<u32>(IMAGE, 24));
  memory.copy(XMM, IMAGE + 160, xmmBytes());
}

function requested(): u64 {
  return load<u64>(XCR0) & ((gpr(RDX) << 32) | (gpr(RAX) & 0xffffffff));
}
/** The components that are not in their initial configuration (XINUSE). */
function inUse(): u64 {
  let bits: u64 = 0;
  let sum: u64 =
    load<u32>(FSW) |
    load<u32>(FTW) |
    load<u32>(FOP) |
    (load<u32>(FCW) ^ 0x37f) |
    load<u64>(FIP) |
    load<u64>(FDP);
  for (let i: u32 = 0; i < 8; i++) sum |= load<u64>(place(i)) | load<u64>(place(i), 8);
  if (sum != 0) bits |= X87;
  sum = 0;
  for (let i: u32 = 0; i < xmmBytes(); i += 8) sum |= load<u64>(XMM + i);
  if (sum != 0) bits |= SSE;
  return bits;
}

function writeComponents(address: u64, wide: bool, components: u64, mxcsr: bool): void {
  if ((components & X87) != 0) {
    composeX87(wide);
    writeBytes(address, IMAGE, 24);
    writeBytes(address + 32, IMAGE + 32, 128);
  }
  if (mxcsr) {
    composeMxcsr();
    writeBytes(address + 24, IMAGE + 24, 8);
  }
  if ((components & SSE) != 0) writeBytes(address + 160, XMM, xmmBytes());
}

/** XSAVE, XSAVEOPT: the latter leaves out what is in its initial configuration. */
function xsave(address: u64, wide: bool, optimized: bool): void {
  if (!canWrite(address, AREA_SIZE) || !readBytes(address + LEGACY_SIZE, HEADER, 8)) return;
  const wanted = requested(),
    used = inUse();
  writeComponents(address, wide, optimized ? wanted & used : wanted, (wanted & SSE) != 0);
  store<u64>(HEADER, (load<u64>(HEADER) & ~wanted) | (used & wanted));
  writeBytes(address + LEGACY_SIZE, HEADER, 8);
}
function xsavec(address: u64, wide: bool): void {
  if (!canWrite(address, AREA_SIZE)) return;
  const wanted = requested();
  let used = inUse() & wanted;
  if ((wanted & SSE) != 0 && load<u32>(MXCSR) != MXCSR_DEFAULT) used |= SSE;
  writeComponents(address, wide, used, (used & SSE) != 0);
  store<u64>(HEADER, used);
  store<u64>(HEADER, wanted | COMPACT, 8);
  writeBytes(address + LEGACY_SIZE, HEADER, 16);
}

function xrstor(address: u64, wide: bool): void {
  if (!readBytes(address, IMAGE, LEGACY_SIZE) || !readBytes(address + LEGACY_SIZE, HEADER, 64)) return;
  const present = load<u64>(HEADER),
    format = load<u64>(HEADER, 8);
  const compact = (format & COMPACT) != 0;
  let reserved: u64 = compact ? 0 : format;
  const end: u32 = compact ? 64 : 24;
  for (let i: u32 = 16; i < end; i += 8) reserved |= load<u64>(HEADER + i);
  if (reserved != 0 || (present & ~load<u64>(XCR0)) != 0) return raiseGp0();
  if (compact && ((format & ~COMPACT & ~load<u64>(XCR0)) != 0 || (present & ~format) != 0)) return raiseGp0();
  const wanted = requested();
  const loaded = wanted & present;
  const loadsMxcsr = ((compact ? loaded : wanted) & SSE) != 0;
  if (loadsMxcsr && (load<u32>(IMAGE, 24) & ~MXCSR_MASK) != 0) return raiseGp0();
  if ((loaded & X87) != 0) applyX87(wide);
  else if ((wanted & X87) != 0) {
    initialize();
    for (let i: u32 = 0; i < 8; i++) memory.fill(place(i), 0, 16);
  }
  if ((wanted & SSE) == 0) return;
  if ((loaded & SSE) != 0) memory.copy(XMM, IMAGE + 160, xmmBytes());
  else memory.fill(XMM, 0, xmmBytes());
  store<u32>(MXCSR, loadsMxcsr ? load<u32>(IMAGE, 24) : MXCSR_DEFAULT);
}

function readControl(): void {
  if ((cr4() & CR4_OSXSAVE) == 0) return raiseUd();
  const n = <u32>gpr(RCX);
  if (n > 1) return raiseGp0();
  setGpr(RAX, n == 0 ? load<u64>(XCR0) : load<u64>(XCR0) & inUse());
  setGpr(RDX, 0);
}
function writeControl(): void {
  if ((cr4() & CR4_OSXSAVE) == 0) return raiseUd();
  const value = (gpr(RDX) << 32) | (gpr(RAX) & 0xffffffff);
  if (load<u32>(CPL) != 0 || <u32>gpr(RCX) != 0) return raiseGp0();
  if ((value & X87) == 0 || (value & ~(X87 | SSE)) != 0) return raiseGp0();
  store<u64>(XCR0, value);
}
