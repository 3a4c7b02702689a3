/** A KASAN report that ends in a dump: the crash kernel has KASAN too, with a shadow for the little memory it has. */
import { expect, it } from "vitest";
import { boot } from "../../bindings/index.ts";
import { kasanReports } from "./reports.ts";

const KEXEC =
  'kexec -p /boot/vmlinux --initrd=/boot/kdump.cpio --append="console=ttyS0 maxcpus=1 reset_devices panic=-1 kasan=on"';
const BAD_READ = "sh -c 'echo p user_read > /sys/kernel/debug/labcrash/trigger'";

it.each([
  ["kasan.fault=panic", "Kernel panic - not syncing: kasan.fault=panic set ..."],
  ["panic_on_warn", "Kernel panic - not syncing: KASAN: panic_on_warn set ..."],
])(
  "dumps after %s, by a crash kernel with KASAN",
  async (cmdline, message) => {
    const machine = await boot({
      kasan: { mode: "generic" },
      cmdline: `crashkernel=32M kdump=off ${cmdline}`,
    });
    expect((await machine.exec(KEXEC)).status).toBe(0);
    await machine.exec("insmod labcrash");
    await machine.exec(BAD_READ).catch(() => undefined);
    expect(kasanReports(machine.consoleLog).map(({ kind }) => kind)).toEqual(["user-memory-access"]);
    const vmcore = await machine.kdump.capture({ via: "crash-kernel" });
    expect(vmcore.size).toBeGreaterThan(1e6);
    const log = machine.consoleLog;
    const panicked = log.findIndex((line) => line.includes(message));
    expect(panicked).toBeGreaterThan(0);
    const second = log.slice(panicked).join("\n");
    expect(second).toContain("kasan=on");
    expect(second).toContain("KernelAddressSanitizer initialized");
    expect(second).not.toContain("BUG: KASAN");
  },
  60_000,
);

it("keeps no stacks with kasan.stacktrace=off", async () => {
  const machine = await boot({
    kasan: { mode: "generic" },
    cmdline: "kasan.stacktrace=off kasan_multi_shot",
  });
  await machine.exec("insmod kasan_stress");
  await machine.exec("echo bad 3 20 > /sys/kernel/debug/kasan_stress/run", { budget: 20e9 });
  const text = machine.consoleLog.join("\n");
  expect(text).toContain("BUG: KASAN: ");
  expect(text).not.toContain("Allocated by task");
  expect(text).not.toContain("Freed by task");
}, 60_000);
