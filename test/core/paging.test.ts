/** Translation as programs see it: faults at page ends, large and global pages, context numbers. SDM 3A chapter 4. */
import { describe, expect, test } from "vitest";
import type { Core } from "../../bindings/core/core.ts";
import { CODE, DIRECTORY, ring0 } from "./ring0.ts";

const HLT = 0xf4;
const NOP = 0x90;
const GP = 13;
const PF = 14;
const u32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >> shift) & 255);
const u64 = (value: bigint): number[] => [...u32(Number(value & 0xffffffffn)), ...u32(Number(value >> 32n))];
const movEax = (value: number): number[] => [0xb8, ...u32(value)];
const bytesOf = (...words: readonly bigint[]): Uint8Array => Uint8Array.from(words.flatMap(u64));

/** The second 2 MiB by a table of 4 KiB pages: page n is the frame at 400000h + n pages, unless `pages` says else. */
const TABLE = 0x40000;
const WINDOW = 0x200000;
const FRAMES = 0x400000;
const NX = 1n << 63n;
/** Entries above it allow user accesses, so that the pages decide. */
function windowOf(pages: { readonly [n: number]: bigint }): { address: number; bytes: Uint8Array }[] {
  const entries = Array.from({ length: 8 }, (_, n) => pages[n] ?? BigInt(FRAMES + n * 0x1000) | 3n);
  return [
    { address: 0x1000, bytes: bytesOf(0x2007n) },
    { address: 0x2000, bytes: bytesOf(BigInt(DIRECTORY) | 7n) },
    { address: DIRECTORY, bytes: bytesOf(0x83n, BigInt(TABLE) | 7n) },
    { address: TABLE, bytes: bytesOf(...entries) },
    // Selectors 20h and 28h: code and data of ring 3.
    { address: 0x6020, bytes: bytesOf(0x00affb000000ffffn, 0x00cff3000000ffffn) },
  ];
}
const at = (page: number, offset = 0): number => WINDOW + page * 0x1000 + offset;
const frame = (page: number, offset = 0): number => FRAMES + page * 0x1000 + offset;
const push = (value: number): number[] => [0x68, ...u32(value)];
const toRing3 = (rip: number): number[] => [
  ...[...push(0x2b), ...push(0x30000), ...push(2), ...push(0x23), ...push(rip)],
  ...[0x48, 0xcf],
];
const jump = (to: number): number[] => [...movEax(to), 0xff, 0xe0];

