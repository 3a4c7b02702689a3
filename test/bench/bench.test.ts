/** The bench command's plumbing, on one small program. Speed itself is never tested: see bench/README.md. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { TimingReader } from "../../bench/peers/lines.ts";

const ROOT = join(import.meta.dirname, "../..");
const folder: string = mkdtempSync(join(tmpdir(), "bench-"));
afterAll(() => rmSync(folder, { recursive: true }));

function bench(...args: readonly string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ["--conditions=source", "--import", "tsx", "bench/run.ts", ...args],
      { cwd: ROOT },
      (error, stdout, stderr) =>
        resolve({
          status: error === null ? 0 : typeof error.code === "number" ? error.code : -1,
          stdout,
          stderr,
        }),
    );
  });
}

describe("npm run bench", () => {
  it("measures the programs named and writes a result with the machine's facts", async () => {
    const file = join(folder, "result.json");
    const { status, stdout } = await bench("--quick", "--no-peers", "--out", file, "pio", "size");
    expect({ status, stdout }).toMatchObject({ status: 0 });
    expect(stdout).toContain("pio");
    const result = JSON.parse(readFileSync(file, "utf8"));
    expect(result).toMatchObject({
      schema: 2,
      quick: true,
      machine: { node: process.version, cpu: expect.any(String), load: expect.any(Number) },
      programs: { peers: {}, programs: [{ program: "pio", checksum: "00000000" }] },
    });
    expect(result.programs.programs[0].instructions).toBeGreaterThan(1_000_000);
    expect(result.core.gzipped).toBeLessThan(300 * 1024);
    expect(result.state).toBeUndefined();
  });

  it("has a result of each part in the quick form, whatever the times are", async () => {
    const file = join(folder, "parts.json");
    const parts = "crashes,state,kasan,kfence,size,smc";
    const { status, stdout } = await bench("--quick", "--no-peers", "--only", parts, "--out", file);
    expect({ status, stdout }).toMatchObject({ status: 0 });
    const result = JSON.parse(readFileSync(file, "utf8"));
    const positive = expect.toSatisfy((value: unknown) => typeof value === "number" && value > 0);
    const times = Object.fromEntries(
      ["restoreMs", "snapshotMs", "pooledForkMs", "forkMs", "touchUs", "instanceMs"].map((name) => [
        name,
        positive,
      ]),
    );
    expect(result).toEqual({
      schema: 2,
      quick: true,
      machine: {
        date: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        cpu: expect.any(String),
        cpuCount: positive,
        memoryMiB: positive,
        load: expect.any(Number),
        node: process.version,
        v8: process.versions.v8,
        platform: `${process.platform}-${process.arch}`,
      },
      crashes: {
        fault: "null-dereference",
        perSecond: positive,
        medianPerSecond: positive,
        inPlacePerSecond: positive,
        medianInPlacePerSecond: positive,
        forkMs: positive,
        restoreMs: positive,
        firstBootMs: positive,
        bootMs: positive,
      },
      core: { bytes: positive, gzipped: positive },
      programs: {
        peers: {},
        programs: [
          {
            program: "smc",
            checksum: expect.stringMatching(/^[0-9a-f]{8}$/),
            instructions: positive,
            seconds: positive,
            coldSeconds: positive,
            mips: positive,
            rate: { unit: "M rewritten functions/s", value: positive },
          },
        ],
        geometricMeanMips: null, // of none
      },
      state: {
        dirtyPages: 1000,
        ...times,
        best: times,
        cpu: times,
        rates: Array.from({ length: 3 }, () => ({
          name: expect.any(String),
          perSecond: positive,
          margin: expect.any(Number),
        })),
      },
      kasan: {
        programs: expect.arrayContaining([expect.objectContaining({ program: "pipes", plainMs: positive })]),
        time: expect.objectContaining({ off: positive, core: positive }),
        instructions: expect.objectContaining({ off: expect.closeTo(1, 4), core: positive }),
        missing: expect.any(Array),
        shadow: 0.125,
        memory: positive,
      },
      kfence: {
        instructions: positive,
        intervals: [100, 10, 1].map((sampleInterval) => ({
          sampleInterval,
          ratio: positive,
          samples: expect.any(Number),
        })),
      },
    });
  });

  it("says what there is to measure", async () => {
    const { status, stdout } = await bench("--help");
    expect(status).toBe(0);
    for (const word of ["--quick", "--only", "state", "programs", "sha256", "smc"])
      expect(stdout).toContain(word);
  });

  it("refuses a name it does not know", async () => {
    const { status, stderr } = await bench("dhrystone");
    expect(status).toBe(2);
    expect(stderr).toContain('expected a part or a program, found "dhrystone"');
  });

  it("takes the second run of a program as the measurement", () => {
    const reader = new TimingReader();
    for (const [line, now, retired] of [
      ["> fib", 1, 100],
      ["< 0001", 3, 300],
      ["> fib", 3, 350],
      ["< 0001", 4, 550],
      ["done", 5, 600],
    ] as const)
      reader.line(line, now, retired);
    expect(reader.finished).toBe(true);
    expect(reader.timings).toEqual([
      { program: "fib", checksum: "0001", cold: 2, warm: 1, instructions: 200 },
    ]);
  });
});
