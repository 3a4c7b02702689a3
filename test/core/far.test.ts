/** Call gates, returns to outer levels, interrupts from ring 3, in 32-bit and 64-bit mode. SDM 3A 5.8, 6.12. */
import { describe, expect, test } from "vitest";
import type { Core } from "../../bindings/core/core.ts";
import { CODE, descriptor, protected32, TSS } from "./protected.ts";
import { ring0 } from "./ring0.ts";

const HLT = 0xf4;
const TS = 10;
const GP = 13;
const u32 = (value: number): number[] => [
  value & 255,
  (value >> 8) & 255,
  (value >> 16) & 255,
  (value >> 24) & 255,
];
const push = (value: number): number[] => [0x68, ...u32(value)];

const USER = 0x11000;
const USER_STACK = 0x2f000;
const GATE = 0xc000;
const DONE = 0xd000;
const userCode = descriptor(0, 0xfffff, 0xfb, 12);
const userData = descriptor(0, 0xfffff, 0xf3, 12);
/** A 32-bit call gate of DPL 3 to 8:GATE. */
const callGate = (parameters: number): bigint =>
  BigInt(GATE) | (8n << 16n) | (BigInt(parameters) << 32n) | (0xecn << 40n);

/** Runs `user` in ring 3; INT 40h ends it with HLT in ring 0. */
async function inRing3(user: readonly number[], gate: readonly number[] = [HLT]): Promise<Core> {
  const enter = [...push(0x23), ...push(USER_STACK), ...push(0x1b), ...push(USER), 0xcb];
  const core = await protected32(enter, {
    descriptors: [userCode, userData, callGate(2), descriptor(TSS, 0x67, 0x89, 0)],
    handlers: { 64: DONE },
    pieces: [
      { address: USER, bytes: Uint8Array.from(user) },
      { address: GATE, bytes: Uint8Array.from(gate) },
      { address: DONE, bytes: Uint8Array.of(HLT) },
    ],
  });
  core.run(1000);
  return core;
}
function words(core: Core, count: number): number[] {
  const bytes = core.readPhysical(core.registers().rsp, count * 4);
  return [...new Uint32Array(bytes.buffer)];
}

describe("32-bit levels", () => {
  test("a call gate copies its parameters to the inner stack, RET drops them from both", async () => {
    const user = [0x6a, 1, 0x6a, 2, 0x9a, ...u32(0), 0x2b, 0, 0xb9, ...u32(0x1234), 0xcd, 0x40];
    const gate = [
      ...[0x8b, 0x44, 0x24, 8, 0x8b, 0x5c, 0x24, 12], // mov eax, [esp + 8]; mov ebx, [esp + 12]
      ...[0x8b, 0x54, 0x24, 16, 0x8b, 0x74, 0x24, 20], // mov edx, [esp + 16]; mov esi, [esp + 20]
      ...[0x8c, 0xcf, 0xca, 8, 0], // mov edi, cs; retf 8
    ];
    const core = await inRing3(user, gate);
    expect(core.exceptions()).toEqual([]);
    const { rax, rbx, rcx, rdx, rsi, rdi } = core.registers();
    expect([rax, rbx, rcx, rdx, rsi, rdi].map(Number)).toEqual([2, 1, 0x1234, USER_STACK - 8, 0x23, 8]);
    expect(words(core, 5)).toMatchObject({ 0: USER + user.length, 1: 0x1b, 3: USER_STACK, 4: 0x23 });
  });

  test("INT through a gate of ring 0 is #GP with the vector, EXT clear", async () => {
    const core = await inRing3([0xcd, 0x41]);
    expect(core.exceptions()).toMatchObject([{ vector: GP, error: 0x41 * 8 + 2, rip: BigInt(USER), cpl: 3 }]);
    expect(words(core, 3)).toMatchObject({ 0: 0x41 * 8 + 2, 1: USER, 2: 0x1b });
  });

  test("segments that ring 3 may not see are null after the return", async () => {
    const core = await inRing3([0x8c, 0xd8, 0xcd, 0x40]); // mov eax, ds
    expect(core.registers().rax).toBe(0n);
  });

  test.each([
    ["CLI", [0xfa]],
    ["HLT", [HLT]],
    ["LGDT", [0x0f, 0x01, 0x15, ...u32(0)]],
    ["IN", [0xe4, 0x20]],
    ["MOV from CR0", [0x0f, 0x20, 0xc0]],
    ["RDMSR", [0x0f, 0x32]],
    ["a jump to ring 0", [0xea, ...u32(GATE), 8, 0]],
  ])("%s is #GP in ring 3", async (_name, code) => {
    const core = await inRing3(code);
    expect(core.exceptions()[0]).toMatchObject({ vector: GP, rip: BigInt(USER), cpl: 3 });
  });

  test("an inner stack that the TSS does not have is #TS", async () => {
    const enter = [...push(0x23), ...push(USER_STACK), ...push(0x1b), ...push(USER), 0xcb];
    const core = await protected32(enter, { descriptors: [userCode, userData], handlers: { 64: DONE } });
    core.setSegment("tr", { selector: 0x78, base: BigInt(TSS), limit: 3, attributes: 0x8b });
    core.writePhysical(BigInt(USER), Uint8Array.of(0xcd, 0x40));
    expect(core.run(1000).kind).toBe("triple-fault");
    expect(core.exceptions()[0]).toMatchObject({ vector: TS, error: 0x78, rip: BigInt(USER) });
  });
});

describe("targets", () => {
  test.each([
    ["a task-state segment", 0x18, descriptor(TSS, 0x67, 0x89, 0)],
    ["a data segment", 0x18, descriptor(0, 0xfffff, 0x93, 12)],
    ["a descriptor beyond the table", 0x100, 0n],
  ])("%s is #GP with its selector", async (_name, selector, entry) => {
    const core = await protected32([0xea, ...u32(GATE), selector & 255, selector >> 8], {
      descriptors: [entry],
    });
    core.run(100);
    expect(core.exceptions()).toMatchObject([{ vector: GP, error: selector, rip: BigInt(CODE) }]);
  });

  test("an offset beyond the code segment is #GP(0)", async () => {
    const core = await protected32([0xea, ...u32(0x20000), 0x18, 0], {
      descriptors: [descriptor(0, 0x1ffff, 0x9b, 4)],
    });
    core.run(100);
    expect(core.exceptions()).toMatchObject([{ vector: GP, error: 0, rip: BigInt(CODE) }]);
  });
});

test("a 64-bit call gate and the return from it", async () => {
  const gate = new DataView(new ArrayBuffer(16));
  gate.setBigUint64(0, BigInt(GATE) | (0x10n << 16n) | (0x8cn << 40n), true);
  const pointer = new DataView(new ArrayBuffer(6));
  pointer.setUint16(4, 0x20, true);
  const core = await ring0(
    [0x31, 0xc0, 0xff, 0x1c, 0x25, ...u32(0x30000), 0xff, 0xc0, HLT], // call far [30000h]; inc eax
    {},
    {
      pieces: [
        { address: 0x6020, bytes: new Uint8Array(gate.buffer) },
        { address: 0x30000, bytes: new Uint8Array(pointer.buffer) },
        { address: GATE, bytes: Uint8Array.of(0xff, 0xc0, 0x48, 0xcb) }, // inc eax; retfq
      ],
    },
  );
  expect(core.run(100).kind).toBe("halted");
  expect(core.exceptions()).toEqual([]);
  expect(core.registers().rax).toBe(2n);
  expect(core.registers().rsp).toBe(0x20000n);
});
