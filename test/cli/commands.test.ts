/** The command: help, output, exit status (0 done, 1 did not hold, 2 usage, 3 bad input). */
import { type ChildProcessWithoutNullStreams, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Command } from "commander";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { crashlabProgram } from "../../bindings/cli/program.ts";
import { bold, hasColours } from "../../bindings/cli/terminal.ts";
import { crashlab, ROOT, runFile } from "../docs/run.ts";

const VMLINUX = join(ROOT, "build/guest/vmlinux");
const LINUX_OOPS = join(ROOT, "test/data/linux-logs/oops/debian-process-null_write.txt");

let folder: string;
const file = (name: string): string => join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "crashlab-cli-"));
  writeFileSync(file("text"), "no kernel, no ELF file, nothing\n".repeat(100));
  writeFileSync(file("empty"), "");
  writeFileSync(file("json"), "{ no document");
  writeFileSync(file("cut"), readFileSync(VMLINUX).subarray(0, 100_000));
  writeFileSync(file("large"), Buffer.alloc(200 << 20));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("--help", () => {
  const withPath = (command: Command, path: string): [string, Command][] => [
    [path, command],
    ...command.commands.flatMap((each) => withPath(each, `${path} ${each.name()}`)),
  ];

  test.each(withPath(crashlabProgram(), "crashlab"))("%s has a description and examples", (path, command) => {
    let help = "";
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    expect(help).toMatch(new RegExp(`^Usage: ${path}( |$)`, "m"));
    expect(command.description()).not.toBe("");
    for (const { description } of command.options) expect(description).not.toBe("");
    if (path !== "crashlab fuzz") expect(help).toMatch(new RegExp(`\n {2}\\$ .*${path}`));
  });

  test("goes to standard output, with status 0", async () => {
    const { status, stdout } = await crashlab("help", "campaign");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Usage: crashlab campaign /);
  });
});

describe("usage errors end with status 2 and the usage", () => {
  test.each([
    [[]],
    [["nonsense"]],
    [["crash"]],
    [["crash", "null-dereference", "--no-such-option"]],
    [["faddr2line", "vmlinux"]],
    [["addr2line"]],
    [["decode"]],
    [["parse", "one", "two"]],
    [["compare", "one"]],
    [["decodecode", "one", "two"]],
  ])("%j", async (args) => {
    const { status, stderr } = await crashlab(...args);
    expect(status).toBe(2);
    expect(stderr).toContain("Usage: crashlab");
  });

  test("what was meant is suggested, in few lines", async () => {
    expect((await crashlab("campain")).stderr).toContain("(Did you mean campaign?)");
    const { stderr } = await crashlab("campaign", "--sede", "1");
    expect(stderr).toContain("(Did you mean --seed?)");
    expect(stderr).toContain("See crashlab campaign --help.");
    expect(stderr.split("\n").length).toBeLessThan(8);
  });
});

test.each([
  ["nul-dereference", 'did you mean "null-dereference"?'],
  ["lkdtm:bug", 'did you mean "lkdtm:BUG"?'],
  ["labcrash:nul_raed", 'did you mean "labcrash:null_read"?'],
  ["sysrq", 'did you mean "sysrq:b"?'],
])("crash %s: %s", async (name, hint) => {
  expect((await crashlab("crash", name)).stderr).toContain(hint);
});

