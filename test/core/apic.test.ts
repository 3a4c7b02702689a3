/** The local APIC through its MSRs: x2APIC mode and the TSC deadline. SDM 3A 11.5.4.1, 11.12. */
import { describe, expect, test } from "vitest";
import { CODE, frame, ring0 } from "./ring0.ts";

const HLT = 0xf4;
const GP = 13;
const u32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >> shift) & 255);
const wrmsr = (msr: number, low: number, high = 0): number[] => [
  ...[0xb9, ...u32(msr), 0xb8, ...u32(low), 0xba, ...u32(high)],
  ...[0x0f, 0x30],
];
const rdmsr = (msr: number): number[] => [0xb9, ...u32(msr), 0x0f, 0x32];
const BASE = 0x1b;
const X2APIC = wrmsr(BASE, 0xfee00d00);
const ENABLE = wrmsr(0x80f, 0x1ff);
const LOOP = [0xff, 0xc6, 0xeb, 0xfc]; // inc esi; jmp
const STI = 0xfb;

describe("x2APIC mode", () => {
  test("names the CPU, its logical address and its version, and takes the page away", async () => {
    const keep = (register: number): number[] => [0x49, 0x89, 0xc0 | register]; // mov r8 + n, rax
    const code = [
      ...X2APIC,
      ...[...rdmsr(0x802), ...keep(0), ...rdmsr(0x80d), ...keep(1), ...rdmsr(0x803), ...keep(2)],
      ...[0x67, 0x8b, 0x04, 0x25, ...u32(0xfee00030)], // mov eax, [version]
      HLT,
    ];
    const core = await ring0(code);
    core.run(100);
    expect(core.exceptions()).toEqual([]);
    const { r8, r9, r10, rax } = core.registers();
    expect([r8, r9, r10, rax]).toEqual([0n, 1n, 0x50014n, 0xffffffffn]);
  });

  test("self IPI and ICR as one register deliver", async () => {
    for (const send of [wrmsr(0x83f, 0x55), wrmsr(0x830, 0x55, 0), wrmsr(0x830, 0x40055)]) {
      const code = [...X2APIC, ...ENABLE, ...send, STI, ...LOOP];
      const core = await ring0(code, { handlers: { 85: 0xa000 } }, { pieces: [halt(0xa000)] });
      expect(core.run(100).kind).toBe("halted");
      expect(core.registers()).toMatchObject({ rip: 0xa001n, rsi: 1n });
    }
  });

  test("an interprocessor interrupt reaches the CPU whose 32-bit ID it names", async () => {
    const TRAMPOLINE = 0x9000;
    const code = [
      ...[...X2APIC, ...wrmsr(0x830, 0x4500, 1), ...wrmsr(0x830, 0x4609, 1)],
      ...[0xb9, ...u32(2000), 0xe2, 0xfe, HLT],
    ];
    const park = [0xc6, 0x06, 0x00, 0x91, 1, HLT]; // mov byte [9100h], 1; hlt
    const core = await ring0(
      code,
      {},
      { cpus: 2, pieces: [{ address: TRAMPOLINE, bytes: Uint8Array.from(park) }] },
    );
    core.run(20_000);
    expect([...core.readPhysical(0x9100n, 1)]).toEqual([1]);
  });

  const inMode = (name: string, code: readonly number[], isGood = false) => [name, code, isGood] as const;
  test.each([
    inMode("back to xAPIC mode", wrmsr(BASE, 0xfee00900)),
    inMode("reserved bits of the base", wrmsr(BASE, 0xfee00d01)),
    inMode("the base beyond physical addresses", wrmsr(BASE, 0xfee00d00, 0x100)),
    inMode("off", wrmsr(BASE, 0xfee00100), true),
    inMode("a write of the ID", wrmsr(0x802, 0)),
    inMode("a write of the version", wrmsr(0x803, 0)),
    inMode("a write of the logical address", wrmsr(0x80d, 1)),
    inMode("the destination format, which is not there", rdmsr(0x80e)),
    inMode("the second half of ICR, which is not there", rdmsr(0x831)),
    inMode("a read of EOI", rdmsr(0x80b)),
    inMode("a read of self IPI", rdmsr(0x83f)),
    inMode("EOI with a value", wrmsr(0x80b, 1)),
    inMode("EOI", wrmsr(0x80b, 0), true),
    inMode("task priority above 255", wrmsr(0x808, 0x100)),
    inMode("a high half", wrmsr(0x808, 0, 1)),
    inMode("reserved bits of SVR", wrmsr(0x80f, 0x400)),
    inMode("reserved bits of ICR", wrmsr(0x830, 0x1000)),
    inMode("ESR with a value", wrmsr(0x828, 1)),
    inMode("reserved bits of the timer's entry", wrmsr(0x832, 0x80000)),
    inMode("reserved bits of the divider", wrmsr(0x83e, 4)),
    inMode("the in-service registers", [...rdmsr(0x810), ...rdmsr(0x827)], true),
  ])("%s", async (_name, code, isGood) => {
    const core = await ring0([...X2APIC, ...code, HLT]);
    core.run(100);
    const rip = BigInt(CODE + X2APIC.length + code.length - 2);
    expect(core.exceptions()).toMatchObject(isGood ? [] : [{ vector: GP, error: 0, rip }]);
    expect(core.exceptions().length).toBe(isGood ? 0 : 1);
  });

  test("its registers are #GP in xAPIC mode, and so is the mode without the APIC", async () => {
    for (const code of [
      rdmsr(0x802),
      wrmsr(0x80b, 0),
      [...wrmsr(BASE, 0xfee00100), ...X2APIC],
      wrmsr(BASE, 0xfee00400),
    ]) {
      const core = await ring0([...code, HLT]);
      core.run(100);
      expect(core.exceptions()).toMatchObject([{ vector: GP, rip: BigInt(CODE + code.length - 2) }]);
    }
  });
});

