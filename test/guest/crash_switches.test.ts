/** Switches of the crash path: notifiers that stop, keys on the serial line, reboot=, panic_print=, init that dies. */
import { beforeAll, describe, expect, it } from "vitest";
import {
  boot as bootMachine,
  CrashlabError,
  faults,
  type Machine,
  Notify,
  type PvpanicEvent,
} from "../../bindings/index.ts";
import { checkReport } from "../../bindings/report/index.ts";
import { boot } from "./machines.ts";
import { bare, END, run, runOn, stamped, TRIGGER } from "./saying.ts";

const OPTIONS = { cpus: 2, memory: "32M", cmdline: "rcupdate.rcu_cpu_stall_suppress=1" } as const;
let two: Machine;
/** The same for what cannot be in the grammar. */
let unwatched: Machine;
beforeAll(async () => {
  two = await boot(OPTIONS);
  unwatched = await bootMachine(OPTIONS);
  for (const machine of [two, unwatched]) await machine.exec("insmod labcrash");
});

describe("the die chain", () => {
  it("NOTIFY_STOP to an int3: nobody hears of it", async () => {
    const machine = await two.fork();
    const from = machine.consoleLog.length;
    expect((await machine.exec(`echo p int3_stop > ${TRIGGER}; echo alive`)).stdout).toBe("alive\n");
    expect(stamped(machine.consoleLog.slice(from))).toEqual([]);
    expect(await machine.sysctl.get("kernel.tainted")).toBe("12288");
  });

  it("NOTIFY_STOP to an oops: told in full, and nobody dies", async () => {
    const machine = await two.fork();
    const { lines, raw } = await run(machine, `echo p oops_stop > ${TRIGGER}; echo alive`);
    expect(checkReport(raw)).toEqual([]);
    expect(lines[0]).toBe("BUG: kernel NULL pointer dereference, address: 0000000000000008");
    expect(lines).toContain("---[ end trace 0000000000000000 ]---");
    expect(lines.join("\n")).not.toContain("note: ");
    expect(await machine.sysctl.get("kernel.tainted")).toBe("12416");
    expect((await machine.exec("cat /sys/kernel/oops_count")).stdout).toBe("0\n");
  });

  it("and in an interrupt neither", async () => {
    const machine = await two.fork();
    const { lines, raw } = await run(machine, `echo h oops_stop > ${TRIGGER}; echo alive`);
    expect(checkReport(raw)).toEqual([]);
    expect(lines.join("\n")).not.toContain("Kernel panic");
    expect((await machine.exec("echo alive")).stdout).toBe("alive\n");
  });
});

describe("the panic chain", () => {
  it.each([
    ["DONE", Notify.DONE, true],
    ["OK", Notify.OK, true],
    ["STOP", Notify.STOP, false],
    ["BAD", Notify.BAD, false],
  ] as const)("%s of the first: whether the others are called", async (_, result, goesOn) => {
    // Text of a chain that is not gone through cannot be in the grammar.
    const machine = await unwatched.fork();
    const order: string[] = [];
    const call = (name: string, answer: number) => (): never => {
      order.push(name);
      return answer as never;
    };
    await machine.panicNotifiers.register({ name: "low", priority: -1, call: call("low", Notify.DONE) });
    await machine.panicNotifiers.register({ name: "high", priority: 5, call: call("high", result) });
    const { lines } = await run(machine, `sh -c 'echo p panic > ${TRIGGER}'`);
    expect(order).toEqual(goesOn ? ["high", "low"] : ["high"]);
    // Linux's own subscriber has priority 0: between them.
    expect(lines.includes("Kernel Offset: disabled")).toBe(goesOn);
    expect(lines.at(-1)).toBe(END("lab panic: code 0x1234"));
  });
});

describe("pvpanic", () => {
  it("tells the machine of a panic, before it is all printed", async () => {
    const machine = await two.fork();
    const told: (PvpanicEvent & { readonly line: string | undefined })[] = [];
    machine.on("pvpanic", (event) => told.push({ ...event, line: machine.consoleLog.at(-1) }));
    await run(machine, `sh -c 'echo p panic > ${TRIGGER}'`);
    expect(told).toEqual([
      { panicked: true, crashLoaded: false, line: expect.stringMatching(/ {2}<\/TASK>$/) },
    ]);
  });
});

