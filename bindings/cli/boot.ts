/** `crashlab boot`: a machine on the terminal. */
import { Command } from "commander";
import type { Core } from "../core/core.ts";
import { CrashlabError } from "../error.ts";
import { Machine } from "../machine/machine.ts";
import { parseMemory } from "../machine/options.ts";
import { examples, oneOf, readInput, wholeNumber } from "./files.ts";
import { interruption } from "./interrupt.ts";

interface Options {
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly memory: string;
  readonly smp: string;
  readonly protocol: string;
}

export function bootCommand(): Command {
  return new Command("boot")
    .description("boot a kernel with its console on this terminal; Ctrl-A x ends it")
    .option("--kernel <file>", "vmlinux, bzImage or multiboot image; crashlab's own by default")
    .option("--initrd <file>", "initial RAM file system")
    .option("--append <words>", "words for the kernel command line")
    .option("--memory <size>", "guest memory", "128M")
    .option("--smp <cpus>", "number of CPUs", "1")
    .option("--protocol <name>", "auto, linux64, pvh or multiboot", "auto")
    .addHelpText(
      "after",
      examples(
        "crashlab boot",
        "crashlab boot --memory 256M --append panic_on_oops=1",
        "crashlab boot --kernel bzImage --initrd initrd.img",
      ),
    )
    .action(runBoot);
}

async function runBoot(options: Options): Promise<void> {
  const protocol = oneOf("--protocol", ["auto", "linux64", "pvh", "multiboot"], options.protocol);
  const memory = parseMemory(options.memory);
  const end = new AbortController();
  const interrupted = interruption();
  const machine = await Machine.boot({
    memory,
    cpus: wholeNumber("--smp", options.smp),
    protocol,
    onOutput: (bytes) => process.stdout.write(bytes),
    ...(options.append === undefined ? {} : { cmdline: options.append }),
    ...(options.kernel === undefined ? {} : { kernel: await readInput(options.kernel) }),
    ...(options.initrd === undefined ? {} : { initrd: await readInput(options.initrd) }),
  });
  connectTerminal(machine.core, end);
  try {
    const exit = await machine.run({
      budget: Number.POSITIVE_INFINITY,
      signal: AbortSignal.any([end.signal, interrupted]),
    });
    // The process status that QEMU's isa-debug-exit gives.
    if (exit.kind === "debug-exit") process.exitCode = ((exit.value << 1) | 1) & 0xff;
  } catch (error) {
    if (!(error instanceof CrashlabError && error.code === "aborted")) throw error;
    if (interrupted.aborted) process.exitCode = 130;
  } finally {
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
    process.stdin.pause();
  }
}

/** Keys go to the first serial port; Ctrl-A x ends, Ctrl-A Ctrl-A is Ctrl-A. */
function connectTerminal(core: Core, end: AbortController): void {
  if (process.stdin.isTTY) process.stdin.setRawMode(true);
  let escaped = false;
  process.stdin.on("data", (chunk: Buffer) => {
    const keys: number[] = [];
    for (const key of chunk) {
      if (escaped) {
        escaped = false;
        if (key === "x".charCodeAt(0)) end.abort();
        else if (key === 1) keys.push(1);
      } else if (key === 1 && process.stdin.isTTY) escaped = true;
      else keys.push(key);
    }
    core.feedInput(0, Uint8Array.from(keys));
  });
}
