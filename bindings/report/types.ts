/** What the parser makes of a kernel log: plain data, ready for JSON. Addresses are bigint. */
import type { SourceFrame } from "../symbols/table.ts";

/** Version of the JSON form of a CrashReport; a new field is minor, a changed one major. */
export const SCHEMA_VERSION = "1.0";

export type CrashKind =
  /** A page fault, #GP or other exception in the kernel, with register dump. */
  | "oops"
  /** `BUG()`: kernel BUG at FILE:LINE! */
  | "bug"
  | "warning"
  | "panic"
  | "kasan"
  | "kfence"
  | "ubsan"
  | "soft-lockup"
  | "hard-lockup"
  | "rcu-stall"
  | "hung-task"
  /** Scheduling while atomic, sleeping in atomic context. */
  | "atomic-sleep"
  | "bad-page"
  /** SLUB's own checks: BUG kmalloc-64 (...): Redzone overwritten. */
  | "slub"
  | "oom"
  | "allocation-failure"
  /** An NMI that nobody knows or that tells of an error. */
  | "nmi"
  /** A machine check. */
  | "mce"
  /** A signal that a user process died of, as `show_unhandled_signals` prints it. */
  | "user-fault";

/** A place in code as the kernel prints it: symbol+offset/size [module]. */
export interface CodeLocation {
  readonly symbol?: string;
  readonly offset?: number;
  readonly size?: number;
  readonly module?: string;
  /** Raw address, when the log has one. */
  readonly address?: bigint;
  /** Source position, when the report has been decoded with the kernel's symbols. */
  readonly file?: string;
  readonly line?: number;
  /** When the place is in inlined functions: these, innermost first, then the one that has the code. */
  readonly inlined?: readonly SourceFrame[];
}

export interface InstructionPointer extends CodeLocation {
  readonly selector: number;
}

export type TraceContext = "task" | "irq" | "softirq" | "nmi" | "exception" | "entry";

export interface TraceFrame extends CodeLocation {
  /** False for `? symbol`: a value found on the stack, perhaps of an older call. */
  readonly reliable: boolean;
  readonly context: TraceContext;
}

/** A taint flag by its letter (Documentation/admin-guide/tainted-kernels.rst). */
export interface TaintFlag {
  readonly letter: string;
  readonly bit: number;
  readonly meaning: string;
}

export interface Fault {
  readonly access?: "read" | "write" | "execute";
  readonly mode?: "kernel" | "user";
  /** The address that could not be accessed. */
  readonly address?: bigint;
  /** Hardware error code. */
  readonly errorCode?: number;
  /** The kernel's words behind the error code, e.g. "not-present page". */
  readonly reason?: string;
}

export interface CodeBytes {
  readonly bytes: readonly number[];
  /** Index of the byte in angle brackets, where RIP pointed; -1 if none is marked. */
  readonly at: number;
}

/** Registers by lower-case name: rax, rsp, eflags, cr2, fs, gs, knlgs, ... */
export type RegisterValues = { readonly [name: string]: bigint };

export interface UserState {
  readonly rip: InstructionPointer;
  readonly registers: RegisterValues;
}

export interface LoadedModule {
  readonly name: string;
  /** Letters in brackets: O out of tree, E unsigned, P proprietary, + loading, - unloading. */
  readonly flags: string;
}

export interface Problem {
  /** Number of the line in the log, from 1. */
  readonly line: number;
  readonly message: string;
}

export interface CrashReport {
  readonly kind: CrashKind;
  /** One line fit for a list: what happened, and in which function. */
  readonly title: string;
  /** The report's first line as the kernel printed it. */
  readonly headline: string;
  /** First and last line in the log, from 1. */
  readonly lines: readonly [number, number];
  /** Seconds, from printk's time stamp. */
  readonly time?: number;
  /** `[#n]`: which oops since boot. */
  readonly number?: number;
  /** Words behind the number: PREEMPT, SMP, KASAN, NOPTI, ... */
  readonly options: readonly string[];
  readonly cpu?: number;
  readonly pid?: number;
  readonly comm?: string;
  readonly taint: readonly TaintFlag[];
  readonly release?: string;
  readonly hardware?: string;
  /** Source position of BUG() and WARN(). */
  readonly source?: { readonly file: string; readonly line: number };
  readonly fault?: Fault;
  readonly rip?: InstructionPointer;
  readonly code?: CodeBytes;
  readonly registers: RegisterValues;
  readonly trace: readonly TraceFrame[];
  readonly user?: UserState;
  readonly modules: readonly LoadedModule[];
  /** What did not fit; the report holds everything that did. */
  readonly problems: readonly Problem[];
}
