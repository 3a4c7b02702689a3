/** docs/kdump.md's commands, as they stand there: the host's in a shell, with Debian's tools; the guest's in a machine. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { boot } from "../../bindings/index.ts";
import { ROOT, runBash, TSX } from "../docs/run.ts";
import { readPage } from "../docs/sessions.ts";

const page = readPage("docs/kdump.md");

test("the host's, one after another, print what the page shows", { timeout: 300_000 }, async () => {
  const block = /^```\n(\$ [\s\S]*?)^```/m.exec(page)?.[1] ?? "";
  const steps = block
    .split(/^\$ /m)
    .slice(1)
    .map((part) => part.trimEnd().split("\n"));
  expect(steps.length).toBeGreaterThan(8);
  const home = mkdtempSync(join(tmpdir(), "crashlab-page-"));
  const main = join(ROOT, "bindings/cli/main.ts");
  const line = `exec '${process.execPath}' --conditions=source --import '${TSX}' '${main}' "$@"`;
  writeFileSync(join(home, "crashlab"), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  let folder = home;
  for (const [command = "", ...shown] of steps) {
    const [, into] = /^cd (\S+)$/.exec(command) ?? [];
    if (into !== undefined) {
      folder = join(folder, into);
      continue;
    }
    const { stdout, stderr, status } = await runBash(command, folder, home);
    expect({ command, status, stderr: status === 0 ? "" : stderr }).toEqual({
      command,
      status: 0,
      stderr: "",
    });
    let at = 0;
    for (const text of shown) {
      const found = stdout.indexOf(text.trim(), at);
      expect(found, `${text} in\n${stdout}`).toBeGreaterThanOrEqual(0);
      at = found + text.length;
    }
  }
  rmSync(home, { recursive: true });
});

describe("the guest's", () => {
  test("kexec -p as init does it, and the files that say so", async () => {
    const [, load = ""] = /`(kexec -p [^`]*)`/.exec(page) ?? [];
    await using machine = await boot({ cmdline: "crashkernel=32M kdump=off" });
    expect((await machine.exec("cat /sys/kernel/kexec_crash_loaded")).stdout).toBe("0\n");
    expect(await machine.exec(load)).toEqual({ stdout: "", status: 0 });
    expect(
      (await machine.exec("cat /sys/kernel/kexec_crash_loaded /sys/kernel/kexec_crash_size")).stdout,
    ).toBe(`1\n${32 << 20}\n`);
    expect((await machine.exec("cat /proc/iomem")).stdout).toContain("Crash kernel");
  });

  test.each(["crashkernel=64M-256M:24M,256M-:64M"])("%s is on the page and reserves", async (word) => {
    expect(page).toContain(word);
    await using machine = await boot({ cmdline: `${word} kdump=off` });
    expect((await machine.exec("cat /sys/kernel/kexec_crash_size")).stdout).toBe(`${24 << 20}\n`);
  });
});
