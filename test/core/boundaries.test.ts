/**
 * What happens between instructions and at the edges of them: traps that are held off, flags that are saved, rights
 * that are looked at first. SDM 2A, 3A chapters 4 and 6, 3B chapter 17.
 */
import { describe, expect, test } from "vitest";
import { CODE, DIRECTORY, frame, ring0 } from "./ring0.ts";

const HLT = 0xf4;
const NOP = 0x90;
const DB = 1;
const UD = 6;
const NP = 11;
const GP = 13;
const PF = 14;
const DATA = 0x30000;

const u32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >> shift) & 255);
const movEax = (value: number): number[] => [0xb8, ...u32(value)];
const movEcx = (value: number): number[] => [0xb9, ...u32(value)];
const movEdx = (value: number): number[] => [0xba, ...u32(value)];
const movDr = (n: number): number[] => [0x0f, 0x23, 0xc0 | (n << 3)];
const setFlags = (flags: number): number[] => [0x68, ...u32(flags), 0x9d];
const wrmsr = (msr: number, low: number, high: number): number[] => [
  ...[...movEcx(msr), ...movEax(low), ...movEdx(high)],
  ...[0x0f, 0x30],
];
/** mov eax, 18h; mov ss, ax */
const loadSs = [...movEax(0x18), 0x8e, 0xd0];

describe("a load of SS", () => {
  test("is not stepped: the trap comes behind the instruction after it", async () => {
    const code = [...movEax(0x18), ...setFlags(0x102), 0x8e, 0xd0, NOP, NOP, HLT];
    const core = await ring0(code);
    core.run(100);
    expect(frame(core).rip).toBe(CODE + code.length - 2);
  });

  test("holds off an instruction breakpoint behind it", async () => {
    const head = [...movEax(CODE + 28), ...movDr(0), ...movEax(1), ...movDr(7)];
    const code = [...head, ...loadSs, NOP, NOP, NOP, NOP, NOP, NOP];
    // The first byte behind the load of SS.
    code[1] = (CODE + head.length + loadSs.length) & 255;
    const core = await ring0([...code, HLT]);
    expect(core.run(100).kind).toBe("halted");
    expect(core.exceptions()).toEqual([]);
  });

  test("keeps the data breakpoint that it met until the next instruction is done", async () => {
    const code = [
      ...[...movEax(DATA), ...movDr(0), ...movEax(0x70001), ...movDr(7)], // word, read or write
      ...[0xc7, 0x04, 0x25, ...u32(DATA + 8), ...u32(0x18)],
      ...[0x8e, 0x14, 0x25, ...u32(DATA)], // mov ss, [DATA]: 0 is refused nowhere in ring 0
      ...[NOP, NOP, HLT],
    ];
    const core = await ring0(code);
    core.run(100);
    expect(core.exceptions()).toMatchObject([{ vector: DB }]);
    expect(frame(core).rip).toBe(CODE + code.length - 2);
    expect(core.registers().dr6 & 0xfn).toBe(1n);
  });

  test("and a snapshot between the two changes nothing", async () => {
    const code = [...movEax(0x18), ...setFlags(0x102), 0x8e, 0xd0, NOP, NOP, HLT];
    const whole = await ring0(code);
    whole.run(100);
    const split = await ring0(code);
    split.run(4);
    split.restore(split.snapshot());
    split.run(100);
    expect(split.stateHash()).toBe(whole.stateHash());
  });
});

describe("single step", () => {
  test("INT n clears TF: no trap at its handler", async () => {
    const core = await ring0([...setFlags(0x102), 0xcd, 0x40, HLT]);
    expect(core.run(100).kind).toBe("halted");
    expect(core.exceptions()).toEqual([]);
  });

  test("SYSCALL is not followed by a trap when IA32_FMASK clears TF, and is when it does not", async () => {
    const enter = [
      ...wrmsr(0xc0000081, 0, 0x10),
      ...wrmsr(0xc0000082, CODE + 0x100, 0),
      ...setFlags(0x102),
      ...[0x0f, 0x05],
    ];
    const target = { address: CODE + 0x100, bytes: Uint8Array.of(NOP, NOP, HLT) };
    const masked = await ring0([...wrmsr(0xc0000084, 0x100, 0), ...enter], {}, { pieces: [target] });
    expect(masked.run(100).kind).toBe("halted");
    expect(masked.exceptions()).toEqual([]);
    const open = await ring0([...wrmsr(0xc0000084, 0, 0), ...enter], {}, { pieces: [target] });
    open.run(100);
    expect(open.exceptions()).toMatchObject([{ vector: DB, rip: BigInt(CODE + 0x100) }]);
  });
});

