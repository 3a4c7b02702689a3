/** System behaviour of the core, by small programs in ring 0. SDM 3A chapters 2, 4, 6; 3B chapter 17. */
import { describe, expect, test } from "vitest";
import { Core } from "../../bindings/core/core.ts";
import { decodeSnapshot, encodeSnapshot } from "../../bindings/core/snapshot.ts";
import { CODE, DIRECTORY, frame, ring0 } from "./ring0.ts";

const HLT = 0xf4;
const DB = 1;
const GP = 13;
/** mov rax, imm32 sign-extended */
const movRax = (value: number): number[] => [0x48, 0xc7, 0xc0, ...u32(value)];
const u32 = (value: number): number[] => [
  value & 255,
  (value >> 8) & 255,
  (value >> 16) & 255,
  (value >> 24) & 255,
];
/** mov drN, rax */
const movDr = (n: number): number[] => [0x0f, 0x23, 0xc0 | (n << 3)];
/** push imm32; popfq */
const setFlags = (flags: number): number[] => [0x68, ...u32(flags), 0x9d];
/** CR4.OSXSAVE */
const XSAVE = [...movRax(0x40620), 0x0f, 0x22, 0xe0];
const out = (port: number, value: number): number[] => [0xb0, value, 0xe6, port];

/** Programs the interrupt controller and timer for one tick, and waits for it with interrupts off. */
const PENDING_TICK = [
  ...[out(0x20, 0x11), out(0x21, 0x20), out(0x21, 4), out(0x21, 1), out(0x21, 0xfe)].flat(),
  ...[out(0x43, 0x34), out(0x40, 0x10), out(0x40, 0)].flat(),
  ...[0xb9, ...u32(40_000), 0xe2, 0xfe], // mov ecx, 40000; loop $
  ...[0x31, 0xc0], // xor eax, eax
];

describe("interrupts", () => {
  test("POPF that enables them lets a pending one in before the next instruction", async () => {
    const code = [...PENDING_TICK, ...setFlags(0x202), 0xff, 0xc0, HLT];
    const core = await ring0(code);
    core.run(200_000);
    expect(core.registers().rax).toBe(0n);
    expect(frame(core).rip).toBe(CODE + code.length - 3);
  });

  test("STI lets one instruction through first", async () => {
    const code = [...PENDING_TICK, 0xfb, 0xff, 0xc0, 0xff, 0xc0, HLT];
    const core = await ring0(code);
    core.run(200_000);
    expect(core.registers().rax).toBe(1n);
    expect(frame(core).rip).toBe(CODE + code.length - 3);
  });

  test("INT through a gate that is not present is #NP at the INT, EXT clear", async () => {
    const core = await ring0([0x90, 0xcd, 0x81], { absent: [0x81] });
    core.run(100);
    expect(core.exceptions()).toMatchObject([{ vector: 11, error: 0x81 * 8 + 2 }]);
    // HLT of the handler has run; the frame has an error code in front.
    const bytes = core.readPhysical(core.registers().rsp + 8n, 8);
    expect(new DataView(bytes.buffer).getBigUint64(0, true)).toBe(BigInt(CODE + 1));
  });
});

