/** The processor's tags by themselves: which accesses match, what becomes of the others (assembly/shadow/tags.ts). */
import { describe, expect, it } from "vitest";
import type { Core } from "../../bindings/core/core.ts";
import { ring0 } from "../core/ring0.ts";

const HLT = 0xf4;
const SHADOW_CHECK = 22;
const GP = 13;
/** The last GiB of the address space shows physical memory from 0; so it does under every top byte. */
const DATA = 0x30000;
const HIGH = 0xffffffffc0000000n;
/** Its tags begin at physical 2 MiB. */
const TAGS = 0x200000;
const OFFSET = BigInt.asUintN(64, HIGH + BigInt(TAGS) - (HIGH >> 4n));
const WIDE = 2n;
const NARROW = 3n;
const RECORD_LOADS = 4n;
const RECORD_STORES = 8n;
const CONTINUE = { address: 0x9000, bytes: Uint8Array.of(0x48, 0x83, 0xc4, 0x08, 0x48, 0xcf) };

const bytes = (value: bigint, count: number): number[] =>
  Array.from({ length: count }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
const wrmsr = (msr: number, value: bigint): number[] => [
  ...[0xb9, ...bytes(BigInt(msr), 4)],
  ...[0xb8, ...bytes(value & 0xffffffffn, 4)],
  ...[0xba, ...bytes(value >> 32n, 4)],
  ...[0x0f, 0x30],
];
const rdmsr = (msr: number): number[] => [0xb9, ...bytes(BigInt(msr), 4), 0x0f, 0x32];
/** mov rbx, DATA + offset with this tag */
const point = (tag: number, offset = 0): number[] => {
  const address = (HIGH + BigInt(DATA + offset)) & 0x00ffffffffffffffn;
  return [0x48, 0xbb, ...bytes(address | (BigInt(tag) << 56n), 8)];
};
const LOAD = [0x8a, 0x03]; // mov al, [rbx]
const LOAD8 = [0x48, 0x8b, 0x03]; // mov rax, [rbx]
const STORE = [0xc6, 0x03, 0x55]; // mov byte [rbx], 0x55

/** Runs code with tags on and these tags of DATA. */
async function tagged(
  control: bigint,
  tags: readonly number[],
  code: readonly number[],
  board: { readonly ignoreTopByte?: boolean; readonly continues?: boolean } = {},
): Promise<Core> {
  const core = await ring0(
    [...wrmsr(0x4c414201, OFFSET), ...wrmsr(0x4c414200, control), ...code, HLT],
    board.continues === true ? { handlers: { [SHADOW_CHECK]: CONTINUE.address } } : {},
    { shadowCheck: true, ignoreTopByte: board.ignoreTopByte ?? true, pieces: [CONTINUE] },
  );
  core.writePhysical(BigInt(TAGS + DATA / 16), Uint8Array.from(tags));
  core.run(400);
  return core;
}
const vectors = (core: Core): number[] => core.exceptions().map(({ vector }) => vector);

describe("tags", () => {
  it.each([
    ["the memory's tag", WIDE, 0x12, [0x12], LOAD, []],
    ["another tag", WIDE, 0x13, [0x12], LOAD, [SHADOW_CHECK]],
    ["another tag, for a store", WIDE, 0x13, [0x12], STORE, [SHADOW_CHECK]],
    ["ff, that matches all", WIDE, 0xff, [0x12], STORE, []],
    ["eight bits of a tag", WIDE, 0x02, [0x12], LOAD, [SHADOW_CHECK]],
    ["four bits of a tag", NARROW, 0xf2, [0x12], LOAD, []],
    ["four other bits", NARROW, 0xf3, [0xf2], LOAD, [SHADOW_CHECK]],
    ["f, that matches all", NARROW, 0x0f, [0x12], STORE, []],
    ["memory whose tag is ff", WIDE, 0x12, [0xff], LOAD, [SHADOW_CHECK]],
  ] as const)("are compared: %s", async (_name, control, tag, tags, code, expected) => {
    const core = await tagged(control, tags, [...point(tag), ...code]);
    expect(vectors(core)).toEqual(expected);
    if (code === STORE) expect(core.readPhysical(BigInt(DATA), 1)[0]).toBe(expected.length === 0 ? 0x55 : 0);
  });

  it("are compared for every granule of an access, and of a repeated string instruction", async () => {
    const tags = [0x21, 0x21, 0x22];
    expect(vectors(await tagged(WIDE, tags, [...point(0x21, 12), ...LOAD8]))).toEqual([]);
    expect(vectors(await tagged(WIDE, tags, [...point(0x21, 28), ...LOAD8]))).toEqual([SHADOW_CHECK]);
    // mov rdi, rbx; mov ecx, N; rep stosb
    const fill = (count: number): number[] => [
      ...[...point(0x21), 0x48, 0x89, 0xdf],
      ...[0xb9, ...bytes(BigInt(count), 4), 0xf3, 0xaa],
    ];
    expect(vectors(await tagged(WIDE, tags, fill(32)))).toEqual([]);
    const refused = await tagged(WIDE, tags, [...fill(33)]);
    expect(vectors(refused)).toEqual([SHADOW_CHECK]);
    expect(refused.readPhysical(BigInt(DATA), 1)[0]).toBe(0);
  });

  it("are looked up anew when the kernel changes them, also for pages that it has used", async () => {
    const retag = [0xc6, 0x04, 0x25, ...bytes(0xc0000000n + BigInt(TAGS + DATA / 16), 4), 0x34]; // mov byte [tag], 0x34
    const core = await tagged(WIDE, [0x12], [...point(0x12), ...LOAD, ...retag, ...LOAD]);
    expect(vectors(core)).toEqual([SHADOW_CHECK]);
  });

  it("say where it was, and let the access be made after the report", async () => {
    const core = await tagged(
      NARROW,
      [0xf2],
      [...point(0xf3), ...STORE, ...rdmsr(0x4c414204), 0x89, 0xd6, ...rdmsr(0x4c414205)],
      { continues: true },
    );
    expect(core.exceptions()).toMatchObject([{ vector: SHADOW_CHECK, error: 1 }]);
    expect(core.readPhysical(BigInt(DATA), 1)[0]).toBe(0x55);
    expect(core.registers().rsi).toBe(0xf3ffffffn);
    expect(core.registers().rax).toBe(1n);
  });

  it.each([
    ["loads", RECORD_LOADS, LOAD, 1n, []],
    ["stores", RECORD_STORES, STORE, 2n, []],
    ["loads, which does not go for stores", RECORD_LOADS, STORE, 0n, [SHADOW_CHECK]],
    ["stores, which does not go for loads", RECORD_STORES, LOAD, 0n, [SHADOW_CHECK]],
  ] as const)("can only be recorded for %s", async (_name, record, code, recorded, expected) => {
    const core = await tagged(NARROW | record, [0xf2], [...point(0xf3), ...code, ...rdmsr(0x4c414206)]);
    expect(vectors(core)).toEqual(expected);
    if (expected.length === 0) expect(core.registers().rax).toBe(recorded);
  });

  it("want a machine that ignores the top byte, and a control word that means something", async () => {
    expect(vectors(await tagged(WIDE, [], [], { ignoreTopByte: false }))).toEqual([GP]);
    expect(vectors(await tagged(4n, [], []))).toEqual([GP]);
    expect(vectors(await tagged(16n, [], []))).toEqual([GP]);
  });
});
