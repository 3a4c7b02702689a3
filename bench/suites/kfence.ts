/**
 * What KFENCE costs: instructions of the same programs without it and at its default interval. Guest time is retired
 * instructions, and the work leaves no idle time, so the figures are exact and the same on every machine.
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
  "i=0; while [ $i -lt COUNT ]; do ls -l /bin > /tmp/a; cat /proc/modules /tmp/a | wc > /tmp/b; i=$((i+1)); done",
  "i=0; while [ $i -lt COUNT ]; do echo good $i 1500 > /sys/kernel/debug/kasan_stress/run; i=$((i+1)); done",
];

async function measure(kfence: KfenceOptions, count: number): Promise<{ time: number; samples: number }> {
  const machine = await boot({ kfence, cmdline: "loglevel=1" });
  const before = machine.time;
  for (const command of WORK) {
    const { status } = await machine.exec(command.replaceAll("COUNT", String(count)), { budget: 100e9 });
    if (status !== 0) throw new Error(`expected status 0, found ${status}: ${command}`);
  }
  const time = Number(machine.time - before);
  const { stdout } = await machine.exec("cat /sys/kernel/debug/kfence/stats");
  return { time, samples: Number(/total allocations: (\d+)/.exec(stdout)?.[1] ?? 0) };
}

export async function runKfence(quick: boolean): Promise<KfenceResult> {
  const count = quick ? 30 : 300;
  const off = await measure({ sampleInterval: 0 }, count);
  const intervals = [];
  for (const sampleInterval of [100, 10, 1]) {
    const { time, samples } = await measure({ sampleInterval }, count);
    intervals.push({ sampleInterval, ratio: time / off.time, samples });
  }
  return { instructions: off.time, intervals };
}
