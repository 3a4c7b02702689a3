/**
 * Multiboot 1: an ELF image with the header 1BADB002h in its first 8 KiB, entered in 32-bit protected mode
 * with EAX = 2BADB002h and EBX = information structure. Mirrors the Multiboot Specification 0.6.96.
 */
import { CrashlabError } from "../../error.ts";
import {
  type BootImage,
  checkPieces,
  encodeCommandLine,
  HIGH_MEMORY,
  hex,
  LOW_MEMORY_END,
  type LoadOptions,
  type MemoryPiece,
  placeInitrd,
} from "./boot_image.ts";
import { isElf, parseElfImage } from "./elf_image.ts";
import { memoryEnd } from "./linux64.ts";
import { mpTablePiece } from "./mp_table.ts";
import { flatGdt, protectedEntry } from "./protected_mode.ts";

const HEADER_MAGIC = 0x1badb002;
const LOADER_MAGIC = 0x2badb002;
const SEARCH_LIMIT = 8192;
const INFORMATION = 0x6000;
const MODULES = 0x6100;
const MEMORY_MAP = 0x6200;
const LOADER_NAME = 0x6300;
const COMMAND_LINE = 0x20000;

const FLAG_MEMORY = 1;
const FLAG_COMMAND_LINE = 4;
const FLAG_MODULES = 8;
const FLAG_MEMORY_MAP = 0x40;
const FLAG_LOADER_NAME = 0x200;
/** Header flags: bits 0-15 are requirements; this loader meets page alignment (0) and memory information (1). */
const KNOWN_REQUIREMENTS = 3;
const ADDRESSES_IN_HEADER = 0x10000;

/** Offset of a valid multiboot header, or -1. */
export function findMultibootHeader(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const last = Math.min(bytes.length, SEARCH_LIMIT) - 12;
  for (let at = 0; at <= last; at += 4) {
    if (view.getUint32(at, true) !== HEADER_MAGIC) continue;
    const sum = HEADER_MAGIC + view.getUint32(at + 4, true) + view.getUint32(at + 8, true);
    if (sum % 2 ** 32 === 0) return at;
  }
  return -1;
}

export function loadMultiboot(options: LoadOptions): BootImage {
  const { kernel, ramBytes } = options;
  const header = findMultibootHeader(kernel);
  if (header < 0) {
    throw new CrashlabError(
      "bad-kernel",
      `expected a multiboot header in the first ${SEARCH_LIMIT} bytes, found none; choose another protocol`,
    );
  }
  const view = new DataView(kernel.buffer, kernel.byteOffset, kernel.byteLength);
  const flags = view.getUint32(header + 4, true);
  if ((flags & 0xffff & ~KNOWN_REQUIREMENTS) !== 0) {
    throw new CrashlabError(
      "bad-kernel",
      `expected multiboot requirements within ${hex(KNOWN_REQUIREMENTS)}, found ${hex(flags & 0xffff)}; this loader offers no video modes`,
    );
  }
  const { segments, entry } = isElf(kernel) ? elfParts(kernel) : headerParts(kernel, view, header, flags);
  const commandLine = encodeCommandLine(options.commandLine);
  const pieces: MemoryPiece[] = [...segments, flatGdt(), { address: COMMAND_LINE, bytes: commandLine }];
  const info = new Uint8Array(116);
  const fields = new DataView(info.buffer);
  let infoFlags = FLAG_MEMORY | FLAG_COMMAND_LINE | FLAG_MEMORY_MAP | FLAG_LOADER_NAME;
  fields.setUint32(4, LOW_MEMORY_END >> 10, true);
  fields.setUint32(8, (ramBytes - HIGH_MEMORY) / 1024, true);
  fields.setUint32(16, COMMAND_LINE, true);
  if (options.initrd !== undefined) {
    const address = placeInitrd(options.initrd, memoryEnd(segments), ramBytes);
    pieces.push({ address, bytes: options.initrd });
    const module = new Uint8Array(16);
    new DataView(module.buffer).setUint32(0, address, true);
    new DataView(module.buffer).setUint32(4, address + options.initrd.length, true);
    new DataView(module.buffer).setUint32(8, COMMAND_LINE + commandLine.length - 1, true);
    pieces.push({ address: MODULES, bytes: module });
    infoFlags |= FLAG_MODULES;
    fields.setUint32(20, 1, true);
    fields.setUint32(24, MODULES, true);
  }
  const map = memoryMap(ramBytes);
  fields.setUint32(0, infoFlags, true);
  fields.setUint32(44, map.length, true);
  fields.setUint32(48, MEMORY_MAP, true);
  fields.setUint32(64, LOADER_NAME, true);
  pieces.push(
    { address: INFORMATION, bytes: info },
    { address: MEMORY_MAP, bytes: map },
    { address: LOADER_NAME, bytes: new TextEncoder().encode("crashlab\0") },
  );
  if (options.cpus > 1) pieces.push(mpTablePiece(options.cpus));
  checkPieces(pieces, ramBytes);
  return { protocol: "multiboot", pieces, entry: protectedEntry(entry, LOADER_MAGIC, INFORMATION) };
}

