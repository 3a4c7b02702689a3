/** kdump from end to end: a crash kernel boots in its reserved memory and writes the first one's memory out. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { boot, type Crash, type CrashlabError, faults, type Machine, Notify } from "../../bindings/index.ts";
import { type CrashKernelOptions, Vmcore } from "../../bindings/vmcore/index.ts";
import { VMLINUX } from "../machine/crashed.ts";
import { pagesByMakedumpfile, pagesOf } from "../vmcore/bitmap.ts";

const RESERVED = 32 << 20;
let machine: Machine;
let crash: Crash;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "crashlab-kdump-"));
  machine = await boot({ cmdline: "crashkernel=32M panic_on_oops=1" });
  expect((await machine.exec("cat /sys/kernel/kexec_crash_loaded /sys/kernel/kexec_crash_size")).stdout).toBe(
    `1\n${RESERVED}\n`,
  );
  crash = await machine.inject(faults.nullDereference());
});
afterAll(() => rmSync(folder, { recursive: true }));

function inCrash(vmcore: string, command: string): string {
  const script = join(folder, "commands");
  writeFileSync(script, `${command}\nq\n`);
  return execFileSync("crash", ["-s", "-i", script, VMLINUX, vmcore], { encoding: "utf8", stdio: "pipe" });
}

/** A fork of the machine that has just jumped into its crash kernel, and where its dump is kept. */
async function dump(name: string, options: CrashKernelOptions): Promise<{ path: string; child: Machine }> {
  const child = await machine.fork();
  const vmcore = await child.kdump.capture({ via: "crash-kernel", ...options });
  const path = join(folder, name);
  await vmcore.save(path);
  expect(statSync(path).size).toBe(vmcore.size);
  return { path, child };
}

test("the report ends where the next kernel begins", () => {
  expect(crash.report.title).toBe("BUG: unable to handle kernel NULL pointer dereference in my_driver_read");
  expect(crash.console.some((line) => line.includes("Kernel panic"))).toBe(false);
});

