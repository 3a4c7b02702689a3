/** crashlab: an x86-64 computer with a small Linux-like kernel inside, made to be broken on purpose. */
export type { BlockRequest, CoreOptions, ExceptionRecord, Exit } from "./core/core.ts";
export { Core } from "./core/core.ts";
export type { FpuState } from "./core/fpu.ts";
export type { Action, Input, LineFault, MachineCheck, RegisterName } from "./core/input.ts";
export type { BranchHook, InstructionHook, Instruments, Watchpoint } from "./core/instruments.ts";
export type {
  GeneralRegister,
  Registers,
  Segment,
  SegmentRegister,
  SystemRegister,
} from "./core/registers.ts";
export { decodeSnapshot, encodeSnapshot, type Snapshot } from "./core/snapshot.ts";
export { CrashlabError, type CrashlabErrorCode } from "./error.ts";
export {
  type CatalogueEntry,
  catalogue,
  faults,
  findFault,
  type NullDereferenceOptions,
} from "./faults/catalogue.ts";
export {
  LABCRASH_KINDS,
  type LabcrashKind,
  LKDTM_NAMES,
  type LkdtmName,
} from "./faults/names.ts";
export {
  type BootOptions,
  boot,
  type Crash,
  type ExecResult,
  type InjectableFault,
  Machine,
  type MachineEvents,
  type RunLimits,
  type RunProgress,
} from "./machine/machine.ts";
export { Notify, type NotifyResult, type PanicNotifier, PanicNotifiers } from "./panic/notifiers.ts";
export type { CrashReport } from "./report/types.ts";
