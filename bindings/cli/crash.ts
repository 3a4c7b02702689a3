/** `crashlab crash` and `crashlab faults`: break the guest in a known way and keep what it left. */
import { Command } from "commander";
import { CrashlabError } from "../error.ts";
import { catalogue, findFault } from "../faults/catalogue.ts";
import { Machine } from "../machine/machine.ts";
import { SCHEMA_VERSION } from "../report/index.ts";
import { type DumpOptions, writeEvidence } from "./evidence.ts";
import { examples, makeFolder, oneOf, toJson, wholeNumber } from "./files.ts";
import { interruption } from "./interrupt.ts";
import { clearProgress, progress } from "./progress.ts";

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
  readonly format?: string;
  readonly compression?: string;
  readonly dumpLevel?: string;
  readonly split?: string;
  readonly json?: boolean;
  readonly memory: string;
  readonly append?: string;
  readonly budget: string;
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
    .option("--format <name>", "of the vmcore: elf or kdump-compressed; default elf from the host")
    .option("--compression <name>", "of a kdump-compressed vmcore: zlib, none; zstd by the crash kernel")
    .option("--dump-level <0-31>", "what the vmcore leaves out, as makedumpfile -d")
    .option("--split <2-8>", "so many files, vmcore.1 and so on, by the crash kernel's makedumpfile --split")
    .option("--json", "print the report as JSON")
    .option("--memory <size>", "guest memory", "128M")
    .option("--append <words>", "words for the kernel command line")
    .option("--budget <nanoseconds>", "guest time of the fault, after which it is a hang", "2000000000")
    .addHelpText(
      "after",
      examples(
        "crashlab crash null-dereference",
        "crashlab crash null-dereference --panic-on-oops --kdump host --out crash1",
        "crashlab crash null-dereference --panic-on-oops --kdump crash-kernel --out crash2",
        "crashlab crash null-dereference --kdump host --format kdump-compressed --dump-level 31 --out crash3",
        "crashlab crash null-dereference --json",
      ),
    )
    .action(runCrash);
}

async function runCrash(name: string, options: Options): Promise<void> {
  const fault = findFault(name);
  const kdump =
    options.kdump === undefined ? undefined : oneOf("--kdump", ["host", "crash-kernel"], options.kdump);
  if (options.kdump !== undefined && options.out === undefined) {
    throw new CrashlabError("bad-option", "expected --out with --kdump, found none; name a folder");
  }
  const dump = dumpOptions(options);
  const budget = wholeNumber("--budget", options.budget);
  if (options.out !== undefined) await makeFolder(options.out);
  const signal = interruption();
  const words = [options.append ?? "", kdump === "crash-kernel" ? `crashkernel=${CRASHKERNEL}` : ""];
  await using machine = await Machine.boot({
    memory: options.memory,
    cmdline: words.filter(Boolean).join(" "),
    signal,
  });
  if (options.panicOnOops) await machine.sysctl.set("kernel.panic_on_oops", 1);
  const show = process.stderr.isTTY ? progress() : (): void => undefined;
  // A fault that passes without a report is told as such.
  const crash = await machine.inject("commands" in fault ? { ...fault, mayPass: true } : fault, {
    ...{ budget, signal },
    onProgress: ({ done, total }) => show(`${name}: ${(done / 1e6).toFixed(0)} of ${total / 1e6} ms`, false),
  });
  clearProgress();
  const { outcome, report, truth } = crash;
  if (report === undefined) {
    console.error(`crashlab: ${name}: ${outcome}, no report`);
    process.exitCode = 1;
  }
  const document = { schema: SCHEMA_VERSION, outcome, report, truth };
  console.log(options.json ? toJson(document) : crash.console.join("\n"));
  if (options.out !== undefined) {
    await writeEvidence(options.out, machine, crash, kdump, { ...dump, signal });
  }
}

/** Options of the dump; their values are checked where the dump is written. */
function dumpOptions({ kdump, format, compression, dumpLevel, split }: Options): DumpOptions {
  if (kdump === undefined && [format, compression, dumpLevel, split].some((option) => option !== undefined)) {
    throw new CrashlabError(
      "bad-option",
      "expected --kdump with --format, --compression, --dump-level and --split, found none; add --kdump host",
    );
  }
  if (kdump === "host" && split !== undefined) {
    throw new CrashlabError(
      "bad-option",
      "expected --kdump crash-kernel with --split, found host; leave one out",
    );
  }
  return {
    ...(format === undefined ? {} : { format: oneOf("--format", ["elf", "kdump-compressed"], format) }),
    ...(compression === undefined
      ? {}
      : { compression: oneOf("--compression", ["zlib", "none", "zstd"], compression) }),
    ...(dumpLevel === undefined ? {} : { dumpLevel: wholeNumber("--dump-level", dumpLevel) }),
    ...(split === undefined ? {} : { split: wholeNumber("--split", split) }),
  };
}
