/** What a machine says when it is asked for something, and how it ends. */
import type { Exit, Machine } from "../../bindings/index.ts";

export const TRIGGER = "/sys/kernel/debug/labcrash/trigger";
export const END = (message: string): string => `---[ end Kernel panic - not syncing: ${message} ]---`;

/** Without its stamp. */
export const bare = (line: string): string => line.replace(/^(?:# )*\[ *\d+\.\d+\] /, "");
/** The kernel's own lines. */
export const stamped = (log: readonly string[]): string[] =>
  log.filter((line) => /^(?:# )*\[ *\d+\.\d+\] /.test(line));

export interface Said {
  readonly lines: readonly string[];
  readonly raw: readonly string[];
  readonly exit: Exit;
  readonly machine: Machine;
}

/** Past the panic's report, at which `run()` comes back. */
export async function runOn(machine: Machine, budget: number): Promise<Exit> {
  const until = machine.time + BigInt(budget);
  for (;;) {
    const exit = await machine.run({ budget: Number(until - machine.time) });
    if (exit.kind !== "budget" || machine.time >= until) return exit;
  }
}

/** What the kernel says from when a command is typed; none is typed when it is empty. */
export async function run(machine: Machine, command: string, budget = 100e6): Promise<Said> {
  const from = machine.consoleLog.length;
  if (command !== "") await machine.write(`${command}\n`);
  const exit = await runOn(machine, budget);
  const raw = stamped(machine.consoleLog.slice(from));
  return { raw, lines: raw.map(bare), exit, machine };
}
