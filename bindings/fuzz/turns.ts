/** Long loops that never wait still let the process hear of signals and timers. */
import { setImmediate } from "node:timers/promises";

/** Milliseconds between two turns of the event loop. */
const BETWEEN = 100;

/** For the head of such a loop: whether the signal has fired, after the event loop had its turn. */
export function interruptible(signal: AbortSignal | undefined): () => Promise<boolean> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last >= BETWEEN) {
      await setImmediate();
      last = performance.now();
    }
    return signal?.aborted === true;
  };
}