/** Arguments, and what the message must say; @name is a file of the test's folder. */
const BAD_INPUT: readonly (readonly [string, RegExp])[] = [
  ["crash no-such-fault", /expected the name of a fault such as null-dereference, .* found "no-such-fault"/],
  ["crash null-dereference --memory lots", /expected memory such as "128M", found "lots"/],
  ["crash null-dereference --memory 0", /expected a kernel inside memory/],
  ["crash null-dereference --memory 16M", /expected .*memory.*; give the machine more memory/],
  ["crash null-dereference --memory 64G", /expected ramBytes from 1048576/],
  [
    "crash null-dereference --kdump floppy --out @out",
    /expected --kdump host or --kdump crash-kernel, found "floppy"/,
  ],
  ["crash null-dereference --kdump host", /expected --out with --kdump/],
  ["crash null-dereference --out @text/below", /expected a writable folder/],
  [`crash null-dereference --append ${"x".repeat(3000)}`, /expected a kernel command line of at most 2047/],
  ["crash null-dereference --format elf", /expected --kdump with --format/],
  ["crash null-dereference --kdump host --out @out --format zip", /expected --format elf or --format kdump-/],
  ["crash null-dereference --budget soon", /expected a whole number for --budget, found "soon"/],
  ["campaign --cases many", /expected a whole number for --cases, found "many"/],
  ["campaign --resume", /expected --out with --resume/],
  ["corpus @out --seed -1", /expected a whole number for --seed, found "-1"/],
  ["boot --kernel @missing", /expected a readable file/],
  ["boot --kernel @text", /expected an ELF executable or a bzImage, found neither/],
  ["boot --kernel @empty", /expected an ELF executable or a bzImage, found an empty file/],
  ["boot --kernel @cut", /expected .*, found .*;/],
  ["boot --initrd @missing", /expected a readable file/],
  ["boot --initrd @large", /expected an initrd that fits/],
  ["boot --smp 0", /expected cpus from 1 to 8/],
  ["boot --smp many", /expected a whole number for --smp, found "many"/],
  ["boot --protocol linux", /expected --protocol auto or .* found "linux"; did you mean "linux64"\?/],
  ["parse @missing", /expected a readable file/],
  ["compare @missing @text", /expected a readable file/],
  ["compare @json @text", /expected a JSON document of crash reports, found no JSON/],
  ["decodecode @missing", /expected a readable file/],
  ["decode --vmlinux @text", /expected an ELF file, found something else/],
  ["decode --vmlinux @missing", /expected a readable file/],
  [`decode --vmlinux ${VMLINUX} --modules @missing`, /expected a folder of modules/],
  ["faddr2line @text vfs_read+0x1", /expected an ELF file/],
  [`faddr2line ${VMLINUX} vfs_read`, /expected function\+offset or function\+offset\/size/],
  [`dis ${VMLINUX} no_such_function`, /expected a function or an address of its code/],
  [`dis ${VMLINUX} 2000-1000`, /expected a range of 1 to/],
  ["addr2line @empty 1000", /expected an ELF file, found an empty one/],
  [`addr2line ${VMLINUX} xyz`, /expected an address of up to 16 hexadecimal digits, found "xyz"/],
];

describe("bad input ends with status 3 and one line that says what to do", () => {
  test.each(BAD_INPUT)("%s", async (line, message) => {
    const args = line.split(" ").map((word) => word.replace(/^@/, `${folder}/`));
    const { status, stdout, stderr } = await crashlab(...args);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^crashlab: expected .*\n$/);
    expect({ status, stdout }).toEqual({ status: 3, stdout: "" });
  });
});

/** The command, to which something happens while it runs. */
function start(...args: readonly string[]): ChildProcessWithoutNullStreams {
  const tsx = import.meta.resolve("tsx");
  return spawn(process.execPath, ["--conditions=source", "--import", tsx, MAIN, ...args], { cwd: ROOT });
}
const MAIN = join(ROOT, "bindings/cli/main.ts");

/** Sends SIGINT when the first progress is shown; gives what the command ended with. */
async function interrupted(
  ...args: readonly string[]
): Promise<{ stdout: string; stderr: string; status: number }> {
  const child = start(...args);
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk));
  child.stderr.on("data", (chunk: Buffer) => {
    if (stderr === "") child.kill("SIGINT");
    stderr += chunk;
  });
  const [status] = (await once(child, "close")) as [number];
  return { stdout, stderr, status };
}

