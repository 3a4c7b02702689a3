/**
 * A campaign that is killed by `kill -9` in the middle and resumed, beside one that is left alone: no case is lost or run
 * twice, the files are equal byte for byte, and memory does not grow with the cases. Says how fast and how large they were.
 *
 *     CAMPAIGN_CASES=5000 npx vitest run test/campaign/killed.test.ts        (CAMPAIGN_SEED: another one)
 */
import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildTs, crashlab, ROOT } from "../docs/run.ts";

const CASES = Number(process.env["CAMPAIGN_CASES"] ?? 60);
const SEED = Number(process.env["CAMPAIGN_SEED"] ?? 2027);
/** Milliseconds of a case on a busy machine, at most, and of all that stands around the cases. */
const TIMEOUT = 120_000 + CASES * 4000;
/** The heap of a thread may have so many megabytes: garbage is collected late, and a leak would end the process. */
const HEAP_MB = 160;
/** What the process may have: two heaps, two machines of 32 MB, the program. However many cases there are. */
const MOST_MB = 500;
/** Clock ticks a second of /proc/PID/stat (Linux proc(5)). */
const TICKS = 100;
/** The number of the field with user time there, behind which that of the system stands. */
const UTIME = 14;

const FILES = ["cases.jsonl", "summary.json", "summary.txt", "index.html"];

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "crashlab-killed-"));
  await buildTs();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = (campaign: string, file: string): string => readFileSync(join(folder, campaign, file), "utf8");
const args = (campaign: string, jobs: number): string[] =>
  `campaign --seed ${SEED} --cases ${CASES} --jobs ${jobs} --out ${join(folder, campaign)}`.split(" ");

/** Cases that have a whole line in the journal, in the order in which they ended. */
function indexes(campaign: string): number[] {
  return read(campaign, "journal.jsonl")
    .split("\n")
    .slice(1, -1)
    .map((line) => JSON.parse(line).index as number);
}

interface Course {
  readonly status: number | null;
  readonly seconds: number;
  /** Of processor time, until shortly before the end. */
  readonly cpuSeconds: number;
  /** Resident megabytes by cases that had ended. */
  readonly memory: readonly { readonly cases: number; readonly megabytes: number }[];
}

/** Runs the command, and looks at it now and then; `look` is told how many cases have ended. */
async function watch(
  campaign: string,
  words: readonly string[],
  look?: (cases: number, child: ChildProcess) => void,
): Promise<Course> {
  const begun = performance.now();
  const child = spawn(
    process.execPath,
    [`--max-old-space-size=${HEAP_MB}`, join(ROOT, "dist/cli/main.js"), ...words],
    { stdio: "ignore" },
  );
  const memory: { cases: number; megabytes: number }[] = [];
  let cpuSeconds = 0;
  let seen = 0;
  const timer = setInterval(
    () => {
      const path = join(folder, campaign, "journal.jsonl");
      const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      if (size === seen) return;
      seen = size;
      const cases = readFileSync(path, "utf8").split("\n").length - 2;
      const now = usage(child.pid);
      if (now !== undefined) {
        memory.push({ cases, megabytes: now.megabytes });
        cpuSeconds = now.cpuSeconds;
      }
      look?.(cases, child);
    },
    Math.min(2000, CASES),
  );
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  clearInterval(timer);
  return { status, seconds: (performance.now() - begun) / 1000, cpuSeconds, memory };
}

/** What a process uses, where the system tells (Linux proc(5)). */
function usage(pid: number | undefined): { megabytes: number; cpuSeconds: number } | undefined {
  try {
    const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    // Behind the name, which may have blanks in it: field 3 and on.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    const [user, system] = fields.slice(UTIME - 3);
    return {
      megabytes: Math.round((Number(resident) * 1024) / 1e6),
      cpuSeconds: (Number(user) + Number(system)) / TICKS,
    };
  } catch {
    return undefined; // it has ended, or this is no Linux
  }
}

describe(`a campaign of ${CASES} cases`, () => {
  let whole: Course;
  beforeAll(async () => {
    whole = await watch("whole", args("whole", 1));
    console.log(describeCourse("left alone", whole));
  }, TIMEOUT);

  test("runs to its end, each case once, none failed", () => {
    expect(whole.status).toBe(0);
    expect(indexes("whole")).toEqual([...Array(CASES).keys()]);
    const { outcomes, cases } = JSON.parse(read("whole", "summary.json"));
    expect({ cases, failed: outcomes.failed }).toEqual({ cases: CASES, failed: 0 });
  });

  test.skipIf(process.platform !== "linux")("does not grow", () => {
    expect(Math.max(...whole.memory.map(({ megabytes }) => megabytes))).toBeLessThan(MOST_MB);
  });

  test("goes on after kill -9 without loss or repetition, with other threads, to the same bytes", {
    timeout: TIMEOUT,
  }, async () => {
    const killed = await watch("killed", args("killed", 1), (cases, child) => {
      if (cases >= CASES / 2) child.kill("SIGKILL");
    });
    console.log(describeCourse("killed", killed));
    expect(killed.status).toBeNull();
    const before = indexes("killed");
    expect(before.length).toBeGreaterThanOrEqual(CASES / 2);
    expect(before.length).toBeLessThan(CASES);
    const journal = read("killed", "journal.jsonl");
    const kept = journal.slice(0, journal.lastIndexOf("\n") + 1);
    // What a process leaves that is killed within a write.
    appendFileSync(join(folder, "killed/journal.jsonl"), `{"index":${CASES - 1},"fault":"torn`);

    const refused = await crashlab(...args("killed", 1));
    expect(refused.stderr).toContain("go on with it by --resume");
    expect(refused.status).toBe(3);

    const resumed = await watch("killed", [...args("killed", 2), "--resume"]);
    console.log(describeCourse("resumed, 2 threads", resumed));
    expect(resumed.status).toBe(0);
    expect(read("killed", "journal.jsonl").startsWith(kept)).toBe(true);
    expect(indexes("killed").sort((a, b) => a - b)).toEqual([...Array(CASES).keys()]);
    for (const file of FILES) expect(read("killed", file), file).toBe(read("whole", file));
  });
});

function describeCourse(name: string, { seconds, cpuSeconds, memory }: Course): string {
  const cases = (memory.at(-1)?.cases ?? 0) - (memory[0]?.cases ?? 0);
  const rows = memory.filter((_, index) => index % Math.ceil(memory.length / 10) === 0);
  return [
    `${name}: ${cases} cases in ${seconds.toFixed(0)} s, ${cpuSeconds.toFixed(0)} s of processor time ` +
      `(${(cases / cpuSeconds).toFixed(1)} a second of it)`,
    `  MB at case ${rows.map((row) => `${row.cases}: ${row.megabytes}`).join(", ")}`,
  ].join("\n");
}
