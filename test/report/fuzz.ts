/**
 * Damages real logs at random and parses them: nothing may throw, nothing may take long. All from one seed.
 *
 *     npm run fuzz:report -- 100000 1        (count, seed)
 */
import { readdirSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { progress } from "../../bindings/cli/progress.ts";
import { checkLog, fromDocument, parseReports, toDocument } from "../../bindings/report/index.ts";

/** Milliseconds of processor time that a log may take: a busy machine is no failure. */
const LIMIT = 1000;

const LOGS = new URL("../data/linux-logs/", import.meta.url);

/** Every reference log, with crash's and readelf's output too: text that is almost a log. */
export function referenceLogs(): { name: string; text: string }[] {
  return ["oops", "kasan", "kfence", "kdump"].flatMap((folder) =>
    readdirSync(new URL(folder, LOGS)).map((file) => ({
      name: `${folder}/${file}`,
      text: readFileSync(new URL(`${folder}/${file}`, LOGS), "utf8"),
    })),
  );
}

/** Uniform integers below a bound, from a seed: mulberry32. */
export function randomFrom(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

type Random = (bound: number) => number;
type Mutation = (lines: string[], random: Random, other: readonly string[]) => void;

const NOISE = "\u0000\u0007\u001b[2J\u001b[31m\ufffd\u00ff \t=<>[]()+/0xf?:";

function at<T>(list: readonly T[], random: Random): number {
  return random(Math.max(1, list.length));
}

function edit(lines: string[], random: Random, change: (line: string) => string): void {
  const index = at(lines, random);
  lines[index] = change(lines[index] ?? "");
}

/** What happens to logs: lost, doubled, swapped and torn lines, noise, lost prefixes, two logs in one, long lines. */
export const MUTATIONS: { readonly [name: string]: Mutation } = {
  lose: (lines, random) => void lines.splice(at(lines, random), 1 + random(5)),
  repeat: (lines, random) => {
    const index = at(lines, random);
    const count = 1 + random(20);
    lines.splice(index, 0, ...Array.from({ length: count }, () => lines[index] ?? ""));
  },
  swap: (lines, random) => {
    const [a, b] = [at(lines, random), at(lines, random)];
    [lines[a], lines[b]] = [lines[b] ?? "", lines[a] ?? ""];
  },
  tear: (lines, random) => edit(lines, random, (line) => line.slice(0, random(line.length + 1))),
  join: (lines, random) => {
    const index = at(lines, random);
    lines.splice(index, 2, `${lines[index] ?? ""}${lines[index + 1] ?? ""}`);
  },
  behead: (lines, random) => edit(lines, random, (line) => line.slice(random(line.length + 1))),
  noise: (lines, random) =>
    edit(lines, random, (line) => {
      const place = random(line.length + 1);
      const dirt = Array.from({ length: 1 + random(12) }, () => NOISE[random(NOISE.length)]).join("");
      return line.slice(0, place) + dirt + line.slice(place + random(4));
    }),
  truncate: (lines, random) => void lines.splice(at(lines, random)),
  start: (lines, random) => void lines.splice(0, at(lines, random)),
  bare: (lines) => {
    for (const [index, line] of lines.entries()) lines[index] = line.replace(/^\[ *\d+\.\d+\] /, "");
  },
  callers: (lines, random) => {
    for (const [index, line] of lines.entries()) {
      lines[index] = line.replace(/^(\[ *\d+\.\d+\]) /, `$1[ ${random(2) === 0 ? "T39" : "C0"}] `);
    }
  },
  levels: (lines) => {
    for (const [index, line] of lines.entries()) lines[index] = `<4>${line}`;
  },
  digit: (lines, random) => edit(lines, random, (line) => line.replace(/[0-9a-f]/, random(16).toString(16))),
  shuffle: (lines, random) => {
    const index = at(lines, random);
    const part = lines.splice(index, 40);
    for (const line of part) lines.splice(index + random(part.length), 0, line);
  },
  mix: (lines, random, other) => {
    const index = at(lines, random);
    const start = random(Math.max(1, other.length));
    for (const [offset, line] of other.slice(start, start + 30).entries()) {
      lines.splice(index + offset * 2, 0, line);
    }
  },
  long: (lines, random) => edit(lines, random, (line) => (line || "a").repeat(1 + random(400))),
  digits: (lines, random) => edit(lines, random, (line) => line.replace(/\d+/, "9".repeat(1 + random(4000)))),
  blanks: (lines, random) => edit(lines, random, (line) => line.replace(" ", " ".repeat(1 + random(4000)))),
};

export interface FuzzResult {
  readonly count: number;
  readonly reports: number;
  /** The slowest, in milliseconds, and how to get it again. */
  readonly slowest: { readonly ms: number; readonly case: number; readonly name: string };
  readonly failures: readonly string[];
}

/** The damaged log of one case: the same for the same seed and number. */
export function damagedLog(
  logs: readonly { name: string; text: string }[],
  seed: number,
  number: number,
): { name: string; text: string } {
  const random = randomFrom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b));
  const log = logs[random(logs.length)];
  const other = logs[random(logs.length)];
  const lines = (log?.text ?? "").split("\n");
  const names = Object.keys(MUTATIONS);
  for (let count = 1 + random(6); count > 0; count--) {
    MUTATIONS[names[random(names.length)] ?? ""]?.(lines, random, (other?.text ?? "").split("\n"));
  }
  return { name: log?.name ?? "", text: lines.join("\n") };
}