describe("delivery", () => {
  test("INT 8 whose gate is not present is #NP, not a triple fault", async () => {
    const core = await ring0([0xcd, 8], { absent: [8] });
    expect(core.run(100).kind).toBe("halted");
    expect(core.exceptions()).toMatchObject([{ vector: NP, error: 8 * 8 + 2, rip: BigInt(CODE) }]);
  });

  test("IRET to ring 0 with a null SS whose RPL is not 0 is #GP(0)", async () => {
    const push = (value: number): number[] => [0x68, ...u32(value)];
    const code = [...push(3), ...push(0x20000), ...push(2), ...push(0x10), ...push(CODE + 0x80), 0x48, 0xcf];
    const core = await ring0(code);
    core.run(100);
    expect(core.exceptions()).toMatchObject([{ vector: GP, error: 0 }]);
  });
});

describe("instructions that are refused", () => {
  const refused: readonly (readonly [string, number, readonly number[]])[] = [
    ["RDPMC: there is no counter", GP, [...movEcx(0), 0x0f, 0x33]],
    ["IA32_TSC_AUX beyond 32 bits", GP, wrmsr(0xc0000103, 0, 1)],
    ["a reserved bit of IA32_MTRR_DEF_TYPE", GP, wrmsr(0x2ff, 0x1006, 0)],
    ["LTR of a null selector", GP, [0x31, 0xc0, 0x0f, 0x00, 0xd8]],
    ["RDPID, which is not offered", UD, [0xf3, 0x0f, 0xc7, 0xf8]],
    ["LOCK with a register destination", UD, [0xf0, 0x01, 0xc0]],
    ["LOCK MOV", UD, [0xf0, 0x89, 0x04, 0x25, ...u32(DATA)]],
    ["more than 15 bytes", GP, [...Array.from({ length: 15 }, () => 0x66), NOP]],
    [
      "15 prefixes and an opcode that does not exist",
      GP,
      [...Array.from({ length: 15 }, () => 0x2e), 0x0f, 0x0b],
    ],
  ];
  test.each(refused)("%s", async (_name, vector, code) => {
    const core = await ring0([...code, HLT]);
    core.run(100);
    expect(core.exceptions()).toMatchObject([{ vector, error: 0 }]);
  });

  test("MOV from a control register takes a register whatever its mod field says", async () => {
    const core = await ring0([0x0f, 0x20, 0x24, HLT, NOP, NOP, HLT]); // mod 0, rm 4: rsp, and no SIB byte
    core.run(100);
    expect(core.registers()).toMatchObject({ rip: BigInt(CODE + 4), rsp: 0x20n });
  });
});

describe("a walk that ends in a page fault", () => {
  test("has marked the entries that led on as accessed, and nothing of the page", async () => {
    const core = await ring0([0x8b, 0x04, 0x25, ...u32(0x600000), HLT]);
    core.writePhysical(BigInt(DIRECTORY + 3 * 8), Uint8Array.of(0x00, 0x90, 0x00, 0, 0, 0, 0, 0));
    core.writePhysical(0x2000n, Uint8Array.of(0x03, 0x30, 0, 0, 0, 0, 0, 0));
    core.run(1);
    expect(core.exceptions()).toMatchObject([{ vector: PF, error: 0, cr2: 0x600000n }]);
    expect(core.readPhysical(0x2000n, 1)[0]).toBe(0x23);
    expect(core.readPhysical(BigInt(DIRECTORY + 3 * 8), 1)[0]).toBe(0);
  });
});

describe("a repeated string instruction counts", () => {
  const movRegisters = (rsi: number, rdi: number, count: number): number[] => [
    ...[0xbe, ...u32(rsi), 0xbf, ...u32(rdi)],
    ...movEcx(count),
  ];
  test.each<readonly [string, number, number, number, readonly number[], bigint]>([
    ["once for a page that is filled", 0, DATA, 4096, [0xf3, 0xaa], 1n],
    ["twice for more", 0, DATA, 4097, [0xf3, 0xaa], 2n],
    ["once for a page that is copied", DATA, DATA + 0x1000, 4096, [0xf3, 0xa4], 1n],
    ["for every 128 bytes of a copy that feeds itself", DATA, DATA + 1, 512, [0xf3, 0xa4], 4n],
    ["once for less than that", DATA, DATA + 1, 128, [0xf3, 0xa4], 1n],
  ])("%s", async (_name, rsi, rdi, count, instruction, expected) => {
    // Executed twice: the second time the pages are known.
    const once = [...movRegisters(rsi, rdi, count), ...instruction];
    const core = await ring0([...once, ...once, HLT]);
    expect(core.run(10_000).kind).toBe("halted");
    expect(core.exceptions()).toEqual([]);
    expect(core.registers().rdi).toBe(BigInt(rdi + count));
    expect(core.instructions - 7n).toBe(2n * expected);
  });
});
