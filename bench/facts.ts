/** What a result must say about the machine it was measured on. */
import { readFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { gzipSync } from "node:zlib";

export interface MachineFacts {
  readonly date: string;
  readonly cpu: string;
  readonly cpuCount: number;
  readonly memoryMiB: number;
  /** Load average over a minute when the run began: above cpuCount, trust ratios only. */
  readonly load: number;
  readonly node: string;
  readonly v8: string;
  readonly platform: string;
}

export function machineFacts(): MachineFacts {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cpuCount: cpus().length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    load: loadavg()[0] ?? 0,
    node: process.version,
    v8: process.versions.v8,
    platform: `${process.platform}-${process.arch}`,
  };
}

export interface CoreSize {
  readonly bytes: number;
  readonly gzipped: number;
}

export function coreSize(): CoreSize {
  const wasm = readFileSync(new URL("../build/core.wasm", import.meta.url));
  return { bytes: wasm.length, gzipped: gzipSync(wasm, { level: 9 }).length };
}
