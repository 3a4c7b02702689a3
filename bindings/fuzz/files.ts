/**
 * Damaged dumps, kernels, modules and logs: whatever comes, it ends soon, in a result or a CrashlabError. All from
 * a seed for each file; inputs are those of one machine that has crashed.
 */
import { loadGuest } from "#assets";
import { CrashlabError } from "../error.ts";
import { faults } from "../faults/catalogue.ts";
import { boot } from "../machine/machine.ts";
import { parseReports } from "../report/parse.ts";
import { decodeStacktrace } from "../symbols/decode.ts";
import { SymbolTable } from "../symbols/table.ts";
import { runCommand } from "../vmcore/commands/index.ts";
import type { CaptureOptions } from "../vmcore/kdump.ts";
import { Vmcore } from "../vmcore/program.ts";
import type { RangeReader } from "../vmcore/range_reader.ts";
import { Random } from "./random.ts";
import { interruptible } from "./turns.ts";

const COMMANDS = [
  "bt -a",
  "foreach bt",
  "ps",
  "log",
  "mod",
  "vm",
  "kmem -i",
  "kmem -s",
  "sys",
  "files",
  "task",
];
/** Values that break sizes, counts and flags. */
const BYTES = [0, 1, 0x7f, 0x80, 0xff, 0x21];
/** Processor time that one file may take, in milliseconds. */
const TIME_LIMIT = 20_000;
/** Memory that the process may hold, in MiB: the inputs, the kernel's tables and what one file may take. */
const MEMORY_LIMIT = 2048;
/** Bytes at the start of a file, where the headers are. */
const HEADERS = 8192;

const KINDS = ["elf-dump", "kdump", "flattened", "vmlinux", "module", "log"] as const;
export type FileKind = (typeof KINDS)[number];

export interface FilesOptions {
  /** Of the first file; the next ones have the next. */
  readonly seed: number;
  readonly files: number;
  /** Ends the run after the file under way. */
  readonly signal?: AbortSignal;
  readonly onFile?: (progress: { readonly seed: number; readonly files: number }) => void;
}

export interface FilesOutcome {
  readonly files: number;
  /** Files that ended in a typed error, by its code. */
  readonly errors: Readonly<Record<string, number>>;
  /** Dumps and kernels that were read, with and without something damaged in them that was named. */
  readonly read: number;
  readonly withProblems: number;
  /** What must not be: another error, too much time, too much memory. */
  readonly failures: readonly string[];
  readonly slowest: { readonly seed: number; readonly kind: FileKind; readonly milliseconds: number };
  /** The most memory that the process held, in MiB. */
  readonly residentMiB: number;
}

interface Inputs {
  readonly files: { readonly [kind in FileKind]: Uint8Array };
  readonly table: SymbolTable;
}

export async function fuzzFiles(options: FilesOptions): Promise<FilesOutcome> {
  const inputs = await makeInputs();
  const errors: Record<string, number> = {};
  const failures: string[] = [];
  let [read, withProblems, residentMiB] = [0, 0, 0];
  let slowest: FilesOutcome["slowest"] = { seed: options.seed, kind: "log", milliseconds: 0 };
  const stopped = interruptible(options.signal);
  let file = 0;
  for (; file < options.files; file++) {
    if (await stopped()) break;
    const seed = options.seed + file;
    const random = new Random(seed);
    const kind = KINDS[seed % KINDS.length] ?? "log";
    const before = process.cpuUsage();
    try {
      const problems = await readDamaged(kind, inputs, random);
      read++;
      if (problems > 0) withProblems++;
    } catch (error) {
      if (error instanceof CrashlabError) errors[error.code] = (errors[error.code] ?? 0) + 1;
      else failures.push(`seed ${seed}, ${kind}: ${error instanceof Error ? error.stack : error}`);
    }
    const used = process.cpuUsage(before);
    const milliseconds = (used.user + used.system) / 1e3;
    if (milliseconds > slowest.milliseconds) slowest = { seed, kind, milliseconds };
    if (milliseconds > TIME_LIMIT) failures.push(`seed ${seed}, ${kind}: ${milliseconds.toFixed(0)} ms`);
    const resident = process.memoryUsage.rss() / 2 ** 20;
    if (resident > MEMORY_LIMIT && residentMiB <= MEMORY_LIMIT)
      failures.push(`seed ${seed}, ${kind}: ${resident.toFixed(0)} MiB of memory`);
    residentMiB = Math.max(residentMiB, resident);
    options.onFile?.({ seed, files: file + 1 });
  }
  return { files: file, errors, read, withProblems, failures, slowest, residentMiB };
}

