/** The registers of one vCPU as the host sees them. */
import * as at from "./layout.ts";

export const GENERAL_REGISTERS = [
  "rax",
  "rcx",
  "rdx",
  "rbx",
  "rsp",
  "rbp",
  "rsi",
  "rdi",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
] as const;
/** The sixteen general registers and RIP, in lower case. */
export type GeneralRegister = (typeof GENERAL_REGISTERS)[number];

/** Control registers and model-specific ones (SDM 3A 2.5). */
export type SystemRegister =
  | "rip"
  | "cr0"
  | "cr2"
  | "cr3"
  | "cr4"
  | "efer"
  | "star"
  | "lstar"
  | "fmask"
  | "kernelGsBase"
  | "gdtBase"
  | "gdtLimit"
  | "idtBase"
  | "idtLimit"
  | "dr0"
  | "dr1"
  | "dr2"
  | "dr3"
  | "dr6"
  | "dr7"
  | "cstar"
  | "sysenterCs"
  | "sysenterEsp"
  | "sysenterEip"
  | "pat"
  | "tscOffset"
  | "tscAux"
  | "xcr0";

const SYSTEM_REGISTERS: { readonly [name in SystemRegister]: number } = {
  rip: at.RIP,
  cr0: at.CR0,
  cr2: at.CR2,
  cr3: at.CR3,
  cr4: at.CR4,
  efer: at.EFER,
  star: at.STAR,
  lstar: at.LSTAR,
  fmask: at.FMASK,
  kernelGsBase: at.KERNEL_GS_BASE,
  gdtBase: at.GDT_BASE,
  gdtLimit: at.GDT_LIMIT,
  idtBase: at.IDT_BASE,
  idtLimit: at.IDT_LIMIT,
  dr0: at.DR,
  dr1: at.DR + 8,
  dr2: at.DR + 16,
  dr3: at.DR + 24,
  dr6: at.DR + 48,
  dr7: at.DR + 56,
  cstar: at.CSTAR,
  sysenterCs: at.SYSENTER_CS,
  sysenterEsp: at.SYSENTER_ESP,
  sysenterEip: at.SYSENTER_EIP,
  pat: at.PAT,
  tscOffset: at.TSC_OFFSET,
  tscAux: at.TSC_AUX,
  xcr0: at.XCR0,
};

export const SEGMENT_REGISTERS = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"] as const;
/** Segment registers, LDTR and TR, in lower case. */
export type SegmentRegister = (typeof SEGMENT_REGISTERS)[number];

/** A segment register with its hidden part. `attributes`: descriptor bits 40-47 and, from bit 12, 52-55. */
export interface Segment {
  readonly selector: number;
  readonly base: bigint;
  readonly limit: number;
  readonly attributes: number;
}

/** All registers of a vCPU at one moment. */
export type Registers = {
  readonly [name in GeneralRegister | SystemRegister]: bigint;
} & {
  readonly rflags: bigint;
  readonly cpl: number;
  readonly halted: boolean;
  readonly segments: { readonly [name in SegmentRegister]: Segment };
};

/** Reads a vCPU block that begins at `block`. */
export function readRegisters(view: DataView, block: number, rflags: bigint): Registers {
  const shift = block - at.CPU;
  const u64 = (address: number): bigint => view.getBigUint64(address + shift, true);
  const u32 = (address: number): number => view.getUint32(address + shift, true);
  const general = (number: number): bigint => u64(at.GPR + number * 8);
  const segment = (number: number): Segment => {
    const base = at.SEGMENTS + number * at.SEGMENT_SIZE;
    return {
      selector: u32(base) & 0xffff,
      base: u64(base + 8),
      limit: u32(base + 16),
      attributes: u32(base + 4),
    };
  };
  // Read at every stop, and an object that is written out is made twenty times faster than one of a table's entries.
  return {
    rax: general(0),
    rcx: general(1),
    rdx: general(2),
    rbx: general(3),
    rsp: general(4),
    rbp: general(5),
    rsi: general(6),
    rdi: general(7),
    r8: general(8),
    r9: general(9),
    r10: general(10),
    r11: general(11),
    r12: general(12),
    r13: general(13),
    r14: general(14),
    r15: general(15),
    rip: u64(at.RIP),
    cr0: u64(at.CR0),
    cr2: u64(at.CR2),
    cr3: u64(at.CR3),
    cr4: u64(at.CR4),
    efer: u64(at.EFER),
    star: u64(at.STAR),
    lstar: u64(at.LSTAR),
    fmask: u64(at.FMASK),
    kernelGsBase: u64(at.KERNEL_GS_BASE),
    gdtBase: u64(at.GDT_BASE),
    gdtLimit: u64(at.GDT_LIMIT),
    idtBase: u64(at.IDT_BASE),
    idtLimit: u64(at.IDT_LIMIT),
    dr0: u64(at.DR),
    dr1: u64(at.DR + 8),
    dr2: u64(at.DR + 16),
    dr3: u64(at.DR + 24),
    dr6: u64(at.DR + 48),
    dr7: u64(at.DR + 56),
    cstar: u64(at.CSTAR),
    sysenterCs: u64(at.SYSENTER_CS),
    sysenterEsp: u64(at.SYSENTER_ESP),
    sysenterEip: u64(at.SYSENTER_EIP),
    pat: u64(at.PAT),
    tscOffset: u64(at.TSC_OFFSET),
    tscAux: u64(at.TSC_AUX),
    xcr0: u64(at.XCR0),
    rflags,
    cpl: u32(at.CPL),
    halted: u32(at.ACTIVITY) !== 0,
    segments: {
      es: segment(0),
      cs: segment(1),
      ss: segment(2),
      ds: segment(3),
      fs: segment(4),
      gs: segment(5),
      ldtr: segment(6),
      tr: segment(7),
    },
  };
}

/** Address in linear memory of a register of the active vCPU that can be set. */
export function registerAddress(name: GeneralRegister | SystemRegister): number {
  const index = GENERAL_REGISTERS.indexOf(name as GeneralRegister);
  return index >= 0 ? at.GPR + index * 8 : SYSTEM_REGISTERS[name as SystemRegister];
}
