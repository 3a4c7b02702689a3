/**
 * Dumps of a machine of 256 MiB, half of which has something in it: what the host's capture writes a second, to nowhere
 * and to a file, and how large each dump level makes the file. Rates are of CPU time (`cpu`) and of the clock.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { boot, faults, type Machine } from "../../bindings/index.ts";
import type { CaptureOptions } from "../../bindings/vmcore/index.ts";

const MIB = 1 << 20;
const MEMORY = 256;
const PAGE = 4096;
const LEVELS = [0, 1, 2, 4, 8, 16, 31] as const;
const ROUNDS = 3;

export interface DumpRate {
  readonly name: string;
  readonly bytes: number;
  /** Of memory dumped, in gigabytes (10^9): the best round. */
  readonly gigabytesPerSecond: number;
  readonly gigabytesPerCpuSecond: number;
}

/** Of one dump level, in bytes: an ELF file, a kdump file not packed, one packed by zlib. */
export interface DumpSizes {
  readonly level: number;
  readonly elf: number;
  readonly plain: number;
  readonly zlib: number;
}

export interface DumpResult {
  readonly memoryBytes: number;
  readonly rates: readonly DumpRate[];
  /** Sizes of the file by dump level. */
  readonly sizes: readonly DumpSizes[];
}

async function crashed(memory: number): Promise<Machine> {
  const machine = await boot({ memory: `${memory}M` });
  await machine.sysctl.set("kernel.panic_on_oops", 1);
  await machine.inject(faults.nullDereference());
  return machine;
}

/** Something in every page of the free middle of memory, half of it as random as packed data is; tables are at the end. */
function fill(machine: Machine): void {
  const page = new Uint8Array(PAGE);
  let state = 1;
  for (let at = 64 * MIB; at < (MEMORY - 64) * MIB; at += PAGE) {
    for (let index = 0; index < PAGE / 2; index++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      page[index] = state >>> 24;
    }
    machine.core.writePhysical(BigInt(at), page);
  }
}

async function rate(name: string, rounds: number, write: () => Promise<number>): Promise<DumpRate> {
  const memory = MEMORY * MIB;
  let [wall, cpu, bytes] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0];
  for (let round = 0; round < rounds; round++) {
    const [usage, started] = [process.cpuUsage(), performance.now()];
    bytes = await write();
    const used = process.cpuUsage(usage);
    wall = Math.min(wall, (performance.now() - started) / 1e3);
    cpu = Math.min(cpu, (used.user + used.system) / 1e6);
  }
  return { name, bytes, gigabytesPerSecond: memory / wall / 1e9, gigabytesPerCpuSecond: memory / cpu / 1e9 };
}

export async function runDump(quick: boolean): Promise<DumpResult> {
  const folder = mkdtempSync(join(tmpdir(), "crashlab-bench-"));
  const path = join(folder, "vmcore");
  try {
    const machine = await crashed(MEMORY);
    const plain = await sizes(machine, path, quick ? [0, 31] : LEVELS);
    fill(machine);
    const read = async (options: CaptureOptions): Promise<number> => {
      let bytes = 0;
      for await (const piece of await machine.kdump.capture(options)) bytes += piece.length;
      return bytes;
    };
    const save = async (options: CaptureOptions): Promise<number> => {
      await (await machine.kdump.capture(options)).save(path);
      return statSync(path).size;
    };
    const rounds = quick ? 2 : ROUNDS;
    const packed = { format: "kdump-compressed" } as const;
    return {
      memoryBytes: MEMORY * MIB,
      rates: [
        await rate("ELF, read", rounds, () => read({})),
        await rate("ELF, to a file", rounds, () => save({})),
        await rate("kdump, not packed, to a file", rounds, () => save({ ...packed, compression: "none" })),
        await rate("kdump, zlib, to a file", Math.min(rounds, 2), () => save(packed)),
      ],
      sizes: plain,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Of the machine as it crashed, most of its memory free. */
async function sizes(machine: Machine, path: string, levels: readonly number[]): Promise<DumpSizes[]> {
  const size = async (options: CaptureOptions): Promise<number> => {
    await (await machine.kdump.capture(options)).save(path);
    return statSync(path).size;
  };
  const result: DumpSizes[] = [];
  for (const dumpLevel of levels) {
    const packed = { dumpLevel, format: "kdump-compressed" } as const;
    const plain = await size({ ...packed, compression: "none" });
    result.push({ level: dumpLevel, elf: await size({ dumpLevel }), plain, zlib: await size(packed) });
  }
  return result;
}
