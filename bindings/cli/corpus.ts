/** `crashlab corpus`: labelled crashes, reproducible byte for byte. */
import { Command } from "commander";
import { writeCorpus } from "../corpus/corpus.ts";
import { examples, makeFolder, toJson, wholeNumber } from "./files.ts";
import { interruption } from "./interrupt.ts";
import { progress } from "./progress.ts";

interface Options {
  readonly seed: string;
  readonly cases: string;
  readonly json?: boolean;
  readonly memory: string;
  readonly smp: string;
}

export function corpusCommand(): Command {
  return new Command("corpus")
    .description("write matched sets: console log, report, ground truth, vmcore, and the symbols for all")
    .argument("<out>", "folder to write to")
    .option("--seed <number>", "which faults; the same seed gives the same files", "1")
    .option("--cases <number>", "how many sets", "20")
    .option("--json", "print the manifest as JSON")
    .option("--memory <size>", "guest memory", "32M")
    .option("--smp <cpus>", "CPUs of the guest", "2")
    .addHelpText(
      "after",
      examples(
        "crashlab corpus crashes --seed 7 --cases 100",
        "cd crashes && crash symbols/vmlinux cases/000000/vmcore",
      ),
    )
    .action(run);
}

async function run(out: string, options: Options): Promise<void> {
  await makeFolder(out);
  const cases = wholeNumber("--cases", options.cases);
  const show = progress();
  const manifest = await writeCorpus({
    out,
    cases,
    seed: wholeNumber("--seed", options.seed),
    memory: options.memory,
    cpus: wholeNumber("--smp", options.smp),
    signal: interruption(),
    onCase: (_entry, done) => show(`${done}/${cases} sets`, done === cases),
  });
  if (options.json) console.log(toJson(manifest));
  else {
    for (const { folder, fault, label, noVmcore } of manifest.cases)
      console.log(
        `${folder}  ${label.outcome.padEnd(7)}${fault}${noVmcore === undefined ? "" : "  (no vmcore)"}`,
      );
  }
}
