/** What a core is built of, and the check of what callers hand in. */
import { CrashlabError } from "../error.ts";

export const MIB: number = 0x100000;
/** 2024-01-01T00:00:00Z */
const START_2024 = 1704067200;

/** What a core is built of. */
export interface CoreOptions {
  /** Bytes of guest memory: whole MiB from 1 MiB to 3.5 GiB. Default 128 MiB. */
  readonly ramBytes?: number;
  /** 1 to 8. Default 1. */
  readonly cpus?: number;
  /**
   * With several CPUs, which run in turns of 10,000 instructions: a number from 1 to 2^32 - 1 makes the turns' lengths (1 to
   * 65,536) random, each number in its own way, always the same. Races of the guest that one number does not show another
   * may. Default 0: equal turns.
   */
  readonly interleaving?: number;
  /** Unix time in seconds that the real-time clock shows at power-on. Default 2024-01-01T00:00:00Z. */
  readonly startSeconds?: number;
  /** 0 to 2. Default 2. */
  readonly serialPorts?: number;
  /**
   * Data accesses in ring 0 ignore bits 56-63 of an address whose bits 47-55 are ones, so that kernel pointers can
   * carry a tag there, as with ARM's TBI. CR2 holds the address without the tag. Jumps, the user's accesses and
   * descriptor tables do not take part. Default false.
   */
  readonly ignoreTopByte?: boolean;
  /**
   * The processor can check the kernel's data accesses against a shadow (CPUID leaf 40000001h; docs/kasan.md), once the
   * guest turns that on. Default false.
   */
  readonly shadowCheck?: boolean;
  /** Keep what enters the machine, for replay. Default true. */
  readonly recordInputs?: boolean;
  /** The compiled core; by default the one that was built with the library. */
  readonly wasm?: Uint8Array<ArrayBuffer>;
}

/** The options with their defaults, apart from the core's bytes. */
export type CompleteOptions = Required<Omit<CoreOptions, "wasm">>;

/** Throws `bad-option` for sizes out of range. */
export function completeOptions(options: CoreOptions): CompleteOptions {
  const {
    ramBytes = 128 * MIB,
    cpus = 1,
    interleaving = 0,
    startSeconds = START_2024,
    serialPorts = 2,
    ignoreTopByte = false,
    shadowCheck = false,
    recordInputs = true,
  } = options;
  check("ramBytes", ramBytes, MIB, 3584 * MIB, MIB);
  check("cpus", cpus, 1, 8, 1);
  check("interleaving", interleaving, 0, 2 ** 32 - 1, 1);
  check("serialPorts", serialPorts, 0, 2, 1);
  check("startSeconds", startSeconds, 0, 2 ** 33, 1);
  return {
    ramBytes,
    cpus,
    interleaving,
    startSeconds,
    serialPorts,
    ignoreTopByte,
    shadowCheck,
    recordInputs,
  };
}

/** Throws `bad-option` unless `value` is a multiple of `step` from `low` to `high`. */
export function check(name: string, value: number, low: number, high: number, step: number): void {
  if (Number.isFinite(value) && value >= low && value <= high && value % step === 0) return;
  const unit = step === 1 ? "whole numbers" : `multiples of ${step}`;
  throw new CrashlabError("bad-option", `expected ${name} from ${low} to ${high} in ${unit}, found ${value}`);
}
