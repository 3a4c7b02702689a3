/** Crashes of Debian's kernel, each from the same snapshot of the booted system. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import {
  type CrashReport,
  faults,
  type Machine,
  type MachineFault,
  Notify,
  type Snapshot,
} from "../../bindings/index.ts";
import { checkReport } from "../../bindings/report/index.ts";
import { readKallsyms } from "../../bindings/symbols/kallsyms.ts";
import { bootStock, hasStock } from "./files.ts";

let machine: Machine;
let booted: Snapshot;

beforeAll(async () => {
  if (!hasStock) return;
  machine = await bootStock({ cmdline: "panic_on_oops=0 softlockup_panic=0" });
  // The shell on the console says its first words, and all is quiet.
  await machine.exec("sleep 0.1");
  booted = machine.snapshot();
}, 300_000);

interface Outcome {
  readonly log: readonly string[];
  readonly reports: readonly CrashReport[];
}

/** What the console says when `change` is made as the command reaches the place. */
async function crash(place: string, command: string, change: () => void, budget = 300e6): Promise<Outcome> {
  machine.restore(booted);
  const from = machine.consoleLog.length;
  const seen = machine.reports.length;
  let done = false;
  using _stop = machine.breakpoint(place, () => {
    if (!done) change();
    done = true;
  });
  await machine.exec(command, { budget }).catch(() => undefined);
  await machine.run({ budget: 20e6 });
  expect(done).toBe(true);
  const log = machine.consoleLog.slice(from).filter((line) => /\[ *\d+\.\d+\]/.test(line));
  return { log, reports: machine.reports.slice(seen) };
}

function patch(place: string, bytes: readonly number[]): void {
  machine.core.writeVirtual(machine.resolve(place), Uint8Array.from(bytes));
}

