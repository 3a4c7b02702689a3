/** A campaign: cases drawn from a seed, each run from the same snapshot, over as many threads as there are to be. */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadCore, loadGuest } from "#assets";
import { CrashlabError } from "../error.ts";
import { SCHEMA_VERSION } from "../report/types.ts";
import { Journal, type JournalHeader, withoutTruth } from "./journal.ts";
import { summaryPage } from "./page.ts";
import { runInThreads } from "./pool.ts";
import { type CaseRecord, CaseRunner, type RunnerOptions } from "./runner.ts";
import { formatSummary, type Summary, summarize } from "./summary.ts";

/** What a campaign runs, and where its results go. */
export interface CampaignOptions extends RunnerOptions {
  /** How many cases: 0 to cases - 1. */
  readonly cases: number;
  /** Where journal.jsonl, cases.jsonl, summary.json, summary.txt and index.html go; without it nothing is written. */
  readonly out?: string;
  /** Threads, each with a machine; 0 for none beside the caller's. Default 1. */
  readonly jobs?: number;
  /** Goes on with what `out` has. Default false. */
  readonly resume?: boolean;
  readonly signal?: AbortSignal;
  /** Called when a case has ended. */
  readonly onCase?: (record: CaseRecord, done: number) => void;
}

/** Runs what has not been run yet. Throws `bad-option`, `aborted`; a case that fails is in the summary. */
export async function runCampaign(options: CampaignOptions): Promise<Summary> {
  const {
    seed = 1,
    memory = "32M",
    cpus = 2,
    cmdline = "",
    budget = 200e6,
    cases,
    jobs = 1,
    out,
    signal,
  } = options;
  const runner: RunnerOptions = { seed, memory, cpus, cmdline, budget };
  checkCount("cases", cases, 1);
  checkCount("jobs", jobs, 0);
  if (out !== undefined) mkdirSync(out, { recursive: true });
  const header: JournalHeader = {
    schema: SCHEMA_VERSION,
    seed,
    memory,
    cpus,
    cmdline,
    budget,
    build: await build(),
  };
  using journal =
    out === undefined ? undefined : Journal.open(join(out, "journal.jsonl"), header, options.resume ?? false);
  const records = journal?.records ?? new Map<number, CaseRecord>();
  const missing = pending(cases, records);
  const take = (record: CaseRecord): void => {
    if (journal === undefined) records.set(record.index, withoutTruth(record));
    else journal.add(record);
    options.onCase?.(record, records.size);
  };
  const left = cases - [...records.keys()].filter((index) => index < cases).length;
  if (left > 0 && jobs > 0) await runInThreads(runner, missing, Math.min(jobs, left), take, signal);
  else if (left > 0) await runHere(runner, missing, take, signal);
  const all = [...records.values()].filter(({ index }) => index < cases).sort((a, b) => a.index - b.index);
  const summary = summarize(SCHEMA_VERSION, seed, all);
  if (out !== undefined) {
    journal?.writeCases(join(out, "cases.jsonl"), cases);
    writeFileSync(join(out, "summary.json"), `${JSON.stringify(summary, null, 2)}\n`);
    writeFileSync(join(out, "summary.txt"), `${formatSummary(summary)}\n`);
    writeFileSync(join(out, "index.html"), summaryPage(summary));
  }
  return summary;
}

async function runHere(
  options: RunnerOptions,
  cases: Iterator<number>,
  take: (record: CaseRecord) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const runner = await CaseRunner.create(options);
  for (let next = cases.next(); next.done !== true; next = cases.next()) {
    if (signal?.aborted)
      throw new CrashlabError("aborted", "expected the campaign to end, found the caller's signal aborted");
    take(await runner.record(next.value));
  }
}

/** Numbers of cases without a record, each once. */
function* pending(cases: number, records: ReadonlyMap<number, CaseRecord>): Generator<number, undefined> {
  const done = new Set(records.keys());
  for (let index = 0; index < cases; index++) if (!done.has(index)) yield index;
  return undefined;
}

/** Digest of what decides a case's course beside its options. */
async function build(): Promise<string> {
  const hash = createHash("sha256");
  for (const bytes of [await loadCore(), await loadGuest("vmlinux"), await loadGuest("initramfs.cpio")])
    hash.update(bytes);
  return hash.digest("hex");
}

function checkCount(name: string, value: number, low: number): void {
  if (Number.isSafeInteger(value) && value >= low) return;
  throw new CrashlabError("bad-option", `expected ${name} as a whole number from ${low}, found ${value}`);
}
