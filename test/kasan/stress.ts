/** The stress module's work: random bad accesses with what each of them is, and work within bounds. */
import type { Machine } from "../../bindings/index.ts";
import { kasanReports } from "./reports.ts";

const RUN = "/sys/kernel/debug/kasan_stress/run";

/** What `count` random bad accesses were and what the reports say of them: `KIND ACCESS SIZE ADDRESS OBJECT` each. */
export async function badAccesses(
  machine: Machine,
  seed: number,
  count: number,
): Promise<{
  readonly truth: readonly string[];
  readonly found: readonly string[];
  readonly log: readonly string[];
}> {
  const from = machine.consoleLog.length;
  const { status, stdout } = await machine.exec(`echo bad ${seed} ${count} > ${RUN}`, { budget: 200e9 });
  if (status !== 0) throw new Error(`expected status 0, found ${status}: ${stdout}`);
  const log = machine.consoleLog.slice(from);
  return {
    truth: log.flatMap((line) => /kasan_stress: (?:\d+) (.*)/.exec(line)?.[1] ?? []),
    found: kasanReports(log).map((report) =>
      [
        report.kind,
        report.access,
        report.size,
        report.address.toString(16).padStart(16, "0"),
        report.object.toString(16).padStart(16, "0"),
      ].join(" "),
    ),
    log,
  };
}

/** `count` steps of allocating, filling, copying, comparing and freeing within bounds. */
export async function goodWork(machine: Machine, seed: number, count: number): Promise<void> {
  const { status, stdout } = await machine.exec(`echo good ${seed} ${count} > ${RUN}`, { budget: 200e9 });
  if (status !== 0) throw new Error(`expected status 0, found ${status}: ${stdout}`);
}
