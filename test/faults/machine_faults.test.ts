import { beforeAll, describe, expect, it } from "vitest";
import {
  boot,
  catalogue,
  type DiskFault,
  type Fault,
  faults,
  findFault,
  type Injection,
  type Machine,
  type Snapshot,
  SparseDisk,
} from "../../bindings/index.ts";
import { violations } from "../guest/machines.ts";

let machine: Machine;
let start: Snapshot;

beforeAll(async () => {
  machine = await boot({ memory: "32M", cpus: 2 });
  start = machine.snapshot();
});

/** Whatever is reported is in Linux's grammar, as far as a machine goes that is broken under its kernel. */
async function inject(fault: Fault, budget = 200e6): Promise<Injection> {
  machine.restore(start);
  const injection = await machine.inject("commands" in fault ? { ...fault, mayPass: true } : fault, {
    budget,
  });
  expect(violations(injection.console, { broken: true })).toEqual([]);
  return injection;
}

describe("faults under the guest", () => {
  it("flips a register at an exact instruction", async () => {
    const { truth, report, outcome } = await inject(
      faults.flipRegister({ name: "rsp", bit: 40, when: { place: "vfs_write" } }),
    );
    const { change, when } = truth;
    expect(outcome).toBe("panic");
    expect(when).toMatchObject({ rip: machine.resolve("vfs_write"), symbol: "vfs_write+0x0", cpl: 0 });
    expect(change).toMatchObject({ kind: "register", register: "rsp", bit: 40, size: 8 });
    expect((change?.before ?? 0n) ^ (change?.after ?? 0n)).toBe(1n << 40n);
    // The push that comes first could not be done: a page fault, and another for its frame.
    expect(truth.events[0]).toMatchObject({ kind: "panic" });
    expect(truth.exception?.cr2).toBe((change?.after ?? 0n) - 8n);
    expect(report?.headline).toContain("double fault");
  });

  it("at an exact time, and the same each time", async () => {
    const fault = faults.flipRegister({ name: "rip", bit: 46, when: { after: 12_345 } });
    const first = await inject(fault);
    const hash = machine.stateHash();
    expect(first.truth.when?.time).toBeGreaterThanOrEqual(start === undefined ? 0n : 12_345n);
    expect(await inject(fault)).toEqual(first);
    expect(machine.stateHash()).toBe(hash);
  });

  it("flips memory where it says, by symbol and by physical address", async () => {
    const place = "panic_timeout";
    const { truth } = await inject(faults.flipMemory({ location: { place }, bit: 3 }));
    expect(truth.change).toMatchObject({ virtual: machine.resolve(place), before: 0n, after: 8n, size: 1 });
    expect(await machine.sysctl.get("kernel.panic")).toBe("8");
    const physical = truth.change?.physical ?? 0n;
    const again = await inject(faults.flipMemory({ location: { physical }, bit: 3 }));
    expect(again.truth.change).toEqual(truth.change);
  });

  it("flips a page table entry: the kernel's own code is gone", async () => {
    const { truth, report } = await inject(
      faults.flipPageTable({ place: "seq_read", bit: 0, when: { place: "ksys_read" } }),
      30e6,
    );
    expect(truth.change).toMatchObject({ kind: "page-table", level: 1, bit: 0 });
    expect((truth.change?.before ?? 0n) & 1n).toBe(1n);
    expect(report?.fault?.access).toBe("execute");
    expect(truth.exception).toMatchObject({ vector: 14, error: 16 });
  });

  it("corrupts a return address", async () => {
    const { truth, report } = await inject(faults.corruptReturnAddress({ bit: 40 }));
    expect(truth.change?.before).toBeGreaterThan(0xffffffff81000000n);
    expect(truth.exception?.rip).toBe(truth.change?.after);
    expect(report?.rip?.address ?? report?.fault?.address).toBe(truth.change?.after);
  });

  it("corrupts a canary", async () => {
    const { truth, report } = await inject(faults.corruptCanary({ bit: 0 }));
    expect(truth.change).toMatchObject({ kind: "canary", bit: 0 });
    expect(report?.title).toMatch(/stack is corrupted in /);
    expect(truth.outcome).toBe("panic");
  });

  it("flips a bit of code", async () => {
    // push %rbp (55) becomes push %rdi (57) or so: what is in memory is what executes.
    const { truth } = await inject(faults.flipCode({ bit: 1 }));
    expect(truth.change).toMatchObject({
      kind: "code",
      virtual: machine.resolve("vfs_write"),
      symbol: "vfs_write+0x0",
    });
  });

  it("fails a function", async () => {
    const { truth, outcome } = await inject(faults.failFunction({ function: "filp_open", value: -5n }));
    expect(truth.change).toMatchObject({ register: "rax", after: 0xfffffffffffffffbn });
    expect(outcome).toBe("clean");
  });

  it.each([
    ["an unknown NMI", faults.nmi({}), "report"],
    ["a fatal machine check", faults.machineCheck({}), "panic"],
    ["both CPUs frozen", faults.freeze({ cpu: 0 }), "hang"],
    ["the timer's interrupts dropped", faults.breakLine({ line: 2, fault: { kind: "drop" } }), "clean"],
    ["a spurious vector", faults.vector({ vector: 0xff }), "clean"],
    ["a reset by SysRq", faults.sysrq("b"), "reset"],
    ["a crash by SysRq", faults.sysrq("c"), "panic"],
    ["a state of tasks by SysRq", faults.sysrq("t"), "clean"],
    ["a hard interrupt", faults.labcrash("null_read", "hardirq"), "panic"],
    ["a soft interrupt", faults.labcrash("bug", "softirq"), "panic"],
    ["a kernel thread", faults.labcrash("div0", "kthread"), "report"],
    ["the other CPU", faults.labcrash("warn", "ipi"), "report"],
  ] as const)("%s", async (_, fault, outcome) => {
    const injection = await inject(fault);
    expect({ outcome: injection.outcome, console: injection.console }).toMatchObject({ outcome });
  });

  it("is a hang after so many exceptions: without PE every instruction faults", async () => {
    machine.restore(start);
    const fault = faults.flipRegister({ name: "cr0", bit: 0, when: { place: "vfs_write" } });
    const { outcome, truth } = await machine.inject(fault, { exceptions: 5000 });
    expect({ outcome, ending: truth.ending }).toEqual({ outcome: "hang", ending: "exceptions" });
    expect(truth.exceptions).toHaveLength(16);
  });

  it("fails an allocation through the guest's failslab", async () => {
    const { console: lines, outcome } = await inject(faults.failAllocation({ of: "failslab" }));
    expect(lines.join("\n")).toContain("name failslab, interval 1, probability 100, space 0, times 1");
    expect(["clean", "hang"]).toContain(outcome);
  });
});