describe("what the crash kernel writes opens in crash", () => {
  test.each([
    ["zlib", { compression: "zlib", dumpLevel: 31 }],
    ["zstd", { compression: "zstd", dumpLevel: 31 }],
    ["elf", { format: "elf", dumpLevel: 31 }],
    ["plain", { compression: "none", dumpLevel: 0 }],
  ] as const)("%s", async (name, options) => {
    const { path } = await dump(name, options);
    const bt = inCrash(path, "bt");
    expect(bt).toContain(`[exception RIP: my_driver_read+${crash.report.rip?.offset}]`);
    expect(bt).toMatch(/#0 \[\w+\] (machine_kexec|crash_kexec|__crash_kexec) at/);
    expect(bt).toContain("entry_SYSCALL_64_after_hwframe");
    expect(inCrash(path, "log")).toContain("RIP: 0010:my_driver_read+");
    expect(inCrash(path, "ps")).toMatch(/> .* mydriver\n/);
  });

  test("flattened, put in place by makedumpfile -R", async () => {
    const { path } = await dump("flat", { flattened: true });
    const rearranged = join(folder, "rearranged");
    execFileSync("makedumpfile", ["-R", rearranged], { input: readFileSync(path), stdio: "pipe" });
    expect(inCrash(rearranged, "bt")).toContain("[exception RIP: my_driver_read+");
  });
});

test("split into three files, put together by makedumpfile --reassemble", async () => {
  const child = await machine.fork();
  const parts = await child.kdump.capture({ via: "crash-kernel", split: 3, compression: "zstd" });
  expect(parts).toHaveLength(3);
  const names = parts.map((_, index) => join(folder, `part${index}`));
  for (const [index, part] of parts.entries()) {
    await part.save(names[index] ?? "");
    expect(statSync(names[index] ?? "").size).toBeGreaterThan(100_000);
  }
  await expect(Vmcore.open(readFileSync(names[1] ?? ""))).rejects.toThrow(/--reassemble/);
  const whole = join(folder, "reassembled");
  execFileSync("makedumpfile", ["--reassemble", ...names, whole], { stdio: "pipe" });
  const { path } = await dump("one", { compression: "zstd" });
  expect(pagesOf(whole)).toBe(pagesOf(path));
  for (const command of ["bt", "ps", "kmem -s"]) expect(inCrash(whole, command)).toBe(inCrash(path, command));
});

test.each([
  { split: 1 },
  { split: 9 },
  { split: 2.5 },
  { split: 2, format: "elf" },
  { split: 2, flattened: true },
] as const)("refuses %j", async (options) => {
  await expect(machine.kdump.capture({ via: "crash-kernel", ...options })).rejects.toMatchObject({
    code: "bad-option",
  });
});

test("the crash kernel is told to keep to one CPU, and where the headers of the old memory are", async () => {
  const { child } = await dump("words", {});
  // The fork's console begins where the crash kernel had begun already.
  const lines = [...machine.consoleLog, ...child.consoleLog];
  const line = lines.findLast((each) => each.includes("Kernel command line: "));
  expect(line).toMatch(/ maxcpus=1 .* elfcorehdr=0x[0-9a-f]+$/);
});

test("memory is dumped as it was at the jump, every byte of it", async () => {
  const { path, child } = await dump("whole", { format: "elf", dumpLevel: 0 });
  const file = readFileSync(path);
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const headers = Array.from({ length: view.getUint16(56, true) }, (_, index) => 64 + 56 * index);
  let compared = 0;
  let different = 0;
  for (const at of headers) {
    if (view.getUint32(at, true) !== 1) continue;
    const offset = Number(view.getBigUint64(at + 8, true));
    const physical = view.getBigUint64(at + 24, true);
    const length = Number(view.getBigUint64(at + 32, true));
    // `machine` still stands where the crash kernel had just begun.
    const then = machine.core.readPhysical(physical, length);
    const now = child.core.readPhysical(physical, length);
    const dumped = file.subarray(offset, offset + length);
    if (Buffer.compare(dumped, then) !== 0 || Buffer.compare(dumped, now) !== 0) different++;
    compared += length;
  }
  expect(different).toBe(0);
  // All memory but the reservation, and the kernel's image a second time.
  expect(compared).toBeGreaterThan((128 << 20) - RESERVED - (2 << 20));
});

test.each([8, 16, 31])(
  "at -d %i the guest's makedumpfile keeps the pages that Debian's does",
  async (dumpLevel) => {
    const whole = join(folder, "whole");
    if (!existsSync(whole)) await dump("whole", { format: "elf", dumpLevel: 0 });
    const { path } = await dump(`level${dumpLevel}`, { compression: "none", dumpLevel });
    expect(pagesOf(path)).toBe(pagesByMakedumpfile(whole, dumpLevel));
  },
);

test("both ways of capturing give the same backtrace", async () => {
  const child = await machine.fork();
  const host = join(folder, "host");
  await (await child.kdump.capture()).save(host);
  const frames = (bt: string): string[] =>
    [...bt.matchAll(/#\d+ \[\w+\] (\w+) at/g)].map(([, name = ""]) => name);
  const { path } = await dump("same", {});
  expect(frames(inCrash(host, "bt"))).toEqual(frames(inCrash(path, "bt")));
});

describe("what goes wrong has an end", () => {
  const failure = async (child: Machine): Promise<CrashlabError> =>
    child.kdump.capture({ via: "crash-kernel", budget: 10e9 }).then(
      () => expect.unreachable(),
      (error: CrashlabError) => error,
    );
  const byHost = async (child: Machine, name: string): Promise<string> => {
    await (await child.kdump.capture()).save(join(folder, name));
    return inCrash(join(folder, name), "bt");
  };

  /** Each megabyte of memory outside of what is set aside at the end for the crash kernel, by its digest. */
  const outside = (child: Machine, from: number): string[] =>
    Array.from({ length: from >> 20 }, (_, index) =>
      createHash("sha1")
        .update(child.core.readPhysical(BigInt(index << 20), 1 << 20))
        .digest("hex"),
    );

  /** A machine about to crash whose crash kernel was loaded with other words. */
  const prepared = async (append: string): Promise<Machine> => {
    const child = await boot({ cmdline: "crashkernel=32M panic_on_oops=1 kdump=off" });
    const { status } = await child.exec(
      `kexec -p /boot/vmlinux --initrd=/boot/kdump.cpio --append="${append}"`,
    );
    expect(status).toBe(0);
    return child;
  };

  test("a damaged image is not entered", async () => {
    const child = await boot({ cmdline: "crashkernel=32M panic_on_oops=1" });
    const start = BigInt((128 << 20) - RESERVED - (2 << 20));
    const byte = child.core.readPhysical(start + 0x2000n, 1);
    child.core.writePhysical(start + 0x2000n, Uint8Array.of((byte[0] ?? 0) ^ 1));
    await child.inject(faults.nullDereference()).catch(() => undefined);
    const error = await failure(child);
    expect(error.code).toBe("machine-stopped");
    expect(child.consoleLog.at(-1)).toBe(
      "purgatory: sha256 digests do not match: the loaded kernel has been damaged",
    );
    expect(await byHost(child, "damaged")).toContain("[exception RIP: my_driver_read+");
  });

  test("a crash kernel that panics itself", async () => {
    const child = await prepared("console=ttyS0 maxcpus=1 panic=-1 rdinit=/nonexistent");
    await child.inject(faults.nullDereference());
    const error = await failure(child);
    expect(error.code).toBe("machine-stopped");
    expect(
      child.consoleLog.some((line) =>
        line.includes("Kernel panic - not syncing: Requested init /nonexistent failed"),
      ),
    ).toBe(true);
    expect(await byHost(child, "panicked")).toContain("[exception RIP: my_driver_read+");
  });

  test("a crash kernel without the memory that it needs: it says so, and leaves the first one's alone", async () => {
    const child = await boot({ memory: "512M", cmdline: "crashkernel=6M@500M panic_on_oops=1" });
    await child.inject(faults.nullDereference());
    const before = outside(child, 500 << 20);
    const error = await failure(child);
    expect(error.code).toBe("machine-stopped");
    expect(error.message).toContain('capture({ via: "host" }) still works');
    expect(child.consoleLog.join("\n")).toMatch(
      /Linux version[\s\S]*Kernel panic - not syncing: early_alloc: Failed to allocate \d+ bytes/,
    );
    expect(outside(child, 500 << 20)).toEqual(before);
    expect(await byHost(child, "small")).toContain("[exception RIP: my_driver_read+");
  });

  test("a machine without a reservation, and one that has not crashed", async () => {
    const plain = await boot();
    expect((await plain.exec("kexec -p /boot/vmlinux --append=x")).stdout).toMatch(
      /Cannot assign requested address/,
    );
    await expect(plain.kdump.capture({ via: "crash-kernel" })).rejects.toMatchObject({ code: "bad-option" });
    const running = await boot({ cmdline: "crashkernel=32M" });
    await expect(running.kdump.capture({ via: "crash-kernel" })).rejects.toMatchObject({
      code: "machine-stopped",
    });
    expect((await running.exec("echo alive")).stdout).toBe("alive\n");
  });
});

test.each([
  ["before the notifiers, which are not called", "", []],
  ["after them, with crash_kexec_post_notifiers", " crash_kexec_post_notifiers", ["Fatal exception"]],
] as const)("an oops goes to the crash kernel %s", async (_when, option, called) => {
  const child = await boot({ cmdline: `crashkernel=32M panic_on_oops=1${option}` });
  const messages: string[] = [];
  await child.panicNotifiers.register({
    name: "seen",
    call: (_event, message) => {
      messages.push(message);
      return Notify.DONE;
    },
  });
  await child.inject(faults.nullDereference());
  const vmcore = await child.kdump.capture({ via: "crash-kernel" });
  expect(messages).toEqual(called);
  const path = join(folder, `notified${called.length}`);
  await vmcore.save(path);
  const log = inCrash(path, "log");
  expect(log.includes("Kernel panic - not syncing: Fatal exception")).toBe(called.length > 0);
  expect(inCrash(path, "bt")).toContain("[exception RIP: my_driver_read+");
});

describe("crashkernel=", () => {
  test.each([
    ["16M@64M", "Reserving 16MB of memory at 64MB for crashkernel (System RAM: 127MB)"],
    ["64M-256M:24M,256M-:64M", "Reserving 24MB of memory at 102MB for crashkernel (System RAM: 127MB)"],
    ["512M-:64M", "crashkernel: memory value expected"],
    ["4G", "crashkernel reservation failed - No suitable area found."],
    ["16M@1M", "crashkernel reservation failed - memory is in use."],
  ])("%s", async (value, message) => {
    const child = await boot({ cmdline: `crashkernel=${value} kdump=off` });
    expect(child.consoleLog.some((line) => line.endsWith(message))).toBe(true);
    expect((await child.exec("grep Crash /proc/iomem")).status).toBe(message.startsWith("Reserving") ? 0 : 1);
  });
});

describe("kexec without a crash", () => {
  test.each([["-l"], ["-l -c"]])("kexec %s, then -e", async (options) => {
    const child = await boot();
    const load = `kexec ${options} /boot/vmlinux --initrd=/boot/kdump.cpio --append="console=ttyS0 second=kernel"`;
    expect((await child.exec(load)).stdout).toBe("");
    expect((await child.exec("cat /sys/kernel/kexec_loaded")).stdout).toBe("1\n");
    await expect(child.exec("kexec -e")).rejects.toMatchObject({ code: "machine-stopped" });
    await child.run({ budget: 1e9 });
    expect((await child.exec("cat /proc/cmdline")).stdout).toContain("second=kernel");
  });

  test("bad images and unloading", async () => {
    const child = await boot({ cmdline: "crashkernel=32M" });
    expect((await child.exec("kexec -l /etc")).status).toBe(1);
    expect((await child.exec("kexec -l /bin/sh")).stdout).toMatch(/Exec format error/);
    expect((await child.exec("kexec -e")).stdout).toMatch(/nothing has been loaded/);
    expect((await child.exec("kexec -p -u && cat /sys/kernel/kexec_crash_loaded")).stdout).toBe("0\n");
  });
});

test("four CPUs, an oops in an interrupt: the others stopped by NMI are in the dump", async () => {
  const child = await boot({ cpus: 4, cmdline: "crashkernel=32M panic_on_oops=1" });
  expect((await child.exec("insmod labcrash")).status).toBe(0);
  await child.write("echo h null_read > /sys/kernel/debug/labcrash/trigger\n");
  await child.run({ budget: 400_000_000 });
  const vmcore = await child.kdump.capture({ via: "crash-kernel" });
  const path = join(folder, "four");
  await vmcore.save(path);
  expect(inCrash(path, "sys")).toMatch(/CPUS: 4\n/);
  const bt = inCrash(path, "bt -a");
  const cpus = bt.split(/PID: /).slice(1);
  expect(cpus).toHaveLength(4);
  expect(cpus.filter((text) => text.includes("crash_nmi_callback"))).toHaveLength(3);
  const crashed = cpus.find((text) => text.includes("[exception RIP: lab_null_read"));
  expect(crashed).toMatch(/--- <IRQ stack> ---/);
});
