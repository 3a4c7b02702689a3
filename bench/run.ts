/**
 * npm run bench -- [--quick] [--no-peers] [--out FILE] [NAME...]
 *
 * NAME is a part (crashes, programs, state, start, size, kfence, stock) or a guest program (alu, fib, ...); without one everything runs.
 * The result goes to bench/results/ as JSON. bench/README.md says how to read it.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { coreSize, machineFacts } from "./facts.ts";
import { buildGuest } from "./guest/build.ts";
import { runCrashes } from "./suites/crashes.ts";
import { runKfence } from "./suites/kfence.ts";
import { type ProgramsResult, runPrograms } from "./suites/programs.ts";
import { runStart } from "./suites/start.ts";
import { runState } from "./suites/state.ts";
import { runStock } from "./suites/stock.ts";

const PARTS = ["crashes", "programs", "state", "start", "size", "kfence", "stock"] as const;
type Part = (typeof PARTS)[number];
const PROGRAMS: readonly string[] =
  "alu sieve memloop memrep chase qsort crc32 fib vm sha256 mix xpage pfault int80 pio syscall".split(" ");
const QUICK: readonly string[] = ["fib", "sha256", "memrep", "pfault", "syscall"];

function usage(message: string): never {
  console.error(`bench: ${message}`);
  console.error("usage: npm run bench -- [--quick] [--no-peers] [--out FILE] [NAME...]");
  console.error(`NAME: ${PARTS.join(", ")}, or a program: ${PROGRAMS.join(", ")}`);
  process.exit(2);
}

function options(): { quick: boolean; peers: boolean; out: string | undefined; names: string[] } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: "boolean" },
        "no-peers": { type: "boolean" },
        out: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
    if (values.help) {
      console.log("usage: npm run bench -- [--quick] [--no-peers] [--out FILE] [NAME...]");
      console.log(`NAME: ${PARTS.join(", ")}, or a program: ${PROGRAMS.join(", ")}`);
      process.exit(0);
    }
    return {
      quick: values.quick ?? false,
      peers: !values["no-peers"],
      out: values.out,
      names: positionals,
    };
  } catch (error) {
    usage(error instanceof Error ? error.message : String(error));
  }
}

const { quick, peers, out, names } = options();
const isPart = (name: string): name is Part => (PARTS as readonly string[]).includes(name);
for (const name of names)
  if (!isPart(name) && !PROGRAMS.includes(name)) usage(`expected a part or a program, found "${name}"`);
const chosen: readonly string[] = names.filter((name) => !isPart(name));
const wants = (part: Part): boolean =>
  names.length === 0 || names.includes(part) || (part === "programs" && chosen.length > 0);

const number = (value: number | undefined, digits: number): string =>
  value === undefined || Number.isNaN(value) ? "-" : value.toFixed(digits);

function printPrograms(result: ProgramsResult): void {
  console.log(`\n${"program".padEnd(9)}    M insn  CPU s   MIPS   time/qemu  time/v86  rate`);
  for (const p of result.programs) {
    const ratio = (seconds: number | undefined): string =>
      number(seconds === undefined || seconds === 0 ? undefined : p.seconds / seconds, 2);
    console.log(
      p.program.padEnd(9),
      number(p.instructions / 1e6, 1).padStart(9),
      number(p.seconds, 3).padStart(6),
      number(p.mips, 0).padStart(6),
      ratio(p.qemuSeconds).padStart(11),
      ratio(p.v86Seconds).padStart(9),
      p.rate === undefined ? "" : ` ${number(p.rate.value, 2)} ${p.rate.unit}`,
    );
  }
  console.log(
    "mean     ",
    number(result.geometricMeanMips, 0).padStart(23),
    number(result.timeOverQemu, 2).padStart(11),
    number(result.timeOverV86, 2).padStart(9),
    " (geometric; MIPS without memrep)",
  );
  for (const peer of Object.values(result.peers)) console.log(`peer: ${peer}`);
}

const machine = machineFacts();
console.log(
  `${machine.cpu}, ${machine.cpuCount} CPUs, load ${machine.load.toFixed(1)}, Node ${machine.node}`,
);
buildGuest();
const report: Record<string, unknown> = { schema: 1, machine, quick };
if (wants("crashes")) {
  const crashes = await runCrashes(quick);
  report["crashes"] = crashes;
  console.log(
    `crashes a second on one core: ${number(crashes.perSecond, 0)} (median ${number(crashes.medianPerSecond, 0)}; ` +
      `a fork for each: ${number(crashes.forksPerSecond, 0)})\n` +
      `boot to the prompt: CPU ${number(crashes.bootMs, 0)} ms (the first ${number(crashes.firstBootMs, 0)} ms)`,
  );
}
if (wants("size")) {
  const size = coreSize();
  report["core"] = size;
  console.log(`core.wasm: ${size.bytes} bytes, ${size.gzipped} gzipped`);
}
if (wants("programs")) {
  const only = chosen.length > 0 ? chosen : quick ? QUICK : [];
  const result = await runPrograms({ only, peers });
  report["programs"] = result;
  printPrograms(result);
}
if (wants("state")) {
  const state = await runState(quick);
  report["state"] = state;
  console.log(
    `\n128 MiB, ${state.dirtyPages} dirty pages: restore in place ${number(state.restoreMs, 2)} ms, ` +
      `snapshot ${number(state.snapshotMs, 2)} ms, fork ${number(state.forkMs, 2)} ms`,
  );
}
if (wants("start") && process.platform === "linux") {
  const start = await runStart(true, quick ? 1 : 5);
  report["start"] = start;
  console.log(
    `process start to first console byte: ${number(start.firstByteMs, 0)} ms (CPU ${number(start.firstByteCpuMs, 0)} ms); ` +
      `peak resident memory at the prompt ${number(start.residentMiB, 0)} MiB`,
  );
}
if (wants("kfence")) {
  const kfence = await runKfence(quick);
  report["kfence"] = kfence;
  for (const { sampleInterval, ratio, samples } of kfence.intervals)
    console.log(
      `KFENCE every ${sampleInterval} ms: ${number(ratio, 4)} of ${number(kfence.instructions / 1e6, 0)} M instructions, ` +
        `${samples} samples`,
    );
}
const stock = wants("stock") ? await runStock(peers) : undefined;
if (stock !== undefined) {
  report["stock"] = stock;
  console.log(
    `Debian's kernel to its shell: ${number(stock.seconds, 2)} s, ${number(stock.mips, 0)} MIPS ` +
      `(unpacking ${number(stock.unpackSeconds, 2)} s); QEMU ${number(stock.qemuSeconds, 2)} s`,
  );
}
const folder = fileURLToPath(new URL("results", import.meta.url));
const file =
  out === undefined
    ? resolve(folder, `${machine.date.slice(0, 19).replaceAll(":", "")}${quick ? "-quick" : ""}.json`)
    : resolve(out);
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
console.log(`\nresults: ${file}`);
