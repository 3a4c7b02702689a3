/** `crashlab analyze` as a program: JSON of every command, interruption; dumps in every packing, damaged, and without debug information. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SymbolTable } from "../../bindings/symbols/index.ts";
import {
  type CommandContext,
  commands,
  rangeReader,
  runCommand,
  Vmcore,
} from "../../bindings/vmcore/index.ts";
import { readSymbols } from "../../bindings/vmcore/vmlinux.ts";
import { crashlab, ROOT } from "../docs/run.ts";
import { type Crashed, crashMachine, VMLINUX } from "../machine/crashed.ts";

let crashed: Crashed;
let table: SymbolTable;
const path = (name: string): string => join(crashed.folder, name);
beforeAll(async () => {
  crashed = await crashMachine();
  table = SymbolTable.fromElf(new Uint8Array(readFileSync(VMLINUX)));
  await (await crashed.machine.kdump.capture({ dumpLevel: 31 })).save(path("small"));
  const plain = { format: "kdump-compressed", compression: "none", dumpLevel: 31 } as const;
  await (await crashed.machine.kdump.capture(plain)).save(path("plain"));
});
afterAll(() => crashed.remove());

/** What each command's JSON must have in it. */
const JSON_OF: { readonly [command: string]: object } = {
  sys: { cpus: 1, release: "5.15.0" },
  bt: [
    { comm: "mydriver", frames: expect.arrayContaining([expect.objectContaining({ kind: "exception" })]) },
  ],
  "bt -a -l": [{ frames: expect.arrayContaining([expect.objectContaining({ source: expect.any(Array) })]) }],
  "foreach bt": expect.arrayContaining([expect.objectContaining({ pid: 1, frames: expect.any(Array) })]),
  log: expect.arrayContaining([
    expect.objectContaining({ text: expect.stringContaining("Linux version 5.15.0") }),
  ]),
  ps: expect.arrayContaining([expect.objectContaining({ pid: 1, comm: "init" })]),
  "set 1": { pid: 1, comm: "init" },
  task: [expect.objectContaining({ pid: 1 })],
  "vm 1": [{ mm: { areas: expect.arrayContaining([expect.objectContaining({ file: "/init" })]) } }],
  "files 1": [expect.objectContaining({ root: "/", files: expect.any(Array) })],
  mod: [expect.objectContaining({ name: "mydriver" })],
  "sym panic": [expect.objectContaining({ name: "panic", source: expect.stringMatching(/panic\.c/) })],
  "dis panic 4": expect.arrayContaining([expect.objectContaining({ text: "push   %rbp", bytes: "55" })]),
  "struct list_head": expect.anything(),
  "struct task_struct.pid,comm init_task": expect.anything(),
  "union thread_union": expect.anything(),
  "kmem -i": { totalPages: expect.any(Number) },
  "kmem -s": expect.arrayContaining([expect.objectContaining({ name: "kmalloc-2k" })]),
  "rd init_task 2": expect.anything(),
  help: expect.arrayContaining([expect.objectContaining({ name: "bt" })]),
};

test("--json of every command", async () => {
  const asked = Object.keys(JSON_OF);
  const names = asked.map((line) => line.split(" ")[0]);
  expect(new Set(names)).toEqual(new Set(commands.map(({ name }) => name)));
  const words = asked.flatMap((line) => ["-c", line]);
  const { stdout, stderr, status } = await crashlab("analyze", VMLINUX, path("small"), "--json", ...words);
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  const { schema, results, problems } = JSON.parse(stdout);
  expect(schema).toMatch(/^\d+\.\d+$/);
  expect(problems).toEqual([]);
  for (const [index, line] of asked.entries()) {
    expect(results[index].command).toBe(line);
    expect(results[index].result, line).toMatchObject(JSON_OF[line] ?? {});
  }
});

describe("interruption", () => {
  test("a signal ends the work, and the dump answers nothing any more", async () => {
    const abort = new AbortController();
    const bytes = new Uint8Array(readFileSync(path("small")));
    const done: number[] = [];
    const vmcore = await Vmcore.open(bytes, {
      signal: abort.signal,
      onProgress: (each) => done.push(each.done),
    });
    const context = await contextOf(vmcore);
    expect(done.length).toBeGreaterThan(10);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    const running = runCommand(context, "foreach bt");
    abort.abort();
    await expect(running).rejects.toMatchObject({ code: "aborted" });
    await expect(runCommand(context, "log")).rejects.toMatchObject({ code: "aborted" });
  });

  test("Ctrl-C ends the command with status 130", async () => {
    const words = [
      "analyze",
      VMLINUX,
      path("small"),
      ...Array.from({ length: 3000 }, () => ["-c", "foreach bt"]).flat(),
    ];
    const main = join(ROOT, "bindings/cli/main.ts");
    const node = ["--conditions=source", "--import", import.meta.resolve("tsx"), main, ...words];
    const child = spawn(process.execPath, node, { cwd: ROOT });
    child.stdout.once("data", () => child.kill("SIGINT"));
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk));
    const [status] = (await once(child, "close")) as [number];
    expect({ status, stderr }).toEqual({
      status: 130,
      stderr: expect.stringMatching(/^crashlab: .*aborted\n$/),
    });
  });
});

