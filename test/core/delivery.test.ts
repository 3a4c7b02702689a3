/**
 * What is delivered when more than one thing happens: double and triple faults (SDM 3A table 6-5), interrupt stacks,
 * NMIs and their blocking, debug exceptions together with faults.
 */
import { describe, expect, test } from "vitest";
import type { Core } from "../../bindings/core/core.ts";
import { CODE, DIRECTORY, type Gates, ring0, STACK } from "./ring0.ts";

const HLT = 0xf4;
const NOP = 0x90;
const DE = 0;
const DB = 1;
const NMI = 2;
const UD = 6;
const NM = 7;
const DF = 8;
const TS = 10;
const NP = 11;
const SS = 12;
const GP = 13;
const PF = 14;
const u32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >> shift) & 255);
const movEax = (value: number): number[] => [0xb8, ...u32(value)];
const movDr = (n: number): number[] => [0x0f, 0x23, 0xc0 | (n << 3)];
const setFlags = (flags: number): number[] => [0x68, ...u32(flags), 0x9d];
interface Piece {
  readonly address: number;
  readonly bytes: Uint8Array;
}
const word = (address: number, value: number): Piece => ({
  address,
  bytes: Uint8Array.from([...u32(value), 0, 0, 0, 0]),
});

/** Every vector has a HLT of its own, so that RIP says which was delivered. */
const HANDLERS = 0xc000;
const handlers: Gates["handlers"] = Object.fromEntries(
  Array.from({ length: 32 }, (_, vector) => [vector, HANDLERS + vector * 16]),
);
const halts = { address: HANDLERS, bytes: new Uint8Array(32 * 16).fill(HLT) };
const IDT = 0x5000;
const TSS = 0x6800;
const read64 = (core: Core, address: bigint): bigint =>
  new DataView(core.readPhysical(address, 8).buffer).getBigUint64(0, true);

async function run(
  code: readonly number[],
  absent: readonly number[],
  pieces: readonly Piece[] = [],
): Promise<Core> {
  const core = await ring0(code, { handlers: handlers ?? {}, absent }, { pieces: [halts, ...pieces] });
  return core;
}
const delivered = (core: Core): number => (Number(core.registers().rip) - 1 - HANDLERS) / 16;

/** GDT entry 4: data that is not present. */
const notPresent = { address: 0x6020, bytes: Uint8Array.from([0xff, 0xff, 0, 0, 0, 0x13, 0xcf, 0]) };
const CAUSES: { readonly [vector: number]: readonly number[] } = {
  [DE]: [0x31, 0xc9, 0xf7, 0xf1], // xor ecx, ecx; div ecx
  [UD]: [0x0f, 0x0b],
  [NM]: [0x0f, 0x20, 0xc0, 0x0c, 8, 0x0f, 0x22, 0xc0, 0xd9, 0xc0], // CR0.TS; fld st0
  [NP]: [0x66, 0xb8, 0x20, 0, 0x8e, 0xe0], // mov fs, ax
  [SS]: [0x66, 0xb8, 0x20, 0, 0x8e, 0xd0],
  [GP]: [0xb9, ...u32(0x12345), 0x0f, 0x32], // rdmsr
  [PF]: [0x8b, 0x04, 0x25, ...u32(0xa00000)],
};
const CONTRIBUTORY = [DE, NP, SS, GP];
const BENIGN = [UD, NM];

