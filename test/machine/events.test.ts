/** The typed events of a machine, and what everything long has: a budget, a signal, progress. */
import { beforeAll, describe, expect, test } from "vitest";
import { boot, CrashlabError, faults, type Machine, Notify, type RunProgress } from "../../bindings/index.ts";
import { runCampaign } from "../../bindings/node/index.ts";
import { StoredVmcore, Vmcore } from "../../bindings/vmcore/index.ts";
import { readSymbols } from "../../bindings/vmcore/vmlinux.ts";

/** A megabyte on a disk. */
const DUMP = {
  sectors: 4096n,
  written: () => 1 << 20,
  slice: (_at: number, length: number) => new Uint8Array(length),
};

const codeOf = (error: unknown): string | undefined =>
  error instanceof CrashlabError ? error.code : undefined;

describe("events", () => {
  test("an oops, a warning and a panic come as reports, each under its name", async () => {
    await using machine = await boot();
    const seen: string[] = [];
    const told = [
      machine.on("report", ({ kind }) => seen.push(`report ${kind}`)),
      machine.on("oops", ({ kind, rip }) => seen.push(`oops ${kind} ${rip?.symbol}`)),
      machine.on("warning", ({ kind, source }) => seen.push(`warning ${kind} ${source?.file}`)),
      machine.on("panic", ({ kind, message }) => seen.push(`panic ${kind} ${message}`)),
    ];
    await machine.inject(faults.nullDereference());
    await machine.inject(faults.lkdtm("WARNING"));
    await machine.inject(faults.lkdtm("PANIC"));
    expect(seen).toEqual([
      "report oops",
      "oops oops my_driver_read",
      "report warning",
      "warning warning drivers/misc/lkdtm/bugs.c",
      "report panic",
      "panic panic dumptest",
    ]);
    expect(told).toHaveLength(4);
  });

  test("a listener that is disposed of hears nothing more", async () => {
    await using machine = await boot();
    const lines: string[] = [];
    {
      using _listening = machine.on("console", (line) => lines.push(line));
      await machine.write("echo one\n");
      await machine.run({ budget: 20_000_000 });
    }
    await machine.write("echo two\n");
    await machine.run({ budget: 20_000_000 });
    expect(lines).toContainEqual(expect.stringMatching(/^(# )?one$/));
    expect(lines).not.toContainEqual(expect.stringContaining("two"));
  });
});

describe("everything long", () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await boot({ cmdline: "crashkernel=32M" });
  });

  test.each([
    ["boot", (signal: AbortSignal) => boot({ signal })],
    ["exec", (signal: AbortSignal) => machine.exec("true", { signal })],
    ["write", (signal: AbortSignal) => machine.write("x".repeat(10_000), { signal })],
    ["run", (signal: AbortSignal) => machine.run({ signal })],
    ["runUntil", (signal: AbortSignal) => machine.runUntil({ time: machine.time + 1_000_000n }, { signal })],
    ["sysrq", (signal: AbortSignal) => machine.sysrq("h", { signal }).then(() => machine.run({ signal }))],
    ["reboot", (signal: AbortSignal) => machine.reboot({ signal })],
    [
      "a panic notifier",
      (signal: AbortSignal) =>
        machine.panicNotifiers.register({ name: "late", call: () => Notify.DONE }, { signal }),
    ],
    ["inject", (signal: AbortSignal) => machine.inject(faults.nullDereference(), { signal })],
    ["sysctl.get", (signal: AbortSignal) => machine.sysctl.get("kernel.tainted", { signal })],
    ["sysctl.set", (signal: AbortSignal) => machine.sysctl.set("kernel.panic_on_oops", 1, { signal })],
    [
      "capture and save",
      async (signal: AbortSignal) => (await machine.kdump.capture({ signal })).save("/dev/null"),
    ],
    [
      "the crash kernel's dump",
      (signal: AbortSignal) => machine.kdump.capture({ via: "crash-kernel", signal }),
    ],
    ["saving that", (signal: AbortSignal) => new StoredVmcore(DUMP).save("/dev/null", { signal })],
    ["opening a dump", (signal: AbortSignal) => Vmcore.open(new Uint8Array(100), { signal })],
    ["reading a vmlinux", (signal: AbortSignal) => readSymbols(new Blob(["vmlinux"]), { signal })],
    ["a campaign", (signal: AbortSignal) => runCampaign({ cases: 2, jobs: 0, signal })],
  ])("%s ends with `aborted`", async (_name, act) => {
    await expect(act(AbortSignal.abort()).catch(codeOf)).resolves.toBe("aborted");
  });

  test("a signal that comes from a timer ends a run that would never end", async () => {
    await using endless = await boot();
    const stopped = endless.exec("while true; do true; done", {
      budget: Number.POSITIVE_INFINITY,
      signal: AbortSignal.timeout(300),
    });
    await expect(stopped.catch(codeOf)).resolves.toBe("aborted");
  });

  test("progress is told in guest nanoseconds of the budget", async () => {
    const steps: RunProgress[] = [];
    await using fresh = await boot({ onProgress: (step) => steps.push(step) });
    const booting = steps.splice(0);
    expect(booting.length).toBeGreaterThan(0);
    expect(booting.every(({ total }) => total === 5e9)).toBe(true);
    await fresh.exec(Array(20).fill("sh -c true").join("; "), {
      budget: 50_000_000_000,
      onProgress: (step) => steps.push(step),
    });
    const done = steps.map((step) => step.done);
    expect(done.length).toBeGreaterThan(2);
    expect(done).toEqual(done.toSorted((a, b) => a - b));
    expect(steps.at(-1)?.total).toBe(50_000_000_000);
  });

  test("progress of a dump that is saved is told in bytes", async () => {
    const steps: number[] = [];
    await new StoredVmcore(DUMP).save("/dev/null", { onProgress: ({ done }) => steps.push(done) });
    expect(steps).toEqual([1 << 20]);
  });

  test("a machine that was disposed of does not run, its log is still there", async () => {
    const gone = await boot();
    await gone[Symbol.asyncDispose]();
    await expect(gone.exec("true").catch(codeOf)).resolves.toBe("machine-stopped");
    expect(gone.consoleLog.length).toBeGreaterThan(5);
  });
});
