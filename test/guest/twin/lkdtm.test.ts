import { readdirSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { CrashlabError, LKDTM_NAMES, type Machine } from "../../../bindings/index.ts";
import { boot, violations } from "../machines.ts";
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
async function provoke(
  from: Machine,
  name: string,
  before: readonly string[] = [],
  budget = 6_000_000_000,
): Promise<string> {
  const machine = await from.fork();
  for (const command of before) await machine.exec(command);
  const said = machine.consoleLog.length;
  try {
    await machine.exec(`sh -c 'echo ${name} > ${DIRECT}'`, { budget });
  } catch (error) {
    if (!(error instanceof CrashlabError)) throw error; // a panic ends the machine
  }
  return machine.consoleLog.slice(said).join("\n");
}

let ready: Machine;
beforeAll(async () => {
  ready = await boot();
});

const logs = readdirSync(LOGS).filter((file) => file.startsWith("kernelB-lkdtm-"));
const nameOf = (file: string): string[] => file.replace("kernelB-lkdtm-", "").replace(".txt", "").split("-");

describe("LKDTM, line by line Linux's", () => {
  it("has a log for more than fifty crash points", () => {
    expect(logs.length).toBeGreaterThan(50);
  });

  it.each(logs)("%s", async (file) => {
    const [name = "", ...rest] = nameOf(file);
    const theirs = normalise(readFileSync(`${LOGS}/${file}`, "utf8"));
    const ours = normalise(await provoke(ready, name, settings(rest)));
    const lines = difference(theirs, ours).map(({ side, line }) => `${side} ${line}`);
    expect(lines).toEqual(EXCEPTIONS[name] ?? []);
  });
});

describe("LKDTM's lockups, line by line Linux's", () => {
  let two: Machine;
  beforeAll(async () => {
    two = await boot({ cpus: 2, memory: "32M" });
    await two.exec("echo 3 > /sys/module/rcupdate/parameters/rcu_cpu_stall_timeout");
    await two.exec("echo 2 > /proc/sys/kernel/hung_task_timeout_secs");
  });

  const write = (name: string): string => `sh -c 'echo ${name} > ${DIRECT}'`;
  it.each([
    // The emulator of the log was slow.
    ["softlockup", `${write("SOFTLOCKUP")} &`, ["linux hrtimer: interrupt took # ns"]],
    [
      "hardlockup",
      `${write("HARDLOCKUP")} &`,
      [
        // Grace periods here do not end while a CPU holds them up, so none is missed.
        "linux rcu: \t#-...#: (# GPs behind) idle=#/#/# softirq=#/# fqs=#",
        "ours rcu: \t#-...#: (# ticks this GP) idle=#/#/# softirq=#/# fqs=#",
        "linux INFO: NMI handler (nmi_cpu_backtrace_handler) took too long to run: #.# msecs",
      ],
    ],
    ["hung", `${write("HUNG_TASK")} &`, []],
    // From the second writer on, who spins; the first leaves with the lock held, each in his program's way.
    [
      "spinlockup",
      `${write("SPINLOCKUP")}; ${write("SPINLOCKUP")} &`,
      ["linux hrtimer: interrupt took # ns"],
    ],
  ])("%s", async (name, command, exceptions) => {
    const machine = await two.fork();
    await machine.write(`${command}\n`);
    await machine.run({ budget: name === "hung" ? 5e9 : 3.1e9 });
    const last = (log: string): string[] =>
      normalise(log.slice(log.lastIndexOf("\n", log.lastIndexOf("lkdtm: Performing direct entry")) + 1));
    const theirs = last(readFileSync(`${LOGS}/kernelB-${name}-lkdtm.txt`, "utf8"));
    const ours = last(machine.consoleLog.join("\n"));
    expect(difference(theirs, ours).map(({ side, line }) => `${side} ${line}`)).toEqual(exceptions);
  });
});

/** What the kernel says first of a crash point that Linux's logs do not have, behind LKDTM's own lines. */
const OTHERS: { readonly [name: string]: readonly (string | RegExp)[] } = {
  EXCEPTION: ["BUG: kernel NULL pointer dereference, address: 0000000000000000", "Oops: 0002 [#1] SMP NOPTI"],
  LOOP: [],
  CORRUPT_STACK_STRONG: [
    "lkdtm: Corrupting stack containing union ...",
    /^Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: lkdtm_CORRUPT_STACK_STRONG\+0x/,
  ],
  REPORT_STACK: [/^lkdtm: Starting stack offset tracking for pid \d+$/, "lkdtm: Stack offset: 0"],
  REPORT_STACK_CANARY: [/^lkdtm: Recorded stack canary for pid \d+ at offset 1$/],
  UNALIGNED_LOAD_STORE_WRITE: ["lkdtm: XFAIL: arch has CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS"],
  STACK_GUARD_PAGE_TRAILING: [
    "lkdtm: attempting bad read from page above current stack",
    /^BUG: unable to handle page fault for address: ffffc9[0-9a-f]{7}000$/,
    "Oops: 0000 [#1] SMP NOPTI",
  ],
  UNSET_SMEP: [
    "lkdtm: trying to clear SMEP normally",
    "lkdtm: FAIL: pinning SMEP failed!",
    "lkdtm: restored SMEP",
  ],
  BUDDY_INIT_ON_ALLOC: ["lkdtm: FAIL: Page was not initialized"],
  SLAB_FREE_PAGE: [
    "lkdtm: Attempting non-Slab slab free ...",
    "------------[ cut here ]------------",
    "virt_to_cache: Object is not a Slab page!",
    /^WARNING: CPU: 0 PID: \d+ at mm\/slab\.h:\d+ kmem_cache_free\+0x/,
  ],
  EXEC_KMALLOC: execution(/^BUG: unable to handle page fault for address: ffff8880[0-9a-f]{8}$/),
  EXEC_VMALLOC: execution(/^BUG: unable to handle page fault for address: ffffc9[0-9a-f]{7}000$/),
  EXEC_RODATA: execution(/^BUG: unable to handle page fault for address: ffffffff81[0-9a-f]{6}$/),
  EXEC_NULL: [
    /^lkdtm: attempting ok execution at [0-9a-f]{16}$/,
    "lkdtm: attempting bad execution at 0000000000000000",
    "BUG: kernel NULL pointer dereference, address: 0000000000000000",
    "Oops: 0010 [#1] SMP NOPTI",
  ],
  REFCOUNT_INC_NOT_ZERO_OVERFLOW: refcount("inc_not_zero() overflow", "saturated; leaking memory."),
  REFCOUNT_SUB_AND_TEST_NEGATIVE: refcount("sub_and_test() below zero", "underflow; use-after-free."),
  REFCOUNT_ADD_SATURATED: refcount("add() from saturated", "saturated; leaking memory."),
  REFCOUNT_INC_NOT_ZERO_SATURATED: refcount("inc_not_zero() from saturated", "saturated; leaking memory."),
  REFCOUNT_ADD_NOT_ZERO_SATURATED: refcount("add_not_zero() from saturated", "saturated; leaking memory."),
  REFCOUNT_SUB_AND_TEST_SATURATED: refcount("sub_and_test() from saturated", "underflow; use-after-free."),
  ATOMIC_TIMING: ["lkdtm: atomic timing: done"],
  REFCOUNT_TIMING: ["lkdtm: refcount timing: done"],
  USERCOPY_SLAB_WHITELIST_FROM: [
    "lkdtm: attempting good copy_from_user inside whitelist",
    "lkdtm: attempting bad copy_from_user outside whitelist",
    /^usercopy: Kernel memory overwrite attempt detected to SLUB object 'lkdtm-usercopy' \(offset \d+, size 64\)!$/,
    "------------[ cut here ]------------",
    /^kernel BUG at mm\/usercopy\.c:\d+!$/,
    "invalid opcode: 0000 [#1] SMP NOPTI",
  ],
  USERCOPY_VMALLOC: [
    /^lkdtm: attempting good copy_to_user\(\) from kernel vmalloc: /,
    /^lkdtm: attempting bad copy_to_user\(\) from kernel vmalloc: /,
    "lkdtm: Good, copy_to_user() failed, but lacked Oops(?!)",
  ],
  CFI_FORWARD_PROTO: [
    "lkdtm: Calling matched prototype ...",
    "lkdtm: Calling mismatched prototype ...",
    "lkdtm: FAIL: survived mismatched prototype function call!",
  ],
  FORTIFY_STR_OBJECT: fortify("trying to strcmp() past the end of a struct"),
  FORTIFY_STR_MEMBER: fortify("trying to strncpy() past the end of a struct member..."),
  FORTIFY_MEM_MEMBER: [
    "lkdtm: trying to memcpy() past the end of a struct member...",
    "------------[ cut here ]------------",
    /^memcpy: detected field-spanning write \(size 15\) of single field "target\.a" at drivers\/misc\/lkdtm\/fortify\.c:\d+ \(size 10\)$/,
    /^WARNING: CPU: 0 PID: \d+ at drivers\/misc\/lkdtm\/fortify\.c:\d+ lkdtm_FORTIFY_MEM_MEMBER\+0x/,
  ],
  PPC_SLB_MULTIHIT: ["lkdtm: XFAIL: this test is powerpc-only"],
};
function execution(fault: RegExp): readonly (string | RegExp)[] {
  return [
    /^lkdtm: attempting ok execution at [0-9a-f]{16}$/,
    /^lkdtm: attempting bad execution at [0-9a-f]{16}$/,
    "kernel tried to execute NX-protected page - exploit attempt? (uid: 0)",
    fault,
    "Oops: 0011 [#1] SMP NOPTI",
  ];
}
function refcount(what: string, said: string): readonly (string | RegExp)[] {
  return [
    `lkdtm: attempting bad refcount_${what}`,
    "------------[ cut here ]------------",
    `refcount_t: ${said}`,
    /^WARNING: CPU: 0 PID: \d+ at lib\/refcount\.c:\d+ refcount_warn_saturate\+0x/,
  ];
}
function fortify(what: string): readonly (string | RegExp)[] {
  return [
    `lkdtm: ${what}`,
    "detected buffer overflow in strncpy",
    "------------[ cut here ]------------",
    /^kernel BUG at lib\/string_helpers\.c:\d+!$/,
    "invalid opcode: 0000 [#1] SMP NOPTI",
  ];
}

describe("LKDTM's points that Linux's logs do not have", () => {
  it("are all the others", () => {
    const logged = new Set([
      ...logs.map((file) => nameOf(file)[0]),
      "SOFTLOCKUP",
      "HARDLOCKUP",
      "SPINLOCKUP",
      "HUNG_TASK",
    ]);
    expect(LKDTM_NAMES.filter((name) => !logged.has(name)).sort()).toEqual(Object.keys(OTHERS).sort());
  });

  it.each(Object.keys(OTHERS))("%s", async (name) => {
    const log = (await provoke(ready, name, [], name === "LOOP" ? 20e6 : undefined)).split("\n");
    const lines = log.flatMap((line) => /^(?:# )*\[ *\d+\.\d+\] (?!#PF: |PGD )(.*)$/.exec(line)?.[1] ?? []);
    expect(lines[0]).toBe(`lkdtm: Performing direct entry ${name}`);
    for (const [index, expected] of (OTHERS[name] ?? []).entries()) {
      if (typeof expected === "string") expect(lines[index + 1]).toBe(expected);
      else expect(lines[index + 1]).toMatch(expected);
    }
    expect(violations(log)).toEqual([]);
  });
});
