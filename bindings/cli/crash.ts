/** `crashlab crash` and `crashlab faults`: break the guest in a known way and keep what it left. */
import { Command } from "commander";
import { CrashlabError } from "../error.ts";
import { catalogue, findFault } from "../faults/catalogue.ts";
import { Machine } from "../machine/machine.ts";
import { SCHEMA_VERSION } from "../report/index.ts";
import { writeEvidence } from "./evidence.ts";
import { examples, makeFolder, toJson } from "./files.ts";

export function faultsCommand(): Command {
  return new Command("faults")
    .description("list the faults that can be provoked")
    .option("--json", "print JSON")
    .addHelpText("after", examples("crashlab faults", "crashlab faults --json"))
    .action((options: { json?: boolean }) => {
      if (options.json) {
        const faults = catalogue.map(({ name, summary }) => ({ name, summary }));
        console.log(toJson({ schema: SCHEMA_VERSION, faults }));
      } else for (const { name, summary } of catalogue) console.log(`${name.padEnd(44)}${summary}`);
    });
}

/** What is set aside for the crash kernel. */
const CRASHKERNEL = "32M";

interface Options {
  readonly panicOnOops?: boolean;
  readonly kdump?: string;
  readonly out?: string;
  readonly json?: boolean;
  readonly memory: string;
  readonly append?: string;
}

export function crashCommand(): Command {
  return new Command("crash")
    .description("boot, provoke a fault, print what the kernel printed")
    .argument("<fault>", "a name of `crashlab faults`")
    .option("--panic-on-oops", "set kernel.panic_on_oops first")
    .option(
      "--kdump <way>",
      "vmcore: host (memory read from outside) or crash-kernel (kexec, /proc/vmcore); needs --out",
    )
    .option("--out <folder>", "write console.log, report.json and truth.json there")
    .option("--json", "print the report as JSON")
    .option("--memory <size>", "guest memory", "128M")
    .option("--append <words>", "words for the kernel command line")
    .addHelpText(
      "after",
      examples(
        "crashlab crash null-dereference",
        "crashlab crash null-dereference --panic-on-oops --kdump host --out crash1",
        "crashlab crash null-dereference --panic-on-oops --kdump crash-kernel --out crash2",
        "crashlab crash null-dereference --json",
      ),
    )
    .action(runCrash);
}

async function runCrash(name: string, options: Options): Promise<void> {
  const fault = findFault(name);
  const { kdump } = options;
  if (kdump !== undefined && kdump !== "host" && kdump !== "crash-kernel") {
    throw new CrashlabError(
      "bad-option",
      `expected --kdump host or --kdump crash-kernel, found "${kdump}"; choose one of them`,
    );
  }
  if (options.kdump !== undefined && options.out === undefined) {
    throw new CrashlabError("bad-option", "expected --out with --kdump, found none; name a folder");
  }
  if (options.out !== undefined) await makeFolder(options.out);
  const words = [options.append ?? "", kdump === "crash-kernel" ? `crashkernel=${CRASHKERNEL}` : ""];
  await using machine = await Machine.boot({
    memory: options.memory,
    cmdline: words.filter(Boolean).join(" "),
  });
  if (options.panicOnOops) await machine.sysctl.set("kernel.panic_on_oops", 1);
  // A fault that passes without a report is told as such.
  const crash = await machine.inject("commands" in fault ? { ...fault, mayPass: true } : fault);
  const { outcome, report, truth } = crash;
  if (report === undefined) {
    console.error(`crashlab: ${name}: ${outcome}, no report`);
    process.exitCode = 1;
  }
  const document = { schema: SCHEMA_VERSION, outcome, report, truth };
  console.log(options.json ? toJson(document) : crash.console.join("\n"));
  if (options.out !== undefined) {
    await writeEvidence(options.out, machine, crash, kdump);
  }
}
