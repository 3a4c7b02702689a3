/** Runs of kfence_test, and KFENCE's reports without what differs from run to run and from kernel to kernel. */
import type { Machine } from "../../bindings/index.ts";

export interface CaseRun {
  readonly log: readonly string[];
  readonly result: "ok" | "not ok" | "skip";
}

const STAMP = /^\[ *\d+\.\d+\] ?/;
const RULE = /^={60,}$/;

/** What each case wrote, and how it ended: from a console log with the suite in it, ours or Linux's. */
export function casesOf(lines: readonly string[]): Map<string, CaseRun> {
  const cases = new Map<string, CaseRun>();
  let log: string[] = [];
  for (const line of lines.map((text) => text.replace(STAMP, ""))) {
    const [, result = "", name = ""] = /^ {4}((?:not )?ok) \d+ ([\w-]+)/.exec(line) ?? [];
    if (name === "") log.push(line);
    else {
      cases.set(name, { log, result: line.includes("# SKIP") ? "skip" : (result as CaseRun["result"]) });
      log = [];
    }
  }
  return cases;
}

export async function runSuite(machine: Machine): Promise<Map<string, CaseRun>> {
  const from = machine.consoleLog.length;
  await machine.exec("insmod kfence_test", { budget: 50e9 });
  return casesOf(machine.consoleLog.slice(from));
}

/**
 * The reports of a log line by line. Of stacks the frames of the test itself are kept. kmalloc-96, which our slabs
 * do not have, is read as kmalloc-128, and so are distances that depend on its alignment.
 */
export function reportsOf(log: readonly string[]): string[][] {
  const lines = log.map((line) => line.replace(STAMP, ""));
  const reports: string[][] = [];
  for (let at = 0; at < lines.length; at++) {
    if (!RULE.test(lines[at] ?? "")) continue;
    const end = lines.findIndex((line, index) => index > at && RULE.test(line));
    reports.push(lines.slice(at + 1, end === -1 ? undefined : end).flatMap(comparable));
    at = end === -1 ? lines.length : end;
  }
  return reports;
}

function comparable(line: string): string[] {
  if (line.startsWith(" ")) {
    const [, name] = /^ (test_\w+)(?:\.cold)?\+0x[0-9a-f]+\/0x[0-9a-f]+ \[kfence_test\]$/.exec(line) ?? [];
    return name === undefined ? [] : [` ${name}`];
  }
  return [
    line
      .replace(/^(BUG: .* in \w+)(?:\.cold)?\+0x[0-9a-f]+\/0x[0-9a-f]+/, "$1")
      .replace(/0x(?:[0-9a-f]{16}|\(____ptrval____\))/g, "POINTER")
      .replace(/kfence-#\d+/g, "kfence-#N")
      .replace(/by task \d+ on cpu \d+ at \d+\.\d{6}s:$/, "by task N on cpu N at Ns:")
      .replace("(81B right", "(201B right")
      .replace("kmalloc-96", "kmalloc-128")
      .replace(/^CPU: \d+ PID: \d+ (.*) \S+ #1 $/, "CPU: N PID: N $1 RELEASE #1 ")
      .replace(/^Hardware name: .*/, "Hardware name"),
  ];
}
