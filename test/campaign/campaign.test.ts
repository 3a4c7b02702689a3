import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCampaign } from "../../bindings/campaign/campaign.ts";
import { Random } from "../../bindings/campaign/random.ts";
import { type CaseRecord, CaseRunner } from "../../bindings/campaign/runner.ts";
import { type Summary, summarize } from "../../bindings/campaign/summary.ts";
import { violations } from "../guest/machines.ts";

// The long form: npm run -s crashlab -- campaign --seed 1 --cases 1000 --out campaign1
const CASES = 60;
const SEED = 2027;

let folder: string;
let summary: Summary;
const out = (name: string): string => join(folder, name);
const read = (name: string, file: string): string => readFileSync(join(folder, name, file), "utf8");

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "crashlab-campaign-"));
  summary = await runCampaign({ seed: SEED, cases: CASES, jobs: 0, out: out("whole") });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a campaign", () => {
  it("ends every case in a report, a panic, a clean run, a hang or a reset", () => {
    const { report, panic, clean, hang, reset, failed } = summary.outcomes;
    expect({ failed, failures: summary.failures }).toEqual({ failed: 0, failures: [] });
    expect(report + panic + clean + hang + reset).toBe(CASES);
    for (const count of [report, panic, clean]) expect(count).toBeGreaterThan(0);
    expect(summary.signatures.length).toBeGreaterThan(3);
  });

  it("reports in Linux's grammar, however the machine was broken", async () => {
    const runner = await CaseRunner.create({ seed: 1 });
    let reports = 0;
    for (let index = 0; index < 40; index++) {
      const { fault, injection } = await runner.run(index);
      reports += injection.reports;
      expect({
        index,
        fault: fault.name,
        violations: violations(injection.console, { broken: true }),
      }).toEqual({
        ...{ index, fault: fault.name, violations: [] },
      });
    }
    expect(reports).toBeGreaterThan(10);
  });

  it("tells the truth of each from the machine's state", () => {
    const records = read("whole", "cases.jsonl")
      .trim()
      .split("\n")
      .map((line): CaseRecord => JSON.parse(line));
    expect(records.map(({ index }) => index)).toEqual([...Array(CASES).keys()]);
    const changed = records.filter(({ truth }) => (truth as { change?: { before?: string } }).change?.before);
    expect(changed.length).toBeGreaterThan(10);
    for (const { truth } of changed) {
      expect(truth).toMatchObject({
        when: { time: expect.stringMatching(/^0x/), rip: expect.stringMatching(/^0x/) },
      });
    }
  });

  it("draws a page that needs nothing from elsewhere", () => {
    const page = read("whole", "index.html");
    expect(page).toContain("<svg");
    expect(page).not.toMatch(/https?:|src=|href=|<script/);
  });

  it("refuses a folder of another campaign, and numbers that are none", async () => {
    const other = runCampaign({ seed: SEED + 1, cases: CASES, jobs: 0, out: out("whole"), resume: true });
    await expect(other).rejects.toThrow("one with other options or of another build");
    await expect(runCampaign({ cases: 0 })).rejects.toThrow("cases as a whole number from 1");
    await expect(runCampaign({ cases: 1, jobs: 0, seed: -1 })).rejects.toThrow("a seed as a whole number");
  });

  it("stops when it is told to", async () => {
    const controller = new AbortController();
    const running = runCampaign({
      seed: SEED,
      cases: CASES,
      jobs: 0,
      signal: controller.signal,
      onCase: () => controller.abort(),
    });
    await expect(running).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("the summary", () => {
  const report = { title: 'BUG in <script>"', kind: "oops", dedupeKey: "k", corrupted: false };
  it("does not depend on the order of the records", () => {
    const records: CaseRecord[] = [
      { index: 0, fault: "flip:register:rax:1", outcome: "report", truthOutcome: "report", report },
      { index: 1, fault: "nmi", outcome: "report", truthOutcome: "clean", report },
      { index: 2, fault: "nmi", outcome: "failed", error: "Error: no" },
    ];
    const made = summarize("1.0", 1, records);
    expect(summarize("1.0", 1, records.toReversed())).toEqual(made);
    expect(made.signatures).toMatchObject([{ count: 2, cases: [0, 1], faults: ["flip:register", "nmi"] }]);
    expect(made.disagreements).toEqual([{ index: 1, fault: "nmi", console: "report", state: "clean" }]);
    expect(made.failures).toEqual([{ index: 2, fault: "nmi", error: "Error: no" }]);
  });

  it("numbers are even, and differ from seed to seed and case to case", () => {
    const counts = Array.from({ length: 8 }, () => 0);
    const random = new Random(1, 1);
    for (let draw = 0; draw < 8000; draw++) {
      const bin = random.below(8);
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
    const firsts = [0, 1, 2].flatMap((seed) => [0, 1, 2].map((index) => new Random(seed, index).next()));
    expect(new Set(firsts).size).toBe(9);
  });
});
