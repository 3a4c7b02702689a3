/** What panics say and do: parameters, several CPUs, panics and oopses inside each other and in NMIs, restarts. */
import { beforeAll, describe, expect, it } from "vitest";
import { boot as bootMachine, faults, type Machine } from "../../bindings/index.ts";
import { checkReport } from "../../bindings/report/index.ts";
import { boot } from "./machines.ts";
import { bare, END, run, runOn, type Said, stamped, TRIGGER } from "./saying.ts";

const OPTIONS = { cpus: 2, memory: "32M", cmdline: "rcupdate.rcu_cpu_stall_suppress=1" } as const;
let two: Machine;
beforeAll(async () => {
  two = await boot(OPTIONS);
  await two.exec("insmod labcrash");
});

/** In a fork, behind settings of /proc/sys/kernel. */
async function panicking(
  kind: string,
  settings: { readonly [name: string]: number | string } = {},
  context = "p",
  budget?: number,
): Promise<Said> {
  const machine = await two.fork();
  for (const [name, value] of Object.entries(settings))
    await machine.exec(`echo ${value} > /proc/sys/kernel/${name}`);
  return run(machine, `sh -c 'echo ${context} ${kind} > ${TRIGGER}'`, budget);
}

describe("kernel.panic", () => {
  it("0 stays, with the line that says so", async () => {
    const { lines, exit, raw } = await panicking("panic");
    expect(checkReport(raw)).toEqual([]);
    expect(lines.slice(-2)).toEqual(["Kernel Offset: disabled", END("lab panic: code 0x1234")]);
    expect(exit.kind).toBe("halted");
  });

  it("3 restarts after three seconds, without it", async () => {
    const { lines, exit, raw, machine } = await panicking("panic", { panic: 3 }, "p", 4e9);
    expect(checkReport(raw)).toEqual([]);
    expect(lines.slice(-2)).toEqual(["Kernel Offset: disabled", "Rebooting in 3 seconds.."]);
    expect(exit.kind).toBe("reset");
    expect(machine.time).toBeGreaterThan(3_000_000_000n);
    expect(machine.time).toBeLessThan(3_200_000_000n);
  });

  it("-1 restarts at once", async () => {
    const { lines, exit, raw, machine } = await panicking("null_read", { panic: -1, panic_on_oops: 1 });
    expect(checkReport(raw)).toEqual([]);
    expect(lines.slice(-2)).toEqual([
      "Kernel panic - not syncing: Fatal exception",
      "Kernel Offset: disabled",
    ]);
    expect(exit.kind).toBe("reset");
    expect(machine.time).toBeLessThan(100_000_000n);
  });

  it("reboot=t restarts by a triple fault", async () => {
    const machine = await boot({ memory: "32M", cmdline: "reboot=t panic=-1 oops=panic" });
    const { lines, exit, raw } = await run(machine, "echo BUG > /sys/kernel/debug/provoke-crash/DIRECT");
    expect(checkReport(raw)).toEqual([]);
    expect(lines.at(-2)).toBe("Kernel panic - not syncing: Fatal exception");
    expect(exit.kind).toBe("triple-fault");
  });
});

