/** KASAN: what it asks of the processor and of the command line, and its shadow for tools that draw it. docs/kasan.md. */
import type { Core } from "../core/core.ts";
import { CrashlabError } from "../error.ts";

/**
 * - `mode`: "generic", one shadow byte for 8 bytes.
 * - `check`: who looks at the shadow before an access. "core" (the default): the emulated processor, for a kernel
 *   without instrumentation. "compiler": the kernel itself; `kernel` and `initrd` have to be of such a build
 *   (`npm run build:guest -- --kasan=outline`). "none": nobody; the allocators keep the shadow and report bad frees.
 */
export interface KasanOptions {
  readonly mode: "generic";
  readonly check?: "core" | "compiler" | "none";
}

/** What a shadow byte says of its 8 bytes (Linux mm/kasan/kasan.h). */
export type ShadowState =
  | "accessible"
  | "partial"
  | "page-free"
  | "page-redzone"
  | "slab-redzone"
  | "slab-free"
  | "slab-free-track"
  | "global-redzone"
  | "vmalloc-invalid"
  | "stack-left"
  | "stack-middle"
  | "stack-right"
  | "stack-partial"
  | "alloca-left"
  | "alloca-right"
  | "unknown";

/** What the shadow says of a granule of eight bytes (Linux mm/kasan/kasan.h). */
export interface ShadowByte {
  /** The first of the 8 bytes. */
  readonly granule: bigint;
  /** Where the shadow byte lies. */
  readonly shadow: bigint;
  readonly value: number;
  readonly state: ShadowState;
  /** How many of the 8 bytes, from the first on, may be used. */
  readonly accessible: number;
}

const STATES: Readonly<Record<number, ShadowState>> = {
  255: "page-free",
  254: "page-redzone",
  252: "slab-redzone",
  251: "slab-free",
  250: "slab-free-track",
  249: "global-redzone",
  248: "vmalloc-invalid",
  241: "stack-left",
  242: "stack-middle",
  243: "stack-right",
  244: "stack-partial",
  202: "alloca-left",
  203: "alloca-right",
};
const SHADOW_OFFSET = 0xdffffc0000000000n;
const UPPER_HALF = 0xffff800000000000n;

/** What `kasan` in the boot options means. Throws `bad-option`. */
export function kasanBoot(options: KasanOptions | undefined): {
  readonly cmdline: string;
  readonly shadowCheck: boolean;
} {
  if (options === undefined) return { cmdline: "", shadowCheck: false };
  const { mode, check = "core" } = options;
  if (mode !== "generic")
    throw new CrashlabError("bad-option", `expected kasan.mode "generic", found "${String(mode)}"`);
  if (check !== "core" && check !== "compiler" && check !== "none")
    throw new CrashlabError(
      "bad-option",
      `expected kasan.check "core", "compiler" or "none", found "${String(check)}"`,
    );
  return { cmdline: "kasan=on", shadowCheck: check === "core" };
}

/** The shadow of a machine that was booted with `kasan`. */
export class Kasan {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * The shadow byte of the granule that `address` lies in; undefined where there is none: below the upper half, where
   * the shadow is not mapped, and without KASAN.
   *
   * @example
   * machine.kasan.shadowOf(0xffff888007f68370n); // { value: 3, state: "partial", accessible: 3, ... }
   */
  shadowOf(address: bigint): ShadowByte | undefined {
    if (address < UPPER_HALF || address > 0xffffffffffffffffn) return undefined;
    const shadow = (address >> 3n) + SHADOW_OFFSET;
    const value = this.#read(shadow);
    if (value === undefined) return undefined;
    const state = value === 0 ? "accessible" : value < 8 ? "partial" : (STATES[value] ?? "unknown");
    return {
      granule: address & ~7n,
      shadow,
      value,
      state,
      accessible: value === 0 ? 8 : value < 8 ? value : 0,
    };
  }

  #read(shadow: bigint): number | undefined {
    try {
      return this.#core.readVirtual(shadow, 1)[0];
    } catch (error) {
      if (error instanceof CrashlabError) return undefined;
      throw error;
    }
  }
}