describe("a fault while an exception is delivered", () => {
  test.each(CONTRIBUTORY)("#%i, then #NP for its gate: double fault, error code 0", async (first) => {
    const core = await run(CAUSES[first] ?? [], [first], [notPresent]);
    expect(core.run(100).kind).toBe("halted");
    expect(core.exceptions().map(({ vector }) => vector)).toEqual([first, NP]);
    expect(delivered(core)).toBe(DF);
    expect(read64(core, core.registers().rsp)).toBe(0n);
  });

  test("#PF, then #NP for its gate: double fault", async () => {
    const core = await run(CAUSES[PF] ?? [], [PF]);
    core.run(100);
    expect(core.exceptions()).toMatchObject([
      { vector: PF, cr2: 0xa00000n },
      { vector: NP, error: PF * 8 + 3 },
    ]);
    expect(delivered(core)).toBe(DF);
  });

  test.each(BENIGN)("#%i, then #NP for its gate: the second one, with EXT", async (first) => {
    const core = await run(CAUSES[first] ?? [], [first]);
    core.run(100);
    expect(delivered(core)).toBe(NP);
    expect(read64(core, core.registers().rsp)).toBe(BigInt(first * 8 + 3));
  });

  /** An IDT across two large pages, of which one is missing: vectors below `split` lie in the first. */
  const acrossPages = async (first: number, split: number, missing: "first" | "second"): Promise<Core> => {
    const base = 0x400000 - split * 16;
    const gates = await ring0([], { handlers: handlers ?? {} });
    const table = gates.readPhysical(BigInt(IDT), 0x1000);
    const lidt = { address: 0x30000, bytes: Uint8Array.from([0xff, 0x0f, ...u32(base), 0, 0, 0, 0]) };
    // The pages are there for the copy; the entry of the missing one is cleared by the code.
    const entry = DIRECTORY + (missing === "first" ? 8 : 16);
    const code = [
      ...[0x0f, 0x01, 0x1c, 0x25, ...u32(0x30000)],
      ...[0xc7, 0x04, 0x25, ...u32(entry), ...u32(0)],
      ...(CAUSES[first] ?? []),
    ];
    return await run(code, [], [{ address: base, bytes: table }, lidt]);
  };
  test("#GP, then #PF for its gate: the second one", async () => {
    const core = await acrossPages(GP, PF, "first");
    expect(core.run(100).kind).toBe("halted");
    expect(core.exceptions().map(({ vector }) => vector)).toEqual([GP, PF]);
    expect(delivered(core)).toBe(PF);
    expect(core.registers().cr2).toBe(0x400000n - 16n);
  });
  test("#PF, then #PF for its gate: double fault, CR2 of the second", async () => {
    const core = await acrossPages(PF, PF, "second");
    expect(core.run(100).kind).toBe("halted");
    expect(delivered(core)).toBe(DF);
    expect(core.registers().cr2).toBe(0x400000n);
  });
  test("#PF, then #PF for its gate and for that of the double fault: shutdown", async () => {
    const core = await acrossPages(PF, PF + 1, "first");
    expect(core.run(100).kind).toBe("triple-fault");
  });

  test.each([...CONTRIBUTORY, PF])(
    "#%i without its gate and without that of #DF: shutdown",
    async (first) => {
      const core = await run(CAUSES[first] ?? [], [first, DF], [notPresent]);
      expect(core.run(100).kind).toBe("triple-fault");
    },
  );

  /** Ring 3 runs `user`; handlers of `inner` are in ring 1, for which the task-state segment is too short. */
  const inRing3 = async (
    user: readonly number[],
    inner: readonly number[],
    absent: readonly number[],
  ): Promise<Core> => {
    const at = 0x200000;
    const frame = [at, 0x2b, 2, at + 0x1000, 0x33]; // IRETQ's: RIP, CS, RFLAGS, RSP, SS
    const push = frame.toReversed().flatMap((value) => [0x68, ...u32(value)]);
    const descriptors: readonly (readonly [number, bigint])[] = [
      [0x6028, 0x00affb000000ffffn],
      [0x6030, 0x00cff3000000ffffn],
      [0x6038, 0x00afbb000000ffffn],
      [0x1000, 0x2007n],
      [0x2000, BigInt(DIRECTORY) | 7n],
      [DIRECTORY + 8, BigInt(at) | 0x87n],
      [TSS + 4, BigInt(STACK)],
    ];
    const core = await run([...push, 0x48, 0xcf], absent, [
      { address: at, bytes: Uint8Array.from(user) },
      ...descriptors.map(([address, value]) => ({
        address,
        bytes: new Uint8Array(new BigUint64Array([value]).buffer),
      })),
      ...inner.map((vector) => ({ address: IDT + vector * 16 + 2, bytes: Uint8Array.of(0x39, 0) })),
    ]);
    core.setSegment("tr", { selector: 0x40, base: BigInt(TSS), limit: 0xb, attributes: 0x8b });
    return core;
  };
  const INT_81 = [0xcd, 0x81];
  test("#TS for the stack of an INT n is delivered as it is, with the task's selector", async () => {
    const gate = { address: IDT + 0x81 * 16 + 5, bytes: Uint8Array.of(0xee) };
    const core = await inRing3(INT_81, [0x81], []);
    core.writePhysical(BigInt(gate.address), gate.bytes);
    expect(core.run(100).kind).toBe("halted");
    expect(core.exceptions()).toMatchObject([{ vector: TS, error: 0x40, rip: 0x200000n, cpl: 3 }]);
    expect(delivered(core)).toBe(TS);

    const double = await inRing3(INT_81, [0x81], [TS]);
    double.writePhysical(BigInt(gate.address), gate.bytes);
    expect(double.run(100).kind).toBe("halted");
    expect(double.exceptions().map(({ vector }) => vector)).toEqual([TS, NP]);
    expect(delivered(double)).toBe(DF);
  });
  test.each([
    ["#DE, then #TS for its stack: double fault", DE, DF],
    ["#UD, then #TS for its stack: the second one", UD, TS],
  ])("%s", async (_name, first, last) => {
    const core = await inRing3(CAUSES[first] ?? [], [first], []);
    expect(core.run(100).kind).toBe("halted");
    expect(core.exceptions().map(({ vector }) => vector)).toEqual([first, TS]);
    expect(delivered(core)).toBe(last);
    expect(read64(core, core.registers().rsp)).toBe(last === DF ? 0n : 0x41n); // EXT
  });

  test("INT n is no exception: what fails is delivered as it is", async () => {
    const core = await run([0xcd, 0x81], [0x81]);
    core.run(100);
    expect(delivered(core)).toBe(NP);
  });
});

