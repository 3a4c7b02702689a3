/** qemu-system-x86_64 (TCG) on the 64-bit bench image, when Debian's package is installed. */
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { images } from "../guest/build.ts";
import { type ProgramTiming, TimingReader } from "./lines.ts";

/** CPU seconds of the busiest thread, from the scheduler's own count (proc(5), schedstat). */
function busiestThread(pid: number): number {
  let most = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      const run = readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0] ?? "0";
      most = Math.max(most, Number(run) / 1e9);
    } catch {
      // a worker thread ended between the listing and the reading: it was not the busiest
    }
  }
  return most;
}

/** The version line, or undefined where QEMU is not installed. */
export function qemuVersion(): string | undefined {
  const result = spawnSync("qemu-system-x86_64", ["--version"], { encoding: "utf8" });
  return result.status === 0 ? result.stdout.split("\n")[0] : undefined;
}

export async function runQemu(only: readonly string[] = []): Promise<readonly ProgramTiming[]> {
  const options = "-m 64 -display none -serial stdio -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4";
  const choice = only.length === 0 ? [] : ["-append", only.join(" ")];
  const qemu = spawn("qemu-system-x86_64", ["-kernel", images[64], ...choice, ...options.split(" ")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const reader = new TimingReader();
  for await (const line of createInterface({ input: qemu.stdout })) {
    reader.line(line, qemu.pid && !reader.finished ? busiestThread(qemu.pid) : 0);
    if (reader.finished) qemu.kill();
  }
  return reader.timings;
}
