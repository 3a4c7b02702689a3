/** `crashlab campaign`: many injections, and what they came to. */
import { availableParallelism } from "node:os";
import { Command } from "commander";
import { runCampaign } from "../campaign/campaign.ts";
import { withoutTruth } from "../campaign/journal.ts";
import type { CaseRecord } from "../campaign/runner.ts";
import { formatSummary, type Summary, summarize } from "../campaign/summary.ts";
import { CrashlabError } from "../error.ts";
import { SCHEMA_VERSION } from "../report/index.ts";
import { examples, makeFolder, toJson, wholeNumber } from "./files.ts";
import { interruption } from "./interrupt.ts";
import { progress } from "./progress.ts";

interface Options {
  readonly seed: string;
  readonly cases: string;
  readonly jobs?: string;
  readonly out?: string;
  readonly resume?: boolean;
  readonly json?: boolean;
  readonly memory: string;
  readonly smp: string;
  readonly budget: string;
  readonly append?: string;
}

export function campaignCommand(): Command {
  return new Command("campaign")
    .description("inject random faults, each into the same booted machine; exit 1 if crashlab failed in any")
    .option("--seed <number>", "which faults; the same seed gives the same results", "1")
    .option("--cases <number>", "how many", "100")
    .option("--jobs <number>", "threads; default as many as there are processors")
    .option("--out <folder>", "write journal, cases, summary and a page with charts there")
    .option("--resume", "go on with what the folder has")
    .option("--json", "print the summary as JSON")
    .option("--memory <size>", "guest memory", "32M")
    .option("--smp <cpus>", "CPUs of the guest", "2")
    .option("--budget <nanoseconds>", "guest time of a case, after which it is a hang", "200000000")
    .option("--append <words>", "words for the kernel command line")
    .addHelpText(
      "after",
      examples(
        "crashlab campaign --seed 7 --cases 1000 --out campaign7",
        "crashlab campaign --seed 7 --cases 5000 --out campaign7 --resume",
        "crashlab campaign --cases 20 --jobs 1 --json",
      ),
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  const cases = wholeNumber("--cases", options.cases);
  const seed = wholeNumber("--seed", options.seed);
  const jobs = options.jobs === undefined ? availableParallelism() : wholeNumber("--jobs", options.jobs);
  if (options.resume && options.out === undefined) {
    throw new CrashlabError("bad-option", "expected --out with --resume, found none; name the folder");
  }
  if (options.out !== undefined) await makeFolder(options.out);
  const begun = performance.now();
  const show = progress();
  const records: CaseRecord[] = [];
  const running = runCampaign({
    seed,
    cases,
    jobs,
    memory: options.memory,
    cpus: wholeNumber("--smp", options.smp),
    budget: wholeNumber("--budget", options.budget),
    signal: interruption(),
    ...(options.append === undefined ? {} : { cmdline: options.append }),
    ...(options.out === undefined ? {} : { out: options.out, resume: options.resume ?? false }),
    onCase: (record, done) => {
      records.push(withoutTruth(record));
      const rate = (records.length / (performance.now() - begun)) * 1000;
      const memory = Math.round(process.memoryUsage().rss / 1e6);
      show(`${done}/${cases} cases, ${rate.toFixed(1)}/s, ${memory} MB`, done >= cases);
    },
  });
  const print = (summary: Summary): void =>
    console.log(options.json ? toJson(summary) : formatSummary(summary));
  const summary = await running.catch((error: unknown) => {
    if (!(error instanceof CrashlabError && error.code === "aborted")) throw error;
    if (options.out === undefined) print(summarize(SCHEMA_VERSION, seed, records));
    const kept =
      options.out === undefined ? "those that ran are summed up" : "the folder has those that ran; --resume";
    throw new CrashlabError(
      "aborted",
      `expected ${cases} cases, found Ctrl-C after ${records.length}; ${kept}`,
      {
        cause: error,
      },
    );
  });
  print(summary);
  if (summary.failures.length > 0) process.exitCode = 1;
}