/** One crash in all forms, and the files that go with it. */
async function makeInputs(): Promise<Inputs> {
  await using machine = await boot({ memory: "64M" });
  await machine.sysctl.set("kernel.panic_on_oops", 1);
  await machine.inject(faults.nullDereference());
  const dump = async (options: CaptureOptions): Promise<Uint8Array> => {
    const pieces: Uint8Array[] = [];
    for await (const piece of await machine.kdump.capture(options)) pieces.push(piece);
    return new Uint8Array(Buffer.concat(pieces));
  };
  const vmlinux = await loadGuest("vmlinux");
  return {
    table: SymbolTable.fromElf(vmlinux),
    files: {
      "elf-dump": await dump({ dumpLevel: 31 }),
      kdump: await dump({ dumpLevel: 31, format: "kdump-compressed" }),
      flattened: await dump({ dumpLevel: 31, format: "kdump-compressed", flattened: true }),
      vmlinux,
      module: await loadGuest("modules/mydriver.ko"),
      log: new TextEncoder().encode(machine.consoleLog.join("\n")),
    },
  };
}

/** How many problems were named. */
async function readDamaged(kind: FileKind, { files, table }: Inputs, random: Random): Promise<number> {
  const bytes = files[kind];
  switch (kind) {
    case "elf-dump":
    case "kdump":
    case "flattened":
      return readDump(damagedReader(bytes, random), table, random);
    case "vmlinux":
    case "module":
      return readKernel(damagedBytes(bytes, random), random);
    case "log":
      return readLog(new TextDecoder().decode(damagedBytes(bytes, random)), table, random);
    default:
      return kind satisfies never;
  }
}

interface Damage {
  readonly size: number;
  readonly changes: readonly (readonly [at: number, value: number])[];
}

/** Some bytes are others, or the end is missing. Half of the damage hits the headers, where it does most. */
function damage(bytes: Uint8Array, random: Random): Damage {
  const size = random.oneIn(4) ? random.below(bytes.length) : bytes.length;
  const place = (): number => random.below(random.oneIn(2) ? Math.min(HEADERS, bytes.length) : bytes.length);
  const changes = Array.from({ length: 1 + random.below(8) }, () => [place(), random.pick(BYTES)] as const);
  return { size, changes };
}

function damagedBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const { size, changes } = damage(bytes, random);
  const result = bytes.slice(0, size);
  for (const [at, value] of changes) if (at < size) result[at] = value;
  return result;
}

/** The same without a copy of the file. */
function damagedReader(bytes: Uint8Array, random: Random): RangeReader {
  const { size, changes } = damage(bytes, random);
  return {
    size,
    async read(offset, length) {
      const part = bytes.slice(offset, Math.min(offset + length, size));
      for (const [at, value] of changes)
        if (at >= offset && at < offset + part.length) part[at - offset] = value;
      return part;
    },
  };
}

async function readDump(reader: RangeReader, table: SymbolTable, random: Random): Promise<number> {
  const program = await (await Vmcore.open(reader)).program(table);
  const task = await program.crashedTask();
  const files = { vmlinux: "vmlinux", vmcore: "vmcore", modules: new Map() };
  const context = { program, task, ...files, lines: async () => table };
  await runCommand(context, random.pick(COMMANDS));
  return program.problems.length;
}

function readKernel(bytes: Uint8Array, random: Random): number {
  const symbols = SymbolTable.fromElf(bytes);
  symbols.types.find("struct", "task_struct");
  symbols.types.enumerator("NR_FREE_PAGES");
  symbols.frames(symbols.address("panic") ?? 0n);
  symbols.frames(0xffffffff81000000n + BigInt(random.below(0x40000)));
  return 0;
}

/** Lines lost, doubled and swapped besides. */
function readLog(text: string, table: SymbolTable, random: Random): number {
  const lines = text.split("\n");
  for (let left = random.below(8); left > 0; left--) {
    const [a, b] = [random.below(lines.length), random.below(lines.length)];
    if (random.oneIn(3)) lines.splice(a, 1 + random.below(5));
    else if (random.oneIn(2))
      lines.splice(a, 0, ...Array.from({ length: 1 + random.below(20) }, () => lines[b] ?? ""));
    else [lines[a], lines[b]] = [lines[b] ?? "", lines[a] ?? ""];
  }
  const log = lines.join("\n");
  decodeStacktrace(log, { vmlinux: table, modules: new Map() });
  return parseReports(log).reduce((sum, report) => sum + report.problems.length, 0);
}
