/** What the parser makes of a kernel log: plain data, ready for JSON. Addresses are bigint. */
import type { SourceFrame } from "../symbols/table.ts";

/** Version of the JSON form of a CrashReport and of the command's documents; a new field is minor, a changed one major. */
export const SCHEMA_VERSION = "1.0";

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

/** Stack that a frame was on: `<IRQ>`, `<NMI>`, ... in the log; `task` without a mark. */
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

/** What a page fault was about (Linux arch/x86/mm/fault.c, show_fault_oops). */
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

/** The `Code:` line: the instruction bytes around RIP. */
export interface CodeBytes {
  readonly bytes: readonly number[];
  /** Index of the byte in angle brackets, where RIP pointed; -1 if none is marked. */
  readonly at: number;
}

/** Registers by lower-case name: rax, rsp, eflags, cr2, fs, gs, knlgs, ... */
export type RegisterValues = { readonly [name: string]: bigint };

/** Registers of the user program that entered the kernel, at the end of a trace. */
export interface UserState {
  readonly rip: InstructionPointer;
  readonly registers: RegisterValues;
}

/** A module of the `Modules linked in:` line. */
export interface LoadedModule {
  readonly name: string;
  /** Letters in brackets: O out of tree, E unsigned, P proprietary, + loading, - unloading. */
  readonly flags: string;
}

/** Something in a log that did not fit, or was expected and not found. */
export interface Problem {
  /** Number of the line in the log, from 1. */
  readonly line: number;
  readonly message: string;
}

/** A stack that was kept when an object was allocated or freed. */
export interface StoredStack {
  readonly task: number;
  readonly cpu?: number;
  readonly frames: readonly TraceFrame[];
}

/** What all reports have. */
export interface ReportBase {
  /** syzkaller's title: what happened, and in which function. */
  readonly title: string;
  /** Other titles under which the same bug may be found. */
  readonly altTitles: readonly string[];
  /** syzkaller's class of crashes, such as `KASAN-USE-AFTER-FREE-READ`; "UNKNOWN" when it has none. */
  readonly type: string;
  /** The function that the title blames, without compiler suffixes; none when no frame was fit. */
  readonly frame?: string;
  /** The title cannot be trusted: no trace, no frame, or a line torn apart. */
  readonly corrupted: boolean;
  /** Equal for reports of the same bug: kind, type and the first frames, without addresses and names of tasks. */
  readonly dedupeKey: string;
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
  readonly workqueue?: string;
  /** Source position of BUG(), WARN(), UBSAN and sleeping functions. */
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
  /** From 0 to 1: the share of what such a report should have that was found. */
  readonly confidence: number;
}

/** A page fault, #GP or other exception in the kernel, with register dump. */
export interface OopsReport extends ReportBase {
  readonly kind: "oops";
}
/** `BUG()`, and checks that say BUG: without an exception. */
export interface BugReport extends ReportBase {
  readonly kind: "bug";
}
export interface WarningReport extends ReportBase {
  readonly kind: "warning";
  /** What WARN() was given to say. */
  readonly message?: string;
}
export interface PanicReport extends ReportBase {
  readonly kind: "panic";
  /** Behind "not syncing: ". */
  readonly message: string;
}
export interface KasanReport extends ReportBase {
  readonly kind: "kasan";
  readonly kasan: {
    /** use-after-free, slab-out-of-bounds, ... */
    readonly bug: string;
    readonly access?: "read" | "write" | "free";
    /** Bytes of the access, as they were: up to 2^64 - 1. */
    readonly size?: bigint;
    readonly address?: bigint;
    /** Software and hardware tags: the pointer's and the memory's. */
    readonly tags?: { readonly pointer: number; readonly memory: number };
    readonly allocated?: StoredStack;
    readonly freed?: StoredStack;
    readonly object?: { readonly address: bigint; readonly cache?: string; readonly size?: number };
    /** Shadow bytes around the address, by the address of each row's first byte. */
    readonly shadow: readonly {
      readonly address: bigint;
      readonly bytes: readonly number[];
      readonly marked: boolean;
    }[];
  };
}
export interface KfenceReport extends ReportBase {
  readonly kind: "kfence";
  readonly kfence: {
    /** out-of-bounds, use-after-free, memory corruption, invalid free, invalid */
    readonly bug: string;
    readonly access?: "read" | "write" | "free";
    /** Absent where the log has a hash of it or (____ptrval____). */
    readonly object?: { readonly index: number; readonly size?: number; readonly cache?: string };
    readonly allocated?: StoredStack;
    readonly freed?: StoredStack;
  };
}
export interface UbsanReport extends ReportBase {
  readonly kind: "ubsan";
  readonly ubsan: { readonly check: string; readonly finding?: string };
}
export interface LockupReport extends ReportBase {
  readonly kind: "soft-lockup" | "hard-lockup";
  /** How long the CPU has been stuck; a hard lockup does not say. */
  readonly seconds?: number;
}
export interface RcuStallReport extends ReportBase {
  readonly kind: "rcu-stall";
  readonly stall: { readonly flavour: string; readonly self: boolean; readonly cpus: readonly number[] };
}
export interface HungTaskReport extends ReportBase {
  readonly kind: "hung-task";
  readonly seconds: number;
}
export interface OomReport extends ReportBase {
  readonly kind: "oom";
  readonly victim?: { readonly pid: number; readonly comm: string };
}
export interface UserFaultReport extends ReportBase {
  readonly kind: "user-fault";
  /** segfault, trap divide error, general protection fault, ... */
  readonly signal: string;
}
export interface OtherReport extends ReportBase {
  readonly kind: /** Scheduling while atomic, sleeping in atomic context. */
    | "atomic-sleep"
    /** What lockdep finds. */
    | "lockdep"
    | "bad-page"
    /** SLUB's own checks: BUG kmalloc-64 (...): Redzone overwritten. */
    | "slub"
    | "allocation-failure"
    /** An NMI that nobody knows or that tells of an error. */
    | "nmi"
    /** A machine check. */
    | "mce"
    | "kcsan"
    | "kmsan"
    | "memory-leak";
}

/** A report of any kind; `kind` tells them apart. */
export type CrashReport =
  | OopsReport
  | BugReport
  | WarningReport
  | PanicReport
  | KasanReport
  | KfenceReport
  | UbsanReport
  | LockupReport
  | RcuStallReport
  | HungTaskReport
  | OomReport
  | UserFaultReport
  | OtherReport;

/** Kinds of reports. */
export type CrashKind = CrashReport["kind"];