describe("an instruction that goes on in the next page", () => {
  const SMEP = [0x0f, 0x20, 0xe0, 0x0d, ...u32(1 << 20), 0x0f, 0x22, 0xe0]; // mov eax, cr4; or; mov cr4, eax
  const second = (bits: bigint): { [n: number]: bigint } => ({ 1: BigInt(frame(1)) | bits });
  test.each<readonly [string, { [n: number]: bigint }, readonly number[], number]>([
    ["which is not there", second(0n), jump(at(0, 0xffe)), 0x10],
    ["which is not executable", second(3n | NX), jump(at(0, 0xffe)), 0x11],
    ["with a reserved bit", second(3n | (1n << 45n)), jump(at(0, 0xffe)), 0x19],
    ["of ring 0, from ring 3", { ...second(3n), 0: BigInt(frame(0)) | 7n }, toRing3(at(0, 0xffe)), 0x15],
    ["of ring 3, from ring 0 under SMEP", second(7n), [...SMEP, ...jump(at(0, 0xffe))], 0x11],
  ])("%s", async (_name, pages, code, error) => {
    // movabs rax, imm64: two bytes here, eight there
    const instruction = { address: frame(0, 0xffe), bytes: Uint8Array.of(0x48, 0xb8) };
    const core = await ring0(code, {}, { pieces: [...windowOf(pages), instruction] });
    core.run(100);
    const expected = { vector: PF, error, cr2: BigInt(at(1)), rip: BigInt(at(0, 0xffe)) };
    expect(core.exceptions()[0]).toMatchObject(expected);
  });

  test("but one that ends with its page is done first", async () => {
    const instruction = { address: frame(0, 0xffb), bytes: Uint8Array.from(movEax(7)) };
    const pieces = [...windowOf({ 1: 0n }), instruction];
    const core = await ring0(jump(at(0, 0xffb)), {}, { pieces });
    core.run(100);
    expect(core.exceptions()).toMatchObject([
      { vector: PF, error: 0x10, cr2: BigInt(at(1)), rip: BigInt(at(1)) },
    ]);
    expect(core.registers().rax).toBe(7n);
  });

  // mov ebx, 1; ret: three bytes here, three there
  const START = at(0, 0xffd);
  const storeByte = (to: number, value: number): number[] => [0xc6, 0x04, 0x25, ...u32(to), value];
  const storeEntry = (entry: number): number[] => [0xc7, 0x04, 0x25, ...u32(TABLE + 8), ...u32(entry)];
  const invlpg = [0x0f, 0x01, 0x3c, 0x25, ...u32(at(1))];
  const twice = async (change: readonly number[]): Promise<Core> => {
    const pieces = [
      ...windowOf({}),
      { address: frame(0, 0xffd), bytes: Uint8Array.of(0xbb, 1, 0) },
      { address: frame(1), bytes: Uint8Array.of(0, 0, 0xc3) },
      { address: frame(2), bytes: Uint8Array.of(5, 0, 0xc3) },
    ];
    const call = [...movEax(START), 0xff, 0xd0];
    const core = await ring0([...call, ...call, ...change, ...call, HLT], {}, { pieces });
    core.run(100);
    return core;
  };
  test.each<readonly [string, readonly number[], bigint]>([
    ["nothing has changed", [], 1n],
    ["its first part is written", storeByte(START + 1, 2), 2n],
    ["its second part is written", storeByte(at(1), 1), 0x10001n],
    ["its second page is another one", [...storeEntry(frame(2) | 3), ...invlpg], 0x50001n],
    ["its second page is another one, but the old one is cached", storeEntry(frame(2) | 3), 1n],
  ])("and was executed before, when %s", async (_name, change, ebx) => {
    const core = await twice(change);
    expect(core.exceptions()).toEqual([]);
    expect(core.registers().rbx).toBe(ebx);
  });
  test("and was executed before, when its second page is gone", async () => {
    const core = await twice([...storeEntry(0), ...invlpg]);
    expect(core.exceptions()[0]).toMatchObject({
      vector: PF,
      error: 0x10,
      cr2: BigInt(at(1)),
      rip: BigInt(START),
    });
  });

  test("a read across two pages of which the second is missing names the second", async () => {
    const code = [0x48, 0x8b, 0x04, 0x25, ...u32(at(0, 0xffc)), HLT];
    const core = await ring0(code, {}, { pieces: windowOf({ 1: 0n }) });
    core.run(100);
    expect(core.exceptions()).toMatchObject([{ vector: PF, error: 0, cr2: BigInt(at(1)) }]);
  });
});

