/** v86 from npm on the 32-bit bench image (it has no long mode), in a process of its own. */
import { fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { imageBytes } from "../guest/build.ts";
import { type ProgramTiming, TimingReader } from "./lines.ts";

interface V86Emulator {
  add_listener(event: string, listener: (byte: number) => void): void;
}
type V86Constructor = new (options: Record<string, unknown>) => V86Emulator;

function packageFolder(): string | undefined {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve("v86")));
  } catch {
    return undefined;
  }
}

/** The package version, or undefined where v86 is not installed. */
export function v86Version(): string | undefined {
  const folder = packageFolder();
  if (!folder) return undefined;
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version;
}

export async function runV86(only: readonly string[] = []): Promise<readonly ProgramTiming[]> {
  return await new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), ["--child", ...only], { execArgv: process.execArgv });
    child.once("message", (timings: ProgramTiming[]) => resolve(timings));
    child.once("exit", (code) => reject(new Error(`v86 ended with status ${code} before the last program`)));
  });
}

async function child(): Promise<void> {
  const folder = packageFolder() ?? "";
  const { V86 } = (await import(join(folder, "build/libv86.mjs"))) as { V86: V86Constructor };
  const image = imageBytes(32);
  const emulator = new V86({
    wasm_path: join(folder, "build/v86.wasm"),
    memory_size: 64 << 20,
    vga_memory_size: 2 << 20,
    multiboot: { buffer: Uint8Array.from(image).buffer },
    cmdline: process.argv.slice(3).join(" "),
    autostart: true,
    disable_speaker: true,
    disable_keyboard: true,
    disable_mouse: true,
  });
  // v86 answers the guest's isa-debug-exit by throwing the string "HALT" out of its run loop.
  process.on("uncaughtException", (reason: unknown) => {
    if (reason !== "HALT") throw reason;
  });
  const reader = new TimingReader();
  let line = "";
  emulator.add_listener("serial0-output-byte", (byte) => {
    if (byte !== 10) {
      line += String.fromCharCode(byte);
      return;
    }
    const used = process.cpuUsage();
    reader.line(line, (used.user + used.system) / 1e6);
    line = "";
    if (reader.finished) process.send?.(reader.timings, () => process.exit(0));
  });
}

if (process.argv[2] === "--child") await child();
