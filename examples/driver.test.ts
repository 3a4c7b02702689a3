import { boot, faults, type Machine } from "crashlab";
import { parseReports } from "crashlab/report";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import "crashlab/vitest";

let machine: Machine;
let booted: ReturnType<Machine["snapshot"]>;
beforeAll(async () => {
  machine = await boot();
  booted = machine.snapshot();
});
beforeEach(() => machine.restore(booted)); // milliseconds, and no test sees another's crash
afterAll(() => machine[Symbol.asyncDispose]());

test("the driver checks nothing", async () => {
  const crash = await machine.inject(faults.nullDereference({ access: "write", offset: 8 }));
  expect(crash).toOops({ kind: "oops", symbol: "my_driver_read", module: "mydriver", cr2: 8n });
});

test("sysrq-c panics", async () => {
  const crash = await machine.inject(faults.sysrq("c"));
  expect(crash).toOops({ title: /sysrq triggered crash/ });
});

test("reading /proc leaves no report behind", async () => {
  await machine.exec("cat /proc/meminfo");
  expect(parseReports(machine.consoleLog.join("\n"))).not.toOops();
});
