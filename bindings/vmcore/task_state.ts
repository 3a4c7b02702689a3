/** What a task is doing, and how much memory it has. Mirrors Linux include/linux/sched.h and mm/util.c. */
import type { Program } from "./program.ts";
import type { Value } from "./value.ts";

const PF_KTHREAD = 0x200000n;
const TASK_NOLOAD = 0x400n;

export function isKernelThread(flags: bigint): boolean {
  return (flags & PF_KTHREAD) !== 0n;
}

/** Bits of task_struct.__state and exit_state, in the order in which they are looked for. */
const STATES: readonly (readonly [bigint, string])[] = [
  [1n, "IN"],
  [2n, "UN"],
  [4n, "ST"],
  [8n, "TR"],
  [0x10n, "DE"],
  [0x20n, "ZO"],
  [0x40n, "PA"],
  [0x80n, "DE"],
  [0x200n, "WA"],
  [0x800n, "NE"],
];

/** Two letters for the state of a task, as crash has them. */
export async function taskState(task: Value): Promise<string> {
  const state = await task.either("__state", "state").u64();
  const exit = await task.member("exit_state").u64();
  if ((state & 2n) !== 0n && (state & TASK_NOLOAD) !== 0n) return "ID";
  const all = state | exit;
  return STATES.find(([bit]) => (all & bit) !== 0n)?.[1] ?? "RU";
}

const RESIDENT_KINDS = ["MM_FILEPAGES", "MM_ANONPAGES", "MM_SHMEMPAGES"] as const;

function residentKinds(program: Program): number[] {
  return RESIDENT_KINDS.flatMap((kind) => {
    const index = program.types.enumerator(kind);
    return index === undefined ? [] : [Number(index)];
  });
}

/** Until 6.1 each thread keeps up to 64 pages to itself before it adds them to those of the address space. */
export async function readUncountedPages(program: Program, task: Value): Promise<number> {
  if (!task.has("rss_stat.count")) return 0;
  let pages = 0;
  for (const kind of residentKinds(program)) pages += await task.member("rss_stat.count").at(kind).number();
  return pages;
}

/** Pages in memory of an address space: file, anonymous and shared ones. */
export async function readResidentPages(program: Program, mm: Value): Promise<number> {
  let pages = 0;
  for (const kind of residentKinds(program)) {
    const perCpu = !mm.has("rss_stat.count");
    const counter = (perCpu ? mm.member("rss_stat") : mm.member("rss_stat.count")).at(kind);
    // A percpu_counter since 6.2: its sum so far, and what each CPU has not added yet.
    pages += await counter.member(counter.has("counter") ? "counter" : "count").number();
    if (!perCpu) continue;
    const counters = await counter.member("counters").u64();
    for (const cpu of await program.onlineCpus()) {
      const bytes = await program.memory.tryRead(counters + (await program.perCpuOffset(cpu)), 4);
      if (bytes !== undefined) pages += new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true);
    }
  }
  return pages;
}
