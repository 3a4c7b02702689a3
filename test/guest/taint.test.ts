import { beforeAll, describe, expect, it } from "vitest";
import { CrashlabError, type Machine } from "../../bindings/index.ts";
import { boot } from "./machines.ts";

let ready: Machine;

beforeAll(async () => {
  ready = await boot();
});

const MODULES = "/lib/modules/5.15.0";

/** What a fork says to the commands, and how its kernel is tainted after them. */
async function consequences(
  commands: readonly string[],
): Promise<{ log: string; tainted: number; out: string }> {
  const machine = await ready.fork();
  const from = machine.consoleLog.length;
  let out = "";
  for (const command of commands) out += (await machine.exec(`${command} 2>&1`)).stdout;
  const log = machine.consoleLog.slice(from).join("\n");
  return { log, out, tainted: Number((await machine.exec("cat /proc/sys/kernel/tainted")).stdout) };
}

describe("every taint by its true cause", () => {
  it.each([
    ["nothing: signed and of the tree", 0, ["insmod sample_intree"], /^$/],
    [
      "P",
      1,
      ["insmod sample_proprietary"],
      /module license 'Proprietary' taints kernel\.\n.*Disabling lock debugging/,
    ],
    ["F and E", 2 | 8192, ["insmod -f sample_intree"], /sample_intree: bad vermagic: kernel tainted\./],
    [
      "R",
      8,
      ["insmod sample_intree", "rmmod sample_intree", "rmmod -f sample_intree"],
      /Disabling lock debugging/,
    ],
    [
      "B",
      32 | 12288,
      ["insmod labcrash", "echo p badpage > /sys/kernel/debug/labcrash/trigger"],
      /BUG: Bad page state in process sh {2}pfn:[0-9a-f]{5}\n.*page:.* mapping:/,
    ],
    ["U", 64, ["echo 64 > /proc/sys/kernel/tainted"], /^$/],
    ["D", 128, ["sh -c 'echo BUG > /sys/kernel/debug/provoke-crash/DIRECT'"], /kernel BUG at/],
    ["W", 512, ["echo WARNING > /sys/kernel/debug/provoke-crash/DIRECT"], /WARNING: CPU/],
    ["C", 1024, ["insmod sample_staging"], /staging directory, the quality is unknown/],
    [
      "O and E",
      12288,
      ["insmod mydriver"],
      /loading out-of-tree module taints kernel\.\n.*module verification failed/,
    ],
    ["K", 32768, ["insmod sample_livepatch"], /tainting kernel with TAINT_LIVEPATCH/],
    ["X", 65536, ["insmod sample_external"], /^$/],
    ["N", 262144, ["insmod sample_test"], /loading test module taints kernel/],
  ] as const)("%s", async (_, mask, commands, words) => {
    const { log, tainted } = await consequences(commands);
    expect(tainted).toBe(mask);
    expect(log.replace(/^(# )+$/gm, "")).toMatch(words);
  });

  it("is shown in 19 columns, in the order of the flags", async () => {
    const { log } = await consequences([
      "echo 2 > /proc/sys/kernel/tainted",
      "insmod sample_proprietary",
      "insmod sample_test",
      "echo WARNING > /sys/kernel/debug/provoke-crash/DIRECT",
    ]);
    expect(log).toContain(" Tainted: PF                N 5.15.0 #1");
    expect(log).toContain("Modules linked in: sample_test(N) sample_proprietary(P)");
  });

  it("panics when asked to", async () => {
    const machine = await boot({ cmdline: "panic_on_taint=0x1,nousertaint" });
    expect((await machine.exec("echo 1 > /proc/sys/kernel/tainted 2>&1")).status).toBe(1);
    await expect(machine.exec("insmod sample_proprietary")).rejects.toBeInstanceOf(CrashlabError);
    expect(machine.consoleLog.join("\n")).toContain("Kernel panic - not syncing: panic_on_taint set ...");
  });
});

describe("signatures of modules", () => {
  it("one changed byte is a rejected key", async () => {
    const { out, tainted } = await consequences([
      `head -c 200 ${MODULES}/sample_intree.ko > /tmp/bad.ko`,
      "printf x >> /tmp/bad.ko",
      `tail -c +202 ${MODULES}/sample_intree.ko >> /tmp/bad.ko`,
      "insmod /tmp/bad.ko",
    ]);
    expect(out).toContain("Key was rejected by service");
    expect(tainted).toBe(0);
  });

  it("are required with module.sig_enforce", async () => {
    const machine = await boot({ cmdline: "module.sig_enforce=1" });
    expect((await machine.exec("insmod sample_intree")).status).toBe(0);
    expect((await machine.exec("insmod mydriver 2>&1")).stdout).toContain("Key was rejected by service");
    expect(machine.consoleLog.join("\n")).toContain("Loading of unsigned module is rejected");
    expect((await machine.exec("cat /proc/sys/kernel/tainted")).stdout).toBe("0\n");
  });
});
