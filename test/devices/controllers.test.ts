/** Interrupt controllers: what the 8259 pair, the I/O APIC and the local APICs make of lines and messages. */
import { describe, expect, test } from "vitest";
import { type Board, createBoard } from "./board.ts";

const LAPIC = 0xfee00000;
const IOAPIC = 0xfec00000;

/** Linux's initialisation: vectors 30h and 38h, normal end of interrupt. */
function initializePic(board: Board, mask: number): void {
  board.write(0x20, 0x11);
  board.write(0x21, 0x30);
  board.write(0x21, 0x04);
  board.write(0x21, 0x01);
  board.write(0xa0, 0x11);
  board.write(0xa1, 0x38);
  board.write(0xa1, 0x02);
  board.write(0xa1, 0x01);
  board.write(0x21, mask & 0xff);
  board.write(0xa1, mask >> 8);
}

/** Makes line 4 (first serial port) high or low by its transmitter-empty interrupt. */
function serialLine(board: Board, high: boolean): void {
  board.write(0x3f9, high ? 2 : 0);
}

/** Line 3, second serial port. */
function secondSerialLine(board: Board, high: boolean): void {
  board.write(0x2f9, high ? 2 : 0);
}

function redirect(board: Board, pin: number, low: number, destination = 0): void {
  board.mmioWrite(IOAPIC, 0x10 + pin * 2 + 1);
  board.mmioWrite(IOAPIC + 0x10, destination * 2 ** 24);
  board.mmioWrite(IOAPIC, 0x10 + pin * 2);
  board.mmioWrite(IOAPIC + 0x10, low);
}

describe("8259 pair", () => {
  test("the mask reads back, as Linux's probe wants", async () => {
    const board = await createBoard();
    board.write(0xa1, 0xff);
    board.write(0x21, 0xfb);
    expect(board.read(0x21)).toBe(0xfb);
  });

  test("a line becomes a vector, once; its end lets the next in", async () => {
    const board = await createBoard();
    initializePic(board, 0xffff & ~0x18);
    serialLine(board, true);
    expect(board.acknowledge()).toBe(0x34);
    expect(board.acknowledge()).toBe(-1);
    board.write(0x20, 0x0b);
    expect(board.read(0x20)).toBe(0x10);
    board.write(0x20, 0x64);
    expect(board.read(0x20)).toBe(0);
    expect(board.acknowledge()).toBe(-1);
  });

  test("a masked line waits in IRR", async () => {
    const board = await createBoard();
    initializePic(board, 0xffff);
    serialLine(board, true);
    expect(board.pending()).toBe(false);
    board.write(0x20, 0x0a);
    expect(board.read(0x20) & 0x10).toBe(0x10);
    board.write(0x21, 0xef);
    expect(board.acknowledge()).toBe(0x34);
  });

  test("the lower number interrupts the higher in service, not the other way round", async () => {
    const board = await createBoard();
    initializePic(board, 0xffff & ~0x18);
    serialLine(board, true);
    expect(board.acknowledge()).toBe(0x34);
    secondSerialLine(board, true);
    expect(board.acknowledge()).toBe(0x33);
    serialLine(board, false);
    serialLine(board, true);
    expect(board.acknowledge()).toBe(-1);
    board.write(0x20, 0x20); // unspecific: the most urgent, 3
    expect(board.acknowledge()).toBe(-1);
    board.write(0x20, 0x20);
    expect(board.acknowledge()).toBe(0x34);
  });

  test("the slave's vector comes through the cascade", async () => {
    const board = await createBoard();
    initializePic(board, 0xffff & ~0x0104);
    board.write(0x70, 0x0b);
    board.write(0x71, 0x12); // update-ended interrupt, line 8
    board.advance(1_000_000_000);
    expect(board.acknowledge()).toBe(0x38);
    board.write(0xa0, 0x60);
    board.write(0x20, 0x62);
    expect(board.pending()).toBe(false);
  });

  test("automatic end of interrupt leaves nothing in service", async () => {
    const board = await createBoard();
    initializePic(board, 0xffef);
    board.write(0x20, 0x11);
    board.write(0x21, 0x30);
    board.write(0x21, 0x04);
    board.write(0x21, 0x03);
    board.write(0x21, 0xef);
    serialLine(board, true);
    expect(board.acknowledge()).toBe(0x34);
    board.write(0x20, 0x0b);
    expect(board.read(0x20)).toBe(0);
  });

  test("poll mode acknowledges by a read", async () => {
    const board = await createBoard();
    initializePic(board, 0xffef);
    serialLine(board, true);
    board.write(0x20, 0x0c);
    expect(board.read(0x20)).toBe(0x84);
    board.write(0x20, 0x0b);
    expect(board.read(0x20)).toBe(0x10);
  });

  test("a level-triggered line asks again after its end of interrupt", async () => {
    const board = await createBoard();
    initializePic(board, 0xffef);
    board.write(0x4d0, 0x10);
    serialLine(board, true);
    expect(board.acknowledge()).toBe(0x34);
    board.write(0x20, 0x64);
    expect(board.acknowledge()).toBe(0x34);
    serialLine(board, false);
    board.write(0x20, 0x64);
    expect(board.acknowledge()).toBe(-1);
  });

  test("a spurious request gives input 7 without service", async () => {
    const board = await createBoard();
    initializePic(board, 0xffef);
    board.write(0x4d0, 0x10);
    serialLine(board, true);
    expect(board.pending()).toBe(true);
    serialLine(board, false);
    expect(board.pending()).toBe(false);
  });
});

