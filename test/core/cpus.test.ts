/** Several CPUs: start-up, turns, interprocessor interrupts, and the same result every time. */
import { describe, expect, test } from "vitest";
import { Core } from "../../bindings/core/core.ts";
import { decodeSnapshot, encodeSnapshot } from "../../bindings/core/snapshot.ts";
import { ring0 } from "./ring0.ts";

const HLT = 0xf4;
const u32 = (value: number): number[] => [
  value & 255,
  (value >> 8) & 255,
  (value >> 16) & 255,
  (value >> 24) & 255,
];
/** mov eax, value; mov [disp32 zero-extended], eax */
const store = (address: number, value: number): number[] => [
  ...[0xb8, ...u32(value)],
  ...[0x67, 0x89, 0x04, 0x25, ...u32(address)],
];
const ICR_LOW = 0xfee00300;
const ICR_HIGH = 0xfee00310;
const SVR = 0xfee000f0;
const ALL_BUT_SELF = 0xc0000;
const INIT = 0x4500;
const START_UP = 0x4600;

/** 16-bit code at 9000h: the CPU marks its APIC ID at 9100h and halts with interrupts off, or counts for ever at 9200h + 4 x ID. */
const TRAMPOLINE = 0x9000;
const MARK = [
  ...[0x8c, 0xc8, 0x8e, 0xd8], // mov ax, cs; mov ds, ax
  ...[0x66, 0xb8, ...u32(1), 0x0f, 0xa2, 0x66, 0xc1, 0xeb, 24], // mov eax, 1; cpuid; shr ebx, 24
  ...[0xc6, 0x87, 0x00, 0x01, 1], // mov byte [bx + 100h], 1
];
const PARK = [...MARK, HLT];
const COUNT = [
  ...MARK,
  ...[0xc1, 0xe3, 2], // shl bx, 2
  ...[0x66, 0xff, 0x87, 0x00, 0x02], // inc dword [bx + 200h]
  ...[0xf0, 0xff, 0x06, 0xf0, 0x02], // lock inc word [2f0h]
  ...[0xeb, 0xf4],
];
const startOthers = [
  ...store(ICR_LOW, ALL_BUT_SELF | INIT),
  ...store(ICR_LOW, ALL_BUT_SELF | START_UP | (TRAMPOLINE >> 12)),
];
const trampoline = (code: readonly number[]) => [{ address: TRAMPOLINE, bytes: Uint8Array.from(code) }];

describe("start-up", () => {
  test("INIT and SIPI start every other CPU in real mode at its page", async () => {
    const core = await ring0([...startOthers, 0xf3, 0x90, HLT], {}, { cpus: 4, pieces: trampoline(PARK) });
    expect(core.run(100_000).kind).toBe("halted");
    expect([...core.readPhysical(0x9100n, 8)]).toEqual([0, 1, 1, 1, 0, 0, 0, 0]);
    for (let cpu = 1; cpu < 4; cpu++) {
      const { rip, segments, cr0, halted } = core.registers(cpu);
      expect([rip, segments.cs.selector, segments.cs.base, cr0, halted]).toEqual([
        BigInt(PARK.length),
        0x900,
        0x9000n,
        0x60000010n,
        true,
      ]);
    }
  });

  test("a start-up message to a CPU that runs is lost; INIT stops it", async () => {
    const code = [
      ...startOthers,
      ...[0xb9, ...u32(20_000), 0xe2, 0xfe],
      ...store(ICR_LOW, ALL_BUT_SELF | START_UP | 0x20),
      ...[0xb9, ...u32(20_000), 0xe2, 0xfe],
      ...store(ICR_LOW, ALL_BUT_SELF | INIT),
      HLT,
    ];
    const core = await ring0(code, {}, { cpus: 2, pieces: trampoline(COUNT) });
    expect(core.run(1_000_000).kind).toBe("halted");
    expect(new DataView(core.readPhysical(0x9204n, 4).buffer).getUint32(0, true)).toBeGreaterThan(1000);
    expect(core.registers(1).segments.cs).toMatchObject({ selector: 0xf000, base: 0xffff0000n });
  });
});

describe("a CPU that waits for its start-up message", () => {
  test("loses NMIs and machine checks", async () => {
    const wait = [0xb9, ...u32(30_000), 0xe2, 0xfe];
    const code = [...wait, ...startOthers, ...wait, HLT];
    const core = await ring0(code, {}, { cpus: 2, pieces: trampoline(PARK) });
    core.nmi(1);
    core.machineCheck(1, { status: 1n << 61n });
    core.raiseVector(1, 0x30);
    expect(core.run(1000).kind).toBe("budget");
    expect(core.registers(1).rip).toBe(0xfff0n);
    expect(core.run(1_000_000).kind).toBe("halted");
    expect(core.registers(1).rip).toBe(BigInt(PARK.length));
    expect(core.exceptionCount).toBe(0);
  });
});

describe("turns", () => {
  test("CPUs that run all get the same share", async () => {
    const core = await ring0([...startOthers, 0xeb, 0xfe], {}, { cpus: 4, pieces: trampoline(COUNT) });
    core.run(2_000_000);
    const counts = new Uint32Array(core.readPhysical(0x9200n, 16).buffer);
    const [, one = 0, two = 0, three = 0] = counts;
    expect(one).toBeGreaterThan(150_000);
    expect(Math.abs(one - two)).toBeLessThan(10_000);
    expect(Math.abs(two - three)).toBeLessThan(10_000);
  });

  test("a CPU that spins with PAUSE lets the others run", async () => {
    const spin = [...startOthers, 0xf3, 0x90, 0xeb, 0xfc];
    const core = await ring0(spin, {}, { cpus: 2, pieces: trampoline(COUNT) });
    core.run(1_000_000);
    const counts = new Uint32Array(core.readPhysical(0x9200n, 8).buffer);
    expect(counts[1]).toBeGreaterThan(300_000);
  });
});

