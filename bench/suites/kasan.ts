/**
 * What KASAN costs: the same guest programs without it, twice (so that noise shows), checked by the processor, and
 * checked by compiled code, in turns. Instrumented builds take part when they are there.
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

const WAYS: { readonly [way: string]: KasanOptions | undefined } = {
  plain: undefined,
  off: undefined,
  core: { mode: "generic" },
  outline: { mode: "generic", check: "compiler" },
  inline: { mode: "generic", check: "compiler", build: "inline" },
};

export interface KasanResult {
  /** CPU milliseconds of a program's best round in the plain kernel, and each way's over it. */
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

export async function runKasan(quick: boolean): Promise<KasanResult> {
  const { machines, missing } = await bootWays();
  const programs = [];
  const total = new Map<string, Cost>();
  for (const [program, command] of Object.entries(PROGRAMS)) {
    const best = new Map<string, Cost>();
    for (let round = 0; round < (quick ? 4 : 16); round++) {
      // To and fro, so that no way always follows the same other.
      const turns = [...machines];
      for (const [way, machine] of round % 2 === 0 ? turns : turns.reverse()) {
        const cost = await measure(machine, command);
        const known = best.get(way);
        // The first round is a warm-up: code is compiled, stacks are met for the first time.
        if (round > 0 && (known === undefined || cost.ms < known.ms)) best.set(way, cost);
      }
    }
    for (const [way, { ms, instructions }] of best) {
      const sum = total.get(way) ?? { ms: 0, instructions: 0 };
      total.set(way, { ms: sum.ms + ms, instructions: sum.instructions + instructions });
    }
    programs.push({ program, plainMs: (best.get("plain")?.ms ?? 0) / REPEAT, ...ratios(best) });
  }
  const plain = available(machines.get("plain") as Machine);
  const core = available(machines.get("core") as Machine);
  return {
    programs,
    ...ratios(total),
    missing,
    shadow: 1 / 8,
    memory: (plain.free - core.free) / plain.all,
  };
}

function ratios(costs: ReadonlyMap<string, Cost>): {
  time: { [way: string]: number };
  instructions: { [way: string]: number };
} {
  const plain = costs.get("plain") ?? { ms: 0, instructions: 0 };
  const others = [...costs].filter(([way]) => way !== "plain");
  return {
    time: Object.fromEntries(others.map(([way, { ms }]) => [way, ms / plain.ms])),
    instructions: Object.fromEntries(
      others.map(([way, { instructions }]) => [way, instructions / plain.instructions]),
    ),
  };
}

/** The result as a table. */
export function kasanLines(result: KasanResult): string[] {
  const ways = Object.keys(result.time);
  const cells = ({ time, instructions }: Pick<KasanResult, "time" | "instructions">): string =>
    ways.map((way) => `${time[way]?.toFixed(2)} (${instructions[way]?.toFixed(2)})`.padStart(14)).join("");
  return [
    "",
    "KASAN: time over the plain kernel's (instructions)",
    `${"program".padEnd(9)}  plain ms${ways.map((way) => way.padStart(14)).join("")}`,
    ...result.programs.map((p) => `${p.program.padEnd(9)} ${p.plainMs.toFixed(2).padStart(9)}${cells(p)}`),
    `${"all".padEnd(19)}${cells(result)}`,
    ...result.missing.map((build) => `no ${build} build: npm run build:guest -- --kasan=${build}`),
    `memory: the shadow ${100 * result.shadow} % of it, with what else KASAN sets up ${(100 * result.memory).toFixed(1)} %`,
  ];
}
