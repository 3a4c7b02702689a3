import { readdirSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { CrashlabError, type Machine } from "../../../bindings/index.ts";
import { boot } from "../machines.ts";
import { difference, normalise } from "./normalise.ts";

const LOGS = "test/data/linux-logs/oops";
const DIRECT = "/sys/kernel/debug/provoke-crash/DIRECT";

/** The stack after a jump into data: see docs/quirks.md, "Traces that go on where Linux's stop". */
const BEYOND_A_WILD_JUMP: readonly string[] = [
  "ours RIP: #:#",
  "ours Code: #",
  "ours RSP: 002b:# EFLAGS: # ORIG_RAX: #",
  "ours RAX: # RBX: # RCX: #",
  "ours RDX: # RSI: # RDI: #",
  "ours RBP: # R08: # R09: #",
  "ours R10: # R11: # R12: #",
  "ours R13: # R14: # R15: #",
];
const EXCEPTIONS: { readonly [name: string]: readonly string[] } = {
  EXEC_DATA: ["linux  execute_location", ...BEYOND_A_WILD_JUMP],
  EXEC_STACK: ["linux  execute_location", ...BEYOND_A_WILD_JUMP],
  EXEC_USERSPACE: BEYOND_A_WILD_JUMP,
};

/** Options that a log was made with, from the end of its name: BUG-oops_panic-panic_5. */
function settings(rest: readonly string[]): string[] {
  return rest.map((word) =>
    word === "oops_panic"
      ? "echo 1 > /proc/sys/kernel/panic_on_oops"
      : `echo ${word.split("_")[1]} > /proc/sys/kernel/panic`,
  );
}

/** What the console says while the shell of its own writes NAME. */
async function provoke(ready: Machine, name: string, before: readonly string[] = []): Promise<string> {
  const machine = await ready.fork();
  for (const command of before) await machine.exec(command);
  const from = machine.consoleLog.length;
  try {
    await machine.exec(`sh -c 'echo ${name} > ${DIRECT}'`, { budget: 6_000_000_000 });
  } catch (error) {
    if (!(error instanceof CrashlabError)) throw error; // a panic ends the machine
  }
  return machine.consoleLog.slice(from).join("\n");
}

let ready: Machine;
beforeAll(async () => {
  ready = await boot();
});

const logs = readdirSync(LOGS).filter((file) => file.startsWith("kernelB-lkdtm-"));

describe("LKDTM, line by line Linux's", () => {
  it("has a log for more than fifty crash points", () => {
    expect(logs.length).toBeGreaterThan(50);
  });

  it.each(logs)("%s", async (file) => {
    const [name = "", ...rest] = file.replace("kernelB-lkdtm-", "").replace(".txt", "").split("-");
    const theirs = normalise(readFileSync(`${LOGS}/${file}`, "utf8"));
    const ours = normalise(await provoke(ready, name, settings(rest)));
    const lines = difference(theirs, ours).map(({ side, line }) => `${side} ${line}`);
    expect(lines).toEqual(EXCEPTIONS[name] ?? []);
  });
});
