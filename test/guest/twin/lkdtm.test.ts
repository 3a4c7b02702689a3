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

/** What a jump into data leads to, as above. */
const UNREADABLE = ["linux Code: #", "ours Code: Unable to access opcode bytes at #."];
const changed = (linux: string, ours: string): readonly string[] => [`linux ${linux}`, `ours ${ours}`];
const attempt = (linux: string, ours: string): readonly string[] =>
  changed(`lkdtm: attempting bad refcount_${linux}`, `lkdtm: attempting bad refcount_${ours}`);
const strncpy = (said: string): readonly string[] => [
  "linux lkdtm: trying to memcpy() past the end of a struct",
  "linux lkdtm: #: #",
  "linux lkdtm: #: #",
  "linux lkdtm: s: #",
  "linux detected buffer overflow in memcpy",
  `ours lkdtm: trying to ${said}`,
  "ours detected buffer overflow in strncpy",
];

/** Crash points that Linux's logs do not have: a point that they have, and every line in which the two differ. */
const BESIDE: { readonly [name: string]: readonly [like: string, ...differences: string[]] } = {
  EXCEPTION: [
    "WRITE_RO",
    "linux lkdtm: attempting bad rodata write at #",
    ...changed(
      "BUG: unable to handle page fault for address: #",
      "BUG: kernel NULL pointer dereference, address: #",
    ),
    ...changed("#PF: error_code(#) - permissions violation", "#PF: error_code(#) - not-present page"),
  ],
  CORRUPT_STACK_STRONG: [
    "CORRUPT_STACK",
    ...changed(
      "lkdtm: Corrupting stack containing char array ...",
      "lkdtm: Corrupting stack containing union ...",
    ),
  ],
  STACK_GUARD_PAGE_TRAILING: [
    "STACK_GUARD_PAGE_LEADING",
    "linux lkdtm: attempting bad read from page below current stack",
    "linux BUG: TASK stack guard page was hit at (____ptrval____) (stack is (____ptrval____)..(____ptrval____))",
    "linux stack guard page: # [##] SMP NOPTI",
    "ours lkdtm: attempting bad read from page above current stack",
    "ours BUG: unable to handle page fault for address: #",
    "ours #PF: supervisor read access in kernel mode",
    "ours #PF: error_code(#) - not-present page",
    "ours PGD",
    "ours Oops: # [##] SMP NOPTI",
    "ours CR2: #",
  ],
  EXEC_KMALLOC: ["EXEC_STACK", "linux  execute_location", ...BEYOND_A_WILD_JUMP],
  EXEC_VMALLOC: [
    "EXEC_STACK",
    ...UNREADABLE,
    "linux  execute_location",
    ...BEYOND_A_WILD_JUMP,
    ...UNREADABLE,
  ],
  EXEC_RODATA: [
    "EXEC_DATA",
    ...changed("RIP: #:data_area", "RIP: #:lkdtm_rodata_code"),
    "linux  execute_location",
    ...BEYOND_A_WILD_JUMP,
    ...changed("RIP: #:data_area", "RIP: #:lkdtm_rodata_code"),
  ],
  EXEC_NULL: [
    "EXEC_DATA",
    "linux kernel tried to execute NX-protected page - exploit attempt? (uid: #)",
    ...changed(
      "BUG: unable to handle page fault for address: #",
      "BUG: kernel NULL pointer dereference, address: #",
    ),
    ...changed("#PF: error_code(#) - permissions violation", "#PF: error_code(#) - not-present page"),
    ...["linux RIP: #:data_area", "linux Code: #", "ours RIP: #:#", UNREADABLE[1] ?? ""],
    ...BEYOND_A_WILD_JUMP,
    ...["linux RIP: #:data_area", "linux Code: #", "ours RIP: #:#", UNREADABLE[1] ?? ""],
  ],
  SLAB_FREE_PAGE: [
    "SLAB_FREE_CROSS",
    ...changed("lkdtm: Attempting cross-cache slab free ...", "lkdtm: Attempting non-Slab slab free ..."),
    ...changed(
      "cache_from_obj: Wrong slab cache. lkdtm-heap-b but object is from lkdtm-heap-a",
      "virt_to_cache: Object is not a Slab page!",
    ),
    "ours  lkdtm_SLAB_FREE_PAGE",
  ],
  REFCOUNT_INC_NOT_ZERO_OVERFLOW: [
    "REFCOUNT_INC_OVERFLOW",
    "linux lkdtm: attempting good refcount_inc() without overflow",
    ...attempt("inc() overflow", "inc_not_zero() overflow"),
    "ours  __refcount_inc_not_zero",
  ],
  REFCOUNT_SUB_AND_TEST_NEGATIVE: [
    "REFCOUNT_DEC_AND_TEST_NEGATIVE",
    ...attempt("dec_and_test() below zero", "sub_and_test() below zero"),
  ],
  REFCOUNT_ADD_SATURATED: [
    "REFCOUNT_INC_SATURATED",
    ...attempt("inc() from saturated", "add() from saturated"),
  ],
  REFCOUNT_INC_NOT_ZERO_SATURATED: [
    "REFCOUNT_INC_SATURATED",
    ...attempt("inc() from saturated", "inc_not_zero() from saturated"),
    "ours  __refcount_inc_not_zero",
  ],
  REFCOUNT_ADD_NOT_ZERO_SATURATED: [
    "REFCOUNT_INC_SATURATED",
    ...attempt("inc() from saturated", "add_not_zero() from saturated"),
    "ours  __refcount_add_not_zero",
  ],
  REFCOUNT_SUB_AND_TEST_SATURATED: [
    "REFCOUNT_DEC_AND_TEST_SATURATED",
    ...attempt("dec_and_test() from saturated", "sub_and_test() from saturated"),
  ],
  USERCOPY_SLAB_WHITELIST_FROM: [
    "USERCOPY_SLAB_WHITELIST_TO",
    "linux lkdtm: attempting good copy_to_user inside whitelist",
    "linux lkdtm: attempting bad copy_to_user outside whitelist",
    "linux usercopy: Kernel memory exposure attempt detected from SLUB object 'lkdtm-usercopy' (offset #, size #)!",
    "ours lkdtm: attempting good copy_from_user inside whitelist",
    "ours lkdtm: attempting bad copy_from_user outside whitelist",
    "ours usercopy: Kernel memory overwrite attempt detected to SLUB object 'lkdtm-usercopy' (offset #, size #)!",
  ],
  FORTIFY_STR_OBJECT: ["FORTIFY_MEM_OBJECT", ...strncpy("strcmp() past the end of a struct")],
  FORTIFY_STR_MEMBER: ["FORTIFY_MEM_OBJECT", ...strncpy("strncpy() past the end of a struct member...")],
  FORTIFY_MEM_MEMBER: [
    "WARNING_MESSAGE",
    "ours lkdtm: trying to memcpy() past the end of a struct member...",
    "linux Warning message trigger count: #",
    "linux WARNING: CPU: # PID: # at drivers/misc/lkdtm/bugs.c:# lkdtm_FORTIFY_MEM_MEMBER",
    'ours memcpy: detected field-spanning write (size #) of single field "target.a" at drivers/misc/lkdtm/fortify.c:# (size #)',
    "ours WARNING: CPU: # PID: # at drivers/misc/lkdtm/fortify.c:# lkdtm_FORTIFY_MEM_MEMBER",
    "ours lkdtm: FAIL: fortify did not block a memcpy() struct member write overflow!",
    "ours lkdtm: This is probably expected, since this kernel (RELEASE x86_64) was built *without* CONFIG_FORTIFY_SOURCE=y",
  ],
};