describe("I/O APIC and local APIC", () => {
  test("version registers", async () => {
    const board = await createBoard();
    expect(board.mmioRead(LAPIC + 0x30)).toBe(0x50014);
    board.mmioWrite(IOAPIC, 1);
    expect(board.mmioRead(IOAPIC + 0x10)).toBe(0x170011);
  });

  test("an edge becomes the entry's vector; end of interrupt clears it", async () => {
    const board = await createBoard();
    redirect(board, 4, 0x41);
    serialLine(board, true);
    expect(board.acknowledge()).toBe(0x41);
    expect(board.mmioRead(LAPIC + 0x120)).toBe(2);
    expect(board.acknowledge()).toBe(-1);
    board.mmioWrite(LAPIC + 0xb0, 0);
    expect(board.mmioRead(LAPIC + 0x120)).toBe(0);
  });

  test("a level line is sent again after its end of interrupt while it is high", async () => {
    const board = await createBoard();
    redirect(board, 4, 0x8041);
    serialLine(board, true);
    expect(board.acknowledge()).toBe(0x41);
    board.mmioWrite(IOAPIC, 0x18);
    expect(board.mmioRead(IOAPIC + 0x10)).toBe(0xc041);
    board.mmioWrite(LAPIC + 0xb0, 0);
    expect(board.acknowledge()).toBe(0x41);
    serialLine(board, false);
    board.mmioWrite(LAPIC + 0xb0, 0);
    expect(board.acknowledge()).toBe(-1);
  });

  test("the 8254 is wired to pin 2", async () => {
    const board = await createBoard();
    redirect(board, 2, 0x30);
    board.write(0x43, 0x34);
    board.write(0x40, 0xa9);
    board.write(0x40, 0x04);
    board.advance(2_000_000);
    expect(board.acknowledge()).toBe(0x30);
  });

  test("task priority holds back its class and below", async () => {
    const board = await createBoard();
    redirect(board, 4, 0x41);
    board.mmioWrite(LAPIC + 0x80, 0x4f);
    serialLine(board, true);
    expect(board.pending()).toBe(false);
    board.mmioWrite(LAPIC + 0x80, 0x3f);
    expect(board.acknowledge()).toBe(0x41);
    expect(board.mmioRead(LAPIC + 0xa0)).toBe(0x40);
  });

  test("the higher vector goes first", async () => {
    const board = await createBoard();
    redirect(board, 4, 0x41);
    redirect(board, 3, 0x91);
    serialLine(board, true);
    secondSerialLine(board, true);
    expect(board.acknowledge()).toBe(0x91);
    expect(board.acknowledge()).toBe(-1);
    board.mmioWrite(LAPIC + 0xb0, 0);
    expect(board.acknowledge()).toBe(0x41);
  });

  test("an interprocessor interrupt reaches the CPU it names", async () => {
    const board = await createBoard(2);
    board.select(1);
    board.mmioWrite(LAPIC + 0xf0, 0x1ff);
    board.select(0);
    board.mmioWrite(LAPIC + 0x310, 1 * 2 ** 24);
    board.mmioWrite(LAPIC + 0x300, 0x40fd);
    expect(board.acknowledge()).toBe(-1);
    board.select(1);
    expect(board.acknowledge()).toBe(0xfd);
  });

  test("a logical destination reaches the CPUs of its mask", async () => {
    const board = await createBoard(4);
    for (let cpu = 0; cpu < 4; cpu++) {
      board.select(cpu);
      board.mmioWrite(LAPIC + 0xf0, 0x1ff);
      board.mmioWrite(LAPIC + 0xd0, 2 ** (24 + cpu));
    }
    board.select(0);
    board.mmioWrite(LAPIC + 0x310, 0b1010 * 2 ** 24);
    board.mmioWrite(LAPIC + 0x300, 0x48fb);
    const taken = [0, 1, 2, 3].map((cpu) => {
      board.select(cpu);
      return board.acknowledge();
    });
    expect(taken).toEqual([-1, 0xfb, -1, 0xfb]);
  });

  test("a software-disabled APIC masks its local vectors and takes no fixed interrupts", async () => {
    const board = await createBoard();
    board.mmioWrite(LAPIC + 0x320, 0x40);
    board.mmioWrite(LAPIC + 0xf0, 0xff);
    expect(board.mmioRead(LAPIC + 0x320)).toBe(0x10040);
    redirect(board, 4, 0x41);
    serialLine(board, true);
    expect(board.pending()).toBe(false);
  });

  test("an illegal vector is recorded in ESR", async () => {
    const board = await createBoard();
    board.mmioWrite(LAPIC + 0x300, 0x00004005);
    board.mmioWrite(LAPIC + 0x280, 0);
    expect(board.mmioRead(LAPIC + 0x280)).toBe(0x20);
  });

  test("the boot processor starts with the virtual wire in place", async () => {
    const board = await createBoard();
    expect(board.mmioRead(LAPIC + 0x350)).toBe(0x700);
    expect(board.mmioRead(LAPIC + 0x360)).toBe(0x400);
    initializePic(board, 0xffef);
    board.mmioWrite(LAPIC + 0x350, 0x10700);
    serialLine(board, true);
    expect(board.pending()).toBe(false);
  });
});

