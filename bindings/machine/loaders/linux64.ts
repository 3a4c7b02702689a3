/**
 * The 64-bit Linux boot protocol for an unpacked vmlinux: long mode on an identity map of the first GiB,
 * RSI = boot_params. Mirrors Linux Documentation/arch/x86/boot.rst ("64-bit boot protocol") and zero-page.rst.
 *
 *   0x500 GDT   0x7000 boot_params   0x9000-0xbfff page tables   0x20000 command line   0x9fc00 MP table
 *   0xf0000 SMBIOS   kernel at its physical addresses   initrd at the top of memory
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
import { type ElfImage, MACHINE_X86_64, parseElfImage } from "./elf_image.ts";
import { mpTablePiece } from "./mp_table.ts";
import { smbiosPiece } from "./smbios.ts";

const GDT = 0x500;
const IDT = 0x520;
const BOOT_PARAMS = 0x7000;
const STACK = 0x8ff0;
const PML4 = 0x9000;
const COMMAND_LINE = 0x20000;
/** Device pages begin here; memory above stays unused. */
export const DEVICE_HOLE = 0xfec00000;

/** Null, 64-bit code, data, TSS. */
const DESCRIPTORS: readonly bigint[] = [0n, 0x00af9b000000ffffn, 0x00cf93000000ffffn, 0x008f8b000000ffffn];

const PRESENT_WRITABLE = 3n;
const LARGE_PAGE = 0x83n; // present, writable, 2 MiB
const LARGE_PAGE_SIZE = 0x200000n;

export function loadLinux64(
  options: LoadOptions,
  image: ElfImage = parseElfImage(options.kernel),
): BootImage {
  if (image.bits !== 64 || image.machine !== MACHINE_X86_64) {
    throw new CrashlabError(
      "bad-kernel",
      `expected a 64-bit x86-64 kernel, found a ${image.bits}-bit one; build it for x86-64`,
    );
  }
  const entry = Number(image.entry);
  if (!image.segments.some((each) => entry >= each.address && entry < each.address + each.bytes.length)) {
    throw new CrashlabError(
      "bad-kernel",
      `expected the entry at a physical address inside a loaded segment, found 0x${image.entry.toString(16)}; ` +
        "set ENTRY to the physical address of startup_64",
    );
  }
  const end = memoryEnd(image.segments);
  if (end > Math.min(options.ramBytes, 2 ** 30)) {
    throw new CrashlabError(
      "bad-kernel",
      `expected a kernel inside memory and the first GiB, found one that ends at 0x${end.toString(16)}; give the machine more memory`,
    );
  }
  const commandLine = encodeCommandLine(options.commandLine);
  const initrdAt =
    options.initrd === undefined
      ? 0
      : placeInitrd(options.initrd, end, Math.min(options.ramBytes, DEVICE_HOLE));
  const pieces: MemoryPiece[] = [
    ...image.segments,
    { address: GDT, bytes: quads(DESCRIPTORS) },
    { address: BOOT_PARAMS, bytes: bootParams(options, commandLine, initrdAt) },
    ...identityMap(),
    { address: COMMAND_LINE, bytes: commandLine },
    smbiosPiece(),
  ];
  if (options.cpus > 1) pieces.push(mpTablePiece(options.cpus));
  if (options.initrd !== undefined) pieces.push({ address: initrdAt, bytes: options.initrd });
  checkPieces(pieces, options.ramBytes);
  return {
    protocol: "linux64",
    pieces,
    entry: {
      rip: entry,
      rsi: BOOT_PARAMS,
      rsp: STACK,
      cr0: 0x80000011,
      cr3: PML4,
      cr4: 0x20,
      efer: 0x500,
      cs: { selector: 8, base: 0, limit: 0xffffffff, attributes: 0xa09b },
      data: { selector: 0x10, base: 0, limit: 0xffffffff, attributes: 0xc093 },
      tr: { selector: 0x18, base: 0, limit: 0xfffff, attributes: 0x808b },
      gdt: { base: GDT, limit: DESCRIPTORS.length * 8 - 1 },
      idt: { base: IDT, limit: 7 },
    },
  };
}

/** End of the highest segment, its zero-filled part included. */
export function memoryEnd(
  segments: readonly { readonly address: number; readonly memorySize: number }[],
): number {
  return Math.max(...segments.map((segment) => segment.address + segment.memorySize));
}

/** PML4[0] -> PDPT[0] -> 512 pages of 2 MiB. */
function identityMap(): MemoryPiece[] {
  const pdpt = PML4 + 0x1000;
  const directory = PML4 + 0x2000;
  const large = Array.from({ length: 512 }, (_, index) => (BigInt(index) * LARGE_PAGE_SIZE) | LARGE_PAGE);
  return [
    { address: PML4, bytes: quads([BigInt(pdpt) | PRESENT_WRITABLE]) },
    { address: pdpt, bytes: quads([BigInt(directory) | PRESENT_WRITABLE]) },
    { address: directory, bytes: quads(large) },
  ];
}

/** struct boot_params: the setup header fields that a kernel entered at startup_64 reads, and the memory map. */
function bootParams(options: LoadOptions, commandLine: Uint8Array, initrdAt: number): Uint8Array {
  const bytes = new Uint8Array(0x1000);
  const view = new DataView(bytes.buffer);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint32(0x202, 0x53726448, true); // "HdrS"
  view.setUint8(0x210, 0xff); // type_of_loader: undefined
  if (options.initrd !== undefined) {
    view.setUint32(0x218, initrdAt, true);
    view.setUint32(0x21c, options.initrd.length, true);
  }
  view.setUint32(0x228, COMMAND_LINE, true);
  view.setUint32(0x230, 0x1000000, true); // kernel_alignment
  view.setUint32(0x238, commandLine.length, true);
  const ranges: readonly (readonly [number, number, number])[] = [
    [0, LOW_MEMORY_END, 1],
    [LOW_MEMORY_END, 0x40400, 2],
    [HIGH_MEMORY, Math.min(options.ramBytes, DEVICE_HOLE) - HIGH_MEMORY, 1],
  ];
  view.setUint8(0x1e8, ranges.length);
  ranges.forEach(([start, size, type], index) => {
    const at = 0x2d0 + index * 20;
    view.setBigUint64(at, BigInt(start), true);
    view.setBigUint64(at + 8, BigInt(size), true);
    view.setUint32(at + 16, type, true);
  });
  return bytes;
}

function quads(values: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => {
    view.setBigUint64(index * 8, value, true);
  });
  return bytes;
}
