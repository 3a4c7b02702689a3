/**
 * npm run release -- [--dry-run]
 *
 * Checks that the tree can be published, then publishes it with provenance: a statement, signed by the CI service,
 * of which commit and workflow built the package (npm's documentation, "Generating provenance statements"). The tag
 * must be there before; nothing is written by the script itself.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { "dry-run": { type: "boolean" }, help: { type: "boolean" } } });
if (values.help) {
  console.log("usage: npm run release -- [--dry-run]");
  process.exit(0);
}

const git = (...args: string[]): string => execFileSync("git", args, { encoding: "utf8" }).trim();
const { version, repository } = JSON.parse(readFileSync("package.json", "utf8")) as {
  version: string;
  repository?: string | { url: string };
};
const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as { version: string };
const changes = readFileSync("CHANGELOG.md", "utf8");
const tag = `v${version}`;
const home = typeof repository === "string" ? repository : repository?.url;

const checks: readonly { readonly what: string; readonly holds: boolean; readonly otherwise: string }[] = [
  {
    what: "a clean tree",
    holds: git("status", "--porcelain") === "",
    otherwise: "commit or put away what git status shows",
  },
  {
    what: `version ${version} in package-lock.json`,
    holds: lock.version === version,
    otherwise: "run npm install",
  },
  {
    what: `a section "## ${version}" in CHANGELOG.md`,
    holds: changes.split("\n").some((line) => line.startsWith(`## ${version} `) || line === `## ${version}`),
    otherwise: "say there what has changed",
  },
  {
    what: `the tag ${tag} at this commit`,
    holds: git("tag", "--points-at", "HEAD").split("\n").includes(tag),
    otherwise: `git tag ${tag}`,
  },
  {
    what: "a repository in package.json",
    holds: home?.includes(process.env["GITHUB_REPOSITORY"] ?? "") ?? false,
    otherwise: "npm takes provenance only if repository.url is where CI has built it",
  },
  {
    what: "a CI service that can sign provenance",
    holds:
      process.env["ACTIONS_ID_TOKEN_REQUEST_URL"] !== undefined ||
      process.env["SIGSTORE_ID_TOKEN"] !== undefined,
    otherwise: "publish from CI with an OpenID Connect token",
  },
];

for (const { what, holds, otherwise } of checks) {
  console.log(`${holds ? "ok     " : "missing"} ${what}${holds ? "" : `: ${otherwise}`}`);
}
const isReady = checks.every(({ holds }) => holds);
const publish = ["publish", "--provenance", "--access", "public"];
console.log(`${values["dry-run"] ? "would run" : "runs"}: npm ${publish.join(" ")}`);
if (!isReady) process.exit(1);
if (!values["dry-run"]) execFileSync("npm", publish, { stdio: "inherit" });
