/** A console session with the same vmlinux in QEMU: the twin that our machine is compared with. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";

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

/** What the console said from the first line of the kernel on, lines without their ends. */
export async function qemuConsole(options: SessionOptions): Promise<string[]> {
  const guest = options.guest ?? "build/guest";
  const qemu = spawn("qemu-system-x86_64", [
    ..."-machine pc -cpu qemu64,+smep,+smap -m 128M -display none -no-reboot -monitor none".split(" "),
    ...["-serial", "stdio", "-serial", "null"],
    ...["-kernel", `${guest}/vmlinux`, "-initrd", `${guest}/initramfs.cpio`],
    ...["-append", `console=ttyS0 ${options.append ?? ""}`.trim()],
  ]);
  try {
    return await converse(qemu, options);
  } finally {
    qemu.kill("SIGKILL");
  }
}

function converse(qemu: ChildProcessWithoutNullStreams, options: SessionOptions): Promise<string[]> {
  const commands = [...options.commands];
  let text = "";
  let answered = 0;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`expected ${options.until} on QEMU's console, found: ${text.slice(-2000)}`));
    }, 60_000);
    const finish = (): void => {
      clearTimeout(timer);
      const start = text.indexOf("Linux version");
      resolve(text.slice(text.lastIndexOf("\n", start) + 1).split("\n"));
    };
    qemu.once("error", reject);
    qemu.once("exit", finish);
    qemu.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1").replaceAll("\r", "");
      // A prompt at the end of what was said: the shell waits.
      while (text.endsWith("\n# ") && text.length > answered && commands.length > 0) {
        answered = text.length;
        qemu.stdin.write(`${commands.shift()}\n`);
      }
      if (options.until.test(text)) finish();
    });
  });
}
