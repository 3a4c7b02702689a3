/**
 * Named access to the active vCPU's block. Registers lie at constant addresses, because a constant address
 * costs no more than a local and a pointer costs five times as much.
 */
import {
  CODE_MODE,
  CPL,
  CPU,
  CR0,
  CR4,
  EFER,
  FLAGS,
  GPR,
  RIP,
  SEGMENT_SIZE,
  SEGMENTS,
  TLB_BASE,
  TLB_MODE,
  TLB_SIZE,
} from "../layout";

export const ES: u32 = 0;
export const CS: u32 = 1;
export const SS: u32 = 2;
export const DS: u32 = 3;
export const FS: u32 = 4;
export const GS: u32 = 5;
export const LDTR: u32 = 6;
export const TR: u32 = 7;

export const RAX: u32 = 0;
export const RCX: u32 = 1;
export const RDX: u32 = 2;
export const RBX: u32 = 3;
export const RSP: u32 = 4;
export const RBP: u32 = 5;
export const RSI: u32 = 6;
export const RDI: u32 = 7;

export const FLAG_CF: u64 = 1;
export const FLAG_PF: u64 = 4;
export const FLAG_AF: u64 = 0x10;
export const FLAG_ZF: u64 = 0x40;
export const FLAG_SF: u64 = 0x80;
export const FLAG_TF: u64 = 0x100;
export const FLAG_IF: u64 = 0x200;
export const FLAG_DF: u64 = 0x400;
export const FLAG_OF: u64 = 0x800;
export const FLAG_IOPL: u64 = 0x3000;
export const FLAG_NT: u64 = 0x4000;
export const FLAG_RF: u64 = 0x10000;
export const FLAG_VM: u64 = 0x20000;
export const FLAG_AC: u64 = 0x40000;
export const FLAG_VIF: u64 = 0x80000;
export const FLAG_VIP: u64 = 0x100000;
export const FLAG_ID: u64 = 0x200000;
export const STATUS_FLAGS: u64 = 0x8d5;

export const CR0_PE: u64 = 1;
export const CR0_MP: u64 = 2;
export const CR0_EM: u64 = 4;
export const CR0_TS: u64 = 8;
export const CR0_NE: u64 = 0x20;
export const CR0_WP: u64 = 0x10000;
export const CR0_AM: u64 = 0x40000;
export const CR0_NW: u64 = 0x20000000;
export const CR0_CD: u64 = 0x40000000;
export const CR0_PG: u64 = 0x80000000;
export const CR4_TSD: u64 = 4;
export const CR4_DE: u64 = 8;
export const CR4_PSE: u64 = 0x10;
export const CR4_PAE: u64 = 0x20;
export const CR4_MCE: u64 = 0x40;
export const CR4_PGE: u64 = 0x80;
export const CR4_OSFXSR: u64 = 0x200;
export const CR4_OSXMMEXCPT: u64 = 0x400;
export const CR4_UMIP: u64 = 0x800;
export const CR4_FSGSBASE: u64 = 0x10000;
export const CR4_PCIDE: u64 = 0x20000;
export const CR4_OSXSAVE: u64 = 0x40000;
export const CR4_SMEP: u64 = 0x100000;
export const CR4_SMAP: u64 = 0x200000;
export const EFER_SCE: u64 = 1;
export const EFER_LME: u64 = 0x100;
export const EFER_LMA: u64 = 0x400;
export const EFER_NXE: u64 = 0x800;

export function gpr(n: u32): u64 {
  return load<u64>(GPR + (n << 3));
}
export function setGpr(n: u32, value: u64): void {
  store<u64>(GPR + (n << 3), value);
}
export function rip(): u64 {
  return load<u64>(RIP);
}
export function setRip(value: u64): void {
  store<u64>(RIP, value);
}
export function cpl(): u32 {
  return load<u32>(CPL);
}
export function cr0(): u64 {
  return load<u64>(CR0);
}
export function cr4(): u64 {
  return load<u64>(CR4);
}
export function efer(): u64 {
  return load<u64>(EFER);
}
export function is64(): bool {
  return load<u32>(CODE_MODE) == 64;
}
export function inLongMode(): bool {
  return (load<u64>(EFER) & EFER_LMA) != 0;
}
export function isProtected(): bool {
  return (load<u64>(CR0) & CR0_PE) != 0;
}
export function inVm86(): bool {
  return (load<u64>(FLAGS) & FLAG_VM) != 0;
}

// Segment registers: selector, attributes (descriptor bits 40-47 and, from bit 12, 52-55), base, limit.
/** Offset of the base in a segment's block. */
export const SEGMENT_BASE: u32 = 8;
export function segmentAt(n: u32): u32 {
  return SEGMENTS + n * SEGMENT_SIZE;
}
export function selector(n: u32): u32 {
  return load<u32>(segmentAt(n));
}
export function attributes(n: u32): u32 {
  return load<u32>(segmentAt(n) + 4);
}
export function segmentBase(n: u32): u64 {
  return load<u64>(segmentAt(n) + 8);
}
export function segmentLimit(n: u32): u32 {
  return load<u32>(segmentAt(n) + 16);
}
export function setSegmentBase(n: u32, base: u64): void {
  store<u64>(segmentAt(n) + 8, base);
}
export function setSegment(n: u32, sel: u32, attr: u32, base: u64, limit: u32): void {
  const at = segmentAt(n);
  store<u32>(at, sel);
  store<u32>(at + 4, attr);
  store<u64>(at + 8, base);
  store<u32>(at + 16, limit);
}

/** A canonical address has bits 63-47 equal (SDM 1, 3.3.7.1). */
export function isCanonical(address: u64): bool {
  return <u64>(((<i64>address) << 16) >> 16) == address;
}

/** The TLB of programs. */
export const TLB_USER: u32 = 2;
/** The TLB that stays empty: with alignment checks in force every access takes the slow path, which makes them. */
export const TLB_NEVER: u32 = 3;

/** Picks the TLB of the privilege in force: user, supervisor, supervisor with SMAP at work. */
export function selectTlb(): void {
  let mode: u32 = 0;
  if (load<u32>(CPL) == 3)
    mode = (load<u64>(FLAGS) & FLAG_AC) != 0 && (load<u64>(CR0) & CR0_AM) != 0 ? TLB_NEVER : TLB_USER;
  else if ((load<u64>(CR4) & CR4_SMAP) != 0 && (load<u64>(FLAGS) & FLAG_AC) == 0) mode = 1;
  store<u32>(TLB_MODE, load<u32>(TLB_BASE) + mode * TLB_SIZE);
}

/** Derives privilege and code size from CS, CR0, EFER. */
export function selectMode(): void {
  let mode: u32 = 16;
  if ((load<u64>(CR0) & CR0_PE) != 0 && (load<u64>(FLAGS) & FLAG_VM) == 0) {
    const attr = attributes(CS);
    if ((load<u64>(EFER) & EFER_LMA) != 0 && (attr & 0x2000) != 0) mode = 64;
    else if ((attr & 0x4000) != 0) mode = 32;
  }
  store<u32>(CODE_MODE, mode);
  selectTlb();
}

export function cpuField(offset: u32): u32 {
  return CPU + offset;
}
