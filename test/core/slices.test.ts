/**
 * However a run is cut into slices, the machine ends in the same state: forms, fused pairs, linked traces and the
 * jump cache are shortcuts, and a run of one instruction at a time uses none of them but the forms.
 */
import { describe, expect, it } from "vitest";
import type { Core } from "../../bindings/core/core.ts";
import { CODE, DIRECTORY, ring0 } from "./ring0.ts";

const DATA = 0x30000;
const PROGRAMS = 40;
const BUDGET = 2000;

/** A small generator of repeatable numbers (mulberry32). */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}

type Pick = (limit: number) => number;
const u32 = (value: number): number[] => [
  value & 255,
  (value >> 8) & 255,
  (value >> 16) & 255,
  (value >> 24) & 255,
];

/** ModRM with a register, or memory at [r15 + displacement] (r15 holds DATA), sometimes across a page. */
function operand(pick: Pick, reg: number, rexW: number): { rex: number; bytes: number[] } {
  if (pick(2) === 0) {
    const rm = pick(4); // rax rcx rdx rbx: rsp and r15 keep their meaning
    return { rex: 0x40 | rexW | (reg > 7 ? 4 : 0), bytes: [0xc0 | ((reg & 7) << 3) | rm] };
  }
  const displacement = pick(8) === 0 ? 0xff0 + pick(32) : pick(256) * 8;
  return {
    rex: 0x41 | rexW | (reg > 7 ? 4 : 0),
    bytes: [0x87 | ((reg & 7) << 3), ...u32(displacement)],
  };
}

const REGISTERS = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10] as const;

/** One instruction that comes back to the next address, or a short forward jump. */
function instruction(pick: Pick): number[] {
  const w = pick(2) * 8;
  const reg = REGISTERS[pick(REGISTERS.length)] ?? 0;
  const { rex, bytes } = operand(pick, reg, w);
  const group = (row: number): number[] => [((bytes[0] ?? 0) & 0xc7) | (row << 3), ...bytes.slice(1)];
  const plain = rex & ~4;
  switch (pick(24)) {
    case 0:
    case 1:
    case 2:
      return [rex, pick(8) * 8 + 1, ...bytes];
    case 3:
    case 4:
      return [rex, pick(8) * 8 + 3, ...bytes];
    case 5:
      return [plain, 0x83, ...group(pick(8)), pick(256)];
    case 6:
      return [plain, 0x81, ...group(pick(8)), ...u32(pick(0xffffffff))];
    case 7:
      return [rex, 0x85, ...bytes];
    case 8:
      return [rex, [0x89, 0x8b][pick(2)] ?? 0x89, ...bytes];
    case 9:
      return [rex, 0x0f, [0xb6, 0xb7, 0xbe, 0xbf][pick(4)] ?? 0xb6, ...bytes];
    case 10:
      return [plain, 0xc1, ...group([0, 1, 2, 3, 4, 5, 7][pick(7)] ?? 0), pick(70)];
    case 11:
      return [plain, 0xd3, ...group([0, 1, 4, 5, 7][pick(5)] ?? 0)];
    case 12:
      return [rex, 0x0f, 0xaf, ...bytes];
    case 13:
      return [rex, 0x69, ...bytes, ...u32(pick(0xffffffff))];
    case 14:
      return [rex, 0x0f, 0x40 + pick(16), ...bytes];
    case 15:
      return [plain & ~8, 0x0f, 0x90 + pick(16), ...group(0)];
    case 16:
      return [plain, 0xff, ...group(pick(2))];
    case 17:
      return [plain, 0xf7, ...group(2 + pick(2))];
    case 18:
      return [0x50 + pick(4)];
    case 19:
      return [plain & ~8, 0x80, ...group(7), pick(256)];
    case 20:
      return jumpOver(pick);
    case 21:
      return [rex, 0x38 + pick(2) * 2, ...bytes];
    case 22:
      return [0xe8, 0, 0, 0, 0, 0x58 + pick(4)]; // call the next instruction, which pops its address
    default:
      return [plain, 0x0f, 0xba, ...group(4 + pick(4)), pick(256)];
  }
}

/** A conditional jump over the next instruction, seldom into the middle of one. */
function jumpOver(pick: Pick): number[] {
  const next = instruction(pick);
  return [0x70 + pick(16), pick(50) === 0 ? pick(12) : next.length, ...next];
}

/** A loop of random instructions. */
function program(seed: number): number[] {
  const pick = numbers(seed);
  const code: number[] = [];
  for (let n = 0; n < 40; n++) code.push(...instruction(pick));
  code.push(0x49, 0xff, 0xc3); // inc r11
  code.push(0xe9, ...u32(-(code.length + 5)));
  return code;
}

async function start(seed: number): Promise<Core> {
  const core = await ring0(program(seed));
  const pick = numbers(~seed);
  for (const name of ["rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", "r8", "r9", "r10"] as const)
    core.setRegister(name, (BigInt(pick(0xffffffff)) << 32n) | BigInt(pick(0xffffffff)));
  core.setRegister("r15", BigInt(DATA));
  return core;
}

