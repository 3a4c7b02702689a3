/** Where crashlab's built parts lie when it runs in Node.js: `build/` beside `bindings/` or `dist/`. */
import { readFile } from "node:fs/promises";
import { CrashlabError } from "../error.ts";
import { once } from "./once.ts";

const BUILD = new URL("../../build/", import.meta.url);

/** The compiled machine, `build/core.wasm`. */
export function loadCore(): Promise<Uint8Array<ArrayBuffer>> {
  return load("core.wasm");
}

/** A part of the embedded guest: "vmlinux", "initramfs.cpio", "modules/mydriver.ko". */
export function loadGuest(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return load(`guest/${name}`);
}

const load = once(async (path) => {
  const url = new URL(path, BUILD);
  try {
    return new Uint8Array(await readFile(url));
  } catch (cause) {
    const command = `npm run build:${path === "core.wasm" ? "core" : "guest"}`;
    throw new CrashlabError("missing-asset", `expected ${url.pathname}, found nothing; run: ${command}`, {
      cause,
    });
  }
});
