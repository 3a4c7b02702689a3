/** The grammar of reports: it takes every report of the real kernels, and nothing that differs from them. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { checkLog, checkReport } from "../../bindings/report/index.ts";

const LOGS = new URL("../data/linux-logs/", import.meta.url);
const names = ["oops", "kasan", "kfence", "kdump"].flatMap((folder) =>
  readdirSync(new URL(folder, LOGS))
    .filter((file) => folder !== "kdump" || file.startsWith("serial"))
    .map((file) => `${folder}/${file}`),
);
/** A log whose first lines were lost. */
const BEHEADED = new Set(["oops/debian-process-regs.txt"]);

function read(name: string): string {
  return readFileSync(new URL(name, LOGS), "utf8");
}

describe("every report of the real kernels fits", () => {
  test.each(names)("%s", (name) => {
    const { reports, strays } = checkLog(read(name), { beheaded: BEHEADED.has(name) });
    expect([...reports.flatMap((report) => report.violations), ...strays]).toEqual([]);
  });

  test("and there are as many as the suites of KASAN and KFENCE make", () => {
    const count = (name: string, kind: string): number =>
      checkLog(read(name)).reports.filter((report) => report.kind === kind).length;
    expect(count("kasan/kasan-kunit.txt", "kasan")).toBe(79);
    expect(count("kfence/kfence-kunit-ptrval.txt", "kfence")).toBe(
      read("kfence/kfence-kunit-ptrval.txt").split("BUG: KFENCE:").length - 1,
    );
  });
});

/** Logs of one report, one for each form. */
const SAMPLES = [
  "oops/debian-process-null_write.txt",
  "oops/debian-process-unmapped_read.txt",
  "oops/debian-hardirq-bug.txt",
  "oops/debian-process-noncanon_read.txt",
  "oops/debian-process-overflow.txt",
  "oops/debian-process-warn_on.txt",
  "oops/kernelB-sysrq-c-panic_5.txt",
  "oops/kernelB-softlockup-panic.txt",
  "oops/kernelB-hung-lkdtm.txt",
  "oops/kernelB-rcu-stall.txt",
  "oops/debian-process-atomic_sleep.txt",
  "oops/kernelB-process-ubsan_shift.txt",
  "kasan/kernelA-lkdtm-READ_AFTER_FREE.txt",
  "kasan/kernelA-process-dblfree.txt",
];

/** The report's lines, as numbers from 0. */
function reportLines(log: readonly string[]): number[] {
  const { reports } = checkLog(log);
  return reports.flatMap(({ lines: [first, last] }) =>
    Array.from({ length: last - first + 1 }, (_, index) => first - 1 + index),
  );
}

/** Lines with text of anybody's making at their end. */
const FREE_END =
  /\] (?:CPU: |Hardware name: |Kernel panic|index \d|shift exponent|Memory state|INFO: task|Allocated|PGD .*[0-9a-f]$)/;
/** Lines that not every report has, or of which there are any number. */
const OPTIONAL =
  /\] (?:Hardware name: | (?:\? )?[\w.]+\+0x| <|note: |RIP: 0033|Code: |PKRU|Kernel Offset|---\[ end Kernel|CR2: [0-9a-f]{16}$|Workqueue|index \d|shift exponent|Rebooting|kernel tried|unable to execute|RCU nest|Call Trace:|rcu: \t|page dumped|head:|$)/;

describe.each(SAMPLES)("%s does not fit with", (name) => {
  const log = read(name).split("\n");
  const own = reportLines(log);

  function changed(change: (line: string) => string, except: RegExp): string[] {
    return own.flatMap((index) => {
      const line = log[index] ?? "";
      const other = change(line);
      if (except.test(line) || other === line) return [];
      return checkReport(log.with(index, other)).length === 0 ? [line] : [];
    });
  }

  test("a blank behind a line", () => {
    expect(changed((line) => `${line} `, FREE_END)).toEqual([]);
  });

  test("a digit less in sixteen", () => {
    expect(changed((line) => line.replace(/\b([0-9a-f]{15})[0-9a-f]\b/, "$1"), /^$/)).toEqual([]);
  });

  test("capital hexadecimal digits", () => {
    const upper = (line: string): string => line.replace(/\b[0-9a-f]{16}\b/g, (hex) => hex.toUpperCase());
    expect(changed(upper, /^$/)).toEqual([]);
  });

  test("a line missing", () => {
    const silent = own.filter(
      (index) => !OPTIONAL.test(log[index] ?? "") && checkReport(log.toSpliced(index, 1)).length === 0,
    );
    expect(silent.map((index) => log[index])).toEqual([]);
  });

  test("a line twice", () => {
    const frames = /\] (?: (?:\? )?[\w.]+\+0x|Code: |rcu: \t|index \d|shift exponent| \[\d+, |$)/;
    const silent = own.filter((index) => {
      const line = log[index] ?? "";
      return !frames.test(line) && checkReport(log.toSpliced(index, 0, line)).length === 0;
    });
    expect(silent.map((index) => log[index])).toEqual([]);
  });
});

describe("a violation", () => {
  const log = read("oops/debian-process-null_write.txt").split("\n");
  const at = (start: string): number => log.findIndex((line) => line.includes(`] ${start}`));

  test("names line, expected and found", () => {
    const index = at("RSP: ");
    const broken = log.with(index, (log[index] ?? "").replace("RSP: ", "RSP:"));
    const [violation] = checkReport(broken);
    expect(violation?.line).toBe(index + 1);
    expect(violation?.expected).toBe("RSP: 0018:ffffc90000113db8 EFLAGS: 00000202");
    expect(violation?.found).toMatch(/^RSP:0018/);
  });

  test("is an error code that is not the same twice", () => {
    const broken = log.map((line) => line.replace("Oops: 0002", "Oops: 0000"));
    expect(checkReport(broken).map(({ expected }) => expected)).toEqual([
      "Oops: 0002 as in #PF: error_code(0x0002)",
    ]);
  });

  test("is an access that the error code does not mean", () => {
    const broken = log.map((line) => line.replace("supervisor write", "supervisor read"));
    expect(checkReport(broken)[0]?.expected).toBe("#PF: ... write access, as error code 0002 says");
  });

  test("is a CR2 that is not the address", () => {
    const broken = log.map((line) => line.replace(/CR2: 0000000000000008$/, "CR2: 0000000000000010"));
    expect(checkReport(broken)).toHaveLength(1);
  });

  test("is a stamp of another width", () => {
    const broken = log.map((line) => line.replace(/^\[ {4}(?=\d)/, "["));
    expect(checkReport(broken)[0]?.expected).toBe("[    1.234567] in front of the message");
  });

  test("is a log without any report", () => {
    expect(checkReport("[    0.000000] Linux version 6.1\n")).toHaveLength(1);
  });

  test("bare messages are checked too", () => {
    const bare = log
      .filter((line) => line.startsWith("["))
      .map((line) => line.slice("[    2.840243] ".length));
    expect(checkReport(bare)).toEqual([]);
  });
});