interface Parts {
  readonly segments: readonly (MemoryPiece & { readonly memorySize: number })[];
  readonly entry: number;
}

function elfParts(kernel: Uint8Array): Parts {
  const image = parseElfImage(kernel);
  // The entry may be given as a virtual address; the CPU starts without paging.
  const home = image.segments.find(
    (segment) =>
      image.entry >= segment.virtualAddress &&
      image.entry < segment.virtualAddress + BigInt(segment.memorySize),
  );
  const entry =
    home === undefined ? Number(image.entry) : home.address + Number(image.entry - home.virtualAddress);
  if (entry >= 2 ** 32) {
    throw new CrashlabError(
      "bad-kernel",
      `expected a 32-bit entry address, found ${hex(entry)}; link the image below 4 GiB`,
    );
  }
  return { segments: image.segments, entry };
}

/** An image that is not ELF gives its addresses in the header. */
function headerParts(kernel: Uint8Array, view: DataView, header: number, flags: number): Parts {
  if ((flags & ADDRESSES_IN_HEADER) === 0 || header + 32 > kernel.length) {
    throw new CrashlabError(
      "bad-kernel",
      "expected an ELF file or load addresses in the multiboot header, found neither",
    );
  }
  const headerAddress = view.getUint32(header + 12, true);
  const loadAddress = view.getUint32(header + 16, true);
  const loadEnd = view.getUint32(header + 20, true);
  const bssEnd = view.getUint32(header + 24, true);
  const start = header - (headerAddress - loadAddress);
  const size = loadEnd === 0 ? kernel.length - start : loadEnd - loadAddress;
  if (start < 0 || size < 0 || start + size > kernel.length) {
    throw new CrashlabError(
      "bad-kernel",
      `expected multiboot load addresses inside the file of ${kernel.length} bytes, found ${size} bytes at ${start}`,
    );
  }
  const bytes = kernel.subarray(start, start + size);
  const memorySize = Math.max(size, bssEnd - loadAddress);
  return {
    segments: [{ address: loadAddress, bytes, memorySize }],
    entry: view.getUint32(header + 28, true),
  };
}

/** Entries as the BIOS's E820 gives them, each preceded by its own size. */
function memoryMap(ramBytes: number): Uint8Array {
  const ranges: readonly (readonly [number, number, number])[] = [
    [0, LOW_MEMORY_END, 1],
    [LOW_MEMORY_END, HIGH_MEMORY - LOW_MEMORY_END, 2],
    [HIGH_MEMORY, ramBytes - HIGH_MEMORY, 1],
  ];
  const bytes = new Uint8Array(ranges.length * 24);
  const view = new DataView(bytes.buffer);
  ranges.forEach(([start, size, type], index) => {
    view.setUint32(index * 24, 20, true);
    view.setBigUint64(index * 24 + 4, BigInt(start), true);
    view.setBigUint64(index * 24 + 12, BigInt(size), true);
    view.setUint32(index * 24 + 20, type, true);
  });
  return bytes;
}
