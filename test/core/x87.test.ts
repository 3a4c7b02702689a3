/** x87: exceptions and their delivery, state images, accuracy, agreement with this processor. SDM 1, chapters 8 and 13. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Core } from "../../bindings/core/core.ts";
import type { FpuState } from "../../bindings/core/fpu.ts";
import { canRunNatively } from "../../bindings/fuzz/native.ts";
import { fuzzX87 } from "../../bindings/fuzz/x87.ts";
import { CODE, frame, ring0 } from "./ring0.ts";

const HLT = 0xf4;
const UD = 6;
const NM = 7;
const GP = 13;
const MF = 16;
const AREA = 0x40000;

const u32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >> shift) & 255);
const movEax = (value: number): number[] => [0xb8, ...u32(value)];
const movEcx = (value: number): number[] => [0xb9, ...u32(value)];
const movEdx = (value: number): number[] => [0xba, ...u32(value)];
const movEbx = (value: number): number[] => [0xbb, ...u32(value)];
const movCr0 = [0x0f, 0x22, 0xc0];
const movCr4 = [0x0f, 0x22, 0xe0];
const out = (port: number, value: number): number[] => [0xb0, value, 0xe6, port];
const ENABLE_XSAVE = [...movEax(0x40620), ...movCr4];
/** XCR0 = x87 and SSE; the mask for XSAVE and XRSTOR stays in EDX:EAX. */
const ENABLE_SSE = [...ENABLE_XSAVE, ...movEax(3), ...movEdx(0), ...movEcx(0), 0x0f, 0x01, 0xd1];
/** fldcw [rbx] with all exceptions but zero divide masked; 1 / 0 */
const DIVIDE_BY_ZERO = [...movEbx(AREA), 0xc7, 0x03, ...u32(0x37b), 0xd9, 0x2b, 0xd9, 0xe8, 0xd9, 0xee];
const FDIVP = [0xde, 0xf9];
const FWAIT = 0x9b;

async function run(code: readonly number[], budget = 1000): Promise<Core> {
  const core = await ring0(code);
  core.run(budget);
  return core;
}
const vectors = (core: Core): number[] => core.exceptions().map(({ vector }) => vector);
const read64 = (core: Core, address: number): bigint =>
  new DataView(core.readPhysical(BigInt(address), 8).buffer).getBigUint64(0, true);
const extended = (text: string): Uint8Array => {
  const [exp = "", sig = ""] = text.split(":");
  return Uint8Array.from(Buffer.from(exp + sig, "hex").toReversed());
};
const shown = (bytes: Uint8Array | undefined): string => {
  const text = Buffer.from((bytes ?? new Uint8Array()).toReversed()).toString("hex");
  return `${text.slice(0, 4)}:${text.slice(4)}`;
};

