import { beforeAll, describe, expect, it } from "vitest";
import { boot } from "../machines.ts";
import { qemuConsole } from "../qemu.ts";
import { normalise } from "./normalise.ts";

/** One boot for all: each is survived by the shell that started it. */
const NAMES = [
  ...[
    "BUG",
    "WARNING",
    "WARNING_MESSAGE",
    "EXCEPTION",
    "ARRAY_BOUNDS",
    "CORRUPT_LIST_ADD",
    "CORRUPT_LIST_DEL",
  ],
  ...["STACK_GUARD_PAGE_LEADING", "STACK_GUARD_PAGE_TRAILING", "VMALLOC_LINEAR_OVERFLOW", "SLAB_FREE_DOUBLE"],
  ...["SLAB_FREE_CROSS", "SLAB_FREE_PAGE", "WRITE_RO", "WRITE_RO_AFTER_INIT", "WRITE_KERN", "EXEC_DATA"],
  ...["EXEC_STACK", "EXEC_USERSPACE", "ACCESS_USERSPACE", "ACCESS_NULL", "REFCOUNT_ADD_OVERFLOW"],
  ...["USERCOPY_SLAB_SIZE_TO", "USERCOPY_STACK_BEYOND", "USERCOPY_KERNEL", "FORTIFY_MEM_OBJECT"],
];
const COMMANDS = [
  ...NAMES.map((name) => `sh -c 'echo ${name} > /sys/kernel/debug/provoke-crash/DIRECT'`),
  "echo all''done",
];

/** The report of each crash point, numbers aside. */
function reports(lines: readonly string[]): Map<string, string[]> {
  const result = new Map<string, string[]>();
  let name = "";
  let chunk: string[] = [];
  const finish = (): void => {
    if (name !== "") result.set(name, normalise(chunk.join("\n")));
  };
  for (const line of lines) {
    const next = /lkdtm: Performing direct entry (\w+)/.exec(line)?.[1];
    if (next !== undefined) {
      finish();
      name = next;
      chunk = [];
    }
    chunk.push(line);
  }
  finish();
  return result;
}

describe("LKDTM in QEMU and here", () => {
  let theirs = new Map<string, string[]>();
  let ours = new Map<string, string[]>();

  beforeAll(async () => {
    theirs = reports(await qemuConsole({ commands: COMMANDS, until: /^alldone$/m }));
    const machine = await boot();
    for (const command of COMMANDS) await machine.exec(command);
    ours = reports(machine.consoleLog);
  }, 120_000);

  it.each(NAMES)("%s", (name) => {
    expect(ours.get(name)?.length).toBeGreaterThan(2);
    expect(ours.get(name)).toEqual(theirs.get(name));
  });
});
