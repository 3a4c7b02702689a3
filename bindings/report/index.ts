/** `crashlab/report`: kernel logs to crash reports. Needs no machine. */
export { parseReports, ReportStream } from "./parse.ts";
export { type PlaceDecoder, withSourceLines } from "./source_lines.ts";
export { parseTaint, TAINT_FLAGS, taintOfNumber } from "./taint.ts";
export * from "./types.ts";
