/**
 * The program in the image: for each case it puts the tables back, applies the case's changes, loads its registers and
 * goes there by IRETQ. Every vector leads back to it: it stores a record of what it finds and goes on with the next
 * case; after the last it writes to the debug exit port.
 */
import { Assembler, u32, u64 } from "./assembler.ts";
import * as at from "./places.ts";

/** MSRs that every case sets, in the order of its fields. */
export const CASE_MSRS = [
  0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0x174, 0x175, 0x176, 0xc0000100, 0xc0000101,
  0xc0000102,
] as const;
/** MSRs that records hold. */
export const RECORD_MSRS = [0xc0000080, 0xc0000100, 0xc0000101, 0xc0000102] as const;

/** Offsets in a case, in units of 8 bytes. */
export const field = {
  patches: 0,
  cr0: 1,
  cr3: 2,
  cr4: 3,
  dr: 4, // DR0 to DR3, DR6, DR7
  msrs: 10,
  ldtr: 21,
  segments: 22, // DS, ES, FS, GS
  rip: 26,
  cs: 27,
  rflags: 28,
  rsp: 29,
  ss: 30,
  registers: 31,
  watches: 47,
  patchList: 55,
} as const;
export const WATCHES = 8;
export const MOST_PATCHES: number = (at.CASE_SIZE / 8 - field.patchList) >> 1;

export const SAFE_CR0 = 0x80010033n; // PG, WP, NE, ET, MP, PE
export const SAFE_CR4 = 0x6a0n; // OSXMMEXCPT, OSFXSR, PGE, PAE
export const SAFE_EFER = 0xd01n; // NXE, LMA, LME, SCE

/** Registers as PUSH numbers them; the order of pushes ends with RAX so that records begin with it. */
const PUSHED = [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 3, 2, 1, 0] as const;
/** 15 registers, vector, error code, RIP, CS, RFLAGS, RSP, SS. */
export const FRAME_WORDS: number = PUSHED.length + 7;

/** mov eax, [rbx + address] and its like: rbx is the beginning of physical memory. */
const absolute = (opcode: readonly number[], register: number, address: number): number[] => [
  ...opcode,
  0x83 | (register << 3),
  ...u32(address),
];
const RAX = 0;
const RSI = 6;
const RDI = 7;
/** mov r64, [rsi + 8 * word] */
const loadField = (register: number, word: number): number[] => [
  register > 7 ? 0x4c : 0x48,
  0x8b,
  0x86 | ((register & 7) << 3),
  ...u32(word * 8),
];
const loadBase = [0x48, 0xbb, ...u64(at.HIGH)]; // mov rbx, HIGH

export interface Monitor {
  /** From MONITOR on: multiboot header, 32-bit entry, monitor. */
  readonly code: Uint8Array<ArrayBuffer>;
  /** Physical address of the 32-bit entry. */
  readonly entry: number;
  /** From STUBS on, 16 bytes a vector. */
  readonly stubs: Uint8Array<ArrayBuffer>;
}

export function monitor(): Monitor {
  const code = new Assembler();
  // Multiboot 1: magic, no requirements, checksum.
  code.emit(...u32(0x1badb002), ...u32(0), ...u32(0x100000000 - 0x1badb002));
  code.align(16);
  const entry = at.MONITOR + code.length;
  startUp(code);
  nextCase(code);
  afterCase(code);
  return { code: code.finish(), entry, stubs: stubs(at.MONITOR + code.offsetOf("after")) };
}

/** 32-bit code: into long mode, and to the high half. */
function startUp(code: Assembler): void {
  code.emit(0xfa); // cli
  for (const port of [0x21, 0xa1]) code.emit(0xb0, 0xff, 0xe6, port); // no interrupts
  code.emit(0xb8, ...u32(at.MONITOR_TABLES), 0x0f, 0x22, 0xd8); // cr3
  code.emit(0xb8, ...u32(SAFE_CR4), 0x0f, 0x22, 0xe0); // cr4
  code.emit(0xb9, ...u32(0xc0000080), 0xb8, ...u32(0x901), 0x31, 0xd2, 0x0f, 0x30); // efer
  code.emit(0xb8, ...u32(SAFE_CR0), 0x0f, 0x22, 0xc0); // cr0
  code.emit(0x0f, 0x01, 0x15, ...u32(at.MONITOR + 0xff0)); // lgdt
  code.emit(0x0f, 0x01, 0x1d, ...u32(at.MONITOR + 0xfe0)); // lidt
  const far = at.MONITOR + code.length + 7;
  code.emit(0xea, ...u32(far), at.selectors.code64, 0);
  code.emit(...loadBase, 0x48, 0xb8, ...u64(at.HIGH + BigInt(far) + 22n), 0xff, 0xe0); // jmp there
  // The tables again, by the addresses that stay.
  code.emit(
    ...absolute([0x0f, 0x01], 2, at.MONITOR + 0xff0),
    ...absolute([0x0f, 0x01], 3, at.MONITOR + 0xfe0),
  );
}

