/**
 * What the loaders make of kernels: memory pieces and entry state, and typed errors for files that cannot
 * start. Kernels are built here, byte by byte. The three packed fixtures were made from `branchyBytes()` with
 *   xz -T1 --check=crc32 --x86 --lzma2=dict=32MiB    zstd -19    lz4 -l -9
 */
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CrashlabError } from "../../bindings/error.ts";
import type { BootImage, LoadOptions, MemoryPiece } from "../../bindings/machine/loaders/boot_image.ts";
import { loadKernel } from "../../bindings/machine/loaders/kernel.ts";
import { unpack } from "../../bindings/machine/loaders/unpack.ts";
import { buildBzImage, buildElf, buildMultibootElf, pvhNote } from "./kernel_fixtures.ts";

const PACKED = {
  xz: "/Td6WFoAAAFpIt42AgEEACEBGgAByYCz4AHzAMJdACQiWKkK66vzMidDAk6YQA+jC1svIdL9at/h5dtNg1RMoWDrjrCpP5FAW5zajNr76cOu55MvZo8n1t+fyIEPXnmk63rgZiCaWBJq/Vvzvyxhwt/H6S3ktxurfb+GGAr0/2KLTdVZY/6CpuLjsot81RyYTsciuE/IJln923ZcGrlw/dceyW0TnWvlS4U1mBMpDIal+p3ttZqZZ4CTW13ezNhb1FnO1AxDDHpPc5Y/cAHG5vZhVw4XsJqAJuH/LvRUum3iAAAAkpeGEQAB2gH0AwAAjf3SRj4wDYsCAAAAAAFZWg==",
  zstd: "KLUv/WT0AP0EAEQESInlkOjo6QAA/wClVQEAP/vp8f///+iLsQAA6fj////ovu0B6FqlAVd8/MgBAOggAABxHQHopmABAFd1AABSLziPdVYoqDCltoUOMIQYZ90GEWRQhIQMeekW678BOk2RQ+KDdsutfYoUd5CjkQzloBnubu99BE/Gvrf3zojEx1XQRvmFO4euCL6OiWqsdGCeYFpIbL6hxtCnYZbkfjwDgik=",
  lz4: "AiFMGMUAAABMSInlkAQAfujo6QAA/wAbAAcjADmlVQEhADLoP/sRAF/p8f///0YABAMTAFPoi7EAAAwAkun4////6L7tAQoABCoAAUYAMehapSgAFwFHAAIwACpXfH4ABXUABWoAjvzIAQDoIAAAxgAP1gAJA6AANHEdAXgAWOimYAEAHABMV3UAADAANFIvACQAATQAJjiPnwA56HVWMQAfAVoBBAHDAAkEAQyWAAY8AAQ8AQElAQIXAAUCAQiAAQRsAAYLAFCQSInlkA==",
} as const;

const MIB = 1024 * 1024;

function options(kernel: Uint8Array, more: Partial<LoadOptions> = {}): LoadOptions {
  return { kernel, commandLine: "console=ttyS0", ramBytes: 64 * MIB, cpus: 1, ...more };
}

/** 500 bytes rich in CALL and JMP opcodes with near targets: what the x86 branch filter works on. */
function branchyBytes(): Uint8Array {
  const out: number[] = [];
  let seed = 1;
  while (out.length < 500) {
    seed = (seed * 1103 + 12345) & 0x7fffff;
    const kind = (seed >> 9) % 7;
    if (kind === 0) out.push(0xe8, (seed >> 8) & 0xff, (seed >> 4) & 0xff, seed & 3, 0);
    else if (kind === 1) out.push(0xe9, 0xf0 | (seed & 15), 0xff, 0xff, 0xff);
    else if (kind === 2) out.push(0xe8, 0xe8, 0xe9, (seed >> 8) & 1, 0, 0xff, 0);
    else out.push(0x48, 0x89, 0xe5, 0x90);
  }
  return Uint8Array.from(out.slice(0, 500));
}

function pieceAt(image: BootImage, address: number): MemoryPiece {
  const piece = image.pieces.find((each) => each.address === address);
  if (piece === undefined) throw new Error(`no piece at 0x${address.toString(16)}`);
  return piece;
}

function view(piece: MemoryPiece): DataView {
  return new DataView(piece.bytes.buffer, piece.bytes.byteOffset, piece.bytes.byteLength);
}

