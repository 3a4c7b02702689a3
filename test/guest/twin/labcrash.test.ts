/** labcrash here and in real kernels (Debian's 6.1, and one of our own configuration), numbers aside. */
import { readdirSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import type { Machine } from "../../../bindings/index.ts";
import { boot } from "../machines.ts";
import { difference, normalise } from "./normalise.ts";

const LOGS = "test/data/linux-logs/oops";
const CONTEXTS = { process: "p", hardirq: "h", timer_softirq: "t", ipi: "i", kthread: "k" } as const;

/** Who calls the module's functions, how an idle CPU began, and what the unwinder is not sure of. */
const FRAMES_ASIDE =
  /^ (?:lab_do|amd_e400_idle|rest_init|arch_call_rest_init|start_kernel|x86_64_start_kernel|start_secondary|secondary_startup_64_no_verify|generic_smp_call_function_single_interrupt)\b| \? /;

/** Lines without that, without where the module lies and whether it is one. */
function comparable(log: string): string[] {
  return normalise(log)
    .filter((line) => !FRAMES_ASIDE.test(line))
    .map((line) =>
      line
        .replace(/ \[labcrash\]/, "")
        .replace(/^Modules linked in:.*/, "Modules linked in:")
        .replace(/(?:drivers\/misc\/labcrash|modules\/labcrash\/kinds)\.c/, "labcrash.c")
        .replace(/Not tainted$|Tainted: G {11}OE$/, "TAINT")
        .replace(/ OE$/, "")
        .replace(/(?:native_safe_halt|amd_e400_idle|default_idle)$/, "IDLE")
        .replaceAll("(____ptrval____)", "#"),
    );
}

/** A function at the start of a module's first page: there are no 42 bytes before it. */
const NO_CODE = ["linux Code: Unable to access opcode bytes at #.", "ours Code: #"];
const EXCEPTIONS: { readonly [file: string]: readonly string[] } = {
  "debian-process-null_read.txt": [...NO_CODE, ...NO_CODE],
  "debian-timer_softirq-null_read.txt": [...NO_CODE, ...NO_CODE],
  "debian-process-alloc_huge.txt": ["linux  __kmalloc_large_node", "ours  kmalloc"],
  // kfree() has no function of its own for the inner half.
  "debian-process-dblfree.txt": [
    "linux RIP: #:__kmem_cache_free",
    "ours RIP: #:kfree",
    "linux RIP: #:__kmem_cache_free",
    "ours RIP: #:kfree",
  ],
  "debian-process-overflow.txt": ["linux  lab_overflow"],
  // The program of the log touched a new page while it was atomic, and so died by a signal; ours leaves.
  "debian-process-atomic_sleep.txt": [
    "linux sh[#]: segfault at # ip # sp # error # in busybox[#+#] likely on CPU # (core #, socket #)",
    "linux Code: Unable to access opcode bytes at #.",
    "linux  do_group_exit",
    "linux  get_signal",
    "linux  arch_do_signal_or_restart",
    "linux  exit_to_user_mode_prepare",
    "linux  irqentry_exit_to_user_mode",
    "linux  asm_exc_page_fault",
    "ours  do_syscall_64",
    "ours  entry_SYSCALL_64_after_hwframe",
    "linux RSP: 002b:# EFLAGS: #",
    "ours RSP: 002b:# EFLAGS: # ORIG_RAX: #",
  ],
  // Two functions with the same code are one there.
  "kernelB-process-noncanon_movabs.txt": [
    "linux RIP: #:lab_noncanon_read",
    "ours RIP: #:lab_noncanon_movabs",
    "linux RIP: #:lab_noncanon_read",
    "ours RIP: #:lab_noncanon_movabs",
  ],
  // The log begins in the middle of the report.
  "debian-process-regs.txt": [
    "ours BUG: kernel NULL pointer dereference, address: #",
    "ours #PF: supervisor write access in kernel mode",
    "ours #PF: error_code(#) - not-present page",
  ],
};
/** Jumps into nowhere. How the trace goes on is a guess: docs/quirks.md, "Traces that go on where Linux's stop". */
const WILD = new Set(["nx_exec", "stackexec", "user_exec"]);
/**
 * What Linux does not report in these logs, or otherwise: QEMU answers unknown MSRs and jumps before it faults, pages
 * are not checked by default, Debian's kernel has BUG_ON_DATA_CORRUPTION (LKDTM CORRUPT_LIST_DEL is the twin here).
 */
const OTHERWISE = new Set(["rdmsr", "badpage", "listdel", "noncanon_exec"]);

function withoutTrace(lines: readonly string[]): readonly string[] {
  const start = lines.indexOf("Call Trace:");
  return start < 0 ? lines : lines.toSpliced(start, lines.indexOf(" </TASK>", start) + 1 - start);
}

let ready: Machine;
beforeAll(async () => {
  ready = await boot({ cpus: 2, memory: "48M" });
  await ready.exec("insmod labcrash");
});

const logs = readdirSync(LOGS).flatMap((file) => {
  const [, context = "", kind = ""] = /^(?:debian|kernelB)-([a-z_]+)-(\w+)\.txt$/.exec(file) ?? [];
  return context in CONTEXTS && !OTHERWISE.has(kind)
    ? [{ file, context: context as keyof typeof CONTEXTS, kind }]
    : [];
});

describe("labcrash, line by line as in Linux", () => {
  it("has logs of more than thirty faults", () => {
    expect(logs.length).toBeGreaterThan(30);
  });

  it.each(logs)("$file", async ({ file, context, kind }) => {
    const machine = await ready.fork();
    await machine.write(`sh -c 'echo ${CONTEXTS[context]} ${kind} > /sys/kernel/debug/labcrash/trigger'\n`);
    await machine.run({ budget: 1e8 });
    const [theirs = [], ours = []] = [readFileSync(`${LOGS}/${file}`, "utf8"), machine.consoleLog.join("\n")]
      .map(comparable)
      .map((each) => (WILD.has(kind) ? withoutTrace(each) : each));
    const lines = difference(theirs, ours).map(({ side, line }) => `${side} ${line}`);
    expect(lines).toEqual(EXCEPTIONS[file] ?? []);
  });
});
