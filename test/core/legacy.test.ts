/** Instructions that only 32-bit and 16-bit code has, and what of IA-32e mode depends on them. SDM 2A, 3A chapter 5. */
import { describe, expect, test } from "vitest";
import { CODE, descriptor, protected32, TSS } from "./protected.ts";
import { ring0 } from "./ring0.ts";

const HLT = 0xf4;
const BR = 5;
const UD = 6;
const GP = 13;
const DATA = 0x30000;
const ZF = 0x40n;
const u32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >> shift) & 255);
const movEax = (value: number): number[] => [0xb8, ...u32(value)];
const movEcx = (value: number): number[] => [0xb9, ...u32(value)];
const movEbx = (value: number): number[] => [0xbb, ...u32(value)];

describe("BOUND", () => {
  const words = (...values: readonly number[]): Uint8Array => new Uint8Array(Int32Array.from(values).buffer);
  const halves = (...values: readonly number[]): Uint8Array => new Uint8Array(Int16Array.from(values).buffer);
  const bound = [0x62, 0x05, ...u32(DATA)]; // bound eax, [DATA]
  test.each([
    ["the lower bound", -5, words(-5, 7), [], undefined],
    ["the upper bound", 7, words(-5, 7), [], undefined],
    ["one below", -6, words(-5, 7), [], BR],
    ["one above", 8, words(-5, 7), [], BR],
    ["16 bits of the index and of the bounds", 0x70003, halves(-1, 3), [0x66], undefined],
    ["16 bits, one above", 0x70004, halves(-1, 3), [0x66], BR],
  ] as const)("%s", async (_name, index, bounds, prefix, vector) => {
    const pieces = [{ address: DATA, bytes: bounds }];
    const core = await protected32([...movEax(index), ...prefix, ...bound, HLT], { pieces });
    core.run(100);
    const found = core.exceptions().map(({ vector, error, rip }) => ({ vector, error, rip }));
    expect(found).toEqual(vector === undefined ? [] : [{ vector, error: 0, rip: BigInt(CODE + 5) }]);
  });

  test("with a register, and in 64-bit mode, is #UD", async () => {
    const cores = [await protected32([0x62, 0xc0, HLT]), await ring0([...bound, HLT])];
    for (const core of cores) {
      core.run(100);
      expect(core.exceptions()).toMatchObject([{ vector: UD }]);
    }
  });
});

describe("ARPL", () => {
  test.each([
    ["raises an RPL that is lower", 0x1234_0030, 0x0b, 0x1234_0033, ZF],
    ["leaves an equal one", 0x32, 0x0a, 0x32, 0n],
    ["leaves a higher one", 0x33, 0x09, 0x33, 0n],
  ])("%s", async (_name, selector, other, result, flag) => {
    // arpl ax, cx; then the same in memory, pushing the flags of both
    const code = [...movEax(selector), ...movEcx(other), 0x63, 0xc8, 0x9c, 0x63, 0x0d, ...u32(DATA), HLT];
    const pieces = [{ address: DATA, bytes: Uint8Array.of(selector & 255, (selector >> 8) & 255, 0x77) }];
    const core = await protected32(code, { pieces });
    core.run(100);
    const { rax, rflags, rsp } = core.registers();
    expect([rax, rflags & ZF]).toEqual([BigInt(result), flag]);
    expect(BigInt(core.readPhysical(rsp, 1)[0] ?? 0) & ZF).toBe(flag);
    expect([...core.readPhysical(BigInt(DATA), 3)]).toEqual([result & 255, (result >> 8) & 255, 0x77]);
  });

  test("is #UD in real mode", async () => {
    // mov eax, cr0; and al, feh; mov cr0, eax
    const core = await protected32([0x0f, 0x20, 0xc0, 0x24, 0xfe, 0x0f, 0x22, 0xc0, 0x63, 0xc8, HLT]);
    core.run(5);
    expect(core.exceptions()[0]).toMatchObject({ vector: UD, rip: BigInt(CODE + 8) });
  });
});

describe("VEX in 16-bit code", () => {
  const andn = [0xc4, 0xe2, 0x60, 0xf2, 0xc1]; // andn eax, ebx, ecx
  test("of protected mode is what it is elsewhere", async () => {
    const head = [...movEbx(0x0f0f0f0f), ...movEcx(0x12345678)];
    const far = [0xea, ...u32(CODE + head.length + 7), 0x18, 0];
    const descriptors = [descriptor(0, 0xfffff, 0x9b, 8)]; // 16-bit, 4 GiB
    const core = await protected32([...head, ...far, ...andn, HLT], { descriptors });
    core.run(100);
    expect(core.exceptions()).toEqual([]);
    expect(core.registers().rax).toBe(0x10305070n);
  });

  test("of real mode is #UD", async () => {
    const core = await protected32([0x0f, 0x20, 0xc0, 0x24, 0xfe, 0x0f, 0x22, 0xc0, ...andn, HLT]);
    core.run(5);
    expect(core.exceptions()[0]).toMatchObject({ vector: UD, rip: BigInt(CODE + 8) });
  });
});

