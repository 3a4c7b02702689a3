/**
 * A grammar whose letters are lines. A rule takes lines from a place and gives the place behind them, or none; it
 * never goes back over what it has taken, so reading is linear. What was expected at the furthest line reached
 * is what a violation names.
 */

/** A line that a rule took under a name, for checks across lines. */
export interface Captured {
  readonly name: string;
  readonly line: number;
  readonly match: RegExpExecArray;
}

export class Reading {
  readonly lines: readonly string[];
  /** Furthest line at which something else was expected, and what. */
  furthest = -1;
  expected: string[] = [];
  captured: Captured[] = [];
  /** A record of pstore: kmsg_dump() is called within an oops, so the record ends there. */
  readonly record: boolean;
  /** Of a machine that was broken on purpose. */
  readonly broken: boolean;

  constructor(
    lines: readonly string[],
    { record = false, broken = false }: { readonly record?: boolean; readonly broken?: boolean } = {},
  ) {
    this.lines = lines;
    this.record = record;
    this.broken = broken;
  }

  fail(at: number, expected: string): undefined {
    if (at > this.furthest) {
      this.furthest = at;
      this.expected = [];
    }
    if (at === this.furthest && !this.expected.includes(expected)) this.expected.push(expected);
    return undefined;
  }
}

/** Takes lines from `at`; the place behind them, or undefined when they do not fit. */
export type Rule = (reading: Reading, at: number) => number | undefined;

/** One line. `expected` is how the line looks, as a violation shows it. */
export function line(expected: string, pattern: RegExp, name?: string): Rule {
  return (reading, at) => {
    const text = reading.lines[at];
    const match = text === undefined ? null : pattern.exec(text);
    if (match === null) return reading.fail(at, expected);
    if (name !== undefined) reading.captured.push({ name, line: at, match });
    return at + 1;
  };
}

/** A line of exactly this text. */
export function literal(text: string): Rule {
  return (reading, at) => (reading.lines[at] === text ? at + 1 : reading.fail(at, text));
}

export function sequence(...rules: readonly Rule[]): Rule {
  return (reading, at) => {
    const kept = reading.captured.length;
    let place = at;
    for (const rule of rules) {
      const next = rule(reading, place);
      if (next === undefined) {
        reading.captured.length = kept;
        return undefined;
      }
      place = next;
    }
    return place;
  };
}

/** The first that fits. */
export function either(...rules: readonly Rule[]): Rule {
  return (reading, at) => {
    for (const rule of rules) {
      const next = rule(reading, at);
      if (next !== undefined) return next;
    }
    return undefined;
  };
}

export function optional(...rules: readonly Rule[]): Rule {
  const rule = sequence(...rules);
  return (reading, at) => rule(reading, at) ?? at;
}

/** As many as fit, at least `least`. */
export function repeated(rule: Rule, least = 0): Rule {
  return (reading, at) => {
    let place = at;
    for (let count = 0; ; count++) {
      const next = rule(reading, place);
      if (next === undefined || next === place) return count < least ? undefined : place;
      place = next;
    }
  };
}

/** Fits when the rule fits, and takes nothing. */
export function ahead(rule: Rule): Rule {
  return (reading, at) => {
    const kept = reading.captured.length;
    const fits = rule(reading, at) !== undefined;
    reading.captured.length = kept;
    return fits ? at : undefined;
  };
}
