/** The release script says what is missing, and publishes with provenance only when nothing is. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Result, ROOT, runFile } from "../docs/run.ts";

const FILES = ["package.json", "package-lock.json"];
const PUBLISH = "npm publish --provenance --access public";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "crashlab-release-"));
  for (const name of FILES) writeFileSync(join(folder, name), readFileSync(join(ROOT, name)));
  writeFileSync(join(folder, "CHANGELOG.md"), "# Changes\n\n## Unreleased\n");
  git("init", "--quiet");
  commit();
  for (const name of ["ACTIONS_ID_TOKEN_REQUEST_URL", "SIGSTORE_ID_TOKEN"]) vi.stubEnv(name, undefined);
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

function git(...args: string[]): void {
  const identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
  execFileSync("git", [...identity, ...args], { cwd: folder });
}

function commit(): void {
  git("add", "--all");
  git("commit", "--quiet", "--message", "state");
}

const dryRun = (): Promise<Result> => runFile(join(ROOT, "tools/release.ts"), ["--dry-run"], { cwd: folder });

test("a tree that is not ready is not published", async () => {
  const { stdout, status } = await dryRun();
  expect(status).toBe(1);
  expect(stdout).toContain("ok      a clean tree");
  expect(stdout).toMatch(/^missing a section "## \d+\.\d+\.\d+" in CHANGELOG\.md: /m);
  expect(stdout).toMatch(/^missing the tag v\d+\.\d+\.\d+ at this commit: git tag v/m);
  expect(stdout).toMatch(/^missing a CI service that can sign provenance: /m);
});

test("one that is ready would be, with provenance", async () => {
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");
  const { version, ...rest } = JSON.parse(read("package.json"));
  const repository = { type: "git", url: "git+https://github.com/someone/crashlab.git" };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ version, ...rest, repository }));
  writeFileSync(
    join(folder, "CHANGELOG.md"),
    read("CHANGELOG.md").replace("## Unreleased", `## ${version} (2026-01-01)`),
  );
  commit();
  git("tag", `v${version}`);
  vi.stubEnv("SIGSTORE_ID_TOKEN", "token");
  vi.stubEnv("GITHUB_REPOSITORY", "someone/crashlab");
  const { stdout, status } = await dryRun();
  expect(stdout).not.toContain("missing");
  expect(stdout).toContain(`would run: ${PUBLISH}`);
  expect(status).toBe(0);
});
