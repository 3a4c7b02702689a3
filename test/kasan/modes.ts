/** Every way to look at accesses that there is: what it is booted with, and the build of the guest that it wants. */
import { type BootOptions, boot, type Machine } from "../../bindings/index.ts";
import { buildGuest } from "../guest/build.ts";

const BUILDS = { layout: "--kasan=layout", outline: "--kasan=outline", inline: "--kasan=inline" } as const;

export const MODES: { readonly [mode: string]: Pick<BootOptions, "kasan" | "kfence"> } = {
  plain: { kasan: { mode: "generic" } },
  layout: { kasan: { mode: "generic", build: "layout" } },
  outline: { kasan: { mode: "generic", check: "compiler" } },
  inline: { kasan: { mode: "generic", check: "compiler", build: "inline" } },
  "sw-tags": { kasan: { mode: "sw-tags" } },
  "hw-tags": { kasan: { mode: "hw-tags" } },
  "hw-tags-async": { kasan: { mode: "hw-tags", access: "async" } },
  kfence: { kfence: { sampleInterval: 1 } },
};

/** A machine in that mode, its guest built if need be. */
export async function bootMode(mode: string, options: BootOptions = {}): Promise<Machine> {
  const own = MODES[mode];
  if (own === undefined) throw new Error(`expected one of ${Object.keys(MODES).join(", ")}, found "${mode}"`);
  if (mode in BUILDS) await buildGuest(BUILDS[mode as keyof typeof BUILDS]);
  return boot({ budget: 20e9, ...own, ...options });
}
