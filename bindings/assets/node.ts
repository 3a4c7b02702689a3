/** Where crashlab's built parts lie when it runs in Node.js: `build/` beside `bindings/` or `dist/`. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { CrashlabError } from "../error.ts";
import { once } from "./once.ts";

const BUILD = new URL("../../build/", import.meta.url);

/** The compiled machine, `build/core.wasm`. */
export function loadCore(): Promise<Uint8Array<ArrayBuffer>> {
  return load("core.wasm");
}

/** A part of the embedded guest, or of an instrumented build of it: "vmlinux", "initramfs.cpio", "modules/mydriver.ko". */
export function loadGuest(name: string, build?: string): Promise<Uint8Array<ArrayBuffer>> {
  return load(`guest${build === undefined ? "" : `-${build}`}/${name}`);
}

const BUNDLER = "or tell a bundler that crashlab is external";

/** What makes a part that is not there. */
function advice(path: string): string {
  if (path === "core.wasm") return `run: npm run build:core; ${BUNDLER}`;
  const [, build] = /^guest-(\w+)\//.exec(path) ?? [];
  if (build === undefined) return `run: npm run build:guest; ${BUNDLER}`;
  return (
    `instrumented kernels are not in the npm package; in crashlab's sources run: npm run build:guest -- --kasan=${build}; ` +
    `elsewhere give boot() that build's vmlinux and initramfs.cpio as kernel and initrd`
  );
}

const load = once(async (path) => {
  const url = new URL(path, BUILD);
  try {
    return new Uint8Array(await readFile(url));
  } catch (cause) {
    throw new CrashlabError(
      "missing-asset",
      `expected ${fileURLToPath(url)}, found nothing; ${advice(path)}`,
      { cause },
    );
  }
});
