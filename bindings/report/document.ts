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
  if (depthOf(text) > DEEPEST) {
    throw new CrashlabError(
      "bad-report",
      `expected at most ${DEEPEST} levels of brackets in the document, found more; parse the log again`,
    );
  }
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
  for (const [index, report] of reports.entries()) {
    const field = misshapen(report);
    if (field !== undefined) {
      throw new CrashlabError(
        "bad-report",
        `expected "${field}" of report ${index} as docs/schema/crash-report.schema.json has it, found another form; parse the log again`,
      );
    }
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

/** Reports have six levels; what recurses over them must not meet a million. */
const DEEPEST = 32;

/** Levels of brackets outside of strings; stops counting past the limit. */
function depthOf(text: string): number {
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[{}\]]/gs)) {
    if (token === "[" || token === "{") depth++;
    else if (token === "]" || token === "}") depth--;
    if (depth > DEEPEST) break;
  }
  return depth;
}

type Shape = { readonly [name: string]: unknown };
const isText = (value: unknown): boolean => typeof value === "string";
const isShape = (value: unknown): value is Shape =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isPlace = (value: unknown): boolean => isShape(value) && isAbsentOr(isText)(value["symbol"]);
const isAbsentOr =
  (check: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === undefined || check(value);
const isListOf =
  (check: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    Array.isArray(value) && value.every(check);

/** The form of each field that the functions of this folder look into. */
const FORM: { readonly [field: string]: (value: unknown) => boolean } = {
  kind: isText,
  title: isText,
  altTitles: isListOf(isText),
  dedupeKey: isText,
  taint: isListOf((flag) => isShape(flag) && isText(flag["letter"])),
  registers: isShape,
  trace: isListOf(isPlace),
  rip: isAbsentOr(isPlace),
  fault: isAbsentOr(isShape),
  user: isAbsentOr((user) => isShape(user) && isShape(user["registers"])),
  code: isAbsentOr((code) => isShape(code) && isListOf((byte) => typeof byte === "number")(code["bytes"])),
};

/** The first field that is not as it should be. */
function misshapen(report: unknown): string | undefined {
  if (!isShape(report)) return "kind";
  return Object.entries(FORM).find(([field, check]) => !check(report[field]))?.[0];
}
