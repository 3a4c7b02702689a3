/** `crashlab fuzz`: the core against random machines, the readers against damaged files. */
import { Command } from "commander";
import { loadGuest } from "#assets";
import { CrashlabError } from "../error.ts";
import { fuzzFiles } from "../fuzz/files.ts";
import { fuzzHostile } from "../fuzz/hostile.ts";
import { fuzzImages } from "../fuzz/images.ts";
import { fuzzNative } from "../fuzz/native.ts";
import { fuzzSystem, type SystemSubject, systemSubjects } from "../fuzz/system.ts";
import { watch } from "../fuzz/watchdog.ts";
import { fuzzX87 } from "../fuzz/x87.ts";
import { SCHEMA_VERSION } from "../report/index.ts";
import { examples, readInput, toJson, wholeNumber } from "./files.ts";
import { interruption } from "./interrupt.ts";
import { clearProgress, progress } from "./progress.ts";

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
  fuzz
    .command("system")
    .description(
      "random page tables, descriptors, gates, system calls, debug registers in QEMU and in the core",
    )
    .option("--seed <n>", "seed of the first batch of cases; the next ones have the next", "1")
    .option("--cases <n>", "cases to run on each side", "4000")
    .option("--limit <n>", "differences after which it stops", "20")
    .option("--subjects <list>", `only these: ${systemSubjects.join(",")}`)
    .option("--json", "print the result as JSON")
    .addHelpText("after", examples("crashlab fuzz system --seed 1 --cases 100000"))
    .action(runSystem);
  fuzz
    .command("x87")
    .description("single x87 instructions on this processor and on the core, exceptions unmasked too")
    .option("--seed <n>", "seed of the first batch of cases; the next ones have the next", "1")
    .option("--cases <n>", "instructions to run on each side", "100000")
    .option("--tolerance <ulps>", "units in the last place that transcendental functions may be off", "4")
    .option("--limit <n>", "differences after which it stops", "20")
    .option("--json", "print the result as JSON")
    .addHelpText("after", examples("crashlab fuzz x87 --seed 1 --cases 1000000"))
    .action(runX87);
  fuzz
    .command("images")
    .description("damaged kernels and snapshots: each is refused with a reason, or runs")
    .argument(
      "[kernels...]",
      "kernels to damage too: vmlinux, bzImage, multiboot; by default the one that comes with crashlab",
    )
    .option("--seed <n>", "seed of the first case; the next ones have the next", "1")
    .option("--cases <n>", "images to try", "1000")
    .option("--json", "print the result as JSON")
    .addHelpText("after", examples("crashlab fuzz images --cases 10000 build/stock/vmlinuz"))
    .action(runImages);
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
  const files = wholeNumber("--files", flags.files);
  const run = begin(files, "files", flags.json);
  await using watchdog = watch(SILENCE_SECONDS);
  const outcome = await fuzzFiles({
    ...{ seed: wholeNumber("--seed", flags.seed), files },
    signal: run.signal,
    onFile: (file) => {
      watchdog.beat(file.seed);
      run.show(file.seed, file.files);
    },
  });
  const { errors, failures, slowest } = outcome;
  const ends = Object.entries(errors).map(([code, times]) => `${code} ${times}`);
  run.end(outcome, outcome.files, failures, [
    `${outcome.read} read, ${outcome.withProblems} of them with problems named; errors: ${ends.join(", ")}`,
    `slowest ${slowest.milliseconds.toFixed(0)} ms (seed ${slowest.seed}, ${slowest.kind}); ` +
      `at most ${outcome.residentMiB.toFixed(0)} MiB resident`,
    `${outcome.files} files from seed ${flags.seed}, ${failures.length} failures`,
  ]);
}

async function runNative(flags: Flags & { readonly limit: string }): Promise<void> {
  const total = wholeNumber("--instructions", flags.instructions);
  const run = begin(total, "instructions", flags.json);
  const outcome = await fuzzNative({
    signal: run.signal,
    seed: wholeNumber("--seed", flags.seed),
    instructions: total,
    limit: wholeNumber("--limit", flags.limit),
    onProgram: ({ seed, instructions }) => run.show(seed, instructions),
  });
  const { differences, programs, blocks, instructions, faults } = outcome;
  run.end(outcome, outcome.instructions, differences, [
    `${programs} programs from seed ${flags.seed}, ${blocks} blocks, ${faults} ended in an exception`,
    `${instructions} instructions, ${differences.length} differences`,
  ]);
}

interface CaseFlags {
  readonly seed: string;
  readonly cases: string;
  readonly limit: string;
  readonly json?: boolean;
}