function refusal(action: () => unknown): CrashlabError {
  try {
    action();
  } catch (error) {
    if (error instanceof CrashlabError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("Linux 64-bit protocol", () => {
  const kernel = buildElf({
    entry: 0x1000000,
    segments: [{ address: 0x1000000, bytes: [0xf4], memorySize: 0x2000 }],
  });

  test("enters long mode at the ELF entry with RSI at boot_params", () => {
    const { entry, protocol } = loadKernel(options(kernel));
    expect(protocol).toBe("linux64");
    expect(entry).toMatchObject({
      rip: 0x1000000,
      rsi: 0x7000,
      cr0: 0x80000011,
      cr3: 0x9000,
      cr4: 0x20,
      efer: 0x500,
    });
    expect(entry.cs.selector).toBe(8);
  });

  test("boot_params carry header, command line, initrd and memory map", () => {
    const initrd = new Uint8Array(5000).fill(7);
    const image = loadKernel(options(kernel, { initrd }));
    const params = view(pieceAt(image, 0x7000));
    expect(params.getUint16(0x1fe, true)).toBe(0xaa55);
    expect(params.getUint32(0x202, true)).toBe(0x53726448);
    expect(params.getUint32(0x218, true)).toBe(64 * MIB - 8192);
    expect(params.getUint32(0x21c, true)).toBe(5000);
    expect(params.getUint32(0x228, true)).toBe(0x20000);
    expect(params.getUint8(0x1e8)).toBe(3);
    expect(params.getBigUint64(0x2d0 + 40, true)).toBe(0x100000n);
    expect(params.getBigUint64(0x2d0 + 48, true)).toBe(BigInt(63 * MIB));
    expect(new TextDecoder().decode(pieceAt(image, 0x20000).bytes)).toBe("console=ttyS0\0");
    expect(pieceAt(image, 64 * MIB - 8192).bytes).toBe(initrd);
  });

  test("page tables map the first GiB onto itself", () => {
    const image = loadKernel(options(kernel));
    expect(view(pieceAt(image, 0x9000)).getBigUint64(0, true)).toBe(0xa003n);
    expect(view(pieceAt(image, 0xa000)).getBigUint64(0, true)).toBe(0xb003n);
    expect(view(pieceAt(image, 0xb000)).getBigUint64(511 * 8, true)).toBe(0x3fe00083n);
  });

  test("SMBIOS and MP tables have valid checksums", () => {
    const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => total + byte, 0) & 0xff;
    const image = loadKernel(options(kernel, { cpus: 4 }));
    const smbios = pieceAt(image, 0xf0000).bytes;
    expect(sum(smbios.subarray(0, 0x1f))).toBe(0);
    expect(sum(smbios.subarray(0x10, 0x1f))).toBe(0);
    const mp = pieceAt(image, 0x9fc00).bytes;
    expect(sum(mp.subarray(0, 16))).toBe(0);
    expect(sum(mp.subarray(16))).toBe(0);
  });
});

describe("bzImage", () => {
  const vmlinux = buildElf({
    entry: 0x1000000,
    segments: [{ address: 0x1000000, bytes: [0x90, 0xf4], memorySize: 2 }],
  });

  test("its gzip payload is unpacked and loaded as a vmlinux", () => {
    const image = loadKernel(options(buildBzImage(gzipSync(vmlinux))));
    expect(image.entry.rip).toBe(0x1000000);
    expect([...pieceAt(image, 0x1000000).bytes]).toEqual([0x90, 0xf4]);
  });

  test.each(Object.entries(PACKED))("a payload packed with %s is unpacked", (_format, packed) => {
    const size = Uint8Array.from([500 & 0xff, 500 >> 8, 0, 0]);
    const payload = Buffer.concat([Buffer.from(packed, "base64"), size]);
    expect(Buffer.from(unpack(payload, 500)).equals(Buffer.from(branchyBytes()))).toBe(true);
  });

  test.each(Object.entries(PACKED))(
    "damage in a %s payload is an error of type bad-kernel, or not damage",
    (_format, packed) => {
      const good = Buffer.concat([
        Buffer.from(packed, "base64"),
        Uint8Array.from([500 & 0xff, 500 >> 8, 0, 0]),
      ]);
      fc.assert(
        fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
          const bad = Uint8Array.from(good);
          bad[at] = (bad[at] ?? 0) ^ change;
          try {
            unpack(bad, 500);
          } catch (error) {
            expect(error).toBeInstanceOf(CrashlabError);
          }
        }),
        { numRuns: 200, seed: 1 },
      );
    },
  );

  test.each([
    ["bzip2", [0x42, 0x5a, 0x68]],
    ["lzma", [0x5d, 0, 0]],
    ["lzop", [0x89, 0x4c, 0x5a]],
  ])("%s is named and refused", (name, magic) => {
    const error = refusal(() =>
      loadKernel(options(buildBzImage(Uint8Array.from([...magic, ...new Array(20).fill(0)])))),
    );
    expect(error.code).toBe("bad-kernel");
    expect(error.message).toContain(name);
  });
});

