/**
 * Build ids: the SHA-1 that the linker writes into a file, and that a kernel with CONFIG_STACKTRACE_BUILD_ID prints
 * in traces. Mirrors Linux lib/buildid.c (NT_GNU_BUILD_ID notes) and kernel/printk (BUILD_ID_FMT, 20 bytes in hex).
 */
import type { ElfFile } from "./elf.ts";

const SHT_NOTE = 7;
const NT_GNU_BUILD_ID = 3;
const HEADER = 12;

/** The build id of a vmlinux or .ko, hexadecimal; undefined when it has none. */
export function buildIdOf(elf: ElfFile): string | undefined {
  for (const section of elf.sections) {
    const id = section.type === SHT_NOTE ? idInNotes(elf.content(section.name)) : undefined;
    if (id !== undefined) return id;
  }
  return undefined;
}

function idInNotes(notes: Uint8Array = new Uint8Array(0)): string | undefined {
  const view = new DataView(notes.buffer, notes.byteOffset, notes.byteLength);
  for (let at = 0; at + HEADER <= notes.length; ) {
    const nameSize = view.getUint32(at, true);
    const start = at + HEADER + pad(nameSize);
    const end = start + view.getUint32(at + 4, true);
    const name = String.fromCharCode(...notes.subarray(at + HEADER, at + HEADER + Math.min(nameSize, 4)));
    if (name === "GNU\0" && view.getUint32(at + 8, true) === NT_GNU_BUILD_ID && end <= notes.length) {
      return [...notes.subarray(start, end)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    }
    at = pad(end);
  }
  return undefined;
}

function pad(size: number): number {
  return Math.ceil(size / 4) * 4;
}