function runTo(core: Core, total: bigint, next: () => number): void {
  while (core.time < total) {
    const left = Number(total - core.time);
    if (core.run(Math.min(left, next())).kind !== "budget") return;
  }
}

describe("slices", () => {
  it("of any length lead to the same state", async () => {
    let instructions = 0;
    for (let seed = 1; seed <= PROGRAMS; seed++) {
      const pick = numbers(seed * 77);
      const whole = await start(seed);
      const begun = whole.snapshot();
      runTo(whole, BigInt(BUDGET), () => BUDGET);
      instructions += Number(whole.time);
      const expected = { time: whole.time, registers: whole.registers(), hash: whole.stateHash() };
      for (const next of [() => 1, () => 1 + pick(7), () => 1 + pick(400)]) {
        const core = await start(seed);
        runTo(core, expected.time, next);
        expect({ seed, time: core.time, registers: core.registers(), hash: core.stateHash() }).toEqual({
          seed,
          ...expected,
        });
      }
      whole.restore(begun);
      runTo(whole, expected.time, () => 1 + pick(50));
      expect([seed, whole.stateHash()]).toEqual([seed, expected.hash]);
    }
    expect(instructions).toBeGreaterThan((PROGRAMS * BUDGET) / 2); // few programs fault early
  });

  it("see the code that the guest has just written", async () => {
    // inc byte [rip+imm of the mov below]; mov eax, 1; add ebx, eax; loop 200 times; hlt
    const code = [
      0xb9,
      200,
      0,
      0,
      0, // mov ecx, 200
      0xfe,
      0x05,
      1,
      0,
      0,
      0, // inc byte [rip + 1]: the immediate of the next instruction
      0xb8,
      0,
      0,
      0,
      0, // mov eax, 0
      0x01,
      0xc3, // add ebx, eax
      0xff,
      0xc9, // dec ecx
      0x75,
      0xef, // jnz to the inc
      0xf4,
    ];
    const core = await ring0(code);
    expect(core.run(100_000).kind).toBe("halted");
    let sum = 0;
    for (let n = 1; n <= 200; n++) sum += n;
    expect(core.registers().rbx).toBe(BigInt(sum));
    expect(core.readPhysical(BigInt(CODE + 12), 1)[0]).toBe(200);
  });

  it("see the code of a page that is mapped elsewhere once the CPU is told, and not before", async () => {
    const code = [
      0xb9,
      ...u32(0x600000), // mov ecx, 0x600000
      0xff,
      0xd1,
      0xff,
      0xd1, // call rcx, twice
      0x89,
      0xc3, // mov ebx, eax
      0xc7,
      0x04,
      0x25,
      ...u32(DIRECTORY + 24),
      ...u32(0x400083), // its entry names another page
      0xff,
      0xd1,
      0x89,
      0xc6, // call rcx; mov esi, eax
      0x0f,
      0x01,
      0x39, // invlpg [rcx]
      0xff,
      0xd1,
      0x89,
      0xc7, // call rcx; mov edi, eax
      0xf4,
    ];
    for (const length of [100, 1]) {
      const core = await ring0(code);
      core.writePhysical(BigInt(DIRECTORY + 24), Uint8Array.from(u32(0x200083)));
      core.writePhysical(0x200000n, Uint8Array.of(0xb8, 1, 0, 0, 0, 0xc3)); // mov eax, 1; ret
      core.writePhysical(0x400000n, Uint8Array.of(0xb8, 2, 0, 0, 0, 0xc3));
      while (core.run(length).kind === "budget");
      const { rbx, rsi, rdi } = core.registers();
      expect({ length, rbx, rsi, rdi }).toEqual({ length, rbx: 1n, rsi: 1n, rdi: 2n });
    }
  });

  it("run the code of a snapshot after the guest has changed it and gone back", async () => {
    const code = [
      0xb9,
      ...u32(50), // mov ecx, 50
      0xfe,
      0x05,
      1,
      0,
      0,
      0, // inc byte [rip + 1]: the immediate of the next instruction
      0xb8,
      0,
      0,
      0,
      0, // mov eax, 0
      0x01,
      0xc3, // add ebx, eax
      0xff,
      0xc9,
      0x75,
      0xef, // dec ecx; jnz to the inc
      0xf4,
    ];
    const core = await ring0(code);
    core.run(40);
    const half = core.snapshot();
    const ends: bigint[] = [];
    for (let round = 0; round < 3; round++) {
      while (core.run(1000).kind === "budget");
      ends.push(core.registers().rbx, core.stateHash());
      core.restore(half);
    }
    expect(ends.slice(2, 4)).toEqual(ends.slice(0, 2));
    expect(ends.slice(4)).toEqual(ends.slice(0, 2));
    expect(ends[0]).toBe(BigInt((50 * 51) / 2));
  });
});
