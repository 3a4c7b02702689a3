import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import type { Machine } from "../../bindings/index.ts";
import { bootStock, hasStock } from "./files.ts";

/** Messages that tell of something missing, unknown or wrong. */
const NOTEWORTHY =
  /fail|error|fatal|unable|unsupported|not (?:found|listed|detected|supported|available|functional|connected)|n't (?:support|work)|does not|unknown|unexpected|vulnerable|bypass|unstable|skipped|\bno [A-Z]|giving up|spurious|unchecked|protection|invalid\b|bug|warn|lockup|stall|timed? ?out/i;
/** All that there are, on any number of CPUs; docs/stock-linux.md explains them. */
const EXPLAINED: readonly RegExp[] = [
  /^No NUMA configuration found$/,
  /^Kernel\/User page tables isolation: disabled on command line\.$/,
  /^Unknown kernel command line parameters "nokaslr"/,
  /^Calibrating delay loop \(skipped\), value calculated using timer frequency\.\. 2000\.00 BogoMIPS/,
  /^NX \(Execute Disable\) protection: active$/,
  /^Speculative Store Bypass: Vulnerable$/,
  /^SRBDS: Unknown: Dependent on hypervisor status$/,
  /^Performance Events: unsupported p6 CPU model 94 no PMU driver, software events only\.$/,
  /^PCI: Fatal: No config space access function found$/,
  /^PCI: System does not support PCI$/,
  /^platform rtc_cmos: registered platform RTC device \(no PNP device found\)$/,
  /^AMD-Vi: AMD IOMMUv2 functionality not available on this system - This is not a bug\.$/,
  /^i8042: (?:PNP: No PS\/2 controller found\.|No controller found)$/,
  /^intel_pstate: CPU model not supported$/,
  /^ima: No (?:TPM chip found, activating TPM-bypass!|architecture policies found)$/,
  /^x86\/mm: Checked W\+X mappings: passed, no W\+X pages found\.$/,
];
const ONE_CPU: readonly RegExp[] = [
  /^APIC: Switch to virtual wire mode setup with no configuration$/,
  /^smpboot: Boot CPU \(id 0\) not listed by BIOS$/,
  /^APIC: ACPI MADT or MP tables are not detected$/,
  /^Not enabling interrupt remapping due to skipped IO-APIC setup$/,
];
const SEVERAL_CPUS: readonly RegExp[] = [/^x2apic: IRQ remapping doesn't support X2APIC mode$/];

/** Noteworthy messages of the whole log, all levels, that are not explained; and explanations without a message. */
async function unexplained(machine: Machine, explained: readonly RegExp[]): Promise<(string | RegExp)[]> {
  const { stdout } = await machine.exec("dmesg");
  const messages = stdout.split("\n").map((line) => line.replace(/^\[ *\d+\.\d+\] /, ""));
  expect(messages.length).toBeGreaterThan(200);
  return [
    ...messages.filter((text) => NOTEWORTHY.test(text) && !explained.some((each) => each.test(text))),
    ...explained.filter((each) => !messages.some((text) => each.test(text))),
  ];
}

describe.skipIf(!hasStock)("Debian's kernel as the package ships it", () => {
  it("boots to a shell, in the same state in every process; what it says is explained", {
    timeout: 900_000,
  }, async () => {
    const other = promisify(execFile)(process.execPath, [
      ...["--conditions=source", "--import", "tsx", "test/stock/print_hash.ts"],
    ]);
    await using machine = await bootStock();
    const atPrompt = machine.stateHash();
    expect((await other).stdout).toBe(`${atPrompt.toString(16)}\n`);
    expect(machine.reports).toEqual([]);
    expect(await machine.exec("uname -sm; (exit 7)")).toEqual({ stdout: "Linux x86_64\n", status: 7 });
    expect(await machine.exec("cat nothing; cat")).toEqual({
      stdout: "cat: can't open 'nothing': No such file or directory\n",
      status: 0,
    });
    await machine.sysctl.set("kernel.panic_on_oops", 1);
    expect(await machine.sysctl.get("kernel.panic_on_oops")).toBe("1");
    expect(await unexplained(machine, [...EXPLAINED, ...ONE_CPU])).toEqual([]);
    expect(machine.symbols.lookup(machine.symbols.address("panic") ?? 0n)).toEqual({
      name: "panic",
      offset: 0,
      size: expect.any(Number),
    });
  });

  it.each([2, 4])("starts %i CPUs", { timeout: 900_000 }, async (cpus) => {
    await using machine = await bootStock({ cpus });
    expect((await machine.exec("nproc; cat /sys/devices/system/cpu/online")).stdout).toBe(
      `${cpus}\n0-${cpus - 1}\n`,
    );
    expect(await unexplained(machine, [...EXPLAINED, ...SEVERAL_CPUS])).toEqual([]);
  });
});