describe("Ctrl-C keeps what there is, and ends with status 130", () => {
  test("a campaign without a folder sums up the cases that ran", async () => {
    const { stdout, stderr, status } = await interrupted(
      "campaign",
      "--cases",
      "100000",
      "--jobs",
      "1",
      "--json",
    );
    expect(stderr).toMatch(
      /crashlab: expected 100000 cases, found Ctrl-C after \d+; those that ran are summed up\n$/,
    );
    expect(status).toBe(130);
    const { cases } = JSON.parse(stdout) as { cases: number };
    expect(stderr).toContain(`after ${cases};`);
    expect(cases).toBeGreaterThan(0);
  });

  test("fuzzing sums up what ran", async () => {
    const { stdout, stderr, status } = await interrupted(
      ...["fuzz", "hostile", "--instructions", "1000000000000", "--json"],
    );
    expect(stderr).toMatch(
      /crashlab: expected 1000000000000 instructions, found Ctrl-C after \d+; these are summed up\n$/,
    );
    expect(status).toBe(130);
    expect((JSON.parse(stdout) as { rounds: number }).rounds).toBeGreaterThan(0);
  });

  test("vectors are summed up as far as they ran", async () => {
    const { stdout, stderr, status } = await interrupted("vectors", join(ROOT, "test/data/vectors"));
    expect(stderr).toMatch(/crashlab: expected all vectors, found Ctrl-C after \d+; these are summed up\n$/);
    expect(status).toBe(130);
    expect(stdout).toMatch(/^\S+ +\d+ run +\d+ mismatches$/m);
  });

  test.each([
    ["crash", ["crash", "lkdtm:HUNG_TASK", "--budget", "1000000000000000"]],
    ["boot", ["boot"]],
    ["demo", ["demo", "--out", "@demo"]],
    ["parse", ["parse", "/dev/zero"]],
  ])("%s ends, and nothing more is said of it", async (_name, args) => {
    const child = start(...args.map((word) => word.replace(/^@/, `${folder}/`)));
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk));
    if (args[0] === "crash" || args[0] === "parse") setTimeout(() => child.kill("SIGINT"), 6000);
    else child.stdout.once("data", () => child.kill("SIGINT"));
    const [status] = (await once(child, "close")) as [number];
    expect(stderr).toMatch(/^(?:crashlab: expected .*aborted\n)?$/);
    expect(status).toBe(130);
  });

  test("a corpus is one of fewer cases, manifest and all", async () => {
    const out = file("interrupted");
    const { stderr, status } = await interrupted("corpus", out, "--seed", "3", "--cases", "1000");
    expect(stderr).toMatch(
      /crashlab: expected 1000 cases, found .* aborted after \d+; the manifest has these\n$/,
    );
    expect(status).toBe(130);
    const manifest = JSON.parse(readFileSync(join(out, "manifest.json"), "utf8")) as {
      cases: { folder: string }[];
      files: { path: string; size: number }[];
    };
    expect(manifest.cases.length).toBeGreaterThan(0);
    for (const { path, size } of manifest.files) expect(statSync(join(out, path)).size).toBe(size);
  });
});

test("a reader that has enough is no failure", async () => {
  const log = file("long");
  writeFileSync(log, readFileSync(LINUX_OOPS, "utf8").repeat(300));
  const child = start("parse", log);
  child.stdout.once("data", () => child.stdout.destroy());
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk));
  expect(await once(child, "close")).toEqual([0, null]);
  expect(stderr).toBe("");
});

describe("colours", () => {
  afterEach(() => vi.unstubAllEnvs());
  test.each([
    [true, {}, true],
    [false, {}, false],
    [true, { NO_COLOR: "1" }, false],
    [true, { TERM: "dumb" }, false],
  ])("on a terminal: %j, with %j: %j", (isTTY, env, coloured) => {
    vi.stubEnv("NO_COLOR", "");
    vi.stubEnv("TERM", "xterm");
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    const was = process.stdout.isTTY;
    try {
      process.stdout.isTTY = isTTY;
      expect(hasColours()).toBe(coloured);
      expect(bold("x")).toBe(coloured ? "\u001b[1mx\u001b[22m" : "x");
    } finally {
      process.stdout.isTTY = was;
    }
  });
});