describe("a string instruction that faults on its way", () => {
  const HANDLER = 0xc000;
  /** Puts page 1 there, drops the error code and goes on. */
  const mapIt = [
    ...[0xc7, 0x04, 0x25, ...u32(TABLE + 8), ...u32(frame(1) | 3)],
    ...[0x48, 0x83, 0xc4, 8, 0x48, 0xcf],
  ];
  const run = async (code: readonly number[]): Promise<Core> => {
    const handler = { address: HANDLER, bytes: Uint8Array.from(mapIt) };
    const pieces = [...windowOf({ 1: 0n }), handler];
    return await ring0([...code, HLT], { handlers: { [PF]: HANDLER } }, { pieces });
  };
  const set = (rsi: number, rdi: number, rcx: number): number[] => [
    ...[0xbe, ...u32(rsi), 0xbf, ...u32(rdi), 0xb9, ...u32(rcx)],
  ];
  const EDGE = at(0, 0xffd);
  const AWAY = 0x30000;
  test.each<readonly [string, readonly number[], number, { rsi: number; rdi: number; rcx: number }]>([
    ["rep movsb, writing", [...set(AWAY, EDGE, 8), 0xf3, 0xa4], 2, { rsi: AWAY + 3, rdi: at(1), rcx: 5 }],
    ["rep movsb, reading", [...set(EDGE, AWAY, 8), 0xf3, 0xa4], 0, { rsi: at(1), rdi: AWAY + 3, rcx: 5 }],
    ["rep stosb", [...set(0, EDGE, 8), 0xf3, 0xaa], 2, { rsi: 0, rdi: at(1), rcx: 5 }],
    ["rep stosd across the edge", [...set(0, EDGE - 4, 3), 0xf3, 0xab], 2, { rsi: 0, rdi: EDGE, rcx: 2 }],
    ["rep lodsb", [...set(EDGE, 0, 8), 0xf3, 0xac], 0, { rsi: at(1), rdi: 0, rcx: 5 }],
    ["repe cmpsb", [...set(EDGE, AWAY, 8), 0xf3, 0xa6], 0, { rsi: at(1), rdi: AWAY + 3, rcx: 5 }],
    ["repe scasb", [0x31, 0xc0, ...set(0, EDGE, 8), 0xf3, 0xae], 0, { rsi: 0, rdi: at(1), rcx: 5 }],
    [
      "rep movsb downwards",
      [...set(AWAY + 8, at(2, 2), 8), 0xfd, 0xf3, 0xa4],
      2,
      { rsi: AWAY + 5, rdi: at(2) - 1, rcx: 5 },
    ],
  ])("%s: registers at the fault, and the rest after it", async (_name, code, error, middle) => {
    const core = await run(code);
    using _stop = core.instruments.breakpoint(BigInt(HANDLER));
    expect(core.run(1000).kind).toBe("breakpoint");
    const { rsi, rdi, rcx } = core.registers();
    expect({ rsi: Number(rsi), rdi: Number(rdi), rcx: Number(rcx) }).toEqual(middle);
    const rip = BigInt(CODE + code.length - 2);
    expect(core.exceptions()).toMatchObject([{ vector: PF, error, rip }]);
    expect(core.run(1000).kind).toBe("halted");
    expect(core.exceptions().length).toBe(1);
    expect(core.registers()).toMatchObject({ rcx: 0n, rip: BigInt(CODE + code.length + 1) });
  });

  test("an element across the edge is not half written", async () => {
    const core = await run([...movEax(-1), ...set(0, EDGE, 1), 0xf3, 0xab]);
    using _stop = core.instruments.breakpoint(BigInt(HANDLER));
    core.run(1000);
    expect([...core.readPhysical(BigInt(frame(0, 0xffd)), 3)]).toEqual([0, 0, 0]);
    core.run(1000);
    expect([...core.readPhysical(BigInt(frame(0, 0xffd)), 5)]).toEqual([255, 255, 255, 255, 0]);
  });
});

describe("pages of 1 GiB", () => {
  /** Entry 1 of the PDPT, read through at 1 GiB + 30000h. */
  const through = async (entry: bigint): Promise<Core> => {
    const pieces = [
      { address: 0x2008, bytes: bytesOf(entry) },
      { address: 0x30000, bytes: Uint8Array.of(0x2a) },
    ];
    const core = await ring0([0x8b, 0x04, 0x25, ...u32(0x40030000), HLT], {}, { pieces });
    core.run(100);
    return core;
  };
  test("map memory; bit 12 is a memory type, bits 13 to 29 are reserved", async () => {
    const good = await through(0x1083n);
    expect([good.registers().rax, good.exceptions()]).toEqual([0x2an, []]);
    for (const bit of [13n, 21n, 29n, 40n, 51n]) {
      const bad = await through(0x83n | (1n << bit));
      expect(bad.exceptions()).toMatchObject([{ vector: PF, error: 9, cr2: 0x40030000n }]);
    }
  });
});

