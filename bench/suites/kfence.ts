/**
 * What KFENCE costs: instructions that the same work retires without it and at three intervals. Exact, and the same on
 * every machine.
 */
import { boot, type KfenceOptions } from "../../bindings/index.ts";

export interface KfenceResult {
  /** Retired by the work with kfence.sample_interval=0. */
  readonly instructions: number;
  readonly intervals: readonly {
    readonly sampleInterval: number;
    readonly ratio: number;
    readonly samples: number;
  }[];
}

/** Programs, files and pipes; and a module that does nothing but allocate, use and free. */
const WORK = [
  "insmod kasan_stress",
  "for i in $(seq COUNT); do ls -l /bin > /tmp/a; cat /proc/modules /tmp/a | wc > /tmp/b; done",
  "for i in $(seq COUNT); do echo good $i 1500 > /sys/kernel/debug/kasan_stress/run; done",
];

async function measure(
  kfence: KfenceOptions,
  count: number,
): Promise<{ instructions: number; samples: number }> {
  const machine = await boot({ kfence, cmdline: "loglevel=1" });
  const before = machine.instructions;
  for (const command of WORK) {
    const { status } = await machine.exec(command.replaceAll("COUNT", String(count)), { budget: 100e9 });
    if (status !== 0) throw new Error(`expected status 0, found ${status}: ${command}`);
  }
  const instructions = Number(machine.instructions - before);
  const { stdout } = await machine.exec("cat /sys/kernel/debug/kfence/stats");
  return { instructions, samples: Number(/total allocations: (\d+)/.exec(stdout)?.[1] ?? 0) };
}

export async function runKfence(quick: boolean): Promise<KfenceResult> {
  const count = quick ? 30 : 150;
  const off = await measure({ sampleInterval: 0 }, count);
  const intervals = [];
  for (const sampleInterval of [100, 10, 1]) {
    const { instructions, samples } = await measure({ sampleInterval }, count);
    intervals.push({ sampleInterval, ratio: instructions / off.instructions, samples });
  }
  return { instructions: off.instructions, intervals };
}