test("a dump is read in ranges, of which only a part is ever asked for", async () => {
  const file = await open(crashed.vmcore);
  const whole = await rangeReader(file);
  const reads: number[] = [];
  const reader = {
    size: whole.size,
    read: (offset: number, length: number) => {
      reads.push(length);
      return whole.read(offset, length);
    },
  };
  try {
    const context = await contextOf(await Vmcore.open(reader));
    for (const line of ["sys", "bt -a", "log", "ps", "mod"]) await runCommand(context, line);
    expect(Math.max(...reads)).toBeLessThanOrEqual(1 << 20);
    expect(reads.reduce((sum, length) => sum + length, 0)).toBeLessThan(reader.size / 20);
  } finally {
    await file.close();
  }
});

/** Packs the pages of a kdump-compressed dump that has them plain, with the system's own libraries. */
const REPACK = `
import ctypes, struct, sys
way, source, target = sys.argv[1:]
data = open(source, "rb").read()
def snappy(page):
  lib = ctypes.CDLL("libsnappy.so.1"); size = ctypes.c_size_t(8192); out = ctypes.create_string_buffer(8192)
  assert lib.snappy_compress(page, ctypes.c_size_t(len(page)), out, ctypes.byref(size)) == 0
  return out.raw[:size.value]
def zstd(page):
  lib = ctypes.CDLL("libzstd.so.1"); lib.ZSTD_compress.restype = ctypes.c_size_t; out = ctypes.create_string_buffer(8192)
  size = lib.ZSTD_compress(out, ctypes.c_size_t(8192), page, ctypes.c_size_t(len(page)), 3)
  return out.raw[:size]
pack, flag = {"snappy": (snappy, 4), "zstd": (zstd, 0x20)}[way]
sub, bitmaps = struct.unpack_from("<iI", data, 432)
maps = data[(1 + sub) * 4096:(1 + sub + bitmaps) * 4096]
pages = sum(bin(byte).count("1") for byte in maps[len(maps) // 2:])
at = (1 + sub + bitmaps) * 4096
out = bytearray(data[:at + 24 * pages]); struct.pack_into("<I", out, 424, flag)
where = {}
for index in range(pages):
  offset, size, flags, rest = struct.unpack_from("<QIIQ", data, at + 24 * index)
  if offset not in where:
    packed = pack(data[offset:offset + size])
    small = len(packed) < 4096
    where[offset] = (len(out), len(packed) if small else 4096, flag if small else 0)
    out += packed if small else data[offset:offset + size]
  struct.pack_into("<QIIQ", out, at + 24 * index, *where[offset], rest)
open(target, "wb").write(out)
`;

describe("packings of other writers", () => {
  test.each(["lzo", "snappy", "zstd"])(
    "%s: crash and analyze see the same as in the dump that is not packed",
    async (way) => {
      const packed = path(way);
      if (way === "lzo")
        execFileSync("makedumpfile", ["-l", "-d", "31", crashed.vmcore, packed], { stdio: "pipe" });
      else {
        writeFileSync(path("repack.py"), REPACK);
        execFileSync("/usr/bin/python3", [path("repack.py"), way, path("plain"), packed]);
      }
      const flags = new Set<number>();
      const file = readFileSync(packed);
      flags.add(file.readUInt32LE(424) & 0x26);
      expect([...flags]).toEqual([{ lzo: 2, snappy: 4, zstd: 0x20 }[way]]);
      const [ours, plain] = [
        await text(packed, ["bt", "ps", "log", "kmem -s"]),
        await text(path("plain"), ["bt", "ps", "log", "kmem -s"]),
      ];
      expect(ours).toBe(plain);
      writeFileSync(path("commands"), "bt\nps\nkmem -s\nq\n");
      const inCrash = (dump: string): string =>
        execFileSync("crash", ["-s", "-i", path("commands"), VMLINUX, dump], {
          encoding: "utf8",
          stdio: "pipe",
        });
      expect(inCrash(packed)).toBe(inCrash(path("plain")));
    },
  );
});

