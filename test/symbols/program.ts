/** Small programs for the tests of symbols, built with the guest's compiler. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../kernel/tools/toolchain.ts";

/** Inlining two deep, a static function that another file has too, an unnamed structure in a structure. */
const FIRST = `struct outer { int a; union { struct { long deep, deeper; }; int z; }; char last; } o;
volatile int sink;
static inline __attribute__((always_inline)) int leaf(int x) { return x * x + sink; }
static inline __attribute__((always_inline)) int middle(int x)
{
	int sum = 0;
	for (int i = 0; i < x; i++)
		sum += leaf(i + x);
	return sum;
}
static __attribute__((noinline)) int twin(int x) { o.last = x; return x / 3; }
__attribute__((noinline)) int top(int x)
{
	if (x > 3)
		return middle(x) + leaf(x);
	return middle(x + 1) + twin(x);
}
int second(int x);
void _start(void) { second(top(5)); }
`;
const SECOND = `
static __attribute__((noinline)) int twin(int x) { return x * 7 + (x >> 2) - x / 5 + x % 11; }
int second(int x) { return twin(x) + twin(x + 1); }
`;

export interface Program {
  /** A linked program, and the object file of its first source. */
  readonly executable: string;
  readonly object: string;
  remove(): void;
}

/** Compiles and links with the given debug flags. */
export async function buildProgram(debug: readonly string[]): Promise<Program> {
  const folder = mkdtempSync(join(tmpdir(), "crashlab-symbols-"));
  writeFileSync(join(folder, "first.c"), FIRST);
  writeFileSync(join(folder, "second.c"), SECOND);
  const flags = ["--target=x86_64-linux-gnu", "-c", "-O2", "-ffreestanding", "-fno-pic", ...debug];
  for (const name of ["first", "second"]) {
    await run("clang", [...flags, `${name}.c`, "-o", `${name}.o`], folder);
  }
  await run("ld.lld", ["-static", "--image-base=0x400000", "first.o", "second.o", "-o", "program"], folder);
  return {
    executable: join(folder, "program"),
    object: join(folder, "first.o"),
    remove: () => rmSync(folder, { recursive: true }),
  };
}

export function readBytes(path: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(path));
}