describe("completion", () => {
  /** What bash offers for the last word. */
  async function offered(...words: readonly string[]): Promise<string[]> {
    const { stdout: script } = await crashlab("completion", "bash");
    const quoted = words.map((word) => `'${word}'`).join(" ");
    const ask = `COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _crashlab; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await promisify(execFile)("bash", ["-c", `${script}\n${ask}`], { cwd: folder });
    return stdout.split("\n").filter(Boolean);
  }

  test("bash: commands, options, subcommands, names of faults, files", async () => {
    expect(await offered("crashlab", "ca")).toEqual(["campaign"]);
    expect(await offered("crashlab", "campaign", "--se")).toEqual(["--seed"]);
    expect(await offered("crashlab", "fuzz", "h")).toEqual(["hostile"]);
    expect(await offered("crashlab", "crash", "null-")).toEqual(["null-dereference"]);
    expect(await offered("crashlab", "crash", "sysrq", ":", "c")).toEqual(["c"]);
    expect(await offered("crashlab", "parse", "tex")).toEqual(["text"]);
  });

  test.each(["zsh", "fish"])("%s knows every command", async (shell) => {
    const { stdout } = await crashlab("completion", shell);
    for (const { name } of crashlabProgram().commands.map((command) => ({ name: command.name() })))
      expect(stdout).toContain(name);
  });
});

describe("what the commands print", () => {
  test("faults --json is one document with a version", async () => {
    const { stdout } = await crashlab("faults", "--json");
    const document = JSON.parse(stdout) as { schema: string; faults: { name: string }[] };
    expect(document.schema).toBe("1.0");
    expect(document.faults.map((fault) => fault.name)).toContain("null-dereference");
  });

  test("crash --json --out keeps the evidence", async () => {
    const out = file("evidence");
    const { status, stdout } = await crashlab(
      ...["crash", "null-dereference", "--json", "--panic-on-oops", "--kdump", "host", "--out", out],
    );
    expect(status).toBe(0);
    const { report, truth } = JSON.parse(stdout) as {
      report: { kind: string; rip: { symbol: string; file: string } };
      truth: { exception: { cr2: string } };
    };
    expect(report.rip).toMatchObject({ symbol: "my_driver_read", file: "modules/mydriver/mydriver.c" });
    expect(truth.exception.cr2).toBe("0x8");
    for (const name of ["console.log", "report.json", "truth.json", "vmcore", "vmlinux", "mydriver.ko"]) {
      expect(statSync(join(out, name)).size).toBeGreaterThan(0);
    }
    const decoded = await crashlab(
      "decode",
      "--vmlinux",
      VMLINUX,
      "--modules",
      out,
      join(out, "console.log"),
    );
    expect(decoded.stdout).toMatch(
      /RIP: 0010:my_driver_read \(modules\/mydriver\/mydriver\.c:\d+ .*\) mydriver\n/,
    );
    expect(decoded.stdout).toMatch(/ {2}vfs_read \(fs\/read_write\.c:\d+\)\n/);
    const titles = await crashlab("parse", "--titles", join(out, "console.log"));
    expect(titles.stdout).toMatch(
      /^BUG: unable to handle kernel NULL pointer dereference in my_driver_read\nkernel panic: /,
    );
  });

  test("crash --kdump host --format kdump-compressed leaves out what --dump-level says", async () => {
    const out = file("small");
    const { status } = await crashlab(
      ...["crash", "null-dereference", "--kdump", "host", "--out", out],
      ...["--format", "kdump-compressed", "--compression", "zlib", "--dump-level", "31"],
    );
    expect(status).toBe(0);
    expect(readFileSync(join(out, "vmcore")).subarray(0, 8).toString()).toBe("KDUMP   ");
    expect(statSync(join(out, "vmcore")).size).toBeLessThan(4e6);
  });

  test("parse reads standard input and ends with 1 when there is nothing", async () => {
    const main = join(ROOT, "bindings/cli/main.ts");
    const empty = await runFile(main, ["parse"], { input: "nothing of note\n" });
    expect(empty.status).toBe(1);
    expect(JSON.parse(empty.stdout)).toEqual({ schema: "1.0", reports: [] });
    const panic = await runFile(main, ["parse", "--titles"], {
      input: "[    1.000000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\n",
    });
    expect(panic).toMatchObject({ status: 0 });
    expect(panic.stdout).toContain("Attempted to kill init!");
  });

  test("parse --check: nothing when the form is Linux's, else the line, what was expected and what was found", async () => {
    const good = await crashlab("parse", "--check", LINUX_OOPS);
    expect(good).toMatchObject({ status: 0, stdout: "" });
    writeFileSync(file("bent"), readFileSync(LINUX_OOPS, "utf8").replace("Oops: 0002", "Oops: 2"));
    const bent = await crashlab("parse", "--check", file("bent"));
    expect(bent.status).toBe(1);
    expect(bent.stdout).toMatch(/^line 10: expected Oops: 0000 .*\n +found {4}Oops: 2 \[#1\]/);
  });

  test("compare: a log with itself, with another run, with another bug", async () => {
    expect(await crashlab("compare", LINUX_OOPS, LINUX_OOPS)).toMatchObject({
      status: 0,
      stdout: "= BUG: unable to handle kernel NULL pointer dereference in lab_null_write (1, 1)\n",
    });
    const other = LINUX_OOPS.replace("null_write", "div0");
    const different = await crashlab("compare", LINUX_OOPS, other);
    expect(different.status).toBe(1);
    expect(different.stdout).toMatch(/^< BUG: .* in lab_null_write\n> divide error in lab_div0\n$/);
    const json = await crashlab("compare", "--json", LINUX_OOPS, other);
    expect(JSON.parse(json.stdout)).toMatchObject({ schema: "1.0", equal: false, pairs: [] });
  });

  test("compare takes what parse printed", async () => {
    writeFileSync(file("report.json"), (await crashlab("parse", LINUX_OOPS)).stdout);
    expect(await crashlab("compare", file("report.json"), LINUX_OOPS)).toMatchObject({ status: 0 });
  });

  test("decodecode marks the instruction that trapped; 1 when there are no bytes", async () => {
    const { status, stdout } = await crashlab("decodecode", LINUX_OOPS);
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^ {2}2a:\*\t48 c7 40 08 34 12 00 \tmovq {3}\$0x1234,0x8\(%rax\)\t\t<-- trapping/m,
    );
    const json = await crashlab("decodecode", "--json", LINUX_OOPS);
    expect(JSON.parse(json.stdout).codes[0].instructions[0].text).toBe("movq   $0x1234,0x8(%rax)");
    expect(await crashlab("decodecode", file("text"))).toMatchObject({ status: 1, stdout: "" });
  });

  test("faddr2line and addr2line: found, and 1 when not", async () => {
    const found = await crashlab("faddr2line", VMLINUX, "vfs_read+0x10");
    expect(found.status).toBe(0);
    expect(found.stdout).toMatch(/^vfs_read\+0x10\/0x[0-9a-f]+:\nvfs_read at fs\/read_write\.c:\d+\n$/);
    const missing = await crashlab("faddr2line", VMLINUX, "vfs_read+0x10/0x3");
    expect(missing.status).toBe(1);
    expect(missing.stdout).toMatch(
      /^skipping vfs_read address at 0x[0-9a-f]+ due to size mismatch \(0x3 != /,
    );
    expect(missing.stderr).toBe("no match for vfs_read+0x10/0x3\n");
    const nowhere = await crashlab("addr2line", VMLINUX, "0x10");
    expect(nowhere).toMatchObject({ status: 1, stdout: "0x0000000000000010: ?? ??:0\n" });
  });

  test("dis marks the place in its function, and takes ranges", async () => {
    const { stdout, status } = await crashlab("dis", VMLINUX, "ksys_read+0x4");
    expect(status).toBe(0);
    const lines = stdout.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^ {3}ffffffff81[0-9a-f]{6} <ksys_read>:\t55 +\tpush {3}%rbp$/);
    expect(lines.filter((line) => line.startsWith("=> "))).toHaveLength(1);
    expect(lines.find((line) => line.startsWith("=> "))).toContain("<ksys_read+0x4>:");
    const start = /[0-9a-f]{16}/.exec(lines[0] ?? "")?.[0] ?? "";
    const range = await crashlab(
      "dis",
      "--json",
      VMLINUX,
      `${start}-${(BigInt(`0x${start}`) + 4n).toString(16)}`,
    );
    const document = JSON.parse(range.stdout) as { places: { lines: { bytes: string }[] }[] };
    expect(document.places[0]?.lines.map(({ bytes }) => bytes)).toEqual(["55", "4889e5"]);
  });

  test("demo tells the whole story", async () => {
    const out = file("demo");
    const { status, stdout } = await crashlab("demo", "--out", out);
    expect(status).toBe(0);
    const story = [
      "Linux version 5.15.0",
      "# insmod mydriver.ko",
      "BUG: kernel NULL pointer dereference, address: 0000000000000008",
      "---[ end trace 0000000000000000 ]---",
      "# cat /proc/sys/kernel/tainted\n12416",
      "# echo 1 > /proc/sys/kernel/panic_on_oops",
      "Kernel panic - not syncing: Fatal exception",
      "[host] panic notifier called: Fatal exception",
      "my_driver_read+0x",
      "entry_SYSCALL_64_after_hwframe+0x",
      "truth: exception 14, error 2,",
      `in ${out}: console.log report.json truth.json vmlinux mydriver.ko vmcore`,
    ];
    const places = story.map((text) => stdout.indexOf(text));
    expect(places.every((place) => place >= 0)).toBe(true);
    expect(stdout).toMatch(/ {2}vfs_read\+0x[0-9a-f]+\/0x[0-9a-f]+ \(fs\/read_write\.c:\d+\)\n/);
  });
});
