/** Progress of long work, on standard error: a line that is written over on a terminal, else lines ever more rarely. */

/** Milliseconds between two texts: on a terminal, and at first elsewhere. */
const INTERVAL = 1000;
/** Elsewhere at last: hours of work should not fill a log. */
const LONGEST = 60_000;

/** Shows a text if it is time to, or `last` is set. */
export function progress(): (text: string, last: boolean) => void {
  let shown = Number.NEGATIVE_INFINITY;
  let interval = INTERVAL;
  return (text, last) => {
    const now = performance.now();
    if (now - shown < interval && !last) return;
    if (shown > 0 && !process.stderr.isTTY) interval = Math.min(interval * 2, LONGEST);
    shown = now;
    process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${text}${last ? "\n" : ""}` : `${text}\n`);
  };
}

/** Takes the line off a terminal that stands there without its last text. */
export function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
}

/** Shows a text on a terminal while work takes longer than a second; `clear` takes it away. */
export function laterProgress(): { show(text: string): void; clear(): void } {
  if (!process.stderr.isTTY) return { show: () => undefined, clear: () => undefined };
  let shown = performance.now();
  let there = false;
  return {
    show(text) {
      if (performance.now() - shown < INTERVAL) return;
      shown = performance.now();
      there = true;
      process.stderr.write(`\r\u001b[K${text}`);
    },
    clear() {
      if (there) clearProgress();
      there = false;
    },
  };
}
