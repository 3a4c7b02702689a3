/** `crashlab/vmcore`: crash dumps, written and read. */
export { vmcoreSource } from "./capture.ts";
export {
  type Command,
  type Context as CommandContext,
  commands,
  type Result as CommandResult,
  runCommand,
} from "./commands/index.ts";
export { type CrashKernelOptions, type DumpDisk, StoredVmcore } from "./crash_kernel.ts";
export type { DumpFile, DumpFormat, DumpNote, DumpSegment } from "./dump_file.ts";
export {
  type KernelMapping,
  type RamRange,
  type VmcoreOptions,
  type VmcoreProgress,
  type VmcoreSource,
  vmcoreSize,
  writeElfVmcore,
} from "./elf_writer.ts";
export { type FilesOfTask, filesOf, type OpenFile } from "./files.ts";
export { type CaptureOptions, type CrashKernelCaptureOptions, Kdump, VmcoreStream } from "./kdump.ts";
export type { KernelSymbol, SymbolPlace } from "./kernel_symbols.ts";
export { type MemoryUse, memoryUse, type SlabCache, slabCaches } from "./kmem.ts";
export { formatLogRecord, type LogRecord } from "./log.ts";
export { type AddressSpaceOfTask, addressSpaceOf, type MemoryArea } from "./mm.ts";
export type { LoadedModule } from "./modules.ts";
export { encodeNote, findNote, prstatusNote } from "./notes.ts";
export { Program, Vmcore } from "./program.ts";
export {
  type DumpSource,
  type RangeReader,
  type ReadableFile,
  type ReadOptions,
  rangeReader,
} from "./range_reader.ts";
export type { SavedCpu, SavedRegisters } from "./registers.ts";
export { showDeclaration, showValue, valueToJson } from "./show.ts";
export type { StackFrame } from "./stack_frame.ts";
export { type SystemInfo, systemInfo } from "./system.ts";
export type { Task } from "./tasks.ts";
export { Value } from "./value.ts";
export { VmcoreInfo } from "./vmcoreinfo.ts";
