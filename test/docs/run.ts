/** Runs TypeScript files and the command as a user does. */
import { type ChildProcessWithoutNullStreams, execFile, spawn } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));
export const TSX: string = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a file with Node.js in a folder, with standard input if given; at most a minute, or `milliseconds`. */
export function runFile(
  file: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly input?: string; readonly milliseconds?: number } = {},
): Promise<Result> {
  const child = spawn(process.execPath, ["--conditions=source", "--import", TSX, file, ...args], {
    cwd: options.cwd ?? ROOT,
    stdio: ["pipe", "pipe", "pipe"],
    timeout: options.milliseconds ?? 60_000,
  });
  return resultOf(child, options.input);
}

/** Runs a line in bash in a folder, with another folder of programs before those of the system. */
export function runBash(line: string, cwd: string, programs: string): Promise<Result> {
  const env = { ...process.env, PATH: `${programs}:${process.env["PATH"]}` };
  const child = spawn("bash", ["-c", `set -o pipefail; ${line}`], {
    ...{ cwd, env, stdio: ["pipe", "pipe", "pipe"], timeout: 120_000 },
  });
  return resultOf(child);
}

function resultOf(child: ChildProcessWithoutNullStreams, input = ""): Promise<Result> {
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk;
  });
  child.stdin.on("error", () => undefined); // it may end without reading
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, stdout, stderr }));
  });
}

/** Newest change below a folder, in ms. */
function newest(folder: string): number {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return Math.max(...files.map((name) => statSync(join(folder, name)).mtimeMs));
}

/** Compiles `dist/` when a source is newer: what is packed is what is in the tree. */
export async function buildTs(): Promise<void> {
  const built = join(ROOT, "dist/index.js");
  if (existsSync(built) && newest(join(ROOT, "dist")) > newest(join(ROOT, "bindings"))) return;
  await promisify(execFile)("npm", ["run", "--silent", "build:ts"], { cwd: ROOT });
}

/** Runs the `crashlab` command, compiled. */
export async function crashlab(...args: readonly string[]): Promise<Result> {
  await buildTs();
  const child = spawn(process.execPath, [join(ROOT, "dist/cli/main.js"), ...args], {
    ...{ cwd: ROOT, stdio: ["pipe", "pipe", "pipe"], timeout: 120_000 },
  });
  return resultOf(child);
}
