/** Files, JSON and help texts of the command. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CrashlabError } from "../error.ts";

/** A file named on the command line. */
export async function readInput(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (cause) {
    throw new CrashlabError("bad-option", `expected a readable file, found ${path}: ${describe(cause)}`, {
      cause,
    });
  }
}

/** Writes a file into a folder, which is made if need be; gives its path. */
export async function writeOutput(
  folder: string,
  name: string,
  content: string | Uint8Array,
): Promise<string> {
  const path = join(folder, name);
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(path, content);
  } catch (cause) {
    throw new CrashlabError("bad-option", `expected a writable folder, found ${folder}: ${describe(cause)}`, {
      cause,
    });
  }
  return path;
}

/** The examples at the end of a command's help. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join("\n")}`;
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
