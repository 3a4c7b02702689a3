/** Faults of labcrash in QEMU and here, with the same vmlinux: line for line the same reports. */
import { beforeAll, describe, expect, it } from "vitest";
import { boot } from "./machines.ts";
import { qemuConsole } from "./qemu.ts";

const TRIGGER = "/sys/kernel/debug/labcrash/trigger";
const TRIGGERS = [
  ...["null_read", "null_write", "null_exec", "unmapped_read", "unmapped_write", "highaddr_read"],
  ...["noncanon_read", "noncanon_write", "noncanon_movabs", "user_read", "user_write", "user_exec"],
  ...["text_write", "rodata_write", "div0", "hlt_gp", "ud1", "ud2", "bug", "bug_on", "warn"],
  ...["warn_on", "listdel", "regs", "might_sleep"],
].map((kind) => `p ${kind}`);
const CONTEXTS = ["h warn", "t warn", "w warn", "k null_read", "h null_read"];
const ALL = [...TRIGGERS, ...CONTEXTS];
const COMMANDS = [
  "insmod labcrash",
  ...ALL.map((what) => `sh -c 'echo "${what}" > ${TRIGGER}'; echo done ${what}`),
];
const END = /---\[ end Kernel panic - not syncing: .* \]---/;

/**
 * One report for each trigger. What may differ: time, the machine's name and features, addresses of memory and what
 * the unwinder is not sure of, registers that hold a time or are left over (all but RIP), flags that QEMU's TCG
 * leaves as they were.
 */
function reports(lines: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  let current: string[] = [];
  for (const raw of lines) {
    const typed = /sh -c 'echo "(.*?)" >/.exec(raw)?.[1];
    if (typed !== undefined) {
      current = [];
      found.set(typed, current);
    }
    const line = /\[ *\d+\.\d+\] (.*)/.exec(raw)?.[1];
    if (line === undefined) continue;
    if (/^(\?|RSP:|RAX:|RDX:|RBP:|R10:|R13:|FS:|CS:|CR2:|PGD) /.test(line.trimStart())) continue;
    current.push(line.replace(/^Hardware name: .*/, "Hardware name:").replace(/pid: \d+/, "pid:"));
  }
  return found;
}

describe("the same faults in QEMU and here", () => {
  let theirs = new Map<string, string[]>();
  let ours = new Map<string, string[]>();

  beforeAll(async () => {
    theirs = reports(await qemuConsole({ commands: COMMANDS, until: END }));
    const machine = await boot();
    for (const command of COMMANDS) {
      await machine.write(`${command}\n`);
      await machine.run({ budget: 60_000_000 });
    }
    ours = reports(machine.consoleLog);
  }, 120_000);

  it.each(ALL)("%s", (what) => {
    expect(ours.get(what)?.length).toBeGreaterThan(4);
    expect(ours.get(what)).toEqual(theirs.get(what));
  });
});