describe("interprocessor interrupts", () => {
  const HANDLER = 0xa000;
  const IVT = 0xb000;
  test("a fixed one wakes a halted CPU, an NMI one that has interrupts off", async () => {
    const ap = [
      ...[0x8c, 0xc8, 0x8e, 0xd8], // mov ax, cs; mov ds, ax
      ...[0xbc, 0x00, 0x80], // mov sp, 8000h
      ...[0x0f, 0x01, 0x1e, 0x80, 0x00], // lidt [80h]
      ...[0x66, 0xb9, ...u32(0x1b), 0x0f, 0x32, 0x80, 0xcc, 0x0c, 0x0f, 0x30], // x2APIC mode
      ...[0x66, 0xb9, ...u32(0x80f), 0x66, 0xb8, ...u32(0x1ff), 0x66, 0x31, 0xd2, 0x0f, 0x30], // and enabled
      ...[0xfb, HLT, 0xfa, HLT, 0xfa, HLT], // sti; hlt; cli; hlt; cli; hlt
    ];
    const page = new Uint8Array(0x100);
    page.set(ap);
    page.set([0xff, 0x03, 0x00, 0xb0, 0x00, 0x00], 0x80);
    const vectors = new Uint8Array(0x400);
    vectors.set([0x00, 0x00, 0x00, 0x0a], 0x30 * 4); // 0a00:0000
    vectors.set([0x10, 0x00, 0x00, 0x0a], 2 * 4);
    const handlers = new Uint8Array(0x40);
    handlers.set([0x2e, 0xff, 0x06, 0x20, 0x00, 0xcf]); // inc word cs:[20h]; iret
    handlers.set([0x2e, 0xff, 0x06, 0x22, 0x00, 0xcf], 0x10);
    const wait = [0xb9, ...u32(30_000), 0xe2, 0xfe]; // mov ecx, 30000; loop $
    const code = [
      ...[...startOthers, ...wait],
      ...[...store(ICR_HIGH, 1 << 24), ...store(ICR_LOW, 0x4030), ...wait],
      ...[...store(ICR_LOW, 0x4400), ...wait, HLT],
    ];
    const pieces = [
      { address: TRAMPOLINE, bytes: page },
      { address: IVT, bytes: vectors },
      { address: HANDLER, bytes: handlers },
    ];
    const core = await ring0(code, {}, { cpus: 2, pieces });
    expect(core.run(1_000_000).kind).toBe("halted");
    const counts = new Uint16Array(core.readPhysical(BigInt(HANDLER + 0x20), 4).buffer);
    expect([...counts]).toEqual([1, 1]);
    expect(core.registers(1).rip).toBe(BigInt(ap.length));
  });

  test("shorthands reach the sender when they say so", async () => {
    const counter = [0x83, 0x04, 0x25, ...u32(0xc100), 1]; // add dword [c100h], 1
    const eoi = [0x67, 0xc7, 0x04, 0x25, ...u32(0xfee000b0), ...u32(0)];
    const code = [
      ...[...store(SVR, 0x1ff), 0xfb, 0x90],
      ...store(ICR_LOW, 0x44030), // self
      ...store(ICR_LOW, 0x84030), // all, the sender included
      ...store(ICR_LOW, 0xc4030), // all others
      ...[0x90, HLT],
    ];
    const pieces = [{ address: 0xc000, bytes: Uint8Array.from([...counter, ...eoi, 0x48, 0xcf]) }];
    const core = await ring0(code, { handlers: { 48: 0xc000 } }, { cpus: 2, pieces });
    core.run(10_000);
    expect(core.readPhysical(0xc100n, 1)).toEqual(Uint8Array.of(2));
  });
});

describe("determinism", () => {
  const busy = [...startOthers, 0xf0, 0x48, 0xff, 0x04, 0x25, ...u32(0x92f8), 0xeb, 0xf5];
  const start = (cpus: number): Promise<Core> => ring0(busy, {}, { cpus, pieces: trampoline(COUNT) });

  test.each([1, 2, 4])("%i CPUs: ten runs, however sliced, have one hash", async (cpus) => {
    const total = 200_000;
    const whole = await start(cpus);
    whole.run(total);
    const hash = whole.stateHash();
    for (let run = 0; run < 10; run++) {
      const core = await start(cpus);
      for (let left = total; left > 0; ) {
        const part = Math.min(left, 1 + ((run * 7919 + left * 31) % 20_011));
        core.run(part);
        left -= part;
      }
      expect(core.stateHash()).toBe(hash);
    }
  });

  test.each([2, 4])("%i CPUs: a run split by a snapshot file has the same hash", async (cpus) => {
    const total = 200_000;
    const whole = await start(cpus);
    whole.run(total);
    for (const split of [3, 9_999, 77_777, 150_001]) {
      const first = await start(cpus);
      first.run(split);
      const second = await Core.create({ ramBytes: first.ramBytes, cpus });
      second.restore(decodeSnapshot(encodeSnapshot(first.snapshot())));
      second.run(total - split);
      expect(second.stateHash()).toBe(whole.stateHash());
    }
  });
});
