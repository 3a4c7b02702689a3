/**
 * LZ4's legacy frame, which Linux packs kernels with: magic 184C2102h, then blocks of (length, data), each of
 * at most 8 MiB unpacked. Mirrors lz4's doc/lz4_Frame_format.md ("Legacy frame") and lz4_Block_format.md.
 * Written here because the JavaScript packages for it do not check bounds.
 */
import { CrashlabError } from "../../error.ts";

const MINIMUM_MATCH = 4;

export function unpackLz4Legacy(frame: Uint8Array, size: number): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const output = new Uint8Array(size);
  let at = 4;
  let filled = 0;
  while (at + 4 <= frame.length) {
    const length = view.getUint32(at, true);
    at += 4;
    if (length > frame.length - at) throw bad(`a block of ${length} bytes`, `${frame.length - at} bytes`);
    filled = unpackBlock(frame.subarray(at, at + length), output, filled);
    at += length;
  }
  return output.subarray(0, filled);
}

/** Appends one block at `filled` and gives the new end. Blocks do not refer to earlier ones. */
function unpackBlock(block: Uint8Array, output: Uint8Array, filled: number): number {
  const start = filled;
  let at = 0;
  const extend = (nibble: number): number => {
    let length = nibble;
    if (nibble !== 15) return length;
    for (;;) {
      const byte = block[at++];
      if (byte === undefined) throw bad("a length", "the end of the block");
      length += byte;
      if (byte !== 255) return length;
    }
  };
  while (at < block.length) {
    const token = block[at++] ?? 0;
    const literals = extend(token >> 4);
    if (literals > block.length - at || literals > output.length - filled) {
      throw bad(`room for ${literals} literals`, `${block.length - at} bytes left`);
    }
    output.set(block.subarray(at, at + literals), filled);
    at += literals;
    filled += literals;
    if (at === block.length) break; // the last sequence has no match
    const distance = (block[at] ?? 0) | ((block[at + 1] ?? 0) << 8);
    at += 2;
    const length = extend(token & 15) + MINIMUM_MATCH;
    if (distance === 0 || distance > filled - start || length > output.length - filled) {
      throw bad("a match inside the block", `${length} bytes at distance ${distance}`);
    }
    // A match may overlap what it produces.
    for (let i = 0; i < length; i++) output[filled + i] = output[filled + i - distance] ?? 0;
    filled += length;
  }
  return filled;
}

function bad(expected: string, found: string): CrashlabError {
  return new CrashlabError(
    "bad-kernel",
    `expected ${expected} in the lz4 stream, found ${found}; the file is damaged`,
  );
}
