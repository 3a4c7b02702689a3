/** Cases over worker threads. Which thread runs a case makes no difference to it. */
import { Worker } from "node:worker_threads";
import { CrashlabError } from "../error.ts";
import type { CaseRecord, RunnerOptions } from "./runner.ts";

function startWorker(options: RunnerOptions): Worker {
  if (!import.meta.url.endsWith(".ts"))
    return new Worker(new URL("./worker.js", import.meta.url), { workerData: options });
  // From source: tsx does not reach into threads by itself.
  const [tsx, worker] = [import.meta.resolve("tsx/esm/api"), new URL("./worker.ts", import.meta.url).href];
  const code = `import(${JSON.stringify(tsx)}).then(({ register }) => { register(); return import(${JSON.stringify(worker)}); })`;
  return new Worker(code, { eval: true, workerData: options });
}

/** Runs all cases; `take` is called with each as it ends, in any order. */
export async function runInThreads(
  options: RunnerOptions,
  cases: Iterator<number>,
  jobs: number,
  take: (record: CaseRecord) => void,
  signal?: AbortSignal,
): Promise<void> {
  const workers: Worker[] = [];
  try {
    await Promise.all(
      Array.from({ length: jobs }, () => {
        const worker = startWorker(options);
        workers.push(worker);
        return drive(worker, cases, take, signal);
      }),
    );
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function drive(
  worker: Worker,
  cases: Iterator<number>,
  take: (record: CaseRecord) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const settled = new AbortController();
  const driven = new Promise<void>((resolve, reject) => {
    const stop = (): void => {
      reject(
        new CrashlabError("aborted", "expected the campaign to end, found the caller's signal aborted", {
          cause: signal?.reason,
        }),
      );
    };
    // At once: the case that runs may be a hang.
    signal?.addEventListener("abort", stop, { signal: settled.signal });
    const next = (): void => {
      if (signal?.aborted) {
        stop();
        return;
      }
      const { value, done } = cases.next();
      if (done === true) resolve();
      else worker.postMessage(value);
    };
    worker.on("message", (message: "ready" | CaseRecord) => {
      if (message !== "ready") take(message);
      next();
    });
    worker.on("error", reject);
    worker.on("exit", (code) => {
      reject(new CrashlabError("core-failure", `expected a worker to go on, found it ended with ${code}`));
    });
  });
  return driven.finally(() => settled.abort());
}