describe("damage", () => {
  const damaged = (from: string, name: string, change: (bytes: Buffer) => void): string => {
    const bytes = readFileSync(path(from));
    change(bytes);
    writeFileSync(path(name), bytes);
    return path(name);
  };

  test.each(["small", "plain"])(
    "%s cut in the middle: what is there is shown, and what is missing named",
    async (name) => {
      const cut = path(`${name}.cut`);
      copyFileSync(path(name), cut);
      truncateSync(cut, Math.floor((readFileSync(cut).length * 3) / 4));
      const { stdout, stderr, status } = await crashlab(
        "analyze",
        VMLINUX,
        cut,
        "-c",
        "sys",
        "-c",
        "bt",
        "-c",
        "ps",
      );
      expect([0, 1, 3]).toContain(status);
      expect(stdout + stderr).toMatch(/incomplete|behind the file's end|cut short|expected .*, found /);
    },
  );

  test("cut in its headers: a typed error", async () => {
    const cut = path("headers.cut");
    copyFileSync(path("plain"), cut);
    truncateSync(cut, 3000);
    const { stderr, status } = await crashlab("analyze", VMLINUX, cut, "-c", "sys");
    expect({ stderr, status }).toEqual({
      stderr: expect.stringMatching(/^crashlab: expected .*, found .*; .*\n$/),
      status: 3,
    });
  });

  test("bits flipped in packed pages are named, not guessed", async () => {
    const flipped = damaged("lzo", "flipped", (bytes) => {
      for (let at = Math.floor(bytes.length / 8); at < bytes.length; at += 64)
        bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    });
    const { stdout, stderr, status } = await crashlab(
      "analyze",
      VMLINUX,
      flipped,
      "-c",
      "ps",
      "-c",
      "kmem -s",
    );
    expect([0, 1, 3]).toContain(status);
    expect(stdout + stderr).toMatch(
      /expected page \d+ packed with lzo in a kdump-compressed dump, found damage/,
    );
  });

  test("a dump that says of itself that it is incomplete", async () => {
    const incomplete = damaged("plain", "incomplete", (bytes) => {
      bytes.writeUInt32LE(bytes.readUInt32LE(424) | 8, 424);
    });
    const { stdout, stderr, status } = await crashlab("analyze", VMLINUX, incomplete, "-c", "bt");
    expect(status).toBe(0);
    expect(stdout).toContain("my_driver_read");
    expect(stderr).toBe("crashlab: the dump says of itself that it is incomplete\n");
  });
});

describe("without DWARF", () => {
  let stripped: SymbolTable;
  const of = async (kernel: SymbolTable, ...lines: readonly string[]): Promise<string> =>
    text(path("small"), lines, kernel);
  beforeAll(() => {
    execFileSync("objcopy", ["--strip-debug", VMLINUX, path("stripped")]);
    stripped = SymbolTable.fromElf(new Uint8Array(readFileSync(path("stripped"))));
  });

  test("log, symbols and instructions are the same, without source lines", async () => {
    const lines = ["log", "dis panic 4", "rd -8 linux_banner 16", "sym panic"];
    const known = await of(table, ...lines);
    expect(known).toContain("] Linux version 5.15.0");
    expect(await of(stripped, ...lines)).toBe(known.replace(/ \S+panic\.c: \d+/, " "));
  });

  test.each(["bt", "bt -a"])(
    "%s by symbols and ORC: the same frames and registers, a module's function without its name",
    async (line) => {
      const known = await of(table, line);
      expect(known).toContain("[exception RIP: my_driver_read+");
      expect(known).toMatch(/ entry_SYSCALL_64_after_hwframe at \w+\n +RIP: /);
      expect(await of(stripped, line)).toBe(
        known
          .replace(/COMMAND: ".*"/g, "COMMAND: (unknown)")
          .replace(/exception RIP: my_driver_read\+\d+/, "exception RIP: unknown or invalid address"),
      );
    },
  );

  test("bt of a vmlinux without any symbols, by the kernel's kallsyms and ORC", async () => {
    execFileSync("objcopy", ["--strip-all", VMLINUX, path("bare")]);
    const bare = await open(path("bare"));
    const kernel = await readSymbols(bare).finally(() => bare.close());
    const trace = (text: string): string => text.slice(text.indexOf("\n"));
    expect(trace(await of(kernel, "bt"))).toBe(trace(await of(stripped, "bt")));
    expect(await of(kernel, "log")).toBe(await of(table, "log"));
  });

  test.each(["ps", "bt 1", "vm"])("%s says what it needs", async (line) => {
    await expect(of(stripped, line)).rejects.toThrow(/expected .*, found .*; give .*/);
  });
});

async function contextOf(vmcore: Vmcore, kernel = table): Promise<CommandContext> {
  const program = await vmcore.program(kernel);
  const files = { vmlinux: VMLINUX, vmcore: "vmcore", modules: new Map() };
  const task = await program.crashedTask().catch(() => undefined);
  return { ...files, program, task, lines: async () => kernel };
}

async function text(dump: string, lines: readonly string[], kernel = table): Promise<string> {
  const context = await contextOf(await Vmcore.open(new Uint8Array(readFileSync(dump))), kernel);
  const texts: string[] = [];
  for (const line of lines) texts.push((await runCommand(context, line)).text);
  expect(context.program.problems).toEqual([]);
  return texts.join("\n");
}
