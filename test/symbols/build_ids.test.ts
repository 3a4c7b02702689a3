/** Build ids: read from files as readelf does, and told apart in traces of a kernel with CONFIG_STACKTRACE_BUILD_ID. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { boot, type CrashReport, type Machine } from "../../bindings/index.ts";
import { decodeStacktrace, findBuildIds, SymbolTable } from "../../bindings/symbols/index.ts";
import { Vmcore } from "../../bindings/vmcore/index.ts";
import { crashlab } from "../docs/run.ts";
import { GUEST, MYDRIVER, VMLINUX } from "../machine/crashed.ts";
import { readBytes } from "./program.ts";

const vmlinux = SymbolTable.fromElf(readBytes(VMLINUX));
const mydriver = SymbolTable.fromElf(readBytes(MYDRIVER));
const OTHER = "0123456789abcdef0123456789abcdef01234567";

const log = (kernel = vmlinux.buildId, module = mydriver.buildId): string =>
  [
    `[    0.1] CPU: 0 PID: 9 Comm: mydriver Tainted: G           OE      5.15.0 #1 ${kernel}`,
    `[    0.2]  my_driver_read+0x24/0xb0 [mydriver ${module}]`,
    "[    0.3]  vfs_read+0x1f/0x90",
    "",
  ].join("\n");
const FRAMES = {
  module:
    /^\[ {4}0\.2\] {2}my_driver_read \(modules\/mydriver\/mydriver\.c:\d+ modules\/\S+:\d+\) mydriver$/m,
  kernel: /^\[ {4}0\.3\] {2}vfs_read \(fs\/read_write\.c:\d+\)$/m,
};

test.each([
  ["vmlinux", VMLINUX, vmlinux],
  ["mydriver.ko", MYDRIVER, mydriver],
] as const)("of %s", (_, file, table) => {
  const text = execFileSync("readelf", ["-n", file], { encoding: "utf8" });
  expect(table.buildId).toBe(/Build ID: ([0-9a-f]{40})/.exec(text)?.[1]);
});

describe("a machine booted with stacktrace_build_id", () => {
  let machine: Machine;
  let report: CrashReport;
  beforeAll(async () => {
    machine = await boot({ memory: "64M", cmdline: "stacktrace_build_id" });
    await machine.exec("insmod labcrash");
    await machine.write("echo h null_read > /sys/kernel/debug/labcrash/trigger\n");
    await machine.run({ budget: 100_000_000 });
    report = machine.reports[0] ?? expect.fail("no report");
  });
  afterAll(() => machine[Symbol.asyncDispose]());

  test("prints the kernel's and the module's, as CONFIG_STACKTRACE_BUILD_ID does", () => {
    const labcrash = SymbolTable.fromElf(readBytes(join(GUEST, "modules/labcrash.ko")));
    const log = machine.consoleLog.join("\n");
    expect(log).toMatch(
      new RegExp(`CPU: 0 PID: 0 Comm: swapper/0 .* 5\\.15\\.0 #1 ${vmlinux.buildId}$`, "m"),
    );
    expect(log).toMatch(new RegExp(` lab_hrtimer\\+0x\\w+/0x\\w+ \\[labcrash ${labcrash.buildId}\\]$`, "m"));
    expect(log).toMatch(/RIP: 0010:lab_null_read\+0x\w+\/0x\w+ \[labcrash\]$/m);
    const decoded = decodeStacktrace(log, { vmlinux, modules: new Map([["labcrash", labcrash]]) });
    expect(decoded).toMatch(/ lab_hrtimer \(modules\/labcrash\/[\w.]+:\d+\) labcrash$/m);
  });

  test("reports and dumps have them", async () => {
    expect(report.trace.find(({ symbol }) => symbol === "lab_hrtimer")).toMatchObject({ module: "labcrash" });
    const pieces: Uint8Array[] = [];
    for await (const piece of await machine.kdump.capture({ dumpLevel: 31 })) pieces.push(piece);
    const vmcore = await Vmcore.open(new Uint8Array(Buffer.concat(pieces)));
    expect(vmcore.info.buildId).toBe(vmlinux.buildId);
    const other = readBytes(VMLINUX);
    other.set(
      Buffer.from(OTHER, "hex"),
      Buffer.from(other).indexOf(Buffer.from(vmlinux.buildId ?? "", "hex")),
    );
    await expect(vmcore.program(other)).rejects.toMatchObject({ code: "bad-kernel" });
  });
});

describe("decodeStacktrace", () => {
  const decode = (text: string, modules: Iterable<readonly [string, SymbolTable]>): string =>
    decodeStacktrace(text, { vmlinux, modules: new Map(modules) });

  test("files of the log's build ids", () => {
    const decoded = decode(log(), [["mydriver", mydriver]]);
    expect(decoded).toMatch(FRAMES.module);
    expect(decoded).toMatch(FRAMES.kernel);
    expect(findBuildIds(log())).toEqual({
      kernels: [vmlinux.buildId],
      modules: new Map([["mydriver", new Set([mydriver.buildId])]]),
    });
  });

  test("a module of another build leaves its frames as they are, unless the right one is there by its id", () => {
    const decoded = decode(log(vmlinux.buildId, OTHER), [["mydriver", mydriver]]);
    expect(decoded).toContain(`my_driver_read+0x24/0xb0 [mydriver ${OTHER}]`);
    expect(decoded).toMatch(FRAMES.kernel);
    const both = [
      ["mydriver", vmlinux],
      [mydriver.buildId ?? "", mydriver],
    ] as const;
    expect(decode(log(), both)).toMatch(FRAMES.module);
  });

  test("a vmlinux of another build leaves the kernel's frames as they are", () => {
    const decoded = decode(log(OTHER), [["mydriver", mydriver]]);
    expect(decoded).toContain("vfs_read+0x1f/0x90");
    expect(decoded).toMatch(FRAMES.module);
  });
});

describe("crashlab decode", () => {
  let folder: string;
  const put = (name: string, content: string | Uint8Array): string => {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  };
  /** The module as another build of it would be. */
  const otherBuild = (): Uint8Array => {
    const bytes = Buffer.from(readFileSync(MYDRIVER));
    bytes.write(OTHER, bytes.indexOf(Buffer.from(mydriver.buildId ?? "", "hex")), "hex");
    return bytes;
  };
  const decode = (text: string, modules: string): ReturnType<typeof crashlab> =>
    crashlab("decode", put("log", text), "--vmlinux", VMLINUX, "--modules", join(folder, modules));
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "crashlab-ids-"));
    put("two/kernel/a/mydriver.ko", otherBuild());
    put("two/updates/mydriver.ko", readFileSync(MYDRIVER));
    put("one/mydriver.ko", otherBuild());
    const id = mydriver.buildId ?? "";
    put(`debug/.build-id/${id.slice(0, 2)}/${id.slice(2)}.debug`, readFileSync(MYDRIVER));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(["two", "debug"])("the right build of several below %s", async (modules) => {
    const { stdout, stderr, status } = await decode(log(), modules);
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
    expect(stdout).toMatch(FRAMES.module);
    expect(stdout).toMatch(FRAMES.kernel);
  });

  test("another build alone is named", async () => {
    const { stdout, stderr, status } = await decode(log(), "one");
    expect(status).toBe(0);
    expect(stdout).toContain(`[mydriver ${mydriver.buildId}]`);
    expect(stderr).toBe(
      `crashlab: expected mydriver with the build id ${mydriver.buildId}, found ${OTHER}; its frames stay as they are\n`,
    );
  });

  test("another kernel is refused", async () => {
    const { stderr, status } = await decode(log(OTHER), "two");
    expect(status).toBe(3);
    expect(stderr).toMatch(/^crashlab: expected the kernel with the build id 0123\w+, found \w{40}; give /);
  });
});