describe("exceptions", () => {
  test("#MF waits for the next instruction that waits, and names it", async () => {
    const code = [...DIVIDE_BY_ZERO, ...FDIVP, 0x90, 0xdf, 0xe0, FWAIT, HLT];
    const core = await run(code);
    expect(vectors(core)).toEqual([MF]);
    expect(frame(core).rip).toBe(CODE + code.length - 2);
    expect(core.registers().rax & 0x8084n).toBe(0x8084n); // B, ES, ZE, read by FNSTSW before
  });

  test("an unmasked division by zero keeps operands and stack", async () => {
    const core = await run([...DIVIDE_BY_ZERO, ...FDIVP, HLT]);
    const { statusWord, stack } = core.fpu;
    expect((statusWord >> 11) & 7).toBe(6);
    expect(stack.slice(0, 2).map(shown)).toEqual(["0000:0000000000000000", "3fff:8000000000000000"]);
  });

  test("with CR0.NE clear they are interrupt 13, and port F0h lets the handler go on", async () => {
    const controllers = [
      ...[out(0x20, 0x11), out(0x21, 0x20), out(0x21, 4), out(0x21, 1), out(0x21, 0xfb)].flat(),
      ...[out(0xa0, 0x11), out(0xa1, 0x28), out(0xa1, 2), out(0xa1, 1), out(0xa1, 0xdf)].flat(),
    ];
    const start = [...controllers, ...movEax(0x80050013), 0x48, ...movCr0, 0xfb, ...DIVIDE_BY_ZERO, ...FDIVP];
    const core = await ring0(
      [...start, FWAIT, HLT],
      { handlers: { 45: 0x9000 } },
      {
        pieces: [
          // out F0h; fwait passes; fnclex; hlt
          { address: 0x9000, bytes: Uint8Array.of(...out(0xf0, 0), FWAIT, 0xdb, 0xe2, HLT) },
        ],
      },
    );
    core.run(1000);
    expect(vectors(core)).toEqual([]);
    expect(frame(core).rip).toBe(CODE + start.length);
    expect(core.registers().rip).toBe(0x9000n + 8n);
    expect(core.fpu.statusWord & 0x80ff).toBe(0);
  });

  test.each([
    ["CR0.TS, FNOP", 0x8005003b, [0xd9, 0xd0], NM],
    ["CR0.EM, FNOP", 0x80050035, [0xd9, 0xd0], NM],
    ["CR0.TS without MP, FWAIT", 0x80050039, [FWAIT], undefined],
    ["CR0.TS and MP, FWAIT", 0x8005003b, [FWAIT], NM],
    ["CR0.TS, FXSAVE [rbx]", 0x8005003b, [0x0f, 0xae, 0x03], NM],
  ])("%s", async (_, cr0, instruction, vector) => {
    const core = await run([...movEbx(AREA), ...movEax(cr0), ...movCr0, ...instruction, HLT]);
    expect(vectors(core)).toEqual(vector === undefined ? [] : [vector]);
  });

  test("rows without an instruction are #UD", async () => {
    for (const code of [
      [0xd9, 0xd1],
      [0xd9, 0xef],
      [0xda, 0xe8],
      [0xdb, 0xe5],
      [0xdd, 0x2b],
      [0xde, 0xd8],
      [0xdf, 0xf8],
    ])
      expect(vectors(await run([...movEbx(AREA), ...code])), code.join(" ")).toEqual([UD]);
  });
});

