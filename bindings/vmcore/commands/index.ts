/** The commands of `crashlab analyze`, named and used as crash's. */
import { CrashlabError } from "../../error.ts";
import { checkReading } from "../range_reader.ts";
import { dis, mod, sym } from "./code_commands.ts";
import type { Command, Context, Result } from "./command.ts";
import { kmem, rd, struct, union } from "./memory_commands.ts";
import { log, sys } from "./system_commands.ts";
import { bt, files, foreach, ps, set, task, vm } from "./task_commands.ts";

const help: Command = {
  name: "help",
  usage: "help [COMMAND]",
  summary: "what there is",
  async run(_context, words) {
    const chosen = words[0] === undefined ? commands : [findCommand(words[0])];
    const width = Math.max(...chosen.map(({ usage }) => usage.length));
    return {
      text: chosen.map(({ usage, summary }) => `${usage.padEnd(width)}  ${summary}`).join("\n"),
      data: chosen.map(({ name, usage, summary }) => ({ name, usage, summary })),
    };
  },
};

/** The commands of `crashlab analyze`. */
export const commands: readonly Command[] = [
  ...[sys, bt, foreach, log, ps, set, task, vm, files, mod, sym, dis, struct, union, kmem, rd, help],
];

function findCommand(name: string): Command {
  const command = commands.find((each) => each.name === name);
  if (command === undefined) {
    throw new CrashlabError("bad-option", `expected a command, found "${name}"; see \`help\``);
  }
  return command;
}

/**
 * Runs a line: `bt -a`, `struct task_struct.pid ffff888007f90000`. Throws `bad-option` for what is no command, `aborted`
 * when the signal fired that the dump was opened with.
 */
export async function runCommand(context: Context, line: string): Promise<Result> {
  const [name = "", ...words] = line.trim().split(/\s+/);
  const { signal } = context.program.vmcore;
  checkReading(signal);
  const result = await findCommand(name).run(context, words);
  // What could not be read any more counts as damage below.
  checkReading(signal);
  return result;
}

export type { Command, Context, Result } from "./command.ts";