describe("what stays cached", () => {
  const GLOBAL = 0x100n;
  const readWindow = [0x8b, 0x1c, 0x25, ...u32(at(0))]; // mov ebx, [window]
  /** Page 0 becomes frame 1 without INVLPG. */
  const change = [0xc7, 0x04, 0x25, ...u32(TABLE), ...u32(frame(1) | 3)];
  const cr3 = [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8]; // mov rax, cr3; mov cr3, rax
  const toggle = (bit: number): number[] => [
    ...[0x0f, 0x20, 0xe0, 0x35, ...u32(bit), 0x0f, 0x22, 0xe0],
    ...[0x35, ...u32(bit), 0x0f, 0x22, 0xe0],
  ];
  const PGE = toggle(0x80).slice(0, 11);
  const invlpg = [0x0f, 0x01, 0x3c, 0x25, ...u32(at(0, 0xfff))];
  const invpcid = (type: number): number[] => [
    ...movEax(type),
    ...[0x66, 0x0f, 0x38, 0x82, 0x04, 0x25, ...u32(0x30000)],
  ];
  const OLD = 1n;
  const NEW = 2n;
  /** EBX after this code, the window's page 0 being frame 0 with these bits; both frames begin with the bytes. */
  const ebxAfter = async (
    code: readonly number[],
    bits: bigint,
    [first, second]: readonly [Uint8Array, Uint8Array] = [Uint8Array.of(1), Uint8Array.of(2)],
    more: readonly { address: number; bytes: Uint8Array }[] = [],
  ): Promise<bigint> => {
    const pieces = [
      ...windowOf({ 0: BigInt(frame(0)) | 3n | bits }),
      { address: frame(0), bytes: first },
      { address: frame(1), bytes: second },
      ...more,
    ];
    const core = await ring0([...PGE, ...code, HLT], {}, { pieces });
    expect(core.run(5000).kind).toBe("halted");
    expect(core.exceptions()).toEqual([]);
    return core.registers().rbx;
  };
  test.each<readonly [string, bigint, readonly number[], bigint]>([
    ["nothing", 0n, [], OLD],
    ["a write of CR3", 0n, cr3, NEW],
    ["a write of CR3, global", GLOBAL, cr3, OLD],
    ["INVLPG, global", GLOBAL, invlpg, NEW],
    ["CR4.PGE, global", GLOBAL, toggle(0x80), NEW],
    ["INVPCID of an address", 0n, invpcid(0), NEW],
    ["INVPCID of a context", 0n, invpcid(1), NEW],
    ["INVPCID of a context, global", GLOBAL, invpcid(1), OLD],
    ["INVPCID of all and global ones, global", GLOBAL, invpcid(2), NEW],
    ["INVPCID of all but global ones", 0n, invpcid(3), NEW],
    ["INVPCID of all but global ones, global", GLOBAL, invpcid(3), OLD],
  ])("after %s", async (_name, bits, forget, result) => {
    const code = [...readWindow, ...change, ...forget, ...readWindow];
    const descriptor = { address: 0x30000, bytes: bytesOf(0n, BigInt(at(0))) };
    expect(await ebxAfter(code, bits, undefined, [descriptor])).toBe(result);
  });

  /** Reads each of the first 512 pages: mov esi, 1ff000h; mov eax, [rsi]; sub esi, 1000h; jnz back. */
  const readMany = [0xbe, ...u32(0x1ff000), 0x8b, 0x06, 0x81, 0xee, ...u32(0x1000), 0x75, 0xf6];
  test.each<readonly [string, bigint, bigint, readonly number[], bigint]>([
    ["many pages and a write of CR3", 0n, 0n, cr3, NEW],
    ["many pages and a write of CR3, global", GLOBAL, 0n, cr3, OLD],
    ["many global pages and a write of CR3", 0n, GLOBAL, cr3, NEW],
    ["many global pages and a write of CR3, global", GLOBAL, GLOBAL, cr3, OLD],
    ["many global pages and CR4.PGE, global", GLOBAL, GLOBAL, toggle(0x80), NEW],
  ])("after %s", async (_name, bits, others, forget, result) => {
    // The window is read last: page 200h of the TLB's 2048 is nobody else's.
    const code = [...readMany, ...readWindow, ...change, ...forget, ...readWindow];
    const directory = { address: DIRECTORY, bytes: bytesOf(0x83n | others) };
    expect(await ebxAfter(code, bits, undefined, [directory])).toBe(result);
  });

  /** Pages 8 MiB apart have one entry of the TLB; the second is read in turn with the window's first. */
  const OTHER = at(0) + 0x800000;
  const readOther = [0x8b, 0x0c, 0x25, ...u32(OTHER)];
  test.each<readonly [string, bigint, readonly number[], bigint]>([
    ["nothing, global", GLOBAL, [], OLD],
    ["nothing", 0n, [], NEW],
    ["a write of CR3, global", GLOBAL, cr3, OLD],
    ["INVLPG, global", GLOBAL, invlpg, NEW],
    ["CR4.PGE, global", GLOBAL, toggle(0x80), NEW],
  ])("where another page took its entry, after %s", async (_name, bits, forget, result) => {
    const code = [...readWindow, ...readOther, ...change, ...forget, ...readWindow];
    const directory = { address: DIRECTORY + (OTHER >> 21) * 8, bytes: bytesOf(0x600083n) };
    expect(await ebxAfter(code, bits, undefined, [directory])).toBe(result);
  });

  /** The window's first page as code: mov ebx, n; ret. */
  const returning = (n: number): Uint8Array => Uint8Array.of(0xbb, ...u32(n), 0xc3);
  test.each<readonly [string, bigint, readonly number[], bigint]>([
    ["nothing", 0n, [], OLD],
    ["a write of CR3", 0n, cr3, NEW],
    ["a write of CR3, global", GLOBAL, cr3, OLD],
    ["INVLPG, global", GLOBAL, invlpg, NEW],
    ["CR4.PGE, global", GLOBAL, toggle(0x80), NEW],
  ])("of code after %s", async (_name, bits, forget, result) => {
    const call = [...movEax(at(0)), 0xff, 0xd0];
    const code = [...call, ...change, ...forget, ...call];
    expect(await ebxAfter(code, bits, [returning(1), returning(2)])).toBe(result);
  });
});