describe("the catalogue", () => {
  it("finds each by its name", () => {
    expect(new Set(catalogue.map(({ name }) => name)).size).toBe(catalogue.length);
    for (const { name, make } of catalogue) expect(findFault(name)).toEqual(make());
  });

  it("refuses what no machine could have", async () => {
    await expect(inject(faults.flipRegister({ name: "rax", bit: 64 }))).rejects.toThrow("a bit from 0 to 63");
    await expect(
      inject(faults.flipMemory({ location: { place: "nothing_of_this_name" }, bit: 0 })),
    ).rejects.toThrow("a symbol of the kernel");
    await expect(inject(faults.nmi({ cpu: 7 }))).rejects.toThrow("a CPU from 0 to 1");
    await expect(inject(faults.nmi({ when: { after: -1 } }))).rejects.toThrow("after as a whole number");
    expect(() => faults.sysrq("z" as "c")).toThrow("a SysRq key");
  });

  it("says when a certain report does not come", async () => {
    machine.restore(start);
    await expect(machine.inject(faults.lkdtm("ATOMIC_TIMING"))).rejects.toThrow("expected a crash report");
  });
});

describe("a machine that runs", () => {
  it("stops at a place and at a time", async () => {
    machine.restore(start);
    const time = machine.time + 77_777n;
    await machine.runUntil({ time });
    expect(machine.time - time).toBeLessThan(2_000_000n);
    const seen: bigint[] = [];
    using _breakpoint = machine.breakpoint("ksys_write+4", () => seen.push(machine.registers().rip));
    await machine.exec("echo hello");
    expect(new Set(seen)).toEqual(new Set([machine.resolve("ksys_write") + 4n]));
    await expect(machine.runUntil({ place: "panic" }, { budget: 1e6 })).rejects.toThrow(
      "panic to be reached",
    );
  });

  it("forgets what the console said after a snapshot", async () => {
    machine.restore(start);
    const lines = machine.consoleLog.length;
    await machine.inject(faults.nullDereference());
    machine.restore(start);
    expect(machine.consoleLog.length).toBe(lines);
    expect(machine.reports).toEqual([]);
  });
});

