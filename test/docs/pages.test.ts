/** The pages' own examples: programs run in the order of the pages, sessions print what the page shows. */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT, runFile } from "./run.ts";

const read = (name: string): string => readFileSync(join(ROOT, name), "utf8");
const blocks = (text: string, language: string): string[] =>
  [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)]
    .filter(([, tag]) => tag === language)
    .map(([, , code = ""]) => code);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "crashlab-pages-"));
  copyFileSync(join(ROOT, "build/guest/vmlinux"), join(folder, "vmlinux"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Programs that other tests run: of the examples, of the browser. */
const ELSEWHERE = ["campaign.md", "corpus.md", "stock-linux.md", "vitest.md", "web.md"];
/** Programs that need another's file: vmcore. */
const LAST = ["analyze.md"];

test("the programs of all pages, each page's blocks one after another", { timeout: 300_000 }, async () => {
  const out = join(ROOT, "build/docs");
  mkdirSync(out, { recursive: true });
  const pages = readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md") && !ELSEWHERE.includes(name))
    .filter((name) => blocks(read(`docs/${name}`), "ts").length > 0)
    .sort((a, b) => Number(LAST.includes(a)) - Number(LAST.includes(b)) || (a < b ? -1 : 1));
  expect(pages.length).toBeGreaterThan(6);
  for (const page of pages)
    writeFileSync(join(out, `${page}.ts`), blocks(read(`docs/${page}`), "ts").join("\n"));
  const main = pages.map((page) => `console.log("page ${page}");\nawait import("./${page}.ts");\n`).join("");
  writeFileSync(join(out, "main.ts"), main);
  const { stdout, stderr, status } = await runFile(join(out, "main.ts"), [], {
    cwd: folder,
    milliseconds: 280_000,
  });
  expect({ stdout: status === 0 ? "" : stdout, stderr, status }).toEqual({
    stdout: "",
    stderr: "",
    status: 0,
  });
});

test("examples/driver.test.ts is the page's, and Vitest runs it", () => {
  expect(read("examples/driver.test.ts")).toBe(blocks(read("docs/vitest.md"), "ts").join("\n"));
});

/** Blocks in which `$ crashlab ...` is followed by parts of what it prints, in order. */
const SESSIONS = ["teaching.md"];

describe.each(SESSIONS)("the sessions of %s", (page) => {
  const commands = blocks(read(`docs/${page}`), "")
    .join("")
    .split(/^\$ /m)
    .slice(1)
    .map((part) => part.trimEnd().split("\n"));
  test.each(commands.map(([command = "", ...shown]) => ({ command, shown })))(
    "$command",
    async ({ command, shown }) => {
      const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(
        ([, quoted, plain]) => quoted ?? plain ?? "",
      );
      expect(words[0]).toBe("crashlab");
      const { stdout, stderr, status } = await runFile(join(ROOT, "bindings/cli/main.ts"), words.slice(1), {
        cwd: folder,
      });
      expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
      let at = 0;
      for (const text of shown) {
        const found = stdout.indexOf(text, at);
        expect(found, `${text} in\n${stdout}`).toBeGreaterThanOrEqual(0);
        at = found + text.length;
      }
    },
  );
});
