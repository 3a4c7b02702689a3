/** Where crashlab's built parts lie when it runs in a browser or worker: fetched from `build/` beside `dist/`. */
import { CrashlabError } from "../error.ts";

const BUILD = new URL("../../build/", import.meta.url);

/** The compiled machine, `build/core.wasm`. */
export function loadCore(): Promise<Uint8Array<ArrayBuffer>> {
  return load("core.wasm");
}

/** A part of the embedded guest: "vmlinux", "initramfs.cpio", "modules/mydriver.ko". */
export function loadGuest(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return load(`guest/${name}`);
}

async function load(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(path, BUILD);
  let found: string;
  try {
    const response = await fetch(url);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    found = `status ${response.status}`;
  } catch (cause) {
    found = String(cause);
  }
  throw new CrashlabError(
    "missing-asset",
    `expected ${url.href}, found ${found}; serve crashlab's build/ folder there`,
  );
}