describe("debug exceptions", () => {
  test("a data breakpoint traps behind the store, DR6 says which", async () => {
    const code = [
      ...[movRax(0x30004), movDr(0), movRax(0x000d0001), movDr(7)].flat(),
      ...[0xc7, 0x04, 0x25, ...u32(0x30000), ...u32(1)], // mov dword [30000h], 1: beside it
      ...[0xc7, 0x04, 0x25, ...u32(0x30004), ...u32(2)],
      HLT,
    ];
    const core = await ring0(code);
    core.run(100);
    expect(core.exceptions()).toMatchObject([{ vector: DB, rip: BigInt(CODE + code.length - 1) }]);
    expect([...core.readPhysical(0x30004n, 1)]).toEqual([2]);
    expect(frame(core).rflags & 0x10000n).toBe(0n);
  });

  test("an instruction breakpoint saves RF clear; IRET with RF set goes on", async () => {
    const set = [...movRax(CODE + 20), ...movDr(0), ...movRax(1), ...movDr(7)];
    expect(set.length).toBe(20);
    const handler = 0x9000; // or dword [rsp + 16], 10000h; iretq
    const core = await ring0(
      [...set, 0x90, HLT],
      { handlers: { [DB]: handler } },
      {
        pieces: [
          { address: handler, bytes: Uint8Array.of(0x81, 0x4c, 0x24, 16, ...u32(0x10000), 0x48, 0xcf) },
        ],
      },
    );
    using _breakpoint = core.instruments.breakpoint(BigInt(handler));
    expect(core.run(100).kind).toBe("breakpoint");
    expect(frame(core)).toEqual({ rip: CODE + 20, rflags: 2n });
    expect(core.run(100).kind).toBe("halted");
    expect(core.exceptions()).toMatchObject([{ vector: DB, rip: BigInt(CODE + 20) }]);
    expect(core.registers().rip).toBe(BigInt(CODE + 22));
  });

  test("TF traps behind the instruction after the POPF that set it", async () => {
    const core = await ring0([...setFlags(0x102), 0x90, 0x90, HLT]);
    core.run(100);
    expect(core.exceptions()).toMatchObject([{ vector: DB, rip: BigInt(CODE + 7) }]);
  });

  test("general detect stops MOV DR and clears itself", async () => {
    const code = [...movRax(0x2000), ...movDr(7), 0x0f, 0x21, 0xc3, HLT]; // mov rbx, dr0
    const core = await ring0(code, { returning: [DB] });
    expect(core.run(100).kind).toBe("halted");
    expect(core.exceptions()).toMatchObject([{ vector: DB, rip: BigInt(CODE + 10) }]);
  });

  test("INT1 is a #DB that needs no gate privilege", async () => {
    const core = await ring0([0xf1, 0x90, HLT]);
    core.run(100);
    expect(frame(core).rip).toBe(CODE + 1);
  });
});

