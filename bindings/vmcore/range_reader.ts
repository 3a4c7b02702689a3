/**
 * Where a dump's bytes come from: a file that is read a range at a time, never as a whole. The same for a Blob
 * (a browser's File), a Node.js FileHandle and bytes in memory.
 */
import { CrashlabError } from "../error.ts";

/** Reads ranges of something of a known size. */
export interface RangeReader {
  readonly size: number;
  /** The bytes from `offset` on; fewer than `length` only at the end. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** How a dump or a vmlinux is read. */
export interface ReadOptions {
  /** Ends the work with `aborted`, at the next piece that is read. */
  readonly signal?: AbortSignal;
  /** Bytes read so far, some of them more than once; how many it will be is not known. */
  readonly onProgress?: (progress: { readonly done: number }) => void;
}

/** A reader that tells how far it is, and that can be stopped. */
export function watchedReader(reader: RangeReader, { signal, onProgress }: ReadOptions): RangeReader {
  let done = 0;
  return {
    size: reader.size,
    async read(offset, length) {
      checkReading(signal);
      const bytes = await reader.read(offset, length);
      done += bytes.length;
      onProgress?.({ done });
      return bytes;
    },
  };
}

/** Throws `aborted` when the signal has fired. */
export function checkReading(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new CrashlabError("aborted", "expected to read the file to the end, found the signal aborted", {
      cause: signal.reason,
    });
  }
}

/** What `fs.promises.open()` gives, as far as it is needed here. */
export interface ReadableFile {
  /** Size in bytes. */
  stat(): Promise<{ readonly size: number }>;
  /** Reads into `buffer` from a position of the file. */
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>;
}

/** Where a dump or a vmlinux comes from. */
export type DumpSource = Blob | Uint8Array | ReadableFile | RangeReader;

/** A reader for a source. */
export async function rangeReader(source: DumpSource): Promise<RangeReader> {
  if (source instanceof Uint8Array) {
    return {
      size: source.length,
      read: async (offset, length) => source.subarray(offset, offset + length),
    };
  }
  if (source instanceof Blob) {
    return {
      size: source.size,
      read: async (offset, length) =>
        new Uint8Array(await source.slice(offset, offset + length).arrayBuffer()),
    };
  }
  if ("stat" in source) return fileReader(source, (await source.stat()).size);
  return source;
}

function fileReader(file: ReadableFile, size: number): RangeReader {
  return {
    size,
    async read(offset, length) {
      const bytes = new Uint8Array(Math.max(0, Math.min(length, size - offset)));
      let done = 0;
      while (done < bytes.length) {
        const { bytesRead } = await file.read(bytes, done, bytes.length - done, offset + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return bytes.subarray(0, done);
    },
  };
}

/** Exactly `length` bytes. Throws `bad-vmcore` where the file ends before. */
export async function readExactly(
  reader: RangeReader,
  offset: number,
  length: number,
  what: string,
): Promise<Uint8Array> {
  const inside = offset >= 0 && length >= 0 && offset + length <= reader.size;
  const bytes = inside ? await reader.read(offset, length) : undefined;
  if (bytes?.length !== length) {
    throw new CrashlabError(
      "bad-vmcore",
      `expected ${what}: ${length} bytes at ${offset}, found a file of ${reader.size} bytes; copy the dump again`,
    );
  }
  return bytes;
}

/** A view of bytes for their fields. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
