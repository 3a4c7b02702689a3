/** A console session with the same vmlinux in QEMU: the twin that our machine is compared with. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

export interface SessionOptions {
  /** Where vmlinux and initramfs.cpio are. Default "build/guest". */
  readonly guest?: string;
  /** Words after `console=ttyS0`. */
  readonly append?: string;
  /** Lines typed at the shell's prompt, one after another. */
  readonly commands: readonly string[];
  /** The session ends when the console has said this. */
  readonly until: RegExp;
}

/** How long a session may take: a busy machine is slow, a guest that hangs is not worth more. */
const PATIENCE_MS = 240_000;

/**
 * What the console said from the first line of the kernel on, lines without their ends.
 *
 * The console is a file, which takes whatever QEMU writes: at a pipe whose reader is late, QEMU's port stays full
 * and its guest, which waits for no port for ever, goes on and loses text.
 */
export async function qemuConsole(options: SessionOptions): Promise<string[]> {
  const guest = options.guest ?? "build/guest";
  const folder = mkdtempSync(join(tmpdir(), "crashlab-qemu-"));
  const output = openSync(join(folder, "console"), "w+");
  const qemu = spawn(
    "qemu-system-x86_64",
    [
      ..."-machine pc -cpu qemu64,+smep,+smap -m 128M -display none -no-reboot -monitor none".split(" "),
      ...["-serial", "stdio", "-serial", "null"],
      ...["-kernel", `${guest}/vmlinux`, "-initrd", `${guest}/initramfs.cpio`],
      ...["-append", `console=ttyS0 ${options.append ?? ""}`.trim()],
    ],
    { stdio: ["pipe", output, "ignore"] },
  );
  const ended = new Promise<string>((resolve, reject) => {
    qemu.once("error", reject);
    qemu.once("exit", () => resolve("ended"));
  });
  try {
    return await converse(qemu, output, ended, options);
  } finally {
    qemu.kill("SIGKILL");
    closeSync(output);
    rmSync(folder, { recursive: true });
  }
}

async function converse(
  qemu: ChildProcess,
  output: number,
  ended: Promise<string>,
  options: SessionOptions,
): Promise<string[]> {
  const commands = [...options.commands];
  const deadline = performance.now() + PATIENCE_MS;
  const bytes = Buffer.alloc(1 << 20);
  let length = 0;
  let text = "";
  let answered = 0;
  for (let state = "running"; ; state = await Promise.race([ended, delay(10, "running")])) {
    const read = readSync(output, bytes, 0, bytes.length, length);
    length += read;
    text += bytes.toString("latin1", 0, read).replaceAll("\r", "");
    if (state === "ended" || options.until.test(text)) break;
    if (performance.now() > deadline)
      throw new Error(`expected ${options.until} on QEMU's console, found: ${text.slice(-2000)}`);
    // A prompt at the end of what was said: the shell waits.
    if (text.endsWith("\n# ") && text.length > answered && commands.length > 0) {
      answered = text.length;
      qemu.stdin?.write(`${commands.shift()}\n`);
    }
  }
  const start = text.indexOf("Linux version");
  return text.slice(text.lastIndexOf("\n", start) + 1).split("\n");
}
