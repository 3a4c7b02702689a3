/** Segmentation outside 64-bit mode, by small programs in 32-bit protected mode. SDM 3A chapter 5. */
import { describe, expect, test } from "vitest";
import { CODE, descriptor, protected32 } from "./protected.ts";

const HLT = 0xf4;
const GP = 13;
const SS_FAULT = 12;
const u32 = (value: number): number[] => [
  value & 255,
  (value >> 8) & 255,
  (value >> 16) & 255,
  (value >> 24) & 255,
];
/** mov ax, selector; mov es, ax */
const loadEs = (selector: number): number[] => [0x66, 0xb8, selector, 0, 0x8e, 0xc0];
/** mov eax, es:[address] */
const readEs = (address: number): number[] => [0x26, 0xa1, ...u32(address)];
const writeEs = (address: number): number[] => [0x26, 0xa3, ...u32(address)];

const SMALL = descriptor(0x30000, 0xfff, 0x93, 4);
const DOWN = descriptor(0x30000, 0xfff, 0x97, 4);
const READ_ONLY = descriptor(0, 0xfffff, 0x91, 12);
const EXECUTE_ONLY = descriptor(0, 0xfffff, 0x99, 12);

async function exceptionOf(code: readonly number[], descriptors: readonly bigint[]): Promise<unknown> {
  const core = await protected32([...code, HLT], { descriptors });
  core.run(100);
  const [first] = core.exceptions();
  return first === undefined ? undefined : { ...first, time: undefined, cr2: undefined };
}

describe("limits", () => {
  test.each([
    ["the last double word", readEs(0xffc), undefined],
    ["one byte beyond", readEs(0xffd), GP],
    ["a write beyond", writeEs(0x1000), GP],
    ["far beyond", readEs(-4), GP],
  ])("%s", async (_name, access, vector) => {
    const code = [...loadEs(0x18), ...access];
    const found = await exceptionOf(code, [SMALL]);
    if (vector === undefined) expect(found).toBeUndefined();
    else expect(found).toMatchObject({ vector, error: 0, rip: BigInt(CODE + 6) });
  });

  test("the base is added", async () => {
    const core = await protected32([...loadEs(0x18), ...readEs(0x10), HLT], { descriptors: [SMALL] });
    core.writePhysical(0x30010n, Uint8Array.of(7));
    core.run(100);
    expect(core.registers().rax).toBe(7n);
  });

  test("a segment that expands down has what lies above its limit", async () => {
    expect(await exceptionOf([...loadEs(0x18), ...readEs(0xffc)], [DOWN])).toMatchObject({ vector: GP });
    expect(await exceptionOf([...loadEs(0x18), ...readEs(0x1000)], [DOWN])).toBeUndefined();
  });

  test("the stack's limit is #SS", async () => {
    const code = [
      ...[0x66, 0xb8, 0x18, 0, 0x8e, 0xd0], // mov ss, ax
      ...[0xbc, ...u32(2)], // mov esp, 2
      0x50, // push eax
    ];
    expect(await exceptionOf(code, [SMALL])).toMatchObject({
      vector: SS_FAULT,
      error: 0,
      rip: BigInt(CODE + 11),
    });
  });

  test("string instructions stop at the limit with the elements before it done", async () => {
    const code = [...loadEs(0x18), 0xbf, ...u32(0xff8), 0xb9, ...u32(16), 0xf3, 0xaa]; // rep stosb
    const core = await protected32([...code, HLT], { descriptors: [SMALL] });
    core.run(100);
    expect(core.exceptions()).toMatchObject([{ vector: GP }]);
    expect(core.registers().rcx).toBe(8n);
    expect(core.registers().rdi).toBe(0x1000n);
  });
});

describe("types", () => {
  test.each([
    ["reading a read-only segment", READ_ONLY, readEs(0x100), undefined],
    ["writing a read-only segment", READ_ONLY, writeEs(0x100), GP],
  ])("%s", async (_name, entry, access, vector) => {
    const found = await exceptionOf([...loadEs(0x18), ...access], [entry]);
    if (vector === undefined) expect(found).toBeUndefined();
    else expect(found).toMatchObject({ vector, error: 0 });
  });

  test("an execute-only segment cannot be loaded for data", async () => {
    expect(await exceptionOf(loadEs(0x18), [EXECUTE_ONLY])).toMatchObject({ vector: GP, error: 0x18 });
  });

  test("code cannot be written through CS", async () => {
    expect(await exceptionOf([0x2e, 0xa3, ...u32(0x100)], [])).toMatchObject({ vector: GP, error: 0 });
    expect(await exceptionOf([0x2e, 0xa1, ...u32(0x100)], [])).toBeUndefined();
  });

  test("a null selector loads, and any access through it is #GP(0)", async () => {
    expect(await exceptionOf(loadEs(0), [])).toBeUndefined();
    expect(await exceptionOf([...loadEs(0), ...readEs(0x100)], [])).toMatchObject({ vector: GP, error: 0 });
  });

  test("a segment that is not present is #NP with its selector", async () => {
    expect(await exceptionOf(loadEs(0x18), [descriptor(0, 0xfff, 0x13, 4)])).toMatchObject({
      vector: 11,
      error: 0x18,
    });
  });
});
