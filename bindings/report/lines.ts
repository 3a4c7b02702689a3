/** Log lines without what printk, dmesg, journald and serial consoles put around them. */

export interface LogLine {
  /** From 1. */
  readonly number: number;
  readonly text: string;
  /** Seconds since boot, when the line has a stamp. */
  readonly time?: number;
}

/** `<6>` of raw records, `[    1.234567]` stamps, `[ T123]`/`[ C0]` callers; then the message, blanks kept. */
const PREFIX = /^(?:<\d+>)?(?:\[ *(\d+\.\d+)\](?:\[ *[TC]\d+\])? ?)?/;
/** journalctl and syslog: date, host, `kernel:`. */
const SYSLOG = /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ kernel: /;

export function readLine(raw: string, number: number): LogLine {
  const bare = raw.replace(/\r+$/, "").replace(SYSLOG, "");
  const match = PREFIX.exec(bare);
  const text = bare.slice(match?.[0].length ?? 0);
  const stamp = match?.[1];
  return stamp === undefined ? { number, text } : { number, text, time: Number(stamp) };
}
