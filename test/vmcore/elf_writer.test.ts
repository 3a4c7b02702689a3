/** The ELF vmcore of a small made-up memory: headers, notes, bytes, progress, abort. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Core } from "../../bindings/core/core.ts";
import {
  encodeNote,
  findNote,
  prstatusNote,
  vmcoreSize,
  writeElfVmcore,
} from "../../bindings/vmcore/index.ts";

const MIB = 1 << 20;
const directMap = 0xffff888000000000n;
const info = encodeNote("VMCOREINFO", 0, new TextEncoder().encode("OSRELEASE=5.15.0\n"));
const source = {
  ram: [
    { start: 0n, length: 0x9f000n },
    { start: 0x100000n, length: BigInt(2 * MIB) },
  ],
  kernel: { virtual: 0xffffffff81000000n, physical: 0x180000n, length: 0x10000n },
  directMap,
  notes: [info],
  // Every page holds its own number.
  readPhysical: (address: bigint, length: number) => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 4096)
      bytes.fill(Number((address + BigInt(at)) >> 12n) & 0xff, at, at + 4096);
    return bytes;
  },
};

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

describe("an ELF vmcore", () => {
  test("has one PT_NOTE first, then the kernel's mapping, then the direct map of each RAM range", async () => {
    const file = await collect(writeElfVmcore(source));
    expect(file.length).toBe(vmcoreSize(source));
    expect(file.readUInt16LE(16)).toBe(4); // ET_CORE
    expect(file.readUInt16LE(56)).toBe(4); // program headers
    const header = (index: number): bigint[] =>
      [8, 16, 24, 32].map((field) => file.readBigUInt64LE(64 + 56 * index + field));
    expect(file.readUInt32LE(64)).toBe(4);
    const [offset, virtual, physical, size] = header(1);
    expect([virtual, physical, size]).toEqual([0xffffffff81000000n, 0x180000n, 0x10000n]);
    expect(file[Number(offset)]).toBe(0x80);
    expect(header(2).slice(1)).toEqual([directMap, 0n, 0x9f000n]);
    expect(header(3).slice(1)).toEqual([directMap + 0x100000n, 0x100000n, BigInt(2 * MIB)]);
    const last = file.readBigUInt64LE(64 + 56 * 3 + 8);
    expect(file[Number(last) + 0x5000]).toBe(0x05);
  });

  test("is read by readelf", async () => {
    const folder = mkdtempSync(join(tmpdir(), "crashlab-"));
    try {
      writeFileSync(join(folder, "vmcore"), await collect(writeElfVmcore(source)));
      const text = execFileSync("readelf", ["-W", "-l", "-n", join(folder, "vmcore")], { encoding: "utf8" });
      expect(text).toContain("VMCOREINFO");
      expect(text).toContain("0xffffffff81000000 0x0000000000180000");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("comes in pieces of at most 1 MiB with progress", async () => {
    const done: number[] = [];
    const largest: number[] = [];
    for await (const piece of writeElfVmcore(source, {
      onProgress: (progress) => done.push(progress.done),
    })) {
      largest.push(piece.length);
    }
    expect(Math.max(...largest)).toBe(MIB);
    expect(done.at(-1)).toBe(vmcoreSize(source));
  });

  test("ends with `aborted` when the signal fires", async () => {
    const abort = new AbortController();
    const writing = collect(
      writeElfVmcore(source, { signal: abort.signal, onProgress: () => abort.abort() }),
    );
    await expect(writing).rejects.toMatchObject({ code: "aborted" });
  });

  test("a kernel outside memory is refused", () => {
    const kernel = { ...source.kernel, physical: 0x10000000n };
    expect(() => vmcoreSize({ ...source, kernel })).toThrow(/inside RAM/);
  });
});

describe("notes", () => {
  test("NT_PRSTATUS holds pid and registers at their places", async () => {
    const core = await Core.create({ ramBytes: MIB });
    core.setRegister("rip", 0xffffffff81000123n);
    core.setRegister("r15", 0x15n);
    const note = Buffer.from(prstatusNote(core.registers(0), 42));
    const description = 20; // header and "CORE\0" padded
    expect(note.length).toBe(20 + 336);
    expect(note.readInt32LE(description + 32)).toBe(42);
    expect(note.readBigUInt64LE(description + 112)).toBe(0x15n);
    expect(note.readBigUInt64LE(description + 112 + 16 * 8)).toBe(0xffffffff81000123n);
  });

  test("a note is found only when it is whole and named so", () => {
    expect(findNote(info, "VMCOREINFO", 0)).toEqual(info);
    expect(findNote(info, "VMCOREINFO", 1)).toBeUndefined();
    expect(findNote(info, "CORE", 0)).toBeUndefined();
    for (let length = 0; length < info.length; length++) {
      expect(findNote(info.subarray(0, length), "VMCOREINFO", 0)).toBeUndefined();
    }
  });
});
