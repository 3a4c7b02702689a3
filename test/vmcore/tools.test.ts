/** The vmcore of a panic in the real tools: crash, makedumpfile, gdb. They must be installed. */
import { execFileSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Crashed, crashMachine, VMLINUX } from "../machine/crashed.ts";

let crashed: Crashed;
beforeAll(async () => {
  crashed = await crashMachine();
});
afterAll(() => crashed.remove());

/** Runs commands in crash; gives what each printed. */
function crash(vmcore: string, commands: readonly string[]): string[] {
  const script = join(crashed.folder, "commands");
  writeFileSync(script, `${commands.map((command) => `!echo @@\n${command}`).join("\n")}\nq\n`);
  const arguments_ = ["-s", "-i", script, VMLINUX, vmcore];
  const output = execFileSync("crash", arguments_, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  return output.split("@@\n").slice(1);
}

const FRAMES = ["vfs_read", "ksys_read", "__x64_sys_read", "do_syscall_64", "entry_SYSCALL_64_after_hwframe"];

describe("crash", () => {
  test("sys: release, CPUs, memory, and that it panicked", () => {
    const [sys = ""] = crash(crashed.vmcore, ["sys"]);
    expect(sys).toMatch(/RELEASE: 5\.15\.0/);
    expect(sys).toMatch(/CPUS: 1\n/);
    expect(sys).toMatch(/PANIC: "Oops: 0002 \[#1\] SMP NOPTI"/);
  });

  test("bt: the exception with our registers, and the trace that the kernel printed", () => {
    const [bt = ""] = crash(crashed.vmcore, ["bt"]);
    expect(bt).toContain('COMMAND: "mydriver"');
    const { rip, registers } = crashed.crash.report;
    expect(bt).toContain(`[exception RIP: my_driver_read+${rip?.offset}]`);
    const value = (name: string): string | undefined => registers[name]?.toString(16).padStart(16, "0");
    expect(bt).toContain(`RAX: ${value("rax")}  RBX: ${value("rbx")}  RCX: ${value("rcx")}`);
    const after = bt.slice(bt.indexOf("[exception RIP"));
    expect([...after.matchAll(/#\d+ \[\w+\] (\w+) at/g)].map(([, name]) => name)).toEqual(FRAMES);
    const sure = crashed.crash.report.trace.filter((frame) => frame.reliable);
    expect(sure.map((frame) => frame.symbol)).toEqual(FRAMES);
  });

  test("log: every line of the console", () => {
    const [log = ""] = crash(crashed.vmcore, ["log"]);
    // The shell's prompt may stand before a line.
    const printed = crashed.machine.consoleLog.flatMap((line) => /\[ +\d+\.\d{6}\] .*/.exec(line) ?? []);
    expect(log.trimEnd().split("\n")).toEqual(printed);
  });

  test("ps, mod and vm: the tasks, the module, the memory of the crashed process", () => {
    const [ps = "", mod = "", vm = ""] = crash(crashed.vmcore, ["ps", "mod", "vm"]);
    expect(ps).toMatch(/> +\d+ +\d+ +0 +\w+ +RU .* mydriver\n/);
    expect(ps).toMatch(/ init\n/);
    expect(mod).toMatch(/mydriver +ffffffffa0000000/);
    expect(vm).toContain("/bin/mydriver");
  });
});

describe("makedumpfile", () => {
  test("--dump-dmesg finds the log by VMCOREINFO alone", () => {
    const text = join(crashed.folder, "dmesg");
    execFileSync("makedumpfile", ["--dump-dmesg", crashed.vmcore, text], { stdio: "pipe" });
    expect(readFileSync(text, "utf8")).toContain("RIP: 0010:my_driver_read+");
  });

  test("-l -d 31 leaves what crash still opens", () => {
    const reduced = join(crashed.folder, "reduced");
    execFileSync("makedumpfile", ["-l", "-d", "31", crashed.vmcore, reduced], { stdio: "pipe" });
    expect(statSync(reduced).size).toBeLessThan(statSync(crashed.vmcore).size / 20);
    const [bt = ""] = crash(reduced, ["bt"]);
    expect(bt).toContain("[exception RIP: my_driver_read+");
  });
});

test("drgn finds the crashed thread, its trace and the log", () => {
  const script = join(crashed.folder, "script.py");
  writeFileSync(
    script,
    `import drgn
from drgn.helpers.linux import get_dmesg
prog = drgn.Program()
prog.set_core_dump("${crashed.vmcore}")
prog.load_debug_info(["${VMLINUX}"])
thread = prog.crashed_thread()
print(thread.object.comm.string_().decode())
print(thread.stack_trace())
print(get_dmesg(prog).decode())
`,
  );
  const output = execFileSync("/usr/bin/python3", [script], { encoding: "utf8" });
  expect(output.split("\n")[0]).toBe("mydriver");
  expect(output).toContain("asm_exc_page_fault");
  expect(output).toContain("Kernel panic - not syncing: Fatal exception");
});

test("gdb has the registers that the kernel saved: inside panic()", () => {
  const commands = ["-ex", "info registers rip", "-ex", "info threads"];
  const output = execFileSync("gdb", ["-batch", "-nx", ...commands, VMLINUX, crashed.vmcore], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  expect(output).toMatch(/rip +0x[0-9a-f]+ +0x[0-9a-f]+ <panic\+\d+>/);
  expect(output).toContain(`LWP ${crashed.crash.report.pid}`);
});
