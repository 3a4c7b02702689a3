/** The pages' own examples: programs run in the order of the pages, vitest's example is a test. */
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
import { afterAll, beforeAll, expect, test } from "vitest";
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
