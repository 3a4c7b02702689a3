/** What the kernel says of programs that die: the same as Linux, numbers aside; and how their shell sees it. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import type { Machine } from "../../bindings/index.ts";
import { boot } from "./machines.ts";
import { bare, stamped } from "./saying.ts";

const LOG = "test/data/linux-logs/oops/kernelB-user-signals-default.txt";

/** Numbers aside; which CPU it was on, too. */
const words = (line: string): string =>
  line
    .replace(/^Code: [0-9a-f]{2} .*/, "Code: #")
    .replace(/\b(?:ip|sp):[0-9a-f]+/g, (text) => text.slice(0, 3))
    .replace(/(?<=[[+ ])[0-9a-f]+(?=[\]+ ])/g, "#")
    .replace(/\d+/g, "#");

/** Kind by kind, what the kernel said: in the log a kind's first line may stand behind the last one's status. */
function theirs(): Map<string, string[]> {
  const messages = readFileSync(LOG, "utf8").match(/\[ *\d+\.\d+\] .*/g) ?? [];
  const texts = messages.map((line) => words(bare(line)));
  const kinds = ["nullr", "nullw", "nullx", "kern", "noncanon", "div0", "ud2", "int3", "hlt", "stackx"];
  const result = new Map<string, string[]>();
  for (const text of texts) {
    if (!text.startsWith("Code: ")) result.set(kinds[result.size] ?? "", []);
    [...result.values()].at(-1)?.push(text);
  }
  return result;
}

let machine: Machine;
beforeAll(async () => {
  machine = await boot({ memory: "32M" });
});

async function ours(kind: string): Promise<{ lines: string[]; status: number; stdout: string }> {
  const from = machine.consoleLog.length;
  const { status, stdout } = await machine.exec(`ucrash ${kind}`);
  return { lines: stamped(machine.consoleLog.slice(from)).map(bare), status, stdout };
}

describe("a program that dies", () => {
  const linux = theirs();
  it("is in Linux's log in ten ways", () => {
    expect([...linux.keys()]).toHaveLength(10);
  });

  it.each([
    ["nullr", 11, "Segmentation fault"],
    ["nullw", 11, "Segmentation fault"],
    ["nullx", 11, "Segmentation fault"],
    ["kern", 11, "Segmentation fault"],
    ["noncanon", 11, "Segmentation fault"],
    ["div0", 8, "Floating point exception"],
    ["ud2", 4, "Illegal instruction"],
    ["int3", 5, "Trace/breakpoint trap"],
    ["hlt", 11, "Segmentation fault"],
    ["stackx", 11, "Segmentation fault"],
  ] as const)("%s", async (kind, signal, said) => {
    const { lines, status, stdout } = await ours(kind);
    expect(lines.map(words)).toEqual(linux.get(kind));
    expect({ status, stdout }).toEqual({ status: 128 + signal, stdout: `${said}\n` });
  });

  it("of an access that is not aligned, having asked for it by EFLAGS.AC", async () => {
    const { lines, status, stdout } = await ours("align");
    expect(lines).toEqual([
      expect.stringMatching(
        /^traps: ucrash\[\d+\] trap alignment check ip:40[0-9a-f]{4} sp:7f[0-9a-f]{10} error:0 in ucrash\[400000\+\d000\]$/,
      ),
    ]);
    expect({ status, stdout }).toEqual({ status: 128 + 7, stdout: "Bus error\n" });
  });

  it("leaves no taint", async () => {
    expect(await machine.sysctl.get("kernel.tainted")).toBe("0");
  });
});
