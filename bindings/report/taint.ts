/** Taint flags: letters and bits of Linux 5.15-6.1 (kernel/panic.c, taint_flags). */
import type { TaintFlag } from "./types.ts";

/** Taint flags by bit (Linux Documentation/admin-guide/tainted-kernels.rst). */
export const TAINT_FLAGS: readonly TaintFlag[] = [
  ["P", "proprietary module was loaded"],
  ["F", "module was force loaded"],
  ["S", "kernel running on an out of specification system"],
  ["R", "module was force unloaded"],
  ["M", "processor reported a machine check"],
  ["B", "bad page referenced or unexpected page flags"],
  ["U", "taint requested by user space"],
  ["D", "kernel died recently: oops or BUG"],
  ["A", "ACPI table overridden by user"],
  ["W", "kernel issued a warning"],
  ["C", "staging driver was loaded"],
  ["I", "workaround for a bug in platform firmware applied"],
  ["O", "externally built (out-of-tree) module was loaded"],
  ["E", "unsigned module was loaded"],
  ["L", "soft lockup occurred"],
  ["K", "kernel has been live patched"],
  ["X", "auxiliary taint, defined by the distribution"],
  ["T", "kernel was built with the struct randomization plugin"],
  ["N", "an in-kernel test has been run"],
].map(([letter = "", meaning = ""], bit) => ({ letter, bit, meaning }));

/** Flags of a `Tainted:` field such as "G           OE". G says only that no proprietary module is there. */
export function parseTaint(letters: string): TaintFlag[] {
  return TAINT_FLAGS.filter((flag) => letters.includes(flag.letter));
}

/** Flags of the number in /proc/sys/kernel/tainted. */
export function taintOfNumber(value: number): TaintFlag[] {
  return TAINT_FLAGS.filter((flag) => ((value >> flag.bit) & 1) === 1);
}
