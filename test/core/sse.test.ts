/** When vector instructions may execute, what #XM leaves, MMX state, CPUID. SDM 2A 2.5, SDM 3A 2.5 and 13.2. */
import { describe, expect, test } from "vitest";
import type { Core } from "../../bindings/core/core.ts";
import { CODE, frame, ring0 } from "./ring0.ts";

const UD = 6;
const NM = 7;
const MF = 16;
const XM = 19;
const GP = 13;
const HLT = 0xf4;
const OSFXSR = 0x200;
const OSXMMEXCPT = 0x400;
const EM = 4;
const TS = 8;
const u32 = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];

const ADDPS = [0x0f, 0x58, 0xc1];
const PXOR_MMX = [0x0f, 0xef, 0xc9]; // pxor mm1, mm1
const MOVQ2DQ = [0xf3, 0x0f, 0xd6, 0xc1];
const CVTPI2PS = [0x0f, 0x2a, 0xc1];
const LDMXCSR = [0x0f, 0xae, 0x14, 0x25, ...u32(CODE)];
const EMMS = [0x0f, 0x77];

interface Controls {
  readonly cr0?: number;
  readonly cr4?: number;
}

/** Runs the instruction with control bits set on top of PE, NE, WP, PG and PAE. */
async function run(instruction: readonly number[], { cr0 = 0, cr4 = OSFXSR | OSXMMEXCPT }: Controls = {}) {
  const before = [
    ...[0xb8, ...u32(0x20 | cr4), 0x0f, 0x22, 0xe0],
    ...[0xb8, ...u32(0x80050033 | cr0), 0x0f, 0x22, 0xc0],
  ];
  const core = await ring0([...before, ...instruction, HLT]);
  const start = (setup: (core: Core) => void = () => {}) => {
    setup(core);
    core.run(100);
    const exception = core.exceptions().at(-1);
    if (exception !== undefined && exception.vector !== GP) {
      expect(frame(core).rip).toBe(CODE + before.length);
    }
    return exception?.vector;
  };
  return { core, start };
}

describe("vector instructions may execute", () => {
  test.each([
    ["SSE", ADDPS, {}, undefined],
    ["SSE without CR4.OSFXSR", ADDPS, { cr4: 0 }, UD],
    ["SSE with CR0.EM", ADDPS, { cr0: EM }, UD],
    ["SSE with CR0.TS", ADDPS, { cr0: TS }, NM],
    ["SSE with CR0.EM and CR0.TS", ADDPS, { cr0: EM | TS }, UD],
    ["MMX without CR4.OSFXSR", PXOR_MMX, { cr4: 0 }, undefined],
    ["MMX with CR0.EM", PXOR_MMX, { cr0: EM }, UD],
    ["MMX with CR0.TS", PXOR_MMX, { cr0: TS }, NM],
    ["EMMS with CR0.TS", EMMS, { cr0: TS }, NM],
    ["MMX to XMM without CR4.OSFXSR", MOVQ2DQ, { cr4: 0 }, UD],
    ["CVTPI2PS without CR4.OSFXSR", CVTPI2PS, { cr4: 0 }, UD],
    ["LDMXCSR without CR4.OSFXSR", LDMXCSR, { cr4: 0 }, UD],
    ["LDMXCSR with CR0.TS", LDMXCSR, { cr0: TS }, NM],
    ["LDMXCSR of reserved bits", LDMXCSR, {}, GP],
    ["PREFETCHT0 with CR0.EM and CR0.TS", [0x0f, 0x18, 0x08], { cr0: EM | TS, cr4: 0 }, undefined],
    ["MOVNTI with CR0.EM", [0x0f, 0xc3, 0x04, 0x25, ...u32(0x40000)], { cr0: EM, cr4: 0 }, undefined],
    ["LOCK before SSE", [0xf0, ...ADDPS], {}, UD],
    ["an opcode that is none, with CR0.TS", [0xf3, 0x0f, 0xef, 0xc1], { cr0: TS }, UD],
    ["VADDPS", [0xc5, 0xf0, 0x58, 0xc1], {}, UD],
    ["VPXOR", [0xc5, 0xf1, 0xef, 0xc1], {}, UD],
    ["CLFLUSHOPT", [0x66, 0x0f, 0xae, 0x38], {}, UD],
  ] as const)("%s", async (_, instruction, controls, vector) => {
    const { start } = await run(instruction, controls);
    expect(start()).toBe(vector);
  });
});

const bytes = (...words: number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);
const ONE = 0x3f800000;
const DENORMAL = 1;
const INFINITY = 0x7f800000;

