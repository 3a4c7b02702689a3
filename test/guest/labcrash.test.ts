import { beforeAll, describe, expect, it } from "vitest";
import type { Machine } from "../../bindings/index.ts";
import { parseReports } from "../../bindings/report/index.ts";
import { boot } from "./machines.ts";

let ready: Machine;
const TRIGGER = "/sys/kernel/debug/labcrash/trigger";

beforeAll(async () => {
  ready = await boot();
  await ready.exec("insmod labcrash");
});

describe("labcrash in process context", () => {
  it("lists its kinds, and refuses what it does not know", async () => {
    expect((await ready.exec(`cat ${TRIGGER}`)).stdout).toMatch(/^p: process\n(.*\n)*null_read\n/);
    expect((await ready.exec(`echo p nothing > ${TRIGGER}`)).stdout).toContain("Invalid argument");
  });

  it.each([
    ["null_read", "BUG: kernel NULL pointer dereference, address: 0000000000000010"],
    ["null_write", "BUG: kernel NULL pointer dereference, address: 0000000000000008"],
    ["unmapped_read", "BUG: unable to handle page fault for address: ffffc90001234568"],
    ["highaddr_read", "BUG: unable to handle page fault for address: fffffffffffffff4"],
    [
      "noncanon_read",
      "general protection fault, probably for non-canonical address 0xdead4ead00000120: 0000",
    ],
    ["noncanon_movabs", "general protection fault, maybe for address 0x0: 0000"],
    ["user_read", "BUG: unable to handle page fault for address: 0000000000400000"],
    ["user_exec", "unable to execute userspace code (SMEP?) (uid: 0)"],
    ["div0", "divide error: 0000"],
    ["hlt_gp", "segment-related general protection fault: 01b4"],
    ["ud1", "invalid opcode: 0000"],
    ["bug", "kernel BUG at modules/labcrash/kinds.c:"],
    ["warn", "lab warning: value 42"],
  ])("%s", async (kind, first) => {
    const machine = await ready.fork();
    const from = machine.consoleLog.length;
    await machine.exec(`sh -c 'echo p ${kind} > ${TRIGGER}'`);
    const log = machine.consoleLog.slice(from).join("\n");
    expect(log).toContain(first);
    expect(log).toContain(" full_proxy_write+0x");
    expect(parseReports(log).length).toBeGreaterThan(0);
  });
});
