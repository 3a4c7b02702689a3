/** How long the guest may run at most, and who may end or watch it. */
import { CrashlabError } from "../error.ts";

const NEVER = 1n << 64n;
/** Of a run, in guest nanoseconds. */
export const DEFAULT_BUDGET = 2e9;

/** How far a run has come, in guest nanoseconds since it began. */
export interface RunProgress {
  readonly done: number;
  /** The budget; Infinity where there is none. Most runs end long before. */
  readonly total: number;
}

/** How long the guest may run, and who may end it or watch it. */
export interface RunLimits {
  /** Guest nanoseconds (an instruction is one) to run at most; then `timeout` is thrown. Default 2e9. */
  readonly budget?: number;
  /**
   * Exceptions that the guest may take at most, counted every 20,000 instructions; then `timeout` is thrown.
   * A guest that does nothing but fault costs the host a hundred times as much as one that works. Default: any number.
   */
  readonly exceptions?: number;
  /** Ends the run with `aborted`; the machine stands where it is and can be run again. */
  readonly signal?: AbortSignal;
  /** Called for every 200,000 instructions or so. */
  readonly onProgress?: (progress: RunProgress) => void;
}

export interface InjectLimits extends RunLimits {
  /**
   * A kernel that panics runs until it halts or resets by itself, not only until its last line has been read: so
   * nothing depends on what the console says. Default false.
   */
  readonly toTheEnd?: boolean;
}

/** Throws `aborted` when the caller has given up. */
export function checkAborted(signal: AbortSignal | undefined, what: string): void {
  if (!signal?.aborted) return;
  throw new CrashlabError("aborted", `expected ${what}, found the caller's signal aborted`, {
    cause: signal.reason,
  });
}

/** Guest time at which a budget is used up. Throws `bad-option` for none. */
export function deadlineAfter(
  time: bigint,
  { budget = DEFAULT_BUDGET }: { readonly budget?: number },
): bigint {
  if (Number.isNaN(budget) || budget < 0) {
    throw new CrashlabError(
      "bad-option",
      `expected a budget of 0 or more guest nanoseconds, found ${budget}`,
    );
  }
  return time + (Number.isFinite(budget) ? BigInt(Math.floor(budget)) : NEVER);
}
