/**
 * A corpus: labelled crashes for those who test parsers and analysers. Each set has what the kernel said, what it left
 * in memory, and what was really done to it. docs/corpus.md describes the layout.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { loadGuest } from "#assets";
import { CaseRunner, plain, type RunCase, type RunnerOptions } from "../campaign/runner.ts";
import { CrashlabError } from "../error.ts";
import type { Ending, KernelEvent, Outcome, Truth } from "../faults/fault.ts";
import type { Machine } from "../machine/machine.ts";
import { SCHEMA_VERSION } from "../report/types.ts";

/** What a corpus consists of. */
export interface CorpusOptions extends RunnerOptions {
  readonly out: string;
  /** How many sets: of cases 0 to cases - 1. */
  readonly cases: number;
  readonly signal?: AbortSignal;
  /** Called when a case has been written. */
  readonly onCase?: (entry: CorpusEntry, done: number) => void;
  /** Changes the booted machine once, before the first case. */
  readonly prepare?: (machine: Machine) => void;
}

/** What a set is an example of, by the machine's state alone. */
export interface Label {
  readonly outcome: Outcome;
  readonly ending: Ending;
  /** The first thing that the kernel began to report. */
  readonly event?: KernelEvent["kind"];
  /** Vector of the exception behind it. */
  readonly vector?: number;
  /** Where that exception was taken. */
  readonly rip?: string;
  /** The address it was about, if it was a page fault. */
  readonly cr2?: string;
}

/** A set in the manifest. */
export interface CorpusEntry {
  readonly index: number;
  readonly folder: string;
  readonly fault: string;
  readonly label: Label;
  /** Why there is no vmcore. */
  readonly noVmcore?: string;
}

/** The corpus' manifest.json. */
export interface Manifest {
  readonly schema: string;
  readonly seed: number;
  readonly memory: string;
  readonly cpus: number;
  readonly cases: readonly CorpusEntry[];
  /** By path, in order. */
  readonly files: readonly { readonly path: string; readonly size: number; readonly sha256: string }[];
}

const MODULES = ["labcrash", "mydriver"] as const;
/** Page faults. */
const PF = 14;
/** makedumpfile -d: zero, cache, private cache, user and free pages left out. */
const DUMP_LEVEL = 31;

/**
 * Writes a corpus into a folder that has none. Throws `bad-option`, and `aborted` when `signal` says so: what has been
 * written by then is a corpus too, the one of fewer cases.
 */
export async function writeCorpus(options: CorpusOptions): Promise<Manifest> {
  const { out, cases, seed = 1, memory = "32M", cpus = 2, signal } = options;
  if (!Number.isSafeInteger(cases) || cases < 1)
    throw new CrashlabError("bad-option", `expected cases as a whole number from 1, found ${cases}`);
  if (existsSync(join(out, "manifest.json")))
    throw new CrashlabError(
      "bad-option",
      `expected no corpus in ${out}, found its manifest; name another folder`,
    );
  const files: { path: string; size: number; sha256: string }[] = [];
  const put = (path: string, content: string | Uint8Array): void => {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    mkdirSync(dirname(join(out, path)), { recursive: true });
    writeFileSync(join(out, path), bytes);
    files.push({ path, size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") });
  };
  const runner = await CaseRunner.create({ ...options, seed, memory, cpus }, options.prepare);
  put("symbols/vmlinux", await loadGuest("vmlinux"));
  for (const name of MODULES) put(`symbols/${name}.ko`, await loadGuest(`modules/${name}.ko`));
  const entries: CorpusEntry[] = [];
  for (let index = 0; index < cases && !signal?.aborted; index++) {
    // The signal's event gets its turn.
    await new Promise((resolve) => setImmediate(resolve));
    const entry = await writeCase(index, await runner.run(index), put, (path) => join(out, path));
    entries.push(entry);
    options.onCase?.(entry, index + 1);
  }
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  const manifest = { schema: SCHEMA_VERSION, seed, memory, cpus, cases: entries, files };
  writeFileSync(join(out, "manifest.json"), json(manifest));
  if (entries.length < cases)
    throw new CrashlabError(
      "aborted",
      `expected ${cases} cases, found the caller's signal aborted after ${entries.length}; the manifest has these`,
      { cause: signal?.reason },
    );
  return manifest;
}

async function writeCase(
  index: number,
  { fault, injection, machine }: RunCase,
  put: (path: string, content: string | Uint8Array) => void,
  place: (path: string) => string,
): Promise<CorpusEntry> {
  const folder = `cases/${String(index).padStart(6, "0")}`;
  const { truth } = injection;
  const label = labelOf(truth);
  const reports = await Promise.all(machine.reports.map((report) => machine.decode(report)));
  put(`${folder}/console.log`, `${injection.console.join("\n")}\n`);
  put(`${folder}/report.json`, json({ schema: SCHEMA_VERSION, reports }));
  put(
    `${folder}/truth.json`,
    json({ schema: SCHEMA_VERSION, fault: fault.name, summary: fault.summary, label, truth }),
  );
  const entry = { index, folder, fault: fault.name, label };
  try {
    const stream = await machine.kdump.capture({ format: "kdump-compressed", dumpLevel: DUMP_LEVEL });
    await stream.save(place(`${folder}/vmcore`));
    put(`${folder}/vmcore`, readFileSync(place(`${folder}/vmcore`)));
    return entry;
  } catch (error) {
    // The fault may have taken what a dump needs: page tables, the kernel's own description of itself.
    if (!(error instanceof CrashlabError)) throw error;
    return { ...entry, noVmcore: error.message };
  }
}

/** Nothing of it comes from the console. */
export function labelOf({ outcome, ending, events, exception }: Truth): Label {
  const [first] = events;
  const cause = first === undefined ? undefined : exception;
  return {
    outcome,
    ending,
    ...(first === undefined ? {} : { event: first.kind }),
    ...(cause === undefined ? {} : { vector: cause.vector, rip: hex(cause.rip) }),
    ...(cause?.vector === PF ? { cr2: hex(cause.cr2) } : {}),
  };
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}

function json(value: unknown): string {
  return `${JSON.stringify(plain(value), null, 2)}\n`;
}
