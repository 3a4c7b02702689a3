/**
 * Pages as a kdump-compressed dump packs them: zlib and zstd by libraries; LZO1X (Linux Documentation/staging/
 * lzo.rst) and Snappy (its format_description.txt), which are small, here. What comes in is untrusted: no more than
 * a page ever comes out.
 */
import { unzlibSync } from "fflate";
import { decompress as unzstd } from "fzstd";

export type PageCompression = "none" | "zlib" | "lzo" | "snappy" | "zstd";

/** Flags of a page descriptor (makedumpfile diskdump_mod.h, DUMP_DH_COMPRESSED_*). */
export const COMPRESSION_FLAGS: Readonly<Record<PageCompression, number>> = {
  none: 0,
  zlib: 1,
  lzo: 2,
  snappy: 4,
  zstd: 0x20,
};

/** The way that a descriptor's flags name; undefined for one that is not known. */
export function compression(flags: number): PageCompression | undefined {
  const ways: readonly PageCompression[] = ["zlib", "lzo", "snappy", "zstd"];
  const known = ways.find((way) => (flags & COMPRESSION_FLAGS[way]) !== 0);
  return known ?? ((flags & 0x3f) === 0 ? "none" : undefined);
}

/** A page of `size` bytes; undefined when its packed form is damaged. */
export function unpackPage(packed: Uint8Array, way: PageCompression, size: number): Uint8Array | undefined {
  if (way === "none") return packed.length === size ? packed : undefined;
  const page = new Uint8Array(size);
  const length = way === "lzo" ? unlzo(packed, page) : way === "snappy" ? unsnappy(packed, page) : undefined;
  if (length !== undefined) return length === size ? page : undefined;
  if (way !== "zlib" && way !== "zstd") return undefined;
  try {
    const out = way === "zlib" ? unzlibSync(packed, { out: page }) : unzstd(packed, page);
    return out.length === size ? out : undefined;
  } catch {
    // Either library's own errors, or a RangeError from inside it: the page is damaged.
    return undefined;
  }
}

/** Copies inside the output; the ranges may overlap, which repeats. False when it does not fit. */
function copyBack(out: Uint8Array, at: number, distance: number, length: number): boolean {
  if (distance <= 0 || distance > at || at + length > out.length) return false;
  for (let index = 0; index < length; index++) out[at + index] = out[at + index - distance] ?? 0;
  return true;
}

/** LZO1X; the number of bytes that came out, undefined for damage. */
export function unlzo(input: Uint8Array, out: Uint8Array): number | undefined {
  let at = 0;
  let done = 0;
  /** Literals copied last: 0, 1 to 3, or 4 for "more". */
  let state = 0;
  const literals = (count: number): boolean => {
    if (at + count > input.length || done + count > out.length) return false;
    out.set(input.subarray(at, at + count), done);
    at += count;
    done += count;
    return true;
  };
  /** A length whose bits are all zero goes on in bytes: 255 for each zero, then the rest. */
  const extended = (bits: number, most: number): number => {
    if (bits !== 0) return bits;
    let length = most;
    while (input[at] === 0) {
      length += 255;
      at++;
    }
    return length + (input[at++] ?? Number.POSITIVE_INFINITY);
  };
  if ((input[0] ?? 0) > 17) {
    const count = (input[at++] ?? 0) - 17;
    if (!literals(count)) return undefined;
    state = Math.min(count, 4);
  }
  while (at < input.length) {
    const byte = input[at++] ?? 0;
    let distance: number;
    let length: number;
    let after: number;
    if (byte < 16 && state === 0) {
      if (!literals(3 + extended(byte, 15))) return undefined;
      state = 4;
      continue;
    }
    if (byte < 16) {
      const high = (input[at++] ?? 0) << 2;
      distance = high + (byte >> 2) + (state === 4 ? 2049 : 1);
      length = state === 4 ? 3 : 2;
      after = byte & 3;
    } else if (byte < 64) {
      const far = byte < 32;
      length = 2 + (far ? extended(byte & 7, 7) : extended(byte & 31, 31));
      const word = (input[at] ?? 0) | ((input[at + 1] ?? 0) << 8);
      at += 2;
      distance = far ? 16384 + ((byte & 8) << 11) + (word >> 2) : (word >> 2) + 1;
      if (far && distance === 16384) return done; // the end mark
      after = word & 3;
    } else {
      const high = (input[at++] ?? 0) << 3;
      distance = high + ((byte >> 2) & 7) + 1;
      length = byte < 128 ? 3 + ((byte >> 5) & 1) : 5 + ((byte >> 5) & 3);
      after = byte & 3;
    }
    if (!copyBack(out, done, distance, length)) return undefined;
    done += length;
    if (!literals(after)) return undefined;
    state = after;
  }
  return undefined;
}

/** Snappy without framing; the number of bytes that came out, undefined for damage. */
export function unsnappy(input: Uint8Array, out: Uint8Array): number | undefined {
  let at = 0;
  let expected = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = input[at++];
    if (byte === undefined || shift > 28) return undefined;
    expected += (byte & 0x7f) * 2 ** shift;
    if ((byte & 0x80) === 0) break;
  }
  const little = (bytes: number): number => {
    let value = 0;
    for (let index = 0; index < bytes; index++) value += (input[at++] ?? 0) * 2 ** (8 * index);
    return value;
  };
  let done = 0;
  while (at < input.length) {
    const tag = input[at++] ?? 0;
    const upper = tag >> 2;
    if ((tag & 3) === 0) {
      const length = 1 + (upper < 60 ? upper : little(upper - 59));
      if (at + length > input.length || done + length > out.length) return undefined;
      out.set(input.subarray(at, at + length), done);
      at += length;
      done += length;
      continue;
    }
    const near = (tag & 3) === 1;
    const length = near ? 4 + (upper & 7) : upper + 1;
    const distance = near ? ((tag >> 5) << 8) + little(1) : little((tag & 3) === 2 ? 2 : 4);
    if (!copyBack(out, done, distance, length)) return undefined;
    done += length;
  }
  return done === expected ? done : undefined;
}
