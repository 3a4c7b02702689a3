/**
 * Compares x87 instructions of the core with those of this processor.
 *
 *   npx tsx tools/fuzz-x87.ts [--seed N] [--cases N] [--tolerance ULPS] [--limit N]
 *
 * Exit status: 0 they agree, 1 they differ, 3 this machine cannot be the reference.
 */
import { parseArgs } from "node:util";
import { canRunNatively, fuzzX87 } from "./native/x87.ts";

const BATCH = 50_000;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    cases: { type: "string", default: "100000" },
    tolerance: { type: "string", default: "4" },
    limit: { type: "string", default: "20" },
  },
});
if (!canRunNatively()) {
  console.error("expected an x86-64 Linux with a C compiler (cc), found none: nothing to compare with");
  process.exit(3);
}
let different = 0;
let run = 0;
for (let seed = Number(values.seed); run < Number(values.cases); seed++) {
  const cases = Math.min(BATCH, Number(values.cases) - run);
  const outcome = await fuzzX87({ seed, cases, tolerance: Number(values.tolerance) });
  for (const line of outcome.differences.slice(0, Math.max(0, Number(values.limit) - different)))
    console.log(`seed ${seed} ${line}`);
  different += outcome.differences.length;
  run += cases;
}
console.log(`${run} cases, ${different} differences`);
process.exitCode = different > 0 ? 1 : 0;
