/** The parts of the benchmark: what each measures, where its result lies in the JSON, and the lines it prints. */
import { coreSize } from "./facts.ts";
import { runCrashes } from "./suites/crashes.ts";
import { runDump } from "./suites/dump.ts";
import { kasanLines, runKasan } from "./suites/kasan.ts";
import { runKfence } from "./suites/kfence.ts";
import { type ProgramsResult, runPrograms } from "./suites/programs.ts";
import { runStart } from "./suites/start.ts";
import { runState } from "./suites/state.ts";
import { runStock } from "./suites/stock.ts";

export interface BenchOptions {
  /** A few rounds of the small ones only. */
  readonly quick: boolean;
  /** QEMU and v86 take part where they are there. */
  readonly peers: boolean;
  /** Guest programs asked for by name. */
  readonly programs: readonly string[];
}

export interface Part {
  readonly name: string;
  /** For --help. */
  readonly what: string;
  /** Name in the JSON; by default `name`. */
  readonly key?: string;
  /** Undefined where what it needs is not there. */
  readonly measure: (
    options: BenchOptions,
  ) => Promise<{ readonly result: unknown; readonly lines: readonly string[] } | undefined>;
}

export const PROGRAMS: readonly string[] =
  "alu sieve memloop memrep chase qsort crc32 fib vm sha256 mix xpage pfault int80 pio smc syscall".split(
    " ",
  );
const QUICK: readonly string[] = ["fib", "sha256", "memrep", "pfault", "syscall"];

const number = (value: number | undefined, digits: number): string =>
  value === undefined || Number.isNaN(value) ? "-" : value.toFixed(digits);

