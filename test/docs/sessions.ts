/** Shell blocks of the pages: which commands are in them, and a folder in which they can be run as they stand. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buildTs, type Result, ROOT, runBash, TSX } from "./run.ts";

/** A command of a page, with what the page shows of its output: pieces that follow each other. */
export interface Step {
  readonly command: string;
  readonly shown: readonly string[];
}

/** A line that calls crashlab: as it is, by npx, in a checkout, or at the end of a pipe. */
const CALL = /^(?:npx )?crashlab |^npm run -s crashlab -- |\| *(?:npx )?crashlab /;

/**
 * The commands of a page in its order. In a block with prompts (`$ `) the lines below a command are its output; in one without,
 * each line that calls crashlab is a command. Other lines are not run.
 */
export function stepsOf(page: string): Step[] {
  const blocks = [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)]
    .filter(([, language]) => language === "" || language === "sh")
    .map(([, , text = ""]) => text.trimEnd());
  return blocks.flatMap((block) => {
    if (!/^\$ /m.test(block))
      return block
        .split("\n")
        .filter((line) => CALL.test(line))
        .map((command) => ({ command, shown: [] }));
    return block
      .split(/^\$ /m)
      .slice(1)
      .map((part) => part.trimEnd().split("\n"))
      .map(([command = "", ...shown]) => ({ command, shown }))
      .filter(({ command }) => CALL.test(command));
  });
}

/** Words of a page's text that are a command: `crashlab analyze VMLINUX VMCORE`. */
export function spansOf(page: string): string[] {
  return [...page.replace(/^```[\s\S]*?^```/gm, "").matchAll(/`(crashlab [a-z][^`]*)`/g)].map(
    ([, span = ""]) => span,
  );
}

const CHECKOUT = "npm run -s crashlab --";

export interface Shell extends Disposable {
  readonly folder: string;
  /** Runs a line in bash, in which `crashlab` and `npx crashlab` are the compiled command, and `npm run -s crashlab --` runs the sources. */
  run(line: string): Promise<Result>;
}

/** An empty folder, but for links to `files` (name to path), and commands (name to a line of sh) on PATH. */
export async function openShell(
  files: { readonly [name: string]: string } = {},
  commands: { readonly [name: string]: string } = {},
): Promise<Shell> {
  await buildTs();
  const home = mkdtempSync(join(tmpdir(), "crashlab-shell-"));
  const folder = join(home, "project");
  const bin = join(home, "bin");
  for (const made of [folder, bin]) mkdirSync(made);
  for (const [name, path] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    symlinkSync(path, join(folder, name));
  }
  const source = `${process.execPath} --conditions=source --import ${TSX} ${join(ROOT, "bindings/cli/main.ts")}`;
  const main = `exec '${process.execPath}' '${join(ROOT, "dist/cli/main.js")}' "$@"`;
  for (const [name, line] of Object.entries({ crashlab: main, ...commands })) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${line}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  return {
    folder,
    run: (line) =>
      runBash(line.replaceAll("npx crashlab", "crashlab").replace(CHECKOUT, source), folder, bin),
    [Symbol.dispose]: () => rmSync(home, { recursive: true, force: true }),
  };
}

/** A page by its path from the root. */
export const readPage = (path: string): string => readFileSync(join(ROOT, path), "utf8");
