/**
 * Allocations that fail, by the guest's own failslab and fail_page_alloc, under fork, exec, files, pipes and modules:
 * whoever wanted the memory says so, and the kernel goes on.
 */
import { beforeAll, describe, expect, it } from "vitest";
import type { Machine, Snapshot } from "../../bindings/index.ts";
import { boot, violations } from "./machines.ts";

const WORK = {
  "pipes and programs": "ls / | cat > /tmp/l; cat /tmp/l",
  modules: "insmod mydriver; rmmod mydriver",
  files: "mkdir /tmp/x; echo hi > /tmp/x/y; cat /tmp/x/y; rm -r /tmp/x",
  "shells in shells": "sh -c 'sh -c ls' | wc; cat /proc/meminfo > /tmp/m; ls /proc",
  work: "insmod labcrash; echo w dump_stack > /sys/kernel/debug/labcrash/trigger",
} as const;

let machine: Machine;
let start: Snapshot;
beforeAll(async () => {
  machine = await boot({ memory: "32M" });
  start = machine.snapshot();
});

describe.each(["failslab", "fail_page_alloc"])("%s", (of) => {
  it.each(Object.entries(WORK))("%s", async (_name, command) => {
    const folder = `/sys/kernel/debug/${of}`;
    let failures = 0;
    for (let interval = 1; interval <= 16; interval++) {
      machine.restore(start);
      const settings = {
        verbose: 1,
        times: 1 + ((interval * 7) % 4),
        interval,
        "ignore-gfp-wait": "N",
        probability: 100,
      };
      const words = [
        ...(of === "fail_page_alloc" ? [`echo 0 > ${folder}/min-order`] : []),
        ...Object.entries(settings).map(([name, value]) => `echo ${value} > ${folder}/${name}`),
        command,
        `echo 0 > ${folder}/probability`,
      ];
      await machine.write(`${words.join("; ")}\n`);
      await machine.run({ budget: 100_000_000 });
      await machine.write("echo still al''ive\n");
      await machine.run({ budget: 20_000_000 });
      const log = machine.consoleLog;
      expect(log).toContain("still alive");
      expect(machine.reports).toEqual([]);
      expect(violations(log)).toEqual([]);
      failures += log.filter((line) => line.includes("FAULT_INJECTION: forcing a failure.")).length;
    }
    expect(failures).toBeGreaterThan(10);
  });
});
