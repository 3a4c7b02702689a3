/** Progress of long work, on standard error: a line that is written over on a terminal, else a line a second. */

const INTERVAL = 1000;

/** Shows a text if it is time to, or `last` is set. */
export function progress(): (text: string, last: boolean) => void {
  let shown = Number.NEGATIVE_INFINITY;
  return (text, last) => {
    const now = performance.now();
    if (now - shown < INTERVAL && !last) return;
    shown = now;
    process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${text}${last ? "\n" : ""}` : `${text}\n`);
  };
}
