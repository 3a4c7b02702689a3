/** A board that has served a fork keeps what it has decoded for the next one of the same line, breakpoints included. */
import { beforeEach, describe, expect, test } from "vitest";
import { loadCore } from "../../bindings/assets/node.ts";
import { Board } from "../../bindings/core/board.ts";
import { Core } from "../../bindings/core/core.ts";
import { RECORDS_NEXT, TRACE_EPOCH } from "../../bindings/core/layout.ts";
import { completeOptions } from "../../bindings/core/options.ts";
import type { Snapshot } from "../../bindings/core/snapshot.ts";
import { loadKernel } from "../../bindings/machine/loaders/kernel.ts";
import { buildMultibootElf } from "../machine/kernel_fixtures.ts";

const RAM = 8 * 1024 * 1024;
/** next: inc eax; mov [edi], eax; jmp next */
const WRITER = [0xbf, 0, 0, 0x20, 0, 0x40, 0x89, 0x07, 0xeb, 0xfb];

let parent: Core;
let snapshot: Snapshot;
let code: bigint;

beforeEach(async () => {
  parent = await Core.create({ ramBytes: RAM });
  const kernel = buildMultibootElf(0x100000, WRITER);
  parent.start(loadKernel({ kernel, commandLine: "", ramBytes: RAM, cpus: 1 }));
  code = parent.registers().rip;
  snapshot = parent.snapshot();
});

/** How often the board that waits for the next fork has thrown its decoded code away, and where the next record goes. */
async function decoded(): Promise<{ readonly epoch: number; readonly next: number }> {
  const board = await Board.take(await loadCore(), completeOptions({ ramBytes: RAM }), snapshot.pages.line);
  const { view } = board.instance;
  const [epoch, next] = [TRACE_EPOCH, RECORDS_NEXT].map((place) => view.getUint32(place, true));
  board.release();
  return { epoch: epoch ?? 0, next: next ?? 0 };
}

async function fork(act: (child: Core) => void): Promise<void> {
  using child = await parent.fork();
  act(child);
}

describe("decoded code of forks one after the other", () => {
  const stops = (child: Core): void => {
    using _breakpoint = child.instruments.breakpoint(code + 6n);
    expect(child.run(1000).kind).toBe("breakpoint");
  };
  const runs = (child: Core): void => {
    expect(child.run(1000).kind).toBe("budget");
  };

  test("stays where the same breakpoints are set, and where none are", async () => {
    for (const act of [stops, runs]) {
      await fork(act);
      const after = await decoded();
      for (let n = 0; n < 3; n++) await fork(act);
      expect(await decoded()).toEqual(after);
    }
  });

  test("goes where breakpoints differ", async () => {
    await fork(stops);
    const { epoch } = await decoded();
    await fork(runs);
    expect((await decoded()).epoch).toBeGreaterThan(epoch);
    await fork(stops);
  });

  test("goes with the code that the parent has changed since", async () => {
    await fork(runs);
    parent.writePhysical(code + 5n, Uint8Array.of(0x90)); // no INC
    await fork((child) => {
      runs(child);
      parent.run(1000);
      expect(child.stateHash()).toBe(parent.stateHash());
      expect(child.registers().rax).toBe(parent.registers().rax);
    });
  });

  test("goes with the code that the former fork has changed", async () => {
    await fork((child) => {
      child.writePhysical(code + 5n, Uint8Array.of(0x90));
      runs(child);
    });
    await fork((child) => {
      runs(child);
      parent.run(1000);
      expect(child.stateHash()).toBe(parent.stateHash());
    });
  });

  test("watchpoints and hooks of a former machine do nothing", async () => {
    await fork((child) => {
      child.instruments.watchpoint({ address: 0x200000n, size: 4 });
      child.instruments.onInstruction(() => "stop");
      child.instruments.onBranch(() => "stop");
      expect(child.run(1000).kind).not.toBe("budget");
    });
    await fork((child) => {
      runs(child);
      parent.run(1000);
      expect(child.stateHash()).toBe(parent.stateHash());
    });
  });
});