describe("local APIC timer", () => {
  test("one shot: the vector at the exact nanosecond, the count down to 0", async () => {
    const board = await createBoard();
    board.mmioWrite(LAPIC + 0x320, 0xec);
    board.mmioWrite(LAPIC + 0x3e0, 0x3); // by 16
    board.mmioWrite(LAPIC + 0x380, 1000);
    board.advance(15_999);
    expect(board.pending()).toBe(false);
    expect(board.mmioRead(LAPIC + 0x390)).toBe(1);
    board.advance(1);
    expect(board.acknowledge()).toBe(0xec);
    expect(board.mmioRead(LAPIC + 0x390)).toBe(0);
    board.mmioWrite(LAPIC + 0xb0, 0);
    board.advance(100_000);
    expect(board.pending()).toBe(false);
  });

  test("periodic: the count starts again", async () => {
    const board = await createBoard();
    board.mmioWrite(LAPIC + 0x320, 0x200ec);
    board.mmioWrite(LAPIC + 0x3e0, 0xb); // by 1
    board.mmioWrite(LAPIC + 0x380, 1000);
    for (let tick = 0; tick < 3; tick++) {
      board.advance(999);
      expect(board.pending()).toBe(false);
      board.advance(1);
      expect(board.acknowledge()).toBe(0xec);
      board.mmioWrite(LAPIC + 0xb0, 0);
      expect(board.mmioRead(LAPIC + 0x390)).toBe(1000);
    }
  });
});
