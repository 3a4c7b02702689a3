/** Serial ports, fw_cfg, the small devices and what nobody answers. */
import { describe, expect, test } from "vitest";
import { EXIT_RESET, NO_EXIT } from "../../bindings/core/layout.ts";
import { createBoard } from "./board.ts";

describe("16550", () => {
  test("is recognised as a 16550A: FIFO bits in IIR, scratch register, IER keeps four bits", async () => {
    const board = await createBoard();
    expect(board.read(0x3fa)).toBe(0x01);
    board.write(0x3fa, 0x07);
    expect(board.read(0x3fa)).toBe(0xc1);
    board.write(0x3ff, 0xa5);
    expect(board.read(0x3ff)).toBe(0xa5);
    board.write(0x3f9, 0xff);
    expect(board.read(0x3f9)).toBe(0x0f);
  });

  test("the divisor hides behind DLAB", async () => {
    const board = await createBoard();
    board.write(0x3fb, 0x83);
    board.write(0x3f8, 0x01);
    expect(board.read(0x3f8)).toBe(0x01);
    board.write(0x3fb, 0x03);
    expect(board.read(0x3fd)).toBe(0x60);
  });

  test("looped back: a byte comes back, modem outputs appear as inputs", async () => {
    const board = await createBoard();
    board.write(0x3fc, 0x1f);
    expect(board.read(0x3fe) & 0xf0).toBe(0xf0);
    board.write(0x3f8, 0x5a);
    expect(board.read(0x3fd)).toBe(0x61);
    expect(board.read(0x3f8)).toBe(0x5a);
    expect(board.read(0x3fd)).toBe(0x60);
  });

  test("transmitter empty is reported once and again after each byte", async () => {
    const board = await createBoard();
    board.write(0x3f9, 0x02);
    expect(board.read(0x3fa)).toBe(0x02);
    expect(board.read(0x3fa)).toBe(0x01);
    board.write(0x3f8, 0x41);
    expect(board.read(0x3fa)).toBe(0x02);
  });
});

describe("fw_cfg", () => {
  const item = async (key: number, length: number, cpus = 1): Promise<number[]> => {
    const board = await createBoard(cpus);
    board.write(0x510, key, 2);
    return Array.from({ length }, () => board.read(0x511));
  };

  test("has its signature, no DMA, and an empty directory", async () => {
    expect(String.fromCharCode(...(await item(0, 4)))).toBe("QEMU");
    expect(await item(1, 4)).toEqual([1, 0, 0, 0]);
    expect(await item(0x19, 4)).toEqual([0, 0, 0, 0]);
  });

  test("tells CPUs and memory", async () => {
    expect(await item(5, 2, 4)).toEqual([4, 0]);
    expect(await item(3, 8)).toEqual([0, 0, 0, 4, 0, 0, 0, 0]);
  });
});

describe("small devices", () => {
  test("the doorbell says who it is; other sizes and an empty disk bay read all-ones", async () => {
    const board = await createBoard();
    expect(board.read(0x5c0, 4)).toBe(0x42414c43);
    expect(board.read(0x5c0, 1)).toBe(0xffffffff);
    expect(board.read(0x5e0, 4)).toBe(0xffffffff);
  });

  test("pvpanic offers both events; the keyboard controller is busy for ever", async () => {
    const board = await createBoard();
    expect(board.read(0x505)).toBe(3);
    expect(board.read(0x64) & 3).toBe(1);
  });

  test("port CF9h resets with bit 2, by a byte; wider it is not there", async () => {
    const board = await createBoard();
    board.write(0xcf9, 0x02);
    board.write(0xcf8, 0x80000400, 4);
    expect(board.exit()).toBe(NO_EXIT);
    board.write(0xcf9, 0x06);
    expect(board.exit()).toBe(EXIT_RESET);
  });

  test("nobody's ports read all-ones at every width", async () => {
    const board = await createBoard();
    for (const port of [0x80, 0x2e8, 0xcf8, 0xcfc, 0x600, 0xffff]) {
      expect(board.read(port)).toBe(0xff);
      expect(board.read(port, 2)).toBe(0xffff);
      expect(board.read(port, 4)).toBe(0xffffffff);
    }
  });

  test("a wide access to byte registers is a run of byte accesses", async () => {
    const board = await createBoard();
    board.write(0x70, 0x0b, 1);
    expect(board.read(0x70, 2)).toBe(0x02ff);
    board.write(0x70, 0x220f, 2);
    expect(board.read(0x71)).toBe(0x22);
  });
});
