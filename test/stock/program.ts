/** Builds a program of test/stock/programs with the guest's compiler and small C library. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { run } from "../../kernel/tools/toolchain.ts";

const COMPILE =
  "--target=x86_64-linux-gnu -c -O2 -ffreestanding -nostdinc -fno-builtin -fno-pie -fno-stack-protector -mno-sse -fno-strict-aliasing -w";
const LINK = "-static -nostdlib -z noexecstack --image-base=0x400000 -e _start --build-id=none -s";

export async function buildProgram(name: string): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "crashlab-program-"));
  try {
    const library = ["crt0.S", "print.c", "string.c"].map((file) => resolve("kernel/user/lib", file));
    const sources = [resolve("test/stock/programs", `${name}.c`), ...library];
    const objects = sources.map((_, index) => join(folder, `${index}.o`));
    for (const [index, source] of sources.entries()) {
      const flags = [...COMPILE.split(" "), `-I${resolve("kernel/user")}`];
      await run("clang", [...flags, source, "-o", objects[index] ?? ""], folder);
    }
    await run("ld.lld", [...LINK.split(" "), ...objects, "-o", join(folder, name)], folder);
    return new Uint8Array(readFileSync(join(folder, name)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
