/**
 * The shadow check: a processor feature of this machine alone, for kernels without instrumented code. One byte of
 * shadow speaks for a granule of 8 bytes of memory, at (address >> 3) + offset: 0 all may be used, 1 to 7 only so many
 * bytes from the left, anything else none (Linux Documentation/dev-tools/kasan.rst, generic mode).
 *
 * The guest owns the shadow and writes to it as to any memory. CPUID leaf 40000001h, EAX bit 0, says that the check is
 * there; these registers control it, each CPU its own:
 *
 *   4c414200h  0: no check; 1: this one; 2 and above: tags (tags.ts): bit 1, of eight bits, with bit 0 of four; bit 2,
 *              loads, bit 3, stores that are refused are made all the same and only recorded. Writing it forgets all
 *              translations
 *   4c414201h  offset; only while the check is off
 *   4c414202h  first address of exempt code      4c414203h  first address behind it
 *   4c414204h  address that was refused last     4c414205h  its length, 2^64-n for a length below zero   (read-only)
 *   4c414206h  bit 0: a load was recorded, bit 1: a store
 *
 * Every load and store of data below privilege 3 in 64-bit mode is checked before anything is read or written: a
 * repeated string instruction as one range, first its source. Pushes, pops, calls, returns, far transfers, descriptor
 * tables, fetches and page walks are not. What lies below the upper half has no shadow and is refused.
 *
 * What is refused raises exception 22 with an error code, bit 0 of which is set for a write. It is a fault: RIP is that
 * of the instruction, and RF is set in the flags it saves; with RF set, one instruction is not checked (as with
 * instruction breakpoints, SDM 3B 17.3.1.1), so that IRET carries on. A shadow that is not mapped is a page fault at the
 * address of the shadow.
 */
import { raise, raisePageFault, SC } from "../cpu/exceptions";
import { is64, rip, TLB_USER } from "../cpu/state";
import {
  CPL,
  SHADOW_ADDRESS,
  SHADOW_EXEMPT_END,
  SHADOW_EXEMPT_START,
  SHADOW_NONE,
  SHADOW_OFFSET,
  SHADOW_ON,
  SHADOW_RECORDED,
  SHADOW_SIZE,
  SHADOW_SKIP,
  TLB_BASE,
  TLB_MODE,
  TLB_SIZE,
} from "../layout";
import { FIRST, granuleBits, isShadowGlobal, shadowAddress, shadowHost } from "./pages";
import {
  compareTags,
  isTagged,
  MATCH,
  MISMATCH,
  matchesAll,
  TAGS_RECORD_LOADS,
  TAGS_RECORD_STORES,
  TOP,
} from "./tags";

/** Whether the instruction under way is one whose data accesses are checked. */
export function isChecking(): bool {
  return load<u32>(SHADOW_ON) != 0 && load<u32>(CPL) != 3 && is64();
}

/**
 * Whether accesses of code on this page are checked. What is decoded of it is decoded for one or the other, so a page that
 * is exempt in part counts as checked: mayAccess() knows better.
 */
export function checksPage(page: u64): bool {
  return (
    isChecking() && (page < load<u64>(SHADOW_EXEMPT_START) || page + 0xfff >= load<u64>(SHADOW_EXEMPT_END))
  );
}

/** Whether what shadowOf() found last holds in every address space. */
export let shadowGlobal: bool = true;
/**
 * What an entry of the TLB in force keeps: host address of the page's shadow bytes, 0 in the TLB of programs, whose
 * accesses are not checked. What the processor does for itself while one runs fills the kernel's TLB, so the TLB counts.
 */
export function shadowOf(page: u64): u32 {
  shadowGlobal = true;
  if (load<u32>(SHADOW_ON) == 0 || load<u32>(TLB_MODE) == load<u32>(TLB_BASE) + TLB_USER * TLB_SIZE) return 0;
  if (isTagged() && matchesAll(page)) return 0;
  const address = isTagged() ? page | TOP : page;
  const host = address < FIRST ? 0 : shadowHost(shadowAddress(address));
  // All of them on one page of the shadow: nothing says that its offset is aligned.
  if (host != 0) {
    shadowGlobal = isShadowGlobal(shadowAddress(address));
    if ((host & 0xfff) <= 4096 - (4096 >> <u32>granuleBits())) return host;
  } else shadowGlobal = false;
  // Bytes that allow nothing, and the tag of no pointer that is looked at.
  memory.fill(SHADOW_NONE, 0xff, 512);
  return SHADOW_NONE;
}

/** Whether an access may be made; else an exception is pending. */
export function mayAccess(address: u64, size: u64, isWrite: bool): bool {
  if (!isChecking() || load<u32>(SHADOW_SKIP) != 0 || size == 0) return true;
  const code = rip() - 1; // RIP is behind the instruction
  if (code >= load<u64>(SHADOW_EXEMPT_START) && code < load<u64>(SHADOW_EXEMPT_END)) return true;
  if (isTagged()) {
    const found = compareTags(address, size);
    return found == MISMATCH ? refuse(address, size, isWrite) : found == MATCH;
  }
  const last = address + size - 1;
  if (address < FIRST || last < address) return refuse(address, size, isWrite);
  let granule = address >> 3;
  const end = last >> 3;
  while (granule <= end) {
    const host = shadowHost(granule + load<u64>(SHADOW_OFFSET));
    if (host == 0) {
      raisePageFault(granule + load<u64>(SHADOW_OFFSET), 0);
      return false;
    }
    // To the end of this page of the shadow.
    let count: u64 = 4096 - (host & 0xfff);
    if (count > end - granule + 1) count = end - granule + 1;
    let n: u32 = 0;
    while (n + 16 <= <u32>count && !v128.any_true(v128.load(host + n))) n += 16;
    if (n + 8 <= <u32>count && load<u64>(host + n) == 0) n += 8;
    for (; n < <u32>count; n++) {
      const value = load<u8>(host + n);
      if (value == 0) continue;
      if (granule + n != end || value > 7 || (<u32>last & 7) >= value) return refuse(address, size, isWrite);
    }
    granule += count;
  }
  return true;
}

function refuse(address: u64, size: u64, isWrite: bool): bool {
  store<u64>(SHADOW_ADDRESS, address);
  store<u64>(SHADOW_SIZE, size);
  if ((load<u32>(SHADOW_ON) & (isWrite ? TAGS_RECORD_STORES : TAGS_RECORD_LOADS)) != 0) {
    store<u64>(SHADOW_RECORDED, load<u64>(SHADOW_RECORDED) | (isWrite ? 2 : 1));
    return true;
  }
  raise(SC, isWrite ? 1 : 0);
  return false;
}
