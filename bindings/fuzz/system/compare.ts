/** Comparison of outcomes: what differs, apart from where QEMU is known to (known.ts). */
import { LEGACY_FIELDS } from "../legacy/image.ts";
import { isEndOfCore, KNOWN_LEGACY } from "../legacy/known.ts";
import type { Case } from "./case.ts";
import type { Known } from "./known.ts";
import { KNOWN_PAGING } from "./known_paging.ts";
import { isEndOfQemu, KNOWN_REGISTERS } from "./known_registers.ts";
import { KNOWN_TRANSFERS } from "./known_transfers.ts";
import { type Outcome, RECORD_FIELDS } from "./record.ts";

interface Comparison {
  /** What differs, expected from QEMU and found in the core. */
  readonly found: readonly string[];
  /** Known differences that were met. */
  readonly reasons: readonly string[];
}

const KNOWN: readonly Known[] = [...KNOWN_PAGING, ...KNOWN_TRANSFERS, ...KNOWN_REGISTERS];

export function differencesOf(each: Case, qemu: Outcome, core: Outcome): Comparison {
  if (typeof qemu === "string" || typeof core === "string") {
    const isEnd = qemu === "reset" || qemu === "abort";
    if (isEnd && typeof core !== "string" && isEndOfQemu(each, core))
      return {
        found: [],
        reasons: ["LTR refuses null and, in IA-32e mode, a 16-bit TSS (SDM 2A); QEMU takes them, and ends"],
      };
    if (core === "reset" && typeof qemu !== "string" && isEndOfCore(each))
      return {
        found: [],
        reasons: [
          "a push beyond the limit of the stack is #SS, and so is its handler's (SDM 3A 5.3); QEMU looks at no limit of data",
        ],
      };
    const name = (one: Outcome): string => (typeof one === "string" ? one : `vector ${one["vector"]}`);
    return {
      found: name(qemu) === name(core) ? [] : [`expected ${name(qemu)} found ${name(core)}`],
      reasons: [],
    };
  }
  const reasons = new Set<string>();
  const found: string[] = [];
  const isLegacy = each.name.startsWith("32-bit ");
  for (const word of isLegacy ? LEGACY_FIELDS : RECORD_FIELDS) {
    if (qemu[word] === core[word]) continue;
    const known = (isLegacy ? KNOWN_LEGACY : KNOWN).find(({ covers }) => covers(word, qemu, core, each));
    if (known !== undefined) reasons.add(known.reason);
    else found.push(`${word} expected ${qemu[word]?.toString(16)} found ${core[word]?.toString(16)}`);
  }
  return { found, reasons: [...reasons] };
}
