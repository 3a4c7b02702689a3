/**
 * Crashes Debian's kernel a hundred times in a row, each time from the same snapshot of the booted system.
 * Usage: stock_linux.ts VMLINUZ BUSYBOX
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { boot, busyboxInitramfs } from "crashlab";

const fetched = (name: string): string => fileURLToPath(new URL(`../build/stock/${name}`, import.meta.url));
const [, , vmlinuz = fetched("vmlinuz"), busybox = fetched("busybox")] = process.argv;
const kernel = new Uint8Array(await readFile(vmlinuz));
const initrd = busyboxInitramfs({ busybox: new Uint8Array(await readFile(busybox)) });
await using machine = await boot({ kernel, initrd, memory: "256M" });
const booted = machine.snapshot();

let restoring = 0;
const titles = new Map<string, number>();
for (let round = 0; round < 100; round++) {
  await machine.exec("echo c > /proc/sysrq-trigger").catch(() => undefined);
  const title = machine.panic?.title ?? "no panic";
  titles.set(title, (titles.get(title) ?? 0) + 1);
  const before = performance.now();
  machine.restore(booted);
  restoring += performance.now() - before;
}
for (const [title, count] of titles) console.log(`${count} times: ${title}`);
console.log(`restore: ${(restoring / 100).toFixed(1)} ms each`);
