#!/usr/bin/env node
/** The `crashlab` command. Exit status: 0 done, 1 what was asked did not hold, 2 usage, 3 bad input. */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { CrashlabError } from "../error.ts";
import { analyzeCommand } from "./analyze.ts";
import { bootCommand } from "./boot.ts";
import { campaignCommand } from "./campaign.ts";
import { completionCommand } from "./completion.ts";
import { corpusCommand } from "./corpus.ts";
import { crashCommand, faultsCommand } from "./crash.ts";
import { demoCommand } from "./demo.ts";
import { disCommand } from "./dis.ts";
import { examples } from "./files.ts";
import { fuzzCommand } from "./fuzz.ts";
import { addr2lineCommand, decodeCommand, faddr2lineCommand } from "./lines.ts";
import { parseCommand } from "./parse.ts";
import { compareCommand, decodecodeCommand } from "./report.ts";
import { vectorsCommand } from "./vectors.ts";

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

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

const program = new Command("crashlab")
  .version(version)
  .description(
    "A kernel crash laboratory: an x86-64 computer with a small Linux-like kernel, made to be broken on purpose",
  )
  .showHelpAfterError()
  .addHelpText(
    "after",
    `${examples("crashlab demo", "crashlab crash null-dereference --json", "dmesg | crashlab parse", "crashlab help crash")}

Exit status: 0 done, 1 what was asked did not hold, 2 usage, 3 bad input.`,
  )
  .exitOverride();

const commands: readonly Command[] = [
  demoCommand(),
  bootCommand(),
  crashCommand(),
  faultsCommand(),
  campaignCommand(),
  corpusCommand(),
  parseCommand(),
  compareCommand(),
  decodecodeCommand(),
  decodeCommand(),
  faddr2lineCommand(),
  addr2lineCommand(),
  disCommand(),
  analyzeCommand(),
  vectorsCommand(),
  fuzzCommand(),
  completionCommand(() => commands),
];
for (const command of commands) {
  program.addCommand(command.exitOverride().showHelpAfterError());
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (error instanceof CrashlabError) {
    console.error(`crashlab: ${error.message}`);
    process.exitCode = INPUT_ERRORS.has(error.code) ? 3 : 1;
  } else throw error;
}