describe("an unmasked floating-point exception", () => {
  const divide = async (mxcsr: number, b: Uint8Array, controls: Controls = {}) => {
    const { core, start } = await run([0x0f, 0x5e, 0xc1], controls); // divps xmm0, xmm1
    const vector = start(() => {
      const { fpu } = core;
      const xmm = fpu.xmm.map((value, n) => (n === 0 ? bytes(ONE, ONE, ONE, ONE) : n === 1 ? b : value));
      core.fpu = { ...fpu, mxcsr, xmm };
    });
    return { vector, mxcsr: core.fpu.mxcsr, xmm0: core.fpu.xmm[0] };
  };

  test("is #XM, sets its flag and leaves the destination", async () => {
    expect(await divide(0x1d80, bytes(ONE, ONE, 0, ONE))).toEqual({
      vector: XM,
      mxcsr: 0x1d84,
      xmm0: bytes(ONE, ONE, ONE, ONE),
    });
  });
  test("is #UD without CR4.OSXMMEXCPT", async () => {
    expect((await divide(0x1d80, bytes(ONE, ONE, 0, ONE), { cr4: OSFXSR })).vector).toBe(UD);
  });
  test("found before computing hides what the results would raise", async () => {
    // One lane divides by zero, another has an inexact quotient.
    expect((await divide(0x1d80, bytes(0, 0x40400000, ONE, ONE))).mxcsr).toBe(0x1d84);
    expect((await divide(0x1f80, bytes(0, 0x40400000, ONE, ONE))).mxcsr).toBe(0x1fa4);
  });
  test("masked, it gives the default result", async () => {
    const { vector, mxcsr, xmm0 } = await divide(0x1f80, bytes(0, ONE, ONE, ONE));
    expect({ vector, mxcsr, xmm0 }).toEqual({
      vector: undefined,
      mxcsr: 0x1f84,
      xmm0: bytes(INFINITY, ONE, ONE, ONE),
    });
  });
  test("of a denormal operand is seen apart from overflow", async () => {
    expect(await divide(0x1e80, bytes(DENORMAL, ONE, ONE, ONE))).toMatchObject({ vector: XM, mxcsr: 0x1e82 });
    expect(await divide(0x1f80, bytes(DENORMAL, ONE, ONE, ONE))).toMatchObject({ mxcsr: 0x1faa });
  });
});

describe("MMX", () => {
  /** x87 state with TOP 3 and registers 0 and 1 in use. */
  const inUse = (core: Core): void => {
    core.fpu = { ...core.fpu, statusWord: 0x1800, tagWord: 3 };
  };

  test("an instruction sets TOP to 0 and marks every register as in use", async () => {
    const { core, start } = await run(PXOR_MMX);
    expect(start(() => inUse(core))).toBeUndefined();
    expect(core.fpu).toMatchObject({ statusWord: 0, tagWord: 0xff });
    expect([...(core.fpu.stack[1] ?? [])]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
  });
  test("EMMS marks every register as empty", async () => {
    const { core, start } = await run(EMMS);
    start(() => inUse(core));
    expect(core.fpu).toMatchObject({ statusWord: 0, tagWord: 0 });
  });
  test("a pending x87 exception comes first", async () => {
    const { core, start } = await run(PXOR_MMX);
    const vector = start(() => {
      core.fpu = { ...core.fpu, controlWord: 0x37e, statusWord: 0x8081, tagWord: 0 };
    });
    expect(vector).toBe(MF);
    expect(core.fpu.tagWord).toBe(0);
  });
  test("CVTPI2PD from memory leaves x87 state alone", async () => {
    const { core, start } = await run([0x66, 0x0f, 0x2a, 0x04, 0x25, ...u32(CODE)]);
    start(() => inUse(core));
    expect(core.fpu).toMatchObject({ statusWord: 0x1800, tagWord: 3 });
  });
  test("MASKMOVQ stores the bytes whose mask is negative", async () => {
    // mov edi, 40000; pcmpeqd mm0, mm0; movd mm1, eax with eax = 800000ff; maskmovq mm0, mm1
    const { core, start } = await run([
      ...[0xbf, ...u32(0x40000), 0x0f, 0x76, 0xc0, 0xb8, ...u32(0x80_00_00_ff)],
      ...[0x0f, 0x6e, 0xc8, 0x0f, 0xf7, 0xc1],
    ]);
    start();
    expect([...core.readPhysical(0x40000n, 8)]).toEqual([255, 0, 0, 255, 0, 0, 0, 0]);
  });
});

describe("CPUID", () => {
  test("names the vector extensions and no AVX", async () => {
    // mov eax, 1; cpuid; mov r8, rcx; mov r9, rdx; mov eax, 7; xor ecx, ecx; cpuid
    const { core, start } = await run([
      ...[0xb8, 1, 0, 0, 0, 0x0f, 0xa2, 0x49, 0x89, 0xc8, 0x49, 0x89, 0xd1],
      ...[0xb8, 7, 0, 0, 0, 0x31, 0xc9, 0x0f, 0xa2],
    ]);
    start();
    const { r8: ecx, r9: edx, rbx } = core.registers();
    const has = (word: bigint, bit: number): boolean => ((word >> BigInt(bit)) & 1n) === 1n;
    for (const bit of [0, 1, 9, 19, 20, 25]) expect(has(ecx, bit), `leaf 1 ECX ${bit}`).toBe(true);
    for (const bit of [12, 28, 29]) expect(has(ecx, bit), `leaf 1 ECX ${bit}`).toBe(false);
    for (const bit of [19, 23, 25, 26]) expect(has(edx, bit), `leaf 1 EDX ${bit}`).toBe(true);
    expect(has(rbx, 29), "SHA").toBe(true);
    for (const bit of [5, 16, 23]) expect(has(rbx, bit), `leaf 7 EBX ${bit}`).toBe(false);
  });
});