describe("INVPCID is refused", () => {
  const PCIDE = [...movEax(0x20020), 0x0f, 0x22, 0xe0];
  const invpcid = [0x66, 0x0f, 0x38, 0x82, 0x04, 0x25, ...u32(0x30000)];
  const type = (value: bigint): number[] => [0x48, 0xb8, ...u64(value)];
  const FAR = 0x800000000000n;
  test.each<readonly [string, boolean, bigint, bigint, bigint, boolean]>([
    ["type 0 with a context number", true, 0n, 0xfffn, 0n, true],
    ["type 0 with one, PCIDE clear", false, 0n, 1n, 0n, false],
    ["type 1 with one, PCIDE clear", false, 1n, 1n, 0n, false],
    ["type 2 with one, PCIDE clear", false, 2n, 1n, 0n, true],
    ["type 3 with one, PCIDE clear", false, 3n, 1n, 0n, true],
    ["type 4", true, 4n, 0n, 0n, false],
    ["type 2^32", true, 1n << 32n, 0n, 0n, false],
    ["bit 12 of the context", true, 1n, 1n << 12n, 0n, false],
    ["bit 63 of the context, type 2", true, 2n, 1n << 63n, 0n, false],
    ["type 0, an address that is not canonical", true, 0n, 0n, FAR, false],
    ["type 1, such an address", true, 1n, 0n, FAR, true],
    ["type 2, such an address", true, 2n, 0n, FAR, true],
  ])("%s", async (_name, hasContexts, kind, context, address, isGood) => {
    const pieces = [{ address: 0x30000, bytes: bytesOf(context, address) }];
    const code = [...(hasContexts ? PCIDE : []), ...type(kind), ...invpcid];
    const core = await ring0([...code, HLT], {}, { pieces });
    core.run(100);
    const rip = BigInt(CODE + code.length - invpcid.length);
    expect(core.exceptions()).toMatchObject(isGood ? [] : [{ vector: GP, error: 0, rip }]);
    expect(core.exceptions().length).toBe(isGood ? 0 : 1);
  });

  test("outside ring 0", async () => {
    const pages = { 0: BigInt(frame(0)) | 7n };
    const code = { address: frame(0), bytes: Uint8Array.from([0x31, 0xc0, ...invpcid, NOP]) };
    const core = await ring0(toRing3(at(0)), {}, { pieces: [...windowOf(pages), code] });
    core.run(100);
    expect(core.exceptions()[0]).toMatchObject({ vector: GP, error: 0, rip: BigInt(at(0, 2)) });
  });
});
