/** Reports side by side. */
import { describe, expect, test } from "vitest";
import { type CrashReport, compare, parseReports } from "../../bindings/report/index.ts";
import { referenceLogs } from "./fuzz.ts";

const logs = referenceLogs();

function first(name: string, nth = 0): CrashReport {
  const report = parseReports(logs.find((log) => log.name.endsWith(`/${name}.txt`))?.text ?? "")[nth];
  if (report === undefined) throw new Error(`no report ${nth} in ${name}`);
  return report;
}

describe("compare", () => {
  test("a report is equal to itself", () => {
    for (const { text } of logs.slice(0, 60)) {
      for (const report of parseReports(text)) {
        expect(compare(report, report)).toEqual({ same: true, equal: true, similarity: 1, differences: [] });
      }
    }
  });

  test("two runs of one bug differ in nothing that counts", () => {
    const [a, b] = [0, 1].map((nth) => first("kernelB-pstore-oops", nth));
    if (a === undefined || b === undefined) throw new Error("two reports are there");
    expect(compare(a, b)).toMatchObject({ same: true, equal: true, similarity: 1 });
  });

  test("one bug on two CPU models: the same, and what differs is named", () => {
    const comparison = compare(
      first("kernelB-process-null_write"),
      first("kernelB-process-null_write-intel-pti"),
    );
    expect(comparison).toMatchObject({ same: true, equal: false, similarity: 1 });
    expect(comparison.differences.filter(({ incidental }) => !incidental)).toEqual([
      { field: "options", a: ["PREEMPT", "SMP", "NOPTI"], b: ["PREEMPT", "SMP", "PTI"], incidental: false },
    ]);
  });

  test("a read and a write are two bugs", () => {
    const comparison = compare(first("debian-process-null_read"), first("debian-process-null_write"));
    expect(comparison.same).toBe(false);
    expect(comparison.differences.map(({ field }) => field)).toContain("fault.access");
  });

  test("titles that say 'corrupted' make no two bugs one", () => {
    const [a, b] = [first("debian-process-nx_exec"), first("debian-process-user_exec")];
    expect(a.title).toBe(b.title);
    expect(compare(a, b).differences.length).toBeGreaterThan(0);
    expect(a.corrupted && b.corrupted).toBe(true);
  });
});

describe("dedupe keys", () => {
  test("leave out addresses, numbers, tasks and CPUs", () => {
    expect(first("kernelB-softlockup-twice-rcu_stall_suppress", 0).dedupeKey).toBe(
      first("kernelB-softlockup-twice-rcu_stall_suppress", 1).dedupeKey,
    );
    expect(first("kernelA-lkdtm-READ_AFTER_FREE-twice-multi_shot", 0).dedupeKey).toBe(
      first("kernelA-lkdtm-READ_AFTER_FREE-twice-multi_shot", 1).dedupeKey,
    );
  });

  test("of different bugs differ", () => {
    const keys = ["ACCESS_NULL", "WRITE_RO", "BUG", "WARNING", "EXHAUST_STACK", "REFCOUNT_ADD_ZERO"].map(
      (name) => first(`kernelB-lkdtm-${name}`).dedupeKey,
    );
    expect(new Set(keys).size).toBe(keys.length);
  });
});
