/** The short form of fuzz.ts. */
import { expect, test } from "vitest";
import { fuzz, makeInputs } from "./fuzz.ts";

test("200 damaged vmcores and kernels end in results or typed errors", async () => {
  expect(await fuzz(await makeInputs(), 1, 200)).toBeGreaterThan(10);
}, 120_000);
