/** `crashlab/report`: kernel logs to crash reports. Needs no machine. */

export { type Comparison, compare, type Difference } from "./compare.ts";
export { type CodeLine, findCodes, formatCode } from "./decodecode.ts";
export { fromDocument, type ReportDocument, toDocument } from "./document.ts";
export {
  type CheckedLog,
  type CheckedReport,
  type CheckOptions,
  checkLog,
  checkReport,
  type Violation,
} from "./grammar/check.ts";
export { parseReports, ReportStream } from "./parse.ts";
export { type PstoreRecord, type RamoopsLayout, readRamoops } from "./ramoops.ts";
export { type PlaceDecoder, withSourceLines } from "./source_lines.ts";
export { parseTaint, TAINT_FLAGS, taintOfNumber } from "./taint.ts";
export * from "./types.ts";
