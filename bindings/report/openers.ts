/** All families of reports, and the one that a line opens. */
import type { Opened } from "./draft.ts";
import type { Family } from "./families/family.ts";
import { MEMORY } from "./families/memory.ts";
import { OOPS } from "./families/oops.ts";
import { PANIC } from "./families/panic.ts";
import { SANITIZERS } from "./families/sanitizers.ts";
import { USER } from "./families/user.ts";
import { WARNING } from "./families/warning.ts";
import { WATCHDOGS } from "./families/watchdogs.ts";

const FAMILIES: readonly Family[] = [SANITIZERS, OOPS, WARNING, WATCHDOGS, MEMORY, PANIC, USER];

/** One look at a line rules out most: every opening has one of these in it. */
const WORTH_A_LOOK =
  /BUG|WARNING|INFO|UBSAN|panic|fault|error|opcode|check|segment|TSS|exception|overflow|exceeded|int3|bounds|overrun|ENDBR|LOCKUP|oom-killer|failure|NMI|Machine Check|Oops|bad frame|trap/;

/** The report that a line opens, if any. */
export function readOpening(text: string): Opened | undefined {
  if (!WORTH_A_LOOK.test(text)) return undefined;
  for (const family of FAMILIES) {
    for (const [pattern, read] of family.opens) {
      const match = pattern.exec(text);
      if (match !== null) return { opening: read(match), family };
    }
  }
  return undefined;
}
