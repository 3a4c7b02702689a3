/** Where crashlab's built parts lie when it runs in Node.js: `build/` beside `bindings/` or `dist/`. */
import { readFile } from "node:fs/promises";
import { CrashlabError } from "../error.ts";

const BUILD = new URL("../../build/", import.meta.url);

/** The compiled machine, `build/core.wasm`. */
export function loadCore(): Promise<Uint8Array<ArrayBuffer>> {
  return load("core.wasm", "npm run build:core");
}

/** A part of the embedded guest: "vmlinux", "initramfs.cpio", "modules/mydriver.ko". */
export function loadGuest(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return load(`guest/${name}`, "npm run build:guest");
}

async function load(path: string, command: string): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(path, BUILD);
  try {
    return new Uint8Array(await readFile(url));
  } catch (cause) {
    throw new CrashlabError("missing-asset", `expected ${url.pathname}, found nothing; run: ${command}`, {
      cause,
    });
  }
}
