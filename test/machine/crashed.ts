/** One crashed machine for several tests: the demo's panic, with its vmcore in a folder. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { boot, type Crash, faults, type Machine } from "../../bindings/index.ts";

export const GUEST: string = fileURLToPath(new URL("../../build/guest", import.meta.url));
export const VMLINUX: string = join(GUEST, "vmlinux");
export const MYDRIVER: string = join(GUEST, "modules/mydriver.ko");

export interface Crashed {
  readonly machine: Machine;
  readonly crash: Crash;
  readonly folder: string;
  readonly vmcore: string;
  remove(): void;
}

/** Boots, panics on a NULL dereference in mydriver, captures. */
export async function crashMachine(): Promise<Crashed> {
  const machine = await boot();
  await machine.sysctl.set("kernel.panic_on_oops", 1);
  const crash = await machine.inject(faults.nullDereference());
  const folder = mkdtempSync(join(tmpdir(), "crashlab-crash-"));
  const vmcore = join(folder, "vmcore");
  const stream = await machine.kdump.capture();
  await stream.save(vmcore);
  writeFileSync(join(folder, "console.log"), machine.consoleLog.join("\n"));
  return { machine, crash, folder, vmcore, remove: () => rmSync(folder, { recursive: true }) };
}