describe("a disk that fails", () => {
  /** Two sectors of letters. */
  async function withDisk(
    fault: DiskFault,
    during: string,
    budget?: number,
  ): Promise<{ console: string; machine: Machine; outcome: string }> {
    const disk = new SparseDisk(2n);
    disk.write(0n, new TextEncoder().encode("A".repeat(512) + "B".repeat(512)));
    const own = await boot({ memory: "32M", disk });
    const {
      console: lines,
      outcome,
      truth,
    } = await own.inject(faults.failDisk({ fault, during }), budget === undefined ? {} : { budget });
    expect(truth.change).toEqual({ kind: "disk", fault });
    return {
      console: lines.map((line) => line.replace(/^(?:# )*\[ *\d+\.\d+\] /, "")).join("\n"),
      machine: own,
      outcome,
    };
  }

  it("a bad sector is an I/O error in Linux's words, and no crash", async () => {
    const fault = { kind: "error", sectors: { from: 1n, count: 1 }, operation: "read" } as const;
    const { console: said, outcome } = await withDisk(fault, "cat /dev/cblk0 > /tmp/a");
    expect(outcome).toBe("clean");
    expect(said).toContain(
      "I/O error, dev cblk0, sector 0 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2\n" +
        "Buffer I/O error on dev cblk0, logical block 0, async page read",
    );
  });

  it("a write that fails is lost", async () => {
    const { console: said } = await withDisk(
      { kind: "error", operation: "write", requests: 1 },
      "cat /dev/cblk0 > /tmp/a; cat /tmp/a > /dev/cblk0",
    );
    expect(said).toContain(
      "I/O error, dev cblk0, sector 0 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2\n" +
        "Buffer I/O error on dev cblk0, logical block 0, lost sync page write",
    );
  });

  it("a disk that does not answer is given up after thirty seconds", async () => {
    const { console: said, machine: own } = await withDisk({ kind: "timeout" }, "cat /dev/cblk0", 60e9);
    expect(own.time).toBeGreaterThan(30_000_000_000n);
    expect(said).toContain(
      "timeout error, dev cblk0, sector 0 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2\n",
    );
    const again = await own.exec("cat /dev/cblk0");
    expect(again.status).not.toBe(0);
    expect(own.consoleLog.at(-1)).toMatch(/Buffer I\/O error on dev cblk0|Input\/output error/);
  });

  it("wrong data comes without a word", async () => {
    const corrupt = await withDisk({ kind: "corrupt", bit: 9, requests: 1 }, "cat /dev/cblk0 > /tmp/a");
    expect((await corrupt.machine.exec("cat /tmp/a")).stdout).toBe(`AC${"A".repeat(510)}${"B".repeat(512)}`);
    const short = await withDisk({ kind: "short", requests: 1 }, "cat /dev/cblk0 > /tmp/a");
    expect((await short.machine.exec("cat /tmp/a")).stdout.slice(0, 513)).toBe(`${"A".repeat(512)}\0`);
    for (const { console: said, outcome } of [corrupt, short]) {
      expect(outcome).toBe("clean");
      expect(said).not.toContain("error");
    }
  });

  it("there may be none; and a snapshot is of a sound one", async () => {
    const { truth } = await machine.inject(faults.failDisk({ fault: { kind: "error" } }));
    expect(truth.change?.skipped).toBe("the machine has no disk");
    await expect(machine.inject(faults.failDisk({ fault: { kind: "error", requests: 0 } }))).rejects.toThrow(
      "requests as a whole number from 1",
    );
  });
});
