import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { VectorSet } from "../../bindings/vectors/load.ts";
import { VectorRunner } from "../../bindings/vectors/run.ts";

const FOLDER = join(import.meta.dirname, "../data/vectors");

/** Classes where the core must agree with the CPU in every vector. */
const EXACT: readonly RegExp[] = [/^int\./, /^seq\./, /^s?sse/, /^opt\./, /^x87/, /^fault\./];

describe("instruction vectors", () => {
  it("agree with the CPU they were measured on", { timeout: 300_000 }, async () => {
    const set = await VectorSet.load(FOLDER, ["fault", "int", "opt", "seq", "sse", "x87"]);
    const runner = await VectorRunner.create(set);
    const wrong: string[] = [];
    let run = 0;
    for (const vector of set.vectors()) {
      if (!EXACT.some((group) => group.test(vector.group))) continue;
      run++;
      const differences = runner.run(vector);
      if (differences.length > 0) wrong.push(`${vector.id} ${vector.text}: ${differences.join("; ")}`);
    }
    expect(run).toBeGreaterThan(32_000);
    expect(wrong).toEqual([]);
  });

  it("notice a result that differs", async () => {
    const set = await VectorSet.load(FOLDER, ["seq"]);
    const runner = await VectorRunner.create(set);
    const [vector] = set.vectors();
    if (vector === undefined) throw new Error("no vector");
    const general = vector.after.general.map((value, index) => (index === 15 ? value ^ 1n : value));
    expect(runner.run({ ...vector, after: { ...vector.after, general } })).toEqual([
      expect.stringMatching(/^r15: expected [0-9a-f]+, found [0-9a-f]+$/),
    ]);
  });

  it("are refused with a typed error when they are no vectors", async () => {
    await expect(VectorSet.load("/nonexistent")).rejects.toMatchObject({ code: "bad-option" });
    await expect(VectorSet.load(FOLDER, ["avx"])).rejects.toMatchObject({ code: "bad-option" });
  });
});
