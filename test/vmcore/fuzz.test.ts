/** The short form of `crashlab fuzz files`. */
import { expect, test } from "vitest";
import { fuzzFiles } from "../../bindings/fuzz/files.ts";

test("300 damaged dumps, kernels, modules and logs end in results or typed errors", async () => {
  // Time and memory of each file are bounded by the fuzzer, and among its failures.
  const { failures, read, errors, slowest, residentMiB } = await fuzzFiles({ seed: 1, files: 300 });
  expect(failures).toEqual([]);
  expect(slowest.milliseconds).toBeLessThan(20_000);
  expect(residentMiB).toBeLessThan(2048);
  const refused = Object.values(errors).reduce((sum, count) => sum + count, 0);
  expect(read + refused).toBe(300);
  expect(Math.min(read, refused)).toBeGreaterThan(30);
}, 180_000);
