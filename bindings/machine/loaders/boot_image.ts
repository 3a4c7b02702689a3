/**
 * What every loader produces: pieces of guest-physical memory and the state in which the first CPU starts.
 * A loader only computes; `Core.start` writes the pieces and sets the registers.
 */
import { CrashlabError } from "../../error.ts";

/** Bytes for guest-physical memory. Memory that no piece covers is zero. */
export interface MemoryPiece {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** A flat segment as descriptor cache: what a loader's GDT says about it. */
export interface SegmentState {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  /** Access byte and flags of the descriptor: bits 40-47 and, from bit 12, 52-55. */
  readonly attributes: number;
}

/** Registers at the kernel's entry. Those not named are zero. */
export interface EntryState {
  readonly rip: number;
  readonly rax?: number;
  readonly rbx?: number;
  readonly rsi?: number;
  readonly rsp?: number;
  readonly cr0: number;
  readonly cr3: number;
  readonly cr4: number;
  readonly efer: number;
  readonly cs: SegmentState;
  readonly data: SegmentState;
  readonly tr: SegmentState;
  readonly gdt: { readonly base: number; readonly limit: number };
  readonly idt: { readonly base: number; readonly limit: number };
}

/** A machine ready to start. */
export interface BootImage {
  readonly protocol: "linux64" | "pvh" | "multiboot";
  readonly pieces: readonly MemoryPiece[];
  readonly entry: EntryState;
}

/** What every loader is told. */
export interface LoadOptions {
  readonly kernel: Uint8Array;
  readonly initrd?: Uint8Array | undefined;
  readonly commandLine: string;
  /** Bytes of guest memory from address 0. */
  readonly ramBytes: number;
  readonly cpus: number;
}

export const PAGE = 0x1000;
/** Base memory ends here; above it lie the PC's video memory and ROMs. */
export const LOW_MEMORY_END = 0x9fc00;
export const HIGH_MEMORY = 0x100000;

const COMMAND_LINE_LIMIT = 2047;

/** A command line as the kernel wants it: NUL-terminated bytes. */
export function encodeCommandLine(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > COMMAND_LINE_LIMIT) {
    throw new CrashlabError(
      "bad-option",
      `expected a kernel command line of at most ${COMMAND_LINE_LIMIT} bytes, found ${bytes.length}; shorten it`,
    );
  }
  const nul = bytes.indexOf(0);
  if (nul >= 0) {
    throw new CrashlabError(
      "bad-option",
      `expected a kernel command line without NUL, found one at ${nul}; remove it`,
    );
  }
  const terminated = new Uint8Array(bytes.length + 1);
  terminated.set(bytes);
  return terminated;
}

/** Page-aligned place for the initrd at the top of memory, above everything that the kernel occupies. */
export function placeInitrd(initrd: Uint8Array, kernelEnd: number, ramBytes: number): number {
  const address = Math.floor((ramBytes - initrd.length) / PAGE) * PAGE;
  if (address < kernelEnd) {
    throw new CrashlabError(
      "bad-initrd",
      `expected an initrd that fits between the kernel's end (${kernelEnd} bytes) and the end of memory (${ramBytes} bytes), ` +
        `found ${initrd.length} bytes; give the machine more memory`,
    );
  }
  return address;
}

/** Refuses pieces that leave memory or fall on each other, and gives the end of the highest. */
export function checkPieces(pieces: readonly MemoryPiece[], ramBytes: number): number {
  const sorted = pieces.filter((piece) => piece.bytes.length > 0).sort((a, b) => a.address - b.address);
  let end = 0;
  for (const piece of sorted) {
    if (piece.address < end) {
      throw new CrashlabError(
        "bad-kernel",
        `expected parts that do not overlap, found one at ${hex(piece.address)} below ${hex(end)}; link the image for other addresses`,
      );
    }
    end = piece.address + piece.bytes.length;
  }
  if (end > ramBytes) {
    throw new CrashlabError(
      "bad-kernel",
      `expected an image inside ${ramBytes} bytes of memory, found one that ends at ${hex(end)}; give the machine more memory`,
    );
  }
  return end;
}

export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