/** Parses, checks and writes `count` damaged logs. */
export function fuzz(
  count: number,
  seed: number,
  progress: (done: number, failed: number) => void = () => {},
): FuzzResult {
  const logs = referenceLogs();
  const failures: string[] = [];
  let reports = 0;
  let slowest = { ms: 0, case: 0, name: "" };
  for (let number = 0; number < count; number++) {
    const { name, text } = damagedLog(logs, seed, number);
    const start = process.cpuUsage();
    try {
      const parsed = parseReports(text);
      reports += parsed.length;
      checkLog(text);
      const wrong = parsed.find(({ confidence, lines: [first, last] }) => {
        return !(confidence > 0 && confidence <= 1) || first > last;
      });
      if (wrong !== undefined)
        failures.push(`case ${number} of ${name}: confidence or lines of ${wrong.title}`);
      if (number % 16 === 0) fromDocument(toDocument(parsed));
    } catch (error) {
      failures.push(`case ${number} of ${name}: ${error instanceof Error ? error.stack : error}`);
    }
    const { user, system } = process.cpuUsage(start);
    const ms = (user + system) / 1000;
    if (ms > slowest.ms) slowest = { ms, case: number, name };
    if (ms > LIMIT) failures.push(`case ${number} of ${name}: ${Math.round(ms)} ms`);
    progress(number + 1, failures.length);
  }
  return { count, reports, slowest, failures };
}

/** Ends with status 0 when nothing failed, 1 when something did, 2 when it was asked wrongly. */
function main(words: readonly string[]): number {
  const usage = "usage: npm run fuzz:report -- [COUNT [SEED]]";
  if (words.includes("--help")) {
    console.log(
      `${usage}\n\nDamages the reference logs (test/data/linux-logs) COUNT times (default 100000) from SEED (default 1) and\n` +
        `parses them. Fails if one throws, or takes more than a second of processor time.`,
    );
    return 0;
  }
  const [count = 100_000, seed = 1] = words.map((word) =>
    /^\d{1,15}$/.test(word) ? Number(word) : Number.NaN,
  );
  if (words.length > 2 || !(count > 0) || !(seed >= 0)) {
    console.error(
      `fuzz:report: expected a count from 1 and a seed from 0, found "${words.join(" ")}"\n${usage}`,
    );
    return 2;
  }
  const show = progress();
  const begun = performance.now();
  const { reports, slowest, failures } = fuzz(count, seed, (done, failed) => {
    const rate = (done / (performance.now() - begun)) * 1000;
    show(`${done}/${count} logs, ${rate.toFixed(0)}/s, ${failed} failures`, done === count);
  });
  console.log(`${count} damaged logs, seed ${seed}: ${reports} reports, ${failures.length} failures`);
  console.log(`slowest: ${slowest.ms.toFixed(1)} ms, case ${slowest.case} of ${slowest.name}`);
  for (const failure of failures.slice(0, 20)) console.log(failure);
  return failures.length > 0 ? 1 : 0;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href)
  process.exitCode = main(process.argv.slice(2));
