/**
 * Robustness: machines of 1 to 4 CPUs in random states run random code while the host does random things to them.
 * Nothing that happens inside may leave the core as a WebAssembly trap or an exception, and every slice must end.
 */
import { Core } from "../core/core.ts";
import type { Action } from "../core/input.ts";
import { decodeSnapshot, encodeSnapshot } from "../core/snapshot.ts";
import { startHostile } from "./hostile_machine.ts";
import { Random } from "./random.ts";
import { interruptible } from "./turns.ts";

/** What a run is made of. */
export interface HostileOptions {
  /** Round `n` is made from `seed + n` alone, so that a failure is repeated by its own seed. Default 1. */
  readonly seed?: number;
  /** Instructions to retire, of all rounds together. Default 1,000,000. */
  readonly instructions?: number;
  /** Ends the run early; the outcome is of what ran. */
  readonly signal?: AbortSignal;
  /** Called at the start of every round. */
  readonly onRound?: (progress: HostileProgress) => void;
}

export interface HostileProgress {
  /** The seed of the round that begins. */
  readonly seed: number;
  readonly instructions: number;
}

/** What came of it. */
export interface HostileOutcome {
  readonly rounds: number;
  /** Instructions retired. */
  readonly instructions: number;
  /** Exceptions and interrupts delivered. */
  readonly exceptions: number;
  /** How slices ended, by kind. */
  readonly exits: Readonly<Record<string, number>>;
  /** One line a failure: the seed of its round and what happened. */
  readonly failures: readonly string[];
  /** The slice that took the most processor time, in milliseconds, and the seed of its round. */
  readonly slowest: { readonly milliseconds: number; readonly seed: number };
}

const MIB = 0x100000;
/** Instructions a machine lives for at most. */
const ROUND = 400_000;
/**
 * A slice of at most 30,000 instructions that takes this much processor time has hung. One that fills a page with a
 * breakpoint in it by REP STOS takes about 3 s: 1024 elements an instruction, each looked at.
 */
const HANG_MS = 20_000;

/** Runs rounds until so many instructions have been retired. */
export async function fuzzHostile(options: HostileOptions = {}): Promise<HostileOutcome> {
  const { seed: first = 1, instructions = 1_000_000, signal, onRound } = options;
  const exits: Record<string, number> = {};
  const failures: string[] = [];
  let done = 0;
  let exceptions = 0;
  let rounds = 0;
  let slowest = { milliseconds: 0, seed: first };
  const machines = new Map<string, Core>();
  const stopped = interruptible(signal);
  while (done < instructions) {
    if (await stopped()) break;
    const seed = first + rounds++;
    onRound?.({ seed, instructions: done });
    const random = new Random(seed);
    const cpus = random.pick([1, 1, 2, 3, 4]);
    const ramBytes = random.pick([2, 4, 8]) * MIB;
    const key = `${cpus} ${ramBytes}`;
    try {
      const core = machines.get(key) ?? (await Core.create({ ramBytes, cpus, recordInputs: false }));
      machines.set(key, core);
      core.reset();
      startHostile(core, random);
      if (random.oneIn(2)) core.inject({ kind: "block-attach", sectors: BigInt(random.below(64)) });
      for (let left = ROUND; left > 0; ) {
        const budget = 1 + random.below(random.pick([10, 1000, 30_000]));
        const before = process.cpuUsage();
        const { kind } = core.run(budget);
        const used = process.cpuUsage(before);
        const milliseconds = (used.user + used.system) / 1000;
        if (milliseconds > slowest.milliseconds) slowest = { milliseconds, seed };
        if (milliseconds > HANG_MS)
          failures.push(`seed ${seed}: a slice took ${Math.round(milliseconds)} ms`);
        exits[kind] = (exits[kind] ?? 0) + 1;
        left -= budget;
        if (kind === "block" && !random.oneIn(4))
          core.inject({ kind: "block-complete", status: random.pick([0, 2]) });
        if (kind === "triple-fault" || kind === "reset" || (kind === "halted" && random.oneIn(2))) break;
        if (random.oneIn(4)) disturb(core, random);
      }
      done += Number(core.instructions);
      exceptions += core.exceptionCount;
    } catch (error) {
      // What the host asked for can be refused; what the guest does cannot fail.
      failures.push(
        `seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
      machines.delete(key);
      if (failures.length >= 20) break;
    }
  }
  return { rounds, instructions: done, exceptions, exits, failures, slowest };
}

/** Something that comes from outside. */
function disturb(core: Core, random: Random): void {
  const cpu = random.below(core.cpus);
  const actions: readonly (() => Action)[] = [
    () => ({ kind: "nmi", cpu }),
    () => ({ kind: "machine-check", cpu, check: { bank: random.below(2), status: random.u64() } }),
    () => ({ kind: "vector", cpu, vector: random.below(256) }),
    () => ({ kind: "vector", cpu, vector: random.below(256) }),
    () => ({ kind: "serial", port: random.oneIn(2) ? 0 : 1, bytes: random.bytes(random.below(100)) }),
    () => ({ kind: "doorbell-answer", result: random.u32() }),
    () => ({ kind: "doorbell-signal", high: random.oneIn(2) }),
    () => ({ kind: "block-attach", sectors: random.interesting() & 0xffffffffffn }),
    () => ({ kind: "block-complete", status: random.pick([0, 2]) }),
    () => ({ kind: "line", line: random.below(24), fault: { kind: "drop", edges: random.below(5) } }),
    () => ({
      kind: "line",
      line: random.below(24),
      fault: { kind: "delay", nanoseconds: 1 + random.below(5000) },
    }),
    () => ({
      kind: "line",
      line: random.below(24),
      fault: { kind: "storm", nanoseconds: 1 + random.below(5000) },
    }),
    () => ({ kind: "line", line: random.below(24), fault: { kind: "healthy" } }),
    () => ({ kind: "flip", address: BigInt(random.below(core.ramBytes)), bit: random.below(8) }),
    () => ({ kind: "flip", address: BigInt(random.below(0x50000)), bit: random.below(8) }),
    () => ({ kind: "freeze", cpu, frozen: random.oneIn(3) }),
    () => ({
      kind: "register",
      cpu,
      name: random.pick(["rip", "rsp", "rflags", "cr3"]),
      value: random.interesting(),
    }),
  ];
  if (random.oneIn(30)) core.restore(decodeSnapshot(encodeSnapshot(core.snapshot())));
  else core.inject(random.pick(actions)());
  if (random.oneIn(3)) {
    core.takeOutput(0);
    core.takeOutput(1);
  }
  if (random.oneIn(20)) core.translate(random.interesting());
}
