/**
 * Writes an ELF vmcore as kdump's /proc/vmcore is laid out: ELF header, program headers (one PT_NOTE first),
 * the notes, then the bytes of each RAM range. The kernel image's PT_LOAD is another view of RAM bytes that are
 * in the file already. Mirrors Linux kernel/kexec_file.c (crash_prepare_elf64_headers) and fs/proc/vmcore.c.
 */
import { CrashlabError } from "../error.ts";

const PAGE = 4096;
const EHDR_SIZE = 64;
const PHDR_SIZE = 56;
const ET_CORE = 4;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_NOTE = 4;
const FLAGS_RWX = 7;
const CHUNK = 1 << 20;
/** Fewer pages are not left out: as makedumpfile does, which breaks down on files of hundreds of pieces (PFN_EXCLUDED). */
const PAGES_TO_SKIP = 256;

/** A stretch of guest-physical memory; start and length are whole pages. */
export interface RamRange {
  readonly start: bigint;
  readonly length: bigint;
}

/** Where the kernel's image is mapped. */
export interface KernelMapping {
  readonly virtual: bigint;
  readonly physical: bigint;
  readonly length: bigint;
}

/** What a vmcore is made of. */
export interface VmcoreSource {
  readonly ram: readonly RamRange[];
  readonly kernel: KernelMapping;
  /** Virtual address of physical address 0 in the direct map (PAGE_OFFSET). */
  readonly directMap: bigint;
  /** Complete ELF notes: NT_PRSTATUS of each online CPU in order, then VMCOREINFO. */
  readonly notes: readonly Uint8Array[];
  /** Bytes of guest-physical memory. */
  readPhysical(address: bigint, length: number): Uint8Array<ArrayBuffer>;
  /** 1 for each page that is left out of the file; it reads as zeros. */
  readonly excluded?: Uint8Array;
}

/** How far a dump has been written, in bytes. */
export interface VmcoreProgress {
  /** Bytes of the file so far, and in all; of a kdump-compressed one, bytes of memory read, which is read twice. */
  readonly done: number;
  readonly total: number;
}

/** What everything that writes a dump takes. */
export interface VmcoreOptions {
  readonly signal?: AbortSignal;
  /** Called for each piece. */
  readonly onProgress?: (progress: VmcoreProgress) => void;
}

interface Segment {
  readonly virtual: bigint;
  readonly physical: bigint;
  /** In memory, and how much of that is in the file; the rest is zero. */
  readonly length: bigint;
  readonly inFile: bigint;
  readonly offset: number;
}

interface Layout {
  /** The kernel's image, then RAM. */
  readonly segments: readonly Segment[];
  readonly ram: readonly Segment[];
  readonly notesSize: number;
  readonly dataStart: number;
  readonly total: number;
}

/** Size in bytes of the file that `writeElfVmcore` gives. */
export function vmcoreSize(source: VmcoreSource): number {
  return layOut(source).total;
}

/**
 * The file in pieces of at most 1 MiB. Memory is read as the pieces are asked for, so it must not change
 * meanwhile. Throws `aborted` when the signal fires, `bad-address` for a kernel outside the RAM ranges.
 */
