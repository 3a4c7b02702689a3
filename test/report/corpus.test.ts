/** Every reference log: each report is found, with the right kind, title, place, task and taint, and no other. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type CrashReport, checkLog, parseReports } from "../../bindings/report/index.ts";
import { fuzz, referenceLogs } from "./fuzz.ts";

/** expected_reports.txt: a file in a line, then its reports, each behind a tab. */
function readExpected(): Map<string, string[]> {
  const files = new Map<string, string[]>();
  let reports: string[] = [];
  for (const line of readFileSync(new URL("expected_reports.txt", import.meta.url), "utf8").split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    if (line.startsWith("\t")) reports.push(line.slice(1));
    else {
      reports = [];
      files.set(line, reports);
    }
  }
  return files;
}

function summary(report: CrashReport): string {
  const { rip } = report;
  const address = rip?.address === undefined ? "-" : `0x${rip.address.toString(16)}`;
  const taint = report.taint.map((flag) => flag.letter).join("");
  const fields = [rip?.symbol ?? address, report.pid ?? "-", report.comm ?? "-", taint || "-"];
  return [report.kind, report.title, ...fields].join("\t");
}

const expected = readExpected();
const logs = new Map(referenceLogs().map(({ name, text }) => [name, text]));

describe("what is expected", () => {
  test.each([...expected])("%s", (name, reports) => {
    expect(parseReports(logs.get(name) ?? "").map(summary)).toEqual(reports);
  });

  test("covers every log", () => {
    const consoles = [...logs.keys()].filter((name) => !/^kdump\/(?!serial)/.test(name));
    expect([...expected.keys()].sort()).toEqual(consoles.sort());
  });

  test("and the other files, which are no logs, hold only what crash shows of the log", () => {
    for (const [name, text] of logs) {
      if (expected.has(name) || name.startsWith("kdump/crash-")) continue;
      expect(parseReports(text), name).toEqual([]);
    }
  });
});

/** The table of README.md, written when the logs were taken: file, first line of a report, how it ended. */
describe("the README of the logs says the same", () => {
  const readme = readFileSync(new URL("../data/linux-logs/README.md", import.meta.url), "utf8");
  const rows = [...readme.matchAll(/^\| ((?:debian|kernel[AB])-\S+\.txt) \| .* \| `(.*)` \| (.*) \|$/gm)].map(
    ([, file = "", first = "", end = ""]) => ({ file, first, end }),
  );
  /** lkdtm's own words and the messages without a report. */
  const NO_REPORT = /^\(no kernel message\)|^lkdtm: /;

  test("of as many files", () => expect(rows.length).toBeGreaterThan(120));

  test.each(rows)("$file", ({ file, first, end }) => {
    const name = [...logs.keys()].find((each) => each.endsWith(`/${file}`)) ?? "";
    const reports = parseReports(logs.get(name) ?? "");
    if (NO_REPORT.test(first)) expect(reports).toEqual([]);
    else expect(reports[0]?.headline).toContain(first.replace(/^(?:watchdog: )/, ""));
    expect(reports.some((report) => report.kind === "panic")).toBe(end === "panic");
  });
});

test("grammar and parser find the same reports at the same places", () => {
  const KINDS = new Set([
    "oops",
    "bug",
    "warning",
    "kasan",
    "kfence",
    "ubsan",
    "soft-lockup",
    "rcu-stall",
    "hung-task",
  ]);
  for (const [name, text] of logs) {
    if (!expected.has(name)) continue;
    const checked = checkLog(text, { beheaded: true }).reports.filter(({ kind }) => KINDS.has(kind));
    const parsed = parseReports(text).filter(({ kind }) => KINDS.has(kind));
    expect(
      checked.map(({ kind }) => kind),
      name,
    ).toEqual(parsed.map(({ kind }) => kind));
    for (const [index, { lines }] of checked.entries()) {
      // The grammar counts `cut here`, a ruler and WARN()'s message to the report.
      const [first = 0, last = 0] = parsed[index]?.lines ?? [];
      expect(first, name).toBeGreaterThanOrEqual(lines[0]);
      expect(last, name).toBeLessThanOrEqual(lines[1]);
    }
  }
});

test("reports of real logs are whole: nothing is missing, nothing is a problem", () => {
  for (const name of expected.keys()) {
    for (const report of parseReports(logs.get(name) ?? "")) {
      expect(report.problems, `${name}: ${report.title}`).toEqual([]);
      expect(report.confidence).toBe(1);
    }
  }
});

test("damaged logs: nothing throws, nothing takes a second (npm run fuzz:report for 100,000)", () => {
  const { failures, reports } = fuzz(1_000, 7);
  expect(failures).toEqual([]);
  expect(reports).toBeGreaterThan(1_000);
});