describe("control registers", () => {
  const refused: readonly (readonly [string, readonly number[]])[] = [
    ["reserved bits of CR4", [...movRax(0x20 | (1 << 15)), 0x0f, 0x22, 0xe0]],
    ["CR4 without PAE in long mode", [...movRax(0), 0x0f, 0x22, 0xe0]],
    ["CR0 with NW and without CD", [...movRax(0xa0000033 | 0), 0x89, 0xc0, 0x0f, 0x22, 0xc0]],
    ["CR3 beyond physical addresses", [0x48, 0xb8, 0, 0, 0, 0, 0, 1, 0, 0, 0x0f, 0x22, 0xd8]],
    ["CR0 with bits above 31", [0x48, 0xb8, 0x33, 0, 5, 0x80, 1, 0, 0, 0, 0x0f, 0x22, 0xc0]],
    ["CR0 with PG and without PE", [...movRax(0x80050032 | 0), 0x89, 0xc0, 0x0f, 0x22, 0xc0]],
    ["CR0 without PG, in 64-bit code", [...movRax(0x50033), 0x0f, 0x22, 0xc0]],
    ["CR4 with bits above 31", [0x48, 0xb8, 0x20, 0, 0, 0, 1, 0, 0, 0, 0x0f, 0x22, 0xe0]],
    ["CR4.VMXE, which is not offered", [...movRax(0x2020), 0x0f, 0x22, 0xe0]],
    [
      "CR4.PCIDE with bits 0 to 11 of CR3",
      [...movRax(0x1008), 0x0f, 0x22, 0xd8, ...movRax(0x20020), 0x0f, 0x22, 0xe0],
    ],
    ["reserved bits of EFER", [0xb9, ...u32(0xc0000080), ...movRax(0xd03), 0x31, 0xd2, 0x0f, 0x30]],
    ["EFER.LME changed under paging", [0xb9, ...u32(0xc0000080), ...movRax(0xc01), 0x31, 0xd2, 0x0f, 0x30]],
    ["DR7 with bits above 31", [0x48, 0xb8, 0, 4, 0, 0, 1, 0, 0, 0, 0x0f, 0x23, 0xf8]],
    ["DR6 with bits above 31", [0x48, 0xb8, 0, 0, 0, 0, 1, 0, 0, 0, 0x0f, 0x23, 0xf0]],
    ["XCR0 without x87", [...XSAVE, 0x31, 0xc9, ...movRax(2), 0x31, 0xd2, 0x0f, 0x01, 0xd1]],
    [
      "XCR0 with AVX, which is not offered",
      [...XSAVE, 0x31, 0xc9, ...movRax(7), 0x31, 0xd2, 0x0f, 0x01, 0xd1],
    ],
    ["XCR1", [...XSAVE, ...[0xb9, ...u32(1)], ...movRax(3), 0x31, 0xd2, 0x0f, 0x01, 0xd1]],
    ["CR8 above 15", [...movRax(16), 0x44, 0x0f, 0x22, 0xc0]],
    ["an unknown MSR", [0xb9, ...u32(0x12345), 0x0f, 0x32]],
  ];
  test.each(refused)("#GP for %s", async (_name, code) => {
    const core = await ring0([...code, HLT]);
    core.run(100);
    expect(core.exceptions()).toMatchObject([{ vector: GP, error: 0 }]);
  });

  test("PCIDE may be set, CR3 then names a context, and INVPCID takes types 0 to 3", async () => {
    const code = [
      ...[...movRax(0x20020), 0x0f, 0x22, 0xe0],
      ...[...movRax(0x1001), 0x0f, 0x22, 0xd8],
      ...[...movRax(3), 0x66, 0x0f, 0x38, 0x82, 0x04, 0x25, ...u32(0x30000)],
      ...[...movRax(4), 0x66, 0x0f, 0x38, 0x82, 0x04, 0x25, ...u32(0x30000)],
    ];
    const core = await ring0([...code, HLT]);
    core.run(100);
    expect(core.registers().cr3).toBe(0x1001n);
    expect(core.exceptions()).toMatchObject([{ vector: GP, rip: BigInt(CODE + code.length - 10) }]);
  });
});

describe("translation", () => {
  test("INVLPG forgets all of a large page", async () => {
    const core = await ring0([
      ...[0x8b, 0x04, 0x25, ...u32(0x201000)], // mov eax, [201000h]
      ...[0xc7, 0x04, 0x25, ...u32(DIRECTORY + 8), ...u32(0x400083)], // the page is now at 400000h
      ...[0x0f, 0x01, 0x3c, 0x25, ...u32(0x3ff000)], // invlpg at its other end
      ...[0x8b, 0x1c, 0x25, ...u32(0x201000)], // mov ebx, [201000h]
      HLT,
    ]);
    core.writePhysical(0x201000n, Uint8Array.of(1));
    core.writePhysical(0x401000n, Uint8Array.of(2));
    core.run(100);
    const { rax, rbx } = core.registers();
    expect([rax, rbx]).toEqual([1n, 2n]);
  });
});

