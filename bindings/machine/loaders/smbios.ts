/**
 * SMBIOS 2.8 tables at F0000h that name the machine, so that a guest can print its `Hardware name:` line.
 * Mirrors DMTF DSP0134 2.8: entry point 5.2.1, types 0, 1 and 127.
 */
import type { MemoryPiece } from "./boot_image.ts";

const ENTRY = 0xf0000;
const ENTRY_SIZE = 0x1f;
const TABLE = 0xf0020;

/** The entry point and its table, in one piece. */
export function smbiosPiece(): MemoryPiece {
  const structures = [
    structure(0, 0, biosFields(), ["crashlab", "1.0", "01/01/2024"]),
    structure(1, 1, systemFields(), ["crashlab", "x86-64 machine"]),
    structure(127, 2, new Uint8Array(0), []),
  ];
  const tableSize = structures.reduce((sum, bytes) => sum + bytes.length, 0);
  const bytes = new Uint8Array(TABLE - ENTRY + tableSize);
  const view = new DataView(bytes.buffer);
  putText(bytes, 0x00, "_SM_");
  view.setUint8(0x05, ENTRY_SIZE);
  view.setUint8(0x06, 2);
  view.setUint8(0x07, 8);
  view.setUint16(0x08, Math.max(...structures.map((each) => each.length)), true);
  putText(bytes, 0x10, "_DMI_");
  view.setUint16(0x16, tableSize, true);
  view.setUint32(0x18, TABLE, true);
  view.setUint16(0x1c, structures.length, true);
  view.setUint8(0x1e, 0x28);
  view.setUint8(0x15, negatedSum(bytes.subarray(0x10, ENTRY_SIZE)));
  view.setUint8(0x04, negatedSum(bytes.subarray(0, ENTRY_SIZE)));
  let at = TABLE - ENTRY;
  for (const each of structures) {
    bytes.set(each, at);
    at += each.length;
  }
  return { address: ENTRY, bytes };
}

/** Vendor, version, segment, date, ROM size, characteristics. */
function biosFields(): Uint8Array {
  const fields = new Uint8Array(0x18 - 4);
  fields.set([1, 2, 0, 0xf0, 3, 0]);
  fields[6] = 0x08; // characteristics are not given
  return fields;
}

/** Manufacturer, product name; no version, serial number or UUID; woken by the power switch. */
function systemFields(): Uint8Array {
  const fields = new Uint8Array(0x1b - 4);
  fields.set([1, 2]);
  fields[0x18 - 4] = 6;
  return fields;
}

/** Header, fields, then the numbered strings and a closing NUL. */
function structure(type: number, handle: number, fields: Uint8Array, strings: readonly string[]): Uint8Array {
  const text = strings.length === 0 ? "\0\0" : `${strings.join("\0")}\0\0`;
  const bytes = new Uint8Array(4 + fields.length + text.length);
  bytes.set([type, 4 + fields.length, handle, 0]);
  bytes.set(fields, 4);
  putText(bytes, 4 + fields.length, text);
  return bytes;
}

function putText(bytes: Uint8Array, at: number, text: string): void {
  bytes.set(new TextEncoder().encode(text), at);
}

/** The byte that makes the sum of all bytes 0 modulo 256. */
export function negatedSum(bytes: Uint8Array): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}
