/**
 * The memory of ramoops, Linux's store of messages that outlive the kernel: what a zone of RAM, read from a machine,
 * a dump or /dev/mem, still knows. Nothing in it is trusted; damage is told, never thrown.
 *
 *     dmesg records, record_size each | console | ftrace | pmsg
 *     each: +0 "DBGC"  +4 u32 start  +8 u32 size  +12 data, a ring
 *     a dmesg record: "====SECONDS.MICROSECONDS-D\n" (-C: deflated), "Panic#1 Part1\n", log lines with levels
 *
 * Linux fs/pstore/ram.c, ram_core.c, Documentation/admin-guide/ramoops.rst.
 */
import { inflateSync } from "fflate";
import { parseReports } from "./parse.ts";
import type { CrashReport } from "./types.ts";

const SIGNATURE = 0x43474244;
const HEADER = 12;
const MIN_ZONE = 4096;
const MAX_RECORDS = 1024;
/** Deflated records grow by about four; none by more than this. */
const MAX_TEXT = 1 << 22;

/** Sizes of the parts in bytes, as the parameters of the same names: rounded down to powers of two. */
export interface RamoopsLayout {
  readonly recordSize?: number;
  readonly consoleSize?: number;
  readonly ftraceSize?: number;
  readonly pmsgSize?: number;
}

/** One file of /sys/fs/pstore. */
export interface PstoreRecord {
  /** As the file is called: `dmesg-ramoops-0`. */
  readonly name: string;
  readonly type: "dmesg" | "console" | "ftrace" | "pmsg";
  /** Place among the records of its type, from 0. */
  readonly id: number;
  /** What the file has in it: for dmesg from `Panic#1 Part1` on. */
  readonly text: string;
  /** Why the log was kept: `Oops`, `Panic`, `Emergency`, `Shutdown`. Of dmesg records, as the rest. */
  readonly reason?: string;
  /** Number of the dump since that kernel booted, from 1. */
  readonly count?: number;
  /** From 1, the newest messages. */
  readonly part?: number;
  /** Unix time in seconds at which it was written. */
  readonly time?: number;
  /** Crash reports in the text. */
  readonly reports: readonly CrashReport[];
  /** What is damaged. */
  readonly problems: readonly string[];
}

/**
 * The records that a ramoops zone has, in the order of its parts; empty and foreign zones have none.
 *
 * @example
 * const records = readRamoops(zone, { recordSize: 0x10000, consoleSize: 0x10000 });
 */
export function readRamoops(zone: Uint8Array, layout: RamoopsLayout = {}): PstoreRecord[] {
  const [record, console, ftrace, pmsg] = [
    layout.recordSize,
    layout.consoleSize,
    layout.ftraceSize,
    layout.pmsgSize,
  ].map((size) => part(size)) as [number, number, number, number];
  const size = powerOfTwo(zone.length);
  const dumps = size - console - ftrace - pmsg;
  if (record === 0 || dumps < record) return [];
  const count = Math.min(Math.floor(dumps / record), MAX_RECORDS);
  const records: PstoreRecord[] = [];
  let at = 0;
  const take = (type: PstoreRecord["type"], id: number, length: number): void => {
    const found = length === 0 ? undefined : readZone(zone.subarray(at, at + length));
    at += length;
    if (found === undefined) return;
    records.push(type === "dmesg" ? dumpOf(id, found) : plain(type, id, found));
  };
  for (let id = 0; id < count; id++) take("dmesg", id, record);
  take("console", 0, console);
  take("ftrace", 0, ftrace);
  take("pmsg", 0, pmsg);
  return records;
}

function part(size = MIN_ZONE): number {
  const rounded = powerOfTwo(size);
  return rounded === 0 ? 0 : Math.max(rounded, MIN_ZONE);
}

function powerOfTwo(size: number): number {
  return Number.isFinite(size) && size >= 1 ? 2 ** Math.floor(Math.log2(size)) : 0;
}

interface Found {
  readonly bytes: Uint8Array;
  readonly problems: readonly string[];
}

/** The content of one zone, oldest byte first; undefined when there is none. */
function readZone(zone: Uint8Array): Found | undefined {
  if (zone.length <= HEADER) return undefined;
  const view = new DataView(zone.buffer, zone.byteOffset, zone.length);
  if (view.getUint32(0, true) !== SIGNATURE) return undefined;
  const data = zone.subarray(HEADER);
  const [start, size] = [view.getUint32(4, true), view.getUint32(8, true)];
  if (size === 0 && start === 0) return undefined;
  if (size > data.length || start > size) {
    const problem = `expected start <= size <= ${data.length}, found start ${start}, size ${size}; the zone is given whole`;
    return { bytes: data, problems: [problem] };
  }
  const bytes = new Uint8Array(size);
  bytes.set(data.subarray(start, size));
  bytes.set(data.subarray(0, start), size - start);
  return { bytes, problems: [] };
}

function plain(type: PstoreRecord["type"], id: number, { bytes, problems }: Found): PstoreRecord {
  const text = type === "ftrace" ? "" : latin(bytes);
  return { name: `${type}-ramoops-${id}`, type, id, text, reports: parseReports(text), problems };
}

const STAMP = /^====(\d{1,15})\.(\d{1,9})-([CD])\n/;

function dumpOf(id: number, { bytes, problems: found }: Found): PstoreRecord {
  const problems = [...found];
  const stamp = STAMP.exec(latin(bytes.subarray(0, 64)));
  let body = bytes.subarray(stamp?.[0].length ?? 0);
  if (stamp === null) problems.push("expected ====SECONDS.MICROSECONDS-D in front, found none");
  if (stamp?.[3] === "C") {
    try {
      body = inflateSync(body, { out: new Uint8Array(MAX_TEXT) });
    } catch {
      problems.push("expected deflated text, found it damaged");
      body = new Uint8Array(0);
    }
  }
  const text = latin(body);
  const head = /^([A-Z][a-z]{2,15})#(\d{1,9}) Part(\d{1,9})\n/.exec(text);
  if (head === null) problems.push("expected a first line such as Panic#1 Part1, found none");
  return {
    name: `dmesg-ramoops-${id}`,
    type: "dmesg",
    id,
    text,
    ...(head === null ? {} : { reason: head[1] ?? "", count: Number(head[2]), part: Number(head[3]) }),
    ...(stamp === null ? {} : { time: Number(stamp[1]) + Number(`0.${stamp[2]}`) }),
    reports: parseReports(text),
    problems,
  };
}

function latin(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