describe("state images", () => {
  test("FNSTENV has instruction, operand and opcode of the last one that was not control", async () => {
    const core = await run([...movEbx(AREA), 0xd9, 0x43, 0x10, 0xd9, 0x33, HLT]);
    const view = new DataView(core.readPhysical(BigInt(AREA), 28).buffer);
    const words = Array.from({ length: 7 }, (_, i) => view.getUint32(i * 4, true));
    // fld dword [rbx+16] of 0: D9 43, tag of register 7 zero.
    expect(words).toEqual([0xffff037f, 0xffff3800, 0xffff7fff, CODE + 5, 0x01430000, AREA + 16, 0xffff0000]);
  });

  test("the 16-bit form has 14 bytes", async () => {
    const core = await run([...movEbx(AREA), 0xd9, 0xe8, 0x66, 0xd9, 0x33, HLT]);
    expect(read64(core, AREA)).toBe(0x0005_3fff_3800_037fn);
    expect(read64(core, AREA + 14)).toBe(0n);
  });

  test("FXSAVE and FXRSTOR refuse what is not aligned, and reserved MXCSR bits", async () => {
    expect(vectors(await run([...movEbx(AREA + 8), 0x0f, 0xae, 0x03]))).toEqual([GP]);
    const reserved = [...movEbx(AREA), 0xc7, 0x43, 24, ...u32(0x10000), 0x0f, 0xae, 0x0b];
    expect(vectors(await run(reserved))).toEqual([GP]);
  });

  test("the XSAVE family is #UD until CR4.OSXSAVE is set", async () => {
    expect(vectors(await run([...movEbx(AREA), 0x0f, 0xae, 0x23]))).toEqual([UD]);
    expect(vectors(await run([...movEcx(0), 0x0f, 0x01, 0xd0]))).toEqual([UD]);
  });

  test("CPUID says what XSAVE does", async () => {
    const core = await run([...ENABLE_XSAVE, ...movEax(0xd), ...movEcx(0), 0x0f, 0xa2, HLT]);
    const { rax, rbx, rcx, rdx } = core.registers();
    expect([rax, rbx, rcx, rdx]).toEqual([3n, 576n, 576n, 0n]);
    const one = await run([...ENABLE_XSAVE, ...movEax(1), 0x0f, 0xa2, HLT]);
    expect(one.registers().rcx & (3n << 26n)).toBe(3n << 26n);
  });

  test("XSETBV takes x87 alone or with SSE", async () => {
    expect((await run([...ENABLE_SSE, 0x31, 0xc0, 0x0f, 0x01, 0xd0, HLT])).registers().rax).toBe(3n);
    for (const value of [0, 2, 7]) {
      const core = await run([
        ...ENABLE_XSAVE,
        ...movEax(value),
        ...movEdx(0),
        ...movEcx(0),
        0x0f,
        0x01,
        0xd1,
      ]);
      expect(vectors(core), `XCR0 = ${value}`).toEqual([GP]);
    }
  });

  test("XSAVE, XSAVEC and XRSTOR keep components apart", async () => {
    const code = [
      ...[...ENABLE_SSE, ...movEbx(AREA), 0xd9, 0xeb], // fldpi
      ...[0x0f, 0xae, 0x23, 0x0f, 0xc7, 0xa3, ...u32(0x400)], // xsave [rbx]; xsavec [rbx+400h]
      ...[0xdb, 0xe3, 0x0f, 0xae, 0xab, ...u32(0x400), HLT], // fninit; xrstor [rbx+400h]
    ];
    const core = await run(code);
    expect(vectors(core)).toEqual([]);
    expect([read64(core, AREA + 512), read64(core, AREA + 520)]).toEqual([1n, 0n]);
    expect([read64(core, AREA + 0x600), read64(core, AREA + 0x608)]).toEqual([1n, (1n << 63n) | 3n]);
    expect(read64(core, AREA + 32)).toBe(0xc90fdaa22168c235n);
    expect(shown(core.fpu.stack[0])).toBe("4000:c90fdaa22168c235");
    expect(core.fpu.tagWord).toBe(0x80);
  });

  test("XRSTOR refuses components that XCR0 lacks and reserved header bytes", async () => {
    for (const [offset, value] of [
      [512, 4],
      [520, 1],
      [528, 1],
    ]) {
      const store = [0xc7, 0x83, ...u32(offset ?? 0), ...u32(value ?? 0)];
      const core = await run([...ENABLE_SSE, ...movEbx(AREA), ...store, 0x0f, 0xae, 0x2b]);
      expect(vectors(core), `header byte ${offset}`).toEqual([GP]);
    }
  });
});

describe("results", () => {
  const opcodes: { readonly [name: string]: number } = {
    f2xm1: 0xf0,
    fyl2x: 0xf1,
    fptan: 0xf2,
    fpatan: 0xf3,
    fyl2xp1: 0xf9,
    fsin: 0xfe,
    fcos: 0xff,
  };

  test("of transcendental functions are correctly rounded", async () => {
    const file = join(import.meta.dirname, "../data/x87/transcendental.txt");
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    const core = await ring0(Object.values(opcodes).flatMap((modrm) => [0xd9, modrm]));
    const wrong: string[] = [];
    for (const line of lines.filter((text) => !text.startsWith("#"))) {
      const [name = "", st0 = "", st1 = "", want] = line.split(" ");
      const state: FpuState = {
        ...core.fpu,
        controlWord: 0x37f,
        statusWord: 0,
        tagWord: 3,
        stack: [extended(st0), extended(st1)],
      };
      core.fpu = state;
      core.setRegister("rip", BigInt(CODE + Object.keys(opcodes).indexOf(name) * 2));
      core.run(1);
      const found = shown(core.fpu.stack[name === "fptan" ? 1 : 0]);
      if (found !== want) wrong.push(`${line}: found ${found}`);
    }
    expect(lines.length).toBeGreaterThan(400);
    expect(wrong).toEqual([]);
  });

  test.skipIf(!canRunNatively())("agree with this processor", { timeout: 60_000 }, async () => {
    const { differences } = await fuzzX87({ seed: 20_000, cases: 10_000 });
    expect(differences).toEqual([]);
  });
});
