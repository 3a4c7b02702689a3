/**
 * The MP floating pointer and configuration table in the last KiB of base memory: how a kernel without ACPI
 * learns of CPUs, the I/O APIC and its wiring. Mirrors Intel's MultiProcessor Specification 1.4, chapter 4.
 */
import { LOW_MEMORY_END, type MemoryPiece } from "./boot_image.ts";
import { negatedSum } from "./smbios.ts";

const POINTER_SIZE = 16;
const TABLE = LOW_MEMORY_END + POINTER_SIZE;
const HEADER_SIZE = 44;
const IOAPIC_ADDRESS = 0xfec00000;
const LAPIC_ADDRESS = 0xfee00000;
const APIC_VERSION = 0x14;
const IOAPIC_VERSION = 0x11;

const INTERRUPT_INT = 0;
const INTERRUPT_NMI = 1;
const INTERRUPT_EXTINT = 3;

/** Pointer and table in one piece. */
export function mpTablePiece(cpus: number): MemoryPiece {
  const ioapicId = cpus;
  const entries: number[][] = [];
  for (let cpu = 0; cpu < cpus; cpu++) {
    const flags = cpu === 0 ? 3 : 1; // enabled; the first boots
    entries.push([0, cpu, APIC_VERSION, flags, ...le32(0x600), ...le32(0x201), ...le32(0), ...le32(0)]);
  }
  entries.push([1, 0, ..."ISA   ".split("").map((letter) => letter.charCodeAt(0))]);
  entries.push([2, ioapicId, IOAPIC_VERSION, 1, ...le32(IOAPIC_ADDRESS)]);
  for (let line = 0; line < 16; line++) {
    if (line === 2) continue;
    entries.push([3, INTERRUPT_INT, 0, 0, 0, line, ioapicId, line === 0 ? 2 : line]);
  }
  entries.push([4, INTERRUPT_EXTINT, 0, 0, 0, 0, 0xff, 0]);
  entries.push([4, INTERRUPT_NMI, 0, 0, 0, 0, 0xff, 1]);

  const body = entries.flat();
  const bytes = new Uint8Array(POINTER_SIZE + HEADER_SIZE + body.length);
  const table = bytes.subarray(POINTER_SIZE);
  table.set(new TextEncoder().encode("PCMP"));
  table.set(le16(table.length), 4);
  table[6] = 4; // specification 1.4
  table.set(new TextEncoder().encode("crashlabx86-64 box  "), 8);
  table.set(le16(entries.length), 34);
  table.set(le32(LAPIC_ADDRESS), 36);
  table.set(body, HEADER_SIZE);
  table[7] = negatedSum(table);

  const pointer = bytes.subarray(0, POINTER_SIZE);
  pointer.set(new TextEncoder().encode("_MP_"));
  pointer.set(le32(TABLE), 4);
  pointer[8] = 1;
  pointer[9] = 4;
  pointer[10] = negatedSum(pointer);
  return { address: LOW_MEMORY_END, bytes };
}

function le16(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff];
}

function le32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}
