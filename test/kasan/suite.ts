/** Runs kasan_test in a machine and takes its log apart. */
import type { Machine } from "../../bindings/index.ts";

export interface CaseRun {
  readonly log: readonly string[];
  readonly result: "ok" | "not ok" | "skip";
}

/** What each case wrote, and how it ended. */
export async function runSuite(machine: Machine): Promise<Map<string, CaseRun>> {
  const from = machine.consoleLog.length;
  await machine.exec("insmod kasan_test", { budget: 20e9 });
  return splitSuite(machine.consoleLog.slice(from));
}

/** A log of the suite by its cases. */
export function splitSuite(lines: readonly string[]): Map<string, CaseRun> {
  const cases = new Map<string, CaseRun>();
  let log: string[] = [];
  for (const line of lines) {
    const [, result = "", name = ""] = /\] {5}((?:not )?ok) \d+ (\w+)/.exec(line) ?? [];
    if (name === "") log.push(line);
    else {
      cases.set(name, { log, result: line.includes("# SKIP") ? "skip" : (result as CaseRun["result"]) });
      log = [];
    }
  }
  return cases;
}
