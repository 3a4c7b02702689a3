/** `crashlab fuzz`: the core against random machines, the readers against damaged files. */
import { Command } from "commander";
import { CrashlabError } from "../error.ts";
import { fuzzFiles } from "../fuzz/files.ts";
import { fuzzHostile } from "../fuzz/hostile.ts";
import { fuzzNative } from "../fuzz/native.ts";
import { watch } from "../fuzz/watchdog.ts";
import { examples, toJson } from "./files.ts";

export function fuzzCommand(): Command {
  const fuzz = new Command("fuzz").description("try the machine with random programs; exit 1 when it fails");
  fuzz
    .command("hostile")
    .description("random code, page tables and device traffic: nothing may trap, throw or hang")
    .option("--seed <n>", "seed of the first round; the next rounds have the next ones", "1")
    .option("--instructions <n>", "instructions to run", "1000000")
    .option("--json", "print the result as JSON")
    .addHelpText("after", examples("crashlab fuzz hostile --seed 1 --instructions 100000000"))
    .action(runHostile);
  fuzz
    .command("native")
    .description("random user programs on this processor and on the core: registers, flags, memory, faults")
    .option("--seed <n>", "seed of the first program; the next ones have the next", "1")
    .option("--instructions <n>", "instructions to run on each side", "1000000")
    .option("--limit <n>", "differences after which it stops", "20")
    .option("--json", "print the result as JSON")
    .addHelpText("after", examples("crashlab fuzz native --seed 1 --instructions 10000000"))
    .action(runNative);
  fuzz
    .command("files")
    .description("damaged dumps, kernels, modules and logs: each ends in a result or a typed error")
    .option("--seed <n>", "seed of the first file; the next ones have the next", "1")
    .option("--files <n>", "files to read", "1000")
    .option("--json", "print the result as JSON")
    .addHelpText("after", examples("crashlab fuzz files --seed 1 --files 100000"))
    .action(runFiles);
  for (const command of fuzz.commands) command.exitOverride().showHelpAfterError();
  return fuzz;
}

interface Flags {
  readonly seed: string;
  readonly instructions: string;
  readonly json?: boolean;
}

async function runFiles(flags: {
  readonly seed: string;
  readonly files: string;
  readonly json?: boolean;
}): Promise<void> {
  const files = count("--files", flags.files);
  const progress = progressLine(files);
  await using watchdog = watch(SILENCE_SECONDS);
  const outcome = await fuzzFiles({
    ...{ seed: count("--seed", flags.seed), files },
    onFile: (file) => {
      watchdog.beat(file.seed);
      progress({ seed: file.seed, instructions: file.files });
    },
  });
  clearProgress();
  const { errors, failures, slowest } = outcome;
  if (flags.json === true) console.log(toJson(outcome));
  else {
    for (const failure of failures) console.log(failure);
    const ends = Object.entries(errors).map(([code, times]) => `${code} ${times}`);
    console.log(
      `${outcome.read} read, ${outcome.withProblems} of them with problems named; errors: ${ends.join(", ")}`,
    );
    console.log(
      `slowest ${slowest.milliseconds.toFixed(0)} ms (seed ${slowest.seed}, ${slowest.kind}); ` +
        `at most ${outcome.residentMiB.toFixed(0)} MiB resident`,
    );
    console.log(`${outcome.files} files from seed ${flags.seed}, ${failures.length} failures`);
  }
  if (failures.length > 0) process.exitCode = 1;
}

async function runNative(flags: Flags & { readonly limit: string }): Promise<void> {
  const outcome = await fuzzNative({
    seed: count("--seed", flags.seed),
    instructions: count("--instructions", flags.instructions),
    limit: count("--limit", flags.limit),
    onProgram: progressLine(count("--instructions", flags.instructions)),
  });
  clearProgress();
  const { differences, programs, blocks, instructions, faults } = outcome;
  if (flags.json === true) console.log(toJson(outcome));
  else {
    for (const difference of differences) console.log(difference);
    console.log(
      `${programs} programs from seed ${flags.seed}, ${blocks} blocks, ${faults} ended in an exception`,
    );
    console.log(`${instructions} instructions, ${differences.length} differences`);
  }
  if (differences.length > 0) process.exitCode = 1;
}

/** Shows how far a run is, on a terminal, at most twice a second. */
function progressLine(
  total: number,
): (progress: { readonly seed: number; readonly instructions: number }) => void {
  let last = performance.now();
  return ({ seed, instructions }) => {
    if (!process.stderr.isTTY || performance.now() - last < 500) return;
    last = performance.now();
    process.stderr.write(`\r${((instructions / total) * 100).toFixed(1)} %  seed ${seed} `);
  };
}
function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
}

const SILENCE_SECONDS = 60;

async function runHostile(flags: Flags): Promise<void> {
  const instructions = count("--instructions", flags.instructions);
  const progress = progressLine(instructions);
  await using watchdog = watch(SILENCE_SECONDS);
  const outcome = await fuzzHostile({
    seed: count("--seed", flags.seed),
    instructions,
    onRound: (round) => {
      watchdog.beat(round.seed);
      progress(round);
    },
  });
  clearProgress();
  const { failures, exits, rounds, exceptions, slowest } = outcome;
  if (flags.json === true) console.log(toJson(outcome));
  else {
    for (const failure of failures) console.log(failure);
    const ends = Object.entries(exits).map(([kind, times]) => `${kind} ${times}`);
    console.log(`${rounds} machines from seed ${flags.seed}; slices ended: ${ends.join(", ")}`);
    console.log(`longest slice ${slowest.milliseconds.toFixed(0)} ms (seed ${slowest.seed})`);
    console.log(
      `${outcome.instructions} instructions, ${exceptions} exceptions delivered, ${failures.length} failures`,
    );
  }
  if (failures.length > 0) process.exitCode = 1;
}

function count(option: string, text: string): number {
  const value = Number(text.replaceAll("_", ""));
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new CrashlabError("bad-option", `expected a whole number for ${option}, found ${text}`);
}