export async function* writeElfVmcore(
  source: VmcoreSource,
  options: VmcoreOptions = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const layout = layOut(source);
  let done = 0;
  const count = (bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => {
    done += bytes.length;
    options.onProgress?.({ done, total: layout.total });
    return bytes;
  };
  checkAborted(options.signal);
  yield count(encodeHeaders(source, layout));
  for (const { physical, inFile } of layout.ram) {
    for (let at = 0n; at < inFile; at += BigInt(CHUNK)) {
      checkAborted(options.signal);
      const left = inFile - at;
      yield count(source.readPhysical(physical + at, left < BigInt(CHUNK) ? Number(left) : CHUNK));
    }
  }
}

function layOut(source: VmcoreSource): Layout {
  const notesSize = source.notes.reduce((sum, note) => sum + note.length, 0);
  checkKernel(source);
  const stretches = source.ram.flatMap((range) => stretchesOf(range, source.excluded));
  const parts = stretches.flatMap((stretch) => kernelPart(source.kernel, stretch) ?? []);
  const headerEnd = EHDR_SIZE + PHDR_SIZE * (1 + parts.length + stretches.length) + notesSize;
  const dataStart = Math.ceil(headerEnd / PAGE) * PAGE;
  let offset = dataStart;
  const ram = stretches.map(({ start, length, inFile }) => {
    const segment = { virtual: source.directMap + start, physical: start, length, inFile, offset };
    offset += Number(inFile);
    return segment;
  });
  const kernel = parts.map((part) => {
    const home = ram.find(
      ({ physical, length }) => part.physical >= physical && part.physical < physical + length,
    );
    return { ...part, offset: (home?.offset ?? 0) + Number(part.physical - (home?.physical ?? 0n)) };
  });
  return { segments: [...kernel, ...ram], ram, notesSize, dataStart, total: offset };
}

interface Stretch extends RamRange {
  readonly inFile: bigint;
}

/** Stretches of a range that begin with pages in the file and go on with ones left out. */
function stretchesOf({ start, length }: RamRange, excluded: Uint8Array | undefined): Stretch[] {
  if (excluded === undefined) return [{ start, length, inFile: length }];
  const stretches: Stretch[] = [];
  const end = Number(start + length) / PAGE;
  for (let frame = Number(start) / PAGE; frame < end; ) {
    const first = frame;
    let kept = frame;
    do {
      while (frame < end && excluded[frame] !== 1) frame++;
      kept = frame;
      while (frame < end && excluded[frame] === 1) frame++;
    } while (frame < end && frame - kept < PAGES_TO_SKIP);
    const bytes = (from: number, to: number): bigint => BigInt((to - from) * PAGE);
    stretches.push({ start: BigInt(first * PAGE), length: bytes(first, frame), inFile: bytes(first, kept) });
  }
  return stretches;
}

/** The kernel's mapping of a stretch of RAM, if its image reaches into that. */
function kernelPart(kernel: KernelMapping, stretch: Stretch): Omit<Segment, "offset"> | undefined {
  const kernelEnd = kernel.physical + kernel.length;
  const start = -least(-stretch.start, -kernel.physical);
  const end = least(stretch.start + stretch.length, kernelEnd);
  if (start >= end) return undefined;
  const fileEnd = least(stretch.start + stretch.inFile, end);
  return {
    virtual: kernel.virtual + (start - kernel.physical),
    physical: start,
    length: end - start,
    inFile: fileEnd > start ? fileEnd - start : 0n,
  };
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function checkKernel({ kernel, ram }: VmcoreSource): void {
  const inside = ram.some(
    ({ start, length }) => kernel.physical >= start && kernel.physical + kernel.length <= start + length,
  );
  if (inside) return;
  throw new CrashlabError(
    "bad-address",
    `expected the kernel's ${kernel.length} bytes inside RAM, found them at physical 0x${kernel.physical.toString(16)}; ` +
      "give the vmlinux that runs",
  );
}

function encodeHeaders(source: VmcoreSource, layout: Layout): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(layout.dataStart);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, ET_CORE, true);
  view.setUint16(18, EM_X86_64, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(32, BigInt(EHDR_SIZE), true);
  view.setUint16(52, EHDR_SIZE, true);
  view.setUint16(54, PHDR_SIZE, true);
  view.setUint16(56, 1 + layout.segments.length, true);
  const notesAt = EHDR_SIZE + PHDR_SIZE * (1 + layout.segments.length);
  view.setUint32(EHDR_SIZE, PT_NOTE, true);
  view.setBigUint64(EHDR_SIZE + 8, BigInt(notesAt), true);
  view.setBigUint64(EHDR_SIZE + 32, BigInt(layout.notesSize), true);
  view.setBigUint64(EHDR_SIZE + 40, BigInt(layout.notesSize), true);
  layout.segments.forEach((segment, index) => {
    const at = EHDR_SIZE + PHDR_SIZE * (index + 1);
    view.setUint32(at, PT_LOAD, true);
    view.setUint32(at + 4, FLAGS_RWX, true);
    view.setBigUint64(at + 8, BigInt(segment.offset), true);
    view.setBigUint64(at + 16, segment.virtual, true);
    view.setBigUint64(at + 24, segment.physical, true);
    view.setBigUint64(at + 32, segment.inFile, true);
    view.setBigUint64(at + 40, segment.length, true);
  });
  let at = notesAt;
  for (const note of source.notes) {
    bytes.set(note, at);
    at += note.length;
  }
  return bytes;
}

export function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new CrashlabError(
      "aborted",
      "expected the vmcore to be written, found the caller's signal aborted",
      {
        cause: signal.reason,
      },
    );
  }
}
