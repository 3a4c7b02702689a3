/** The dumps that analysis is tested on: how each machine is booted and brought down. A row more is a dump more. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BootOptions, boot, faults, type Machine } from "../../bindings/index.ts";

export interface CrashRow {
  readonly name: string;
  readonly boot: BootOptions;
  bringDown(machine: Machine): Promise<void>;
  /** Nothing panicked: crash takes an idle task for the current one, and what runs it shows without registers. */
  readonly hung?: string;
}

/** Long enough for the panic of one CPU to be printed. */
const BUDGET = 50_000_000;

export const CRASHES: readonly CrashRow[] = [
  {
    name: "an oops in a module, 1 CPU",
    boot: {},
    async bringDown(machine) {
      await machine.sysctl.set("kernel.panic_on_oops", 1);
      await machine.inject(faults.nullDereference());
    },
  },
  {
    name: "a plain panic, 1 CPU",
    boot: { memory: "64M" },
    bringDown: (machine) => labcrash(machine, "p panic"),
  },
  {
    name: "a CPU that hangs with interrupts off, 1 CPU",
    boot: { memory: "64M" },
    bringDown: (machine) => labcrash(machine, "p irqoff_loop"),
    hung: "lab_irqoff_loop",
  },
];

/** Has the module labcrash do something in a context: p, the process that writes. */
async function labcrash(machine: Machine, what: string): Promise<void> {
  await machine.exec("insmod labcrash");
  await machine.write(`echo ${what} > /sys/kernel/debug/labcrash/trigger\n`);
  await machine.run({ budget: BUDGET });
}

export interface Dump {
  readonly machine: Machine;
  readonly folder: string;
  readonly vmcore: string;
  remove(): Promise<void>;
}

/** Boots, brings down, captures. */
export async function makeDump(row: CrashRow): Promise<Dump> {
  const machine = await boot(row.boot);
  await row.bringDown(machine);
  const folder = mkdtempSync(join(tmpdir(), "crashlab-dump-"));
  const vmcore = join(folder, "vmcore");
  await (await machine.kdump.capture()).save(vmcore);
  return {
    ...{ machine, folder, vmcore },
    async remove() {
      rmSync(folder, { recursive: true });
      await machine[Symbol.asyncDispose]();
    },
  };
}