describe("the TSC deadline", () => {
  const TIMER = 0x832;
  const DEADLINE = 0x6e0;
  const arm = [...X2APIC, ...ENABLE, ...wrmsr(TIMER, 0x400ec)];

  test("interrupts when the counter is there, and is then 0", async () => {
    const code = [...arm, ...wrmsr(DEADLINE, 500), STI, ...LOOP];
    const handler = [...rdmsr(DEADLINE), HLT];
    const core = await ring0(
      code,
      { handlers: { 236: 0xa000 } },
      { pieces: [{ address: 0xa000, bytes: Uint8Array.from(handler) }] },
    );
    expect(core.run(1000).kind).toBe("halted");
    expect(core.registers().rax).toBe(0n); // it was 500
    expect(frame(core).rip).toBeGreaterThan(CODE + code.length - 5);
    expect(core.time).toBeGreaterThanOrEqual(500n);
    expect(core.time).toBeLessThan(506n);
  });

  test("in the past interrupts at once; 0 disarms; in another mode it cannot be set", async () => {
    const past = await ring0([...wrmsr(0x10, 1000), ...arm, ...wrmsr(DEADLINE, 5), STI, ...LOOP]);
    expect(past.run(100).kind).toBe("halted");
    expect(past.registers().rsi).toBe(1n);

    const none = await ring0([...arm, ...wrmsr(DEADLINE, 200), ...wrmsr(DEADLINE, 0), STI, ...LOOP]);
    expect(none.run(1000).kind).toBe("budget");

    const other = await ring0([
      ...arm,
      ...wrmsr(TIMER, 0xec),
      ...wrmsr(DEADLINE, 200),
      ...rdmsr(DEADLINE),
      HLT,
    ]);
    other.run(1000);
    expect(other.registers().rax).toBe(0n);
  });

  test("moves with the counter: IA32_TSC_ADJUST brings it nearer", async () => {
    const code = [...arm, ...wrmsr(DEADLINE, 1_000_000), ...wrmsr(0x3b, 999_000), STI, ...LOOP];
    const core = await ring0(code);
    expect(core.run(2000).kind).toBe("halted");
    expect(core.time).toBeLessThan(1010n);
  });
});

function halt(address: number) {
  return { address, bytes: Uint8Array.of(HLT) };
}
