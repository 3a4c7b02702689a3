/** crashlab: an x86-64 computer with a small Linux-like kernel inside, made to be broken on purpose. */
export { Core } from "./core/core.ts";
export type { ExceptionRecord } from "./core/exceptions.ts";
export type { BlockRequest, Exit } from "./core/exit.ts";
export type { FpuState } from "./core/fpu.ts";
export type { Action, Input, LineFault, MachineCheck, RegisterName } from "./core/input.ts";
export type { BranchHook, InstructionHook, Instruments, Watchpoint } from "./core/instruments.ts";
export type { CoreOptions } from "./core/options.ts";
export type { Mapping } from "./core/page_walk.ts";
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
  type FailAllocationOptions,
  faults,
  findFault,
  type NullDereferenceOptions,
} from "./faults/catalogue.ts";
export type {
  Change,
  ChangeRecord,
  CommandFault,
  Crash,
  Ending,
  Fault,
  InjectableFault,
  Injection,
  Instant,
  KernelEvent,
  Location,
  MachineFault,
  Moment,
  Outcome,
  Truth,
} from "./faults/fault.ts";
export type { FaultOptions } from "./faults/machine_faults.ts";
export {
  LABCRASH_CONTEXTS,
  LABCRASH_KINDS,
  type LabcrashContext,
  type LabcrashKind,
  LKDTM_NAMES,
  type LkdtmName,
  SYSRQ_KEYS,
  type SysrqKey,
} from "./faults/names.ts";
export { type Disk, type DiskFault, SparseDisk } from "./machine/disk.ts";
export type { MachineEvents, PvpanicEvent } from "./machine/events.ts";
export type { Kasan, KasanOptions, ShadowByte, ShadowState } from "./machine/kasan.ts";
export type { KfenceOptions } from "./machine/kfence.ts";
export type { InjectLimits, RunLimits, RunProgress } from "./machine/limits.ts";
export type { BootProtocol } from "./machine/loaders/kernel.ts";
export { boot, Machine } from "./machine/machine.ts";
export {
  type Endpoint,
  type ExtendedHeader,
  type NetconsoleDatagram,
  NetconsoleLines,
} from "./machine/netconsole.ts";
export type { BootOptions } from "./machine/options.ts";
export type { Place } from "./machine/places.ts";
export { Pstore } from "./machine/pstore.ts";
export type { ExecResult } from "./machine/shell.ts";
export { busyboxInitramfs, type InitramfsOptions } from "./machine/stock/initramfs.ts";
export type { Sysctl } from "./machine/sysctl.ts";
export { Notify, type NotifyResult, type PanicNotifier, PanicNotifiers } from "./panic/notifiers.ts";
export type { CrashReport } from "./report/types.ts";
