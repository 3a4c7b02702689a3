/** What the documents say is true: the README's example and the examples run, links lead somewhere. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { boot } from "../../bindings/index.ts";
import { ROOT, runFile } from "./run.ts";

const VMCORE_BYTES = 128 << 20;
const pages = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"));
const documents = ["README.md", ...pages.map((name) => `docs/${name}`)];
const read = (name: string): string => readFileSync(join(ROOT, name), "utf8");

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "crashlab-docs-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

test("the README's example, as it stands there", async () => {
  const code = /```ts\n([\s\S]*?)```/.exec(read("README.md"))?.[1] ?? "";
  expect(code.trim().split("\n").filter(Boolean).length).toBeLessThanOrEqual(13);
  // Inside the package, so that it imports "crashlab" as its users do.
  const file = join(ROOT, "build/readme/example.ts");
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, code);
  const { stdout, stderr, status } = await runFile(file, [], { cwd: folder });
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  expect(stdout).toContain("notifier: Fatal exception\n");
  expect(stdout).toMatch(
    /BUG: unable to handle kernel NULL pointer dereference in my_driver_read at modules\/mydriver\/mydriver\.c \d+\n/,
  );
  expect(stdout).toContain("the CPU saw CR2 = 8n\n");
  expect(statSync(join(folder, "vmcore")).size).toBeGreaterThan(VMCORE_BYTES * 0.99);
});

/** What each example must print. */
const EXAMPLES: { readonly [name: string]: readonly (string | RegExp)[] } = {
  "oops.ts": [
    "BUG: unable to handle kernel NULL pointer dereference in my_driver_read",
    /RIP: my_driver_read \[mydriver\] at modules\/mydriver\/mydriver\.c:\d+/,
    /vfs_read at fs\/read_write\.c:\d+/,
    "error code 2, CR2 8",
    "tainted: 12416",
  ],
  "panic_notifier.ts": ["first: Fatal exception\nsecond: Fatal exception\nkernel panic: Fatal exception\n"],
  "vmcore.ts": [/^\d{9} bytes\n$/],
  "break_machine.ts": [
    "report: ",
    /at vfs_write\+0x0: 0xffffffff81[0-9a-f]{6} became 0xfffffeff81[0-9a-f]{6} at 0xffffc9/,
    /the CPU faulted at 0xfffffeff81/,
  ],
  "campaign.ts": ["failed: 0"],
  "corpus.ts": [/^cases\/000004 /m],
  "fork.ts": ["equal: true", "the child is tainted: 12416, its parent not: 0"],
  "reports.ts": [
    "BUG: unable to handle kernel paging request in lab_unmapped_read\nMEMORY_SAFETY_BUG lab_unmapped_read",
    /confidence 0\.\d+:\n {2}expected register values in the report, found none/,
    "same bug: true; differs: rip.offset",
    /5:\*\t48 a1 68 45 23 01 00 \tmovabs 0xffffc90001234568,%rax\t\t<-- trapping instruction/,
  ],
  "fleet.ts": [
    /^\d+x on \d+: .+ {2}\[.+\]$/m,
    /BUG: unable to handle kernel NULL pointer dereference in lab_null_read/,
  ],
  "stock_linux.ts": ["100 times: kernel panic: sysrq triggered crash", /restore: \d+\.\d ms each/],
  "parse_log.ts": [
    "BUG: unable to handle kernel NULL pointer dereference in lab_null_write",
    "lab_write < vfs_write",
  ],
};

const ARGUMENTS: { readonly [name: string]: readonly string[] } = {
  "fleet.ts": [join(ROOT, "test/data/linux-logs/oops")],
};

describe("examples", () => {
  test("all are known here", () => {
    const programs = readdirSync(join(ROOT, "examples")).filter((name) => !name.endsWith(".test.ts"));
    expect(programs.sort()).toEqual(Object.keys(EXAMPLES).sort());
  });

  const hasStock = existsSync(join(ROOT, "build/stock/vmlinuz"));
  const runnable = Object.entries(EXAMPLES).filter(([name]) => hasStock || name !== "stock_linux.ts");
  test.each(runnable)("%s", { timeout: 600_000 }, async (name, expected) => {
    const { stdout, stderr, status } = await runFile(join(ROOT, "examples", name), ARGUMENTS[name] ?? [], {
      cwd: folder,
    });
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
    for (const text of expected) expect(stdout).toMatch(text);
  });
});

describe("documents", () => {
  test.each(documents)("the links of %s lead to files", (name) => {
    for (const [, target = ""] of read(name).matchAll(/\]\(([^)#:]+)\)/g)) {
      expect(existsSync(join(ROOT, dirname(name), target)), target).toBe(true);
    }
  });

  test.each(documents)("the paths that %s names exist", (name) => {
    for (const [, path = ""] of read(name).matchAll(/`((?:assembly|bindings|kernel|examples)\/[\w./-]*)`/g)) {
      // Mirrored Linux files are named after the word Linux.
      if (read(name).includes(`Linux \`${path}\``) || read(name).includes(`and \`${path}\``)) continue;
      expect(existsSync(join(ROOT, path)), path).toBe(true);
    }
  });
});

test("the session of getting-started does what it says", async () => {
  const session = /```\n(# insmod[\s\S]*?)```/.exec(read("docs/getting-started.md"))?.[1] ?? "";
  await using machine = await boot();
  for (const line of session.trim().split("\n")) {
    await machine.write(`${line.replace(/^# /, "")}\n`);
    await machine.run({ budget: 20_000_000 });
  }
  expect(machine.reports.map((report) => report.kind)).toEqual(["oops", "oops", "panic"]);
});

test("oops_format=4.19 has the old first line, and the parser reads it", async () => {
  const { faults } = await import("../../bindings/index.ts");
  await using machine = await boot({ cmdline: "oops_format=4.19" });
  const { report } = await machine.inject(faults.nullDereference());
  expect(report.headline).toBe("BUG: unable to handle kernel NULL pointer dereference at 0000000000000008");
  expect(report.fault).toMatchObject({ access: "write", address: 8n });
});
