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
const QEMU_STATE_VERSION = 1;
const QEMU_STATE_SIZE = 440;

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

/**
 * All registers of a CPU as QEMU's dump-guest-memory writes them (QEMUCPUState, target/i386/arch_dump.c). A dump that
 * has them was taken from outside: crash then believes NT_PRSTATUS of every CPU, not only of one that panicked.
 */
export function qemuNote(registers: Registers): Uint8Array {
  const description = new Uint8Array(QEMU_STATE_SIZE);
  const view = new DataView(description.buffer);
  let at = 0;
  const u32 = (value: number): void => {
    view.setUint32(at, value, true);
    at += 4;
  };
  const u64 = (value: bigint): void => {
    view.setBigUint64(at, BigInt.asUintN(64, value), true);
    at += 8;
  };
  const segment = ({ selector, limit, attributes, base }: QemuSegment): void => {
    u32(selector);
    u32(limit);
    u32(attributes);
    u32(0);
    u64(base);
  };
  const r = registers;
  const s = r.segments;
  u32(QEMU_STATE_VERSION);
  u32(QEMU_STATE_SIZE);
  for (const value of [r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rsp, r.rbp]) u64(value);
  for (const value of [r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip, r.rflags]) u64(value);
  for (const name of ["cs", "ds", "es", "fs", "gs", "ss"] as const) segment(s[name]);
  segment(s.ldtr);
  segment(s.tr);
  segment({ selector: 0, limit: Number(r.gdtLimit), attributes: 0, base: r.gdtBase });
  segment({ selector: 0, limit: Number(r.idtLimit), attributes: 0, base: r.idtBase });
  for (const value of [r.cr0, 0n, r.cr2, r.cr3, r.cr4, r.kernelGsBase]) u64(value);
  return encodeNote("QEMU", 0, description);
}

type QemuSegment = Registers["segments"]["cs"];

/** Whether a note is the NT_PRSTATUS of a CPU. */
export function isPrstatus(note: Uint8Array): boolean {
  return findNote(note, "CORE", NT_PRSTATUS) !== undefined;
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
