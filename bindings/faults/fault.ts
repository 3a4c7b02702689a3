/** What a fault is, and what becomes of one. Faults are plain data, so that a campaign can send them to its workers. */
import type { ExceptionRecord } from "../core/exceptions.ts";
import type { LineFault, MachineCheck, RegisterName } from "../core/input.ts";
import type { DiskFault } from "../machine/disk.ts";
import type { Place } from "../machine/places.ts";
import type { CrashReport } from "../report/types.ts";

/** The guest breaks itself: shell commands, each run to its end. A report is certain: `inject` throws `timeout` without. */
export interface InjectableFault {
  readonly name: string;
  readonly summary: string;
  readonly commands: readonly string[];
}

/** The same where no report is certain. */
export interface CommandFault extends InjectableFault {
  readonly mayPass: true;
}

/** The machine is broken under the guest while that runs a command. */
export interface MachineFault {
  readonly name: string;
  readonly summary: string;
  readonly change: Change;
  /** Default: as soon as the command has been typed. */
  readonly when?: Moment;
  /** What the guest does meanwhile. Default: processes, a pipe, a file. */
  readonly during?: string;
}

/** Everything that `machine.inject()` takes. */
export type Fault = InjectableFault | CommandFault | MachineFault;

/**
 * When the machine is broken: at a guest time, so many guest nanoseconds (instructions) after the command was typed,
 * or before the `hit`th execution (default the first) of an instruction.
 */
export type Moment =
  | { readonly time: bigint }
  | { readonly after: number }
  | { readonly place: Place; readonly hit?: number };

/** Memory by physical address, by linear address or by symbol. */
export type Location = { readonly physical: bigint } | { readonly place: Place };

/** What is done to the machine. `cpu`: by default the one that is running. */
export type Change =
  | { readonly kind: "register"; readonly name: RegisterName; readonly bit: number; readonly cpu?: number }
  /** `bit`: 0 to 7, of the byte there. */
  | { readonly kind: "memory"; readonly location: Location; readonly bit: number }
  /** `bit` 0 to 63 of the entry that maps an address, in the table of `level` 1 (4 KiB pages) to 4. Default the lowest there is. */
  | { readonly kind: "page-table"; readonly place: Place; readonly bit: number; readonly level?: number }
  /** Bit 0 to 7 of a byte near RIP: `offset` from it. */
  | { readonly kind: "code"; readonly bit: number; readonly offset?: number }
  | { readonly kind: "return-address"; readonly bit: number }
  /** The stack canary nearest to RSP. */
  | { readonly kind: "canary"; readonly bit: number }
  /** The function that has just been entered returns at once. As Linux's fail_function. */
  | { readonly kind: "function-return"; readonly value: bigint }
  | { readonly kind: "line"; readonly line: number; readonly fault: LineFault }
  | { readonly kind: "freeze"; readonly cpu?: number }
  | { readonly kind: "nmi"; readonly cpu?: number }
  | { readonly kind: "machine-check"; readonly check: MachineCheck; readonly cpu?: number }
  | { readonly kind: "vector"; readonly vector: number; readonly cpu?: number }
  | { readonly kind: "disk"; readonly fault: DiskFault };

/** What was changed, as the machine had it before and after. */
export interface ChangeRecord {
  readonly kind: Change["kind"];
  /** CPU of a register, interrupt or freeze. */
  readonly cpu?: number;
  readonly register?: RegisterName;
  readonly physical?: bigint;
  readonly virtual?: bigint;
  /** What lies there, `symbol+0x10`, if it is of the kernel's image. */
  readonly symbol?: string;
  /** Level of the page table. */
  readonly level?: number;
  readonly bit?: number;
  readonly line?: number;
  readonly vector?: number;
  readonly fault?: DiskFault;
  /** Bytes that the two values stand for; none for what has no value. */
  readonly size?: number;
  readonly before?: bigint;
  readonly after?: bigint;
  /** Why nothing was changed: there was no such thing at that moment. */
  readonly skipped?: string;
}

/** Where the machine was. */
export interface Instant {
  /** Guest nanoseconds since power-on. */
  readonly time: bigint;
  readonly cpu: number;
  readonly cpl: number;
  readonly rip: bigint;
  readonly symbol?: string;
}

/** The kernel began to report: control reached oops_begin(), panic() or __warn(). */
export interface KernelEvent extends Instant {
  readonly kind: "oops" | "panic" | "warning";
  /** The last exception taken in ring 0 before. */
  readonly exception?: ExceptionRecord;
}

/**
 * How the wait ended: the guest did all that it was told, the budget was used up, there were too many exceptions
 * (`exceptions` of the limits), or the machine stopped.
 */
export type Ending =
  | "returned"
  | "budget"
  | "exceptions"
  | "halted"
  | "idle"
  | "triple-fault"
  | "reset"
  | "debug-exit";

/**
 * `report`: at least one crash report, the kernel goes on or tries to; `panic`; `clean`: everything went on as if
 * nothing had been; `hang`: the guest did not come back within the budget and said nothing; `reset`: the processor
 * shut down (a triple fault) or the machine was reset without a word.
 */
export type Outcome = "report" | "panic" | "clean" | "hang" | "reset";

/** What was done and what came of it, from the machine's state alone: nothing here was read from the console. */
export interface Truth {
  /** The change; none for faults that the guest brings about itself, or whose moment never came. */
  readonly change?: ChangeRecord;
  /** Where the machine was when it was changed. */
  readonly when?: Instant;
  readonly outcome: Outcome;
  readonly ending: Ending;
  /** In order, the first 16 and a panic behind them. */
  readonly events: readonly KernelEvent[];
  /** The exception behind the first event; without one, the last that was taken in ring 0. */
  readonly exception: ExceptionRecord | undefined;
  /** Exceptions taken in ring 0 since the injection began, at most the last 16. */
  readonly exceptions: readonly ExceptionRecord[];
  /** Taint before and after, as in /proc/sys/kernel/tainted; none for a kernel without that symbol. */
  readonly taint?: { readonly before: bigint; readonly after: bigint };
  /** Guest nanoseconds since power-on at the end. */
  readonly time: bigint;
}

/** What an injection came to. */
export interface Injection {
  /** By the console: whether a report or a panic was read there; else as in the truth. */
  readonly outcome: Outcome;
  readonly truth: Truth;
  /** The first report. */
  readonly report?: CrashReport;
  /** How many reports there were. */
  readonly reports: number;
  /** Everything on the console from the trigger to the end. */
  readonly console: readonly string[];
}

/** An injection that ended in a report. */
export interface Crash extends Injection {
  readonly report: CrashReport;
}