describe("an ignored top byte", () => {
  /** mov rbx, tag:ffffffc0030000 */
  const address = (tag: number): number[] => [0x48, 0xbb, 0x00, 0x00, 0x03, 0xc0, 0xff, 0xff, 0xff, tag];
  const access = [0xc7, 0x03, ...u32(7), 0x8b, 0x0b]; // mov dword [rbx], 7; mov ecx, [rbx]

  test("any tag reaches the same memory when the option is set", async () => {
    const core = await ring0(
      [...address(0xff), ...access, ...address(0x3a), 0xff, 0x03, 0x8b, 0x0b, HLT],
      {},
      {
        ignoreTopByte: true,
      },
    );
    core.run(100);
    expect(core.exceptions()).toEqual([]);
    expect(core.registers().rcx).toBe(8n);
    expect(core.readVirtual(0x3affffffc0030000n, 1)).toEqual(Uint8Array.of(8));
  });

  test("without it, and for addresses outside the kernel's half, it is #GP", async () => {
    const without = await ring0([...address(0x3a), ...access, HLT]);
    without.run(100);
    expect(without.exceptions()).toMatchObject([{ vector: GP, rip: BigInt(CODE + 10) }]);
    const user = await ring0(
      [0x48, 0xbb, 0, 0, 3, 0, 0, 0, 0, 0x3a, ...access, HLT],
      {},
      { ignoreTopByte: true },
    );
    user.run(100);
    expect(user.exceptions()).toMatchObject([{ vector: GP }]);
  });

  test("CR2 of a page fault is the address without the tag", async () => {
    const core = await ring0(
      [0x48, 0xbb, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x3a, ...access, HLT],
      {},
      {
        ignoreTopByte: true,
      },
    );
    core.run(100);
    expect(core.exceptions()).toMatchObject([{ vector: 14, cr2: 0xffffffff00000000n }]);
  });

  test("jumps do not take part", async () => {
    const core = await ring0([...address(0x3a), 0xff, 0xe3], {}, { ignoreTopByte: true });
    core.run(100);
    expect(core.exceptions()).toMatchObject([{ vector: GP, rip: BigInt(CODE + 10) }]);
  });
});

describe("what is cached", () => {
  // A table entry is changed without INVLPG: the cached translation stays in use, in a restored machine too.
  const code = [
    ...[0x8b, 0x04, 0x25, ...u32(0x201000)], // mov eax, [201000h]
    ...[0xc7, 0x04, 0x25, ...u32(DIRECTORY + 8), ...u32(0x400083)], // the page is now at 400000h
    ...[0x90, 0x90],
    ...[0xc7, 0x04, 0x25, ...u32(0x201000), ...u32(9)],
    ...[0x8b, 0x1c, 0x25, ...u32(0x201000)], // mov ebx, [201000h]
    HLT,
  ];
  test.each([3, 4, 5])("is what it was after %i instructions, a snapshot and a restore", async (split) => {
    const whole = await ring0(code);
    whole.run(100);
    const first = await ring0(code);
    first.run(split);
    const snapshot = decodeSnapshot(encodeSnapshot(first.snapshot()));
    const second = await Core.create({ ramBytes: first.ramBytes });
    second.restore(snapshot);
    for (const core of [first, second]) {
      core.run(100);
      expect(core.readPhysical(0x201000n, 1)).toEqual(whole.readPhysical(0x201000n, 1));
      expect(core.stateHash()).toBe(whole.stateHash());
    }
  });
});

describe("code that a string instruction overwrites", () => {
  const FUNCTION = 0x30000;
  const returns = (value: number): number[] => [0xb8, ...u32(value), 0xc3]; // mov eax, value; ret
  const CALL = [0x48, 0xc7, 0xc3, ...u32(FUNCTION), 0xff, 0xd3]; // mov rbx, FUNCTION; call rbx
  const board = {
    pieces: [
      { address: FUNCTION, bytes: Uint8Array.from(returns(1)) },
      { address: 0x31000, bytes: Uint8Array.from(returns(2)) },
    ],
  };
  const copy = (to: number): number[] => [
    ...[0x48, 0xc7, 0xc6, ...u32(0x31000), 0x48, 0xc7, 0xc7, ...u32(to)], // mov rsi, 31000h; mov rdi, to
    ...[0xb9, ...u32(6), 0xf3, 0xa4], // mov ecx, 6; rep movsb
  ];
  test.each([
    ["the function itself", 0, 2n],
    ["what lies beside it on its page", 0x100, 1n],
  ])("%s", async (_what, offset, expected) => {
    // Written before it is called: the page is dirty, and its translation cached.
    const written = [0xc6, 0x04, 0x25, ...u32(FUNCTION + 0x200), 0];
    const core = await ring0([...written, ...CALL, ...copy(FUNCTION + offset), ...CALL, HLT], {}, board);
    core.run(100);
    expect(core.registers().rax).toBe(expected);
    expect([...core.readPhysical(BigInt(FUNCTION + offset), 6)]).toEqual(returns(2));
  });
});
