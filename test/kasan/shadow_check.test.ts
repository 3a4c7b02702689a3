/** The processor's shadow check by itself: what is refused, when, and how it goes on (assembly/shadow/check.ts). */
import { describe, expect, it } from "vitest";
import type { Core } from "../../bindings/core/core.ts";
import { CODE, DIRECTORY, ring0 } from "../core/ring0.ts";

const HLT = 0xf4;
const SHADOW_CHECK = 22;
/** Memory that has a shadow: the last GiB of the address space shows physical memory from 0. */
const DATA = 0x30000;
const HIGH = 0xffffffffc0000000n;
/** Its shadow begins at physical 2 MiB. */
const SHADOW = 0x200000;
const OFFSET = BigInt.asUintN(64, HIGH + BigInt(SHADOW) - (HIGH >> 3n));
/** Adds 8 to RSP, for the error code, and returns. */
const CONTINUE = { address: 0x9000, bytes: Uint8Array.of(0x48, 0x83, 0xc4, 0x08, 0x48, 0xcf) };

const u32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
const wrmsr = (msr: number, value: bigint): number[] => [
  ...[0xb9, ...u32(msr)],
  ...[0xb8, ...u32(Number(value & 0xffffffffn))],
  ...[0xba, ...u32(Number(value >> 32n))],
  ...[0x0f, 0x30],
];
/** mov rbx, HIGH + address */
const point = (address: number): number[] => [0x48, 0xc7, 0xc3, ...u32(0xc0000000 + address)];
const ENABLE = [...wrmsr(0x4c414201, OFFSET), ...wrmsr(0x4c414200, 1n)];

/** Runs code with the check on and this shadow of DATA. */
async function checked(
  code: readonly number[],
  shadow: readonly number[],
  more: { readonly continues?: boolean; readonly before?: readonly number[] } = {},
): Promise<Core> {
  const core = await ring0(
    [...(more.before ?? []), ...ENABLE, ...code, HLT],
    more.continues ? { handlers: { [SHADOW_CHECK]: CONTINUE.address } } : {},
    { shadowCheck: true, pieces: [CONTINUE] },
  );
  core.writePhysical(BigInt(SHADOW + DATA / 8), Uint8Array.from(shadow));
  core.run(200);
  return core;
}
const vectors = (core: Core): number[] => core.exceptions().map(({ vector }) => vector);

