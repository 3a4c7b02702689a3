/**
 * Every command that a page shows runs, in the order of the page and in a folder of its own, and prints what the page shows
 * below it. Commands named within the text exist, and so do their options.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { crashlabProgram } from "../../bindings/cli/program.ts";
import { ROOT } from "./run.ts";
import { openShell, readPage, type Shell, type Step, spansOf, stepsOf } from "./sessions.ts";

const PAGES = [
  "README.md",
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
const log = (name: string): string => join(ROOT, "test/data/linux-logs", name);
const NULL_READ = log("oops/debian-process-null_read.txt");
const NULL_WRITE = log("oops/debian-process-null_write.txt");

/** Files that a page's reader has, beside those of a crash: vmlinux, vmcore, console.log, mydriver.ko. */
const FILES: { readonly [page: string]: { readonly [name: string]: string } } = {
  "README.md": {
    ...{ "dmesg.txt": NULL_WRITE, "other.txt": NULL_WRITE },
    "test/data/vectors": join(ROOT, "test/data/vectors"),
  },
  "docs/reports.md": {
    ...{ "dmesg.txt": NULL_WRITE, "a.log": NULL_WRITE, "b.log": NULL_WRITE },
    ...{ "oops.txt": NULL_READ, "console.log": NULL_READ },
  },
  "docs/fleet.md": {
    "db17.log": NULL_WRITE,
    "db18.log": NULL_WRITE,
    modules: join(ROOT, "build/guest/modules"),
  },
};

/** Long work, cut short: the same command with other numbers. */
const SHORTER: readonly (readonly [RegExp, string])[] = [
  [/--instructions \d+/, "--instructions 20000"],
  [/--files \d+/, "--files 20"],
  [/vectors test.data.vectors/, "$& --group fault"],
  [/fuzz (x87|images) (.*)--cases \d+/, "fuzz $1 $2--cases 200"],
  [/fuzz system (.*)--cases \d+/, "fuzz system $1--cases 40"],
  [/campaign (.*)--cases \d+/, "campaign $1--cases 6"],
  [/corpus (.*)--cases \d+/, "corpus $1--cases 3"],
  // An hour on the console, ended as its reader would.
  [/^(npx )?crashlab boot\b/, "printf 'uname\\nreboot\\n' | crashlab boot"],
];

/** Where a page reads the log of the computer at hand. */
const PROGRAMS = { journalctl: `cat '${NULL_READ}'`, dmesg: `cat '${NULL_READ}'` };

/** test/stock/terminal.test.ts types on that console. */
const ELSEWHERE = ["docs/stock-linux.md"];
/** What a command needs that not every computer has. */
const NEEDS: readonly (readonly [RegExp, string])[] = [
  [/fuzz system/, "/usr/bin/qemu-system-x86_64"],
  [/fuzz (native|x87)/, "/usr/bin/cc"],
];

let evidence: string;
beforeAll(async () => {
  evidence = mkdtempSync(join(tmpdir(), "crashlab-evidence-"));
  using shell = await openShell();
  const { status, stderr } = await shell.run(
    `crashlab crash null-dereference --panic-on-oops --kdump host --out ${evidence}`,
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
}, 400_000);
afterAll(() => rmSync(evidence, { recursive: true, force: true }));

const pages = PAGES.map((page) => ({ page, steps: stepsOf(readPage(page)) })).filter(
  ({ page, steps }) => steps.length > 0 && !ELSEWHERE.includes(page),
);

test("the pages with commands are found", () => {
  expect(pages.length).toBeGreaterThan(8);
});

describe.each(pages)("the commands of $page", ({ page, steps }) => {
  let shell: Shell;
  beforeAll(async () => {
    const files = ["vmlinux", "vmcore", "console.log", "mydriver.ko"].map((name) => [
      name,
      join(evidence, name),
    ]);
    shell = await openShell({ ...Object.fromEntries(files), ...FILES[page] }, PROGRAMS);
  });
  afterAll(() => shell?.[Symbol.dispose]());

  const here = ({ command }: Step): boolean =>
    NEEDS.every(([pattern, path]) => !pattern.test(command) || existsSync(path));
  test.each(steps.filter(here))("$command", { timeout: 130_000 }, async ({ command, shown }) => {
    const line = SHORTER.reduce((text, [long, short]) => text.replace(long, short), command);
    const { stdout, stderr, status } = await shell.run(line);
    expect({ status, stdout: status === 0 ? "" : stdout, stderr: status === 0 ? "" : stderr }).toEqual({
      status: 0,
      stdout: "",
      stderr: "",
    });
    let at = 0;
    for (const text of shown) {
      const found = stdout.indexOf(text, at);
      expect(found, `${text} in\n${stdout}`).toBeGreaterThanOrEqual(0);
      at = found + text.length;
    }
  });
});

test("commands within the text are commands, with options that they have", () => {
  const spans = PAGES.flatMap((page) => spansOf(readPage(page)));
  expect(spans.length).toBeGreaterThan(10);
  for (const span of spans) {
    const [, name = "", ...words] = span.split(/\s+/);
    let command = crashlabProgram().commands.find((each) => each.name() === name);
    expect(command, span).toBeDefined();
    command = command?.commands.find((each) => each.name() === words[0]) ?? command;
    for (const word of words.filter((each) => each.startsWith("--")))
      expect(
        command?.options.map(({ long }) => long),
        span,
      ).toContain(word);
  }
});
