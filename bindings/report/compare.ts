/** Whether two reports tell of the same bug, and in what they differ. */
import { plainName } from "./titles.ts";
import type { CrashReport } from "./types.ts";

export interface Difference {
  /** What differs, e.g. `title`, `rip`, `fault.address`, `registers.rax`, `trace[2]`. */
  readonly field: string;
  readonly a: unknown;
  readonly b: unknown;
  /** Differs between two runs of one bug too: addresses, times, tasks, CPUs, registers. */
  readonly incidental: boolean;
}

export interface Comparison {
  /** One bug: the same dedupe key, or titles that syzkaller would merge. */
  readonly same: boolean;
  /** Nothing differs but what differs in every run. */
  readonly equal: boolean;
  /** From 0 to 1: how alike the traces are, by the functions that they have in common, in order. */
  readonly similarity: number;
  readonly differences: readonly Difference[];
}

const MEANT = [
  "kind",
  "title",
  "type",
  "corrupted",
  "options",
  "source",
  "message",
  "ubsan",
  "signal",
] as const;
const INCIDENTAL = ["release", "hardware", "number", "cpu", "pid", "comm", "seconds"] as const;

export function compare(a: CrashReport, b: CrashReport): Comparison {
  const differences: Difference[] = [];
  const put = (field: string, left: unknown, right: unknown, incidental: boolean): void => {
    if (!isEqual(left, right)) differences.push({ field, a: left, b: right, incidental });
  };
  const at = (report: CrashReport, field: string): unknown =>
    (report as unknown as { [key: string]: unknown })[field];
  for (const field of MEANT) put(field, at(a, field), at(b, field), false);
  put("taint", letters(a), letters(b), false);
  for (const field of ["access", "mode", "errorCode", "reason"] as const) {
    put(`fault.${field}`, a.fault?.[field], b.fault?.[field], false);
  }
  put("fault.address", a.fault?.address, b.fault?.address, true);
  put("rip", a.rip?.symbol, b.rip?.symbol, false);
  put("rip.offset", a.rip?.offset, b.rip?.offset, false);
  const [left, right] = [functions(a), functions(b)];
  for (let index = 0; index < Math.max(left.length, right.length) && index < 64; index++) {
    put(`trace[${index}]`, left[index], right[index], false);
  }
  put("code", codeText(a), codeText(b), false);
  for (const field of INCIDENTAL) put(field, at(a, field), at(b, field), true);
  for (const name of new Set([...Object.keys(a.registers), ...Object.keys(b.registers)])) {
    put(`registers.${name}`, a.registers[name], b.registers[name], true);
  }
  const titles = new Set([a.title, ...a.altTitles]);
  const merged = !a.corrupted && !b.corrupted && [b.title, ...b.altTitles].some((title) => titles.has(title));
  return {
    same: a.dedupeKey === b.dedupeKey || (a.kind === b.kind && merged),
    equal: differences.every(({ incidental }) => incidental),
    similarity: similarity(left, right),
    differences,
  };
}

function letters(report: CrashReport): string {
  return report.taint.map((flag) => flag.letter).join("");
}

function codeText({ code }: CrashReport): string | undefined {
  return code?.bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

function functions(report: CrashReport): string[] {
  const names = report.trace.filter((frame) => frame.reliable).map((frame) => frame.symbol ?? "?");
  return names.map(plainName);
}

/** Longest common subsequence over the longer length, of the first 64 frames. */
function similarity(left: readonly string[], right: readonly string[]): number {
  const [a, b] = [left.slice(0, 64), right.slice(0, 64)];
  if (a.length === 0 && b.length === 0) return 1;
  let row: number[] = new Array(b.length + 1).fill(0);
  for (const name of a) {
    const next = [0];
    for (let j = 0; j < b.length; j++) {
      next.push(name === b[j] ? (row[j] ?? 0) + 1 : Math.max(row[j + 1] ?? 0, next[j] ?? 0));
    }
    row = next;
  }
  return Math.round(((row[b.length] ?? 0) / Math.max(a.length, b.length)) * 100) / 100;
}

function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) =>
    isEqual((a as { [name: string]: unknown })[key], (b as { [name: string]: unknown })[key]),
  );
}
