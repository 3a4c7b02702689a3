import { describe, expect, it } from "vitest";
import { bootStock, hasStock, stockFile } from "./files.ts";

/** What a kernel says of a machine that is not what it should be. */
const DEFECTS =
  /unchecked MSR|general protection|unstable|spurious|not connected|Firmware Bug|fast string|timer doesn't work|stuck|WARNING|BUG:|invalid opcode|lockup|stall|Giving up/i;

describe.skipIf(!hasStock)("Debian's kernel as the package ships it", () => {
  it("boots to a shell whose commands can be run, the same state each time", {
    timeout: 300_000,
  }, async () => {
    await using machine = await bootStock({ kernel: stockFile("vmlinuz") });
    const atPrompt = machine.stateHash();
    expect(machine.consoleLog.filter((line) => DEFECTS.test(line))).toEqual([]);
    expect(machine.reports).toEqual([]);
    expect(await machine.exec("uname -sm; (exit 7)")).toEqual({ stdout: "Linux x86_64\n", status: 7 });
    expect(await machine.exec("cat nothing; cat")).toEqual({
      stdout: "cat: can't open 'nothing': No such file or directory\n",
      status: 0,
    });
    await machine.sysctl.set("kernel.panic_on_oops", 1);
    expect(await machine.sysctl.get("kernel.panic_on_oops")).toBe("1");
    await using again = await bootStock();
    expect(again.stateHash()).toBe(atPrompt);
    expect(again.symbols.lookup(again.symbols.address("panic") ?? 0n)).toEqual({
      name: "panic",
      offset: 0,
      size: expect.any(Number),
    });
  });

  it.each([2, 4])("starts %i CPUs", { timeout: 300_000 }, async (cpus) => {
    await using machine = await bootStock({ cpus });
    expect(machine.consoleLog.filter((line) => DEFECTS.test(line))).toEqual([]);
    expect((await machine.exec("nproc; cat /sys/devices/system/cpu/online")).stdout).toBe(
      `${cpus}\n0-${cpus - 1}\n`,
    );
  });
});