describe("what makes a panic of less", () => {
  it("panic_on_oops: no second trace", async () => {
    const { lines, raw } = await panicking("null_write", { panic_on_oops: 1 });
    expect(checkReport(raw)).toEqual([]);
    expect(lines.filter((line) => line === "Call Trace:")).toHaveLength(1);
    expect(lines.slice(-3)).toEqual([
      "Kernel panic - not syncing: Fatal exception",
      "Kernel Offset: disabled",
      END("Fatal exception"),
    ]);
  });

  it("panic_on_warn: the warning without its end mark, then a panic with a trace of its own", async () => {
    const { lines, raw } = await panicking("warn", { panic_on_warn: 1 });
    expect(checkReport(raw)).toEqual([]);
    expect(lines).not.toContain("---[ end trace 0000000000000000 ]---");
    const panic = lines.indexOf("Kernel panic - not syncing: kernel: panic_on_warn set ...");
    // Taint W comes behind the warning: not yet.
    expect(lines[panic + 1]).toMatch(/^CPU: \d PID: \d+ Comm: sh Tainted: G {11}OE {6}5\.15\.0 #1 $/);
    expect(lines.slice(panic).filter((line) => /^ (?:panic|__warn|report_bug)\+0x/.test(line))).toHaveLength(
      3,
    );
    expect(lines.at(-1)).toBe(END("kernel: panic_on_warn set ..."));
  });

  it("panic_on_taint", async () => {
    const machine = await boot({ memory: "32M", cmdline: "panic_on_taint=0x200" });
    const { lines } = await run(machine, "echo WARNING > /sys/kernel/debug/provoke-crash/DIRECT");
    expect(lines.at(-1)).toBe(END("panic_on_taint set ..."));
  });
});

describe("non-maskable", () => {
  it("an NMI that nobody knows is told of", async () => {
    const machine = await two.fork();
    const { console: log } = await machine.inject(faults.nmi({ cpu: 1 }));
    expect(checkReport(stamped(log))).toEqual([]);
    expect(log.map(bare)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^Uhhuh\. NMI received for unknown reason [0-9a-f]{2} on CPU 1\.$/),
        "Dazed and confused, but trying to continue",
      ]),
    );
  });

  it("and with unknown_nmi_panic is the end", async () => {
    const machine = await two.fork();
    await machine.exec("echo 1 > /proc/sys/kernel/unknown_nmi_panic");
    const { console: log, truth } = await machine.inject(faults.nmi({ cpu: 0 }));
    const lines = log.map(bare);
    expect(truth.outcome).toBe("panic");
    expect(checkReport(stamped(log))).toEqual([]);
    expect(lines).not.toContain("Dazed and confused, but trying to continue");
    expect(lines).toContain("Kernel panic - not syncing: NMI: Not continuing");
    expect(lines).toContain(" <NMI>");
    expect(lines.at(-1)).toBe(END("NMI: Not continuing"));
  });

  it("an oops in an NMI is fatal", async () => {
    const machine = await two.fork();
    machine.core.nmi(0);
    await machine.runUntil({ place: "unknown_nmi_error" });
    machine.core.setRegister("rip", 0n);
    const from = machine.consoleLog.length;
    const exit = await runOn(machine, 100e6);
    const lines = machine.consoleLog.slice(from).map(bare);
    expect(lines[0]).toBe("BUG: kernel NULL pointer dereference, address: 0000000000000000");
    expect(lines).toContain(" <NMI>");
    expect(lines).toContain(" </NMI>");
    expect(lines.at(-1)).toBe(END("Fatal exception in interrupt"));
    expect(exit.kind).toBe("halted");
  });

  it("a machine check whose context is lost", async () => {
    const machine = await two.fork();
    const { console: log, truth } = await machine.inject(faults.machineCheck({ cpu: 0 }));
    const lines = log.map(bare);
    expect(truth.outcome).toBe("panic");
    expect(checkReport(stamped(log))).toEqual([]);
    const start = lines.findIndex((line) => line.startsWith("mce: "));
    expect(lines.slice(start, start + 8)).toEqual([
      "mce: [Hardware Error]: CPU 0: Machine Check Exception: 4 Bank 0: be00000000000135",
      expect.stringMatching(
        /^mce: \[Hardware Error\]: TSC [0-9a-f]+ (?:ADDR [0-9a-f]+ )?(?:MISC [0-9a-f]+ )?$/,
      ),
      expect.stringMatching(
        /^mce: \[Hardware Error\]: PROCESSOR 0:[0-9a-f]+ TIME \d+ SOCKET 0 APIC 0 microcode 0$/,
      ),
      "mce: [Hardware Error]: Run the above through 'mcelog --ascii'",
      "Disabling lock debugging due to kernel taint",
      "mce: [Hardware Error]: Machine check: Processor context corrupt",
      "Kernel panic - not syncing: Fatal machine check",
      expect.stringMatching(/^CPU: 0 PID: \d+ Comm: \S+ Tainted: G {3}M {7}OE {6}5\.15\.0 #1 $/),
    ]);
    expect(lines).toContain(" <#MC>");
    expect(lines.at(-1)).toBe("Rebooting in 30 seconds..");
  });
});

describe("several CPUs", () => {
  it("of two panics at once one is told", async () => {
    const machine = await two.fork();
    const write = `sh -c 'echo p panic > ${TRIGGER}'`;
    const { lines, exit, raw } = await run(machine, `${write} & ${write}`);
    expect(checkReport(raw)).toEqual([]);
    expect(lines.filter((line) => line.startsWith("Kernel panic"))).toHaveLength(1);
    expect(lines.at(-1)).toBe(END("lab panic: code 0x1234"));
    expect(exit.kind).toBe("halted");
  });
});

/** For text that cannot be in the grammar. */
async function ready(): Promise<Machine> {
  const machine = await bootMachine(OPTIONS);
  await machine.exec("insmod labcrash");
  return machine;
}

