/**
 * The command line for a stock Linux kernel on this machine: there is no firmware, ACPI or PCI to look for, guest
 * time is exact, and a reset is a triple fault. Mirrors Linux Documentation/admin-guide/kernel-parameters.txt.
 */
import { CrashlabError } from "../../error.ts";
import { ElfFile } from "../../symbols/elf.ts";

const WORDS: readonly string[] = [
  "nokaslr",
  "acpi=off", // no tables
  "pci=off", // no bus
  "tsc=reliable", // counts instructions: no watchdog needs to check it
  "reboot=t", // resets by triple fault, which every machine understands
  "cryptomgr.notests", // 0.9 thousand million instructions of self-tests
  "mitigations=off", // there is no speculation to mitigate
  "audit=0",
];

/** Words between `console=ttyS0 panic=0` and the caller's own: none but for stock Linux. */
export function stockWords(vmlinux: Uint8Array): readonly string[] {
  return isStockLinux(vmlinux) ? WORDS : [];
}

/** Whether this is a vmlinux of Linux for x86 (sections that only arch/x86/kernel/vmlinux.lds.S makes). */
export function isStockLinux(vmlinux: Uint8Array): boolean {
  try {
    return new ElfFile(vmlinux, { symbols: false }).section(".x86_cpu_dev.init") !== undefined;
  } catch (error) {
    if (error instanceof CrashlabError) return false;
    throw error;
  }
}
