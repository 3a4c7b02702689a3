/**
 * Memory tags: what the shadow check does when its control register says tags, for kernels whose pointers carry one in
 * their top byte, which the machine must ignore (CoreOptions.ignoreTopByte). One byte of shadow speaks for a granule of 16
 * bytes, at (address >> 4) + offset with the address's top byte set to ones: it is the granule's tag, and an access
 * through a pointer with another tag is refused. Two widths:
 *
 *   8 bits  the top byte, whole (Linux CONFIG_KASAN_SW_TAGS). A pointer with tag FFh may go anywhere
 *   4 bits  bits 56-59 and the low four of the shadow byte (CONFIG_KASAN_HW_TAGS; Arm's MTE has the same granule and
 *           width). A pointer with tag Fh may go anywhere
 *
 * The shadow is by linear address: two mappings of a page have tags of their own. Only the upper half has tags; what is
 * wrong with other addresses translation says. All else, the exempt code, exception and registers, is check.ts's.
 */
import { raisePageFault } from "../cpu/exceptions";
import { SHADOW_OFFSET, SHADOW_ON } from "../layout";
import { shadowHost } from "./pages";

/** SHADOW_ON, the control register: tags instead of bytes of granules of 8; of four bits; loads, stores only recorded. */
export const TAGS: u32 = 2;
export const TAGS_NARROW: u32 = 1;
export const TAGS_RECORD_LOADS: u32 = 4;
export const TAGS_RECORD_STORES: u32 = 8;

/** The top byte of addresses as they are translated. */
export const TOP: u64 = 0xff00000000000000;

export function isTagged(): bool {
  return (load<u32>(SHADOW_ON) & TAGS) != 0;
}

/** Whether accesses through this pointer are not looked at. */
export function matchesAll(address: u64): bool {
  if (((address >> 47) & 0x1ff) != 0x1ff) return true;
  return (load<u32>(SHADOW_ON) & TAGS_NARROW) != 0 ? ((address >> 56) & 15) == 15 : address >> 56 == 255;
}

/** Whether the tag at `host` is that of a pointer. */
export function hasTag(host: u32, address: u64): bool {
  const mask: u32 = 255 >> ((load<u32>(SHADOW_ON) & TAGS_NARROW) << 2);
  return ((load<u8>(host) ^ <u32>(address >> 56)) & mask) == 0;
}

/** What a look at the tags says. */
export const MATCH: u32 = 0;
export const MISMATCH: u32 = 1;
/** A page of tags is not there: a page fault is pending. */
export const NO_TAGS: u32 = 2;

export function compareTags(address: u64, size: u64): u32 {
  if (matchesAll(address)) return MATCH;
  const first = address | TOP;
  const last = first + size - 1;
  if (last < first) return MISMATCH;
  const offset = load<u64>(SHADOW_OFFSET);
  let at = (first >> 4) + offset;
  const end = (last >> 4) + offset;
  while (at <= end) {
    const host = shadowHost(at);
    if (host == 0) {
      raisePageFault(at, 0);
      return NO_TAGS;
    }
    // To the end of this page of tags.
    let count: u64 = 4096 - (at & 0xfff);
    if (count > end - at + 1) count = end - at + 1;
    for (let n: u32 = 0; n < <u32>count; n++) if (!hasTag(host + n, address)) return MISMATCH;
    at += count;
  }
  return MATCH;
}
