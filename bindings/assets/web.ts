/**
 * Where crashlab's built parts lie when it runs in a browser or worker: fetched from `build/` beside `dist/`. Each is
 * named in a whole `new URL("...", import.meta.url)`, which is what bundlers look for: they copy the file and put its
 * new address there.
 */
import { CrashlabError } from "../error.ts";
import { once } from "./once.ts";

const PARTS: { readonly [name: string]: URL } = {
  "core.wasm": new URL("../../build/core.wasm", import.meta.url),
  vmlinux: new URL("../../build/guest/vmlinux.gz", import.meta.url),
  "initramfs.cpio": new URL("../../build/guest/initramfs.cpio", import.meta.url),
  "modules/mydriver.ko": new URL("../../build/guest/modules/mydriver.ko", import.meta.url),
  "modules/labcrash.ko": new URL("../../build/guest/modules/labcrash.ko", import.meta.url),
  "modules/kasan_test.ko": new URL("../../build/guest/modules/kasan_test.ko", import.meta.url),
  "modules/kasan_stress.ko": new URL("../../build/guest/modules/kasan_stress.ko", import.meta.url),
  "modules/kfence_test.ko": new URL("../../build/guest/modules/kfence_test.ko", import.meta.url),
};

/** The compiled machine, `build/core.wasm`. */
export function loadCore(): Promise<Uint8Array<ArrayBuffer>> {
  return load("core.wasm");
}

/** A part of the embedded guest: "vmlinux", "initramfs.cpio", "modules/mydriver.ko". There are no instrumented builds. */
export function loadGuest(name: string, build?: string): Promise<Uint8Array<ArrayBuffer>> {
  return load(build === undefined ? name : `guest-${build}/${name}`);
}

const load = once(async (name) => {
  const url = Object.hasOwn(PARTS, name) ? PARTS[name] : undefined;
  if (url === undefined) {
    throw new CrashlabError(
      "missing-asset",
      `expected one of ${Object.keys(PARTS).join(", ")}, found ${name}; give its bytes as an option instead`,
    );
  }
  let found: string;
  try {
    const response = await fetch(url);
    if (response.ok) return await unpack(await response.blob());
    found = `status ${response.status}`;
  } catch (cause) {
    found = String(cause);
  }
  throw new CrashlabError(
    "missing-asset",
    `expected ${url.href}, found ${found}; serve crashlab's build/ folder there`,
  );
});

/** The content of a part; a server may have unpacked it already. */
async function unpack(part: Blob): Promise<Uint8Array<ArrayBuffer>> {
  const [first, second] = new Uint8Array(await part.slice(0, 2).arrayBuffer());
  const packed = first === 0x1f && second === 0x8b;
  const stream = packed ? part.stream().pipeThrough(new DecompressionStream("gzip")) : part.stream();
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
