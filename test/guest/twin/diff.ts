/**
 * diff of a crash point's report with Linux's, numbers aside:
 *   npx tsx test/guest/twin/diff.ts LINUX_LOG OUR_LOG
 * `-` is a line that only Linux has, `+` one that only we have. Exit status 1 when there is any.
 */
import { readFileSync } from "node:fs";
import { difference, normalise } from "./normalise.ts";

const [linux, ours] = process.argv.slice(2);
if (linux === undefined || ours === undefined) {
  console.error("usage: diff.ts LINUX_LOG OUR_LOG");
  process.exit(2);
}
const lines = difference(normalise(readFileSync(linux, "utf8")), normalise(readFileSync(ours, "utf8")));
for (const { side, line } of lines) console.log(`${side === "linux" ? "-" : "+"} ${line}`);
process.exit(lines.length > 0 ? 1 : 0);
