/** `crashlab/report`: kernel logs to crash reports. Needs no machine. */
export {
  type CheckedLog,
  type CheckedReport,
  type CheckOptions,
  checkLog,
  checkReport,
  type Violation,
} from "./grammar/check.ts";
export { parseReports, ReportStream } from "./parse.ts";
export { type PlaceDecoder, withSourceLines } from "./source_lines.ts";
export { parseTaint, TAINT_FLAGS, taintOfNumber } from "./taint.ts";
export * from "./types.ts";
