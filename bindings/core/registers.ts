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
  const general = GENERAL_REGISTERS.map((name, index) => [name, u64(at.GPR + index * 8)] as const);
  const system = Object.entries(SYSTEM_REGISTERS).map(([name, address]) => [name, u64(address)] as const);
  const segments = SEGMENT_REGISTERS.map((name, index) => {
    const base = at.SEGMENTS + index * at.SEGMENT_SIZE;
    const segment: Segment = {
      selector: u32(base) & 0xffff,
      base: u64(base + 8),
      limit: u32(base + 16),
      attributes: u32(base + 4),
    };
    return [name, segment] as const;
  });
  return {
    ...(Object.fromEntries([...general, ...system]) as {
      [name in GeneralRegister | SystemRegister]: bigint;
    }),
    rflags,
    cpl: u32(at.CPL),
    halted: u32(at.ACTIVITY) !== 0,
    segments: Object.fromEntries(segments) as { [name in SegmentRegister]: Segment },
  };
}

/** Address in linear memory of a register of the active vCPU that can be set. */
export function registerAddress(name: GeneralRegister | SystemRegister): number {
  const index = GENERAL_REGISTERS.indexOf(name as GeneralRegister);
  return index >= 0 ? at.GPR + index * 8 : SYSTEM_REGISTERS[name as SystemRegister];
}
