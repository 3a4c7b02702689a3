/** The log as tools see it: /dev/kmsg, dmesg, the console's level, printk's switches. */
import { beforeAll, describe, expect, it } from "vitest";
import type { Machine } from "../../bindings/index.ts";
import { boot } from "./machines.ts";

let ready: Machine;

beforeAll(async () => {
  ready = await boot();
});

async function lines(machine: Machine, command: string): Promise<string[]> {
  return (await machine.exec(command)).stdout.trimEnd().split("\n");
}

describe("/dev/kmsg", () => {
  it("has the kernel's records and those of programs", async () => {
    const machine = await ready.fork();
    await machine.exec(
      "echo plain > /dev/kmsg; echo '<3>an error' > /dev/kmsg; echo '<30>a daemon' > /dev/kmsg",
    );
    await machine.exec("echo 'zwölf' > /dev/kmsg");
    const records = await lines(machine, "cat /dev/kmsg 2> /dev/null");
    expect(records[0]).toMatch(/^5,0,0,-;Linux version /);
    expect(records.slice(-4).map((line) => line.replace(/,\d+,\d+,-/, ""))).toEqual([
      "12;plain",
      "11;an error",
      "30;a daemon",
      "12;zw\\xc3\\xb6lf",
    ]);
    expect((await lines(machine, "dmesg")).at(-4)).toMatch(/^\[ *\d+\.\d{6}\] plain$/);
  });
});

describe("switches of printk", () => {
  it("printk.time", async () => {
    const machine = await boot({ cmdline: "printk.time=0" });
    expect(machine.consoleLog[0]).toMatch(/^Linux version /);
    expect((await lines(machine, "dmesg"))[0]).toMatch(/^Linux version /);
    await machine.exec("echo Y > /sys/module/printk/parameters/time; echo now > /dev/kmsg");
    expect(machine.consoleLog.at(-1)).toMatch(/\[ *\d+\.\d{6}\] now$/);
    expect((await machine.exec("echo maybe > /sys/module/printk/parameters/time")).status).not.toBe(0);
  });

  it("ignore_loglevel", async () => {
    const quiet = await boot({ cmdline: "quiet" });
    const loud = await boot({ cmdline: "quiet ignore_loglevel" });
    expect(quiet.consoleLog.some((line) => line.includes("] Run /init"))).toBe(false);
    expect(loud.consoleLog.some((line) => line.includes("] Run /init"))).toBe(true);
    expect(loud.consoleLog.some((line) => line.endsWith("debug: ignoring loglevel setting."))).toBe(true);
    await loud.exec("echo N > /sys/module/printk/parameters/ignore_loglevel; echo '<6>hush' > /dev/kmsg");
    expect(loud.consoleLog.join("\n")).not.toContain("hush");
  });

  it("console_no_auto_verbose", async () => {
    const said = async (cmdline: string): Promise<string> => {
      const machine = await boot({ cmdline: `loglevel=1 ${cmdline}` });
      await machine.write("echo WARNING > /sys/kernel/debug/provoke-crash/DIRECT\n");
      await machine.write("echo PANIC > /sys/kernel/debug/provoke-crash/DIRECT\n");
      await machine.run({ budget: 50_000_000 });
      return machine.consoleLog.join("\n");
    };
    // Level 0 passes; what follows only when a panic makes the console say everything.
    expect(await said("")).toMatch(/Kernel panic - not syncing: dumptest.*Call Trace:/s);
    const quiet = await said("printk.console_no_auto_verbose");
    expect(quiet).toContain("Kernel panic - not syncing: dumptest");
    expect(quiet).not.toContain("Call Trace:");
  });

  it("always_kmsg_dump", async () => {
    const machine = await boot({
      pstore: true,
      cmdline: "printk.always_kmsg_dump=1 ramoops.max_reason=4 panic=-1",
    });
    await machine.write("echo PANIC > /sys/kernel/debug/provoke-crash/DIRECT\n");
    await machine.run({ budget: 200_000_000 });
    expect(machine.pstore.records().map(({ reason }) => reason)).toContain("Panic");
  });
});
