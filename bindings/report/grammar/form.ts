/** One kind of report in the grammar. */
import type { CrashKind } from "../types.ts";
import type { Reading, Rule } from "./rules.ts";

export interface Form {
  readonly kind: CrashKind;
  /** Whether a report of this kind begins here. Takes nothing. */
  readonly head: Rule;
  readonly rule: Rule;
  /** What lines must have to do with each other: what was expected, when they do not. */
  readonly checks?: readonly ((reading: Reading) => string | undefined)[];
}
