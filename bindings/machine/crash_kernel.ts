/**
 * The machine's part in a dump that the crash kernel writes: it says over the doorbell what its makedumpfile is to do,
 * lets it run after the panic, and sees how it ends.
 */
import { CrashlabError } from "../error.ts";
import { type Disk, SECTOR, SparseDisk } from "./disk.ts";
import type { RunLimits } from "./limits.ts";

/** Guest nanoseconds from a panic until the crash kernel has found the doorbell, and some. */
const COMES_UP = 2_000_000_000n;
const BUDGET = 60e9;
/** For the dump's headers. */
const ROOM = 64 * 1024 * 1024;

/** The machine as the crash kernel's run needs it. */
export interface CrashKernelHost {
  readonly disk: Disk | undefined;
  readonly time: bigint;
  /** Kernels that have come up: two when one has jumped into another. */
  readonly kernels: number;
  /** How the machine has stopped for good. */
  readonly stopped: string | undefined;
  readonly lines: readonly string[];
  pump(done: () => boolean, limits: RunLimits, what: string): Promise<void>;
}

export class CrashKernel {
  /** Words for its makedumpfile; empty leaves them to the guest. */
  words = "";
  /** Exit status of its makedumpfile. */
  dumped: number | undefined;

  /** After a panic: lets the crash kernel write its dump; gives the disk with it. `words`: for its makedumpfile. */
  async run(
    host: CrashKernelHost,
    words: (diskBytes: number) => string,
    limits: RunLimits,
    onProgress: (bytes: number) => void,
  ): Promise<SparseDisk> {
    const { disk } = host;
    if (!(disk instanceof SparseDisk)) {
      throw new CrashlabError(
        "bad-option",
        "expected a machine with a crash kernel and its own dump disk, found one booted without crashkernel= or with " +
          'another disk; add "crashkernel=32M" to cmdline and leave disk out',
      );
    }
    this.words = words(Number(disk.sectors) * SECTOR);
    this.dumped = undefined;
    let seen = 0;
    const latest = host.time + COMES_UP;
    const none = (): boolean => host.kernels < 2 && host.time > latest;
    const done = (): boolean => {
      const written = disk.written();
      if (written !== seen) {
        seen = written;
        onProgress(seen);
      }
      return this.dumped !== undefined || host.stopped !== undefined || none();
    };
    await host.pump(done, { budget: BUDGET, ...limits }, "the crash kernel to write its dump");
    if (this.dumped === 0) return disk;
    if (none()) {
      throw new CrashlabError(
        "machine-stopped",
        "expected a crash kernel, found the first one still running; it starts only on a panic (panic_on_oops=1 makes an oops one)",
      );
    }
    const end = this.dumped === undefined ? `exit ${host.stopped}` : `status ${this.dumped}`;
    throw new CrashlabError(
      "machine-stopped",
      `expected the crash kernel to write its dump, found it ended with ${end}; the console says: ` +
        `${host.lines.slice(-3).join(" | ")}; capture({ via: "host" }) still works`,
    );
  }
}

/** A disk with room for a dump of all memory, uncompressed. */
export function dumpDisk(ramBytes: number): SparseDisk {
  return new SparseDisk(BigInt((ramBytes + ROOM) / SECTOR));
}
