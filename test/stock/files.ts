/** Debian's kernel, busybox and modules in build/stock, as .ci/stock puts them there, and machines that run them. */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { type BootOptions, boot, busyboxInitramfs, type Machine } from "../../bindings/index.ts";
import { unpackKernel } from "../../bindings/machine/loaders/kernel.ts";

const FOLDER = "build/stock";

export const hasStock: boolean = existsSync(`${FOLDER}/vmlinuz`) && existsSync(`${FOLDER}/busybox`);
if (!hasStock) console.warn(`test/stock is skipped: no kernel in ${FOLDER}; .ci/stock fetches it`);

export function stockFile(name: string): Uint8Array {
  return new Uint8Array(readFileSync(`${FOLDER}/${name}`));
}

let vmlinux: Uint8Array | undefined;

/** The kernel, unpacked once for all tests: it is kept in a file beside it. */
export function stockKernel(): Uint8Array {
  if (vmlinux !== undefined) return vmlinux;
  const file = `${FOLDER}/vmlinux`;
  if (!existsSync(file)) {
    writeFileSync(`${file}.${process.pid}`, unpackKernel(stockFile("vmlinuz")));
    renameSync(`${file}.${process.pid}`, file);
  }
  vmlinux = stockFile("vmlinux");
  return vmlinux;
}

export function stockInitramfs(files: Record<string, Uint8Array | string> = {}): Uint8Array {
  return busyboxInitramfs({ busybox: stockFile("busybox"), files });
}

/** A machine whose shells are up. */
export function bootStock(options: BootOptions = {}): Promise<Machine> {
  return boot({ kernel: stockKernel(), initrd: stockInitramfs(), memory: "256M", ...options });
}
