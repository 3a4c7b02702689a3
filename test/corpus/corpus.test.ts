import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Manifest, writeCorpus } from "../../bindings/corpus/corpus.ts";
import type { Machine } from "../../bindings/index.ts";
import { fromDocument } from "../../bindings/report/index.ts";
import { SymbolTable } from "../../bindings/symbols/index.ts";
import { Vmcore } from "../../bindings/vmcore/index.ts";

const SEED = 3;
const CASES = 8;

let folder: string;
let manifest: Manifest;
const out = (name: string): string => join(folder, name);
const read = (corpus: string, path: string): string => readFileSync(join(folder, corpus, path), "utf8");

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "crashlab-corpus-"));
  manifest = await writeCorpus({ out: out("a"), seed: SEED, cases: CASES });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Every file below a folder, by its path. */
function filesOf(name: string): string[] {
  return readdirSync(join(folder, name), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(folder, name).length + 1))
    .sort();
}

/** Words with which reports begin are letters of no meaning in the kernel's image; their lengths stay. */
function breakTexts(machine: Machine): void {
  const start = Number(machine.resolve("_text") - 0xffffffff80000000n);
  const bytes = machine.core.readPhysical(
    BigInt(start),
    Number(machine.resolve("_end") - machine.resolve("_text")),
  );
  const image = Buffer.from(bytes);
  for (const word of WORDS) {
    for (let at = image.indexOf(word); at >= 0; at = image.indexOf(word, at + 1))
      machine.core.writePhysical(BigInt(start + at), Buffer.alloc(word.length, "z"));
  }
}
const WORDS = [
  "BUG",
  "Oops",
  "WARNING",
  "panic - not",
  "RIP: ",
  "Call Trace",
  "fault",
  "invalid opcode",
  "INFO",
  "Machine Check",
  "NMI received",
];

describe("a corpus", () => {
  it("has a manifest of every file", () => {
    expect(manifest.files.map(({ path }) => path)).toEqual(
      filesOf("a").filter((path) => path !== "manifest.json"),
    );
    for (const { path, size, sha256 } of manifest.files) {
      const bytes = readFileSync(join(folder, "a", path));
      expect([bytes.length, createHash("sha256").update(bytes).digest("hex")]).toEqual([size, sha256]);
    }
    expect(JSON.parse(read("a", "manifest.json"))).toEqual(manifest);
    expect(new Set(manifest.cases.map(({ label }) => label.outcome)).size).toBeGreaterThan(2);
  });

  it("is the same files for the same seed", async () => {
    await writeCorpus({ out: out("b"), seed: SEED, cases: CASES });
    expect(read("b", "manifest.json")).toBe(read("a", "manifest.json"));
    expect(filesOf("b")).toEqual(filesOf("a"));
  });

  it("has dumps that can be opened with its symbols", async () => {
    const crashed = manifest.cases.filter(
      ({ label, noVmcore }) => label.outcome === "panic" && noVmcore === undefined,
    );
    expect(crashed.length).toBeGreaterThan(0);
    const { folder: set } = crashed[0] ?? { folder: "" };
    const table = SymbolTable.fromElf(new Uint8Array(readFileSync(join(folder, "a/symbols/vmlinux"))));
    const file = await open(join(folder, "a", set, "vmcore"), "r");
    const program = await (await Vmcore.open(file)).program(table);
    expect((await program.crashedTask())?.pid).toBeGreaterThanOrEqual(0);
    await file.close();
    expect(fromDocument(read("a", `${set}/report.json`)).length).toBeGreaterThan(0);
  });

  it("has labels that stay when the text is broken", async () => {
    const broken = await writeCorpus({ out: out("broken"), seed: SEED, cases: CASES, prepare: breakTexts });
    const reports = (corpus: string): number =>
      manifest.cases.reduce(
        (sum, { folder: set }) => sum + fromDocument(read(corpus, `${set}/report.json`)).length,
        0,
      );
    expect(reports("a")).toBeGreaterThan(3);
    expect(reports("broken")).toBe(0);
    expect(broken.cases.map(({ label }) => label)).toEqual(manifest.cases.map(({ label }) => label));
    for (const { folder: set } of manifest.cases) {
      const truth = (corpus: string): unknown => JSON.parse(read(corpus, `${set}/truth.json`)).truth;
      expect(truth("broken")).toEqual(truth("a"));
    }
  });

  it("is not written over another, nor without cases", async () => {
    await expect(writeCorpus({ out: out("a"), cases: 1 })).rejects.toThrow("expected no corpus");
    await expect(writeCorpus({ out: out("c"), cases: 0 })).rejects.toThrow("cases as a whole number");
  });
});