describe("the interrupt stack table", () => {
  const withIst = (vector: number, n: number) => ({
    address: IDT + vector * 16 + 4,
    bytes: Uint8Array.of(n),
  });
  test.each([1, 2, 3, 4, 5, 6, 7])("entry %i gives the stack, aligned to 16 bytes; SS stays", async (n) => {
    const pointer = 0x28000 + n * 0x100 + 5;
    const core = await run(CAUSES[GP] ?? [], [], [withIst(GP, n), word(TSS + 0x1c + n * 8, pointer)]);
    core.run(100);
    const { rsp, segments } = core.registers();
    expect(Number(rsp)).toBe((pointer & ~15) - 48);
    expect(segments.ss.selector).toBe(0x18);
    // error code, RIP, CS, RFLAGS, RSP, SS
    expect(read64(core, rsp + 32n)).toBe(BigInt(STACK));
    expect(read64(core, rsp + 40n)).toBe(0x18n);
  });

  test("an entry that is not canonical is #SS(0), a missing page #PF; after #GP the former is a double fault", async () => {
    const bad = { address: TSS + 0x24, bytes: Uint8Array.from([0, 0, 0, 0, 0, 0x80, 0, 0]) };
    const stack = await run([0x0f, 0x0b], [], [withIst(UD, 1), bad]);
    stack.run(100);
    expect(delivered(stack)).toBe(SS);
    expect(read64(stack, stack.registers().rsp)).toBe(1n); // EXT
    const double = await run(CAUSES[GP] ?? [], [], [withIst(GP, 1), bad]);
    double.run(100);
    expect(delivered(double)).toBe(DF);
    const missing = await run([0x0f, 0x0b], [], [withIst(UD, 1), word(TSS + 0x24, 0xb00000)]);
    missing.run(100);
    expect(delivered(missing)).toBe(PF);
    expect(missing.registers().cr2).toBe(0xb00000n - 8n);
  });
});

