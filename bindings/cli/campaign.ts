/** `crashlab campaign`: many injections, and what they came to. */
import { availableParallelism } from "node:os";
import { Command } from "commander";
import { runCampaign } from "../campaign/campaign.ts";
import { formatSummary } from "../campaign/summary.ts";
import { examples, makeFolder, toJson } from "./files.ts";
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
  if (options.out !== undefined) await makeFolder(options.out);
  const cases = Number(options.cases);
  const begun = performance.now();
  const show = progress();
  let ran = 0;
  const summary = await runCampaign({
    seed: Number(options.seed),
    cases,
    jobs: options.jobs === undefined ? availableParallelism() : Number(options.jobs),
    memory: options.memory,
    cpus: Number(options.smp),
    budget: Number(options.budget),
    ...(options.append === undefined ? {} : { cmdline: options.append }),
    ...(options.out === undefined ? {} : { out: options.out, resume: options.resume ?? false }),
    onCase: (_record, done) => {
      ran++;
      const rate = (ran / (performance.now() - begun)) * 1000;
      const memory = Math.round(process.memoryUsage().rss / 1e6);
      show(`${done}/${cases} cases, ${rate.toFixed(1)}/s, ${memory} MB`, done >= cases);
    },
  });
  console.log(options.json ? toJson(summary) : formatSummary(summary));
  if (summary.failures.length > 0) process.exitCode = 1;
}
