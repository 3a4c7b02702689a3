/** Guests that mean no good: every run ends in a typed event or error, within its budget. */
import { assert, asyncProperty, constantFrom, uint8Array } from "fast-check";
import { describe, expect, test } from "vitest";
import { boot, CrashlabError, type Machine } from "../../bindings/index.ts";
import { buildElf, buildMultibootElf } from "./kernel_fixtures.ts";

const AT = 0x100000;

/** Code entered in long mode, as the 64-bit Linux protocol does: identity map, no IDT to speak of. */
function start64(code: readonly number[], options: { readonly cpus?: number } = {}): Promise<Machine> {
  const segments = [{ address: AT, bytes: code, memorySize: Math.max(code.length, 0x2000) }];
  return boot({ kernel: buildElf({ entry: AT, segments }), memory: "4M", ...options });
}

/** Code entered in 32-bit protected mode without paging. */
function start32(code: readonly number[]): Promise<Machine> {
  return boot({ kernel: buildMultibootElf(AT, code), memory: "4M" });
}

const ENDS: readonly (readonly [string, readonly number[], object])[] = [
  ["ud2 without an IDT", [0x0f, 0x0b], { kind: "triple-fault" }],
  ["a jump into nothing", [0xff, 0x24, 0x25, 0, 0, 0, 0], { kind: "triple-fault" }],
  [
    "int 3 with an IDT of no entries",
    [0x0f, 0x01, 0x1c, 0x25, 0, 0, 0x10, 0, 0xcc],
    { kind: "triple-fault" },
  ],
  ["a division by zero", [0x31, 0xc9, 0xf7, 0xf1], { kind: "triple-fault" }],
  ["hlt with interrupts off", [0xfa, 0xf4], { kind: "halted" }],
  ["a loop on itself", [0xeb, 0xfe], { kind: "budget" }],
  ["isa-debug-exit", [0xb0, 0x15, 0xe6, 0xf4, 0xeb, 0xfe], { kind: "debug-exit", value: 0x15 }],
  ["reset by the keyboard controller", [0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe], { kind: "reset" }],
];

describe("an end for everything", () => {
  test.each(ENDS)("%s", async (_name, code, end) => {
    const machine = await start64(code);
    expect(await machine.run({ budget: 2_000_000 })).toMatchObject(end);
  });

  test("a machine that has stopped says so, and does not run on", async () => {
    const machine = await start64([0x0f, 0x0b]);
    const events: string[] = [];
    machine.on("stopped", (exit) => events.push(exit.kind));
    await machine.run({ budget: 1000 });
    const time = machine.time;
    expect((await machine.run({ budget: 1000 })).kind).toBe("triple-fault");
    expect(machine.time).toBe(time);
    expect(events).toEqual(["triple-fault"]);
    await expect(machine.exec("true")).rejects.toMatchObject({ code: "machine-stopped" });
  });
});

describe("budget and signal", () => {
  test("a budget ends a run near its count", async () => {
    const machine = await start64([0xeb, 0xfe]);
    await machine.run({ budget: 3_000_000 });
    expect(machine.time).toBeGreaterThanOrEqual(3_000_000n);
    expect(machine.time).toBeLessThan(4_000_000n);
  });

  test("a signal ends a run without budget", async () => {
    const machine = await start64([0xeb, 0xfe]);
    const running = machine.run({ budget: Number.POSITIVE_INFINITY, signal: AbortSignal.timeout(100) });
    await expect(running).rejects.toMatchObject({ name: "CrashlabError", code: "aborted" });
    // And the machine can be used again.
    expect(await machine.run({ budget: 1000 })).toEqual({ kind: "budget" });
  });

  test("a guest that rings the doorbell for ever is stopped by its budget, too", async () => {
    // mov dx, 5cch; mov eax, 3; next: out dx, eax; jmp next
    const code = [0x66, 0xba, 0xcc, 0x05, 0xb8, 3, 0, 0, 0, 0xef, 0xeb, 0xfd];
    const machine = await start64(code);
    expect(await machine.run({ budget: 20_000 })).toEqual({ kind: "budget" });
  });

  test("a guest that fills the console without a line's end: lines are cut, memory is not", async () => {
    // mov dx, 3f8h; mov al, 'x'; next: out dx, al; jmp next
    const machine = await start64([0x66, 0xba, 0xf8, 0x03, 0xb0, 0x78, 0xee, 0xeb, 0xfd]);
    expect(await machine.run({ budget: 3_000_000 })).toEqual({ kind: "budget" });
    expect(machine.consoleLog.length).toBeGreaterThan(1);
    expect(Math.max(...machine.consoleLog.map((line) => line.length))).toBeLessThan(200_000);
  });
});

describe("garbage as code", () => {
  const starts = constantFrom(start64, start32);

  test("ends in a typed event or error", async () => {
    await assert(
      asyncProperty(starts, uint8Array({ minLength: 16, maxLength: 400 }), async (start, code) => {
        try {
          const machine = await start([...code]);
          const exit = await machine.run({ budget: 200_000 });
          expect(exit.kind).toMatch(/^[a-z-]+$/);
          machine.registers();
          machine.stateHash();
        } catch (error) {
          expect(error).toBeInstanceOf(CrashlabError);
        }
      }),
      { numRuns: 150, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: true },
    );
  });

  test("and the same garbage has the same end", async () => {
    await assert(
      asyncProperty(uint8Array({ minLength: 16, maxLength: 200 }), async (code) => {
        const ends = [];
        for (let round = 0; round < 2; round++) {
          const machine = await start64([...code]);
          ends.push([await machine.run({ budget: 100_000 }), machine.time, machine.stateHash()]);
        }
        expect(ends[0]).toEqual(ends[1]);
      }),
      { numRuns: 30, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: true },
    );
  });
});

test("booting and running commands twice gives equal machines", async () => {
  const hash = async (): Promise<bigint> => {
    await using machine = await boot();
    await machine.exec("ls /; echo hello > /tmp/file; cat /tmp/file");
    return machine.stateHash();
  };
  expect(await hash()).toBe(await hash());
});
