/**
 * Damaged kernels and snapshots: each is refused with a `CrashlabError`, or makes a machine, which then runs for a while.
 * Kernels come as ELF files of all three protocols and as bzImages; damage goes to their headers, notes and tables.
 */
import { Core } from "../core/core.ts";
import { decodeSnapshot, encodeSnapshot } from "../core/snapshot.ts";
import { CrashlabError } from "../error.ts";
import { type BootProtocol, loadKernel } from "../machine/loaders/kernel.ts";
import { Random } from "./random.ts";
import { IMAGE } from "./system/image.ts";
import { makeCases, systemSubjects } from "./system.ts";
import { interruptible } from "./turns.ts";

export interface ImagesOptions {
  /** Case `n` is made from `seed + n` alone. Default 1. */
  readonly seed?: number;
  /** Default 1000. */
  readonly cases?: number;
  /** Kernels to damage, besides a multiboot image of its own. */
  readonly kernels?: readonly Uint8Array[];
  /** Ends the run early; the outcome is of what ran. */
  readonly signal?: AbortSignal;
  readonly onCase?: (progress: { readonly seed: number; readonly cases: number }) => void;
}
export interface ImagesOutcome {
  readonly cases: number;
  /** How many were refused, by the error's code; `ran`: those that were not. */
  readonly ends: Readonly<{ [end: string]: number }>;
  /** One line a failure: its seed and what happened. */
  readonly failures: readonly string[];
}

const RAM = 32 << 20;
/** What a header's or a table's field may hold when somebody means harm. */
const FIELDS = [
  0n,
  1n,
  0xffn,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0xfffff000n,
  1n << 63n,
  (1n << 64n) - 1n,
];
const REFUSALS: readonly string[] = ["bad-kernel", "bad-initrd", "bad-option", "bad-snapshot"];

/** Runs so many cases. */
export async function fuzzImages(options: ImagesOptions = {}): Promise<ImagesOutcome> {
  const { seed: first = 1, cases = 1000, kernels = [], signal, onCase } = options;
  const sources = [IMAGE.build(makeCases(first, 50, systemSubjects), 0), ...kernels];
  const core = await Core.create({ ramBytes: RAM, cpus: 2, recordInputs: false });
  const ends: { [end: string]: number } = {};
  const failures: string[] = [];
  core.start(loadKernel({ kernel: sources[0] ?? new Uint8Array(), commandLine: "", ramBytes: RAM, cpus: 2 }));
  core.run(100_000);
  const snapshot = encodeSnapshot(core.snapshot());
  const stopped = interruptible(signal);
  let n = 0;
  for (; n < cases && failures.length < 20; n++) {
    if (await stopped()) break;
    const seed = first + n;
    onCase?.({ seed, cases: n });
    const random = new Random(seed);
    let end = "ran";
    try {
      if (random.oneIn(3)) core.restore(decodeSnapshot(damaged(random, snapshot)));
      else {
        const kernel = damaged(random, random.pick(sources));
        const protocol = random.pick<BootProtocol>(["auto", "auto", "linux64", "pvh", "multiboot"]);
        const initrd = random.oneIn(4) ? { initrd: random.bytes(random.below(1 << 20)) } : {};
        const image = loadKernel({ kernel, ...initrd, commandLine: "x", ramBytes: RAM, cpus: 2 }, protocol);
        core.reset();
        core.start(image);
      }
      core.run(20_000);
    } catch (error) {
      if (error instanceof CrashlabError && REFUSALS.includes(error.code)) end = error.code;
      else {
        end = "failed";
        failures.push(
          `seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        );
      }
    }
    ends[end] = (ends[end] ?? 0) + 1;
  }
  return { cases: n, ends, failures };
}

/** A copy with some bytes or whole fields changed, or its end missing. Most damage is near the beginning. */
function damaged(random: Random, from: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = from.slice(0, random.oneIn(8) ? random.below(from.length) : from.length);
  const view = new DataView(bytes.buffer);
  for (let changes = 1 + random.below(6); changes > 0; changes--) {
    const reach = Math.min(bytes.length - 8, random.pick([64, 64, 512, 0x400, 0x2000, bytes.length]));
    if (reach <= 0) break;
    const at = random.below(reach);
    const value = random.oneIn(3) ? random.interesting() : random.pick(FIELDS);
    switch (random.below(4)) {
      case 0:
        bytes[at] = random.below(256);
        break;
      case 1:
        view.setUint16(at & ~1, Number(value & 0xffffn), true);
        break;
      case 2:
        view.setUint32(at & ~3, Number(value & 0xffffffffn), true);
        break;
      default:
        view.setBigUint64(at & ~7, value, true);
    }
  }
  return bytes;
}
