/** What a crash leaves in a folder: console.log, report.json, truth.json, vmcore, and the files to read it with. */
import { basename, join } from "node:path";
import { loadGuest } from "#assets";
import { saveFile } from "#files";
import { CrashlabError } from "../error.ts";
import type { Injection } from "../faults/fault.ts";
import type { Machine } from "../machine/machine.ts";
import { SCHEMA_VERSION } from "../report/index.ts";
import type { DumpFormat } from "../vmcore/dump_file.ts";
import { toJson, writeOutput } from "./files.ts";
import { progress } from "./progress.ts";

/** What the vmcore is to be like. */
export interface DumpOptions {
  readonly format?: DumpFormat;
  readonly compression?: "zlib" | "none" | "zstd";
  readonly dumpLevel?: number;
  /** By the crash kernel: so many files, vmcore.1 and so on. */
  readonly split?: number;
  /** Ends the dump early; throws `aborted` then. */
  readonly signal?: AbortSignal;
}

/** Writes the files into a folder that exists; gives their names. `vmcore`: memory too, with the vmlinux and the modules that it needs. */
export async function writeEvidence(
  folder: string,
  machine: Machine,
  crash: Injection,
  vmcore: "host" | "crash-kernel" | undefined,
  dump: DumpOptions = {},
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
  const dumps = await saveDump(join(folder, "vmcore"), machine, vmcore, dump);
  return [...documents.map(([name]) => name), ...dumps.map((path) => basename(path))];
}

/** Takes the dump, with the bytes that it has so far shown on a terminal; gives the paths of its files. */
async function saveDump(
  path: string,
  machine: Machine,
  via: "host" | "crash-kernel",
  { compression, split, ...dump }: DumpOptions,
): Promise<string[]> {
  const show = process.stderr.isTTY ? progress() : () => undefined;
  const megabytes = (bytes: number): string => `vmcore: ${(bytes / 1e6).toFixed(1)} MB`;
  if (via === "crash-kernel") {
    const packing = compression === undefined ? {} : { compression };
    const onProgress = ({ done }: { done: number }): void => show(megabytes(done), false);
    const options = { via, ...dump, ...packing, onProgress } as const;
    const parts =
      split === undefined
        ? [await machine.kdump.capture(options)]
        : await machine.kdump.capture({ ...options, split });
    show(megabytes(parts.reduce((sum, { size }) => sum + size, 0)), true);
    const paths = parts.map((_, index) => (split === undefined ? path : `${path}.${index + 1}`));
    for (const [index, part] of parts.entries()) await part.save(paths[index] ?? path);
    return paths;
  }
  if (compression === "zstd") {
    throw new CrashlabError(
      "bad-option",
      'expected --compression zlib or none with --kdump host, found "zstd"; the crash kernel has it',
    );
  }
  const stream = await machine.kdump.capture({
    ...dump,
    ...(compression === undefined ? {} : { compression }),
  });
  let done = 0;
  await saveFile(
    path,
    (async function* () {
      for await (const piece of stream) {
        done += piece.length;
        show(megabytes(done), false);
        yield piece;
      }
    })(),
  );
  show(megabytes(done), true);
  return [path];
}
