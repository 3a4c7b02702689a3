/** qemu-system-x86_64 (TCG) on the 64-bit bench image, when Debian's package is installed. */
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { images } from "../guest/build.ts";
import type { ProgramTiming } from "./lines.ts";

/** CPU seconds of the virtual CPU's thread, from the scheduler's own count (proc(5), schedstat). */
function guestSeconds(pid: number): number {
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${task}`;
    if (readFileSync(`${folder}/comm`, "utf8").startsWith("CPU 0"))
      return Number(readFileSync(`${folder}/schedstat`, "utf8").split(" ")[0]) / 1e9;
  }
  throw new Error("expected a thread of QEMU called CPU 0/TCG, found none");
}

/** The version line, or undefined where QEMU is not installed. */
export function qemuVersion(): string | undefined {
  const result = spawnSync("qemu-system-x86_64", ["--version"], { encoding: "utf8" });
  return result.status === 0 ? result.stdout.split("\n")[0] : undefined;
}

/**
 * CPU seconds of one boot, from the start to the guest's last word. Without isa-debug-exit the guest then halts,
 * so the count stands still and it does not matter how late it is read.
 */
async function bootSeconds(program: string): Promise<{ seconds: number; checksum: string }> {
  const options = "-name bench,debug-threads=on -m 64 -display none -serial stdio -no-reboot";
  const qemu = spawn(
    "qemu-system-x86_64",
    ["-kernel", images[64], "-append", program, ...options.split(" ")],
    {
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  let checksum = "";
  let seconds = 0;
  for await (const line of createInterface({ input: qemu.stdout })) {
    if (line.startsWith("< ")) checksum = line.slice(2).trim();
    if (line.trim() !== "done") continue;
    seconds = guestSeconds(qemu.pid ?? 0);
    qemu.kill();
  }
  return { seconds, checksum };
}

/** No program has this name: the guest boots and says that it is done. */
const NOTHING = "nothing";

/** Each program in a boot of its own, which runs it twice; what the boot itself costs is taken off. Too short: left out. */
export async function runQemu(only: readonly string[]): Promise<readonly ProgramTiming[]> {
  const boots: number[] = [];
  for (let round = 0; round < 3; round++) boots.push((await bootSeconds(NOTHING)).seconds);
  const [least = 0, boot = 0, most = 0] = boots.toSorted((x, y) => x - y);
  const timings: ProgramTiming[] = [];
  for (const program of only) {
    const { seconds, checksum } = await bootSeconds(program);
    // What the boots differ by must not be taken for the program.
    if (seconds - boot < 3 * (most - least)) continue;
    const each = (seconds - boot) / 2;
    timings.push({ program, checksum, cold: each, warm: each });
  }
  return timings;
}
