/** `toOops()`: what holds, what does not, and what a failure says. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseReports } from "../../bindings/report/index.ts";
import { differences } from "../../bindings/vitest/index.ts";

const LOG = new URL("../data/linux-logs/oops/debian-process-null_write.txt", import.meta.url);
const reports = parseReports(readFileSync(LOG, "utf8"));
const [report] = reports;

test("holds of a report, of a log's reports, of a crash", () => {
  expect(report).toOops();
  expect(reports).toOops({ kind: "oops", symbol: "lab_null_write", module: "labcrash", taint: "O" });
  const truth = { exception: { cr2: 8n } };
  expect({ report, truth }).toOops({ title: /NULL pointer dereference/, cr2: 8n });
});

test("one report of several is enough", () => {
  const panic = parseReports("[    1.000000] Kernel panic - not syncing: Fatal exception\n");
  expect([...reports, ...panic]).toOops({ kind: "panic" });
  expect([...reports, ...panic]).not.toOops({ kind: "kasan" });
});

test("says what was expected and what was found, a line each", () => {
  expect(differences(report, { kind: "panic", symbol: "panic", taint: "P", cr2: 0x10n })).toEqual([
    'expected kind "panic", found "oops"',
    'expected symbol "panic", found "lab_null_write"',
    expect.stringMatching(/^expected taint "P", found "[A-Z]+"$/),
    "expected CR2 0x10, found nothing",
  ]);
  expect(() => expect(report).toOops({ title: /KASAN/ })).toThrow("expected a title with /KASAN/, found ");
  expect(() => expect(reports).not.toOops()).toThrow("expected no such crash, found BUG: ");
});

test("nothing is no crash, whatever it is", () => {
  for (const nothing of [[], undefined, null, 7, "BUG", {}, { report: undefined }])
    expect(differences(nothing), String(nothing)).toEqual(["expected a crash report, found none"]);
});
