/** Source lines for a report: where its places are in the kernel's own files. */
import type { PlaceKind } from "../symbols/decode.ts";
import type { SourceFrame } from "../symbols/table.ts";
import type { CodeLocation, CrashReport } from "./types.ts";

/** Functions and lines of a place, inlined ones first; none when it is not known. See `decodePlace`. */
export type PlaceDecoder = (place: CodeLocation, kind: PlaceKind) => readonly SourceFrame[];

/** The report with file and line at RIP and at each frame of the trace that the decoder knows. */
export function withSourceLines(report: CrashReport, decode: PlaceDecoder): CrashReport {
  const { rip } = report;
  return {
    ...report,
    ...(rip === undefined ? {} : { rip: locate(rip, "exact", decode) }),
    trace: report.trace.map((frame) => locate(frame, "call", decode)),
  };
}

function locate<Place extends CodeLocation>(place: Place, kind: PlaceKind, decode: PlaceDecoder): Place {
  const frames = decode(place, kind);
  const [innermost] = frames;
  if (innermost === undefined) return place;
  const { file, line } = innermost;
  return { ...place, file, line, ...(frames.length > 1 ? { inlined: frames } : {}) };
}