/** Those that only LKDTM itself speaks of: all that is said, numbers aside. */
const PLAIN: { readonly [name: string]: readonly string[] } = {
  LOOP: [],
  REPORT_STACK: ["Starting stack offset tracking for pid #", "Stack offset: #"],
  REPORT_STACK_CANARY: ["Recorded stack canary for pid # at offset #"],
  UNALIGNED_LOAD_STORE_WRITE: ["XFAIL: arch has CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS"],
  UNSET_SMEP: ["trying to clear SMEP normally", "FAIL: pinning SMEP failed!", "restored SMEP"],
  BUDDY_INIT_ON_ALLOC: [
    "FAIL: Page was not initialized",
    "This is probably expected, since this kernel (RELEASE x86_64) was built *without* CONFIG_INIT_ON_ALLOC_DEFAULT_ON=y (and booted without 'init_on_alloc' specified)",
  ],
  ATOMIC_TIMING: ["atomic timing: done"],
  REFCOUNT_TIMING: ["refcount timing: done"],
  USERCOPY_VMALLOC: [
    "attempting good copy_to_user() from kernel vmalloc: #",
    "attempting bad copy_to_user() from kernel vmalloc: #",
    "Good, copy_to_user() failed, but lacked Oops(?!)",
  ],
  CFI_FORWARD_PROTO: [
    "Calling matched prototype ...",
    "Calling mismatched prototype ...",
    "FAIL: survived mismatched prototype function call!",
    "This is probably expected, since this kernel (RELEASE x86_64) was built *without* CONFIG_CFI_CLANG=y",
  ],
  PPC_SLB_MULTIHIT: ["XFAIL: this test is powerpc-only"],
};

describe("LKDTM's points that Linux's logs do not have", () => {
  it("are all the others", () => {
    const logged = new Set([
      ...logs.map((file) => nameOf(file)[0]),
      "SOFTLOCKUP",
      "HARDLOCKUP",
      "SPINLOCKUP",
      "HUNG_TASK",
    ]);
    const here = [...Object.keys(BESIDE), ...Object.keys(PLAIN)];
    expect(LKDTM_NAMES.filter((name) => !logged.has(name)).sort()).toEqual(here.sort());
  });

  it.each(Object.entries(BESIDE))("%s, every line beside a point that they have", async (name, expected) => {
    const [like, ...differences] = expected;
    const log = await provoke(ready, name);
    const theirs = normalise(
      readFileSync(`${LOGS}/kernelB-lkdtm-${like}.txt`, "utf8").replaceAll(like, name),
    );
    const lines = difference(theirs, normalise(log)).map(({ side, line }) => `${side} ${line}`);
    expect(lines).toEqual(differences);
    expect(violations(log.split("\n"))).toEqual([]);
  });

  it.each(Object.entries(PLAIN))("%s, every line", async (name, expected) => {
    const log = await provoke(ready, name, [], name === "LOOP" ? 20e6 : undefined);
    expect(normalise(log)).toEqual(
      [`Performing direct entry ${name}`, ...expected].map((line) => `lkdtm: ${line}`),
    );
    expect(violations(log.split("\n"))).toEqual([]);
  });
});
