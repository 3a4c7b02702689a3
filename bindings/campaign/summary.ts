/** What a campaign came to: the same for the same records, in whatever order they came. */
import type { CaseRecord } from "./runner.ts";

export const OUTCOMES = ["report", "panic", "clean", "hang", "reset", "failed"] as const;
/** How a case ended. */
export type CaseOutcome = (typeof OUTCOMES)[number];

/** Cases by outcome. */
export type Counts = { readonly [outcome in CaseOutcome]: number };

/** Reports of the same bug. */
export interface Signature {
  readonly dedupeKey: string;
  readonly title: string;
  readonly kind: string;
  readonly count: number;
  /** The first cases that ended in it, at most 5. */
  readonly cases: readonly number[];
  /** Kinds of faults that led to it. */
  readonly faults: readonly string[];
}

/** What came of a campaign. */
export interface Summary {
  readonly schema: string;
  readonly seed: number;
  readonly cases: number;
  readonly outcomes: Counts;
  /** By kind of fault: the first words of its name. */
  readonly faults: readonly { readonly fault: string; readonly cases: number; readonly outcomes: Counts }[];
  /** By number of cases, most first. */
  readonly signatures: readonly Signature[];
  /** Cases where the console and the machine's state say different things. */
  readonly disagreements: readonly {
    readonly index: number;
    readonly fault: string;
    readonly console: CaseOutcome;
    readonly state: CaseOutcome;
  }[];
  /** Cases that crashlab itself did not get through. */
  readonly failures: readonly { readonly index: number; readonly fault: string; readonly error: string }[];
}

export function summarize(schema: string, seed: number, records: readonly CaseRecord[]): Summary {
  const ordered = [...records].sort((a, b) => a.index - b.index);
  const byFault = groupBy(ordered, ({ fault }) => kindOfFault(fault));
  const bySignature = groupBy(
    ordered.filter(({ report }) => report !== undefined),
    ({ report }) => report?.dedupeKey ?? "",
  );
  return {
    schema,
    seed,
    cases: ordered.length,
    outcomes: count(ordered),
    faults: [...byFault]
      .map(([fault, cases]) => ({ fault, cases: cases.length, outcomes: count(cases) }))
      .sort((a, b) => (a.fault < b.fault ? -1 : 1)),
    signatures: [...bySignature]
      .map(([dedupeKey, cases]) => ({
        dedupeKey,
        title: cases[0]?.report?.title ?? "",
        kind: cases[0]?.report?.kind ?? "",
        count: cases.length,
        cases: cases.slice(0, 5).map(({ index }) => index),
        faults: [...new Set(cases.map(({ fault }) => kindOfFault(fault)))].sort(),
      }))
      .sort((a, b) => b.count - a.count || (a.dedupeKey < b.dedupeKey ? -1 : 1)),
    disagreements: ordered.flatMap(({ index, fault, outcome, truthOutcome }) =>
      truthOutcome === undefined || truthOutcome === outcome
        ? []
        : [{ index, fault, console: outcome, state: truthOutcome }],
    ),
    failures: ordered.flatMap(({ index, fault, error }) =>
      error === undefined ? [] : [{ index, fault, error }],
    ),
  };
}

/** For people. */
export function formatSummary(summary: Summary): string {
  const { cases, seed, outcomes, faults, signatures, disagreements, failures } = summary;
  const percent = (part: number): string => `${((100 * part) / Math.max(1, cases)).toFixed(1)}%`;
  const lines = [
    `${cases} cases of seed ${seed}`,
    "",
    ...OUTCOMES.map(
      (name) =>
        `  ${name.padEnd(8)}${String(outcomes[name]).padStart(6)}  ${percent(outcomes[name]).padStart(6)}`,
    ),
    "",
    `  ${"fault".padEnd(20)}${["cases", ...OUTCOMES].map((name) => name.padStart(8)).join("")}`,
    ...faults.map(
      (row) =>
        `  ${row.fault.padEnd(20)}${[row.cases, ...OUTCOMES.map((name) => row.outcomes[name])].map((n) => String(n).padStart(8)).join("")}`,
    ),
    "",
    `${signatures.length} signatures:`,
    ...signatures.map(
      ({ count: n, title, cases: [first] }) => `${String(n).padStart(6)}  ${title} (case ${first})`,
    ),
  ];
  if (disagreements.length > 0) {
    lines.push("", `${disagreements.length} cases where the console and the machine's state differ:`);
    for (const { index, fault, console: said, state } of disagreements)
      lines.push(`  case ${index}, ${fault}: ${said} by the console, ${state} by the state`);
  }
  if (failures.length > 0) {
    lines.push("", `${failures.length} cases failed:`);
    for (const { index, fault, error } of failures) lines.push(`  case ${index}, ${fault}: ${error}`);
  }
  return lines.join("\n");
}

/** `flip:register`, `labcrash`, `nmi`: the name without its particulars. */
export function kindOfFault(name: string): string {
  const [first = "", second = ""] = name.split(":");
  return first === "flip" ? `${first}:${second}` : first;
}

function count(records: readonly CaseRecord[]): Counts {
  const counts = { report: 0, panic: 0, clean: 0, hang: 0, reset: 0, failed: 0 };
  for (const { outcome } of records) counts[outcome]++;
  return counts;
}

function groupBy(
  records: readonly CaseRecord[],
  key: (record: CaseRecord) => string,
): Map<string, CaseRecord[]> {
  const groups = new Map<string, CaseRecord[]>();
  for (const record of records) {
    const group = groups.get(key(record));
    if (group === undefined) groups.set(key(record), [record]);
    else group.push(record);
  }
  return groups;
}
