/** Crashes of Debian's kernel, each from the same snapshot of the booted system. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type CrashReport, type Machine, Notify, type Snapshot } from "../../bindings/index.ts";
import { checkReport } from "../../bindings/report/index.ts";
import { bootStock, hasStock } from "./files.ts";

let machine: Machine;
let booted: Snapshot;

beforeAll(async () => {
  if (!hasStock) return;
  machine = await bootStock({ cmdline: "panic_on_oops=0 softlockup_panic=0" });
  await machine.exec("true");
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

/** A BUG() of the kernel: the address of the first UD2 that __bug_table lists without flags of a warning. */
function bugAddress({ core, symbols }: Machine): bigint {
  const start = symbols.address("__start___bug_table") ?? 0n;
  const end = symbols.address("__stop___bug_table") ?? 0n;
  const table = new DataView(core.readVirtual(start, Number(end - start)).buffer);
  for (let at = 0; at < table.byteLength; at += 12) {
    const address = start + BigInt(at + table.getInt32(at, true));
    const isWarning = (table.getUint16(at + 10, true) & 1) !== 0;
    if (!isWarning && address < (symbols.address("_etext") ?? 0n)) return address;
  }
  throw new Error("expected a BUG() in __bug_table, found none");
}