describe.skipIf(!hasStock)("crashes of Debian's kernel", () => {
  it("a NULL dereference", async () => {
    // mov eax, [0x10]: the function reads what its NULL pointer points to.
    const { log, reports } = await crash("sysrq_handle_crash", "echo c > /proc/sysrq-trigger", () =>
      patch("sysrq_handle_crash", [0x8b, 0x04, 0x25, 0x10, 0, 0, 0]),
    );
    expect(reports[0]).toMatchObject({
      kind: "oops",
      title: "BUG: unable to handle kernel NULL pointer dereference in sysrq_handle_crash",
      rip: { symbol: "sysrq_handle_crash", offset: 0 },
    });
    expect(checkReport(log)).toEqual([]);
  });

  it("a BUG()", async () => {
    const { log, reports } = await crash("sysrq_handle_crash", "echo c > /proc/sysrq-trigger", () =>
      machine.core.setRegister("rip", bugAddress(machine)),
    );
    expect(reports[0]?.kind).toBe("bug");
    expect(checkReport(log)).toEqual([]);
  });

  it("a stack overflow", async () => {
    // call .: a function that calls itself for ever.
    const { log, reports } = await crash("sysrq_handle_crash", "echo c > /proc/sysrq-trigger", () =>
      patch("sysrq_handle_crash", [0xe8, 0xfb, 0xff, 0xff, 0xff]),
    );
    expect(reports[0]?.headline).toMatch(/stack guard page was hit|double fault/);
    expect(checkReport(log)).toEqual([]);
  });

  it("a soft lockup", async () => {
    // sti; hlt; jmp back: a system call that never comes back, in which time passes faster than instructions.
    const { log, reports } = await crash(
      "sysrq_handle_crash",
      "echo c > /proc/sysrq-trigger",
      () => patch("sysrq_handle_crash", [0xfb, 0xf4, 0xeb, 0xfc]),
      30e9,
    );
    expect(reports.map((report) => report.kind)).toContain("soft-lockup");
    expect(checkReport(log)).toEqual([]);
  });

  const WRITE = "echo text > /tmp/file; cat /tmp/file";
  const TRIGGER = "echo c > /proc/sysrq-trigger";
  /** What is broken under the kernel, and the first report that it makes of that. */
  type Case = readonly [
    name: string,
    given: { readonly fault: MachineFault; readonly headline: string; readonly panic?: string },
  ];
  const CASES: readonly Case[] = [
    // The reason is what port 61h reads: 00 or, while memory is refreshed, 10.
    ["an NMI of nobody", { fault: faults.nmi({}), headline: "Uhhuh. NMI received for unknown reason " }],
    [
      "an NMI of nobody that counts",
      {
        fault: faults.nmi({}),
        headline: "Uhhuh. NMI received for unknown reason ",
        panic: "NMI: Not continuing",
      },
    ],
    [
      "a machine check",
      {
        fault: faults.machineCheck({}),
        headline: "mce: [Hardware Error]: CPU 0: Machine Check Exception: 4 Bank 0: be00000000000135",
        panic: "Fatal machine check",
      },
    ],
    [
      "a register that is changed",
      {
        fault: faults.flipRegister({ name: "rdi", bit: 62, when: { place: "vfs_write" }, during: WRITE }),
        headline: "general protection fault, probably for non-canonical address 0xbfff",
      },
    ],
    [
      "a pointer off by a bit",
      {
        fault: faults.flipRegister({ name: "rdi", bit: 44, when: { place: "vfs_write" }, during: WRITE }),
        headline: "BUG: unable to handle page fault for address: ffff98",
      },
    ],
    [
      "a stack pointer that points nowhere",
      {
        fault: faults.flipRegister({ name: "rsp", bit: 62, when: { place: "vfs_write" }, during: WRITE }),
        headline: "traps: PANIC: double fault, error_code: 0x0",
        panic: "Fatal exception in interrupt",
      },
    ],
    [
      "a bit of memory: code",
      {
        fault: faults.flipMemory({ location: { place: "sysrq_handle_crash" }, bit: 0, during: TRIGGER }),
        headline: "invalid opcode: 0000 [#1] PREEMPT SMP NOPTI",
      },
    ],
    [
      "a bit of memory: a return address",
      {
        fault: faults.corruptReturnAddress({ bit: 62, when: { place: "vfs_write" }, during: WRITE }),
        headline: "general protection fault, maybe for address 0x5: 0000 [#1] PREEMPT SMP NOPTI",
      },
    ],
    [
      "a bit of memory: a stack canary",
      {
        fault: faults.corruptCanary({ bit: 9, when: { place: "vfs_write" }, during: WRITE }),
        headline: "Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: ksys_write+0x",
        panic: "stack-protector: Kernel stack is corrupted in: ksys_write+0x",
      },
    ],
    [
      "a vector that no device raised",
      {
        fault: faults.vector({ vector: 0, when: { place: "vfs_write" }, during: WRITE }),
        headline: "divide error: 0000 [#1] PREEMPT SMP NOPTI",
      },
    ],
  ];

  it.each(CASES)("%s", async (name, { fault, headline, panic }) => {
    machine.restore(booted);
    if (name.includes("that counts")) await machine.sysctl.set("kernel.unknown_nmi_panic", 1);
    const { report, console, outcome } = await machine.inject(fault, { budget: 300e6 });
    expect(report?.headline.startsWith(headline)).toBe(true);
    expect(checkReport(console.filter((line) => /^\[ *\d+\.\d+\]/.test(line)))).toEqual([]);
    expect(outcome).toBe(panic === undefined ? "report" : "panic");
    if (panic !== undefined) expect(machine.panic?.headline).toContain(`not syncing: ${panic}`);
  });

  it("a WARN()", async () => {
    const { log, reports } = await crash("sysrq_handle_crash", "echo c > /proc/sysrq-trigger", () =>
      machine.core.setRegister("rip", bugAddress(machine, true)),
    );
    expect(reports[0]?.kind).toBe("warning");
    expect(checkReport(log)).toEqual([]);
  });

  it("symbols are in the memory of the kernel that runs, the same as in its file", () => {
    machine.restore(booted);
    const { core, symbols } = machine;
    const start = symbols.address("__start_rodata") ?? 0n;
    const length = Number((symbols.address("__end_rodata") ?? 0n) - start);
    const live = readKallsyms(core.readVirtual(start, length));
    const names = ["panic", "vfs_read", "sysrq_handle_crash", "init_task", "jiffies_64"];
    for (const name of names) {
      expect(live?.find((symbol) => symbol.name === name)?.address).toBe(symbols.address(name));
    }
    expect(live?.length).toBeGreaterThan(90_000);
  });

  it("crashes in a row, each from the same state", async () => {
    machine.restore(booted);
    const before = machine.stateHash();
    for (let round = 0; round < 5; round++) {
      await expect(machine.exec("echo c > /proc/sysrq-trigger")).rejects.toMatchObject({
        code: "machine-stopped",
      });
      expect(machine.panic?.title).toBe("kernel panic: sysrq triggered crash");
      machine.restore(booted);
    }
    expect(machine.stateHash()).toBe(before);
  });

  it("sysrq-c: notifiers are called by priority with the message, and the dump is one that crash's log can read", async () => {
    machine.restore(booted);
    const called: string[] = [];
    await using _low = await machine.panicNotifiers.register({
      name: "low",
      call: (event, message) => {
        called.push(`low ${event} ${message}`);
        return Notify.DONE;
      },
    });
    await using _high = await machine.panicNotifiers.register({
      name: "high",
      priority: 5,
      call: async (event, message) => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        called.push(`high ${event} ${message}`);
        return Notify.OK;
      },
    });
    const from = machine.consoleLog.length;
    await expect(machine.exec("echo c > /proc/sysrq-trigger")).rejects.toMatchObject({
      code: "machine-stopped",
    });
    expect(called).toEqual(["high 0 sysrq triggered crash", "low 0 sysrq triggered crash"]);
    expect(machine.panic?.title).toBe("kernel panic: sysrq triggered crash");
    expect(checkReport(machine.consoleLog.slice(from).filter((line) => line.includes("] ")))).toEqual([]);

    const folder = mkdtempSync(join(tmpdir(), "crashlab-stock-"));
    try {
      const dump = await machine.kdump.capture({
        format: "kdump-compressed",
        compression: "none",
        dumpLevel: 31,
      });
      await dump.save(join(folder, "vmcore"));
      execFileSync("makedumpfile", ["--dump-dmesg", join(folder, "vmcore"), join(folder, "dmesg")]);
      expect(readFileSync(join(folder, "dmesg"), "latin1")).toContain(
        "Kernel panic - not syncing: sysrq triggered crash",
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** A BUG() or WARN() of the kernel: the address of the first UD2 that __bug_table lists with or without that flag. */
function bugAddress({ core, symbols }: Machine, warning = false): bigint {
  const start = symbols.address("__start___bug_table") ?? 0n;
  const end = symbols.address("__stop___bug_table") ?? 0n;
  const table = new DataView(core.readVirtual(start, Number(end - start)).buffer);
  for (let at = 0; at < table.byteLength; at += 12) {
    const address = start + BigInt(at + table.getInt32(at, true));
    // BUGFLAG_WARNING without BUGFLAG_NO_CUT_HERE, which has a message printed before.
    const isWanted = (table.getUint16(at + 10, true) & (warning ? 9 : 1)) === (warning ? 1 : 0);
    if (isWanted && address < (symbols.address("_etext") ?? 0n)) return address;
  }
  throw new Error("expected a BUG() or WARN() in __bug_table, found none");
}
