/**
 * What KASAN by the processor's check costs (docs/kasan.md): memory that the guest has no more, instructions, and CPU time of
 * the same work. Off, on, off, on: both are measured under the same load.
 */
import { boot } from "../../bindings/index.ts";

export interface KasanResult {
  /** Bytes of guest memory that its kernel manages, without and with KASAN. */
  readonly managedBytes: { readonly off: number; readonly on: number };
  /** Part of all memory that the shadow takes: a byte for eight is 0.125. */
  readonly memoryOverhead: number;
  /** On over off, of the same work. */
  readonly instructionsRatio: number;
  readonly cpuRatio: number;
}

const MEMORY_MIB = 128;
const WORK = "for i in $(seq COUNT); do ls -l /bin > /tmp/a; cat /proc/modules /tmp/a | wc > /tmp/b; done";

interface Cost {
  readonly managed: number;
  readonly instructions: number;
  readonly cpu: number;
}

async function measure(isOn: boolean, count: number): Promise<Cost> {
  await using machine = await boot({
    memory: `${MEMORY_MIB}M`,
    cmdline: "loglevel=1",
    ...(isOn ? { kasan: { mode: "generic" } } : {}),
  });
  const { stdout } = await machine.exec("cat /proc/meminfo");
  await machine.exec(WORK.replace("COUNT", "3")); // V8 has seen it once
  const before = machine.instructions;
  const used = process.cpuUsage();
  const { status } = await machine.exec(WORK.replace("COUNT", String(count)), { budget: 100e9 });
  const { user, system } = process.cpuUsage(used);
  if (status !== 0) throw new Error(`expected status 0 of the work, found ${status}`);
  return {
    managed: Number(/MemTotal:\s+(\d+) kB/.exec(stdout)?.[1] ?? 0) * 1024,
    instructions: Number(machine.instructions - before),
    cpu: (user + system) / 1e6,
  };
}

export async function runKasan(quick: boolean): Promise<KasanResult> {
  const count = quick ? 5 : 60;
  const off: Cost[] = [],
    on: Cost[] = [];
  for (let round = 0; round < (quick ? 1 : 5); round++) {
    off.push(await measure(false, count));
    on.push(await measure(true, count));
  }
  const least = (costs: readonly Cost[], of: keyof Cost): number =>
    Math.min(...costs.map((cost) => cost[of]));
  const [without, withKasan] = [least(off, "managed"), least(on, "managed")];
  return {
    managedBytes: { off: without, on: withKasan },
    memoryOverhead: (without - withKasan) / (MEMORY_MIB * 2 ** 20),
    instructionsRatio: least(on, "instructions") / least(off, "instructions"),
    cpuRatio: least(on, "cpu") / least(off, "cpu"),
  };
}
