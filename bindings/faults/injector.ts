/** Runs a fault on a machine, and says what came of it. */
import type { Exit } from "../core/exit.ts";
import { CrashlabError } from "../error.ts";
import type { DiskFault } from "../machine/disk.ts";
import type { RunLimits } from "../machine/limits.ts";
import type { Machine } from "../machine/machine.ts";
import { resolvePlace } from "../machine/places.ts";
import type { Stops } from "../machine/stops.ts";
import type { SymbolTable } from "../symbols/table.ts";
import { applyChange } from "./change.ts";
import type {
  ChangeRecord,
  Ending,
  Fault,
  Injection,
  Instant,
  KernelEvent,
  MachineFault,
  Moment,
  Outcome,
} from "./fault.ts";
import { Witness } from "./witness.ts";

/** Processes, a pipe, a file, a directory, the console: what a guest does while it is broken, unless told otherwise. */
export const WORKLOAD: string = "sh -c 'ls /' | cat > /tmp/listing; cat /tmp/listing; cat /proc/uptime";
/** After a change the guest must still answer. */
const PROBE = "cat /proc/version";
const BUDGET = 2e9;
/** Taint that only a report brings: M, B, D, W, L (Linux Documentation/admin-guide/tainted-kernels.rst). */
const TROUBLE = (1n << 4n) | (1n << 5n) | (1n << 7n) | (1n << 9n) | (1n << 14n);

/** What the injector needs of a machine beside its public side. */
export interface InjectionHost {
  readonly machine: Machine;
  readonly stops: Stops;
  /** None when the kernel's file is not ELF. */
  readonly symbols: SymbolTable | undefined;
  readonly stopped: () => Exit | undefined;
  /** Takes reports that have no end yet as they are. */
  readonly flush: () => void;
  /** The disk fails so from now on. False when there is none. */
  readonly breakDisk: (fault: DiskFault) => boolean;
}

export async function injectFault(host: InjectionHost, fault: Fault, limits: RunLimits): Promise<Injection> {
  const { machine, stops, symbols } = host;
  const firstReport = machine.reports.length;
  const firstLine = machine.consoleLog.length;
  using witness = new Witness(machine.core, stops, symbols);
  const taint = witness.taint();
  const deadline = machine.time + BigInt(Math.floor(Math.min(limits.budget ?? BUDGET, 1e18)));
  let done: { readonly change: ChangeRecord; readonly when: Instant } | undefined;
  using _armed =
    "change" in fault
      ? arm(host, fault, () => {
          const when = witness.here();
          const { change } = fault;
          const made =
            change.kind === "disk"
              ? breakDisk(host, change.fault)
              : applyChange(machine.core, needSymbols(symbols), change);
          done = { change: made, when };
        })
      : undefined;
  const commands = "change" in fault ? [fault.during ?? WORKLOAD, PROBE] : fault.commands;
  const ending = await runCommands(host, commands, deadline, limits);
  host.flush();
  const taintAfter = witness.taint();
  const reports = machine.reports.slice(firstReport);
  const exceptions = witness.exceptions();
  const { events } = witness;
  const isTainted = (((taint ?? 0n) ^ (taintAfter ?? 0n)) & TROUBLE) !== 0n;
  const outcome = outcomeOf(events, isTainted, ending);
  const [report] = reports;
  return {
    outcome: reports.some(({ kind }) => kind === "panic")
      ? "panic"
      : report !== undefined
        ? "report"
        : outcome,
    truth: {
      ...done,
      outcome,
      ending,
      events,
      exception: (events[0] ?? { exception: exceptions.at(-1) }).exception,
      exceptions,
      ...(taint === undefined || taintAfter === undefined
        ? {}
        : { taint: { before: taint, after: taintAfter } }),
      time: machine.time,
    },
    ...(report === undefined ? {} : { report: await machine.decode(report) }),
    reports: reports.length,
    console: machine.consoleLog.slice(firstLine),
  };
}

function breakDisk({ breakDisk: apply }: InjectionHost, fault: DiskFault): ChangeRecord {
  const { requests = 1, sectors, bit = 0 } = fault;
  checkCount("requests", requests, 1);
  checkCount("bit", bit, 0);
  if (sectors !== undefined) checkCount("sectors.count", sectors.count, 1);
  return apply(fault) ? { kind: "disk", fault } : { kind: "disk", fault, skipped: "the machine has no disk" };
}

function outcomeOf(events: readonly KernelEvent[], tainted: boolean, ending: Ending): Outcome {
  if (events.some(({ kind }) => kind === "panic")) return "panic";
  if (events.length > 0 || tainted) return "report";
  switch (ending) {
    case "returned":
      return "clean";
    case "budget":
    case "exceptions":
    case "halted":
    case "idle":
      return "hang";
    case "triple-fault":
    case "reset":
    case "debug-exit":
      return "reset";
  }
}

async function runCommands(
  { machine, stopped }: InjectionHost,
  commands: readonly string[],
  deadline: bigint,
  limits: RunLimits,
): Promise<Ending> {
  const { exceptions: most = Infinity } = limits;
  const before = machine.core.exceptionCount;
  try {
    for (const command of commands) {
      const budget = Number(deadline > machine.time ? deadline - machine.time : 0n);
      const exceptions = most - (machine.core.exceptionCount - before);
      await machine.exec(command, { ...limits, budget, exceptions });
    }
    return "returned";
  } catch (error) {
    if (!(error instanceof CrashlabError)) throw error;
    if (error.code === "timeout")
      return machine.core.exceptionCount - before >= most ? "exceptions" : "budget";
    if (error.code !== "machine-stopped") throw error;
    return endingOf(stopped());
  }
}

function endingOf(exit: Exit | undefined): Ending {
  switch (exit?.kind) {
    case "idle":
    case "triple-fault":
    case "reset":
    case "debug-exit":
      return exit.kind;
    default:
      return "halted";
  }
}

/** Waits for the moment. */
function arm(
  { machine, stops, symbols }: InjectionHost,
  { when }: MachineFault,
  act: () => void,
): Disposable {
  const moment: Moment = when ?? { after: 0 };
  if ("time" in moment) return stops.at(moment.time, act);
  if ("after" in moment) {
    checkCount("after", moment.after, 0);
    return stops.at(machine.time + BigInt(moment.after), act);
  }
  let left = moment.hit ?? 1;
  checkCount("hit", left, 1);
  const armed = stops.breakpoint(resolvePlace(moment.place, needSymbols(symbols)), () => {
    if (--left > 0) return;
    // A guest that now runs in a circle through it need not stop each time.
    armed[Symbol.dispose]();
    act();
  });
  return armed;
}

function needSymbols(symbols: SymbolTable | undefined): SymbolTable {
  if (symbols !== undefined) return symbols;
  throw new CrashlabError("bad-kernel", "expected a kernel with symbols (a vmlinux), found one without");
}

function checkCount(name: string, value: number, low: number): void {
  if (Number.isSafeInteger(value) && value >= low) return;
  throw new CrashlabError("bad-option", `expected ${name} as a whole number from ${low}, found ${value}`);
}
