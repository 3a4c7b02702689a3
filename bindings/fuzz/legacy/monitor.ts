/**
 * The program in the image of 32-bit cases: as system/monitor.ts, without paging and without long mode. A case begins
 * by IRETD with its tables in force; every vector leads back, a record is made, paging is turned off again.
 */
import { Assembler, u32 } from "../system/assembler.ts";
import { field, type Monitor, stubs, WATCHES } from "../system/monitor.ts";
import * as at from "../system/places.ts";
import { SCRATCH } from "./places.ts";

const CR0_OFF = 0x31; // NE, ET, PE
const CR4_OFF = 0x600;
/** mov r32, [address]; mov [address], r32 */
const load = (register: number, address: number): number[] => [0x8b, 0x05 | (register << 3), ...u32(address)];
const store = (register: number, address: number): number[] => [
  0x89,
  0x05 | (register << 3),
  ...u32(address),
];
const [EAX, ECX, EDX, ESP, ESI, EDI] = [0, 1, 2, 4, 6, 7];
/** mov r32, [esi + 8 * word] */
const loadField = (register: number, word: number): number[] => [
  0x8b,
  0x86 | (register << 3),
  ...u32(word * 8),
];
const set = (register: number, value: number): number[] => [0xb8 + register, ...u32(value)];
/** What a case begins with, where code segments reach it when no other does. */
const START = SCRATCH - 0x40;
const START_WORDS = [field.rip, field.cs, field.rflags, field.rsp, field.ss];

/** Words of a record in their order: as they come from the stack, then registers that are read. */
export const POPPED: readonly string[] = [
  ...["edi", "esi", "ebp", "frame", "ebx", "edx", "ecx", "eax", "gs", "fs", "es", "ds"],
  ...["vector", "error", "eip", "cs", "eflags", "esp", "ss"],
];
export const READ: readonly string[] = [
  ...["handlerEsp", "cr0", "cr2", "cr3", "cr4", "dr6", "handlerSs", "tr", "ldtr"],
];

export function monitor(): Monitor {
  const code = new Assembler();
  code.emit(...u32(0x1badb002), ...u32(0), ...u32(0x100000000 - 0x1badb002)); // multiboot 1
  code.align(16);
  const entry = at.MONITOR + code.length;
  code.emit(0xfa); // cli
  for (const port of [0x21, 0xa1]) code.emit(0xb0, 0xff, 0xe6, port); // no interrupts
  tables(code);
  toFlatCode(code);
  flat(code);
  nextCase(code);
  afterCase(code);
  return { code: code.finish(), entry, stubs: stubs(at.MONITOR + code.offsetOf("after")) };
}

function tables(code: Assembler): void {
  code.emit(0x0f, 0x01, 0x15, ...u32(at.MONITOR + 0xff0), 0x0f, 0x01, 0x1d, ...u32(at.MONITOR + 0xfe0));
}
function toFlatCode(code: Assembler): void {
  code.emit(0xea, ...u32(at.MONITOR + code.length + 7), at.selectors.code32, 0);
}
/** Flat segments and the monitor's stack. */
function flat(code: Assembler): void {
  code.emit(...set(EAX, at.selectors.data));
  for (const segment of [3, 0, 2]) code.emit(0x8e, 0xc0 | (segment << 3)); // ds, es, ss
  code.emit(...set(ESP, at.MONITOR_STACK));
}

