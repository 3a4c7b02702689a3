/** The parser against logs of real kernels, and against anything at all. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseReports, parseTaint, taintOfNumber } from "../../bindings/report/index.ts";

function log(name: string): string {
  return readFileSync(
    new URL(
      `../data/linux-logs/${name.startsWith("kernelA") ? "kasan" : "oops"}/${name}.txt`,
      import.meta.url,
    ),
    "utf8",
  );
}

describe("an oops of a stock kernel", () => {
  const [report] = parseReports(log("debian-process-null_write"));

  test("what, where, who", () => {
    expect(report?.kind).toBe("oops");
    expect(report?.title).toBe("BUG: kernel NULL pointer dereference in lab_null_write");
    expect(report?.rip).toEqual({
      selector: 0x10,
      symbol: "lab_null_write",
      offset: 0xc,
      size: 0x20,
      module: "labcrash",
    });
    expect([report?.cpu, report?.pid, report?.comm, report?.release]).toEqual([
      0,
      94,
      "sh",
      "6.1.0-56-amd64",
    ]);
    expect(report?.number).toBe(1);
    expect(report?.options).toEqual(["PREEMPT", "SMP", "NOPTI"]);
    expect(report?.time).toBe(2.840243);
  });

  test("fault, code and registers", () => {
    expect(report?.fault).toEqual({
      address: 8n,
      access: "write",
      mode: "kernel",
      errorCode: 2,
      reason: "not-present page",
    });
    expect(report?.code?.bytes[report.code.at]).toBe(0x48);
    expect(report?.registers["cr2"]).toBe(8n);
    expect(report?.registers["r15"]).toBe(0xffffc900003e3d08n);
    expect(report?.registers["rsp"]).toBe(0xffffc900003e3bb0n);
    expect(report?.user?.rip.address).toBe(0x47b7a0n);
    expect(report?.user?.registers["orig_rax"]).toBe(1n);
  });

  test("trace with reliable and doubtful frames, taint, modules", () => {
    const reliable = report?.trace.filter((frame) => frame.reliable).map((frame) => frame.symbol);
    expect(reliable).toEqual([
      "lab_do.constprop.0",
      "lab_write",
      "full_proxy_write",
      "vfs_write",
      "ksys_write",
      "do_syscall_64",
      "entry_SYSCALL_64_after_hwframe",
    ]);
    expect(report?.taint.map((flag) => flag.letter)).toEqual(["O", "E"]);
    expect(report?.modules).toEqual([{ name: "labcrash", flags: "OE" }]);
    expect(report?.problems).toEqual([]);
  });
});

describe("other reports", () => {
  test.each([
    [
      "debian-hardirq-bug",
      ["kernel BUG in lab_bug", "Kernel panic - not syncing: Fatal exception in interrupt"],
    ],
    [
      "debian-process-three-oopses",
      [
        "BUG: kernel NULL pointer dereference in lab_null_read",
        "BUG: kernel NULL pointer dereference in lab_null_write",
        "kernel BUG in lab_bug",
      ],
    ],
    ["debian-process-warn_on", ["WARNING in lab_warn_on"]],
    [
      "kernelB-process-null_write-oops_panic",
      [
        "BUG: kernel NULL pointer dereference in lab_null_write",
        "Kernel panic - not syncing: Fatal exception",
      ],
    ],
    ["kernelB-sysrq-c-panic_5", ["Kernel panic - not syncing: sysrq triggered crash"]],
    ["debian-process-hlt_gp", ["segment-related general protection fault in lab_hlt_gp"]],
    ["kernelA-lkdtm-READ_AFTER_FREE", ["KASAN: use-after-free Read in lkdtm_READ_AFTER_FREE.cold"]],
    [
      "kernelB-softlockup-panic",
      ["BUG: soft lockup in lkdtm_SOFTLOCKUP", "Kernel panic - not syncing: softlockup: hung tasks"],
    ],
  ])("%s", (name, titles) => {
    expect(parseReports(log(name)).map((report) => report.title)).toEqual(titles);
  });

  test("frames of an interrupt are told from those of the task", () => {
    const contexts = new Set(parseReports(log("debian-hardirq-bug"))[0]?.trace.map((frame) => frame.context));
    expect([...contexts].sort()).toEqual(["irq", "task"]);
  });

  test("the wording of 4.19 is read too", () => {
    const [report] = parseReports(
      "BUG: unable to handle kernel NULL pointer dereference at 0000000000000008\nOops: 0002 [#1] SMP NOPTI\n",
    );
    expect(report?.title).toBe("BUG: kernel NULL pointer dereference");
    expect(report?.fault).toEqual({ access: "write", mode: "kernel", address: 8n, errorCode: 2 });
  });
});

test("taint letters and numbers agree", () => {
  expect(parseTaint("G      D    OE").map((flag) => flag.bit)).toEqual([7, 12, 13]);
  expect(taintOfNumber(12416).map((flag) => flag.letter)).toEqual(["D", "O", "E"]);
});

describe("the parser never throws", () => {
  const real = log("debian-process-null_write").split("\n");

  test("on lines of a real log in any order, cut anywhere", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...real), fc.nat(120)), { maxLength: 60 }), (lines) => {
        parseReports(lines.map(([line, length]) => line.slice(0, length)).join("\n"));
      }),
      { numRuns: 300, seed: 3 },
    );
  });

  test("on arbitrary text", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 400 }), (text) => void parseReports(text)),
      { numRuns: 500, seed: 4 },
    );
  });
});
