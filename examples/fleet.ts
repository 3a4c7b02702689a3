/**
 * The crashes of a fleet: every log of a folder, each bug once with the number of its reports and the machines that have it.
 *
 *     npx tsx fleet.ts /var/log/netconsole
 */
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type CrashReport, ReportStream } from "crashlab/report";

/** Line by line: a log of many gigabytes is never in memory. */
async function* reportsOf(path: string): AsyncGenerator<CrashReport> {
  const stream = new ReportStream();
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of lines) yield* stream.push(line);
  yield* stream.end();
}

interface Bug {
  readonly first: CrashReport;
  readonly hosts: Set<string>;
  count: number;
}

const folder = process.argv[2] ?? ".";
const bugs = new Map<string, Bug>();
for (const name of (await readdir(folder)).sort()) {
  for await (const report of reportsOf(join(folder, name))) {
    if (report.kind === "user-fault" || report.confidence < 0.5) continue;
    const bug = bugs.get(report.dedupeKey) ?? { first: report, hosts: new Set<string>(), count: 0 };
    bugs.set(report.dedupeKey, bug);
    bug.count++;
    bug.hosts.add(name);
  }
}
for (const { first, hosts, count } of [...bugs.values()].sort((a, b) => b.count - a.count)) {
  console.log(`${count}x on ${hosts.size}: ${first.title}  [${first.release ?? "?"}]`);
}
