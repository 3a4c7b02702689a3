/** `crashlab analyze` against Debian's crash, command by command, on the same dumps. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SymbolTable } from "../../bindings/symbols/index.ts";
import { type CommandContext, runCommand, Vmcore } from "../../bindings/vmcore/index.ts";
import { VMLINUX } from "../machine/crashed.ts";
import { CRASHES, type Dump, makeDump } from "./crashes.ts";

/** Commands whose output is crash's, to the letter (blanks at the ends of lines aside). */
const EQUAL = [
  ...["bt", "bt -a", "foreach bt", "vm", "mod", "files", "task", "log", "ps", "kmem -s"],
  ...["sym panic", "sym ffffffff81000100", "struct task_struct", "struct page", "struct module"],
  ...["struct task_struct init_task", "rd init_task 8", "rd -32 init_task 4", "rd -8 linux_banner 16"],
];
const OTHERS = ["sys", "kmem -i", "dis panic", "dis vfs_read"];

describe.each(CRASHES)("$name", (row) => {
  let dump: Dump;
  let theirs: ReadonlyMap<string, string>;
  let context: CommandContext;
  let close: () => Promise<void>;

  beforeAll(async () => {
    dump = await makeDump(row);
    theirs = runCrash(dump, [...EQUAL, ...OTHERS]);
    const file = await open(dump.vmcore);
    close = () => file.close();
    context = await openContext(file, dump.vmcore);
  }, 120_000);
  afterAll(async () => {
    await close?.();
    await dump?.remove();
  });

  const ours = async (command: string): Promise<string> => tidy((await runCommand(context, command)).text);
  const crash = (command: string): string => theirs.get(command) ?? "nothing";

  /** Those that depend on which task is the current one, or on where a CPU was. */
  const own = row.hung === undefined ? [] : ["bt", "bt -a", "foreach bt", "vm", "files", "task"];
  test.each(EQUAL.filter((command) => !own.includes(command)))("%s", async (command) => {
    expect(await ours(command)).toBe(crash(command));
  });

  test.skipIf(row.hung === undefined)("bt shows where the CPU hangs, and who called it", async () => {
    const text = await ours("bt");
    expect(text).toContain(`[exception RIP: ${row.hung}+`);
    expect(text).toMatch(/ lab_write at [0-9a-f]+ \[labcrash\]\n/);
    expect(text).toMatch(/ entry_SYSCALL_64_after_hwframe at [0-9a-f]+\n {4}RIP: /);
  });

  test("sys", async () => {
    expect(await ours("sys")).toBe(crash("sys"));
  });

  test("kmem -i: total, free and used memory", async () => {
    const rows = (text: string): string[] => text.split("\n").slice(0, 4);
    expect(rows(await ours("kmem -i"))).toEqual(rows(crash("kmem -i")));
  });

  test.each(["dis panic", "dis vfs_read"])(
    "%s: the same instructions at the same places",
    async (command) => {
      // gdb 10 writes padding otherwise than binutils of today, and leaves it out at the end.
      const steps = (text: string): string[] =>
        text
          .split("\n")
          .map((line) => line.replace(/^(?:=> | {3})/, ""))
          .filter((line) => !line.includes("nop"));
      expect(steps(await ours(command))).toEqual(steps(crash(command)));
    },
  );
});

function runCrash(dump: Dump, commands: readonly string[]): Map<string, string> {
  const script = join(dump.folder, "commands");
  writeFileSync(script, `${commands.map((command) => `!echo @@\n${command}`).join("\n")}\nq\n`);
  const output = execFileSync("crash", ["-s", "-i", script, VMLINUX, dump.vmcore], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  const parts = output.split("@@\n").slice(1);
  return new Map(commands.map((command, index) => [command, tidy(parts[index] ?? "")]));
}

function tidy(text: string): string {
  return text.replace(/ +$/gm, "").replace(/\n+$/, "");
}

async function openContext(file: Awaited<ReturnType<typeof open>>, vmcore: string): Promise<CommandContext> {
  const table = SymbolTable.fromElf(new Uint8Array(readFileSync(VMLINUX)));
  const program = await (await Vmcore.open(file)).program(table);
  return {
    ...{ program, vmlinux: VMLINUX, vmcore, modules: new Map() },
    task: await program.crashedTask(),
    lines: async () => table,
  };
}