describe("keys behind a BREAK on the serial line", () => {
  it("h helps, w m q show, whatever runs", async () => {
    const machine = await two.fork();
    await machine.write("while true; do true; done\n");
    await machine.run({ budget: 1e6 });
    const said: { [key: string]: readonly string[] } = {};
    for (const key of ["h", "w", "m", "q"]) {
      await machine.sysrq(key);
      said[key] = (await run(machine, "", 20e6)).lines;
    }
    expect(said["h"]?.[0]).toMatch(
      /^sysrq: HELP : loglevel\(0-9\) reboot\(b\) crash\(c\) terminate-all-tasks\(e\) /,
    );
    expect(said["w"]?.[0]).toBe("sysrq: Show Blocked State");
    expect(said["m"]?.slice(0, 2)).toEqual(["sysrq: Show Memory", "Mem-Info:"]);
    expect(said["q"]?.slice(0, 3)).toEqual([
      "sysrq: Show clockevent devices & pending hrtimers (no others)",
      "Timer List Version: v0.9",
      "HRTIMER_MAX_CLOCK_BASES: 1",
    ]);
    expect(said["q"]).toContainEqual(expect.stringMatching(/^ #0: <\(____ptrval____\)>, watchdog_timer_fn$/));
  });

  it("c panics in the interrupt of the line", async () => {
    const machine = await two.fork();
    await machine.sysrq("c");
    const { lines, raw } = await run(machine, "");
    expect(checkReport(raw)).toEqual([]);
    expect(lines.slice(0, 2)).toEqual([
      "sysrq: Trigger a crash",
      "Kernel panic - not syncing: sysrq triggered crash",
    ]);
    const sure = lines.flatMap((line) => /^ ([a-z_]\w*)\+0x/.exec(line)?.[1] ?? []);
    expect(sure.slice(1, 7)).toEqual([
      ...["panic", "sysrq_handle_crash", "__handle_sysrq", "handle_sysrq", "receive", "serial8250_interrupt"],
    ]);
  });

  it("e ends every program but init, and init starts its shell again", async () => {
    const machine = await two.fork();
    await machine.exec("sleep 100 &");
    await machine.sysrq("e");
    const { lines } = await run(machine, "", 50e6);
    expect(lines[0]).toBe("sysrq: Terminate All Tasks");
    expect((await machine.exec("ps | grep -c sleep")).stdout).toBe("0\n");
  });

  it("not where sysrq is off, and not a key that comes too late", async () => {
    const machine = await two.fork();
    await machine.sysctl.set("kernel.sysrq", 0);
    await machine.sysrq("h");
    expect((await run(machine, "", 5e6)).lines).toEqual([]);
    await machine.sysctl.set("kernel.sysrq", 1);
    machine.core.sendBreak(0);
    await machine.run({ budget: 6e9 });
    expect((await run(machine, "h", 5e6)).lines).toEqual([]);
    await expect(machine.sysrq("hh")).rejects.toThrow("one printable character");
  });

  it("are inputs like others: replayed, the machine comes to the same state", async () => {
    const machine = await two.fork();
    const snapshot = machine.snapshot();
    machine.restore(snapshot);
    await machine.sysrq("w");
    await machine.run({ budget: 10e6 });
    const [inputs, time, hash] = [machine.inputs, machine.time, machine.stateHash()];
    expect(inputs.map(({ kind }) => kind)).toEqual(["serial-break", "serial"]);
    machine.restore(snapshot);
    machine.core.replay([...inputs], time);
    expect(machine.stateHash()).toBe(hash);
  });
});

describe("panic_print=", () => {
  it("4: timers, in the form of Linux's timer list; 8 and 10h: nothing, as without lockdep and tracing", async () => {
    const machine = await two.fork();
    await machine.exec("echo 0x1c > /proc/sys/kernel/panic_print");
    const { lines, raw } = await run(machine, `sh -c 'echo p panic > ${TRIGGER}'`);
    expect(checkReport(raw)).toEqual([]);
    const start = lines.indexOf("Kernel Offset: disabled");
    expect(lines.slice(start + 1, start + 5)).toEqual([
      "Timer List Version: v0.9",
      "HRTIMER_MAX_CLOCK_BASES: 1",
      expect.stringMatching(/^now at \d+ nsecs$/),
      "",
    ]);
    expect(lines.filter((line) => /^cpu: \d$/.test(line))).toEqual(["cpu: 0", "cpu: 1"]);
    expect(lines.at(-1)).toBe(END("lab panic: code 0x1234"));
  });
});

describe("reboot=", () => {
  const BIOS_MODE = 0x472n;
  it.each([
    ["t", "triple-fault", 0],
    ["k", "reset", 0],
    ["p", "reset", 0],
    ["warm,t", "triple-fault", 0x1234],
    ["cold,kbd", "reset", 0],
    ["w,pci", "reset", 0x1234],
    ["nothing", "reset", 0],
  ])("%s", async (value, kind, mode) => {
    const machine = await boot({ memory: "32M", cmdline: `reboot=${value} panic=-1` });
    const { exit } = await run(machine, "echo PANIC > /sys/kernel/debug/provoke-crash/DIRECT");
    expect(exit.kind).toBe(kind);
    const [low = 0, high = 0] = machine.core.readPhysical(BIOS_MODE, 2);
    expect(low | (high << 8)).toBe(mode);
  });

  it("waits a second for CPUs that do not stop, then sends NMIs; force does not wait", async () => {
    for (const [value, words] of [
      ["k", ["Shutting down cpus with NMI"]],
      ["force", []],
    ] as const) {
      const machine = await boot({ cpus: 2, memory: "32M", cmdline: `reboot=${value}` });
      await machine.write("reboot\n");
      await machine.runUntil({ place: "machine_restart" });
      machine.core.freeze(1 - machine.core.activeCpu, true);
      const begun = machine.time;
      const { lines, exit } = await run(machine, "", 3e9);
      expect(lines).toEqual(words);
      expect(exit.kind).toBe("reset");
      expect(machine.time - begun > 1_000_000_000n).toBe(words.length > 0);
    }
  });
});

describe("init that dies", () => {
  /** What the console says of a boot that does not come up. */
  async function dying(cmdline: string): Promise<string[]> {
    const log: string[] = [];
    const start = boot({ memory: "32M", cmdline, onConsole: (line) => log.push(line) });
    await expect(start).rejects.toBeInstanceOf(CrashlabError);
    return stamped(log);
  }

  it.each([
    [
      "of a signal",
      "rdinit=/bin/ucrash -- nullr",
      "0x0000000b",
      /^ucrash\[1\]: segfault at 0 ip [0-9a-f]{16} sp [0-9a-f]{16} error 4 in ucrash\[/,
    ],
    ["by leaving", "rdinit=/bin/ucrash -- nothing", "0x00000200", /^Run \/bin\/ucrash as init process$/],
  ])("%s", async (_, cmdline, code, before) => {
    const log = await dying(cmdline);
    expect(checkReport(log)).toEqual([]);
    const lines = log.map(bare);
    const at = lines.indexOf(`Kernel panic - not syncing: Attempted to kill init! exitcode=${code}`);
    expect(lines.slice(0, at)).toContainEqual(expect.stringMatching(before));
    expect(lines[at + 1]).toMatch(/^CPU: 0 PID: 1 Comm: ucrash Not tainted 5\.15\.0 #1 $/);
    expect(lines.slice(at)).toContainEqual(expect.stringMatching(/^ do_exit\+0x/));
  });

  it("is not there", async () => {
    const log = await dying("rdinit=/nothing");
    expect(checkReport(log)).toEqual([]);
    expect(log.map(bare)).toContainEqual(
      expect.stringMatching(/^Kernel panic - not syncing: Requested init \/nothing failed \(error -2\)\.$/),
    );
  });

  it("an oops in init is the end", async () => {
    const machine = await two.fork();
    const from = machine.consoleLog.length;
    // It has been waiting for its children; the first instruction in the kernel after one has ended goes nowhere.
    await machine.write("sh -c true; exit\n");
    await machine.runUntil({ place: "__x64_sys_wait4" });
    while (currentPid(machine) !== 1) await machine.runUntil({ place: "__x64_sys_fork" });
    machine.core.setRegister("rip", 0n);
    await runOn(machine, 100e6);
    const log = stamped(machine.consoleLog.slice(from));
    expect(checkReport(log)).toEqual([]);
    expect(log.map(bare).at(-1)).toBe(END("Attempted to kill init! exitcode=0x00000009"));
  });
});

/** Of the task that the running CPU is at. */
function currentPid(machine: Machine): number {
  const { core, symbols } = machine;
  const gs = core.registers().segments.gs.base;
  const task = new DataView(
    core.readVirtual(gs + (symbols.address("current_task") ?? 0n), 8).buffer,
  ).getBigUint64(0, true);
  const offset = BigInt(symbols.memberOffset("task_struct", "pid") ?? 0);
  return new DataView(core.readVirtual(task + offset, 4).buffer).getInt32(0, true);
}

describe("NMIs with a reason", () => {
  /** A machine whose port 61h has just been read, with these bits. */
  async function reading(reason: number): Promise<Machine> {
    const machine = await two.fork();
    machine.core.nmi(0);
    await machine.runUntil({ place: "default_do_nmi" });
    const start = machine.resolve("default_do_nmi");
    const code = machine.core.readVirtual(start, 200);
    // in $0x61,%al
    const at = code.findIndex((byte, index) => byte === 0xe4 && code[index + 1] === 0x61);
    expect(at).toBeGreaterThan(0);
    await machine.runUntil({ place: start + BigInt(at + 2) });
    machine.core.setRegister("rax", machine.core.registers().rax | BigInt(reason));
    return machine;
  }

  it("an I/O check is told with registers, and with panic_on_io_nmi the end", async () => {
    for (const panics of [false, true]) {
      const machine = await reading(0x40);
      const place = machine.symbols.address("panic_on_io_nmi") ?? 0n;
      if (panics) machine.core.writeVirtual(place, new Uint8Array([1, 0, 0, 0]));
      const { lines, raw } = await run(machine, "");
      expect(lines[0]).toMatch(/^NMI: IOCK error \(debug interrupt\?\) for reason [4-7][0-9a-f] on CPU 0\.$/);
      expect(lines[1]).toMatch(/^CPU: 0 PID: 0 Comm: swapper\/0 /);
      expect(lines.includes("Kernel panic - not syncing: NMI IOCK error: Not continuing")).toBe(panics);
      if (panics) {
        expect(checkReport(raw)).toEqual([]);
        expect(lines.at(-1)).toBe(END("NMI IOCK error: Not continuing"));
      }
    }
  });

  it("a system error is survived, but with panic_on_unrecovered_nmi", async () => {
    for (const panics of [false, true]) {
      const machine = await reading(0x80);
      const place = machine.symbols.address("panic_on_unrecovered_nmi") ?? 0n;
      if (panics) machine.core.writeVirtual(place, new Uint8Array([1, 0, 0, 0]));
      const { lines } = await run(machine, "");
      expect(lines[0]).toMatch(/^NMI: PCI system error \(SERR\) for reason [89a-f][0-9a-f] on CPU 0\.$/);
      expect(lines.at(-1)).toBe(
        panics ? END("NMI: Not continuing") : "Dazed and confused, but trying to continue",
      );
    }
  });
});

describe("page tables with reserved bits", () => {
  it("are corrupted page tables, which an oops tells of", async () => {
    // The program's code, which the report shows, lies behind the same tables: an oops inside the oops, and on to the
    // end of the stack. Linux's copy_code() comes to the same.
    const machine = await unwatched.fork();
    const when = { place: "exit_to_user_mode" };
    const fault = faults.flipPageTable({ place: 0x400000n, bit: 51, level: 2, when });
    const { console: log, truth } = await machine.inject(fault, { budget: 3e6 });
    expect(truth.change).toMatchObject({ kind: "page-table", level: 2, bit: 51 });
    const lines = stamped(log).map(bare);
    expect(lines.slice(0, 6)).toEqual([
      expect.stringMatching(/^sh: Corrupted page table at address [0-9a-f]+$/),
      expect.stringMatching(/^PGD [0-9a-f]+ P4D [0-9a-f]+ PUD [0-9a-f]+ PMD 8[0-9a-f]+ BAD$/),
      expect.stringMatching(/^Bad pagetable: 001d \[#1\] SMP NOPTI$/),
      expect.stringMatching(/^CPU: \d PID: \d+ Comm: sh /),
      expect.stringMatching(/^Hardware name: /),
      expect.stringMatching(/^RIP: 0033:0x[0-9a-f]+$/),
    ]);
    const second = lines.indexOf(lines[0] ?? "", 6) < 0 ? 6 : lines.indexOf(lines[0] ?? "", 6);
    expect(lines[second]).toMatch(/^sh: Corrupted page table at address [0-9a-f]+$/);
    expect(lines[second + 2]).toBe("Bad pagetable: 0009 [#2] SMP NOPTI");
    expect(checkReport(log.slice(0, 60), { broken: true }).filter(({ found }) => found !== "")).toEqual([]);
  });
});

describe("a lock that nobody lets go of", () => {
  it("does not keep a panic from being told", async () => {
    const machine = await two.fork();
    await machine.write(`sh -c 'echo p panic > ${TRIGGER}'\n`);
    await machine.runUntil({ place: "panic" });
    const cpu = machine.core.activeCpu;
    // The other CPU has the log's lock for ever.
    const lock = machine.symbols.address("logbuf_lock") ?? 0n;
    machine.core.writeVirtual(lock, new Uint8Array([1, 0, 0, 0]));
    machine.core.freeze(1 - cpu, true);
    const { lines } = await run(machine, "", 4e9);
    expect(lines).toContain("Kernel panic - not syncing: lab panic: code 0x1234");
    expect(lines).toContain("Shutting down cpus with NMI");
    expect(lines.at(-1)).toBe(END("lab panic: code 0x1234"));
  });
});
