/** The package as it is published: complete, small, typed, installed into an empty project and used from there. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../docs/run.ts";
import { INSTALLING, install, NODE24, type Project } from "./install.ts";

const run = promisify(execFile);
/** core.wasm and all JavaScript of the package; guest images and iced-x86 apart. */
const BUDGET = 500_000;
const ENTRIES = [".", "./report", "./symbols", "./vmcore", "./node", "./vitest"];
/** The tarball: guest images, types, source maps, sources and pages as well. */
const PACKED = 4_500_000;
/** Nouns and verbs of the root that run, as against types. */
const ROOT_VALUES = 40;

let project: Project;
let home: string;
beforeAll(async () => {
  project = await install();
  home = join(project.folder, "node_modules/crashlab");
}, INSTALLING);
afterAll(() => project?.[Symbol.dispose]());

/** Runs code as an ES module of the project. */
async function runModule(code: string, name = "main.mjs"): Promise<string> {
  writeFileSync(join(project.folder, name), code);
  const { stdout, stderr } = await run(process.execPath, [name], { cwd: project.folder });
  expect(stderr).toBe("");
  return stdout;
}

describe("the package", () => {
  test("publint has nothing to say", async () => {
    const packed = readFileSync(project.tarball);
    const bytes = packed.buffer.slice(packed.byteOffset, packed.byteOffset + packed.byteLength);
    const { messages, pkg } = await publint({ pack: { tarball: bytes }, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
  });

  test("are the types wrong? Not for ES modules", async () => {
    const packed = createPackageFromTarballData(new Uint8Array(readFileSync(project.tarball)));
    const result = await checkPackage(packed);
    if (!result.types) throw new Error("expected types in the package, found none");
    // It is ESM only; node10 knows no exports.
    const problems = result.problems.filter(
      (problem) =>
        problem.kind !== "CJSResolvesToESM" &&
        !("resolutionKind" in problem && problem.resolutionKind === "node10"),
    );
    expect(problems).toEqual([]);
  });

  test("what it needs is in it, what it does not need is not", () => {
    for (const path of [
      "build/core.wasm",
      "build/guest/vmlinux",
      "build/guest/initramfs.cpio",
      "dist/index.d.ts",
    ]) {
      expect(existsSync(join(home, path)), path).toBe(true);
    }
    for (const path of ["assembly", "kernel", "test", "bench", "build/guest/obj", "build/core.wat"]) {
      expect(existsSync(join(home, path)), path).toBe(false);
    }
    const { dependencies } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
    expect(Object.keys(dependencies)).toEqual(["@assemblyscript/loader", "commander", "fflate", "fzstd"]);
  });

  test(`core.wasm and JavaScript are below ${BUDGET / 1000} KB gzipped`, () => {
    const scripts = readdirSync(join(home, "dist"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".js"))
      .map((name) => readFileSync(join(home, "dist", name)));
    const size = [readFileSync(join(home, "build/core.wasm")), Buffer.concat(scripts)]
      .map((bytes) => gzipSync(bytes, { level: 9 }).length)
      .reduce((sum, bytes) => sum + bytes);
    expect(size).toBeLessThan(BUDGET);
  });

  test(`the tarball is below ${PACKED / 1e6} MB`, () => {
    expect(statSync(project.tarball).size).toBeLessThan(PACKED);
  });
});

describe("an empty project", () => {
  test("the README's example, copied", async () => {
    const readme = readFileSync(join(home, "README.md"), "utf8");
    const code = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
    writeFileSync(join(project.folder, "example.mts"), code);
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const options =
      "--strict --noEmit --target es2022 --module nodenext --skipLibCheck --types node --lib es2023,esnext.disposable";
    await run(
      process.execPath,
      [tsc, ...options.split(" "), "--typeRoots", join(ROOT, "node_modules/@types"), "example.mts"],
      { cwd: project.folder },
    ).catch((error: { stdout: string }) => expect(error.stdout).toBe(""));
    // What `npx tsx` does.
    await runExample(process.execPath, "--import", import.meta.resolve("tsx"));
  });

  test.skipIf(NODE24 === undefined)("the same, as it is, with Node.js 24", async () => {
    await runExample(NODE24 ?? "");
  });

  async function runExample(node: string, ...options: readonly string[]): Promise<void> {
    rmSync(join(project.folder, "vmcore"), { force: true });
    const { stdout } = await run(node, [...options, "example.mts"], { cwd: project.folder });
    expect(stdout).toContain("notifier: Fatal exception\n");
    expect(existsSync(join(project.folder, "vmcore"))).toBe(true);
  }

  test.each(ENTRIES)("the entry point %s", async (entry) => {
    if (entry === "./vitest") return expect(existsSync(join(home, "dist/vitest/index.js"))).toBe(true);
    const name = `crashlab${entry.slice(1)}`;
    const out = await runModule(`console.log(Object.keys(await import("${name}")).length);`);
    expect(Number(out)).toBeGreaterThan(0);
    if (entry === ".") expect(Number(out)).toBeLessThan(ROOT_VALUES);
  });

  test.each(["crash-report", "commands", "files"])("the schema %s", async (name) => {
    const out = await runModule(`
      import { createRequire } from "node:module";
      console.log(createRequire(import.meta.url)("crashlab/schema/${name}.schema.json").$id);`);
    expect(out.trim()).toBe(`${name}.schema.json`);
  });

  test("the command", async () => {
    const { stdout } = await run(
      join(project.folder, "node_modules/.bin/crashlab"),
      ["crash", "null-dereference"],
      {
        cwd: project.folder,
      },
    );
    expect(stdout).toContain("RIP: 0010:my_driver_read+");
  });
});

describe("what a browser would load", () => {
  /** Files from an entry on, by the default conditions; packages by name. */
  function graph(entry: string): { readonly packages: ReadonlySet<string> } {
    const files = new Set<string>();
    const packages = new Set<string>();
    const { imports } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
    const visit = (file: string): void => {
      if (files.has(file)) return;
      files.add(file);
      for (const { fileName } of ts.preProcessFile(readFileSync(file, "utf8"), true, true).importedFiles) {
        if (fileName.startsWith(".")) visit(join(file, "..", fileName));
        else if (fileName.startsWith("#")) visit(join(home, imports[fileName].default));
        else packages.add(fileName);
      }
    };
    visit(join(home, entry));
    return { packages };
  }

  test.each(["index", "report/index", "symbols/index", "vmcore/index"])(
    "dist/%s.js loads no node: module and few packages",
    (entry) => {
      const allowed = ["@assemblyscript/loader", "fflate", "fzstd", "iced-x86"];
      expect([...graph(`dist/${entry}.js`).packages].filter((name) => !allowed.includes(name))).toEqual([]);
    },
  );

  test("the sources compile without Node.js's types and without the DOM's", () => {
    const entries = ["index", "report/index", "symbols/index", "vmcore/index"];
    const { options } = ts.convertCompilerOptionsFromJson(
      {
        ...{ target: "es2022", lib: ["es2023", "esnext.disposable", "webworker"], types: [] },
        ...{ module: "esnext", moduleResolution: "bundler", customConditions: ["browser"] },
        ...{ strict: true, noEmit: true, skipLibCheck: true, allowImportingTsExtensions: true },
      },
      ROOT,
    );
    const program = ts.createProgram(
      entries.map((entry) => join(ROOT, `bindings/${entry}.ts`)),
      options,
    );
    const problems = program
      .getSemanticDiagnostics()
      .map(
        ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`,
      );
    expect(problems).toEqual([]);
  });
});
