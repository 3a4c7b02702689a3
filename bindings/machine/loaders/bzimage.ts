/**
 * A bzImage: the kernel's setup code, decompressor and, in the middle, the packed vmlinux that this file
 * finds and unpacks on the host (the guest's own decompressor would cost thousands of millions of
 * instructions). Mirrors Linux Documentation/arch/x86/boot.rst, fields payload_offset and payload_length.
 */
import { CrashlabError } from "../../error.ts";
import { unpack } from "./unpack.ts";

const BOOT_FLAG = 0x1fe;
const SIGNATURE = 0x202;
const VERSION = 0x206;
const SETUP_SECTORS = 0x1f1;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
/** payload_offset exists from protocol 2.08 on (Linux 2.6.26). */
const FIRST_WITH_PAYLOAD = 0x0208;
const HEADER_END = 0x250;

export function isBzImage(bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_END) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint16(BOOT_FLAG, true) === 0xaa55 && view.getUint32(SIGNATURE, true) === 0x53726448;
}

/** The vmlinux inside a bzImage. */
export function unpackBzImage(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint16(VERSION, true);
  if (version < FIRST_WITH_PAYLOAD) {
    throw new CrashlabError(
      "bad-kernel",
      `expected a bzImage of boot protocol 2.08 or later, found ${version >> 8}.${version & 0xff}; give its vmlinux instead`,
    );
  }
  const setupSectors = view.getUint8(SETUP_SECTORS) || 4;
  const start = (setupSectors + 1) * 512 + view.getUint32(PAYLOAD_OFFSET, true);
  const length = view.getUint32(PAYLOAD_LENGTH, true);
  if (length < 8 || start + length > bytes.length) {
    throw new CrashlabError(
      "bad-kernel",
      `expected a payload of ${length} bytes at ${start} inside the bzImage, found a file of ${bytes.length} bytes; the file is cut short`,
    );
  }
  const payload = bytes.subarray(start, start + length);
  // The kernel's build appends the unpacked size; gzip's own trailer happens to be the same field.
  const size = view.getUint32(start + length - 4, true);
  const vmlinux = unpack(payload, size);
  if (vmlinux.length !== size) {
    throw new CrashlabError(
      "bad-kernel",
      `expected a kernel of ${size} bytes in the bzImage, found ${vmlinux.length}; the file is damaged`,
    );
  }
  return vmlinux;
}
