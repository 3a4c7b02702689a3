/**
 * `boot()` for tests of the guest: whatever any of its machines, or their forks, reports must be in Linux's grammar.
 * Looked at behind every test, so that no report escapes.
 */
import { afterEach, beforeEach, expect } from "vitest";
import { type BootOptions, boot as bootMachine, type Machine } from "../../bindings/index.ts";
import { type CheckOptions, checkLog, type Violation } from "../../bindings/report/index.ts";

/** Machines whose consoles have not been looked at yet, and how much of them has. */
const watched = new Map<Machine, number>();
/** Those of this test alone: forgotten behind it. */
const passing = new Set<Machine>();
let inTest = false;

export async function boot(options: BootOptions = {}): Promise<Machine> {
  return watch(await bootMachine(options));
}

function watch(machine: Machine, seen = 0): Machine {
  watched.set(machine, seen);
  if (inTest) passing.add(machine);
  const fork = machine.fork.bind(machine);
  machine.fork = async (): Promise<Machine> => {
    const child = await fork();
    return watch(child, child.consoleLog.length);
  };
  return machine;
}

/** Without the prompts of a shell on one CPU, which may come in the middle of a line that another CPU says. */
export function withoutPrompts(log: readonly string[]): string[] {
  // Not the kernel's own `# ` in its list of timers.
  return log.map((line) => line.replaceAll(/# (?!expires at )/g, ""));
}

/** Violations; a report that the end of the log cut off is none. */
export function violations(log: readonly string[], options: CheckOptions = {}): Violation[] {
  const { reports, strays } = checkLog(withoutPrompts(log), options);
  return [...reports.flatMap((report) => report.violations), ...strays].filter(({ found }) => found !== "");
}

afterEach(() => {
  const found: Violation[] = [];
  for (const [machine, seen] of watched) {
    const log = machine.consoleLog.slice(seen);
    found.push(...violations(log));
    if (passing.has(machine)) watched.delete(machine);
  }
  passing.clear();
  expect(found).toEqual([]);
});
beforeEach(() => {
  inTest = true;
});
afterEach(() => {
  inTest = false;
});
