/**
 * Translation of guest-virtual addresses for the host: the same tables that the CPU walks, without setting
 * accessed bits, raising faults or touching the TLB. Mirrors SDM 3A chapter 4.
 */

/** What a translation starts from: control registers of the CPU whose view is asked for. */
export interface PagingState {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  /** Bits 56-63 of an address whose bits 47-55 are ones do not count. */
  readonly ignoreTopByte?: boolean;
}

/** A page as the tables describe it. */
export interface Mapping {
  /** Physical address of the byte asked for. */
  readonly physical: bigint;
  /** Bytes of the page: 4 KiB, 2 MiB, 4 MiB or 1 GiB. */
  readonly pageSize: bigint;
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
}

/** Reads a table entry of 4 or 8 bytes; addresses without memory read 0. */
export type ReadEntry = (physical: bigint, size: 4 | 8) => bigint;

const CR0_PAGING = 1n << 31n;
const CR4_LARGE = 1n << 4n;
const CR4_PAE = 1n << 5n;
const EFER_LONG_ACTIVE = 1n << 10n;

const PRESENT = 1n;
const WRITABLE = 2n;
const USER = 4n;
const LARGE = 0x80n;
const TOP_BYTE = 0xffn << 56n;
const KERNEL_BITS = 0x1ffn << 47n;
const NO_EXECUTE = 1n << 63n;
const FRAME = 0x000ffffffffff000n;

/** Shifts of the index into each level, highest table first, and the width of its entries. */
interface Levels {
  readonly shifts: readonly bigint[];
  readonly indexBits: bigint;
  readonly entrySize: 4 | 8;
}

const LONG: Levels = { shifts: [39n, 30n, 21n, 12n], indexBits: 9n, entrySize: 8 };
const PAE: Levels = { shifts: [30n, 21n, 12n], indexBits: 9n, entrySize: 8 };
const LEGACY: Levels = { shifts: [22n, 12n], indexBits: 10n, entrySize: 4 };

/** The mapping of a virtual address, or undefined when nothing is mapped there. */
export function walk(state: PagingState, virtual: bigint, read: ReadEntry): Mapping | undefined {
  const bits = BigInt.asUintN(64, virtual);
  const isTagged = state.ignoreTopByte === true && (bits & KERNEL_BITS) === KERNEL_BITS;
  const address = isTagged ? bits | TOP_BYTE : bits;
  if ((state.cr0 & CR0_PAGING) === 0n) {
    return {
      physical: address & 0xffffffffn,
      pageSize: 0x1000n,
      writable: true,
      user: true,
      executable: true,
    };
  }
  const long = (state.efer & EFER_LONG_ACTIVE) !== 0n;
  if (long && BigInt.asUintN(64, BigInt.asIntN(48, address)) !== address) return undefined;
  const levels = long ? LONG : (state.cr4 & CR4_PAE) !== 0n ? PAE : LEGACY;
  let table = state.cr3 & (long ? FRAME : levels === PAE ? 0xffffffe0n : 0xfffff000n);
  let writable = true;
  let user = true;
  let executable = true;
  for (const shift of levels.shifts) {
    const index = (address >> shift) & ((1n << levels.indexBits) - 1n);
    const entry = read(table + index * BigInt(levels.entrySize), levels.entrySize);
    if ((entry & PRESENT) === 0n) return undefined;
    // The four PAE directory pointers carry no rights.
    if (!(levels === PAE && shift === 30n)) {
      writable &&= (entry & WRITABLE) !== 0n;
      user &&= (entry & USER) !== 0n;
      executable &&= (entry & NO_EXECUTE) === 0n;
    }
    const largeAllowed = long
      ? shift === 21n || shift === 30n
      : shift === 21n || (shift === 22n && (state.cr4 & CR4_LARGE) !== 0n);
    if (shift === 12n || (largeAllowed && (entry & LARGE) !== 0n)) {
      const pageSize = 1n << shift;
      const frame = entry & FRAME & ~(pageSize - 1n);
      return { physical: frame + (address & (pageSize - 1n)), pageSize, writable, user, executable };
    }
    table = entry & FRAME;
  }
  return undefined;
}
