/** Breakpoints, watchpoints, hooks, single steps, and faults caused at exact instructions. */
import { describe, expect, test } from "vitest";
import type { Core } from "../../bindings/core/core.ts";
import { CODE, frame, ring0 } from "./ring0.ts";

const HLT = 0xf4;
const NMI = 2;
const MC = 18;
const u32 = (value: number): number[] => [
  value & 255,
  (value >> 8) & 255,
  (value >> 16) & 255,
  (value >> 24) & 255,
];
const INC = [0xff, 0xc0]; // inc eax
const STORE = [0x89, 0x04, 0x25, ...u32(0x30000)]; // mov [30000h], eax
const LOAD = [0x8b, 0x1c, 0x25, ...u32(0x30000)]; // mov ebx, [30000h]
const LOOP = [...INC, ...STORE, ...LOAD, 0xeb, 0xee];

/** The same program without instruments, for the same time. */
async function plain(core: Core): Promise<Core> {
  const other = await ring0(LOOP);
  other.runUntil({ time: core.time });
  return other;
}

describe("breakpoints", () => {
  test("stop before their instruction, every time, and leave no trace in the machine", async () => {
    const core = await ring0(LOOP);
    using _breakpoint = core.instruments.breakpoint(BigInt(CODE + 2));
    for (let round = 1; round <= 3; round++) {
      expect(core.run(1000)).toEqual({ kind: "breakpoint", address: BigInt(CODE + 2) });
      expect(core.registers()).toMatchObject({ rip: BigInt(CODE + 2), rax: BigInt(round) });
      expect(core.time).toBe(BigInt(round * 4 - 3));
    }
    expect(core.stateHash()).toBe((await plain(core)).stateHash());
  });

  test("are not skipped when the host has sent the CPU elsewhere meanwhile", async () => {
    const core = await ring0(LOOP);
    using _breakpoint = core.instruments.breakpoint(BigInt(CODE + 2));
    expect(core.run(1000).kind).toBe("breakpoint");
    // To the jump at the end: it comes round to the breakpoint at the very start of a run.
    core.setRegister("rip", BigInt(CODE + 16));
    expect(core.run(2).kind).toBe("budget");
    expect(core.registers()).toMatchObject({ rip: BigInt(CODE + 2), rax: 2n });
    expect(core.run(1000)).toEqual({ kind: "breakpoint", address: BigInt(CODE + 2) });
    expect(core.registers().rax).toBe(2n);
    // Where it was left, it goes on.
    expect(core.run(1000).kind).toBe("breakpoint");
    expect(core.registers().rax).toBe(3n);
  });

  test("stop at one that the instruction with another leads to, on a page not decoded before", async () => {
    const NEXT = CODE + 0x2000;
    const core = await ring0([0xe9, ...u32(NEXT - CODE - 5)]); // jmp
    core.writePhysical(BigInt(NEXT), Uint8Array.from([...INC, ...INC, 0xe9, ...u32(CODE - NEXT - 9)]));
    using _first = core.instruments.breakpoint(BigInt(CODE));
    using _second = core.instruments.breakpoint(BigInt(NEXT));
    using _third = core.instruments.breakpoint(BigInt(NEXT + 2));
    const met = Array.from({ length: 7 }, () => {
      core.run(1000);
      return core.registers().rip;
    });
    const round = [CODE, NEXT, NEXT + 2].map(BigInt);
    expect(met).toEqual([...round, ...round, BigInt(CODE)]);
    expect(core.registers().rax).toBe(4n);
  });

  test("are gone when disposed of", async () => {
    const core = await ring0(LOOP);
    core.instruments.breakpoint(BigInt(CODE + 2))[Symbol.dispose]();
    expect(core.run(1000).kind).toBe("budget");
  });

  test("runUntil goes to an address or a time", async () => {
    const core = await ring0(LOOP);
    expect(core.runUntil({ address: BigInt(CODE + 9) }).kind).toBe("breakpoint");
    expect(core.registers().rip).toBe(BigInt(CODE + 9));
    expect(core.runUntil({ time: 1000n }).kind).toBe("budget");
    expect(core.time).toBe(1000n);
    expect(core.runUntil({ address: 0x123n, budget: 50 }).kind).toBe("budget");
    expect(core.time).toBe(1050n);
  });

  test("step executes one instruction", async () => {
    const core = await ring0(LOOP);
    expect(core.step()).toEqual({ kind: "step" });
    expect(core.registers()).toMatchObject({ rip: BigInt(CODE + 2), rax: 1n });
  });

  test("a 65th is a typed error", async () => {
    const core = await ring0(LOOP);
    for (let n = 0; n < 64; n++) core.instruments.breakpoint(BigInt(n));
    expect(() => core.instruments.breakpoint(64n)).toThrow("at most 64 breakpoints");
  });
});