export const PARTS: readonly Part[] = [
  {
    name: "crashes",
    what: "crashes a second on one core, the headline; CPU time of a boot",
    async measure({ quick }) {
      const result = await runCrashes(quick);
      return {
        result,
        lines: [
          `crashes a second on one core (fork, inject, report): ${number(result.perSecond, 0)} ` +
            `(median ${number(result.medianPerSecond, 0)})`,
          `  back to a snapshot in place instead of a fork: ${number(result.inPlacePerSecond, 0)} ` +
            `(median ${number(result.medianInPlacePerSecond, 0)}); CPU ms of a fork ${number(result.forkMs, 2)}, ` +
            `of going back ${number(result.restoreMs, 2)}`,
          `boot to the prompt: CPU ${number(result.bootMs, 0)} ms (the first ${number(result.firstBootMs, 0)} ms)`,
        ],
      };
    },
  },
  {
    name: "size",
    key: "core",
    what: "bytes of core.wasm, plain and gzipped",
    async measure() {
      const result = coreSize();
      return { result, lines: [`core.wasm: ${result.bytes} bytes, ${result.gzipped} gzipped`] };
    },
  },
  {
    name: "programs",
    what: "guest programs, beside QEMU and v86",
    async measure({ quick, peers, programs }) {
      const only = programs.length > 0 ? programs : quick ? QUICK : [];
      const result = await runPrograms({ only, peers });
      return { result, lines: programLines(result) };
    },
  },
  {
    name: "state",
    what: "restore, snapshot and fork of a machine with 1000 dirty pages",
    async measure({ quick }) {
      const result = await runState(quick);
      const both = (name: keyof typeof result.best): string =>
        `${number(result.cpu[name], 2)} (${number(result.best[name], 2)})`;
      return {
        result,
        lines: [
          `128 MiB, ${result.dirtyPages} dirty pages, CPU ms (best by the clock): restore in place ${both("restoreMs")}, ` +
            `snapshot ${both("snapshotMs")}, fork ${both("pooledForkMs")}`,
          `a fork in fresh memory: ${both("forkMs")}, where the first touch of a page takes ${both("touchUs")} us and ` +
            `memory and instance ${both("instanceMs")}`,
        ],
      };
    },
  },
  {
    name: "dump",
    what: "the host's capture of 256 MiB: GB/s, and the file's size by dump level",
    async measure({ quick }) {
      const result = await runDump(quick);
      return {
        result,
        lines: [
          `host capture of ${result.memoryBytes >> 20} MiB         GB/s  GB per CPU s     bytes`,
          ...result.rates.map(({ name, bytes, gigabytesPerSecond, gigabytesPerCpuSecond }) =>
            [
              name.padEnd(29),
              number(gigabytesPerSecond, 2).padStart(6),
              number(gigabytesPerCpuSecond, 2).padStart(13),
              String(bytes).padStart(12),
            ].join(" "),
          ),
          ...result.sizes.map(
            ({ level, elf, plain, zlib }) =>
              `-d ${String(level).padEnd(3)} ELF ${elf}, kdump ${plain}, packed by zlib ${zlib} bytes`,
          ),
        ],
      };
    },
  },
  {
    name: "start",
    what: "process start to the first console byte; resident memory (Linux)",
    async measure({ quick }) {
      if (process.platform !== "linux") return undefined;
      const result = await runStart(true, quick ? 1 : 5);
      return {
        result,
        lines: [
          `process start to first console byte: ${number(result.firstByteMs, 0)} ms ` +
            `(CPU ${number(result.firstByteCpuMs, 0)} ms); peak resident memory at the prompt ${number(result.residentMiB, 0)} MiB`,
        ],
      };
    },
  },
  {
    name: "kasan",
    what: "memory, instructions and CPU time that KASAN costs, by each way to check",
    async measure({ quick }) {
      const result = await runKasan(quick);
      return {
        result,
        lines: kasanLines(result),
      };
    },
  },
  {
    name: "kfence",
    what: "instructions that KFENCE costs",
    async measure({ quick }) {
      const result = await runKfence(quick);
      return {
        result,
        lines: result.intervals.map(
          ({ sampleInterval, ratio, samples }) =>
            `KFENCE every ${sampleInterval} ms: ${number(ratio, 4)} of ` +
            `${number(result.instructions / 1e6, 0)} M instructions, ${samples} samples`,
        ),
      };
    },
  },
  {
    name: "stock",
    what: "Debian's kernel to its shell, beside QEMU, and its crashes (needs .ci/stock)",
    async measure({ peers }) {
      const result = await runStock(peers);
      if (result === undefined) return undefined;
      return {
        result,
        lines: [
          `Debian's kernel to its shell: ${number(result.seconds, 2)} s, ${number(result.mips, 0)} MIPS ` +
            `(unpacking ${number(result.unpackSeconds, 2)} s); QEMU ${number(result.qemuSeconds, 2)} s`,
          `  a crash ${number(result.crashSeconds, 3)} s, back to the snapshot ${number(result.restoreMilliseconds, 1)} ms`,
        ],
      };
    },
  },
];

function programLines(result: ProgramsResult): string[] {
  const ratio = (seconds: number, peer: number | undefined): string =>
    number(peer === undefined || peer === 0 ? undefined : seconds / peer, 2);
  return [
    `${"program".padEnd(9)}    M insn  CPU s   MIPS   time/qemu  time/v86  rate`,
    ...result.programs.map((p) =>
      [
        p.program.padEnd(9),
        number(p.instructions / 1e6, 1).padStart(9),
        number(p.seconds, 3).padStart(6),
        number(p.mips, 0).padStart(6),
        ratio(p.seconds, p.qemuSeconds).padStart(11),
        ratio(p.seconds, p.v86Seconds).padStart(9),
        p.rate === undefined ? "" : ` ${number(p.rate.value, 2)} ${p.rate.unit}`,
      ].join(" "),
    ),
    [
      "mean     ",
      number(result.geometricMeanMips, 0).padStart(23),
      number(result.timeOverQemu, 2).padStart(11),
      number(result.timeOverV86, 2).padStart(9),
      " (geometric; MIPS without memrep and smc)",
    ].join(" "),
    ...Object.values(result.peers).map((peer) => `peer: ${peer}`),
  ];
}
