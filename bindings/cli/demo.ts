/** `crashlab demo`: boot, break, oops, panic: the whole story in one command. */
import { join } from "node:path";
import { Command } from "commander";
import { faults } from "../faults/catalogue.ts";
import { boot, type Machine } from "../machine/machine.ts";
import { Notify } from "../panic/notifiers.ts";
import type { CodeLocation } from "../report/types.ts";
import { writeEvidence } from "./evidence.ts";
import { examples, makeFolder } from "./files.ts";
import { interruption } from "./interrupt.ts";
import { bold } from "./terminal.ts";

export function demoCommand(): Command {
  return new Command("demo")
    .description("boot, crash a driver, let the oops become a panic, and show what is left")
    .option("--out <folder>", "where the files go", ".crashlab/demo")
    .addHelpText("after", examples("crashlab demo", "crashlab demo --out /tmp/crash"))
    .action(runDemo);
}

async function runDemo(options: { out: string }): Promise<void> {
  const started = performance.now();
  const signal = interruption();
  await makeFolder(options.out);
  heading("boot");
  await using machine = await boot({ onConsole: (line) => console.log(line), signal });

  heading("a driver dereferences NULL + 8: the process dies, the shell lives");
  await shell(machine, "insmod mydriver.ko", signal);
  const fault = faults.nullDereference({ access: "write", offset: 8 });
  console.log(`# ${fault.commands.at(-1)}`);
  await machine.inject(fault, { signal });
  await shell(machine, "cat /proc/sys/kernel/tainted", signal);

  heading("panic on oops, a notifier on the host, and the same again");
  await machine.panicNotifiers.register({
    name: "demo",
    priority: 10,
    call: (_event, message) => {
      console.log(`[host] panic notifier called: ${message}`);
      return Notify.DONE;
    },
  });
  await shell(machine, "echo 1 > /proc/sys/kernel/panic_on_oops", signal);
  console.log(`# ${fault.commands.at(-1)}`);
  const panic = await machine.inject(fault, { signal });

  heading("what the report says");
  console.log(panic.report.title);
  const { rip, trace } = panic.report;
  if (rip !== undefined) console.log(`  ${describePlace(rip)}`);
  for (const frame of trace) console.log(`  ${frame.reliable ? "" : "? "}${describePlace(frame)}`);
  console.log(`panic: ${machine.panic?.title ?? "none"}`);
  const { exception } = panic.truth;
  if (exception !== undefined) {
    console.log(
      `truth: exception ${exception.vector}, error ${exception.error}, rip 0x${exception.rip.toString(16)}, ` +
        `cr2 0x${exception.cr2.toString(16)}, at instruction ${exception.time}`,
    );
  }
  const names = await writeEvidence(options.out, machine, panic, "host", { signal });
  console.log(`\nin ${options.out}: ${names.join(" ")}`);
  console.log(`try: crash ${join(options.out, "vmlinux")} ${join(options.out, "vmcore")}`);
  console.log(`${((performance.now() - started) / 1000).toFixed(1)} s`);
}

/** Runs a command in the guest's shell and shows it as a terminal would. */
async function shell(machine: Machine, command: string, signal: AbortSignal): Promise<void> {
  console.log(`# ${command}`);
  process.stdout.write((await machine.exec(command, { signal })).stdout);
}

function heading(text: string): void {
  console.log(bold(`\n=== ${text}\n`));
}

/** symbol+offset/size [module] (file:line), and what it is inlined into. */
function describePlace(place: CodeLocation): string {
  const module = place.module === undefined ? "" : ` [${place.module}]`;
  const offset = `+0x${(place.offset ?? 0).toString(16)}/0x${(place.size ?? 0).toString(16)}`;
  const lines = (place.inlined ?? [place]).map(({ file, line }) => `${file}:${line}`);
  const source = place.file === undefined ? "" : ` (${lines.join(" ")})`;
  return `${place.symbol ?? `0x${place.address?.toString(16)}`}${offset}${module}${source}`;
}
