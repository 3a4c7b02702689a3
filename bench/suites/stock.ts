/**
 * Debian's kernel from its entry to the shell: CPU time and guest MIPS, beside QEMU's TCG on the same unpacked kernel;
 * and crashes of it, each from a snapshot of the booted system.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { boot, busyboxInitramfs } from "../../bindings/index.ts";
import { unpackKernel } from "../../bindings/machine/loaders/kernel.ts";

const FOLDER = "build/stock";
const CRASHES = 20;
const WORDS =
  "console=ttyS0 nokaslr cryptomgr.notests mitigations=off audit=0 tsc=reliable panic=-1 reboot=t";

export interface StockResult {
  /** Guest instructions (and idle nanoseconds) from the entry to the shells. */
  readonly instructions: number;
  /** CPU seconds, the kernel already unpacked. */
  readonly seconds: number;
  readonly mips: number;
  /** CPU seconds that unpacking the bzImage took. */
  readonly unpackSeconds: number;
  /** CPU seconds of a crash by sysrq-c from the snapshot to the panic's last line, and milliseconds to go back. */
  readonly crashSeconds: number;
  readonly restoreMilliseconds: number;
  /** CPU seconds of QEMU's process to the same place; none where QEMU or the kernel has no PVH entry. */
  readonly qemuSeconds?: number;
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function qemuSeconds(kernel: Uint8Array, initrd: Uint8Array): Promise<number | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "crashlab-bench-"));
  try {
    writeFileSync(join(folder, "vmlinux"), kernel);
    writeFileSync(join(folder, "initrd"), initrd);
    const options = "-machine pc -cpu qemu64 -m 256M -display none -no-reboot -monitor none -nic none";
    const arguments_ = [
      "-kernel",
      join(folder, "vmlinux"),
      "-initrd",
      join(folder, "initrd"),
      "-append",
      WORDS,
    ];
    const qemu = spawn("qemu-system-x86_64", [...options.split(" "), "-serial", "stdio", ...arguments_]);
    return await new Promise((resolve) => {
      let text = "";
      const end = (seconds: number | undefined): void => {
        clearTimeout(timer);
        qemu.kill("SIGKILL");
        resolve(seconds);
      };
      const timer = setTimeout(end, 300_000, undefined);
      qemu.once("error", () => end(undefined));
      qemu.once("exit", () => end(undefined));
      qemu.stdout.on("data", (data: Buffer) => {
        text += data.toString("latin1");
        if (!text.includes("built-in shell")) return;
        const fields = readFileSync(`/proc/${qemu.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
        end((Number(fields[11]) + Number(fields[12])) / 100);
      });
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Undefined where .ci/stock has not put a kernel into build/stock. */
export async function runStock(peers: boolean): Promise<StockResult | undefined> {
  if (!existsSync(`${FOLDER}/vmlinuz`) || !existsSync(`${FOLDER}/busybox`)) return undefined;
  const start = cpuSeconds();
  const kernel = unpackKernel(new Uint8Array(readFileSync(`${FOLDER}/vmlinuz`)));
  const unpacked = cpuSeconds();
  const initrd = busyboxInitramfs({ busybox: new Uint8Array(readFileSync(`${FOLDER}/busybox`)) });
  await using machine = await boot({ kernel, initrd, memory: "256M" });
  const seconds = cpuSeconds() - unpacked;
  const instructions = Number(machine.time);
  const booted = machine.snapshot();
  let restoring = 0;
  const before = cpuSeconds();
  for (let round = 0; round < CRASHES; round++) {
    await machine.exec("echo c > /proc/sysrq-trigger").catch(() => undefined);
    if (machine.panic === undefined) throw new Error("expected a panic, found none");
    const from = performance.now();
    machine.restore(booted);
    restoring += performance.now() - from;
  }
  const crashSeconds = (cpuSeconds() - before) / CRASHES;
  const peer = peers ? await qemuSeconds(kernel, initrd) : undefined;
  return {
    ...{ instructions, seconds, mips: instructions / seconds / 1e6, unpackSeconds: unpacked - start },
    ...{ crashSeconds, restoreMilliseconds: restoring / CRASHES },
    ...(peer === undefined ? {} : { qemuSeconds: peer }),
  };
}
