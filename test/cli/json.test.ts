/**
 * Every command that has --json prints one document, and docs/schema/commands.schema.json describes it whole;
 * docs/schema/files.schema.json does so for the JSON files that commands leave.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { crashlabProgram } from "../../bindings/cli/program.ts";
import { canRunNatively } from "../../bindings/fuzz/native.ts";
import { canRunQemu } from "../../bindings/fuzz/system/machines.ts";
import { crashlab, ROOT, runFile } from "../docs/run.ts";

const readSchema = (name: string): { $defs: Record<string, unknown> } =>
  JSON.parse(readFileSync(join(ROOT, "docs/schema", name), "utf8"));
const commands = readSchema("commands.schema.json");
const ajv = new Ajv2020({ allErrors: true, strictTuples: false });
ajv.addSchema(readSchema("crash-report.schema.json"));
ajv.addSchema(commands);
const files = readSchema("files.schema.json");
ajv.addSchema(files);

const OOPS = join(ROOT, "test/data/linux-logs/oops/debian-process-null_write.txt");
const PANIC = join(ROOT, "test/data/linux-logs/oops/debian-process-panic.txt");

/** One run of each; @ is the test's folder, which has a crash's vmlinux, vmcore and mydriver.ko in `crash`. */
const RUNS: { readonly [command: string]: string } = {
  faults: "",
  crash: "null-dereference --kdump host --out @/crash",
  campaign: "--cases 3 --jobs 1 --out @/campaign",
  corpus: "@/corpus --cases 3 --seed 5",
  parse: OOPS,
  compare: `${OOPS} ${PANIC}`,
  decodecode: OOPS,
  faddr2line: "@/crash/mydriver.ko my_driver_read+0x10 no_such+0x1",
  addr2line: "@/crash/vmlinux ffffffff81000100 1",
  dis: "@/crash/mydriver.ko my_driver_read+0x24",
  analyze: "@/crash/vmlinux @/crash/vmcore -c sys -c nonsense",
  vectors: "test/data/vectors --group fault",
  "fuzz hostile": "--instructions 10000",
  "fuzz native": "--instructions 1000",
  "fuzz files": "--files 4",
  "fuzz system": "--cases 20",
  "fuzz x87": "--cases 100",
  "fuzz images": "--cases 20",
};
/** Tools that not every computer has. */
const CAN_RUN: { readonly [command: string]: () => boolean } = {
  "fuzz native": canRunNatively,
  "fuzz x87": canRunNatively,
  "fuzz system": canRunQemu,
};

const MAIN = join(ROOT, "bindings/cli/main.ts");

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "crashlab-json-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

test("every command with --json is described and run here", () => {
  const named = (command: Command, path: string): string[] => [
    ...(command.options.some(({ long }) => long === "--json") ? [path] : []),
    ...command.commands.flatMap((each) => named(each, `${path} ${each.name()}`.trim())),
  ];
  const all = named(crashlabProgram(), "").sort();
  expect(Object.keys(RUNS).sort()).toEqual(all);
  for (const name of all) expect(Object.keys(commands.$defs)).toContain(name);
});

/** Fields of a document that its definition does not name. */
function unnamed(definition: unknown, document: object): string[] {
  const { properties } = definition as { properties?: object };
  return properties === undefined ? [] : Object.keys(document).filter((key) => !(key in properties));
}

describe("the schema holds for", () => {
  test.each(Object.entries(RUNS).filter(([name]) => CAN_RUN[name]?.() !== false))(
    "%s --json %s",
    async (name, line) => {
      const words = line.replaceAll("@", folder).split(" ").filter(Boolean);
      const args = [...name.split(" "), ...words, "--json"];
      // Those that compile a program need a checkout.
      const run = CAN_RUN[name] === canRunNatively ? runFile(MAIN, args) : crashlab(...args);
      const { stdout, stderr } = await run;
      expect(stdout, stderr).not.toBe("");
      const document = JSON.parse(stdout) as { schema: string };
      const validate = ajv.getSchema(`commands.schema.json#/$defs/${encodeURIComponent(name)}`);
      expect(validate).toBeDefined();
      validate?.(document);
      expect(validate?.errors ?? []).toEqual([]);
      expect(unnamed(commands.$defs[name], document)).toEqual([]);
    },
  );
});

/** Documents of a file: its lines, or all of it. */
function documentsOf(path: string): object[] {
  const text = readFileSync(path, "utf8");
  return (path.endsWith(".jsonl") ? text.trimEnd().split("\n") : [text]).map((each) => JSON.parse(each));
}

test("each JSON file in the folders of those runs is described, and nothing else", () => {
  const found = new Set<string>();
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!/\.jsonl?$/.test(name)) continue;
    const [command, ...path] = name.split("/");
    const definition = `${command}/${path.at(-1)}`;
    expect(Object.keys(files.$defs), name).toContain(definition);
    found.add(definition);
    const validate = ajv.getSchema(`files.schema.json#/$defs/${definition.replace("/", "~1")}`);
    for (const document of documentsOf(join(folder, name))) {
      validate?.(document);
      expect([name, validate?.errors ?? []]).toEqual([name, []]);
      expect(unnamed(files.$defs[definition], document)).toEqual([]);
    }
  }
  expect([...found].sort()).toEqual(
    Object.keys(files.$defs)
      .filter((name) => name.includes("/"))
      .sort(),
  );
});
