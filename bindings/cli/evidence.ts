/** What a crash leaves in a folder: console.log, report.json, truth.json, vmcore, and the files to read it with. */
import { join } from "node:path";
import { loadGuest } from "#assets";
import type { Injection } from "../faults/fault.ts";
import type { Machine } from "../machine/machine.ts";
import { SCHEMA_VERSION } from "../report/index.ts";
import { toJson, writeOutput } from "./files.ts";

/** Writes the files into a folder that exists; gives their names. `vmcore`: memory too, with the vmlinux and the modules that it needs. */
export async function writeEvidence(
  folder: string,
  machine: Machine,
  crash: Injection,
  vmcore: "host" | "crash-kernel" | undefined,
): Promise<string[]> {
  const reports = await Promise.all(machine.reports.map((report) => machine.decode(report)));
  const documents: [string, string | Uint8Array][] = [
    ["console.log", `${machine.consoleLog.join("\n")}\n`],
    ["report.json", `${toJson({ schema: SCHEMA_VERSION, reports })}\n`],
    ["truth.json", `${toJson({ schema: SCHEMA_VERSION, truth: crash.truth })}\n`],
  ];
  if (vmcore !== undefined) {
    documents.push(["vmlinux", await loadGuest("vmlinux")]);
    documents.push(["mydriver.ko", await loadGuest("modules/mydriver.ko")]);
  }
  for (const [name, content] of documents) await writeOutput(folder, name, content);
  if (vmcore === undefined) return documents.map(([name]) => name);
  const stream = await (vmcore === "host"
    ? machine.kdump.capture()
    : machine.kdump.capture({ via: "crash-kernel" }));
  await stream.save(join(folder, "vmcore"));
  return [...documents.map(([name]) => name), "vmcore"];
}
