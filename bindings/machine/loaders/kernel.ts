/** Chooses how to load a kernel: by the caller's word, or by what the file is. */
import { CrashlabError } from "../../error.ts";
import type { BootImage, LoadOptions } from "./boot_image.ts";
import { isBzImage, unpackBzImage } from "./bzimage.ts";
import { isElf, parseElfImage } from "./elf_image.ts";
import { loadLinux64 } from "./linux64.ts";
import { findMultibootHeader, loadMultiboot } from "./multiboot.ts";
import { loadPvh } from "./pvh.ts";

/** How a kernel is entered. `auto`: multiboot if the file has its header, else the 64-bit Linux protocol. */
export type BootProtocol = "auto" | BootImage["protocol"];

/**
 * Prepares memory and registers for a kernel: a vmlinux, a bzImage (unpacked on the host) or a multiboot
 * image. Throws CrashlabError `bad-kernel`, `bad-initrd` or `bad-option` for everything that cannot start.
 */
export function loadKernel(options: LoadOptions, protocol: BootProtocol = "auto"): BootImage {
  const kernel = unpackKernel(options.kernel);
  if (kernel !== options.kernel) return loadElf({ ...options, kernel }, protocol);
  if (isElf(kernel) || findMultibootHeader(kernel) >= 0) return loadElf(options, protocol);
  throw new CrashlabError(
    "bad-kernel",
    `expected an ELF executable or a bzImage, found ${kernel.length === 0 ? "an empty file" : "neither"}; ` +
      "give a vmlinux, bzImage or multiboot image for x86-64",
  );
}

/** The vmlinux in a bzImage; other files as they are. */
export function unpackKernel(kernel: Uint8Array): Uint8Array {
  return isBzImage(kernel) ? unpackBzImage(kernel) : kernel;
}

function loadElf(options: LoadOptions, protocol: BootProtocol): BootImage {
  switch (protocol) {
    case "auto":
      return findMultibootHeader(options.kernel) >= 0
        ? loadMultiboot(options)
        : loadLinux64(options, parseElfImage(options.kernel));
    case "linux64":
      return loadLinux64(options);
    case "pvh":
      return loadPvh(options);
    case "multiboot":
      return loadMultiboot(options);
    default:
      throw new CrashlabError(
        "bad-option",
        `expected a protocol auto, linux64, pvh or multiboot, found "${String(protocol)}"`,
      );
  }
}
