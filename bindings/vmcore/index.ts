/** `crashlab/vmcore`: crash dumps as files. */
export { vmcoreSource } from "./capture.ts";
export {
  type KernelMapping,
  type RamRange,
  type VmcoreOptions,
  type VmcoreProgress,
  type VmcoreSource,
  vmcoreSize,
  writeElfVmcore,
} from "./elf_writer.ts";
export { type CaptureOptions, Kdump, VmcoreStream } from "./kdump.ts";
export { encodeNote, findNote, prstatusNote } from "./notes.ts";
