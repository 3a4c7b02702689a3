/**
 * Registers as dumps and stacks hold them: NT_PRSTATUS notes and struct pt_regs, which begin alike. Mirrors Linux
 * arch/x86/include/asm/ptrace.h and include/linux/elfcore.h.
 */
import type { DumpNote } from "./dump_file.ts";
import { viewOf } from "./range_reader.ts";

/** struct pt_regs, in its order. */
export const REGISTER_NAMES = [
  "r15",
  "r14",
  "r13",
  "r12",
  "rbp",
  "rbx",
  "r11",
  "r10",
  "r9",
  "r8",
  "rax",
  "rcx",
  "rdx",
  "rsi",
  "rdi",
  "orig_rax",
  "rip",
  "cs",
  "rflags",
  "rsp",
  "ss",
] as const;

export type RegisterName = (typeof REGISTER_NAMES)[number];
/** Registers by name, as a note has them. */
export type SavedRegisters = { readonly [name in RegisterName]: bigint };

/** sizeof(struct pt_regs). */
export const PT_REGS_SIZE: number = REGISTER_NAMES.length * 8;
const NT_PRSTATUS = 1;
const PR_PID = 32;
const PR_REG = 112;

/** What a dump says about a CPU. */
export interface SavedCpu {
  /** Number of the task on it; 0 for idle. */
  readonly pid: number;
  readonly registers: SavedRegisters;
}

/** The registers of a struct pt_regs. */
export function parseRegisters(bytes: Uint8Array, at = 0): SavedRegisters {
  const view = viewOf(bytes);
  const registers = {} as { [name in RegisterName]: bigint };
  REGISTER_NAMES.forEach((name, index) => {
    registers[name] = view.getBigUint64(at + index * 8, true);
  });
  return registers;
}

/** The registers of an NT_PRSTATUS note; undefined for other notes. */
export function parsePrstatus(note: DumpNote): SavedCpu | undefined {
  if (note.name !== "CORE" || note.type !== NT_PRSTATUS) return undefined;
  if (note.description.length < PR_REG + PT_REGS_SIZE) return undefined;
  const pid = viewOf(note.description).getInt32(PR_PID, true);
  return { pid, registers: parseRegisters(note.description, PR_REG) };
}

/** User code was running: the privilege level in CS is 3. */
export function isUserMode(registers: SavedRegisters): boolean {
  return (registers.cs & 3n) === 3n;
}
