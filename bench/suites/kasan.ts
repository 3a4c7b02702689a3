/**
 * What KASAN costs: the same guest programs without it, twice (so that noise shows), checked by the processor, and
 * checked by compiled code. Instrumented builds take part when they are there.
 *
 * In each round every program runs on every machine, in an order that changes: who comes first finds the host's caches
 * full of something else. A way's figure is the median, over the rounds, of its CPU time over the plain kernel's in the same
 * round: what disturbs the host for a while disturbs both. The first rounds are not counted: code is compiled, stacks are met for the first time, and
 * the quarantine fills.
 */
import { boot, CrashlabError, type KasanOptions, type Machine } from "../../bindings/index.ts";

/** All of them are the kernel's work for the most part; `loop` is the shell's too. */
const PROGRAMS: { readonly [name: string]: string } = {
  pipes: "echo a b | cat | cat; echo a b | cat | cat; echo a b | cat | cat",
  files: "cat /bin/sh > /tmp/a; cat /tmp/a > /tmp/b; wc /tmp/b; rm /tmp/a; rm /tmp/b",
  list: "ls -l /bin /proc /dev /lib/modules/5.15.0",
  proc: "cat /proc/meminfo /proc/modules /proc/cpuinfo /proc/version",
  module: "insmod mydriver; cat /dev/mydriver | wc; rmmod mydriver",
  loop: "for i in $(seq 300); do echo $i; done | wc",
};
const REPEAT = 4;
const WARM_UP = 6;

const WAYS: { readonly [way: string]: KasanOptions | undefined } = {
  plain: undefined,
  off: undefined,
  core: { mode: "generic" },
  outline: { mode: "generic", check: "compiler" },
  inline: { mode: "generic", check: "compiler", build: "inline" },
};

export interface KasanResult {
  /** CPU milliseconds that a program takes in the plain kernel, and each way's over them: medians of all rounds. */
  readonly programs: readonly {
    readonly program: string;
    readonly plainMs: number;
    readonly time: { readonly [way: string]: number };
    readonly instructions: { readonly [way: string]: number };
  }[];
  /** All programs together. */
  readonly time: { readonly [way: string]: number };
  readonly instructions: { readonly [way: string]: number };
  /** Builds that are not there. */
  readonly missing: readonly string[];
  /** Of the machine's memory: the shadow of it, and what the kernel with KASAN has less of it after booting. */
  readonly shadow: number;
  readonly memory: number;
}

interface Cost {
  ms: number;
  instructions: number;
}

/** KiB that a kernel says are available at boot, and of how many. */
function available(machine: Machine): { free: number; all: number } {
  const [, free = "0", all = "0"] =
    /Memory: (\d+)K\/(\d+)K available/.exec(machine.consoleLog.join("\n")) ?? [];
  return { free: Number(free), all: Number(all) };
}

async function bootWays(): Promise<{ machines: Map<string, Machine>; missing: string[] }> {
  const machines = new Map<string, Machine>();
  const missing: string[] = [];
  for (const [way, kasan] of Object.entries(WAYS)) {
    try {
      machines.set(way, await boot({ ...(kasan === undefined ? {} : { kasan }), budget: 20e9 }));
    } catch (error) {
      if (!(error instanceof CrashlabError && error.code === "missing-asset")) throw error;
      missing.push(way);
    }
  }
  return { machines, missing };
}

/** One round of a program on one machine. */
async function measure(machine: Machine, command: string): Promise<Cost> {
  // The host's caches still hold another machine.
  await machine.exec(command, { budget: 100e9 });
  const before = process.cpuUsage();
  const retired = machine.instructions;
  for (let n = 0; n < REPEAT; n++) {
    const { status } = await machine.exec(command, { budget: 100e9 });
    if (status !== 0) throw new Error(`expected status 0, found ${status}: ${command}`);
  }
  const { user, system } = process.cpuUsage(before);
  return { ms: (user + system) / 1000, instructions: Number(machine.instructions - retired) };
}

type Round = ReadonlyMap<string, Cost>;

export async function runKasan(quick: boolean): Promise<KasanResult> {
  const { machines, missing } = await bootWays();
  const rounds = new Map<string, Round[]>(Object.keys(PROGRAMS).map((program) => [program, []]));
  for (let n = 0; n < WARM_UP + (quick ? 8 : 32); n++) {
    for (const [program, command] of Object.entries(PROGRAMS)) {
      const round = new Map<string, Cost>();
      for (const [way, machine] of turns([...machines], n)) round.set(way, await measure(machine, command));
      if (n >= WARM_UP) rounds.get(program)?.push(round);
    }
  }
  const all = [...rounds.values()].reduce((sums, each) => sums.map((sum, n) => added(sum, each[n])));
  const plain = available(machines.get("plain") as Machine);
  const core = available(machines.get("core") as Machine);
  return {
    programs: [...rounds].map(([program, each]) => ({
      program,
      plainMs: median(each.map((round) => round.get("plain")?.ms ?? 0)) / REPEAT,
      ...ratios(each),
    })),
    ...ratios(all),
    missing,
    shadow: 1 / 8,
    memory: (plain.free - core.free) / plain.all,
  };
}

/** Another one begins each time, and to and fro. */
function turns<T>(ways: readonly T[], round: number): T[] {
  const from = (round >> 1) % ways.length;
  const order = [...ways.slice(from), ...ways.slice(0, from)];
  return round % 2 === 0 ? order : order.reverse();
}

function added(a: Round, b: Round | undefined): Round {
  return new Map(
    [...a].map(([way, { ms, instructions }]) => {
      const more = b?.get(way);
      return [way, { ms: ms + (more?.ms ?? 0), instructions: instructions + (more?.instructions ?? 0) }];
    }),
  );
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return ((sorted[half] ?? 0) + (sorted[sorted.length - 1 - half] ?? 0)) / 2;
}

/** Medians, over the rounds, of what each way took over what the plain kernel took in the same round. */
function ratios(rounds: readonly Round[]): {
  time: { [way: string]: number };
  instructions: { [way: string]: number };
} {
  const over = (what: keyof Cost): { [way: string]: number } =>
    Object.fromEntries(
      Object.keys(WAYS)
        .filter((way) => way !== "plain" && rounds[0]?.has(way))
        .map((way) => [
          way,
          median(rounds.map((round) => (round.get(way)?.[what] ?? 0) / (round.get("plain")?.[what] ?? 0))),
        ]),
    );
  return { time: over("ms"), instructions: over("instructions") };
}

/** The result as a table. */
export function kasanLines(result: KasanResult): string[] {
  const ways = Object.keys(result.time);
  const cells = ({ time, instructions }: Pick<KasanResult, "time" | "instructions">): string =>
    ways.map((way) => `${time[way]?.toFixed(2)} (${instructions[way]?.toFixed(2)})`.padStart(14)).join("");
  return [
    "",
    "KASAN: CPU time over the plain kernel's (instructions)",
    `${"program".padEnd(9)}  plain ms${ways.map((way) => way.padStart(14)).join("")}`,
    ...result.programs.map((p) => `${p.program.padEnd(9)} ${p.plainMs.toFixed(2).padStart(9)}${cells(p)}`),
    `${"all".padEnd(19)}${cells(result)}`,
    ...result.missing.map((build) => `no ${build} build: npm run build:guest -- --kasan=${build}`),
    `memory: the shadow ${100 * result.shadow} % of it, with what else KASAN sets up ${(100 * result.memory).toFixed(1)} %`,
  ];
}
