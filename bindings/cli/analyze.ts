/** `crashlab analyze`: a dump and its vmlinux under crash's commands, one after another or asked for at a prompt. */
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { createInterface } from "node:readline/promises";
import { setImmediate } from "node:timers/promises";
import { Command } from "commander";
import { CrashlabError } from "../error.ts";
import { SymbolTable } from "../symbols/index.ts";
import { type Context, commands, runCommand } from "../vmcore/commands/index.ts";
import { type Program, Vmcore } from "../vmcore/program.ts";
import type { ReadOptions } from "../vmcore/range_reader.ts";
import { examples, readInput, toJson } from "./files.ts";
import { interruption } from "./interrupt.ts";
import { ModuleFolder } from "./modules.ts";
import { laterProgress } from "./progress.ts";

/** Version of the JSON that analyze prints; a new field is minor, a changed one major. */
const ANALYZE_SCHEMA = "1.0";

interface Options {
  readonly command?: readonly string[];
  readonly modules?: string;
  readonly json?: boolean;
}

export function analyzeCommand(): Command {
  const list = commands.map(({ usage, summary }) => `  ${usage}\n      ${summary}`).join("\n");
  return new Command("analyze")
    .description("look into a vmcore as with crash: sys, bt, log, ps, ...")
    .argument("<vmlinux>", "the kernel that ran, with debug information or BTF")
    .argument("<vmcore>", "an ELF or kdump-compressed dump, flattened or not")
    .option("-c, --command <command>", "run a command; may be given several times", collect)
    .option("--modules <folder>", "folder with the .ko files of that kernel, for source lines")
    .option("--json", "print one JSON document")
    .addHelpText("after", `\nCommands:\n${list}\n`)
    .addHelpText(
      "after",
      examples(
        "crashlab analyze vmlinux vmcore",
        'crashlab analyze vmlinux vmcore -c sys -c "bt -a" -c log',
        'crashlab analyze vmlinux vmcore --json -c bt -c "struct task_struct init_task"',
      ),
    )
    .action(runAnalyze);
}

function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

async function runAnalyze(vmlinux: string, vmcore: string, options: Options): Promise<void> {
  if (options.json && options.command === undefined) {
    throw new CrashlabError("bad-option", "expected -c with --json, found none; say which commands to run");
  }
  const kernel = await openInput(vmlinux);
  const dump = await openInput(vmcore);
  try {
    const { show, clear } = laterProgress();
    const read = {
      signal: interruption(),
      onProgress: ({ done }: { done: number }) => show(`read ${(done / 1e6).toFixed(1)} MB`),
    };
    const context = await openContext({ kernel, dump, read }, vmlinux, vmcore, options.modules);
    if (options.command !== undefined) await runAll(context, options.command, options.json === true, clear);
    else await prompt(context, clear);
  } finally {
    await kernel.close();
    await dump.close();
  }
}

type FileHandle = Awaited<ReturnType<typeof open>>;

async function openInput(path: string): Promise<FileHandle> {
  return open(path, "r").catch((cause: unknown) => {
    throw new CrashlabError("bad-option", `expected a readable file, found ${path}: ${cause}`, { cause });
  });
}

async function openContext(
  { kernel, dump, read }: { kernel: FileHandle; dump: FileHandle; read: ReadOptions },
  vmlinux: string,
  vmcore: string,
  modules: string | undefined,
): Promise<Context> {
  const program = await (await Vmcore.open(dump, read)).program(kernel, read);
  let lines: Promise<SymbolTable> | undefined;
  return {
    ...{ program, vmlinux: basename(vmlinux), vmcore: basename(vmcore) },
    task: await program.crashedTask().catch(() => undefined),
    modules: modules === undefined ? new Map() : await readModules(program, modules),
    lines() {
      lines ??= readInput(vmlinux).then((bytes) => SymbolTable.fromElf(bytes));
      return lines;
    },
  };
}

/** Files of the modules that the dump has. */
async function readModules(program: Program, folder: string): Promise<Map<string, SymbolTable>> {
  const names = (await program.modules()).map(({ name }) => [name, new Set<string>()] as const);
  return (await ModuleFolder.open(folder)).read(new Map(names));
}

/** All commands; one that fails does not keep the others from running, but the first failure is the exit status's. */
async function runAll(
  context: Context,
  lines: readonly string[],
  json: boolean,
  clear: () => void,
): Promise<void> {
  const results: object[] = [];
  let failure: CrashlabError | undefined;
  for (const line of lines) {
    // What is read twice comes without waiting: here a Ctrl-C is heard.
    await setImmediate();
    try {
      const { text, data } = await runCommand(context, line);
      clear();
      if (json) results.push({ command: line, result: data });
      else console.log(text);
    } catch (error) {
      if (!(error instanceof CrashlabError) || error.code === "aborted") throw error;
      failure ??= error;
      if (json) results.push({ command: line, error: { code: error.code, message: error.message } });
      else console.log(`${line.trim().split(/\s/)[0]}: ${error.message}`);
    }
  }
  const { problems } = context.program;
  if (json) console.log(toJson({ schema: ANALYZE_SCHEMA, results, problems }));
  else for (const problem of problems) console.error(`crashlab: ${problem}`);
  if (failure !== undefined) process.exitCode = 1;
}

/** Commands from standard input, until its end or `q`. */
async function prompt(context: Context, clear: () => void): Promise<void> {
  console.log((await runCommand(context, "sys")).text);
  if (context.task !== undefined) console.log((await runCommand(context, "set")).text);
  const input = createInterface({ input: process.stdin, output: process.stdout, prompt: "crashlab> " });
  input.prompt();
  for await (const line of input) {
    const word = line.trim();
    if (word === "q" || word === "quit" || word === "exit") break;
    if (word !== "") {
      try {
        const { text } = await runCommand(context, word);
        clear();
        console.log(text);
      } catch (error) {
        if (!(error instanceof CrashlabError) || error.code === "aborted") throw error;
        console.log(`${word.split(/\s/)[0]}: ${error.message}`);
      }
    }
    input.prompt();
  }
  input.close();
}
