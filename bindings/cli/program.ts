/** The commander program: all commands, in the order in which help lists them. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { analyzeCommand } from "./analyze.ts";
import { bootCommand } from "./boot.ts";
import { campaignCommand } from "./campaign.ts";
import { completionCommand } from "./completion.ts";
import { corpusCommand } from "./corpus.ts";
import { crashCommand, faultsCommand } from "./crash.ts";
import { decodeCommand } from "./decode.ts";
import { demoCommand } from "./demo.ts";
import { disCommand } from "./dis.ts";
import { examples } from "./files.ts";
import { fuzzCommand } from "./fuzz.ts";
import { addr2lineCommand, faddr2lineCommand } from "./lines.ts";
import { parseCommand } from "./parse.ts";
import { compareCommand, decodecodeCommand } from "./report.ts";
import { vectorsCommand } from "./vectors.ts";

/** The whole command; errors in its usage are thrown as commander's CommanderError. */
export function crashlabProgram(): Command {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const program = new Command("crashlab")
    .version(version)
    .description(
      "A kernel crash laboratory: an x86-64 computer with a small Linux-like kernel, made to be broken on purpose",
    )
    .addHelpText(
      "after",
      `${examples("crashlab demo", "crashlab crash null-dereference --json", "dmesg | crashlab parse", "crashlab help crash")}

Exit status: 0 done, 1 what was asked did not hold, 2 usage, 3 bad input, 130 interrupted.`,
    );
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
  for (const command of commands) program.addCommand(command);
  prepare(program, "crashlab");
  return program;
}

/** An error in the usage is followed by a line of usage, not by pages of help. */
function prepare(command: Command, path: string): void {
  command.exitOverride().showHelpAfterError(`\nUsage: ${path} ${command.usage()}\nSee ${path} --help.`);
  for (const each of command.commands) prepare(each, `${path} ${each.name()}`);
}
