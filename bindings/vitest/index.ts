/**
 * `crashlab/vitest`: a matcher for tests that provoke crashes. Importing it adds `toOops()` to Vitest's `expect`:
 * write `import "crashlab/vitest"` in a test or name it in `setupFiles`.
 */
import { expect } from "vitest";
import type { Crash } from "../faults/fault.ts";
import type { CrashReport } from "../report/types.ts";

/** What `toOops()` can ask of a report; what is left out may be anything. */
export interface ExpectedOops {
  /** Part of the title, or a pattern for it. */
  readonly title?: string | RegExp;
  /** `oops`, `panic`, `warning`, `kasan`, ... Without it every kind of report will do. */
  readonly kind?: CrashReport["kind"];
  /** The function in which it happened. */
  readonly symbol?: string;
  /** The module of that function. */
  readonly module?: string;
  /** A taint flag that must be set, by its letter (Linux Documentation/admin-guide/tainted-kernels.rst). */
  readonly taint?: string;
  /** What the machine saw: CR2 of the exception. Only where a Crash is given. */
  readonly cr2?: bigint;
}

/** What the matcher takes: a crash of `machine.inject()`, a report, or the reports of a log. */
export type Crashed = Partial<Pick<Crash, "truth">> & { readonly report?: CrashReport | undefined };

/** What does not hold, in words; empty when everything does. Of several reports one that fits is enough. */
export function differences(received: unknown, expected: ExpectedOops = {}): string[] {
  if (!Array.isArray(received) || received.length === 0) return differencesOfOne(received, expected);
  const each = received.map((one) => differencesOfOne(one, expected));
  return each.find(({ length }) => length === 0) ?? each[0] ?? [];
}

function differencesOfOne(received: unknown, expected: ExpectedOops): string[] {
  const report = reportOf(received);
  if (report === undefined) return ["expected a crash report, found none"];
  const found: string[] = [];
  const check = (what: string, wanted: unknown, has: unknown, holds = wanted === has): void => {
    if (wanted !== undefined && !holds) found.push(`expected ${what} ${show(wanted)}, found ${show(has)}`);
  };
  const { title, kind, symbol, module, taint, cr2 } = expected;
  const titleHolds = title instanceof RegExp ? title.test(report.title) : report.title.includes(title ?? "");
  check("a title with", title, report.title, titleHolds);
  check("kind", kind, report.kind);
  check("symbol", symbol, report.rip?.symbol);
  check("module", module, report.rip?.module);
  const letters = report.taint.map(({ letter }) => letter).join("");
  check("taint", taint, letters, letters.includes(taint ?? ""));
  check("CR2", cr2, (received as Crashed).truth?.exception?.cr2);
  return found;
}

function reportOf(received: unknown): CrashReport | undefined {
  if (Array.isArray(received)) return received.map(reportOf).find((report) => report !== undefined);
  if (typeof received !== "object" || received === null) return undefined;
  if ("report" in received) return reportOf(received.report);
  return "kind" in received && "title" in received && "taint" in received
    ? (received as CrashReport)
    : undefined;
}

function show(value: unknown): string {
  if (typeof value === "bigint") return `0x${value.toString(16)}`;
  return value instanceof RegExp ? String(value) : (JSON.stringify(value) ?? "nothing");
}

expect.extend({
  toOops(received: unknown, expected?: ExpectedOops) {
    const found = differences(received, expected);
    return {
      pass: found.length === 0,
      message: () =>
        found.length > 0 ? found.join("\n") : `expected no such crash, found ${reportOf(received)?.title}`,
    };
  },
});

declare module "vitest" {
  // biome-ignore lint/suspicious/noExplicitAny: Vitest's own declaration has it
  interface Matchers<T = any> {
    /** A crash, a report or the reports of a log, with what is expected of it. */
    toOops(expected?: ExpectedOops): T;
  }
}
