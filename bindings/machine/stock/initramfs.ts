/**
 * An initramfs for a stock Linux kernel, made of a static busybox: a shell on each serial port. The first port is the
 * console; on the second one commands of `machine.exec()` arrive, without echo. That the shells are up is told on
 * the second port, which is what `boot()` waits for when the archive's first entry is `.crashlab-shells`.
 */
import { CrashlabError } from "../../error.ts";
import { type CpioEntry, writeCpio } from "./cpio.ts";

const MARK = ".crashlab-shells";
const CPIO_HEADER = 110;
const ELF_MAGIC = 0x7f454c46;

const INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /root /lib/modules
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ PS1='# '
[ -x /start ] && /start
if [ -c /dev/ttyS1 ] && stty -F /dev/ttyS1 raw -echo 2>/dev/null; then
  while true; do
    { printf '\\036ready\\n' >&3; setsid sh /dev/ttyS1 </dev/null >&3 2>&1 3>&-; } 3<>/dev/ttyS1
  done &
fi
while true; do setsid cttyhack sh; done
`;

/** Of `busyboxInitramfs`. */
export interface InitramfsOptions {
  /** A statically linked busybox for x86-64. */
  readonly busybox: Uint8Array;
  /**
   * More files by their paths, such as "lib/modules/loop.ko"; those in bin/ can be executed. An executable "start"
   * runs before the shells; "init" replaces everything that is done here.
   */
  readonly files?: { readonly [path: string]: Uint8Array | string };
}

/** A "newc" cpio archive. The same options give the same bytes. Throws `bad-initrd` for a busybox that is no program. */
export function busyboxInitramfs(options: InitramfsOptions): Uint8Array {
  const { busybox, files = {} } = options;
  if (busybox.length < 64 || new DataView(busybox.buffer, busybox.byteOffset).getUint32(0) !== ELF_MAGIC) {
    throw new CrashlabError(
      "bad-initrd",
      `expected a busybox program (ELF), found ${busybox.length} bytes of something else; give busybox-static's bin/busybox`,
    );
  }
  const encode = (data: Uint8Array | string): Uint8Array =>
    typeof data === "string" ? new TextEncoder().encode(data) : data;
  const all: Record<string, Uint8Array | string> = { "bin/busybox": busybox, init: INIT, ...files };
  const entries: CpioEntry[] = Object.entries(all).map(([name, data]) => ({
    name,
    mode: /^(?:bin\/.*|s?bin\/.*|init|start)$/.test(name) ? 0o100755 : 0o100644,
    data: encode(data),
  }));
  return writeCpio([
    { name: MARK, mode: 0o100644 },
    ...foldersOf(["dev/console", ...Object.keys(all)]).map((name) => ({ name, mode: 0o040755 })),
    { name: "dev/console", mode: 0o020600, device: [5, 1] },
    ...entries,
  ]);
}

/** Whether `busyboxInitramfs` has made this archive, so that its shells can be waited for. */
export function hasShells(initrd: Uint8Array | undefined): boolean {
  const name = initrd?.subarray(CPIO_HEADER, CPIO_HEADER + MARK.length + 1);
  return new TextDecoder("latin1").decode(name) === `${MARK}\0`;
}

/** Every folder on the way to these files, outer ones first. */
function foldersOf(paths: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const path of paths) {
    const parts = path.split("/").slice(0, -1);
    parts.forEach((_, index) => {
      folders.add(parts.slice(0, index + 1).join("/"));
    });
  }
  return [...folders].sort();
}
