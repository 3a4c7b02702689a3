/** The flat 32-bit protected-mode state that PVH and multiboot start in. */
import type { EntryState, MemoryPiece } from "./boot_image.ts";

const GDT = 0x500;

/** Null, flat code, flat data, 32-bit TSS. */
const DESCRIPTORS: readonly bigint[] = [0n, 0x00cf9b000000ffffn, 0x00cf93000000ffffn, 0x00008b0000000067n];

export function flatGdt(): MemoryPiece {
  const bytes = new Uint8Array(DESCRIPTORS.length * 8);
  const view = new DataView(bytes.buffer);
  DESCRIPTORS.forEach((descriptor, index) => {
    view.setBigUint64(index * 8, descriptor, true);
  });
  return { address: GDT, bytes };
}

/** Paging off, interrupts off, EBX pointing at the loader's information. */
export function protectedEntry(rip: number, rax: number, rbx: number): EntryState {
  return {
    rip,
    rax,
    rbx,
    cr0: 0x11,
    cr3: 0,
    cr4: 0,
    efer: 0,
    cs: { selector: 8, base: 0, limit: 0xffffffff, attributes: 0xc09b },
    data: { selector: 0x10, base: 0, limit: 0xffffffff, attributes: 0xc093 },
    tr: { selector: 0x18, base: 0, limit: 0x67, attributes: 0x008b },
    gdt: { base: GDT, limit: DESCRIPTORS.length * 8 - 1 },
    idt: { base: 0, limit: 0 },
  };
}
