import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const sums = (folder: string): string => readFileSync(join(folder, "SHA256SUMS"), "utf8");

describe("the guest's build", () => {
  it("gives the same bytes from another directory", () => {
    const copy = mkdtempSync(join(tmpdir(), "crash lab "));
    try {
      for (const folder of ["kernel", "bindings"]) cpSync(folder, join(copy, folder), { recursive: true });
      cpSync("package.json", join(copy, "package.json"));
      symlinkSync(resolve("node_modules"), join(copy, "node_modules"));
      execFileSync(process.execPath, ["--import", "tsx", "kernel/tools/build.ts"], { cwd: copy });
      expect(sums(join(copy, "build/guest"))).toBe(sums("build/guest"));
    } finally {
      rmSync(copy, { recursive: true });
    }
  });
});
