/** Port E9h: bytes to the host, none lost however many they are. */
import { expect, test } from "vitest";
import { ring0 } from "../core/ring0.ts";
import { createBoard } from "./board.ts";

test("a read says that it is there", async () => {
  const board = await createBoard();
  expect(board.read(0xe9)).toBe(0xe9);
});

test("REP OUTSB of more than the ring holds reaches the host in order, and is no part of the state", async () => {
  // mov esi, 0x100000; mov ecx, 0x20000; mov edx, 0xe9; rep outsb; hlt
  const code = [0xbe, 0, 0, 0x10, 0, 0xb9, 0, 0, 2, 0, 0xba, 0xe9, 0, 0, 0, 0xf3, 0x6e, 0xf4];
  const data = Uint8Array.from({ length: 0x20000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff);
  const run = async (slice: number): Promise<{ output: number[]; hash: bigint }> => {
    const core = await ring0(code, {}, { pieces: [{ address: 0x100000, bytes: data }] });
    const output: number[] = [];
    for (let exit = core.run(slice); exit.kind !== "halted" && exit.kind !== "idle"; exit = core.run(slice)) {
      output.push(...core.takeDebugOutput());
    }
    output.push(...core.takeDebugOutput());
    return { output, hash: core.stateHash() };
  };
  const whole = await run(10_000_000);
  expect(Buffer.from(whole.output).equals(Buffer.from(data))).toBe(true);
  const pieces = await run(777);
  expect(Buffer.from(pieces.output).equals(Buffer.from(data))).toBe(true);
  expect(pieces.hash).toBe(whole.hash);
});
