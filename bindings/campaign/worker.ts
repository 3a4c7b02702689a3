/** A thread of a campaign: boots its own machine, then runs the cases whose numbers it is sent. */
import { parentPort, workerData } from "node:worker_threads";
import { CaseRunner, type RunnerOptions } from "./runner.ts";

const port = parentPort;
if (port !== null) {
  const runner = await CaseRunner.create(workerData as RunnerOptions);
  port.on("message", (index: number) => {
    void runner.record(index).then((record) => port.postMessage(record));
  });
  port.postMessage("ready");
}