function nextCase(code: Assembler): void {
  code.label("next");
  code.emit(0x48, 0xbc, ...u64(at.HIGH + BigInt(at.MONITOR_STACK))); // mov rsp, monitor's stack
  code.emit(0xfc, ...absolute([0x8b], RAX, at.INDEX), ...absolute([0x3b], RAX, at.COUNT));
  code.relative([0x0f, 0x82], "go"); // jb
  code.emit(0x31, 0xc0, 0xe6, 0xf4, 0xfa, 0xf4); // out 0f4h, al; cli; hlt
  code.label("go");
  code.emit(0x48, 0x69, 0xf0, ...u32(at.CASE_SIZE)); // imul rsi, rax
  code.emit(0x48, 0x8d, 0xb4, 0x1e, ...u32(at.CASES)); // lea rsi, [rsi + rbx + CASES]
  code.emit(...absolute([0x48, 0x89], RSI, at.CURRENT));
  // The tables as they were.
  code.emit(...absolute([0x48, 0x8d], RDI, at.LIVE), ...absolute([0x48, 0x8d], RSI, at.TEMPLATE));
  code.emit(0xb9, ...u32(at.LIVE_SIZE / 8), 0xf3, 0x48, 0xa5);
  // Pages for data, stacks of ring 3 among them: END throughout.
  code.emit(0x48, 0xb8, ...u64(0xcdcdcdcdcdcdcdcdn));
  for (const [address, length] of [
    [at.USER_STACK, at.DATA + at.DATA_PAGES * 0x1000 - at.USER_STACK],
    [at.LARGE + at.LARGE_PAGE * 0x1000, 0x2000],
  ] as const)
    code.emit(...absolute([0x48, 0x8d], RDI, address), 0xb9, ...u32(length / 8), 0xf3, 0x48, 0xab);
  code.emit(...absolute([0x0f, 0x10], 0, at.DATA)); // movups xmm0, [DATA]: END too
  code.emit(0x31, 0xc0, 0x0f, 0x22, 0xd0); // cr2
  code.emit(...absolute([0x48, 0x8b], RSI, at.CURRENT));
  // The case's changes.
  code.emit(0x8b, 0x0e, ...[0x48, 0x8d, 0x96, ...u32(field.patchList * 8)]); // mov ecx, [rsi]; lea rdx, list
  code.label("patch");
  code.emit(0x85, 0xc9);
  code.relative([0x0f, 0x84], "patched");
  code.emit(0x48, 0x8b, 0x3a, 0x48, 0x8b, 0x42, 8); // mov rdi, [rdx]; mov rax, [rdx + 8]
  code.emit(0x48, 0x89, 0x04, 0x3b, 0x48, 0x83, 0xc2, 16, 0xff, 0xc9); // mov [rbx + rdi], rax; add rdx, 16; dec ecx
  code.relative([0xe9], "patch");
  code.label("patched");
  code.emit(0xb8, ...u32(at.selectors.tss), 0x0f, 0x00, 0xd8); // ltr
  code.emit(...loadField(RAX, field.ldtr), 0x0f, 0x00, 0xd0); // lldt
  [3, 0, 4, 5].forEach((segment, n) => {
    code.emit(...loadField(RAX, field.segments + n), 0x8e, 0xc0 | (segment << 3));
  });
  CASE_MSRS.forEach((msr, n) => {
    const word = (field.msrs + n) * 8;
    code.emit(0xb9, ...u32(msr), 0x8b, 0x86, ...u32(word), 0x8b, 0x96, ...u32(word + 4), 0x0f, 0x30);
  });
  [0, 1, 2, 3, 6, 7].forEach((n, place) => {
    code.emit(...loadField(RAX, field.dr + place), 0x0f, 0x23, 0xc0 | (n << 3));
  });
  // CR3 without a context number, which CR4.PCIDE asks for, then the whole.
  code.emit(...loadField(RAX, field.cr3), 0x48, 0x25, ...u32(0xfffff000), 0x0f, 0x22, 0xd8);
  code.emit(...loadField(RAX, field.cr4), 0x0f, 0x22, 0xe0);
  code.emit(...loadField(RAX, field.cr3), 0x0f, 0x22, 0xd8);
  code.emit(...loadField(RAX, field.cr0), 0x0f, 0x22, 0xc0);
  for (const word of [field.ss, field.rsp, field.rflags, field.cs, field.rip])
    code.emit(0xff, 0xb6, ...u32(word * 8)); // push
  for (const register of [0, 1, 2, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, RSI])
    code.emit(...loadField(register, field.registers + register));
  code.emit(0x48, 0xcf); // iretq
}

