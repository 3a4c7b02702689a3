/** KFENCE: what it asks of the command line. docs/kfence.md. */
import { CrashlabError } from "../error.ts";

/**
 * - `sampleInterval`: milliseconds of guest time from one sampled allocation to the next, Linux's
 *   `kfence.sample_interval`; 0 turns it off. Default 100.
 */
export interface KfenceOptions {
  readonly sampleInterval?: number;
}

/** What `kfence` in the boot options adds to the command line. Throws `bad-option`. */
export function kfenceBoot(options: KfenceOptions | undefined): string {
  if (options === undefined) return "";
  const { sampleInterval = 100 } = options;
  if (!Number.isInteger(sampleInterval) || sampleInterval < 0 || sampleInterval > 1e9)
    throw new CrashlabError(
      "bad-option",
      `expected kfence.sampleInterval in whole milliseconds, 0 (off) to 1e9, found ${String(sampleInterval)}`,
    );
  return `kfence.sample_interval=${sampleInterval}`;
}
