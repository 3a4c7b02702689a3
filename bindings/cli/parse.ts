/** `crashlab parse`: any kernel log to JSON or one line a report. */
import { text } from "node:stream/consumers";
import { Command } from "commander";
import { type CrashReport, checkReport, ReportStream, toDocument } from "../report/index.ts";
import { examples, readInput, readPieces } from "./files.ts";
import { interruption } from "./interrupt.ts";
import { laterProgress } from "./progress.ts";

/** Of a line without an end, so much is kept; the parser looks at less. */
const LINE_LIMIT = 4096;

interface ParseOptions {
  readonly titles?: boolean;
  readonly check?: boolean;
}

export function parseCommand(): Command {
  return new Command("parse")
    .description(
      "find crash reports in a kernel log: console, dmesg, journal, pstore, netconsole; exit 1 if there are none",
    )
    .argument("[log]", "file to read; standard input by default")
    .option("--json", "print a JSON document (docs/schema/crash-report.schema.json); the default")
    .option("--titles", "print one title a line instead")
    .option("--check", "print where the reports differ from the form of Linux 6.1 instead; exit 1 if they do")
    .addHelpText(
      "after",
      examples(
        "crashlab parse dmesg.txt",
        "dmesg | crashlab parse --titles",
        "crashlab parse --check console.log",
      ),
    )
    .action(async (path: string | undefined, options: ParseOptions) => {
      if (options.check)
        return check(
          path === undefined ? await text(process.stdin) : new TextDecoder().decode(await readInput(path)),
        );
      const reports = await readReports(path);
      if (options.titles) for (const report of reports) console.log(report.title);
      else console.log(toDocument(reports));
      if (reports.length === 0) process.exitCode = 1;
    });
}

/** Reports of a log of any size, in order of their first lines. */
async function readReports(path: string | undefined): Promise<CrashReport[]> {
  const stream = new ReportStream();
  const reports: CrashReport[] = [];
  const decoder = new TextDecoder();
  const { show, clear } = laterProgress();
  let line = "";
  let bytes = 0;
  for await (const piece of readPieces(path, interruption())) {
    const lines = (line + decoder.decode(piece, { stream: true })).split("\n");
    line = (lines.pop() ?? "").slice(0, LINE_LIMIT);
    for (const each of lines) reports.push(...stream.push(each));
    bytes += piece.length;
    show(`read ${(bytes / 1e6).toFixed(0)} MB, ${reports.length} reports`);
  }
  clear();
  reports.push(...stream.push(line + decoder.decode()), ...stream.end());
  return reports.sort((a, b) => a.lines[0] - b.lines[0]);
}

function check(log: string): void {
  const violations = checkReport(log);
  for (const { line, expected, found } of violations) {
    console.log(
      `line ${line}: expected ${expected}\n${" ".repeat(`line ${line}: `.length)}found    ${found}`,
    );
  }
  if (violations.length > 0) process.exitCode = 1;
}
