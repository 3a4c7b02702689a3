import { readFileSync } from "node:fs";
import { Core } from "../bindings/core/core.ts";
import { loadKernel } from "../bindings/machine/loaders/kernel.ts";
import { imageBytes } from "./guest/build.ts";
import { TimingReader } from "./peers/lines.ts";
const [rounds, a, b, ...names] = process.argv.slice(2);
const wasms = [a, b].map((f) => new Uint8Array(readFileSync(f!)));
const cpu = () => { const u = process.cpuUsage(); return (u.user + u.system) / 1e6; };
async function once(wasm: Uint8Array, name: string) {
  const core = await Core.create({ ramBytes: 64 << 20, wasm } as never);
  core.start(loadKernel({ kernel: imageBytes(64), commandLine: name, ramBytes: core.ramBytes, cpus: 1 }));
  const reader = new TimingReader();
  let line = "";
  while (!reader.finished) {
    core.run(200_000);
    for (const byte of core.takeOutput(0)) { if (byte !== 10) { line += String.fromCharCode(byte); continue; } reader.line(line, cpu(), Number(core.time)); line = ""; }
  }
  core[Symbol.dispose]();
  return reader.timings[0]!;
}
const med = (v: number[]) => v.toSorted((x, y) => x - y)[v.length >> 1]!;
const all: number[] = [];
for (const name of names) {
  const t: number[][] = [[], []];
  let ins = 0;
  for (let r = 0; r < Number(rounds) + 1; r++) for (const i of r & 1 ? [1, 0] : [0, 1]) {
    const x = await once(wasms[i]!, name);
    ins = x.instructions ?? 0;
    if (r > 0) t[i]!.push(x.warm);
  }
  const [p, q] = [Math.min(...t[0]!), Math.min(...t[1]!)];
  const ratio = med(t[1]!.map((v, i) => v / t[0]![i]!));
  all.push(ratio);
  console.log(name.padEnd(8), `A ${(ins / p / 1e6).toFixed(1)} B ${(ins / q / 1e6).toFixed(1)} MIPS (best)`, `time B/A best ${(q / p).toFixed(3)} median pair ${ratio.toFixed(3)}`);
}
console.log("geomean of pair medians", Math.exp(all.reduce((s, v) => s + Math.log(v), 0) / all.length).toFixed(3));
