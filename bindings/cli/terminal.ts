/** What only a terminal gets: colours on standard output, progress on standard error. */

/** Whether standard output takes colours: a terminal, and NO_COLOR (https://no-color.org) not set. */
export function hasColours(): boolean {
  return process.stdout.isTTY === true && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
}

/** Bold on a terminal, as it is elsewhere. */
export function bold(text: string): string {
  return hasColours() ? `\u001b[1m${text}\u001b[22m` : text;
}

/**
 * A line on standard error that overwrites itself while something long goes on; nothing where standard error is no
 * terminal. Dispose of it to take the line away.
 */
export class ProgressLine implements Disposable {
  readonly #what: string;
  #shown = 0;

  constructor(what: string) {
    this.#what = what;
  }

  readonly show = ({ done, total }: { readonly done: number; readonly total: number }): void => {
    const now = performance.now();
    if (process.stderr.isTTY !== true || now - this.#shown < 100) return;
    this.#shown = now;
    const share = Number.isFinite(total) && total > 0 ? ` ${Math.floor((100 * done) / total)}%` : "";
    process.stderr.write(`\r${this.#what}${share}\u001b[K`);
  };

  [Symbol.dispose](): void {
    if (this.#shown > 0) process.stderr.write("\r\u001b[K");
  }
}
