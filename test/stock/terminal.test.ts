/** `crashlab boot` on a terminal: a pseudo-terminal by script(1), at which somebody types. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { hasStock, stockInitramfs } from "./files.ts";

const folder = mkdtempSync(join(tmpdir(), "crashlab-stock-"));
afterAll(() => rmSync(folder, { recursive: true }));
const CTRL_A = "\u0001";
const CTRL_C = "\u0003";

describe.skipIf(!hasStock)("crashlab boot --kernel on a terminal", () => {
  it("passes keys to the guest, Ctrl-C too; Ctrl-A x leaves", { timeout: 900_000 }, async () => {
    const initrd = join(folder, "initrd");
    writeFileSync(initrd, stockInitramfs());
    const command = `${process.execPath} --conditions=source --import tsx bindings/cli/main.ts boot --kernel build/stock/vmlinuz --initrd ${initrd} --memory 256M --append quiet`;
    const terminal = spawn("script", ["-qec", command, "/dev/null"]);
    let shown = "";
    let changed = (): void => undefined;
    terminal.stdout.on("data", (data: Buffer) => {
      shown += data.toString("latin1");
      changed();
    });
    const status = new Promise<number | null>((resolve) => {
      terminal.once("exit", (code) => {
        resolve(code);
        changed();
      });
    });
    /** Waits until the guest has answered to what has been typed. */
    const typed = async (keys: string, answer: RegExp): Promise<void> => {
      shown = "";
      terminal.stdin.write(keys);
      while (!answer.test(shown)) {
        if (terminal.exitCode !== null) throw new Error(`expected ${answer}, found the end: ${shown}`);
        await new Promise<void>((resolve) => {
          changed = resolve;
        });
      }
    };
    await typed("", /built-in shell[\s\S]*# /);
    await typed("echo $((6 * 7)) $(uname -r)\r", /\n42 6\.1\.\S+-amd64\r+\n# /);
    await typed("cat\r", /cat\r+\n/);
    await typed(CTRL_C, /# /);
    await typed("echo status $?\r", /\nstatus 130\r+\n# /);
    terminal.stdin.write(`${CTRL_A}x`);
    expect(await status).toBe(0);
  });
});
