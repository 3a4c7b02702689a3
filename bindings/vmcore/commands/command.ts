/** What the commands of `crashlab analyze` have in common. */
import { CrashlabError } from "../../error.ts";
import type { SymbolTable } from "../../symbols/table.ts";
import type { Program } from "../program.ts";
import type { Task } from "../tasks.ts";

/** A dump under analysis and what the user has chosen in it. */
export interface Context {
  readonly program: Program;
  /** Names to show for the files. */
  readonly vmlinux: string;
  readonly vmcore: string;
  /** The task that commands without one are about. */
  task: Task | undefined;
  /** Modules' files, by name, for source lines. */
  readonly modules: ReadonlyMap<string, SymbolTable>;
  /** The vmlinux with its debug information, for source lines; read when first asked for. */
  readonly lines: () => Promise<SymbolTable>;
}

/** What a command found: as text, as crash prints it, and as data. */
export interface Result {
  readonly text: string;
  readonly data: unknown;
}

/** A command of `crashlab analyze`. */
export interface Command {
  readonly name: string;
  readonly usage: string;
  readonly summary: string;
  /** Runs it with the words behind its name. Throws `bad-option` for words it does not take. */
  run(context: Context, words: readonly string[]): Promise<Result>;
}

/** An address of 16 digits, without 0x. */
export function hex16(value: bigint): string {
  return BigInt.asUintN(64, value).toString(16).padStart(16, "0");
}

/** Sizes as crash writes them. */
export function bytesText(bytes: number): string {
  if (bytes >= 2 ** 30) return `${oneDecimal(bytes / 2 ** 30)} GB`.replace(".0 GB", " GB");
  if (bytes >= 2 ** 20) return `${oneDecimal(bytes / 2 ** 20)} MB`.replace(".0 MB", " MB");
  return bytes === 0 ? "0" : `${Math.round(bytes / 1024)} KB`;
}

export function badUsage(command: Command, found: string): CrashlabError {
  return new CrashlabError("bad-option", `expected ${command.usage}, found "${found}"`);
}

/** `ffff888007f90000`, `0x10`, or a symbol with or without `+offset`. Throws `bad-option` for what is neither. */
export function parseAddress(program: Program, word: string): bigint {
  const [, name = "", offset] = /^([A-Za-z_.][\w.]*)(?:\+(0x[0-9a-f]+|\d+))?$/i.exec(word) ?? [];
  const symbol = name === "" ? undefined : program.symbols.address(name);
  if (symbol !== undefined) return symbol + BigInt(offset ?? 0);
  if (/^(?:0x)?[0-9a-f]{1,16}$/i.test(word))
    return BigInt(word.toLowerCase().startsWith("0x") ? word : `0x${word}`);
  throw new CrashlabError("bad-option", `expected a hexadecimal address or a symbol, found "${word}"`);
}

/** A number: decimal, or hexadecimal with 0x. */
export function parseCount(word: string, most: number): number {
  const value = /^(?:0x[0-9a-f]{1,12}|\d{1,12})$/i.test(word) ? Number(word) : Number.NaN;
  if (!(value >= 1 && value <= most)) {
    throw new CrashlabError("bad-option", `expected a number from 1 to ${most}, found "${word}"`);
  }
  return value;
}

/** A task by its number (decimal) or the address of its task_struct. */
export async function findTasks(program: Program, word: string): Promise<Task[]> {
  const tasks = await program.tasks();
  const byPid = /^\d{1,7}$/.test(word) ? tasks.filter((task) => task.pid === Number(word)) : [];
  if (byPid.length > 0) return byPid;
  const address = /^(?:0x)?[0-9a-f]{9,16}$/i.test(word) ? parseAddress(program, word) : undefined;
  const byAddress = tasks.filter((task) => task.address === address);
  if (byAddress.length > 0) return byAddress;
  const named = tasks.filter((task) => task.comm === word);
  if (named.length > 0) return named;
  throw new CrashlabError(
    "bad-option",
    `expected the number, task_struct or name of a task, found "${word}"; see \`ps\``,
  );
}

/** The tasks that a command is about: those named, or the chosen one. */
export async function chosenTasks(context: Context, words: readonly string[]): Promise<Task[]> {
  if (words.length > 0) {
    return (await Promise.all(words.map((word) => findTasks(context.program, word)))).flat();
  }
  if (context.task === undefined) {
    throw new CrashlabError(
      "bad-option",
      "expected a task, found none in this dump; give a vmlinux with debug information",
    );
  }
  return [context.task];
}

/** `PID: 5        TASK: ffff888007f90000  CPU: 0    COMMAND: "sh"`. */
export function taskHeader(task: Task): string {
  return `PID: ${String(task.pid).padEnd(8)} TASK: ${hex16(task.address)}  CPU: ${String(task.cpu).padEnd(4)} COMMAND: "${task.comm}"`;
}

/** What JSON says of a task in each command. */
export function taskData(task: Task): object {
  const { pid, tgid, ppid, comm, cpu, state, active, kernelThread, address } = task;
  const { virtualSize, residentSize } = task;
  return { pid, tgid, ppid, comm, cpu, state, active, kernelThread, address, virtualSize, residentSize };
}

/** One decimal as C's `%.1f` rounds it: a number just between two goes to the even one. */
function oneDecimal(value: number): string {
  const tenths = value * 10;
  const below = Math.floor(tenths);
  const isTie = tenths - below === 0.5;
  return (isTie ? (below + (below % 2)) / 10 : value).toFixed(1);
}
