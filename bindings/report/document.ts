/**
 * Reports as a JSON document: docs/schema/crash-report.schema.json. Addresses and registers are "0x..." strings,
 * since JSON has no 64-bit integers.
 */
import { CrashlabError } from "../error.ts";
import { type CrashReport, SCHEMA_VERSION } from "./types.ts";

/** Reports as JSON: docs/schema/crash-report.schema.json. Addresses are `0x...` strings. */
export interface ReportDocument {
  readonly schema: string;
  readonly reports: readonly CrashReport[];
}

/** The document, as text. */
export function toDocument(reports: readonly CrashReport[]): string {
  return JSON.stringify(
    { schema: SCHEMA_VERSION, reports },
    (_key, item) => {
      return typeof item === "bigint" ? `0x${BigInt.asUintN(64, item).toString(16)}` : item;
    },
    2,
  );
}

/** Strings under these names are numbers of 64 bits; so is each value of `registers`. */
const BIG = new Set(["address", "size"]);
const HEX = /^0x[0-9a-f]{1,16}$/;

/**
 * Reports out of a document that `toDocument` or `crashlab parse` wrote.
 * @throws CrashlabError `bad-report` when it is none, or of another major version.
 */
export function fromDocument(text: string): CrashReport[] {
  let document: unknown;
  try {
    document = JSON.parse(text, (key, item) =>
      BIG.has(key) && typeof item === "string" && HEX.test(item) ? BigInt(item) : item,
    );
  } catch (cause) {
    throw new CrashlabError("bad-report", "expected a JSON document of crash reports, found no JSON", {
      cause,
    });
  }
  const { schema, reports } = (document ?? {}) as { schema?: unknown; reports?: unknown };
  const major = SCHEMA_VERSION.split(".")[0];
  if (typeof schema !== "string" || schema.split(".")[0] !== major || !Array.isArray(reports)) {
    throw new CrashlabError(
      "bad-report",
      `expected "schema": "${major}.x" and "reports": [...], found schema ${JSON.stringify(schema)}; parse the log again`,
    );
  }
  const broken = reports.findIndex(
    (report) =>
      typeof report?.kind !== "string" || typeof report.title !== "string" || !Array.isArray(report.trace),
  );
  if (broken >= 0) {
    throw new CrashlabError(
      "bad-report",
      `expected kind, title and trace in report ${broken}, found not all of them`,
    );
  }
  for (const { registers, user } of reports)
    for (const values of [registers, user?.registers]) revive(values);
  return reports as CrashReport[];
}

function revive(values: { [name: string]: unknown } | undefined): void {
  for (const [name, value] of Object.entries(values ?? {})) {
    if (values !== undefined && typeof value === "string" && HEX.test(value)) values[name] = BigInt(value);
  }
}
