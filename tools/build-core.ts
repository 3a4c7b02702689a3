/**
 * Compiles assembly/ to build/core.wasm with the release target of asconfig.json. Nothing is done when no
 * source has changed since the last build.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root: string = fileURLToPath(new URL("..", import.meta.url));
const stamp: string = join(root, "build/core.stamp");

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? sources(path) : [path];
    })
    .sort();
}

function fingerprint(): string {
  const hash = createHash("sha256");
  for (const file of [
    ...sources(join(root, "assembly")),
    join(root, "asconfig.json"),
    join(root, "package-lock.json"),
  ]) {
    hash.update(file.slice(root.length)).update(readFileSync(file));
  }
  return hash.digest("hex");
}

const wanted: string = fingerprint();
const target: string = process.argv[2] ?? "release";
if (target === "release" && existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) {
  console.log("core.wasm is up to date");
} else {
  mkdirSync(join(root, "build"), { recursive: true });
  const started = performance.now();
  process.chdir(root);
  const { error } = await asc.main(["--target", target], { stdout: process.stdout, stderr: process.stderr });
  if (error) {
    console.error(error.message);
    process.exit(1);
  }
  if (target === "release") writeFileSync(stamp, wanted);
  const size = readFileSync(
    join(root, target === "release" ? "build/core.wasm" : "build/core.debug.wasm"),
  ).length;
  console.log(`core.wasm: ${size} bytes in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}
