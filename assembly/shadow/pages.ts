/**
 * Where the pages of the shadow lie. A guest maps them like any memory; where one was found is kept until the CPU's TLB
 * is flushed, which INVLPG of a page of the shadow does too.
 */
import { ACTIVE, SHADOW_OFFSET, SHADOW_ON, SHADOW_PAGES, SHADOW_PAGES_SIZE } from "../layout";
import { frameOf, isRam } from "../mmu/frames";
import { INVALID, peek, peekGlobal } from "../mmu/walk";
import { isTagged } from "./tags";

/** The lowest address that has a shadow: where the upper half begins. */
export const FIRST: u64 = 0xffff800000000000;

/** Bytes of memory that a byte of shadow speaks for, as a power of two. */
export function granuleBits(): u64 {
  return isTagged() ? 4 : 3;
}

/** Where the shadow of an address of the upper half, its top byte all ones, lies. */
export function shadowAddress(address: u64): u64 {
  return (address >> granuleBits()) + load<u64>(SHADOW_OFFSET);
}

/** Whether an address lies in the shadow: then translations depend on how it is mapped. */
export function isShadow(address: u64): bool {
  return (
    load<u32>(SHADOW_ON) != 0 && address >= shadowAddress(FIRST) && address <= shadowAddress(u64.MAX_VALUE)
  );
}

/** An entry: bits 12 to 47 of the shadow's address above 28 bits of the frame's number and these. */
const KNOWN: u64 = 1;
const GLOBAL: u64 = 2;
function entryOf(shadow: u64): u32 {
  // The shadows of an image, of modules and of vmalloc areas all begin at round addresses.
  const n = <u32>((shadow >> 12) ^ (shadow >> 19) ^ (shadow >> 34));
  return SHADOW_PAGES + load<u32>(ACTIVE) * SHADOW_PAGES_SIZE + ((n & 127) << 3);
}

/** Host address of a byte of the shadow, 0 when it is not mapped to memory. */
export function shadowHost(shadow: u64): u32 {
  const at = entryOf(shadow);
  let known = load<u64>(at);
  if ((known & KNOWN) == 0 || (known ^ (shadow << 16)) >> 28 != 0) {
    const physical = peek(shadow);
    if (physical == INVALID || !isRam(physical)) return 0;
    known = ((shadow << 16) & ~0xfffffff) | ((physical >> 12) << 8) | (peekGlobal ? GLOBAL : 0) | KNOWN;
    store<u64>(at, known);
  }
  const physical = ((known >> 8) & 0xfffff) << 12;
  return isRam(physical) ? frameOf(physical) + (<u32>shadow & 0xfff) : 0;
}

/** Whether a byte of the shadow that shadowHost() has found stays where it is in every address space. */
export function isShadowGlobal(shadow: u64): bool {
  return (load<u64>(entryOf(shadow)) & GLOBAL) != 0;
}

/** A CPU's translations are forgotten, or those that are not global: so are those of the shadow. */
export function forgetShadowPages(cpu: u32, keepGlobal: bool): void {
  const first = SHADOW_PAGES + cpu * SHADOW_PAGES_SIZE;
  for (let at = first; at < first + SHADOW_PAGES_SIZE; at += 8)
    if (!keepGlobal || (load<u64>(at) & GLOBAL) == 0) store<u64>(at, 0);
}
