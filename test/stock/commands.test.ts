/** Programs on Debian's kernel: a list of commands, whose output must be that of QEMU, from the same initramfs. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { boot } from "../../bindings/index.ts";
import { hasStock, stockFile, stockInitramfs, stockKernel } from "./files.ts";

const MODULES = "loop configfs dummy netconsole crc16 crc32c_generic mbcache jbd2 ext4".split(" ");
const COMMANDS = readFileSync("test/stock/commands.txt", "latin1");
/** Each command in a subshell, with its number and its exit status; then, under QEMU, the end. */
const START = `#!/bin/sh
mkdir /tmp/w; cd /tmp/w
number=0
while read -r line; do
  number=$((number + 1))
  echo "[$number] $line"
  (eval "$line") < /dev/null
  echo "[$number] = $?"
done < /commands > /tmp/out 2>&1
[ "$judge" ] || exit 0
cat /tmp/out > /dev/ttyS1
reboot -f
`;

/** Everything that QEMU's guest writes to its second serial port until it resets. */
async function underQemu(kernel: Uint8Array, initrd: Uint8Array): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "crashlab-stock-"));
  try {
    const [vmlinux, archive, output] = ["vmlinux", "initrd", "output"].map((name) => join(folder, name));
    writeFileSync(vmlinux ?? "", kernel);
    writeFileSync(archive ?? "", initrd);
    const machine = `-machine pc -cpu qemu64 -m 256M -display none -no-reboot -monitor none -nic none -serial null -serial file:${output} -kernel ${vmlinux} -initrd ${archive}`;
    const words = "nokaslr cryptomgr.notests mitigations=off audit=0 reboot=t judge=1";
    await new Promise<void>((resolve, reject) => {
      const qemu = spawn("qemu-system-x86_64", [...machine.split(" "), "-append", words]);
      qemu.once("error", reject);
      const timer = setTimeout(() => qemu.kill("SIGKILL"), 400_000);
      qemu.once("exit", () => {
        clearTimeout(timer);
        resolve();
      });
    });
    return readFileSync(output ?? "", "latin1").replaceAll("\r\n", "\n");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe.skipIf(!hasStock)("programs on Debian's kernel", () => {
  it("more than fifty commands write what they write under QEMU", { timeout: 600_000 }, async () => {
    const modules = Object.fromEntries(
      MODULES.map((name) => [`lib/modules/${name}.ko`, stockFile(`${name}.ko`)]),
    );
    const initrd = stockInitramfs({ ...modules, commands: COMMANDS, start: START });
    const judge = underQemu(stockKernel(), initrd);
    await using machine = await boot({ kernel: stockKernel(), initrd, memory: "256M", budget: 60e9 });
    const { stdout } = await machine.exec("cat /tmp/out");
    const expected = await judge;
    expect(stdout).toBe(expected);
    expect(machine.reports).toEqual([]);

    const text = Array.from({ length: 400 }, (_, line) => `line ${line} of some text\n`).join("");
    for (const algorithm of ["sha256", "sha1", "md5"]) {
      expect(stdout).toContain(`${createHash(algorithm).update(text).digest("hex")}  text\n`);
    }
    expect(stdout).toContain(
      "[2] seq 1 20 > n; wc n; head -n 3 n; tail -n 2 n\n       20        20        51 n\n1\n2\n3\n19\n20\n[2] = 0\n",
    );
    expect(stdout).not.toMatch(/applet not found|not found\n/);
    const count = COMMANDS.trimEnd().split("\n").length;
    expect(count).toBeGreaterThan(50);
    expect(stdout.match(/^\[\d+\] = \d+$/gm)).toHaveLength(count);
  });
});
