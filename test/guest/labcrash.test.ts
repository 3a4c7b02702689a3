/**
 * labcrash: every kind in every context. What the report begins with, how it ends, and that all of it is in Linux's
 * grammar.
 */
import { beforeAll, describe, expect, it } from "vitest";
import {
  LABCRASH_CONTEXTS,
  LABCRASH_KINDS,
  type LabcrashContext,
  type Machine,
  type Snapshot,
} from "../../bindings/index.ts";
import { checkReport, parseReports } from "../../bindings/report/index.ts";
import { boot, violations, withoutPrompts } from "./machines.ts";

const TRIGGER = "/sys/kernel/debug/labcrash/trigger";

/** `kill`: an oops, after which a task dies, or in an interrupt the kernel. */
type End = "kill" | "panic" | "goes on" | "silent";
interface Expected {
  readonly end: End;
  /** The first lines, the line of `#PF` and page tables left out. */
  readonly first?: readonly (string | RegExp)[];
}
const oops = (...first: readonly (string | RegExp)[]): Expected => ({ end: "kill", first });
const page = (address: string | RegExp, code: string): Expected =>
  oops(
    typeof address === "string" ? `BUG: unable to handle page fault for address: ${address}` : address,
    `Oops: ${code} [#1] SMP NOPTI`,
  );
const nullPointer = (address: string, code: string): Expected =>
  oops(
    `BUG: kernel NULL pointer dereference, address: 00000000000000${address}`,
    `Oops: ${code} [#1] SMP NOPTI`,
  );
const gp = (what: string | RegExp): Expected =>
  oops(typeof what === "string" ? `general protection fault${what}: 0000 [#1] SMP NOPTI` : what);
const NON_CANONICAL = ", probably for non-canonical address";
const ANY_UNKNOWN = /^BUG: unable to handle page fault for address: [0-9a-f]{16}$/;
const NX = "kernel tried to execute NX-protected page - exploit attempt? (uid: 0)";
const bug = (at: RegExp): Expected =>
  oops("------------[ cut here ]------------", at, "invalid opcode: 0000 [#1] SMP NOPTI");
const warn = (...lines: readonly (string | RegExp)[]): Expected => ({
  end: "goes on",
  first: ["------------[ cut here ]------------", ...lines],
});
const at = (what: string): RegExp =>
  new RegExp(
    `^WARNING: CPU: \\d PID: \\d+ at modules/labcrash/kinds\\.c:\\d+ ${what}\\+0x[0-9a-f]+/0x[0-9a-f]+ \\[labcrash\\]$`,
  );
const SILENT: Expected = { end: "silent" };