describe("NMI", () => {
  /** Counts itself in EDX, stays for a while, and returns. */
  const HANDLER = 0x9000;
  const handler = (...code: readonly number[]) => ({ address: HANDLER, bytes: Uint8Array.from(code) });
  const LOOP = [0xff, 0xc0, 0xeb, 0xfc]; // inc eax; jmp
  const count = [0xff, 0xc2]; // inc edx
  const nops = Array.from({ length: 20 }, () => NOP);

  test("is held back until IRET, and only one is kept", async () => {
    const core = await ring0(
      LOOP,
      { handlers: { [NMI]: HANDLER } },
      { pieces: [handler(...count, ...nops, 0x48, 0xcf)] },
    );
    core.run(10);
    core.nmi(0);
    core.run(5);
    expect(core.registers().rdx).toBe(1n);
    const first = core.registers().rsp;
    core.nmi(0);
    core.nmi(0);
    core.run(12);
    expect(core.registers()).toMatchObject({ rdx: 1n, rsp: first });
    // IRET, then the second at once: the loop has not gone on.
    const before = core.registers().rax;
    core.run(12);
    expect(core.registers()).toMatchObject({ rdx: 2n, rax: before });
    core.run(100);
    expect(core.registers().rdx).toBe(2n);
    expect(core.registers().rax).toBeGreaterThan(before);
  });

  test("is let in again by the IRET of an exception in its handler, also by one that faults", async () => {
    const ud = { address: 0xa000, bytes: Uint8Array.of(0x48, 0x83, 0x04, 0x24, 2, 0x48, 0xcf) }; // add qword [rsp], 2
    const nested = await ring0(
      LOOP,
      { handlers: { [NMI]: HANDLER, [UD]: 0xa000 } },
      { pieces: [handler(...count, ...nops, 0x0f, 0x0b, ...nops, HLT), ud] },
    );
    nested.run(10);
    nested.nmi(0);
    nested.run(5);
    nested.nmi(0);
    nested.run(30);
    expect(nested.registers().rdx).toBe(2n);

    // A frame whose CS is null: #GP at the IRET.
    const faulting = await ring0(
      LOOP,
      { handlers: { [NMI]: HANDLER, [GP]: 0xa000 } },
      {
        pieces: [
          handler(...count, 0xc7, 0x44, 0x24, 8, ...u32(0), ...nops, 0x48, 0xcf),
          { address: 0xa000, bytes: Uint8Array.from([...nops, HLT]) },
        ],
      },
    );
    faulting.run(10);
    faulting.nmi(0);
    faulting.run(5);
    faulting.nmi(0);
    faulting.run(30);
    expect(faulting.registers().rdx).toBe(2n);
  });

  test("waits for the instruction behind a load of SS, and wakes a halted CPU", async () => {
    const core = await ring0(
      [...movEax(0x18), 0x8e, 0xd0, 0xff, 0xc1, HLT],
      { handlers: { [NMI]: 0xa000 } },
      {
        pieces: [{ address: 0xa000, bytes: Uint8Array.of(0x89, 0xcb, 0x48, 0xcf) }], // mov ebx, ecx; iretq
      },
    );
    core.run(2);
    core.nmi(0);
    core.run(10);
    expect(core.registers()).toMatchObject({ rcx: 1n, rbx: 1n });
  });
});

describe("#DB together with another fault", () => {
  const arm = (address: number, control: number): number[] => [
    ...[...movEax(address), ...movDr(0), ...movEax(control), ...movDr(7)],
  ];
  test("single step: the fault is delivered with TF saved, and no trap follows it", async () => {
    const core = await run([...setFlags(0x102), 0x0f, 0x0b], []);
    expect(core.run(100).kind).toBe("halted");
    expect(core.exceptions()).toMatchObject([{ vector: UD, rip: BigInt(CODE + 6) }]);
    expect(read64(core, core.registers().rsp + 16n) & 0x10100n).toBe(0x10100n);
    expect(core.registers().dr6 & 0x4000n).toBe(0n);
  });

  test("an instruction breakpoint comes before the instruction's own fault", async () => {
    const code = [...arm(CODE + 16, 1), 0x0f, 0x0b];
    expect(code.length).toBe(18);
    const core = await run(code, []);
    core.run(100);
    expect(delivered(core)).toBe(DB);
    expect(core.exceptions()).toMatchObject([{ vector: DB, rip: BigInt(CODE + 16) }]);
  });

  test("a data breakpoint that an instruction met before it faulted is lost", async () => {
    // movsq: reads a watched address, writes where nothing is
    const code = [...arm(0x30000, 0x70001), 0xbe, ...u32(0x30000), 0xbf, ...u32(0xa00000), 0x48, 0xa5];
    const core = await run(code, []);
    core.run(100);
    expect(core.exceptions().map(({ vector }) => vector)).toEqual([PF]);
    expect(core.registers().dr6 & 15n).toBe(0n);
  });

  test("a trap and an NMI that wait: the trap first, the NMI before its handler", async () => {
    const core = await ring0(
      [...setFlags(0x102), NOP, NOP, HLT],
      { handlers: { [DB]: 0xa000, [NMI]: 0xb000 } },
      {
        pieces: [
          { address: 0xa000, bytes: Uint8Array.of(HLT) },
          { address: 0xb000, bytes: Uint8Array.of(HLT) },
        ],
      },
    );
    core.schedule(3n, { kind: "nmi", cpu: 0 });
    expect(core.run(100).kind).toBe("halted");
    const { rip, rsp } = core.registers();
    expect([rip, read64(core, rsp)]).toEqual([0xb001n, 0xa000n]);
    expect(core.exceptions()).toMatchObject([{ vector: DB, rip: BigInt(CODE + 7) }]);
  });
});