describe("the shadow check", () => {
  it("refuses a write before it is made, and lets it pass when the handler returns", async () => {
    const code = [...point(DATA), 0xc6, 0x03, 0x55]; // mov byte [rbx], 0x55
    const stopped = await checked(code, [0xfa]);
    expect(stopped.exceptions()).toMatchObject([
      { vector: SHADOW_CHECK, error: 1, rip: BigInt(CODE + ENABLE.length + 7) },
    ]);
    expect(stopped.readPhysical(BigInt(DATA), 1)[0]).toBe(0);
    const continued = await checked([...code, ...code], [0xfa], { continues: true });
    expect(vectors(continued)).toEqual([SHADOW_CHECK, SHADOW_CHECK]);
    expect(continued.readPhysical(BigInt(DATA), 1)[0]).toBe(0x55);
  });

  it.each([
    ["a byte in a good part", [4], [0x8a, 0x43, 3], []],
    ["a byte behind it", [4], [0x8a, 0x43, 4], [SHADOW_CHECK]],
    ["a word that ends in it", [4], [0x66, 0x8b, 0x43, 2], []],
    ["a word that leaves it", [4], [0x66, 0x8b, 0x43, 3], [SHADOW_CHECK]],
    ["eight bytes of a good granule", [0, 0xff], [0x48, 0x8b, 0x03], []],
    ["eight bytes that reach the next", [0, 0xff], [0x48, 0x8b, 0x43, 1], [SHADOW_CHECK]],
    [
      "sixteen bytes with a bad granule in the middle",
      [0, 0xff, 0],
      [0xf3, 0x0f, 0x6f, 0x43, 1],
      [SHADOW_CHECK],
    ],
    ["what a read-modify-write writes", [0xff], [0xff, 0x03], [SHADOW_CHECK]],
  ])("looks at %s", async (_, shadow, access, expected) => {
    const enableSse = [0x0f, 0x20, 0xe0, 0x66, 0x0d, 0x00, 0x06, 0x0f, 0x22, 0xe0]; // or CR4, OSFXSR | OSXMMEXCPT
    expect(vectors(await checked([...point(DATA), ...access], shadow, { before: enableSse }))).toEqual(
      expected,
    );
  });

  it("looks at an access over the end of a page", async () => {
    const page = new Array<number>(0x201).fill(0);
    page[0x200] = 0xff;
    const access = [...point(DATA + 0xffc), 0x48, 0x8b, 0x03];
    expect(vectors(await checked(access, page))).toEqual([SHADOW_CHECK]);
    page[0x200] = 4;
    expect(vectors(await checked(access, page))).toEqual([]);
  });

  it("looks at all that a repeated string instruction is going to write, and says where and how much", async () => {
    const code = [
      ...[...point(DATA), 0x48, 0x89, 0xdf], // mov rdi, rbx
      ...[0xb9, ...u32(24), 0xb0, 0x77, 0xf3, 0xaa], // mov ecx, 24; mov al, 0x77; rep stosb
    ];
    const core = await checked(code, [0, 0, 0xfc]);
    expect(core.exceptions()).toMatchObject([{ vector: SHADOW_CHECK, error: 1 }]);
    expect([...core.readPhysical(BigInt(DATA), 24)]).toEqual(new Array(24).fill(0));
    expect(core.registers().rcx).toBe(24n);
    expect(vectors(await checked(code, [0, 0, 0]))).toEqual([]);
    // rdmsr of the address and of the size, in the handler
    const reading = await ring0(
      [...ENABLE, ...code, HLT],
      { handlers: { [SHADOW_CHECK]: 0xa000 } },
      {
        shadowCheck: true,
        pieces: [
          {
            address: 0xa000,
            bytes: Uint8Array.from([
              ...[0xb9, ...u32(0x4c414204), 0x0f, 0x32, 0x89, 0xc6], // mov esi, eax
              ...[0xb9, ...u32(0x4c414205), 0x0f, 0x32, HLT],
            ]),
          },
        ],
      },
    );
    reading.writePhysical(BigInt(SHADOW + DATA / 8), Uint8Array.of(0, 0, 0xfc));
    reading.run(200);
    expect([reading.registers().rsi, reading.registers().rax]).toEqual([BigInt(0xc0000000 + DATA), 24n]);
  });

  it("leaves pushes, pops, calls and returns alone, and exempt code", async () => {
    const onBadStack = [...point(DATA + 64), 0x48, 0x89, 0xdc, 0x50, 0x58, 0xe8, 0, 0, 0, 0]; // mov rsp, rbx; push; pop; call
    const bad = new Array<number>(16).fill(0xff);
    expect(vectors(await checked(onBadStack, bad))).toEqual([]);
    const exempt = [...wrmsr(0x4c414202, BigInt(CODE)), ...wrmsr(0x4c414203, BigInt(CODE + 0x1000))];
    expect(vectors(await checked([...point(DATA), 0x8a, 0x03], bad, { before: exempt }))).toEqual([]);
  });

  it("exempts code to the byte, where a page is exempt only in part too", async () => {
    const access = [...point(DATA), 0x8a, 0x03];
    const exempt = (end: number): number[] => [
      ...wrmsr(0x4c414202, BigInt(CODE)),
      ...wrmsr(0x4c414203, BigInt(end)),
    ];
    const end = CODE + exempt(0).length + ENABLE.length + access.length;
    expect(vectors(await checked(access, [0xff], { before: exempt(end) }))).toEqual([]);
    expect(vectors(await checked(access, [0xff], { before: exempt(end - 1) }))).toEqual([SHADOW_CHECK]);
  });

  it("takes back an exemption at once", async () => {
    const access = [...point(DATA), 0x8a, 0x03];
    const before = [...wrmsr(0x4c414202, BigInt(CODE)), ...wrmsr(0x4c414203, BigInt(CODE + 0x1000))];
    const core = await checked([...access, ...wrmsr(0x4c414203, BigInt(CODE)), ...access], [0xff], {
      before,
    });
    const rip = CODE + before.length + ENABLE.length + 2 * access.length + wrmsr(0, 0n).length - 2;
    expect(core.exceptions()).toMatchObject([{ vector: SHADOW_CHECK, rip: BigInt(rip) }]);
  });

  it("finds a page's shadow on two pages, where the offset is not that of a page", async () => {
    const core = await ring0(
      [
        ...[...wrmsr(0x4c414201, OFFSET + 0xf00n), ...wrmsr(0x4c414200, 1n)],
        ...[...point(DATA), 0x8a, 0x03, 0x8a, 0x83, ...u32(0x800), 0x8a, 0x83, ...u32(0x808), HLT],
      ],
      {},
      { shadowCheck: true },
    );
    core.writePhysical(BigInt(SHADOW + DATA / 8 + 0x1001), Uint8Array.of(0xff));
    core.run(200);
    const rip = BigInt(CODE + ENABLE.length + 7 + 2 + 6);
    expect(core.exceptions()).toMatchObject([{ vector: SHADOW_CHECK, rip }]);
  });

  it.each([
    ["another page after a write of CR3", 0n, [SHADOW_CHECK]],
    ["the same page after it where that is global", 0x100n, []],
  ])("sees %s as the shadow of a page that is global", async (_, global, expected) => {
    const TABLE = 0x40000;
    const entry = (address: number): number[] => [...u32(address | 3 | Number(global)), 0, 0, 0, 0];
    const pieces = [
      {
        address: DIRECTORY,
        bytes: Uint8Array.from([...u32(0x183), 0, 0, 0, 0, ...u32(TABLE | 3), 0, 0, 0, 0]),
      },
      // The shadow of DATA is in page 6, that of the table itself in page 8.
      {
        address: TABLE,
        bytes: Uint8Array.from([...Array(16).keys()].flatMap((n) => entry(SHADOW + n * 0x1000))),
      },
      { address: SHADOW + 0x7000, bytes: new Uint8Array(0x1000).fill(0xff) },
    ];
    const pge = [0x0f, 0x20, 0xe0, 0x0d, ...u32(0x80), 0x0f, 0x22, 0xe0]; // or CR4, PGE
    const read = [0x8a, 0x03]; // mov al, [rbx]
    const change = [0xc7, 0x83, ...u32(TABLE - DATA + 6 * 8), ...u32((SHADOW + 0x7000) | 3)];
    const cr3 = [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8];
    const code = [...pge, ...ENABLE, ...point(DATA), ...read, ...change, ...cr3, ...read, HLT];
    const core = await ring0(code, {}, { shadowCheck: true, pieces });
    core.run(200);
    expect(vectors(core)).toEqual(expected);
  });

  it("refuses what has no shadow, and faults where the shadow is not mapped", async () => {
    const low = await checked([0xbb, ...u32(0x1000), 0x8a, 0x03], []);
    expect(vectors(low)).toEqual([SHADOW_CHECK]);
    const far = await checked([0x48, 0xbb, ...[0, 0, 0, 0, 0, 0x90, 0xff, 0xff], 0x8a, 0x03], []);
    const address = BigInt.asUintN(64, (0xffff900000000000n >> 3n) + OFFSET);
    expect(far.exceptions()).toMatchObject([{ vector: 14, error: 0, cr2: address }]);
  });

  it("is only there for who asks for it", async () => {
    const without = await ring0([...ENABLE, HLT]);
    without.run(100);
    expect(vectors(without)).toEqual([13]);
    const leaf = [0xb8, ...u32(0x40000001), 0x0f, 0xa2, HLT];
    for (const shadowCheck of [false, true]) {
      const core = await ring0(leaf, {}, { shadowCheck });
      core.run(100);
      expect(core.registers().rax).toBe(shadowCheck ? 1n : 0n);
    }
  });
});
