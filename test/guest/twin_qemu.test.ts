import { beforeAll, describe, expect, it } from "vitest";
import { boot } from "./machines.ts";
import { qemuConsole } from "./qemu.ts";

const COMMANDS = [
  "insmod mydriver",
  "mydriver",
  "mydriver read 0x10",
  "echo 1 > /proc/sys/kernel/panic_on_oops",
  "mydriver write 0xffff800000000000",
];
const END = /---\[ end Kernel panic - not syncing: .* \]---/;

/**
 * What must be equal: everything but time, the machine's name, and addresses of memory whose size differs.
 * QEMU's TCG leaves RF clear in the flags that a fault pushes; silicon sets it.
 */
function comparable(lines: readonly string[]): string[] {
  const text = lines
    .join("\n")
    .replace(/^\[ *\d+\.\d+\] /gm, "")
    .replace(/^Hardware name: .*$/gm, "Hardware name:")
    .replace(/ffff88800[0-9a-f]{7}/g, "<direct map>")
    .replace(/^(PGD|PUD|PMD|PTE) .*$/gm, (line) => line.replace(/[1-9a-f][0-9a-f]+/g, "<entry>"))
    .replace(/CR3: [0-9a-f]{16}/g, "CR3: <root>")
    .replace(/EFLAGS: 0001/g, "EFLAGS: 0000");
  const start = text.indexOf("mydriver: loading out-of-tree module");
  const end = END.exec(text);
  return text.slice(start, (end?.index ?? 0) + (end?.[0].length ?? 0)).split("\n");
}

describe("the same vmlinux in QEMU and here", () => {
  let theirs: string[] = [];
  let ours: string[] = [];

  beforeAll(async () => {
    theirs = comparable(await qemuConsole({ commands: COMMANDS, until: END }));
    const machine = await boot();
    for (const command of COMMANDS) {
      await machine.write(`${command}\n`);
      await machine.run({ budget: 20_000_000 });
    }
    ours = comparable(machine.consoleLog);
  });

  it("both print three oopses and a panic", () => {
    for (const lines of [theirs, ours]) {
      expect(
        lines.filter((line) => line.startsWith("BUG: ") || line.startsWith("general protection")),
      ).toHaveLength(3);
      expect(lines.some((line) => END.test(line))).toBe(true);
    }
  });

  it("line for line the same", () => {
    expect(ours).toEqual(theirs);
  });
});
