/** The one error of the library. */

/**
 * What went wrong, for programs to decide on:
 *
 * - `bad-kernel`, `bad-initrd`, `bad-module`: a file that is not what it should be
 * - `bad-option`: an option out of range or of the wrong form
 * - `bad-address`: guest memory that does not exist or is not mapped
 * - `bad-vmcore`: a dump that is none, or damaged
 * - `bad-snapshot`: a snapshot of another version, or damaged
 * - `bad-report`: a document of crash reports that is none, or of another version
 * - `missing-asset`: a part of crashlab itself was not found (build it)
 * - `out-of-memory`: the host has no room for the guest's memory
 * - `machine-stopped`: the machine halted for good, reset or faulted where it had to run, or was disposed of
 * - `timeout`: a budget ran out
 * - `aborted`: the caller's AbortSignal fired
 * - `core-failure`: the core itself failed; a defect of crashlab
 */
export type CrashlabErrorCode =
  | "bad-kernel"
  | "bad-initrd"
  | "bad-module"
  | "bad-option"
  | "bad-address"
  | "bad-vmcore"
  | "bad-snapshot"
  | "bad-report"
  | "missing-asset"
  | "out-of-memory"
  | "machine-stopped"
  | "timeout"
  | "aborted"
  | "core-failure";

/** Every error that crashlab throws. The message says what was expected, what was found and what to do. */
export class CrashlabError extends Error {
  override readonly name = "CrashlabError";
  readonly code: CrashlabErrorCode;

  constructor(code: CrashlabErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
