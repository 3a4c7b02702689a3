/** KASAN: what it asks of the processor and of the command line, and its shadow for tools that draw it. docs/kasan.md. */
import type { Core } from "../core/core.ts";
import { CrashlabError } from "../error.ts";

/**
 * - `mode`: "generic", one shadow byte for 8 bytes; "hw-tags" and "sw-tags", pointers and each 16 bytes of memory have
 *   a tag, of 4 and of 8 bits, and an access through a pointer with another tag is bad.
 * - `check`: who looks at the shadow before an access. "core" (the default): the emulated processor, for a kernel
 *   without instrumentation. "compiler": the kernel itself, in generic mode. "none": nobody; the allocators keep the
 *   shadow and report bad frees.
 * - `build`: the kernel to boot, unless `kernel` is given. By default the one without instrumentation for "core" and
 *   "none", and "outline" for "compiler". "layout" (for "core" and "none") has red zones around stack objects, allocas
 *   and globals; "outline" and "inline" (for "compiler") check by calls or by code of their own. They are made by
 *   `npm run build:guest -- --kasan=outline` in crashlab's sources; without that `boot()` throws `missing-asset`.
 * - `access`: with "hw-tags", what becomes of a bad access (Linux's `kasan.mode=`). "sync" (the default): it is reported
 *   where it happens. "async": it is made, and that there was one is reported when the kernel is next entered, left or
 *   switches tasks. "asymm": loads as "sync", stores as "async".
 */
export interface KasanOptions {
  readonly mode: "generic" | "sw-tags" | "hw-tags";
  readonly check?: "core" | "compiler" | "none";
  readonly build?: "layout" | "outline" | "inline";
  readonly access?: "sync" | "async" | "asymm";
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
  | "tagged"
  | "tag-kernel"
  | "tag-invalid"
  | "unknown";

/** What the shadow says of a granule: eight bytes in generic mode, sixteen in the tag modes (Linux mm/kasan/kasan.h). */
export interface ShadowByte {
  /** The first of its bytes. */
  readonly granule: bigint;
  /** Where the shadow byte lies. */
  readonly shadow: bigint;
  /** In the tag modes the memory's tag. */
  readonly value: number;
  readonly state: ShadowState;
  /** How many of its bytes, from the first on, may be used; in the tag modes through a pointer with the memory's tag. */
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
/** One shadow byte speaks for 2 to the power of `scale` bytes, at `(address >> scale) + offset`. */
interface Layout {
  readonly scale: bigint;
  readonly offset: bigint;
}
const GENERIC: Layout = { scale: 3n, offset: 0xdffffc0000000000n };
const TAGS: Layout = { scale: 4n, offset: 0xeffff40000000000n };
const UPPER_HALF = 0xffff800000000000n;
const TOP_BYTE = 0xff00000000000000n;
const MODES = ["generic", "sw-tags", "hw-tags"] as const;
const CHECKS = ["core", "compiler", "none"] as const;
const ACCESSES = ["sync", "async", "asymm"] as const;

function oneOf<T extends string>(name: string, value: T, values: readonly T[]): T {
  if (values.includes(value)) return value;
  const list = values.map((word) => `"${word}"`).join(", ");
  throw new CrashlabError(
    "bad-option",
    `expected kasan.${name} to be one of ${list}, found "${String(value)}"`,
  );
}

/** The builds that each way of checking can use, the default first. */
const BUILDS: {
  readonly [check in (typeof CHECKS)[number]]: readonly (KasanOptions["build"] | undefined)[];
} = {
  core: [undefined, "layout"],
  none: [undefined, "layout"],
  compiler: ["outline", "inline"],
};

/** What `kasan` in the boot options means; `build`: which build of the guest. Throws `bad-option`. */
export function kasanBoot(options: KasanOptions | undefined): {
  readonly cmdline: string;
  readonly shadowCheck: boolean;
  readonly ignoreTopByte: boolean;
  readonly build: KasanOptions["build"];
} {
  if (options === undefined)
    return { cmdline: "", shadowCheck: false, ignoreTopByte: false, build: undefined };
  const mode = oneOf("mode", options.mode, MODES);
  const check = oneOf("check", options.check ?? "core", CHECKS);
  const access = oneOf("access", options.access ?? "sync", ACCESSES);
  const builds = BUILDS[check];
  const build = options.build ?? builds[0];
  if ((check === "compiler" || build !== undefined) && mode !== "generic")
    throw new CrashlabError(
      "bad-option",
      `expected kasan.mode "generic" for instrumented code, found "${mode}"`,
    );
  if (!builds.includes(build))
    throw new CrashlabError(
      "bad-option",
      `expected kasan.build ${builds.filter((name) => name !== undefined).join(" or ")} with kasan.check "${check}", ` +
        `found "${String(build)}"`,
    );
  if (access !== "sync" && mode !== "hw-tags")
    throw new CrashlabError(
      "bad-option",
      `expected kasan.mode "hw-tags" for kasan.access "${access}", found "${mode}"`,
    );
  const word = mode === "generic" ? "on" : mode.replace("-", "_");
  return {
    cmdline: `kasan=${word}${access === "sync" ? "" : ` kasan.mode=${access}`}`,
    shadowCheck: check === "core",
    ignoreTopByte: mode !== "generic",
    build,
  };
}

function byteState(value: number): Pick<ShadowByte, "state" | "accessible"> {
  const state = value === 0 ? "accessible" : value < 8 ? "partial" : (STATES[value] ?? "unknown");
  return { state, accessible: value === 0 ? 8 : value < 8 ? value : 0 };
}

/** Linux's KASAN_TAG_KERNEL, of memory that nobody tagged, and KASAN_TAG_INVALID. */
function tagState(value: number): Pick<ShadowByte, "state" | "accessible"> {
  return {
    state: value === 0xff ? "tag-kernel" : value === 0xfe ? "tag-invalid" : "tagged",
    accessible: value === 0xfe ? 0 : 16,
  };
}

/** The shadow of a machine that was booted with `kasan`. */
export class Kasan {
  readonly #core: Core;
  readonly #commandLine: () => string;

  constructor(core: Core, commandLine: () => string) {
    this.#core = core;
    this.#commandLine = commandLine;
  }

  /**
   * The shadow byte of the granule that `address` lies in; undefined where there is none: below the upper half, where
   * the shadow is not mapped, and without KASAN.
   *
   * @example
   * machine.kasan.shadowOf(0xffff888007f68370n); // { value: 3, state: "partial", accessible: 3, ... }
   */
  shadowOf(address: bigint): ShadowByte | undefined {
    const tagged = /(?:^| )kasan=[sh]w_tags(?: |$)/.test(this.#commandLine());
    if (address > 0xffffffffffffffffn) return undefined;
    const at = tagged ? address | TOP_BYTE : address;
    if (at < UPPER_HALF || (tagged && ((address >> 47n) & 1n) === 0n)) return undefined;
    const { scale, offset } = tagged ? TAGS : GENERIC;
    const shadow = (at >> scale) + offset;
    const value = this.#read(shadow);
    if (value === undefined) return undefined;
    return {
      granule: (at >> scale) << scale,
      shadow,
      value,
      ...(tagged ? tagState(value) : byteState(value)),
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
