/**
 * Hostile logs: time grows with the text, not with its square. Four times the text may take ten times as long
 * (linear: 4, quadratic: 16) in processor time, the best of three; what takes no measurable time passes.
 */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  checkLog,
  compare,
  findCodes,
  fromDocument,
  parseReports,
  toDocument,
} from "../../bindings/report/index.ts";
import { decodeStacktrace, SymbolTable } from "../../bindings/symbols/index.ts";

const SIZE = 10_000;
const MEASURABLE_MS = 20;
const RATIO = 10;

const fill = (piece: string) => (size: number) => piece.repeat(Math.ceil(size / piece.length));
const numbered = (piece: string) => (size: number) =>
  Array.from({ length: Math.ceil(size / piece.length) }, (_, n) => piece.replaceAll("%", String(n))).join("");

const OOPS = "BUG: kernel NULL pointer dereference, address: 0000000000000008\n";
/** Text by size. */
const LOGS: { readonly [name: string]: (size: number) => string } = {
  "a line of underscores": fill("_"),
  "a line of blanks": fill(" "),
  "a line of carriage returns": fill("\r"),
  "a line of NUL bytes": fill("\0"),
  "a line of escape sequences": fill("\u001b[31m"),
  "a line of opening brackets": fill("[ "),
  "a line of places": fill("a+0x1/0x2 [b "),
  "a line of stamps": fill("[    1.000000] "),
  "a line of openers": fill("BUG: KASAN: use-after-free in a "),
  "lines of one letter": fill("a\n"),
  "empty lines": fill("\n"),
  openers: fill(OOPS),
  "openers of ever new callers": numbered(`[    1.000000][ T%] ${OOPS}`),
  cuts: fill("------------[ cut here ]------------\n"),
  "one endless trace": (size) => `${OOPS}Call Trace:\n${fill(" f+0x1/0x2\n")(size)}`,
  "ever new modules": (size) => `${OOPS}Modules linked in:${numbered(" m%(OE)")(size)}`,
  registers: (size) => `${OOPS}${fill("RAX: 0000000000000000 ")(size)}`,
  code: (size) => `${OOPS}Code: ${fill("90 <90> ")(size)}`,
  "KASAN's shadow": (size) =>
    `BUG: KASAN: use-after-free in a+0x1/0x2\n${fill(`>ffff888000000000:${" fb".repeat(16)}\n`)(size)}`,
  "unknown lines inside a report": (size) => `[    1.000000] ${OOPS}${fill("nothing of note\n")(size)}`,
  "stalls that wait for others": numbered(
    "[    1.000000][ C%] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\n",
  ),
};

const vmlinux = SymbolTable.fromElf(
  new Uint8Array(readFileSync(new URL("../../build/guest/vmlinux", import.meta.url))),
);
const READERS: { readonly [name: string]: (log: string) => unknown } = {
  parseReports,
  checkLog: (log) => checkLog(log),
  findCodes,
  decodeStacktrace: (log) => decodeStacktrace(log, { vmlinux }),
};

function milliseconds(work: () => unknown): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}
const best = (work: () => unknown): number => Math.min(...[1, 2, 3].map(() => milliseconds(work)));

function expectLinear(work: (size: number) => unknown, what: string): void {
  const large = milliseconds(() => work(4 * SIZE));
  if (large < MEASURABLE_MS) return;
  const small = best(() => work(SIZE));
  expect(best(() => work(4 * SIZE)) / Math.max(small, MEASURABLE_MS / 4), what).toBeLessThan(RATIO);
}

test.each(Object.entries(LOGS))("%s", (_, log) => {
  for (const [name, read] of Object.entries(READERS)) {
    const texts = new Map([SIZE, 4 * SIZE].map((size) => [size, log(size)]));
    expectLinear((size) => read(texts.get(size) ?? ""), name);
  }
});

test("documents: long, deep and of the wrong form are refused, or read", () => {
  const report = toDocument(parseReports(`${OOPS}RAX: 0000000000000000\n`));
  const many = (size: number): string => {
    const { schema, reports } = JSON.parse(report);
    return JSON.stringify({
      schema,
      reports: Array.from({ length: Math.ceil(size / report.length) }, () => reports[0]),
    });
  };
  const texts = new Map([SIZE, 4 * SIZE].map((size) => [size, many(size)]));
  expectLinear((size) => fromDocument(texts.get(size) ?? ""), "fromDocument");
  for (const [open, close] of [
    ["[", "]"],
    ['{"a":', "}"],
  ] as const) {
    const deep = `${open.repeat(1e6)}1${close.repeat(1e6)}`;
    expect(() => fromDocument(deep)).toThrow(/levels of brackets/);
    expect(() => fromDocument(report.replace('"registers": {', `"registers": {"rax": ${deep},`))).toThrow(
      /levels/,
    );
  }
  expect(
    fromDocument(report.replace('"title": "', '"title": "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[')),
  ).toHaveLength(1);
});

test.each([
  ["kind", 7],
  ["altTitles", "x"],
  ["taint", [1]],
  ["registers", null],
  ["registers", []],
  ["trace", [null]],
  ["trace", [{ symbol: 1 }]],
  ["rip", "0x10"],
  ["fault", 1],
  ["code", { bytes: ["90"] }],
  ["user", {}],
])("a report whose %s is %j is refused by name, never half read", (field, value) => {
  const document = JSON.parse(toDocument(parseReports(OOPS)));
  document.reports[0][field] = value;
  let error: unknown;
  try {
    const [report] = fromDocument(JSON.stringify(document));
    if (report !== undefined) compare(report, report);
  } catch (caught) {
    error = caught;
  }
  expect(error).toMatchObject({
    code: "bad-report",
    message: expect.stringContaining(`"${field}" of report 0`),
  });
});
