/** The 8254 with port 61h, and the real-time clock. */
import { describe, expect, test } from "vitest";
import { type Board, createBoard } from "./board.ts";

/** Nanoseconds in which the 8254 counts this many ticks. */
function ticks(count: number): number {
  return Math.ceil((count * 500_000_000) / 596_591);
}

function counter(board: Board, channel: number): number {
  board.write(0x43, channel << 6);
  return board.read(0x40 + channel) | (board.read(0x40 + channel) << 8);
}

function load(board: Board, channel: number, mode: number, count: number): void {
  board.write(0x43, (channel << 6) | 0x30 | (mode << 1));
  board.write(0x40 + channel, count & 0xff);
  board.write(0x40 + channel, count >> 8);
}

function unmaskTimer(board: Board): void {
  for (const [port, value] of [
    [0x20, 0x11],
    [0x21, 0x30],
    [0x21, 4],
    [0x21, 1],
    [0x21, 0xfe],
  ] as const) {
    board.write(port, value);
  }
}

describe("8254", () => {
  test("channel 2 in mode 0 counts while port 61h opens its gate; its output ends the wait", async () => {
    const board = await createBoard();
    board.write(0x61, 0);
    load(board, 2, 0, 1000);
    board.advance(ticks(500));
    expect(counter(board, 2)).toBe(1000);
    board.write(0x61, 1);
    board.advance(ticks(400));
    expect(counter(board, 2)).toBe(600);
    expect(board.read(0x61) & 0x20).toBe(0);
    board.write(0x61, 0);
    board.advance(ticks(5000));
    expect(counter(board, 2)).toBe(600);
    board.write(0x61, 1);
    board.advance(ticks(600));
    expect(board.read(0x61) & 0x20).toBe(0x20);
  });

  test("channel 0 in mode 2 interrupts once a period", async () => {
    const board = await createBoard();
    unmaskTimer(board);
    board.acknowledge();
    board.write(0x20, 0x60);
    load(board, 0, 2, 1193);
    let interrupts = 0;
    for (let i = 0; i < 10_000; i++) {
      board.advance(1000);
      if (board.acknowledge() === 0x30) {
        interrupts++;
        board.write(0x20, 0x60);
      }
    }
    expect(interrupts).toBe(10);
  });

  test("channel 0 in mode 0 interrupts when the count is done, once", async () => {
    const board = await createBoard();
    unmaskTimer(board);
    load(board, 0, 0, 100);
    while (board.acknowledge() !== -1) board.write(0x20, 0x60);
    board.advance(ticks(99));
    expect(board.pending()).toBe(false);
    board.advance(ticks(2));
    expect(board.acknowledge()).toBe(0x30);
    board.write(0x20, 0x60);
    board.advance(ticks(200_000));
    expect(board.pending()).toBe(false);
  });

  test("channel 0 in mode 4 strobes once a load", async () => {
    const board = await createBoard();
    unmaskTimer(board);
    board.write(0x43, 0x38);
    while (board.acknowledge() !== -1) board.write(0x20, 0x60);
    for (let i = 0; i < 3; i++) {
      board.write(0x40, 100);
      board.write(0x40, 0);
      board.advance(ticks(99));
      expect(board.pending()).toBe(false);
      board.advance(ticks(3));
      expect(board.acknowledge()).toBe(0x30);
      board.write(0x20, 0x60);
    }
  });

  test("read-back latches status and count together", async () => {
    const board = await createBoard();
    load(board, 0, 2, 0x1234);
    board.advance(ticks(0x34));
    board.write(0x43, 0xc2);
    board.advance(ticks(100));
    expect(board.read(0x40)).toBe(0xb4);
    expect(board.read(0x40)).toBe(0x00);
    expect(board.read(0x40)).toBe(0x12);
  });

  test("BCD counts in decimal", async () => {
    const board = await createBoard();
    board.write(0x61, 1);
    board.write(0x43, 0xb1);
    board.write(0x42, 0x00);
    board.write(0x42, 0x10); // 1000
    board.advance(ticks(1));
    expect(counter(board, 2)).toBe(0x0999);
  });
});

describe("real-time clock", () => {
  const read = (board: Board, register: number): number => {
    board.write(0x70, register);
    return board.read(0x71);
  };
  const write = (board: Board, register: number, value: number): void => {
    board.write(0x70, register);
    board.write(0x71, value);
  };
  const date = (board: Board): number[] =>
    [0x32, 9, 8, 7, 4, 2, 0, 6].map((register) => read(board, register));

  test("starts at the given date and advances with guest time", async () => {
    const board = await createBoard();
    expect(date(board)).toEqual([0x20, 0x24, 0x01, 0x01, 0x00, 0x00, 0x00, 0x02]);
    board.advance(((31 + 28) * 86400 + 3661) * 1_000_000_000);
    expect(date(board)).toEqual([0x20, 0x24, 0x02, 0x29, 0x01, 0x01, 0x01, 0x05]);
  });

  test("update in progress is announced before the second turns", async () => {
    const board = await createBoard();
    expect(read(board, 0x0a)).toBe(0x26);
    board.advance(999_800_000);
    expect(read(board, 0x0a)).toBe(0xa6);
    board.advance(200_000);
    expect(read(board, 0x0a)).toBe(0x26);
    expect(read(board, 0)).toBe(1);
  });

  test("the date can be set, in binary and 12-hour form too", async () => {
    const board = await createBoard();
    write(board, 0x0b, 0x84);
    for (const [register, value] of [
      [0x32, 19],
      [9, 99],
      [8, 12],
      [7, 31],
      [4, 0x8b],
      [2, 59],
      [0, 59],
    ] as const) {
      write(board, register, value);
    }
    write(board, 0x0b, 0x06);
    expect(read(board, 4)).toBe(23);
    board.advance(1_000_000_000);
    expect(date(board).slice(0, 7)).toEqual([20, 0, 1, 1, 0, 0, 0]);
  });

  test("an alarm raises its flag, and reading register C clears it", async () => {
    const board = await createBoard();
    for (const [register, value] of [
      [1, 0x05],
      [3, 0xff],
      [5, 0xff],
    ] as const)
      write(board, register, value);
    write(board, 0x0b, 0x22);
    board.advance(4_999_999_999);
    expect(read(board, 0x0c) & 0xa0).toBe(0);
    board.advance(1);
    expect(read(board, 0x0c) & 0xa0).toBe(0xa0);
    expect(read(board, 0x0c)).toBe(0);
  });

  test("memory size registers say what the machine has", async () => {
    const board = await createBoard();
    expect(read(board, 0x15) | (read(board, 0x16) << 8)).toBe(640);
    expect(read(board, 0x34) | (read(board, 0x35) << 8)).toBe((48 << 20) / 65536);
  });
});