describe("watchpoints", () => {
  test("stop behind a write", async () => {
    const core = await ring0(LOOP);
    const watchpoint = { address: 0x30002n, size: 1 };
    using _watch = core.instruments.watchpoint(watchpoint);
    expect(core.run(1000)).toEqual({ kind: "watchpoint", watchpoint, access: "write" });
    expect(core.registers().rip).toBe(BigInt(CODE + 9));
  });

  test("or a read, but only where they are", async () => {
    const core = await ring0(LOOP);
    using _beside = core.instruments.watchpoint({ address: 0x30004n, access: "any" });
    using _watch = core.instruments.watchpoint({ address: 0x30000n, size: 4, access: "read" });
    expect(core.run(1000)).toMatchObject({
      kind: "watchpoint",
      access: "read",
      watchpoint: { access: "read" },
    });
    expect(core.registers().rip).toBe(BigInt(CODE + 16));
  });
});

describe("hooks", () => {
  test("see every instruction and every branch", async () => {
    const core = await ring0(LOOP);
    const seen: number[] = [];
    const branches: [number, number][] = [];
    using _instructions = core.instruments.onInstruction((_cpu, rip) => {
      seen.push(Number(rip) - CODE);
      return undefined;
    });
    using _branches = core.instruments.onBranch((_cpu, from, to) => {
      branches.push([Number(from) - CODE, Number(to) - CODE]);
      return undefined;
    });
    core.run(6);
    expect(seen).toEqual([0, 2, 9, 16, 0, 2]);
    expect(branches).toEqual([[16, 0]]);
    expect(core.stateHash()).toBe((await plain(core)).stateHash());
  });

  test("can stop the run, which then goes on", async () => {
    const core = await ring0(LOOP);
    let calls = 0;
    using _hook = core.instruments.onInstruction((_cpu, rip) => {
      calls++;
      return rip === BigInt(CODE + 9) ? "stop" : undefined;
    });
    expect(core.run(1000).kind).toBe("step");
    expect(core.registers().rip).toBe(BigInt(CODE + 9));
    expect(calls).toBe(3);
    expect(core.run(1000).kind).toBe("step");
    expect(core.registers()).toMatchObject({ rip: BigInt(CODE + 9), rax: 2n });
  });
});

describe("registers", () => {
  test("of any CPU can be set and read", async () => {
    const core = await ring0(LOOP, {}, { cpus: 2 });
    core.setRegister("r9", 7n, 1);
    core.setRegister("dr0", 0x1234n, 1);
    core.setRegister("rflags", 0x246n, 1);
    core.setSegment("es", { selector: 0x18, base: 5n, limit: 9, attributes: 0x93 }, 1);
    const { r9, dr0, rflags, segments } = core.registers(1);
    expect({ r9, dr0, rflags, es: segments.es }).toEqual({
      r9: 7n,
      dr0: 0x1234n,
      rflags: 0x246n,
      es: { selector: 0x18, base: 5n, limit: 9, attributes: 0x93 },
    });
    expect(core.registers().r9).toBe(0n);
    expect(() => core.setRegister("r9", 0n, 2)).toThrow("expected a CPU from 0 to 1");
  });
});

