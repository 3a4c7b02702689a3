/** From the start of a process to the first byte on the guest's console, and the memory it takes. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface StartResult {
  /** Wall time, process start to first console byte; the median. */
  readonly firstByteMs: number;
  /** CPU time the process had used by then, user and system. */
  readonly firstByteCpuMs: number;
  /** Peak resident memory of the process when the shell's prompt was there. */
  readonly residentMiB: number;
}

const COMMAND = fileURLToPath(new URL("../../bindings/cli/main.ts", import.meta.url));
const BUILT = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

function cpuMs(pid: number): number {
  // utime and stime, in ticks of 10 ms: fields 14 and 15 of proc(5) stat, behind the parenthesised name
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function peakMiB(pid: number): number {
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line?.[1] ?? 0) / 1024;
}

async function once(built: boolean): Promise<StartResult> {
  const before = performance.now();
  const args = built ? [BUILT] : ["--conditions=source", "--import", "tsx", COMMAND];
  const child = spawn(process.execPath, [...args, "boot"], { stdio: ["pipe", "pipe", "ignore"] });
  let first: { readonly ms: number; readonly cpu: number } | undefined;
  let seen = "";
  const { pid = 0 } = child;
  return await new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error("crashlab boot ended before the shell's prompt")));
    child.stdout.on("data", (data: Buffer) => {
      first ??= { ms: performance.now() - before, cpu: cpuMs(pid) };
      seen += data.toString();
      if (!/# $/.test(seen)) return;
      const result = { firstByteMs: first.ms, firstByteCpuMs: first.cpu, residentMiB: peakMiB(pid) };
      child.removeAllListeners("exit");
      child.kill("SIGKILL");
      resolve(result);
    });
  });
}

/** `built`: the compiled package, as a user has it; else the sources through tsx. Linux only (it reads /proc). */
export async function runStart(built: boolean, rounds: number): Promise<StartResult> {
  const results: StartResult[] = [];
  for (let round = 0; round < rounds; round++) results.push(await once(built));
  const median = (pick: (result: StartResult) => number): number =>
    results.map(pick).toSorted((x, y) => x - y)[results.length >> 1] ?? 0;
  return {
    firstByteMs: median((result) => result.firstByteMs),
    firstByteCpuMs: median((result) => result.firstByteCpuMs),
    residentMiB: median((result) => result.residentMiB),
  };
}
