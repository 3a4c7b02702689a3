/**
 * The PVH protocol: 32-bit protected mode at the address of the XEN_ELFNOTE_PHYS32_ENTRY note, EBX =
 * hvm_start_info. Mirrors Xen's docs/misc/pvh.pandoc and include/public/arch-x86/hvm/start_info.h.
 */
import { CrashlabError } from "../../error.ts";
import {
  type BootImage,
  checkPieces,
  encodeCommandLine,
  HIGH_MEMORY,
  LOW_MEMORY_END,
  type LoadOptions,
  type MemoryPiece,
  placeInitrd,
} from "./boot_image.ts";
import { type ElfImage, parseElfImage } from "./elf_image.ts";
import { memoryEnd } from "./linux64.ts";
import { mpTablePiece } from "./mp_table.ts";
import { flatGdt, protectedEntry } from "./protected_mode.ts";
import { smbiosPiece } from "./smbios.ts";

const START_INFO = 0x6000;
const MODULE_LIST = 0x6100;
const MEMORY_MAP = 0x6200;
const COMMAND_LINE = 0x20000;
const MAGIC = 0x336ec578;

export function loadPvh(options: LoadOptions, image: ElfImage = parseElfImage(options.kernel)): BootImage {
  if (image.pvhEntry === undefined) {
    throw new CrashlabError(
      "bad-kernel",
      "expected a PVH entry note in the kernel, found none; choose another protocol",
    );
  }
  const commandLine = encodeCommandLine(options.commandLine);
  const pieces: MemoryPiece[] = [
    ...image.segments,
    flatGdt(),
    smbiosPiece(),
    { address: COMMAND_LINE, bytes: commandLine },
  ];
  if (options.cpus > 1) pieces.push(mpTablePiece(options.cpus));
  const info = new Uint8Array(56);
  const fields = new DataView(info.buffer);
  fields.setUint32(0, MAGIC, true);
  fields.setUint32(4, 1, true); // version with a memory map
  if (options.initrd !== undefined) {
    const address = placeInitrd(options.initrd, memoryEnd(image.segments), options.ramBytes);
    pieces.push({ address, bytes: options.initrd });
    const module = new Uint8Array(32);
    new DataView(module.buffer).setBigUint64(0, BigInt(address), true);
    new DataView(module.buffer).setBigUint64(8, BigInt(options.initrd.length), true);
    pieces.push({ address: MODULE_LIST, bytes: module });
    fields.setUint32(12, 1, true);
    fields.setBigUint64(16, BigInt(MODULE_LIST), true);
  }
  fields.setBigUint64(24, BigInt(COMMAND_LINE), true);
  const map = memoryMap(options.ramBytes);
  fields.setBigUint64(40, BigInt(MEMORY_MAP), true);
  fields.setUint32(48, map.length / 24, true);
  pieces.push({ address: START_INFO, bytes: info }, { address: MEMORY_MAP, bytes: map });
  checkPieces(pieces, options.ramBytes);
  return { protocol: "pvh", pieces, entry: protectedEntry(image.pvhEntry, 0, START_INFO) };
}

/** hvm_memmap_table_entry: address, size, type, reserved. */
function memoryMap(ramBytes: number): Uint8Array {
  const ranges: readonly (readonly [number, number, number])[] = [
    [0, LOW_MEMORY_END, 1],
    [LOW_MEMORY_END, 0xa0000 - LOW_MEMORY_END, 2],
    [0xf0000, 0x10000, 2],
    [HIGH_MEMORY, ramBytes - HIGH_MEMORY, 1],
  ];
  const bytes = new Uint8Array(ranges.length * 24);
  const view = new DataView(bytes.buffer);
  ranges.forEach(([start, size, type], index) => {
    view.setBigUint64(index * 24, BigInt(start), true);
    view.setBigUint64(index * 24 + 8, BigInt(size), true);
    view.setUint32(index * 24 + 16, type, true);
  });
  return bytes;
}
