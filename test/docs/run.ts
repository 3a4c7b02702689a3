/** Runs TypeScript files and the command as a user does. */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));
const TSX = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;

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
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk;
  });
  child.stdin.on("error", () => undefined); // it may end without reading
  child.stdin.end(options.input ?? "");
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, stdout, stderr }));
  });
}

/** Runs the `crashlab` command. */
export function crashlab(...args: readonly string[]): Promise<Result> {
  return runFile(`${ROOT}bindings/cli/main.ts`, args);
}
