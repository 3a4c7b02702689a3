/** Descriptors, selectors and flags at random, more often than not such as systems have. */
import type { Random } from "../random.ts";
import type { CaseBuilder } from "./case.ts";
import { descriptor, gate, stub } from "./image.ts";
import * as at from "./places.ts";

const { selectors } = at;

/** Access bytes: data, code, conforming code, system types of both modes. */
const ACCESS = [
  ...[0x93, 0xf3, 0xb3, 0xd3, 0x92, 0xf2, 0x91, 0xf1, 0x90, 0xf7, 0x97],
  ...[0x9b, 0xfb, 0xbb, 0xdb, 0x9a, 0xfa, 0x99, 0xf9, 0x98, 0xf8, 0x9f, 0xff, 0x9c, 0xbd],
  ...[0x89, 0xe9, 0x82, 0xe2, 0x8b, 0xeb, 0x8c, 0xec, 0x8e, 0xee, 0x8f, 0x81, 0x83, 0x84, 0x85, 0xe5, 0x80],
] as const;

export function randomDescriptor(random: Random): bigint {
  let access: number = random.pick(ACCESS);
  if (random.oneIn(10)) access &= 0x7f; // not present
  if (random.oneIn(10)) access = random.below(256);
  const flags = random.pick([0xa, 0xa, 0xc, 0xc, 0x4, 0x0, 0xe, 0x2]);
  const limit = random.pick([0xfffff, 0xfffff, 0xfff, 0x10, 0]);
  return descriptor(random.pick([0, 0, 0, 0x1000]), limit, access, flags);
}

/** Puts a descriptor into a free place and returns the selector with an RPL; sometimes one of a fixed segment. */
export function someSelector(
  one: CaseBuilder,
  random: Random,
  make: (random: Random) => bigint = randomDescriptor,
): number {
  const rpl = random.below(4);
  const kind = random.below(12);
  if (kind === 0) return rpl; // null
  if (kind === 1) return at.GDT_SIZE + rpl; // beyond the table
  if (kind === 2) return 4 | rpl | (random.below(20) << 3); // local, perhaps beyond
  if (kind < 6)
    return (
      random.pick([
        selectors.code64,
        selectors.data,
        selectors.code32,
        selectors.userCode32,
        selectors.userData,
        selectors.userCode64,
        selectors.conforming,
        selectors.code64Ring1,
        selectors.dataRing1,
        selectors.tss,
        selectors.ldt,
      ]) | rpl
    );
  const place = selectors.free + random.below(8) * 16;
  one.patch(at.GDT + place, make(random));
  one.watch(at.GDT + place);
  return place | rpl;
}

/** A selector that a control transfer at this level is likely to accept. */
export function likelyCode(random: Random, ring: number): number {
  return ring === 3
    ? random.pick([selectors.userCode64, selectors.userCode32]) | 3
    : random.pick([selectors.code64, selectors.code32, selectors.conforming]);
}

/** Whether a selector surely names 64-bit code, which takes offsets beyond 4 GiB. */
export function isWide(selector: number): boolean {
  const names: readonly number[] = [selectors.code64, selectors.userCode64, selectors.conforming];
  return names.includes(selector & ~3);
}

/** A place to go to: the code page by the address that fits the level, or somewhere bad. */
export function landing(random: Random, isUser: boolean, isWide: boolean): bigint {
  const good = BigInt((isUser ? at.USER_CODE : at.SYSTEM_CODE) + 0x900);
  if (!random.oneIn(10)) return good;
  if (!isWide) return 0xdead_0000n;
  return random.pick([0x800000000000n, 0xffff7fffffffffffn, 0x700000000000n, 0x1_0040_2900n, 0xdead_0000n]);
}

/** A gate for a vector: most of them work. */
export function randomGate(one: CaseBuilder, random: Random, vector: number): void {
  let attributes: number = random.pick([0x8e00, 0xee00, 0x8f00, 0xef00, 0xce00, 0xae00]);
  if (random.oneIn(2)) attributes |= random.below(8); // interrupt stack table
  if (random.oneIn(12)) attributes &= ~0x8000;
  if (random.oneIn(12)) attributes = (attributes & ~0x1f00) | (random.below(32) << 8);
  if (random.oneIn(20)) attributes |= random.below(32) << 3; // ignored
  // Handlers of #GP and #PF that cannot be reached, or run in ring 3, would fault for ever.
  const target = vector >= 13 || random.oneIn(2) ? selectors.code64 : someSelector(one, random);
  const offset = vector < 13 && random.oneIn(15) ? (1n << BigInt(random.below(64))) & ~0xfn : stub(vector);
  const [low, high] = gate(target, offset, attributes);
  const place = at.IDT + vector * 16;
  one.patch(place, low);
  one.patch(place + 8, high | (random.oneIn(20) ? BigInt(random.u32()) << 32n : 0n));
}

/** Stack pointers of the task-state segment that do not all work. */
export function randomStacks(one: CaseBuilder, random: Random): void {
  const bad = (): bigint =>
    random.pick([
      at.HIGH + BigInt(at.RING_STACK[1]) - BigInt(random.below(16)),
      at.HIGH + BigInt(at.RING_STACK[1]) - BigInt(random.below(16)),
      0x800000000000n,
      0x500000000000n,
      BigInt(at.USER_STACK_AT + 0x700),
      8n,
    ]);
  if (random.oneIn(3)) one.patch(at.TSS + 4 + random.below(3) * 8, bad());
  // Entry 1 stays: the other vectors need it.
  if (random.oneIn(3)) one.patch(at.TSS + 0x24 + (1 + random.below(6)) * 8, bad());
}