function nextCase(code: Assembler): void {
  code.label("next");
  code.emit(0xfc, ...load(EAX, at.INDEX), 0x3b, 0x05, ...u32(at.COUNT));
  code.relative([0x0f, 0x82], "go"); // jb
  code.emit(0x31, 0xc0, 0xe6, 0xf4, 0xfa, 0xf4); // out 0f4h, al; cli; hlt
  code.label("go");
  code.emit(0x69, 0xc0, ...u32(at.CASE_SIZE), 0x05, ...u32(at.CASES), ...store(EAX, at.CURRENT));
  // The tables as they were, data pages full of END.
  code.emit(...set(EDI, at.LIVE), ...set(ESI, at.TEMPLATE), ...set(ECX, at.LIVE_SIZE / 4), 0xf3, 0xa5);
  code.emit(...set(EAX, 0xcdcdcdcd));
  for (const [address, length] of [
    [at.USER_STACK, at.DATA + at.DATA_PAGES * 0x1000 - at.USER_STACK],
    [at.LARGE + at.LARGE_PAGE * 0x1000, 0x2000],
  ] as const)
    code.emit(...set(EDI, address), ...set(ECX, length / 4), 0xf3, 0xab);
  code.emit(0x31, 0xc0, 0x0f, 0x22, 0xd0); // cr2
  code.emit(...load(ESI, at.CURRENT));
  // The case's changes.
  code.emit(0x8b, 0x0e, 0x8d, 0x96, ...u32(field.patchList * 8)); // mov ecx, [esi]; lea edx, list
  code.label("patch");
  code.emit(0x85, 0xc9);
  code.relative([0x0f, 0x84], "patched");
  code.emit(0x8b, 0x3a, 0x8b, 0x42, 8, 0x89, 0x07, 0x8b, 0x42, 12, 0x89, 0x47, 4, 0x83, 0xc2, 16, 0x49);
  code.relative([0xe9], "patch");
  code.label("patched");
  code.emit(...set(EAX, at.selectors.tss), 0x0f, 0x00, 0xd8); // ltr
  code.emit(...loadField(EAX, field.ldtr), 0x0f, 0x00, 0xd0); // lldt
  // EFER is the first of the MSRs; a case leaves its high half clear.
  code.emit(...set(ECX, 0xc0000080), ...loadField(EAX, field.msrs), 0x31, 0xd2, 0x0f, 0x30);
  [0, 1, 2, 3, 6, 7].forEach((n, place) => {
    code.emit(...loadField(EAX, field.dr + place), 0x0f, 0x23, 0xc0 | (n << 3));
  });
  START_WORDS.forEach((word, n) => {
    code.emit(...loadField(EAX, word), ...store(EAX, START + n * 4));
  });
  for (const [word, register] of [
    [field.cr3, 3],
    [field.cr4, 4],
    [field.cr0, 0],
  ] as const)
    if (register !== 0) code.emit(...loadField(EAX, word), 0x0f, 0x22, 0xc0 | (register << 3));
  // The case lies beyond what its tables map: its registers go by the stack.
  for (const word of [3, 2, 1, 0]) code.emit(0xff, 0xb6, ...u32((field.segments + word) * 8)); // push
  for (const register of [0, 1, 2, 3, 4, 5, 6, 7])
    code.emit(0xff, 0xb6, ...u32((field.registers + register) * 8));
  code.emit(...loadField(EAX, field.cr0), 0x0f, 0x22, 0xc0);
  code.emit(0xf6, 0x05, ...u32(START + 4), 3); // test byte [cs], 3
  code.relative([0x0f, 0x84], "ring 0");
  const begin = (words: readonly number[], stack: readonly number[]): void => {
    code.emit(0x61, 0x1f, 0x07, 0x0f, 0xa1, 0x0f, 0xa9); // popad; pop ds, es, fs, gs
    code.emit(...stack);
    for (const n of words) code.emit(0x2e, 0xff, 0x35, ...u32(START + n * 4)); // push cs:[...]
    code.emit(0xcf);
  };
  begin([4, 3, 2, 1, 0], []);
  code.label("ring 0");
  begin([2, 1, 0], [0x2e, 0x0f, 0xb2, 0x25, ...u32(START + 12)]); // lss esp, cs:[...]
}

function afterCase(code: Assembler): void {
  code.label("after");
  code.emit(0x1e, 0x06, 0x0f, 0xa0, 0x0f, 0xa8, 0x60); // push ds, es, fs, gs; pushad
  code.emit(...set(EAX, at.selectors.data), 0x8e, 0xd8, 0x8e, 0xc0, 0xfc, ...set(EDI, SCRATCH));
  for (let n = 0; n < POPPED.length; n++) code.emit(0x58, 0xab); // pop eax; stosd
  code.emit(0x89, 0xe0, 0xab); // esp
  for (const n of [0, 2, 3, 4]) code.emit(0x0f, 0x20, 0xc0 | (n << 3), 0xab);
  code.emit(0x0f, 0x21, 0xf0, 0xab, 0x31, 0xc0, 0x0f, 0x23, 0xf8); // dr6; no breakpoints
  code.emit(0x31, 0xc0, 0x66, 0x8c, 0xd0, 0xab); // mov ax, ss
  code.emit(0x31, 0xc0, 0x66, 0x0f, 0x00, 0xc8, 0xab, 0x31, 0xc0, 0x66, 0x0f, 0x00, 0xc0, 0xab); // str, sldt
  // Back to what the monitor needs.
  code.emit(...set(EAX, CR0_OFF), 0x0f, 0x22, 0xc0, ...set(EAX, CR4_OFF), 0x0f, 0x22, 0xe0);
  tables(code);
  // The case's handler may run in a segment that cannot be read.
  toFlatCode(code);
  flat(code);
  code.emit(...load(EDI, at.INDEX), 0x69, 0xff, ...u32(at.RECORD_SIZE), 0x81, 0xc7, ...u32(at.RECORDS));
  code.emit(...set(ESI, SCRATCH), ...set(ECX, POPPED.length + READ.length), 0xf3, 0xa5);
  code.emit(...load(ESI, at.CURRENT));
  for (let n = 0; n < WATCHES; n++) {
    code.emit(...loadField(EDX, field.watches + n));
    code.emit(0x8b, 0x02, 0xab, 0x8b, 0x42, 4, 0xab); // mov eax, [edx]; stosd; the upper half
  }
  code.emit(0xff, 0x05, ...u32(at.INDEX)); // inc
  code.relative([0xe9], "next");
}
