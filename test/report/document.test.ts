/** The JSON document: its schema holds for every report, and it comes back as it was. */
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { CrashlabError } from "../../bindings/error.ts";
import { fromDocument, parseReports, SCHEMA_VERSION, toDocument } from "../../bindings/report/index.ts";
import { damagedLog, referenceLogs } from "./fuzz.ts";

const schema = JSON.parse(
  readFileSync(new URL("../../docs/schema/crash-report.schema.json", import.meta.url), "utf8"),
);
const validate = new Ajv2020({ allErrors: true, discriminator: false, strictTuples: false }).compile(schema);
const logs = referenceLogs();

describe("the schema", () => {
  test("is of this version", () => {
    expect(SCHEMA_VERSION).toMatch(new RegExp(schema.properties.schema.pattern));
  });

  test("holds for the reports of every log", () => {
    for (const { name, text } of logs) {
      const document: unknown = JSON.parse(toDocument(parseReports(text)));
      expect(validate(document), `${name}: ${JSON.stringify(validate.errors?.slice(0, 3))}`).toBe(true);
    }
  });

  test("holds for what is left of damaged logs", () => {
    for (let number = 0; number < 150; number++) {
      const { name, text } = damagedLog(logs, 5, number);
      const document: unknown = JSON.parse(toDocument(parseReports(text)));
      expect(validate(document), `${number} ${name}: ${JSON.stringify(validate.errors?.slice(0, 3))}`).toBe(
        true,
      );
    }
  });

  test.each([
    ["a kind that is none", { kind: "crash" }],
    ["an address as number", { fault: { address: 8 } }],
    ["details of another kind", { kasan: { bug: "use-after-free", shadow: [] } }],
    ["no title", { title: undefined }],
  ])("refuses %s", (_what, change) => {
    const [report] = parseReports(
      logs.find(({ name }) => name.endsWith("debian-process-null_write.txt"))?.text ?? "",
    );
    const document = JSON.parse(toDocument(report === undefined ? [] : [report]));
    Object.assign(document.reports[0], change);
    expect(validate(JSON.parse(JSON.stringify(document)))).toBe(false);
  });
});

describe("a document", () => {
  test("comes back as it was", () => {
    for (const { text } of logs) {
      const reports = parseReports(text);
      expect(fromDocument(toDocument(reports))).toEqual(reports);
    }
  });

  test.each([
    ["no JSON", "Oops: 0002"],
    ["another document", "{}"],
    ["null", "null"],
    ["another version", '{"schema":"9.0","reports":[]}'],
    ["reports that are none", `{"schema":"${SCHEMA_VERSION}","reports":[null]}`],
  ])("of %s is refused", (_what, text) => {
    expect(() => fromDocument(text)).toThrow(CrashlabError);
    expect(() => fromDocument(text)).toThrow(/expected .* found /);
  });
});
