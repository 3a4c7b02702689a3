import { describe, expect, it } from "vitest";
import { faults, findFault, LABCRASH_KINDS, LKDTM_NAMES } from "../../bindings/index.ts";
import { boot } from "./machines.ts";

describe("faults by name", () => {
  it("are those that the guest lists", async () => {
    const machine = await boot();
    const listed = (await machine.exec("cat /sys/kernel/debug/provoke-crash/DIRECT")).stdout;
    expect(listed).toBe(`Available crash types:\n${LKDTM_NAMES.join("\n")}\n`);
    await machine.exec("insmod labcrash");
    const kinds = (await machine.exec("cat /sys/kernel/debug/labcrash/trigger")).stdout;
    expect(kinds.split("\n").filter((line) => /^\w+$/.test(line))).toEqual([...LABCRASH_KINDS]);
  });

  it("are injected, and wrong ones refused", async () => {
    const machine = await boot();
    const crash = await machine.inject(faults.lkdtm("USERCOPY_KERNEL"));
    expect(crash.report.rip?.symbol).toBe("usercopy_abort");
    expect(crash.truth.exception?.vector).toBe(6);
    expect(findFault("labcrash:div0:hardirq")).toEqual(faults.labcrash("div0", "hardirq"));
    expect(() => findFault("lkdtm:NOTHING")).toThrow(/expected the name of a fault/);
    expect(() => faults.lkdtm("NOTHING" as "BUG")).toThrow(/expected an LKDTM crash point/);
  });
});
