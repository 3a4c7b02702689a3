/** Determinism, snapshots, forks and replay, on a machine that writes its memory round and round. */
import { describe, expect, test } from "vitest";
import { Core } from "../../bindings/core/core.ts";
import { decodeSnapshot, encodeSnapshot } from "../../bindings/core/snapshot.ts";
import { CrashlabError } from "../../bindings/error.ts";
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

/** Echoes bytes of the first serial port: next: mov dx,3fdh; in al,dx; test al,1; jz next; mov dx,3f8h; in al,dx; out dx,al; jmp next */
const ECHO = [
  0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf7, 0x66, 0xba, 0xf8, 0x03, 0xec, 0xee, 0xeb, 0xef,
];

async function start(code: readonly number[]): Promise<Core> {
  const core = await Core.create({ ramBytes: RAM });
  core.start(
    loadKernel({ kernel: buildMultibootElf(0x100000, code), commandLine: "", ramBytes: RAM, cpus: 1 }),
  );
  return core;
}

describe("determinism", () => {
  test("the same run has the same hash, however it is sliced", async () => {
    const [whole, sliced] = [await start(WRITER), await start(WRITER)];
    whole.run(300_000);
    for (let left = 300_000; left > 0; left -= 7_500) sliced.run(7_500);
    expect(sliced.time).toBe(whole.time);
    expect(sliced.stateHash()).toBe(whole.stateHash());
  });

  test("one instruction more is another state", async () => {
    const [one, other] = [await start(WRITER), await start(WRITER)];
    one.run(1000);
    other.run(1001);
    expect(other.stateHash()).not.toBe(one.stateHash());
  });

  test("reading memory and registers does not change the machine", async () => {
    const core = await start(WRITER);
    core.run(1000);
    const before = core.stateHash();
    core.registers();
    core.readPhysical(0x700000n, 4096);
    core.translate(0x100000n);
    expect(core.stateHash()).toBe(before);
  });
});

describe("snapshots", () => {
  test("a run split by a snapshot file restored into a new core ends in the same state", async () => {
    const whole = await start(WRITER);
    whole.run(200_000);
    for (const split of [1, 777, 123_456]) {
      const first = await start(WRITER);
      first.run(split);
      const second = await Core.create({ ramBytes: RAM });
      second.restore(decodeSnapshot(encodeSnapshot(first.snapshot())));
      second.run(200_000 - split);
      expect(second.stateHash()).toBe(whole.stateHash());
    }
  });

  test("restoring in place goes back, again and again", async () => {
    const core = await start(WRITER);
    core.run(50_000);
    const snapshot = core.snapshot();
    const hash = core.stateHash();
    for (let round = 0; round < 3; round++) {
      core.run(100_000 * (round + 1));
      expect(core.stateHash()).not.toBe(hash);
      core.restore(snapshot);
      expect(core.stateHash()).toBe(hash);
    }
  });

  test("an earlier snapshot can be restored after a later one", async () => {
    const core = await start(WRITER);
    core.run(10_000);
    const early = core.snapshot();
    const hash = core.stateHash();
    core.run(90_000);
    core.snapshot();
    core.run(10_000);
    core.restore(early);
    expect(core.stateHash()).toBe(hash);
  });

  test("a fork starts equal and goes its own way", async () => {
    const parent = await start(WRITER);
    parent.run(50_000);
    const child = await parent.fork();
    expect(child.stateHash()).toBe(parent.stateHash());
    child.run(100_000);
    const reference = await start(WRITER);
    reference.run(50_000);
    expect(parent.stateHash()).toBe(reference.stateHash());
    parent.run(100_000);
    expect(child.stateHash()).toBe(parent.stateHash());
  });

  test.each([
    ["another file", (bytes: Uint8Array) => bytes.fill(1, 0, 8), "CLABSNAP"],
    ["another version", (bytes: Uint8Array) => bytes.fill(9, 8, 9), "format 2"],
    ["a damaged header", (bytes: Uint8Array) => bytes.fill(0x7b, 16, 40), "JSON"],
    ["a file cut short", (bytes: Uint8Array) => bytes.subarray(0, 5000), "inside the file"],
  ])("%s is refused", async (_name, damage, words) => {
    const core = await start(WRITER);
    core.run(1000);
    const bytes = damage(encodeSnapshot(core.snapshot()));
    expect(() => decodeSnapshot(bytes)).toThrow(CrashlabError);
    expect(() => decodeSnapshot(bytes)).toThrow(words);
  });

  test("a snapshot of another memory size is refused", async () => {
    const small = await start(WRITER);
    const large = await Core.create({ ramBytes: 2 * RAM });
    expect(() => large.restore(small.snapshot())).toThrow("create a core of that size");
  });
});

describe("input", () => {
  test("what was fed at recorded times gives the same run again", async () => {
    const core = await start(ECHO);
    const start0 = core.snapshot();
    core.restore(start0);
    core.run(10_000);
    core.feedInput(0, new TextEncoder().encode("hello"));
    core.run(12_345);
    core.feedInput(0, new TextEncoder().encode(", again"));
    core.run(50_000);
    expect(new TextDecoder().decode(core.takeOutput(0))).toBe("hello, again");
    const { inputs, time } = core;
    const hash = core.stateHash();
    core.restore(start0);
    core.replay(inputs, time);
    expect(core.time).toBe(time);
    expect(core.stateHash()).toBe(hash);
  });

  test("the receiver takes what it has room for", async () => {
    const core = await start(WRITER);
    expect(core.feedInput(0, new Uint8Array(5000))).toBe(4096);
    expect(core.feedInput(0, new Uint8Array(1))).toBe(0);
  });
});

describe("bounds", () => {
  test("memory outside the machine is a typed error", async () => {
    const core = await start(WRITER);
    expect(() => core.readPhysical(BigInt(RAM) - 1n, 2)).toThrow(CrashlabError);
    expect(() => core.writePhysical(-1n, new Uint8Array(1))).toThrow(CrashlabError);
    expect(core.readPhysical(BigInt(RAM) - 4n, 4)).toEqual(new Uint8Array(4));
  });

  test.each([
    ["ramBytes", { ramBytes: 1000 }],
    ["ramBytes", { ramBytes: 2 ** 33 }],
    ["cpus", { cpus: 9 }],
    ["serialPorts", { serialPorts: 3 }],
    ["startSeconds", { startSeconds: -1 }],
  ])("%s out of range is a typed error", async (name, options) => {
    await expect(Core.create(options)).rejects.toThrow(`expected ${name}`);
  });
});