describe("PVH", () => {
  test("enters 32-bit protected mode at the note's address with EBX at hvm_start_info", () => {
    const kernel = buildElf({
      entry: 0x200000,
      segments: [{ address: 0x200000, bytes: [0xf4], memorySize: 0x1000 }],
      notes: pvhNote(0x200040),
    });
    const image = loadKernel(options(kernel, { initrd: new Uint8Array(10) }), "pvh");
    expect(image.entry).toMatchObject({ rip: 0x200040, rbx: 0x6000, cr0: 0x11, efer: 0 });
    const info = view(pieceAt(image, 0x6000));
    expect(info.getUint32(0, true)).toBe(0x336ec578);
    expect(info.getUint32(12, true)).toBe(1);
    expect(info.getUint32(48, true)).toBe(4);
  });

  test("a kernel without the note is refused", () => {
    const kernel = buildElf({
      entry: 0x200000,
      segments: [{ address: 0x200000, bytes: [0xf4], memorySize: 1 }],
    });
    expect(refusal(() => loadKernel(options(kernel), "pvh")).message).toContain("PVH entry note");
  });
});

describe("multiboot", () => {
  test("an ELF with the header is recognised and entered in 32-bit mode", () => {
    const image = loadKernel(options(buildMultibootElf(0x100000, [0xf4]), { initrd: new Uint8Array(10) }));
    expect(image.protocol).toBe("multiboot");
    expect(image.entry).toMatchObject({ rip: 0x10000c, rax: 0x2badb002, rbx: 0x6000, cr0: 0x11 });
    const info = view(pieceAt(image, 0x6000));
    expect(info.getUint32(0, true)).toBe(0x24d);
    expect(info.getUint32(4, true)).toBe(639);
    expect(info.getUint32(8, true)).toBe(63 * 1024);
    expect(info.getUint32(20, true)).toBe(1);
  });
});

describe("what cannot start is refused with a reason", () => {
  const good = buildElf({
    entry: 0x1000000,
    segments: [{ address: 0x1000000, bytes: [0xf4], memorySize: 1 }],
  });
  const cases: readonly (readonly [string, LoadOptions, string])[] = [
    ["an empty file", options(new Uint8Array(0)), "empty file"],
    ["a text file", options(new TextEncoder().encode("hello, world")), "neither"],
    ["an ELF header cut short", options(good.subarray(0, 40)), "ELF header of 64 bytes"],
    ["a segment cut short", options(good.subarray(0, good.length - 1)), "inside the file"],
    [
      "an entry outside all segments",
      options(buildElf({ entry: 0x42, segments: [{ address: 0x1000000, bytes: [0xf4], memorySize: 1 }] })),
      "inside a loaded segment",
    ],
    [
      "a kernel larger than memory",
      options(
        buildElf({
          entry: 0x1000000,
          segments: [{ address: 0x1000000, bytes: [0xf4], memorySize: 128 * MIB }],
        }),
      ),
      "more memory",
    ],
    [
      "segments that overlap",
      options(
        buildElf({
          entry: 0x1000000,
          segments: [
            { address: 0x1000000, bytes: [0xf4, 0xf4], memorySize: 2 },
            { address: 0x1000001, bytes: [0xf4], memorySize: 1 },
          ],
        }),
      ),
      "do not overlap",
    ],
    ["a command line that is too long", options(good, { commandLine: "x".repeat(3000) }), "2047"],
    ["a command line with NUL", options(good, { commandLine: "a\0b" }), "without NUL"],
    ["an initrd larger than memory", options(good, { initrd: new Uint8Array(64 * MIB) }), "initrd that fits"],
  ];
  test.each(cases)("%s", (_name, given, words) => {
    const error = refusal(() => loadKernel(given));
    expect(error.message).toContain(words);
  });

  test("random damage to a kernel never gives anything but a CrashlabError", () => {
    const kernels = [good, buildBzImage(gzipSync(good)), buildMultibootElf(0x100000, [0xf4])];
    fc.assert(
      fc.property(
        fc.constantFrom(...kernels),
        fc.array(fc.tuple(fc.nat(700), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (kernel, changes) => {
          const bad = Uint8Array.from(kernel);
          for (const [at, value] of changes) bad[at % bad.length] = value;
          try {
            loadKernel(options(bad));
          } catch (error) {
            expect(error).toBeInstanceOf(CrashlabError);
          }
        },
      ),
      { numRuns: 1000, seed: 2 },
    );
  });
});
