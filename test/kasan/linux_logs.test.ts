/** What Linux 6.1 with KASAN said of single crash points (test/data: kasan/kernelA-*): ours says it line by line. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CrashlabError, type Machine } from "../../bindings/index.ts";
import { bootMode } from "./modes.ts";
import { kasanReports } from "./reports.ts";
import { shapeOf } from "./twins.ts";

const LOGS = "test/data/linux-logs/kasan";
const LABCRASH = "/sys/kernel/debug/labcrash/trigger";
const STRESS = "/sys/kernel/debug/kasan_stress/run";
const LKDTM = "/sys/kernel/debug/provoke-crash/DIRECT";
/** Red zones of the compiler's. */
const LAYOUT = new Set(["kernelA-lkdtm-CORRUPT_STACK.txt"]);

/** Functions of ours that have another name, or go to kfree() by a jump and are not on the stack then. */
const OURS: { readonly [linux: string]: string } = {
  lab_badfree: "lab_write",
  lab_dblfree: "lab_write",
  lab_vfree_read: "vfree_read",
};

/** What was written to which file, from the log's header: `lkdtm BUG`, `p null_read`, or a list of such. */
function triggers(log: string): string[] {
  const [, text = ""] = /^# trigger: (.*)$/m.exec(log) ?? [];
  const each = text.startsWith("[") ? [...text.matchAll(/'([^']+)'/g)].map(([, one = ""]) => one) : [text];
  return each.map((one) => {
    if (one === "p vfree_read") return `echo vfree 1 100 > ${STRESS}`;
    return one.startsWith("lkdtm ") ? `echo ${one.slice(6)} > ${LKDTM}` : `echo ${one} > ${LABCRASH}`;
  });
}

/** The reports without numbers, each with its function, and the lines that say what else became of the kernel. */
function story(log: string): readonly unknown[] {
  const lines = log
    .split("\n")
    .map((line) => line.replace(/\r$/, "").replace(/^(?:# )*\[ *\d+\.\d+\] ?/, ""));
  return [
    ...kasanReports(lines).map((report) => [
      OURS[report.where] ?? report.where.replace(/\.cold$/, ""),
      report.access,
      ...shapeOf({
        ...report,
        text: report.text.replaceAll(".cold+", "+").replace(/^Workqueue: events .*/m, "Workqueue: events"),
      }),
    ]),
    ...lines
      .filter((line) => /^(?:BUG: (?!KASAN)|Oops: |Kernel panic|WARNING: |Disabling lock)/.test(line))
      .map((line) =>
        line
          .replace(/\b0x[0-9a-f]+\b|\b[0-9a-f]{16}\b/g, "N")
          .replace(/:\d+ /, ":N ")
          .replace(/\d+/g, "N"),
      ),
  ];
}

const booted = new Map<string, Promise<Machine>>();

/** A machine of its own, with both modules in. */
async function ready(mode: string, cmdline: string): Promise<Machine> {
  const key = `${mode} ${cmdline}`;
  const first =
    booted.get(key) ??
    bootMode(mode, { cmdline }).then(async (machine) => {
      await machine.exec("insmod labcrash; insmod kasan_stress");
      return machine;
    });
  booted.set(key, first);
  return (await first).fork();
}

describe.each(readdirSync(LOGS).filter((name) => name.startsWith("kernelA-")))("%s", (name) => {
  it("has its twin", async () => {
    const linux = readFileSync(`${LOGS}/${name}`, "utf8");
    const [, cmdline = ""] = /(kasan\.fault=panic|kasan_multi_shot)/.exec(linux) ?? [];
    const machine = await ready(LAYOUT.has(name) ? "layout" : "plain", cmdline);
    const from = machine.consoleLog.length;
    for (const command of triggers(linux))
      await machine.exec(`sh -c '${command}'`, { budget: 2e9 }).catch((error: unknown) => {
        if (!(error instanceof CrashlabError)) throw error; // a panic ends the machine
      });
    expect(story(machine.consoleLog.slice(from).join("\n"))).toEqual(story(linux));
  }, 600_000);
});
