/** What an instruction vector is: one program of a few instructions, its state before, and what a CPU made of it. */
import type { FpuState } from "../core/fpu.ts";

export interface Region {
  readonly name: "data" | "ro" | "hi" | "code";
  readonly base: bigint;
  readonly size: number;
  readonly writable: boolean;
  readonly executable: boolean;
}

export interface VectorState {
  /** Sixteen, in encoding order. */
  readonly general: readonly bigint[];
  readonly rip: bigint;
  readonly rflags: bigint;
  readonly fpu: FpuState;
  readonly fsBase: bigint;
  readonly gsBase: bigint;
}

export interface MemoryBytes {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

export interface VectorException {
  readonly vector: number;
  /** 0 where the vector has none. */
  readonly error: number;
  /** CR2, for #PF only. */
  readonly address?: bigint;
}

/** What the manual leaves undefined and a comparison leaves out. */
export interface Undefined {
  readonly flags: bigint;
  /** Register number to bits. */
  readonly general: ReadonlyMap<number, bigint>;
  readonly memory: readonly { readonly address: bigint; readonly length: number }[];
  readonly statusWord: number;
}

export interface Vector {
  readonly id: string;
  /** For instance "int.alu". */
  readonly group: string;
  readonly mnemonic: string;
  readonly tags: readonly string[];
  /** Disassembly, for messages. */
  readonly text: string;
  readonly code: Uint8Array;
  /** Instructions to execute; a repeated string instruction is one. */
  readonly steps: number;
  readonly image: number;
  readonly before: VectorState;
  /** Written over the image before the run. */
  readonly memoryBefore: readonly MemoryBytes[];
  readonly after: VectorState;
  /** What of memory differs afterwards. */
  readonly memoryAfter: readonly MemoryBytes[];
  /** Raised by the last instruction; the state is then what a handler sees. */
  readonly exception: VectorException | undefined;
  readonly undefinedParts: Undefined;
  /** Results that a CPU may approximate: "f32" (RCP, RSQRT) or "x87" (transcendental functions). */
  readonly approximate: "f32" | "x87" | undefined;
}

/** What a run gave. */
export interface Outcome {
  readonly state: VectorState;
  readonly exception: VectorException | undefined;
  /** Contents of every writable region. */
  readonly memory: ReadonlyMap<string, Uint8Array>;
}
