/** What only a terminal gets: colours on standard output. */

/** Whether standard output takes colours: a terminal, and NO_COLOR (https://no-color.org) not set. */
export function hasColours(): boolean {
  return process.stdout.isTTY === true && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
}

/** Bold on a terminal, as it is elsewhere. */
export function bold(text: string): string {
  return hasColours() ? `\u001b[1m${text}\u001b[22m` : text;
}
