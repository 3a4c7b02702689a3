/** Files, JSON and help texts of the command. */
import { constants, createReadStream } from "node:fs";
import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { addAbortSignal } from "node:stream";
import { CrashlabError } from "../error.ts";
import { didYouMean } from "../nearest.ts";

/** A file named on the command line. */
export async function readInput(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** The same piece by piece, of any size; without a name, of standard input. Throws `aborted` when the signal fires. */
export async function* readPieces(path: string | undefined, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const input = path === undefined ? process.stdin : createReadStream(path, { highWaterMark: 1 << 20 });
  try {
    yield* addAbortSignal(signal, input);
  } catch (cause) {
    const name = path ?? "standard input";
    if (signal.aborted)
      throw new CrashlabError("aborted", `expected to read ${name} to its end, found that aborted`, {
        cause,
      });
    throw unreadable(name, cause);
  }
}

function unreadable(path: string, cause: unknown): CrashlabError {
  return new CrashlabError("bad-option", `expected a readable file, found ${path}: ${describe(cause)}`, {
    cause,
  });
}

/** Makes a folder for output, before long work is done for it. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (cause) {
    throw unwritable(folder, cause);
  }
}

/** Writes a file into a folder. */
export async function writeOutput(folder: string, name: string, content: string | Uint8Array): Promise<void> {
  try {
    await writeFile(join(folder, name), content);
  } catch (cause) {
    throw unwritable(folder, cause);
  }
}

function unwritable(folder: string, cause: unknown): CrashlabError {
  return new CrashlabError("bad-option", `expected a writable folder, found ${folder}: ${describe(cause)}`, {
    cause,
  });
}

/** The examples at the end of a command's help. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join("\n")}`;
}

/** A whole number from 0 behind an option; 1_000_000 is one. Throws `bad-option`. */
export function wholeNumber(option: string, text: string): number {
  const value = Number(text.replaceAll("_", ""));
  if (text !== "" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new CrashlabError(
    "bad-option",
    `expected a whole number for ${option}, found "${text}"; give digits`,
  );
}

/** One of the words that an option takes. Throws `bad-option`. */
export function oneOf<Word extends string>(option: string, words: readonly Word[], text: string): Word {
  const word = words.find((each) => each === text);
  if (word !== undefined) return word;
  throw new CrashlabError(
    "bad-option",
    `expected ${option} ${words.join(` or ${option} `)}, found "${text}"; ${didYouMean(text, words)}choose one of them`,
  );
}

/** JSON with addresses (bigint) as "0x..." strings. */
export function toJson(value: unknown): string {
  const replace = (_key: string, item: unknown): unknown => {
    return typeof item === "bigint" ? `0x${BigInt.asUintN(64, item).toString(16)}` : item;
  };
  return JSON.stringify(value, replace, 2);
}

function describe(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
