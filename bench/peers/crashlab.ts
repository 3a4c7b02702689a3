/** This project's core on the 64-bit bench image, in a process of its own. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Core } from "../../bindings/core/core.ts";
import { loadKernel } from "../../bindings/machine/loaders/kernel.ts";
import { imageBytes } from "../guest/build.ts";
import { type ProgramTiming, TimingReader } from "./lines.ts";

const MIB = 1 << 20;
/** Instructions per call of run(): V8 changes to optimised code only between calls. */
const SLICE = 200_000;

function cpuSeconds(): number {
  const used = process.cpuUsage();
  return (used.user + used.system) / 1e6;
}

/** Runs the programs whose names are given (all, if none) in this process. */
export async function runHere(only: readonly string[] = []): Promise<readonly ProgramTiming[]> {
  const core = await Core.create({ ramBytes: 64 * MIB });
  const image = loadKernel({
    kernel: imageBytes(64),
    commandLine: only.join(" "),
    ramBytes: core.ramBytes,
    cpus: 1,
  });
  core.start(image);
  const reader = new TimingReader();
  let line = "";
  while (!reader.finished) {
    const exit = core.run(SLICE);
    for (const byte of core.takeOutput(0)) {
      if (byte !== 10) {
        line += String.fromCharCode(byte);
        continue;
      }
      reader.line(line, cpuSeconds(), Number(core.time));
      line = "";
    }
    if (exit.kind !== "budget" && exit.kind !== "output" && !reader.finished)
      throw new Error(`the bench guest ended with ${exit.kind} before its last program`);
  }
  return reader.timings;
}

/** The same in a process of its own, so that every emulator starts cold and is timed alone. */
export async function runCrashlab(only: readonly string[] = []): Promise<readonly ProgramTiming[]> {
  return await new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), ["--child", ...only], { execArgv: process.execArgv });
    child.once("message", (timings: ProgramTiming[]) => resolve(timings));
    child.once("exit", (code) =>
      reject(new Error(`the core ended with status ${code} before the last program`)),
    );
  });
}

if (process.argv[2] === "--child") {
  const timings = await runHere(process.argv.slice(3));
  if (process.send) process.send(timings, () => process.exit(0));
  else
    for (const t of timings)
      console.log(
        t.program.padEnd(8),
        t.checksum,
        `cold ${t.cold.toFixed(3)} s`,
        `warm ${t.warm.toFixed(3)} s`,
        `${((t.instructions ?? 0) / t.warm / 1e6).toFixed(0)} MIPS`,
      );
}
