/** Debian's kernel crashes, its own second copy boots from the reservation, and /proc/vmcore comes out of it. */
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { SymbolTable, withKallsyms } from "../../bindings/symbols/index.ts";
import { type CommandContext, runCommand, Vmcore } from "../../bindings/vmcore/index.ts";
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

    // The machine panics, which ends what Machine offers for it; the core goes on.
    await machine.exec("echo c > /proc/sysrq-trigger").catch(() => undefined);
    const vmcore = join(folder, "vmcore");
    const file = openSync(vmcore, "w");
    let text = "";
    for (const end = machine.time + 6_000_000_000n; machine.time < end && !/dump done|dump:/.test(text); ) {
      const exit = machine.core.run(1_000_000);
      text += new TextDecoder("latin1").decode(machine.core.takeOutput(0));
      machine.core.takeOutput(1);
      writeSync(file, machine.core.takeDebugOutput());
      if (exit.kind === "triple-fault" || exit.kind === "halted") break;
    }
    closeSync(file);
    expect(text).toContain("dump done");
    expect([...machine.consoleLog, text].join("\n")).toMatch(/ elfcorehdr=0x\w+ nr_cpus=1 reset_devices/);

    execFileSync("makedumpfile", ["--dump-dmesg", vmcore, join(folder, "dmesg")]);
    const log = readFileSync(join(folder, "dmesg"), "latin1");
    expect(log).toContain("Kernel panic - not syncing: sysrq triggered crash");
    expect(log).not.toContain("elfcorehdr=");

    await using dump = await open(vmcore);
    const table = SymbolTable.fromElf(withKallsyms(stockKernel()));
    const program = await (await Vmcore.open(dump)).program(table);
    const context: CommandContext = {
      ...{ program, vmlinux: "vmlinux", vmcore: "vmcore", task: await program.crashedTask() },
      ...{ modules: new Map(), lines: async () => table },
    };
    const { text: backtrace } = await runCommand(context, "bt");
    expect(backtrace).toMatch(/COMMAND: "sh"/);
    // Deeper frames: docs/quirks.md.
    expect(backtrace).toMatch(/crash_save_cpu at .*\n.*__crash_kexec at /);
  });
});
