#!/usr/bin/env node
/**
 * The `crashlab` command. Exit status: 0 done, 1 what was asked did not hold, 2 usage, 3 bad input, 130 interrupted
 * (128 + SIGINT, as shells count).
 */
import { CommanderError } from "commander";
import { CrashlabError } from "../error.ts";
import { crashlabProgram } from "./program.ts";

/** Errors about what was given, as against what happened. */
const INPUT_ERRORS: ReadonlySet<string> = new Set([
  "bad-kernel",
  "bad-initrd",
  "bad-module",
  "bad-option",
  "bad-address",
  "bad-vmcore",
  "bad-snapshot",
  "bad-report",
  "missing-asset",
]);

// `crashlab faults | head`: the reader has enough, which is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

try {
  await crashlabProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (error instanceof CrashlabError) {
    console.error(`crashlab: ${error.message}`);
    process.exitCode = error.code === "aborted" ? 130 : INPUT_ERRORS.has(error.code) ? 3 : 1;
  } else throw error;
}
