/**
 * What every host must do alike: a boot, an oops, a notifier, a panic, a vmcore written into a Blob and analysed
 * from it. Runs in Node.js, on a page and in a worker; the answers must be equal to the last digit.
 */
import { boot, faults, Notify } from "crashlab";
import { compare, parseReports } from "crashlab/report";
import type { SymbolTable } from "crashlab/symbols";
import { runCommand, Vmcore } from "crashlab/vmcore";

/** Plain strings and numbers, so that they can be sent out of a page. */
export type Answers = { readonly [question: string]: string | number | boolean };

export async function answers(): Promise<Answers> {
  await using machine = await boot({ memory: "64M", cmdline: "panic=0" });
  const said: { [question: string]: string | number | boolean } = { atPrompt: hex(machine.stateHash()) };

  const snapshot = machine.snapshot();
  const oops = await machine.inject(faults.nullDereference({ access: "write", offset: 8 }));
  const { rip, trace } = oops.report;
  said["title"] = oops.report.title;
  said["rip"] = `${rip?.symbol}+${rip?.offset} ${rip?.file}:${rip?.line}`;
  said["trace"] = trace.map(({ symbol }) => symbol).join(" < ");
  said["cr2"] = hex(oops.truth.exception?.cr2 ?? 0n);
  said["afterOops"] = hex(machine.stateHash());
  const [parsed] = parseReports(machine.consoleLog.join("\n"));
  said["parsedAlike"] = parsed !== undefined && compare(parsed, oops.report).same;

  machine.restore(snapshot);
  said["afterRestore"] = hex(machine.stateHash());
  const called: string[] = [];
  await machine.panicNotifiers.register({
    name: "suite",
    call: (_event, message) => {
      called.push(message);
      return Notify.DONE;
    },
  });
  await machine.sysctl.set("kernel.panic_on_oops", 1);
  await machine.inject(faults.nullDereference());
  said["notified"] = called.join();
  said["panic"] = machine.panic?.title ?? "";
  said["afterPanic"] = hex(machine.stateHash());

  for (const format of ["elf", "kdump-compressed"] as const) {
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    for await (const piece of await machine.kdump.capture({ format, dumpLevel: 31 })) {
      pieces.push(piece.slice());
    }
    const dump = new Blob(pieces);
    const program = await (await Vmcore.open(dump)).program(machine.symbols);
    // How small a page is packed depends on who packs it: zlib here, fflate there.
    if (format === "elf") said["elf bytes"] = dump.size;
    const context = {
      ...{ program, vmlinux: "vmlinux", vmcore: "vmcore", modules: new Map<string, SymbolTable>() },
      task: await program.crashedTask(),
      lines: async () => machine.symbols,
    };
    for (const command of ["sys", "bt", "log", "ps"]) {
      said[`${format} ${command}`] = (await runCommand(context, command)).text;
    }
  }
  const child = await machine.fork();
  said["forked"] = hex(child.stateHash());
  return said;
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
