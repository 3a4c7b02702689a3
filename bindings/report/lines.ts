/** Log lines without what printk, dmesg, journald, netconsole, pstore and serial consoles put around them. */

export interface LogLine {
  /** From 1. */
  readonly number: number;
  readonly text: string;
  /** Seconds since boot, when the line has a stamp. */
  readonly time?: number;
  /** `T123` task or `C0` CPU, when the kernel prints callers (CONFIG_PRINTK_CALLER). */
  readonly caller?: string;
  /** Whether something showed that the line is the kernel's: a stamp, a level, `kernel:`. */
  readonly stamped: boolean;
}

/** printk cuts messages at 1024 bytes; what is longer is no line of the kernel's. */
const LONGEST = 2048;

/** `<6>` or, by dmesg -x, `kern  :info  : `; `[    1.234567] `; `[ T123] `; then the message, blanks kept. */
const PREFIX =
  /^(?:<(\d{1,3})>|kern {0,3}:[a-z]{3,6} {0,3}: )?(?:\[ {0,8}(\d{1,10}\.\d{1,9})\])?(?:\[ {0,8}([TC]\d{1,10})\])? ?/;
/** dmesg -T: a date for a stamp. */
const DATED = /^\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\] /;
/** journalctl and syslog, with the short, ISO and full dates: date, host, `kernel:`. */
const SYSLOG =
  /^(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,6})?|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,\d]{0,10}(?:[+-]\d\d:?\d\d|Z)?|[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]{2,5}) [\w.-]{1,64} kernel: ?/;
/** /dev/kmsg and extended netconsole: level,sequence,microseconds,flags[,more];message */
const EXTENDED = /^(\d{1,5}),\d{1,20},(\d{1,20}),[-c](?:,[^;]{0,64})?;/;
/** A user program's text that had no newline yet, in front of a stamp. */
const STAMP_INSIDE = /\[[ \d]{4}\d\.\d{6}\]/;

export function readLine(raw: string, number: number): LogLine {
  let bare = raw.length > LONGEST ? raw.slice(0, LONGEST) : raw;
  if (bare.endsWith("\r")) bare = bare.replace(/\r{1,8}$/, "");
  // NUL bytes and other control characters are a serial line's noise, except the tab.
  if (NOISE.test(bare)) bare = bare.replace(NOISES, "");
  const extended = EXTENDED.exec(bare);
  if (extended !== null) {
    const rest = bare.slice(extended[0].length);
    const inner = PREFIX.exec(rest);
    const text = inner?.[2] === undefined ? rest : rest.slice(inner[0].length);
    return { number, text, time: Number(extended[2]) / 1e6, stamped: true };
  }
  const syslog = SYSLOG.exec(bare);
  if (syslog !== null) bare = bare.slice(syslog[0].length);
  const dated = DATED.exec(bare);
  if (dated !== null) return { number, text: bare.slice(dated[0].length), stamped: true };
  const inside = bare.search(STAMP_INSIDE);
  if (inside > 0 && !/^(?:<\d{1,3}>|kern {0,3}:[a-z]+ {0,3}: |)$/.test(bare.slice(0, inside))) {
    bare = bare.slice(inside);
  }
  const match = PREFIX.exec(bare);
  const [, level, stamp, caller] = match ?? [];
  const plain = level === undefined && stamp === undefined && caller === undefined;
  // A frame's leading blank is the message's own when nothing stands before it.
  const text = plain && !bare.startsWith("kern") ? bare : bare.slice(match?.[0].length ?? 0);
  return {
    number,
    text,
    stamped: !plain || syslog !== null,
    ...(stamp === undefined ? {} : { time: Number(stamp) }),
    ...(caller === undefined ? {} : { caller }),
  };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NOISE = /[\x00-\x08\x0b-\x1f\x7f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above; with the escape sequences of terminals
const NOISES = /\x1b\[[\d;?]{0,16}[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]/g;
