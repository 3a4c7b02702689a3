/** `crashlab parse`: any kernel log to JSON or one line a report. */
import { text } from "node:stream/consumers";
import { Command } from "commander";
import { parseReports, SCHEMA_VERSION } from "../report/index.ts";
import { examples, readInput, toJson } from "./files.ts";

export function parseCommand(): Command {
  return new Command("parse")
    .description("find crash reports in a kernel log (dmesg, serial console, journal); prints JSON")
    .argument("[log]", "file to read; standard input by default")
    .option("--titles", "print one title a line instead of JSON")
    .addHelpText("after", examples("crashlab parse dmesg.txt", "dmesg | crashlab parse --titles"))
    .action(async (path: string | undefined, options: { titles?: boolean }) => {
      const log =
        path === undefined ? await text(process.stdin) : new TextDecoder().decode(await readInput(path));
      const reports = parseReports(log);
      if (options.titles) for (const report of reports) console.log(report.title);
      else console.log(toJson({ schema: SCHEMA_VERSION, reports }));
      if (reports.length === 0) process.exitCode = 1;
    });
}
