/** Forks share pages with the machine they come from, and take the place of those that were disposed of. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Core } from "../../bindings/core/core.ts";
import type { CoreOptions } from "../../bindings/core/options.ts";
import { encodeSnapshot } from "../../bindings/core/snapshot.ts";
import { loadKernel } from "../../bindings/machine/loaders/kernel.ts";
import { buildMultibootElf } from "../machine/kernel_fixtures.ts";

const RAM = 8 * 1024 * 1024;

/**
 *   start: mov edi, 200000h
 *   next:  inc eax; mov [edi], eax; add edi, 4; cmp edi, 400000h; jb next; jmp start
 */
const WRITER = [
  0xbf, 0, 0, 0x20, 0, 0x40, 0x89, 0x07, 0x83, 0xc7, 4, 0x81, 0xff, 0, 0, 0x40, 0, 0x72, 0xf2, 0xeb, 0xeb,
];
const LOW = 0x500000n;

async function start(options: CoreOptions = {}): Promise<Core> {
  const core = await Core.create({ ramBytes: RAM, ...options });
  const kernel = buildMultibootElf(0x100000, WRITER);
  core.start(loadKernel({ kernel, commandLine: "", ramBytes: RAM, cpus: core.cpus }));
  return core;
}

/** The hash of a machine of its own that has run so far. */
async function hashAfter(instructions: number): Promise<bigint> {
  using core = await start();
  core.run(instructions);
  return core.stateHash();
}

describe("a fork", () => {
  test("does not see what its parent writes later, nor the parent what it writes", async () => {
    const parent = await start();
    parent.writePhysical(LOW, Uint8Array.of(1, 2, 3));
    using child = await parent.fork();
    using grandchild = await child.fork();
    parent.writePhysical(LOW, Uint8Array.of(7));
    child.writePhysical(LOW + 1n, Uint8Array.of(8));
    expect([...parent.readPhysical(LOW, 3)]).toEqual([7, 2, 3]);
    expect([...child.readPhysical(LOW, 3)]).toEqual([1, 8, 3]);
    expect([...grandchild.readPhysical(LOW, 3)]).toEqual([1, 2, 3]);
  });

  test("outlives a parent that runs on, is reset, goes back, or is disposed of", async () => {
    const expected = await hashAfter(90_000);
    const futures: ((parent: Core, early: ReturnType<Core["snapshot"]>) => void)[] = [
      (parent) => void parent.run(200_000),
      (parent) => parent.reset(),
      (parent, early) => parent.restore(early),
      (parent) => parent[Symbol.dispose](),
    ];
    for (const future of futures) {
      const parent = await start();
      const early = parent.snapshot();
      parent.run(50_000);
      using child = await parent.fork();
      future(parent, early);
      using next = await start(); // takes the memory that became free
      next.run(1234);
      child.run(40_000);
      expect(child.stateHash()).toBe(expected);
    }
  });

  test("has none of its parent's instruments, nor its record of inputs", async () => {
    const parent = await start();
    using _breakpoint = parent.instruments.breakpoint(parent.registers().rip + 5n);
    using _watchpoint = parent.instruments.watchpoint({ address: 0x200010n, size: 4 });
    parent.feedInput(0, Uint8Array.of(1));
    expect(parent.run(1000).kind).toBe("breakpoint");
    using child = await parent.fork();
    expect(child.inputs).toEqual([]);
    let heard = 0;
    using _hook = child.instruments.onInstruction(() => {
      heard++;
      return undefined;
    });
    expect(child.run(1000).kind).toBe("budget");
    expect(heard).toBeGreaterThan(900);
    const before = heard;
    expect(parent.run(1000).kind).toBe("breakpoint");
    expect(heard).toBe(before);
  });

  test("has its parent's code behind a breakpoint that it meets first", async () => {
    const parent = await start();
    const code = parent.registers().rip;
    const physical = parent.translate(code)?.physical ?? expect.fail();
    using child = await parent.fork();
    using _breakpoint = child.instruments.breakpoint(code);
    expect(child.run(1000).kind).toBe("breakpoint");
    expect([...child.readPhysical(physical, WRITER.length)]).toEqual(WRITER);
  });

  test("has every CPU of its parent, and its options", async () => {
    const parent = await start({ cpus: 3, ignoreTopByte: true });
    parent.setRegister("rbx", 0x1234n, 2);
    parent.run(5000);
    using child = await parent.fork();
    expect(child.registers(2).rbx).toBe(0x1234n);
    parent.run(20_000);
    child.run(20_000);
    expect(child.stateHash()).toBe(parent.stateHash());
  });
});

