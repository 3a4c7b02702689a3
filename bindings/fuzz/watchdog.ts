/** Ends the process with a message when work on the main thread stops to say that it goes on. */
import { Worker } from "node:worker_threads";

const SOURCE = `
const { parentPort, workerData } = require("node:worker_threads");
const { writeSync } = require("node:fs");
const beat = new Int32Array(workerData.memory);
let last = -1, since = Date.now();
setInterval(() => {
  const now = Atomics.load(beat, 0);
  if (now !== last) { last = now; since = Date.now(); return; }
  if (Date.now() - since < workerData.seconds * 1000) return;
  writeSync(2, "crashlab: expected a slice to end, found none for " + workerData.seconds + " s in seed " + now + "\\n");
  process.kill(process.pid, "SIGABRT");
}, 500);
`;

export interface Watchdog extends AsyncDisposable {
  /** Work goes on: this is its number. */
  beat(number: number): void;
}

/** Watches until disposed of. */
export function watch(seconds: number): Watchdog {
  const memory = new SharedArrayBuffer(4);
  const beats = new Int32Array(memory);
  const worker = new Worker(SOURCE, { eval: true, workerData: { memory, seconds }, execArgv: [] });
  return {
    beat: (number) => {
      Atomics.store(beats, 0, number);
    },
    [Symbol.asyncDispose]: async () => {
      await worker.terminate();
    },
  };
}
