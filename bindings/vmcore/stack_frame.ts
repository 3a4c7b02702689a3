/** What a stack trace is made of. */

import type { SymbolPlace } from "./kernel_symbols.ts";
import type { SavedRegisters } from "./registers.ts";

export type Registers = SavedRegisters;

/** A frame that the unwinder found. */
export type StackFrame =
  /** A call: the address that it returns to, and where on the stack that is. */
  | {
      readonly kind: "call";
      readonly address: bigint;
      readonly stack: bigint;
      readonly symbol: SymbolPlace | undefined;
    }
  /** Registers of what an exception or interrupt stopped in the kernel. */
  | {
      readonly kind: "exception";
      readonly address: bigint;
      readonly symbol: SymbolPlace | undefined;
      readonly registers: SavedRegisters;
    }
  /** Registers of user code: the end of a trace. */
  | { readonly kind: "user"; readonly address: bigint; readonly registers: SavedRegisters }
  /** The frames before are on another stack: `IRQ`, `NMI exception`. */
  | { readonly kind: "stack"; readonly name: string };