/** Lines of one report stand inside another: what each CPU says must be in the grammar. */
describe("among each other", () => {
  it("of two oopses at once the second waits for the first", async () => {
    const machine = await ready();
    const from = machine.consoleLog.length;
    /** Which CPU said each line. */
    const cpus: number[] = [];
    using _emit = machine.breakpoint("emit", () => cpus.push(machine.core.activeCpu));
    await machine.write(`sh -c 'echo p null_read > ${TRIGGER}'\n`);
    // The first stands still in its report until the other, thrown out of its idle loop, has come to the lock.
    await machine.runUntil({ place: "print_modules" });
    const first = machine.core.activeCpu;
    machine.core.freeze(first, true);
    machine.core.setRegister("rip", 0n, 1 - first);
    await machine.runUntil({ place: "native_queued_spin_lock_slowpath" });
    expect(machine.core.activeCpu).toBe(1 - first);
    machine.core.freeze(first, false);
    await runOn(machine, 20e6);
    const log = machine.consoleLog.slice(from);
    const lines = stamped(log);
    const places = (start: string): number[] =>
      lines.flatMap((line, index) => (bare(line).startsWith(start) ? [index] : []));
    const [begun, again] = places("BUG: kernel NULL pointer dereference");
    // What comes behind the lock, the end mark and the registers once more, goes among the other's lines, as in Linux.
    const [cr2] = lines.flatMap((line, index) => (/^CR2: [0-9a-f]{16}$/.test(bare(line)) ? [index] : []));
    expect(begun).toBeLessThan(cr2 ?? 0);
    expect(again).toBeGreaterThan(cr2 ?? 0);
    expect(lines).toHaveLength(cpus.length);
    for (const cpu of [first, 1 - first])
      expect(checkReport(lines.filter((_, index) => cpus[index] === cpu))).toEqual([]);
    expect(places("Oops: ").map((index) => bare(lines[index] ?? ""))).toEqual([
      "Oops: 0000 [#1] SMP NOPTI",
      "Oops: 0010 [#2] SMP NOPTI",
    ]);
    expect(bare(lines.at(-1) ?? "")).toBe(END("Attempted to kill the idle task!"));
  });

  it("an oops inside an oops has the lock already", async () => {
    const machine = await ready();
    await machine.write(`sh -c 'echo p null_read > ${TRIGGER}'\n`);
    await machine.runUntil({ place: "print_modules" });
    machine.core.setRegister("rip", 0n);
    await machine.run({ budget: 100e6 });
    expect(checkReport(stamped(machine.consoleLog), { broken: true })).toEqual([]);
    const lines = machine.consoleLog.map(bare);
    const [outer, inner] = ["[#1]", "[#2]"].map((count) =>
      lines.findIndex((line) => line.startsWith("Oops: ") && line.includes(count)),
    );
    expect(outer).toBeGreaterThan(0);
    expect(inner).toBeGreaterThan(outer ?? 0);
    // The summary is of the first: an oops that follows is a consequence.
    const end = lines.indexOf("---[ end trace 0000000000000000 ]---");
    expect(lines[end + 1]).toMatch(/^RIP: 0010:lab_null_read\+0x/);
    expect(lines.slice(end)).toContainEqual(
      expect.stringMatching(/^note: sh\[\d+\] exited with irqs disabled$/),
    );
    expect((await machine.exec("echo alive")).stdout).toBe("alive\n");
  });

  it("a panic inside a panic goes on with the new one", async () => {
    const machine = await ready();
    await machine.write(`sh -c 'echo p panic > ${TRIGGER}'\n`);
    await machine.runUntil({ place: "kmsg_dump" });
    machine.core.setRegister("rdi", machine.resolve("linux_banner"));
    machine.core.setRegister("rip", machine.resolve("panic"));
    const exit = await runOn(machine, 100e6);
    expect(checkReport(stamped(machine.consoleLog), { broken: true })).toEqual([]);
    const lines = machine.consoleLog.map(bare);
    const panics = lines.filter((line) => line.startsWith("Kernel panic - not syncing: "));
    expect(panics).toEqual([
      "Kernel panic - not syncing: lab panic: code 0x1234",
      expect.stringMatching(/^Kernel panic - not syncing: Linux version 5\.15\.0 /),
    ]);
    expect(lines.at(-1)).toMatch(/^---\[ end Kernel panic - not syncing: Linux version 5\.15\.0 .* \]---$/);
    expect(exit.kind).toBe("halted");
  });
});

describe("panic_print", () => {
  it("1 tasks, 2 memory, 40h CPUs, 20h the log once more", async () => {
    const machine = await ready();
    await machine.exec("echo 0x63 > /proc/sys/kernel/panic_print");
    const { lines } = await run(machine, `sh -c 'echo p panic > ${TRIGGER}'`, 500e6);
    expect(lines).toContainEqual(expect.stringMatching(/^task:init {12}state:S /));
    expect(lines).toContain("Mem-Info:");
    expect(
      lines.filter((line) => line === "Kernel panic - not syncing: lab panic: code 0x1234"),
    ).toHaveLength(2);
    expect(lines.filter((line) => line.startsWith("Linux version 5.15.0 "))).toHaveLength(1);
    expect(lines.at(-1)).toBe(END("lab panic: code 0x1234"));
  });
});