describe("faults at an instruction", () => {
  test("an NMI, before the instruction that begins then", async () => {
    const core = await ring0(LOOP);
    core.schedule(6n, { kind: "nmi", cpu: 0 });
    expect(core.run(1000).kind).toBe("halted");
    expect(frame(core).rip).toBe(CODE + 9);
    expect(core.registers().rax).toBe(2n);
    expect(core.exceptions().map(({ vector }) => vector)).not.toContain(NMI);
  });

  test("a machine check with its bank; without CR4.MCE a shutdown", async () => {
    const enable = [0x48, 0xc7, 0xc0, ...u32(0x60), 0x0f, 0x22, 0xe0]; // mov rax, 60h; mov cr4, rax
    const handler = [0xb9, ...u32(0x401), 0x0f, 0x32, 0x89, 0xc6, 0xb9, ...u32(0x17a), 0x0f, 0x32, HLT];
    const core = await ring0(
      [...enable, 0x31, 0xc0, ...LOOP],
      { handlers: { [MC]: 0xc000 } },
      { pieces: [{ address: 0xc000, bytes: Uint8Array.from(handler) }] },
    );
    core.schedule(20n, { kind: "machine-check", cpu: 0, check: { status: 0x5abn, address: 0x1000n } });
    expect(core.run(1000).kind).toBe("halted");
    expect(core.registers()).toMatchObject({ rsi: 0x5abn, rax: 5n });

    const without = await ring0(LOOP);
    without.machineCheck(0, { status: 1n });
    expect(without.run(1000).kind).toBe("triple-fault");
  });

  test("a vector out of nowhere, as soon as interrupts are allowed", async () => {
    const core = await ring0([0x90, 0x90, 0xfb, ...LOOP]);
    core.raiseVector(0, 0x99);
    core.run(1000);
    expect(frame(core).rip).toBe(CODE + 5);
  });

  test("a flipped bit and a changed register", async () => {
    const core = await ring0(LOOP);
    core.schedule(3n, { kind: "flip", address: 0x30000n, bit: 7 });
    core.runUntil({ time: 3n });
    core.run(1);
    expect(core.readPhysical(0x30000n, 1)).toEqual(Uint8Array.of(0x81));
    core.schedule(8n, { kind: "register", cpu: 0, name: "rax", value: 100n });
    core.runUntil({ time: 9n });
    expect(core.registers().rax).toBe(101n);
  });

  test("a frozen CPU does nothing until it is let go", async () => {
    const core = await ring0(LOOP);
    core.freeze(0, true);
    expect(core.run(1000).kind).toBe("idle");
    core.freeze(0, false);
    expect(core.run(1000).kind).toBe("budget");
  });
});

describe("interrupt lines", () => {
  // A tick of the interval timer every 10,000 ns on line 0, counted in RBX.
  const out = (port: number, value: number): number[] => [0xb0, value, 0xe6, port];
  const SETUP = [
    ...[out(0x20, 0x11), out(0x21, 0x20), out(0x21, 4), out(0x21, 1), out(0x21, 0xfe)].flat(),
    ...[out(0x43, 0x34), out(0x40, 12), out(0x40, 0)].flat(),
    ...[0xfb, 0xeb, 0xfe],
  ];
  const HANDLER = [0xff, 0xc3, ...out(0x20, 0x20), 0x48, 0xcf]; // inc ebx; out 20h, 20h; iretq
  const start = (): Promise<Core> =>
    ring0(
      SETUP,
      { handlers: { 32: 0xc000 } },
      { pieces: [{ address: 0xc000, bytes: Uint8Array.from(HANDLER) }] },
    );
  const ticks = (core: Core): number => Number(core.registers().rbx);

  test("healthy", async () => {
    const core = await start();
    core.runUntil({ time: 1_000_000n });
    expect(ticks(core)).toBeGreaterThan(95);
    expect(ticks(core)).toBeLessThan(102);
  });

  test("one that drops ten edges, then none", async () => {
    const [core, healthy] = [await start(), await start()];
    core.setLineFault(0, { kind: "drop", edges: 10 });
    core.runUntil({ time: 1_000_000n });
    healthy.runUntil({ time: 1_000_000n });
    expect(ticks(core)).toBe(ticks(healthy) - 10);
  });

  test("one that is late", async () => {
    const core = await start();
    core.setLineFault(0, { kind: "delay", edges: 1, nanoseconds: 500_000 });
    core.runUntil({ time: 400_000n });
    expect(ticks(core)).toBe(0);
    core.runUntil({ time: 1_000_000n });
    expect(ticks(core)).toBeGreaterThan(40);
  });

  test("one that storms", async () => {
    const core = await start();
    core.schedule(500_000n, {
      kind: "line",
      line: 0,
      fault: { kind: "storm", edges: 200, nanoseconds: 1000 },
    });
    core.runUntil({ time: 1_000_000n });
    expect(ticks(core)).toBeGreaterThan(280);
  });
});

describe("replay", () => {
  test("of every kind of input gives the same machine", async () => {
    const core = await ring0([0xfb, ...LOOP], { returning: [NMI, 0x44] });
    const snapshot = core.snapshot();
    core.restore(snapshot);
    core.run(777);
    core.nmi();
    core.run(50);
    core.raiseVector(0, 0x44);
    core.setRegister("r12", 99n);
    core.flipBit(0x30010n, 3);
    core.run(123);
    core.writePhysical(0x40000n, Uint8Array.of(1, 2, 3));
    core.setLineFault(4, { kind: "drop" });
    core.run(1000);
    const { inputs, time } = core;
    const hash = core.stateHash();
    core.restore(snapshot);
    core.replay(inputs, time);
    expect(core.stateHash()).toBe(hash);
    expect(core.inputs.map(({ kind }) => kind)).toEqual(inputs.map(({ kind }) => kind));
  });
});