const KINDS: { readonly [kind in (typeof LABCRASH_KINDS)[number]]: Expected } = {
  null_read: nullPointer("10", "0000"),
  null_write: nullPointer("08", "0002"),
  null_exec: nullPointer("00", "0010"),
  unmapped_read: page("ffffc90001234568", "0000"),
  unmapped_write: page("ffffc90001234568", "0002"),
  highaddr_read: page("fffffffffffffff4", "0000"),
  noncanon_read: gp(`${NON_CANONICAL} 0xdead4ead00000120`),
  noncanon_write: gp(`${NON_CANONICAL} 0xdead4ead00000120`),
  // The operand of MOVABS is not decoded: RAX is guessed.
  noncanon_movabs: gp(/^general protection fault, maybe for address 0x[0-9a-f]+: 0000 \[#1\] SMP NOPTI$/),
  noncanon_exec: gp(`${NON_CANONICAL} 0xdead000000000100`),
  user_read: page("0000000000400000", "0001"),
  user_write: page("0000000000400000", "0003"),
  user_exec: oops(
    "unable to execute userspace code (SMEP?) (uid: 0)",
    "BUG: unable to handle page fault for address: 0000000000400000",
    "Oops: 0011 [#1] SMP NOPTI",
  ),
  nx_exec: oops(NX, ANY_UNKNOWN, "Oops: 0011 [#1] SMP NOPTI"),
  stackexec: oops(NX, ANY_UNKNOWN, "Oops: 0011 [#1] SMP NOPTI"),
  text_write: page(ANY_UNKNOWN, "0003"),
  rodata_write: page(ANY_UNKNOWN, "0003"),
  div0: oops("divide error: 0000 [#1] SMP NOPTI"),
  hlt_gp: oops("segment-related general protection fault: 01b4 [#1] SMP NOPTI"),
  ud1: oops("invalid opcode: 0000 [#1] SMP NOPTI"),
  ud2: oops("invalid opcode: 0000 [#1] SMP NOPTI"),
  // Counts as NMI context: nobody goes on after it.
  int3: { end: "panic", first: ["int3: 0000 [#1] SMP NOPTI"] },
  bug: bug(/^kernel BUG at modules\/labcrash\/kinds\.c:\d+!$/),
  bug_on: bug(/^kernel BUG at modules\/labcrash\/kinds\.c:\d+!$/),
  warn: warn("lab warning: value 42", at("lab_warn")),
  warn_on: warn(at("lab_warn_on")),
  warn_once: warn("lab warning once", at("lab_warn_once")),
  warn_on_once: warn(at("lab_warn_on_once")),
  panic: { end: "panic", first: ["Kernel panic - not syncing: lab panic: code 0x1234"] },
  dump_stack: { end: "silent" },
  regs: nullPointer("18", "0002"),
  smash: {
    end: "panic",
    first: [
      /^Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: lab_smash\+0x[0-9a-f]+\/0x[0-9a-f]+ \[labcrash\]$/,
    ],
  },
  return_address: gp(`${NON_CANONICAL} 0x4141414141414141`),
  overflow: {
    end: "panic",
    first: [
      /^BUG: (?:TASK|IRQ) stack guard page was hit at \S+ \(stack is \S+\.\.\S+\)$/,
      "stack guard page: 0000 [#1] SMP NOPTI",
    ],
  },
  listdel: warn(
    /^list_del corruption\. next->prev should be [0-9a-f]{16}, but was 0000000000000001\. \(next=[0-9a-f]{16}\)$/,
    /^WARNING: .* __list_del_entry_valid\+0x/,
  ),
  listadd_twice: warn(
    /^list_add double add: new=[0-9a-f]{16}, prev=[0-9a-f]{16}, next=[0-9a-f]{16}\.$/,
    /^WARNING: .* __list_add_valid\+0x/,
  ),
  dblfree: bug(/^kernel BUG at mm\/slub\.c:\d+!$/),
  // Only an allocator that poisons notices (test/guest/memory_checks.test.ts).
  badfree: SILENT,
  use_after_free: SILENT,
  out_of_bounds: SILENT,
  badpage: { end: "goes on", first: [/^BUG: Bad page state in process \S+ {2}pfn:[0-9a-f]{5}$/] },
  alloc_huge: warn(/^WARNING: CPU: \d PID: \d+ at mm\/page_alloc\.c:\d+ __alloc_pages\+0x/),
  null_locked: nullPointer("10", "0000"),
  atomic_sleep: { end: "goes on", first: [/^BUG: scheduling while atomic: \S+\/\d+\/0x[0-9a-f]{8}$/] },
  rdmsr: gp(/^general protection fault, maybe for address 0x[0-9a-f]+: 0000 \[#1\] SMP NOPTI$/),
  // INT 18: no bank of the processor says why.
  mce: {
    end: "panic",
    first: [
      "Disabling lock debugging due to kernel taint",
      "mce: [Hardware Error]: Machine check: Unknown",
      "Kernel panic - not syncing: Fatal machine check",
    ],
  },
  might_sleep: {
    end: "goes on",
    first: [
      /^BUG: sleeping function called from invalid context at modules\/labcrash\/kinds\.c:\d+$/,
      /^in_atomic\(\): 1, irqs_disabled\(\): [01], non_block: 0, pid: \d+, name: \S+$/,
    ],
  },
  ubsan_shift: {
    end: "goes on",
    first: [
      "=".repeat(80),
      /^UBSAN: shift-out-of-bounds in .*modules\/labcrash\/kinds\.c:\d+:\d+$/,
      "shift exponent 40 is too large for 32-bit type 'int'",
    ],
  },
  // Somebody in the die chain takes it: test/guest/crash_switches.test.ts.
  int3_stop: SILENT,
  oops_stop: { end: "goes on", first: nullPointer("08", "0002").first ?? [] },
  // Watchdogs tell of them: test/guest/contexts.test.ts.
  loop: SILENT,
  irqoff_loop: SILENT,
  halt_loop: SILENT,
  compl_hang: SILENT,
  mutex_hang: SILENT,
  spinlock: SILENT,
};
/** Only the process itself has a program mapped: SMAP and SMEP forbid it to the kernel. Elsewhere there is nothing. */
const WITHOUT_PROGRAM: { readonly [kind: string]: Expected } = {
  user_read: page("0000000000400000", "0000"),
  user_write: page("0000000000400000", "0002"),
  user_exec: page("0000000000400000", "0010"),
};
const IN_INTERRUPTS: readonly LabcrashContext[] = ["hardirq", "softirq", "ipi"];
/** Sleeping in an interrupt is a report of its own. */
const SLEEPS: ReadonlySet<string> = new Set(["atomic_sleep", "compl_hang", "mutex_hang"]);

let machine: Machine;
let start: Snapshot;
beforeAll(async () => {
  machine = await boot({ cpus: 2, memory: "48M", cmdline: "rcupdate.rcu_cpu_stall_suppress=1" });
  await machine.exec("insmod labcrash");
  start = machine.snapshot();
});

async function provoke(context: LabcrashContext, kind: string): Promise<string[]> {
  machine.restore(start);
  const from = machine.consoleLog.length;
  await machine.write(`sh -c 'echo ${LABCRASH_CONTEXTS[context]} ${kind} > ${TRIGGER}'\n`);
  // To the prompt or to the end; what hangs, hangs.
  await machine.run({
    budget: KINDS[kind as keyof typeof KINDS].end === "silent" ? 40_000_000 : 100_000_000,
  });
  return withoutPrompts(machine.consoleLog.slice(from));
}

const bare = (line: string): string => line.replace(/^\[ *\d+\.\d+\] /, "");

describe("labcrash", () => {
  it("lists its kinds, and refuses what it does not know", async () => {
    machine.restore(start);
    expect((await machine.exec(`cat ${TRIGGER}`)).stdout).toMatch(/^p: process\n(.*\n)*null_read\n/);
    expect((await machine.exec(`echo p nothing > ${TRIGGER}`)).stdout).toContain("Invalid argument");
  });

  describe.each(Object.keys(LABCRASH_CONTEXTS) as LabcrashContext[])("%s", (context) => {
    it.each(LABCRASH_KINDS)("%s", async (kind) => {
      const { end, first } = (context === "process" ? undefined : WITHOUT_PROGRAM[kind]) ?? KINDS[kind];
      const log = await provoke(context, kind);
      const lines = log.filter((line) => /^\[ *\d+\.\d+\] /.test(line)).map(bare);
      const inInterrupt = IN_INTERRUPTS.includes(context);
      expect(violations(log)).toEqual([]);
      if (end === "silent" && !(inInterrupt && SLEEPS.has(kind))) {
        expect(parseReports(log.join("\n"))).toEqual([]);
        return;
      }
      expect(checkReport(log)).toEqual([]);
      const head = lines.filter((line) => !/^(?:#PF: |PGD )/.test(line));
      for (const [index, expected] of (first ?? []).entries()) {
        if (typeof expected === "string") expect(head[index]).toBe(expected);
        else expect(head[index]).toMatch(expected);
      }
      const last = lines.findLast((line) => !line.startsWith("note: ")) ?? "";
      const dies = end === "panic" || (end === "kill" && inInterrupt);
      if (kind === "mce") expect(last).toBe("Rebooting in 30 seconds..");
      else if (dies) expect(last).toMatch(/^---\[ end Kernel panic - not syncing: .* \]---$/);
      else expect(lines.join("\n")).not.toContain("Kernel panic");
      if (end === "kill" && inInterrupt) expect(last).toContain("Fatal exception in interrupt");
      if (end === "kill" && !inInterrupt) expect(lines).toContain("---[ end trace 0000000000000000 ]---");
      if (context === "workqueue" && end !== "silent")
        expect(lines).toContain("Workqueue: events lab_work [labcrash]");
    });
  });
});
