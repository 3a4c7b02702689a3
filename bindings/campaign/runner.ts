/**
 * Runs cases on forks of one machine, which is booted once and then stands still. So a case depends on nothing but the
 * seed and its number.
 */
import { createHash } from "node:crypto";
import { CrashlabError } from "../error.ts";
import type { Fault, Injection } from "../faults/fault.ts";
import { WORKLOAD } from "../faults/injector.ts";
import { Machine } from "../machine/machine.ts";
import { planFault, type Target } from "./plan.ts";

/** Of the workers that run the cases. */
export interface RunnerOptions {
  /** Any whole number from 0. Default 1. */
  readonly seed?: number;
  /** Guest memory. Default "32M". */
  readonly memory?: string;
  /** 1 to 8. Default 2. */
  readonly cpus?: number;
  /** Words for the kernel's command line. */
  readonly cmdline?: string;
  /** Guest nanoseconds of a case, after which it is called a hang. Default 200e6. */
  readonly budget?: number;
}

/** A case as the journal has it: plain JSON, addresses and values as "0x..." strings. */
export interface CaseRecord {
  readonly index: number;
  readonly fault: string;
  /** `report`, `panic`, `clean`, `hang`, `reset`; `failed` when crashlab itself did not get through. */
  readonly outcome: Injection["outcome"] | "failed";
  readonly truth?: unknown;
  /** The outcome by the machine's state alone. */
  readonly truthOutcome?: Injection["outcome"];
  readonly report?: {
    readonly title: string;
    readonly kind: string;
    readonly dedupeKey: string;
    readonly corrupted: boolean;
  };
  readonly reports?: number;
  /** SHA-256 of what the console said. */
  readonly console?: string;
  /** What went wrong in crashlab. */
  readonly error?: string;
}

/** Everything that was seen of a case while the machine still stands there. */
export interface RunCase {
  readonly fault: Fault;
  readonly injection: Injection;
  readonly machine: Machine;
}

/**
 * Exceptions of a case, after which it is called a hang too: where every instruction faults, the guest time of the budget
 * would take the host minutes. A case that comes to its end takes about fifty.
 */
const EXCEPTIONS = 100_000;
const PREPARATION = [
  "insmod /lib/modules/5.15.0/labcrash.ko",
  "insmod /lib/modules/5.15.0/mydriver.ko",
  WORKLOAD,
];

export class CaseRunner {
  /** What cases are forks of. */
  readonly machine: Machine;
  readonly target: Target;
  readonly #options: RunnerOptions;
  /** The fork of the last case. */
  #fork: Machine | undefined;

  private constructor(machine: Machine, target: Target, options: RunnerOptions) {
    this.machine = machine;
    this.target = target;
    this.#options = options;
  }

  /** Boots, loads the modules, and looks at what the workload runs through. `prepare` may change the machine once. */
  static async create(
    options: RunnerOptions = {},
    prepare?: (machine: Machine) => void,
  ): Promise<CaseRunner> {
    const { seed = 1, memory = "32M", cpus = 2, cmdline } = options;
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new CrashlabError("bad-option", `expected a seed as a whole number from 0, found ${seed}`);
    const machine = await Machine.boot({ memory, cpus, ...(cmdline === undefined ? {} : { cmdline }) });
    for (const command of PREPARATION) await machine.exec(command);
    const snapshot = machine.snapshot();
    const target = await survey(machine, cpus);
    machine.restore(snapshot);
    prepare?.(machine);
    return new CaseRunner(machine, target, options);
  }

  fault(index: number): Fault {
    return planFault(this.#options.seed ?? 1, index, this.target);
  }

  /** Runs a case to its end. Its machine stays as the case left it until the next. */
  async run(index: number): Promise<RunCase> {
    const fault = this.fault(index);
    await this.#fork?.[Symbol.asyncDispose]();
    const machine = await this.machine.fork();
    this.#fork = machine;
    const limits = { budget: this.#options.budget ?? 200e6, exceptions: EXCEPTIONS, toTheEnd: true };
    const injection = await machine.inject(fault, limits);
    return { fault, injection, machine };
  }

  /** The same for the journal; whatever goes wrong in crashlab is in the record. */
  async record(index: number): Promise<CaseRecord> {
    try {
      const { fault, injection } = await this.run(index);
      return recordOf(index, fault, injection);
    } catch (error) {
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      return { index, fault: this.fault(index).name, outcome: "failed", error: `${name}: ${message}` };
    }
  }
}

export function recordOf(
  index: number,
  fault: Fault,
  { outcome, truth, report, reports, console: lines }: Injection,
): CaseRecord {
  return {
    index,
    fault: fault.name,
    outcome,
    truthOutcome: truth.outcome,
    truth: plain(truth),
    ...(report === undefined
      ? {}
      : {
          report: {
            title: report.title,
            kind: report.kind,
            dedupeKey: report.dedupeKey,
            corrupted: report.corrupted,
          },
        }),
    reports,
    console: createHash("sha256").update(lines.join("\n")).digest("hex"),
  };
}

/** Plain JSON: bigint as "0x..." strings. */
export function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, item: unknown) =>
      typeof item === "bigint" ? `0x${BigInt.asUintN(64, item).toString(16)}` : item,
    ),
  );
}

/** How long the workload takes, and which functions of the kernel are entered on the way. */
async function survey(machine: Machine, cpus: number): Promise<Target> {
  const { symbols } = machine;
  const reached = new Set<bigint>();
  const begun = machine.time;
  {
    using _hook = machine.core.instruments.onBranch((_cpu, _from, to) => {
      if (to > KERNEL) reached.add(to);
      return undefined;
    });
    await machine.exec(WORKLOAD);
  }
  const functions = new Set<string>();
  for (const address of reached) {
    const match = symbols.lookup(address);
    // Names that stand for several functions, or are not of C, cannot be asked for.
    if (match?.offset === 0 && symbols.address(match.name) === address) functions.add(match.name);
  }
  return {
    cpus,
    duration: Number(machine.time - begun),
    functions: [...functions].sort(),
    frames: [...machine.core.touchedFrames()],
  };
}

const KERNEL = 0xffffffff80000000n;