function afterCase(code: Assembler): void {
  code.label("after");
  for (const register of PUSHED) code.emit(...(register > 7 ? [0x41] : []), 0x50 | (register & 7));
  code.emit(...loadBase, 0xfc, ...absolute([0x8b], RAX, at.INDEX));
  code.emit(0x48, 0x69, 0xf8, ...u32(at.RECORD_SIZE)); // imul rdi, rax
  code.emit(0x48, 0x8d, 0xbc, 0x1f, ...u32(at.RECORDS)); // lea rdi, [rdi + rbx + RECORDS]
  code.emit(0x48, 0x89, 0xe6, 0xb9, ...u32(FRAME_WORDS), 0xf3, 0x48, 0xa5); // from the stack
  code.emit(0x48, 0x89, 0xe0, 0x48, 0xab); // rsp
  for (const n of [2, 0, 3, 4]) code.emit(0x0f, 0x20, 0xc0 | (n << 3), 0x48, 0xab); // control registers
  for (const n of [6, 7]) code.emit(0x0f, 0x21, 0xc0 | (n << 3), 0x48, 0xab);
  code.emit(0x31, 0xc0, 0x0f, 0x23, 0xf8); // no breakpoints
  for (const n of [3, 0, 4, 5, 1, 2]) code.emit(0x8c, 0xc0 | (n << 3), 0x66, 0xab); // ds es fs gs cs ss
  code.emit(0x0f, 0x00, 0xc0, 0x66, 0xab, 0x0f, 0x00, 0xc8, 0x66, 0xab); // sldt, str
  code.emit(0x9c, 0x58, 0x48, 0xab); // flags
  for (const msr of RECORD_MSRS) code.emit(0xb9, ...u32(msr), 0x0f, 0x32, 0xab, 0x89, 0xd0, 0xab);
  // Back to what the monitor needs.
  code.emit(0x48, 0xb8, ...u64(SAFE_CR0), 0x0f, 0x22, 0xc0);
  code.emit(0xb8, ...u32(at.MONITOR_TABLES), 0x0f, 0x22, 0xd8);
  code.emit(0xb8, ...u32(SAFE_CR4), 0x0f, 0x22, 0xe0);
  code.emit(0xb9, ...u32(0xc0000080), 0xb8, ...u32(SAFE_EFER), 0x31, 0xd2, 0x0f, 0x30);
  code.emit(
    ...absolute([0x0f, 0x01], 2, at.MONITOR + 0xff0),
    ...absolute([0x0f, 0x01], 3, at.MONITOR + 0xfe0),
  );
  // What the case wants to know of memory.
  code.emit(...absolute([0x48, 0x8b], RSI, at.CURRENT));
  for (let n = 0; n < WATCHES; n++)
    code.emit(...loadField(RAX, field.watches + n), 0x48, 0x8b, 0x04, 0x03, 0x48, 0xab); // mov rax, [rbx + rax]
  code.emit(...absolute([0xff], 0, at.INDEX)); // inc dword
  code.relative([0xe9], "next");
}

/** Each pushes an error code of 0 where the processor pushes none, and its vector; in 32-bit code too. */
export function stubs(after: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(256 * 16);
  const view = new DataView(bytes.buffer);
  for (let vector = 0; vector < 256; vector++) {
    const hasError = vector === 8 || (vector >= 10 && vector <= 14) || vector === 17;
    const start = vector * 16;
    const push = [...(hasError ? [] : [0x6a, 0]), 0x68, ...u32(vector), 0xe9];
    bytes.set(push, start);
    const end = start + push.length + 4;
    view.setInt32(end - 4, after - (at.STUBS + end), true);
  }
  return bytes;
}
