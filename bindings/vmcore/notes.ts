/**
 * ELF notes of a vmcore: NT_PRSTATUS (struct elf_prstatus of x86-64) and VMCOREINFO. Mirrors Linux
 * include/linux/elfcore.h, kernel/crash_core.c (append_elf_note) and arch/x86/include/asm/user_64.h.
 */
import type { Registers } from "../core/registers.ts";

const NT_PRSTATUS = 1;
const PRSTATUS_SIZE = 336;
const PR_PID = 32;
const PR_REG = 112;
const HEADER = 12;

/** One note: namesz, descsz, type, then name and description, each padded to 4 bytes. */
export function encodeNote(name: string, type: number, description: Uint8Array): Uint8Array {
  const nameSize = name.length + 1;
  const bytes = new Uint8Array(HEADER + pad(nameSize) + pad(description.length));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, nameSize, true);
  view.setUint32(4, description.length, true);
  view.setUint32(8, type, true);
  bytes.set(new TextEncoder().encode(name), HEADER);
  bytes.set(description, HEADER + pad(nameSize));
  return bytes;
}

/** The note at the start of `bytes`, if it has that name and type and lies inside; a copy. */
export function findNote(bytes: Uint8Array, name: string, type: number): Uint8Array | undefined {
  if (bytes.length < HEADER) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const descriptionSize = view.getUint32(4, true);
  const size = HEADER + pad(name.length + 1) + pad(descriptionSize);
  if (view.getUint32(0, true) !== name.length + 1 || view.getUint32(8, true) !== type) return undefined;
  if (descriptionSize === 0 || size > bytes.length) return undefined;
  const found = new TextDecoder("latin1").decode(bytes.subarray(HEADER, HEADER + name.length));
  return found === name && bytes[HEADER + name.length] === 0 ? bytes.slice(0, size) : undefined;
}

/** NT_PRSTATUS of a CPU from its live registers; `pid` is that of the task on it, 0 for idle. */
export function prstatusNote(registers: Registers, pid: number): Uint8Array {
  const description = new Uint8Array(PRSTATUS_SIZE);
  const view = new DataView(description.buffer);
  view.setInt32(PR_PID, pid, true);
  userRegisters(registers).forEach((value, index) => {
    view.setBigUint64(PR_REG + index * 8, BigInt.asUintN(64, value), true);
  });
  return encodeNote("CORE", NT_PRSTATUS, description);
}

/** A saved NT_PRSTATUS, as the guest left it in crash_notes; undefined when it left none. */
export function savedPrstatus(bytes: Uint8Array): Uint8Array | undefined {
  return findNote(bytes, "CORE", NT_PRSTATUS);
}

/** struct user_regs_struct, in its order. orig_rax is -1: no system call is to be restarted. */
function userRegisters(r: Registers): bigint[] {
  const selector = (name: "cs" | "ss" | "ds" | "es" | "fs" | "gs"): bigint =>
    BigInt(r.segments[name].selector);
  return [
    ...[r.r15, r.r14, r.r13, r.r12, r.rbp, r.rbx, r.r11, r.r10, r.r9, r.r8],
    ...[r.rax, r.rcx, r.rdx, r.rsi, r.rdi, -1n],
    ...[r.rip, selector("cs"), r.rflags, r.rsp, selector("ss")],
    ...[r.segments.fs.base, r.segments.gs.base],
    ...[selector("ds"), selector("es"), selector("fs"), selector("gs")],
  ];
}

function pad(size: number): number {
  return (size + 3) & ~3;
}
