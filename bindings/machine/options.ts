/** What `boot()` takes. */
import { CrashlabError } from "../error.ts";
import type { Disk } from "./disk.ts";
import type { KasanOptions } from "./kasan.ts";
import type { KfenceOptions } from "./kfence.ts";
import type { RunProgress } from "./limits.ts";
import type { BootProtocol } from "./loaders/kernel.ts";
import type { NetconsoleDatagram } from "./netconsole.ts";

const MIB = 1024 * 1024;

/** What `boot()` takes; without any of it a machine of 128 MiB and one CPU comes up. */
export interface BootOptions {
  /** Guest memory: bytes, or a number with K, M or G. Default "128M". */
  readonly memory?: number | string;
  /** 1 to 8. Default 1. */
  readonly cpus?: number;
  /** How several CPUs take turns, by a number: see CoreOptions. */
  readonly interleaving?: number;
  /** Added to the default command line: `console=ttyS0 panic=0` and, for stock Linux, the words in docs/stock-linux.md. */
  readonly cmdline?: string;
  /** A vmlinux, bzImage or multiboot image; by default the kernel that comes with crashlab. */
  readonly kernel?: Uint8Array;
  /** By default crashlab's initramfs with crashlab's kernel, nothing with another. */
  readonly initrd?: Uint8Array;
  /**
   * Where the kernel's symbols are: a vmlinux with symbols or a System.map. By default those in the kernel's file or,
   * if it has none, the kallsyms that it carries.
   */
  readonly symbols?: Uint8Array;
  /** The .ko files that the guest may load, by module name, for source lines; crashlab's own need not be given. */
  readonly modules?: { readonly [name: string]: Uint8Array };
  readonly protocol?: BootProtocol;
  /**
   * What the guest's block device (/dev/cblk0) is. With `crashkernel=` on the command line it is by default a disk
   * in memory, where the crash kernel puts its dump; otherwise there is none.
   */
  readonly disk?: Disk;
  /**
   * Messages outlive the kernel: adds the `memmap=` and `ramoops.` parameters of a zone of 1 MiB, which
   * `machine.pstore` reads. Default false.
   */
  readonly pstore?: boolean;
  /** Find bad accesses of the kernel: see KasanOptions. */
  readonly kasan?: KasanOptions;
  /** Find bad accesses of a sample of the kernel's objects: see KfenceOptions. */
  readonly kfence?: KfenceOptions;
  /** Kernel pointers may carry a tag in their top byte (see CoreOptions). */
  readonly ignoreTopByte?: boolean;
  /** Unix time in seconds of the real-time clock at power-on. */
  readonly startSeconds?: number;
  /** Guest nanoseconds (an instruction is one) that booting may take before `timeout` is thrown. Default 5e9. */
  readonly budget?: number;
  /** Ends booting with `aborted`. */
  readonly signal?: AbortSignal;
  /** Called for every 200,000 instructions or so. */
  readonly onProgress?: (progress: RunProgress) => void;
  /** Console lines from the first one on: `on("console")` can be called only after booting. */
  readonly onConsole?: (line: string) => void;
  /** The same for raw console output. */
  readonly onOutput?: (bytes: Uint8Array) => void;
  /** The same for netconsole datagrams. */
  readonly onNetconsole?: (datagram: NetconsoleDatagram) => void;
}

/** A file given as an option; JavaScript may give anything. */
export function checkBytes(what: string, code: "bad-kernel" | "bad-initrd", bytes: unknown): void {
  if (bytes === undefined || bytes instanceof Uint8Array) return;
  throw new CrashlabError(
    code,
    `expected the bytes of the ${what} as Uint8Array, found ${typeof bytes}; read the file`,
  );
}

/** Bytes of "128M" and the like. */
export function parseMemory(memory: number | string): number {
  const match = /^(\d+)([KMG]?)$/i.exec(String(memory).trim());
  const factor = { "": 1, K: 1024, M: MIB, G: 1024 * MIB }[match?.[2]?.toUpperCase() ?? ""];
  if (match === null || factor === undefined) {
    throw new CrashlabError("bad-option", `expected memory such as "128M", found "${memory}"`);
  }
  return Number(match[1]) * factor;
}
