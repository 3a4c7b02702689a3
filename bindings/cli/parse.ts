/** `crashlab parse`: any kernel log to JSON or one line a report. */
import { text } from "node:stream/consumers";
import { Command } from "commander";
import { checkReport, parseReports, toDocument } from "../report/index.ts";
import { examples, readInput } from "./files.ts";

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
      const log =
        path === undefined ? await text(process.stdin) : new TextDecoder().decode(await readInput(path));
      if (options.check) return check(log);
      const reports = parseReports(log);
      if (options.titles) for (const report of reports) console.log(report.title);
      else console.log(toDocument(reports));
      if (reports.length === 0) process.exitCode = 1;
    });
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
