/**
 * What can enter a machine from outside. Each kind has its time, so that a run can be repeated from its inputs; the
 * later ones exist to break things on purpose, at an exact instruction.
 */
import type { FpuState } from "./fpu.ts";
import type { GeneralRegister, Segment, SegmentRegister, SystemRegister } from "./registers.ts";

/** Reported by a machine-check bank (SDM 3B 15.3.2). */
export interface MachineCheck {
  /** 0 or 1. Default 0. */
  readonly bank?: number;
  /** IA32_MCi_STATUS; bit 63 (valid) is set for you. */
  readonly status: bigint;
  /** IA32_MCi_ADDR. */
  readonly address?: bigint;
  /** IA32_MCi_MISC. */
  readonly misc?: bigint;
  /** Whether the interrupted program may go on (RIPV). Default true. */
  readonly restartable?: boolean;
}

/** How an interrupt line fails. `edges`: how many it applies to; without it, until the line is healed. */
export type LineFault =
  | { readonly kind: "healthy" }
  | { readonly kind: "drop"; readonly edges?: number }
  | { readonly kind: "delay"; readonly edges?: number; readonly nanoseconds: number }
  | { readonly kind: "storm"; readonly edges?: number; readonly nanoseconds: number };

/** Registers that `setRegister` knows. */
export type RegisterName = GeneralRegister | SystemRegister | "rflags";

/** An input without its time. */
export type Action =
  | { readonly kind: "serial"; readonly port: 0 | 1; readonly bytes: Uint8Array }
  | { readonly kind: "serial-break"; readonly port: 0 | 1 }
  | { readonly kind: "memory"; readonly address: bigint; readonly bytes: Uint8Array }
  | { readonly kind: "flip"; readonly address: bigint; readonly bit: number }
  | { readonly kind: "register"; readonly cpu: number; readonly name: RegisterName; readonly value: bigint }
  | {
      readonly kind: "segment";
      readonly cpu: number;
      readonly name: SegmentRegister;
      readonly segment: Segment;
    }
  | { readonly kind: "fpu"; readonly cpu: number; readonly state: FpuState }
  | { readonly kind: "doorbell-answer"; readonly result: number }
  | { readonly kind: "doorbell-signal"; readonly high: boolean }
  | { readonly kind: "block-attach"; readonly sectors: bigint }
  | { readonly kind: "block-complete"; readonly status: number }
  | { readonly kind: "nmi"; readonly cpu: number }
  | { readonly kind: "machine-check"; readonly cpu: number; readonly check: MachineCheck }
  | { readonly kind: "vector"; readonly cpu: number; readonly vector: number }
  | { readonly kind: "line"; readonly line: number; readonly fault: LineFault }
  | { readonly kind: "freeze"; readonly cpu: number; readonly frozen: boolean };

/** Something that entered the machine from outside, and when in guest nanoseconds. */
export type Input = Action & { readonly time: bigint };
