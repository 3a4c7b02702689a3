/** KASAN as a boot option: what it asks of the processor and of the kernel's command line. docs/kasan.md. */

/**
 * - `check`: who looks at the shadow before an access. "core": the emulated processor, for a kernel without
 *   instrumentation (the default). "none": nobody; the allocators keep the shadow and still report bad frees.
 * - `mode`: "generic", one shadow byte for 8 bytes.
 */
export interface KasanOptions {
  readonly mode: "generic";
  readonly check?: "core" | "none";
}

/** What `kasan` in the boot options means. */
export function kasanBoot(options: KasanOptions | undefined): {
  readonly cmdline: string;
  readonly shadowCheck: boolean;
} {
  if (options === undefined) return { cmdline: "", shadowCheck: false };
  return { cmdline: "kasan=on", shadowCheck: options.check !== "none" };
}
