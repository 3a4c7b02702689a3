/** `crashlab vectors`: the core against results measured on a real CPU. */
import { Command } from "commander";
import { CrashlabError } from "../error.ts";
import { interruptible } from "../fuzz/turns.ts";
import { SCHEMA_VERSION } from "../report/index.ts";
import { VectorSet } from "../vectors/load.ts";
import { VectorRunner } from "../vectors/run.ts";
import { examples, toJson, wholeNumber } from "./files.ts";
import { interruption } from "./interrupt.ts";
import { clearProgress, progress } from "./progress.ts";

interface Options {
  readonly group?: string;
  readonly limit: string;
  readonly json?: boolean;
}

interface Tally {
  run: number;
  mismatches: number;
  readonly first: { id: string; text: string; tags: readonly string[]; differences: string[] }[];
}

export function vectorsCommand(): Command {
  return new Command("vectors")
    .description("run instruction vectors measured on a real CPU; exit 1 when the core differs from it")
    .argument("<folder>", "folder with the vectors")
    .option("--group <name>", "int, seq, sse, x87, fault, opt, or a class of one, e.g. int.alu")
    .option("--limit <n>", "mismatches to show for each class", "3")
    .option("--json", "print the result as JSON")
    .addHelpText("after", examples("crashlab vectors test/data/vectors --group int"))
    .action(runVectors);
}

async function runVectors(folder: string, options: Options): Promise<void> {
  const limit = wholeNumber("--limit", options.limit);
  const set = await loadGroup(folder, options.group);
  const runner = await VectorRunner.create(set);
  const tallies = new Map<string, Tally>();
  const signal = interruption();
  const stopped = interruptible(signal);
  const show = progress();
  let done = 0;
  for (const vector of set.vectors()) {
    if (await stopped()) break;
    show(`${done++} vectors, ${vector.group}`, false);
    if (options.group?.includes(".") === true && vector.group !== options.group) continue;
    const tally: Tally = tallies.get(vector.group) ?? { run: 0, mismatches: 0, first: [] };
    tallies.set(vector.group, tally);
    tally.run++;
    const differences = runner.run(vector);
    if (differences.length === 0) continue;
    tally.mismatches++;
    if (tally.first.length < limit) {
      tally.first.push({ id: vector.id, text: vector.text, tags: vector.tags, differences });
    }
  }
  clearProgress();
  const document = { schema: SCHEMA_VERSION, groups: Object.fromEntries(tallies) };
  console.log(options.json === true ? toJson(document) : table(tallies));
  if ([...tallies.values()].some(({ mismatches }) => mismatches > 0)) process.exitCode = 1;
  if (signal.aborted) {
    throw new CrashlabError(
      "aborted",
      `expected all vectors, found Ctrl-C after ${done}; these are summed up`,
    );
  }
}

/** The file of a class is the part before its dot; sse41 and the like lie with sse. */
function loadGroup(folder: string, group: string | undefined): Promise<VectorSet> {
  return VectorSet.load(folder, group === undefined ? undefined : [group.replace(/\..*/, "")]);
}

function table(tallies: ReadonlyMap<string, Tally>): string {
  const lines: string[] = [];
  for (const [group, { run, mismatches, first }] of [...tallies].sort(([a], [b]) => (a < b ? -1 : 1))) {
    lines.push(
      `${group.padEnd(16)} ${String(run).padStart(6)} run ${String(mismatches).padStart(6)} mismatches`,
    );
    for (const { id, text, tags, differences } of first) {
      lines.push(`  ${id} ${text} [${tags.join(" ")}]`, ...differences.map((line) => `    ${line}`));
    }
  }
  return lines.join("\n");
}
