/** Functions that fail on purpose: fail_function, and failures of chosen tasks only. */
import { beforeAll, describe, expect, it } from "vitest";
import type { Machine } from "../../bindings/index.ts";
import { boot } from "./machines.ts";

const DIR = "/sys/kernel/debug/fail_function";
let ready: Machine;

beforeAll(async () => {
  ready = await boot();
  for (const setting of ["100 > probability", "-1 > times", "0 > verbose"])
    await ready.exec(`echo ${setting.replace("> ", `> ${DIR}/`)}`);
});

async function out(machine: Machine, command: string): Promise<string> {
  return (await machine.exec(`${command} 2>&1`)).stdout.trimEnd();
}

describe("fail_function", () => {
  it("lists what may fail", async () => {
    const list = (await out(ready, "cat /sys/kernel/debug/error_injection/list")).split("\n");
    expect(list).toContain("should_failslab\tTRUE");
    expect(list).toContain("__x64_sys_mkdir\tERRNO");
    expect(list.length).toBeGreaterThan(40);
  });

  it("returns the error that was asked for, as often as it was asked for", async () => {
    const machine = await ready.fork();
    await machine.exec(`echo __x64_sys_mkdir > ${DIR}/inject; echo 2 > ${DIR}/times`);
    expect(await out(machine, `cat ${DIR}/inject`)).toBe("__x64_sys_mkdir");
    expect(await out(machine, `cat ${DIR}/__x64_sys_mkdir/retval`)).toBe("ffffffffffffffea");
    await machine.exec(`echo -12 > ${DIR}/__x64_sys_mkdir/retval`);
    expect(await out(machine, "mkdir /tmp/a")).toMatch(/Cannot allocate memory/);
    await machine.exec(`echo -13 > ${DIR}/__x64_sys_mkdir/retval`);
    expect(await out(machine, "mkdir /tmp/a")).toMatch(/Permission denied/);
    expect(await out(machine, "mkdir /tmp/a && echo made")).toBe("made");
    expect(await out(machine, `cat ${DIR}/times`)).toBe("0");
  });

  it("reports with the trace of the call", async () => {
    const machine = await ready.fork();
    await machine.exec(`echo __x64_sys_mkdir > ${DIR}/inject; echo 2 > ${DIR}/verbose`);
    const from = machine.consoleLog.length;
    await machine.exec("mkdir /tmp/a");
    const log = machine.consoleLog.slice(from).map((line) => line.replace(/^.*?\[ *\d+\.\d+\] /, ""));
    expect(log.slice(0, 2)).toEqual([
      "FAULT_INJECTION: forcing a failure.",
      "name fail_function, interval 1, probability 100, space 0, times -1",
    ]);
    const frames = log.flatMap((line) => /^ ([\w.]+)\+0x/.exec(line)?.[1] ?? []);
    expect(frames).toContain("fei_breakpoint");
    expect(frames.slice(frames.indexOf("exc_int3"))).toEqual([
      "exc_int3",
      "asm_exc_int3",
      "do_syscall_64",
      "entry_SYSCALL_64_after_hwframe",
    ]);
    expect(log.find((line) => line.startsWith("RIP: 0010:"))).toMatch(/__x64_sys_mkdir\+0x1\/0x/);
  });

  it("lets the function be when it does not fail, and when it is taken back", async () => {
    const machine = await ready.fork();
    await machine.exec(`echo 0 > ${DIR}/probability; echo __x64_sys_mkdir > ${DIR}/inject`);
    expect(await out(machine, "mkdir /tmp/a && echo made")).toBe("made");
    await machine.exec(`echo 100 > ${DIR}/probability; echo '!__x64_sys_mkdir' > ${DIR}/inject`);
    expect(await out(machine, "mkdir /tmp/b && echo made")).toBe("made");
    expect(await out(machine, `cat ${DIR}/inject`)).toBe("");
    const address = machine.symbols.address("__x64_sys_mkdir") ?? 0n;
    expect(machine.core.readVirtual(address, 1)).toEqual(Uint8Array.of(0x90));
  });

  it("fails slab allocations through should_failslab", async () => {
    const machine = await ready.fork();
    await machine.exec(`echo 1 > ${DIR}/times; echo should_failslab > ${DIR}/inject`);
    await machine.exec("mkdir /tmp/a");
    expect(await out(machine, `cat ${DIR}/times`)).toBe("0");
  });

  it.each([
    ["what is not there", "no_such_function", /Invalid argument/],
    ["what may not fail", "panic", /./],
    ["what is not injected", "!panic", /No such file/],
  ])("refuses %s", async (_, name, message) => {
    const machine = await ready.fork();
    const result = await machine.exec(`echo '${name}' > ${DIR}/inject`);
    expect(result.status).not.toBe(0);
    expect(result.stdout).toMatch(message);
  });

  it("refuses return values that the function can't have", async () => {
    const machine = await ready.fork();
    await machine.exec(`echo __x64_sys_mkdir > ${DIR}/inject`);
    expect((await machine.exec(`echo 5 > ${DIR}/__x64_sys_mkdir/retval`)).status).not.toBe(0);
  });
});

describe("failures of one task", () => {
  it("task-filter and /proc/PID/make-it-fail: the task and its children", async () => {
    const machine = await ready.fork();
    await machine.exec(`echo Y > ${DIR}/task-filter; echo __x64_sys_mkdir > ${DIR}/inject`);
    expect(await out(machine, "mkdir /tmp/a && echo made")).toBe("made");
    await machine.exec("echo 1 > /proc/$$/make-it-fail");
    expect(await out(machine, "cat /proc/$$/make-it-fail")).toBe("1");
    expect(await out(machine, "mkdir /tmp/b || echo failed")).toContain("failed");
    await machine.exec("echo 0 > /proc/$$/make-it-fail");
    expect(await out(machine, "mkdir /tmp/b && echo made")).toBe("made");
    expect((await machine.exec("echo 2 > /proc/$$/make-it-fail")).status).not.toBe(0);
  });

  it("/proc/PID/fail-nth: exactly that call", async () => {
    const machine = await ready.fork();
    await machine.exec("echo N > /sys/kernel/debug/failslab/ignore-gfp-wait");
    const from = machine.consoleLog.length;
    await machine.exec(
      "echo 3 > /proc/$$/fail-nth; true; echo x > /tmp/x; echo y > /tmp/y; cat /proc/$$/fail-nth",
    );
    const log = machine.consoleLog.slice(from).join("\n");
    expect(log.match(/FAULT_INJECTION: forcing a failure\./g)).toHaveLength(1);
  });
});
