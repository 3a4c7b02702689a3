/** Debian's kernel crashes, its own second copy boots from the reservation, and /proc/vmcore comes out of it. */
import { execFileSync } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { SymbolTable } from "../../bindings/symbols/index.ts";
import { type CommandContext, runCommand, Vmcore } from "../../bindings/vmcore/index.ts";
import { readSymbols } from "../../bindings/vmcore/vmlinux.ts";
import { pagesByMakedumpfile, pagesOf } from "../vmcore/bitmap.ts";
import { tidy } from "../vmcore/debuggers.ts";
import { bootStock, hasStock, stockInitramfs, stockKernel } from "./files.ts";
import { buildProgram } from "./program.ts";

const START = `#!/bin/sh
[ -e /proc/vmcore ] || exit 0
echo "dumping $(stat -c %s /proc/vmcore) bytes"
/bin/crashkernel dump /proc/vmcore && echo "dump done"
`;
const folder = mkdtempSync(join(tmpdir(), "crashlab-stock-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The kernel without the zeros at the end of its last segment, which the loader need not carry. */
function slim(vmlinux: Uint8Array): Uint8Array {
  const bytes = vmlinux.slice();
  const view = new DataView(bytes.buffer);
  const table = Number(view.getBigUint64(32, true));
  const count = view.getUint16(56, true);
  let last = 0;
  for (let index = 0; index < count; index++) {
    const header = table + index * 56;
    if (view.getUint32(header, true) !== 1) continue;
    const offset = Number(view.getBigUint64(header + 8, true));
    let end = offset + Number(view.getBigUint64(header + 32, true));
    while (end > offset && bytes[end - 1] === 0) end--;
    view.setBigUint64(header + 32, BigInt(end - offset), true);
    last = Math.max(last, end);
  }
  return bytes.slice(0, last);
}

/** The package's DWARF, 858 MB to fetch: `.ci/stock --debug` does. */
const DEBUG_KERNEL = new URL("../../build/stock/vmlinux.debug", import.meta.url).pathname;

describe.skipIf(!hasStock)("kdump of Debian's kernel", () => {
  it("boots the crash kernel, and the dump opens", { timeout: 900_000 }, async () => {
    const loader = await buildProgram("crashkernel");
    const second = { "bin/crashkernel": loader, start: START };
    await using machine = await bootStock({
      memory: "320M",
      cmdline: "crashkernel=96M",
      initrd: stockInitramfs({
        ...second,
        vmlinux: slim(stockKernel()),
        "initrd.cpio": stockInitramfs(second),
      }),
    });
    const words =
      "console=ttyS0 nokaslr acpi=off pci=off tsc=reliable reboot=t cryptomgr.notests mitigations=off";
    expect(await machine.exec(`crashkernel load /vmlinux /initrd.cpio "${words}"`)).toEqual({
      stdout: "",
      status: 0,
    });
    expect((await machine.exec("cat /sys/kernel/kexec_crash_loaded")).stdout).toBe("1\n");

    const { stdout: resident } = await machine.exec("grep Rss /proc/1/smaps_rollup");

    // Where the kernel leaves for the other, the host looks at its memory too.
    await machine.write("echo c > /proc/sysrq-trigger\n");
    await machine.runUntil({ place: "machine_kexec" });
    const captured = await machine.kdump.capture({ format: "elf" });
    const host = join(folder, "host");
    await captured.save(host);

    // Which pages a level leaves out: user pages, page cache and free ones, by another kernel's struct page.
    for (const dumpLevel of [2, 8, 31]) {
      const path = join(folder, "level");
      const packed = { format: "kdump-compressed", compression: "none" } as const;
      await (await machine.kdump.capture({ ...packed, dumpLevel })).save(path);
      expect(pagesOf(path)).toBe(pagesByMakedumpfile(host, dumpLevel));
    }

    const vmcore = join(folder, "vmcore");
    const file = openSync(vmcore, "w");
    const dumped = new AbortController();
    machine.on("debug", (bytes) => writeSync(file, bytes));
    machine.on("console", (line) => {
      if (/^dump done|crashkernel:/.test(line)) dumped.abort();
    });
    await machine.run(); // to the panic
    await machine.run({ budget: 6e9, signal: dumped.signal }).catch(() => undefined);
    closeSync(file);
    expect(machine.panic?.title).toBe("kernel panic: sysrq triggered crash");
    expect(machine.consoleLog.at(-1)).toBe("dump done");
    expect(machine.consoleLog.join("\n")).toMatch(/ elfcorehdr=0x\w+ nr_cpus=1 reset_devices/);

    execFileSync("makedumpfile", ["--dump-dmesg", vmcore, join(folder, "dmesg")]);
    const log = readFileSync(join(folder, "dmesg"), "latin1");
    expect(log).toContain("Kernel panic - not syncing: sysrq triggered crash");
    expect(log).not.toContain("elfcorehdr=");

    // What the kernel itself carries (kallsyms, BTF, ORC) is enough, and both dumps say the same.
    const table = await readSymbols(stockKernel());
    const [fromGuest, fromHost] = [await analyze(vmcore, table), await analyze(host, table)];
    expect(fromGuest.bt).toMatch(/^PID: \d+ +TASK: \w+ +CPU: 0 +COMMAND: "sh"\n #0 .*\] machine_kexec at /);
    expect(functions(fromGuest.bt)).toEqual([
      ...["machine_kexec", "__crash_kexec", "panic", "sysrq_handle_crash", "__handle_sysrq.cold"],
      ...["write_sysrq_trigger", "proc_reg_write", "vfs_write", "ksys_write", "do_syscall_64"],
      "entry_SYSCALL_64_after_hwframe",
    ]);
    // The host looked before machine_kexec() called anything.
    expect(functions(fromHost.bt)).toEqual(functions(fromGuest.bt).slice(1));
    expect(fromGuest.bt.slice(fromGuest.bt.indexOf("    RIP: "))).toBe(
      fromHost.bt.slice(fromHost.bt.indexOf("    RIP: ")),
    );
    for (const command of ["log", "ps", "sys", "bt 1"] as const) {
      expect(fromGuest[command]).toBe(fromHost[command]);
    }
    expect(fromGuest.sys).toMatch(
      / MEMORY: 319\.6 MB\n +PANIC: "Kernel panic - not syncing: sysrq triggered/,
    );
    // Pages that the kernel finds in the page tables; its counters lag behind them.
    const [, kibibytes] = /Rss: +(\d+) kB/.exec(resident) ?? [];
    expect(fromGuest.ps).toMatch(new RegExp(`^ +1 +0 +\\d+ .* ${kibibytes}  init$`, "m"));
    expect(fromGuest.problems).toEqual([]);
  });

  it.skipIf(!existsSync(DEBUG_KERNEL))(
    "opens in crash with Debian's debug symbols",
    { timeout: 300_000 },
    async () => {
      const vmcore = join(folder, "vmcore");
      const commands = ["bt", ...EQUAL];
      const input = `${commands.map((command) => `!echo @@\n${command}\n`).join("")}quit\n`;
      const text = execFileSync("crash", ["-s", DEBUG_KERNEL, vmcore], { input, encoding: "utf8" });
      const [bt = "", ...others] = text.split("@@\n").slice(1).map(tidy);
      expect(bt).toMatch(/^PID: \d+ +TASK: \w+ +CPU: 0 +COMMAND: "sh"\n #0 .*\] machine_kexec at /m);
      const ours = await analyze(vmcore, await readSymbols(stockKernel()));
      const frames = functions(ours.bt);
      // Behind do_syscall_64 crash shows what else lies on the stack.
      expect(frames.at(-2)).toBe("do_syscall_64");
      expect(functions(bt).slice(0, frames.length - 1)).toEqual(frames.slice(0, -1));
      for (const [index, command] of EQUAL.entries()) expect(tidy(ours[command])).toBe(others[index]);
    },
  );
});

/** What crash 8.0.2 answers to the letter as analyze does; to `ps` and `vm` it finds little in a kernel as new as this. */
const EQUAL = ["log", "files", "kmem -s"] as const;

type Analysis = Record<"bt" | "ps" | "sys" | "bt 1" | (typeof EQUAL)[number], string> & {
  readonly problems: readonly string[];
};

async function analyze(vmcore: string, table: SymbolTable): Promise<Analysis> {
  await using dump = await open(vmcore);
  const program = await (await Vmcore.open(dump)).program(table);
  const context: CommandContext = {
    ...{ program, vmlinux: "vmlinux", vmcore: "vmcore", task: await program.crashedTask() },
    ...{ modules: new Map(), lines: async () => table },
  };
  const text = async (command: string): Promise<string> => (await runCommand(context, command)).text;
  return {
    ...{ bt: await text("bt"), log: await text("log"), ps: await text("ps"), sys: await text("sys") },
    ...{ "bt 1": await text("bt 1"), files: await text("files"), "kmem -s": await text("kmem -s") },
    problems: program.problems,
  };
}

/** The functions of a trace, the innermost first. */
function functions(bt: string): (string | undefined)[] {
  return [...bt.matchAll(/^ *#\d+ \[\w+\] (\S+) at /gm)].map((match) => match[1]);
}