async function runSystem(flags: CaseFlags & { readonly subjects?: string }): Promise<void> {
  const total = wholeNumber("--cases", flags.cases);
  const run = begin(total, "cases", flags.json);
  const outcome = await fuzzSystem({
    signal: run.signal,
    seed: wholeNumber("--seed", flags.seed),
    cases: total,
    limit: wholeNumber("--limit", flags.limit),
    subjects: subjectsOf(flags.subjects),
    onBatch: ({ seed, cases }) => run.show(seed, cases),
  });
  const { cases, differences, known, vectors } = outcome;
  const ends = Object.entries(vectors).map(([vector, times]) => `${vector} ${times}`);
  run.end(outcome, outcome.cases, differences, [
    `cases by the vector they ended in: ${ends.join(", ")}`,
    ...Object.entries(known).map(([reason, times]) => `${times} times known: ${reason}`),
    `${cases} cases from seed ${flags.seed}, ${differences.length} differences`,
  ]);
}
function subjectsOf(list: string | undefined): readonly SystemSubject[] {
  if (list === undefined) return systemSubjects;
  return list.split(",").map((name) => {
    const subject = systemSubjects.find((each) => each === name);
    if (subject !== undefined) return subject;
    throw new CrashlabError(
      "bad-option",
      `expected subjects among ${systemSubjects.join(", ")}, found ${name}`,
    );
  });
}

async function runX87(flags: CaseFlags & { readonly tolerance: string }): Promise<void> {
  const total = wholeNumber("--cases", flags.cases);
  const run = begin(total, "cases", flags.json);
  const outcome = await fuzzX87({
    signal: run.signal,
    seed: wholeNumber("--seed", flags.seed),
    cases: total,
    tolerance: wholeNumber("--tolerance", flags.tolerance),
    limit: wholeNumber("--limit", flags.limit),
    onBatch: ({ seed, cases }) => run.show(seed, cases),
  });
  const { cases, differences } = outcome;
  run.end(outcome, outcome.cases, differences, [
    `${cases} cases from seed ${flags.seed}, ${differences.length} differences`,
  ]);
}

async function runImages(paths: readonly string[], flags: Omit<CaseFlags, "limit">): Promise<void> {
  const total = wholeNumber("--cases", flags.cases);
  const run = begin(total, "cases", flags.json);
  const kernels =
    paths.length > 0 ? await Promise.all(paths.map((path) => readInput(path))) : [await loadGuest("vmlinux")];
  await using watchdog = watch(SILENCE_SECONDS);
  const outcome = await fuzzImages({
    signal: run.signal,
    seed: wholeNumber("--seed", flags.seed),
    cases: total,
    kernels,
    onCase: ({ seed, cases }) => {
      watchdog.beat(seed);
      run.show(seed, cases);
    },
  });
  const { cases, ends, failures } = outcome;
  const counts = Object.entries(ends).map(([end, times]) => `${end} ${times}`);
  run.end(outcome, outcome.cases, failures, [
    `${cases} images from seed ${flags.seed}: ${counts.join(", ")}; ${failures.length} failures`,
  ]);
}

/** A run that shows how far it is and that Ctrl-C ends. */
interface Run {
  readonly signal: AbortSignal;
  show(seed: number, done: number): void;
  /** Prints what was found, what went wrong first; exit status 1 if anything did. Throws `aborted` after Ctrl-C. */
  end(outcome: object, done: number, failures: readonly string[], summary: readonly string[]): void;
}

function begin(total: number, what: string, json: boolean | undefined): Run {
  const signal = interruption();
  const show = progress();
  const percent = (done: number): string => `${((done / total) * 100).toFixed(1)} %`;
  return {
    signal,
    show: (seed, done) => show(`${percent(done)}  seed ${seed}`, false),
    end(outcome, done, failures, summary) {
      clearProgress();
      if (json === true) console.log(toJson({ schema: SCHEMA_VERSION, ...outcome }));
      else for (const line of [...failures, ...summary]) console.log(line);
      if (failures.length > 0) process.exitCode = 1;
      if (!signal.aborted) return;
      throw new CrashlabError(
        "aborted",
        `expected ${total} ${what}, found Ctrl-C after ${done}; these are summed up`,
      );
    },
  };
}

const SILENCE_SECONDS = 60;

async function runHostile(flags: Flags): Promise<void> {
  const instructions = wholeNumber("--instructions", flags.instructions);
  const run = begin(instructions, "instructions", flags.json);
  await using watchdog = watch(SILENCE_SECONDS);
  const outcome = await fuzzHostile({
    signal: run.signal,
    seed: wholeNumber("--seed", flags.seed),
    instructions,
    onRound: (round) => {
      watchdog.beat(round.seed);
      run.show(round.seed, round.instructions);
    },
  });
  const { failures, exits, rounds, exceptions, slowest } = outcome;
  const ends = Object.entries(exits).map(([kind, times]) => `${kind} ${times}`);
  run.end(outcome, outcome.instructions, failures, [
    `${rounds} machines from seed ${flags.seed}; slices ended: ${ends.join(", ")}`,
    `longest slice ${slowest.milliseconds.toFixed(0)} ms (seed ${slowest.seed})`,
    `${outcome.instructions} instructions, ${exceptions} exceptions delivered, ${failures.length} failures`,
  ]);
}
