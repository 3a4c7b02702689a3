/** Unpacks the compressed kernel of a bzImage: gzip, xz, zstd, lz4, told apart by their first bytes. */
import { gunzipSync } from "fflate";
import { decompress as decompressZstd } from "fzstd";
import { CrashlabError } from "../../error.ts";
import { unpackLz4Legacy } from "./lz4.ts";
import { unpackXz } from "./xz.ts";

/** Larger kernels do not exist; a larger claim is a damaged or hostile file. */
const SIZE_LIMIT = 512 * 1024 * 1024;

interface Format {
  readonly name: string;
  readonly magic: readonly number[];
  readonly unpack?: (payload: Uint8Array, size: number) => Uint8Array;
}

/** The kernel's build appends four bytes of size to all but gzip, whose trailer ends with them. */
const FORMATS: readonly Format[] = [
  {
    name: "gzip",
    magic: [0x1f, 0x8b],
    unpack: (payload, size) => gunzipSync(payload, { out: new Uint8Array(size) }),
  },
  {
    name: "xz",
    magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0],
    unpack: (payload, size) => unpackXz(payload.subarray(0, -4), size),
  },
  {
    name: "zstd",
    magic: [0x28, 0xb5, 0x2f, 0xfd],
    unpack: (payload, size) => decompressZstd(payload.subarray(0, -4), new Uint8Array(size)),
  },
  {
    name: "lz4",
    magic: [0x02, 0x21, 0x4c, 0x18],
    unpack: (payload, size) => unpackLz4Legacy(payload.subarray(0, -4), size),
  },
  { name: "bzip2", magic: [0x42, 0x5a, 0x68] },
  { name: "lzma", magic: [0x5d, 0, 0] },
  { name: "lzop", magic: [0x89, 0x4c, 0x5a] },
];

/** Unpacks a payload that says it becomes `size` bytes. */
export function unpack(payload: Uint8Array, size: number): Uint8Array {
  const format = FORMATS.find((each) => each.magic.every((byte, index) => payload[index] === byte));
  if (format?.unpack === undefined) {
    const start = [...payload.subarray(0, 6)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    throw new CrashlabError(
      "bad-kernel",
      `expected a kernel packed with gzip, xz, zstd or lz4, found ${format?.name ?? `bytes ${start}`}; give its vmlinux instead`,
    );
  }
  if (size > SIZE_LIMIT) {
    throw new CrashlabError(
      "bad-kernel",
      `expected a kernel of at most ${SIZE_LIMIT} bytes, found ${size}; the file is damaged`,
    );
  }
  try {
    return format.unpack(payload, size);
  } catch (cause) {
    if (cause instanceof CrashlabError) throw cause;
    throw new CrashlabError(
      "bad-kernel",
      `expected a ${format.name} stream, found ${cause instanceof Error ? cause.message : String(cause)}; the file is damaged`,
      { cause },
    );
  }
}