describe("a machine in memory that served another", () => {
  test("starts and ends as one in fresh memory, whatever was there", async () => {
    const expected = await hashAfter(70_000);
    for (let round = 0; round < 3; round++) {
      using other = await start({ serialPorts: round });
      using breakpoint = other.instruments.breakpoint(other.registers().rip + 6n);
      other.run(100 + round);
      breakpoint[Symbol.dispose]();
      other.run(300_000 + round);
      other.writePhysical(0x700000n, new Uint8Array(4096).fill(0xa5));
      other[Symbol.dispose]();
      expect(await hashAfter(70_000)).toBe(expected);
    }
  });

  test("decodes its own code, and stops at no breakpoint of the other", async () => {
    const parent = await start();
    const code = parent.registers().rip;
    const snapshot = parent.snapshot();
    const first = await parent.fork();
    first.instruments.breakpoint(code + 6n);
    expect(first.run(1000).kind).toBe("breakpoint");
    first.writePhysical(code + 5n, Uint8Array.of(0x90)); // no INC
    first.run(1000);
    first[Symbol.dispose]();
    using second = await parent.fork();
    expect(second.run(1000).kind).toBe("budget");
    parent.restore(snapshot);
    parent.run(1000);
    expect(second.stateHash()).toBe(parent.stateHash());
  });

  test("goes between snapshots of one line, whichever way", async () => {
    const core = await start();
    const points: { readonly snapshot: ReturnType<Core["snapshot"]>; readonly hash: bigint }[] = [];
    for (let n = 0; n < 4; n++) {
      core.run(20_000);
      points.push({ snapshot: core.snapshot(), hash: core.stateHash() });
    }
    const digests = (): string[] =>
      points.map(({ snapshot }) => createHash("sha256").update(encodeSnapshot(snapshot)).digest("hex"));
    const saved = digests();
    using child = await core.fork();
    for (const index of [2, 0, 3, 1, 1, 3]) {
      const { snapshot, hash } = points[index] ?? points[0] ?? expect.fail();
      for (const machine of [core, child]) {
        machine.restore(snapshot);
        expect(machine.stateHash()).toBe(hash);
        machine.run(7000 * (index + 1));
      }
    }
    expect(digests()).toEqual(saved);
  });

  test("a disposed machine cannot be used; disposing of it again does nothing", async () => {
    const core = await start();
    core[Symbol.dispose]();
    core[Symbol.dispose]();
    expect(() => core.run(1)).toThrow("disposed of");
    expect(() => core.readPhysical(0n, 1)).toThrow("disposed of");
    expect(() => core.instruments.breakpoint(0n)).toThrow("disposed of");
  });

  test("a thousand forks need the memory of one", async () => {
    const parent = await start();
    parent.run(100_000);
    const hash = parent.stateHash();
    const memory = (): number => process.memoryUsage().rss + process.memoryUsage().external;
    const forks = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) {
        using child = await parent.fork();
        child.run(500 + n);
      }
    };
    await forks(100);
    const before = memory();
    await forks(1000);
    expect(memory() - before).toBeLessThan(64 * 1024 * 1024);
    expect(parent.stateHash()).toBe(hash);
  });

  test("a watchpoint that is set sees writes to pages that a restore says are cached", async () => {
    const core = await start();
    core.run(50_000);
    const snapshot = core.snapshot();
    using _watchpoint = core.instruments.watchpoint({ address: 0x200010n, size: 4 });
    for (let round = 0; round < 2; round++) {
      core.restore(snapshot);
      expect(core.run(10_000_000).kind).toBe("watchpoint");
      expect(core.run(10_000_000).kind).toBe("watchpoint");
    }
  });
});