describe("a page of 4 MiB", () => {
  const DIRECTORY = 0x40000;
  const read = async (entry: number): Promise<Awaited<ReturnType<typeof protected32>>> => {
    const enable = [0x0f, 0x20, 0xc0, 0x0d, ...u32(1 << 31), 0x0f, 0x22, 0xc0];
    const entries = [...u32(0x83), ...u32(entry)];
    const core = await protected32([...enable, 0xa1, ...u32(0x400000 + DATA), HLT], {
      ...{ cr3: DIRECTORY, cr4: 0x10 },
      pieces: [
        { address: DIRECTORY, bytes: Uint8Array.from(entries) },
        { address: DATA, bytes: Uint8Array.of(0x2a) },
      ],
    });
    core.run(100);
    return core;
  };
  test("has bits 13 to 20 above 4 GiB, where no memory is, and bit 21 reserved", async () => {
    expect((await read(0x83)).registers().rax).toBe(0x2an);
    expect((await read(0x83 | (1 << 13))).registers().rax).toBe(0xffffffffn);
    const reserved = await read(0x83 | (1 << 21));
    expect(reserved.exceptions()).toMatchObject([{ vector: 14, error: 9, cr2: BigInt(0x400000 + DATA) }]);
  });
});

describe("PAE paging", () => {
  const POINTERS = 0x40000;
  const entry = (value: bigint): number[] => [
    ...u32(Number(value & 0xffffffffn)),
    ...u32(Number(value >> 32n)),
  ];
  test.each([52n, 58n, 62n, 40n])("bit %i of a page is reserved", async (bit) => {
    const enable = [0x0f, 0x20, 0xc0, 0x0d, ...u32(1 << 31), 0x0f, 0x22, 0xc0];
    const directory = [...entry(0x83n), ...entry(0x83n | (1n << bit))];
    const core = await protected32([...enable, 0xa1, ...u32(0x200000 + DATA), HLT], {
      ...{ cr3: POINTERS, cr4: 0x20, efer: 0x800 },
      pieces: [
        { address: POINTERS, bytes: Uint8Array.from(entry(BigInt(POINTERS) + 0x1001n)) },
        { address: POINTERS + 0x1000, bytes: Uint8Array.from(directory) },
      ],
    });
    core.run(100);
    expect(core.exceptions()).toMatchObject([{ vector: 14, error: 9, cr2: BigInt(0x200000 + DATA) }]);
  });
});

test("JMP through a gate refuses code of another level before it asks whether it is present", async () => {
  const NP = 11;
  // Selector 18h: the gate, 20h: its target, neither of them as it should be.
  const gate = (BigInt(0x20) << 16n) | (0x8cn << 40n);
  const jump = [0xea, ...u32(0), 0x18, 0];
  const outer = await protected32(jump, { descriptors: [gate, descriptor(0, 0xfffff, 0x7b, 12)] });
  outer.run(10);
  expect(outer.exceptions()[0]).toMatchObject({ vector: GP, error: 0x20 });
  const same = await protected32(jump, { descriptors: [gate, descriptor(0, 0xfffff, 0x1b, 12)] });
  same.run(10);
  expect(same.exceptions()[0]).toMatchObject({ vector: NP, error: 0x20 });
});

describe("IA-32e mode", () => {
  const PML4 = 0x40000;
  /** ltr, then mov cr0 with PG, with EFER.LME and PAE set. */
  const enable = async (tss: bigint) =>
    await protected32(
      [
        ...[0x66, 0xb8, 0x18, 0, 0x0f, 0x00, 0xd8],
        ...[0x0f, 0x20, 0xc0, 0x0d, ...u32(1 << 31)],
        0x0f,
        0x22,
        0xc0,
        HLT,
      ],
      {
        descriptors: [tss],
        ...{ cr3: PML4, cr4: 0x20, efer: 0x100 },
        pieces: [
          { address: PML4, bytes: Uint8Array.of(0x03, 0x10, 0x04) },
          { address: PML4 + 0x1000, bytes: Uint8Array.of(0x83, 0, 0) },
        ],
      },
    );

  test("begins with a 32-bit task-state segment, and is refused with a 16-bit one", async () => {
    const good = await enable(descriptor(TSS, 0x67, 0x89, 0));
    good.run(100);
    expect(good.exceptions()).toEqual([]);
    expect(good.registers().efer).toBe(0x500n);
    const bad = await enable(descriptor(TSS, 0x67, 0x81, 0));
    bad.run(100);
    expect(bad.exceptions()).toMatchObject([{ vector: GP, error: 0, rip: BigInt(CODE + 15) }]);
    expect(bad.registers().efer).toBe(0x100n);
  });

  const push = (value: number): number[] => [0x68, ...u32(value)];
  /** Both L and D. */
  const both = { address: 0x6020, bytes: Uint8Array.from([0xff, 0xff, 0, 0, 0, 0x9b, 0xef, 0]) };
  test.each([
    ["IRET", [...push(0x18), ...push(0x20000), ...push(2), ...push(0x20), ...push(CODE), 0x48, 0xcf]],
    ["RET far", [...push(0x20), ...push(CODE), 0x48, 0xcb]],
    ["JMP far", [...push(0x20), ...push(CODE), 0x48, 0xff, 0x2c, 0x24]],
  ])("%s to code with both L and D is #GP with its selector", async (_name, code) => {
    const core = await ring0([...code, HLT], {}, { pieces: [both] });
    core.run(100);
    expect(core.exceptions()).toMatchObject([{ vector: GP, error: 0x20 }]);
  });
});
