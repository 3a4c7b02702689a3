/** Kernel parameters through the guest's own /proc/sys. */
import { CrashlabError } from "../error.ts";
import type { RunLimits } from "./limits.ts";
import type { ExecResult } from "./shell.ts";

/** `machine.sysctl`: kernel parameters by their dotted names. */
export class Sysctl {
  readonly #exec: (command: string, limits?: RunLimits) => Promise<ExecResult>;

  constructor(exec: (command: string, limits?: RunLimits) => Promise<ExecResult>) {
    this.#exec = exec;
  }

  /** Value of a parameter, without the line end. Throws `bad-option` when the guest has none of that name. */
  async get(name: string, limits?: RunLimits): Promise<string> {
    const { stdout, status } = await this.#exec(`cat ${path(name)}`, limits);
    if (status !== 0) throw bad(name, stdout);
    return stdout.trimEnd();
  }

  /** Throws `bad-option` when the guest does not take it. */
  async set(name: string, value: string | number, limits?: RunLimits): Promise<void> {
    const { stdout, status } = await this.#exec(`echo ${value} > ${path(name)}`, limits);
    if (status !== 0) throw bad(name, stdout);
  }
}

function path(name: string): string {
  if (!/^[\w.-]+$/.test(name)) {
    throw new CrashlabError("bad-option", `expected a sysctl such as kernel.panic_on_oops, found "${name}"`);
  }
  return `/proc/sys/${name.replaceAll(".", "/")}`;
}

function bad(name: string, said: string): CrashlabError {
  return new CrashlabError("bad-option", `expected a sysctl of the guest, found "${name}": ${said.trim()}`);
}
