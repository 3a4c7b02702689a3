/**
 * Linux's own scripts/faddr2line, decode_stacktrace.sh and decodecode beside `crashlab faddr2line`, `decode -R` and
 * `decodecode`, whole texts, where .ci/kernel-scripts has put them into build/scripts. A place is some forty processes
 * of theirs, however many are given at once; SCRIPT_PLACES=1000 asks for that many of the kernel and of the modules
 * together, which is minutes of work for two processors.
 *
 * Rules: runs of blanks count as one, and blanks at the ends of lines as none, since the scripts join words by one blank;
 * "(discriminator N)" is binutils' own. A return address behind a function's last instruction has no line: binutils gives
 * it the file's bare name and a question mark, crashlab leaves it.
 */
import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { boot, faults } from "../../bindings/index.ts";
import { loadDisassembler } from "../../bindings/symbols/index.ts";
import { crashlab, ROOT } from "../docs/run.ts";
import { GUEST, VMLINUX } from "../machine/crashed.ts";
import { KERNEL, MODULES, placesOf, randomAddresses } from "./places.ts";

const SCRIPTS = join(ROOT, "build/scripts");
const COUNT = Number(process.env["SCRIPT_PLACES"] ?? 24);
const SEED = 20251125;
const MILLISECONDS = 120_000 + COUNT * 4000;

const tidy = (text: string): string =>
  text
    .replace(/[ \t]+/g, " ")
    .replace(/^ | $/gm, "")
    .trimEnd();

/** Bash starts fewer processes when the last of a pipeline is itself. */
const ENVIRONMENT = { ...process.env, LC_ALL: "C", BASHOPTS: "lastpipe" };

/** What a script prints. */
function script(name: string, words: readonly string[], input = ""): Promise<string> {
  const options = { encoding: "utf8", maxBuffer: 1 << 26, env: ENVIRONMENT } as const;
  return new Promise((resolve) => {
    // decodecode ends with status 1 when it has done its work.
    const child = execFile(join(SCRIPTS, name), words, options, (_status, stdout) =>
      resolve(stdout.replace(/ \(discriminator \d+\)/g, "")),
    );
    child.stdin?.end(input);
  });
}

/** Two halves, one for each processor. */
function halves<T>(list: readonly T[]): (readonly T[])[] {
  const middle = Math.ceil(list.length / 2);
  return [list.slice(0, middle), list.slice(middle)].filter((half) => half.length > 0);
}

/** `COUNT` places, a third of them in modules. */
const FILES = MODULES.filter(({ name }) => ["mydriver.ko", "labcrash.ko"].includes(name));
const OBJECTS = [KERNEL, ...FILES].map((object) => {
  const count = Math.ceil(object === KERNEL ? (COUNT * 2) / 3 : COUNT / 3 / FILES.length);
  return { ...object, places: placesOf(object, randomAddresses(object, SEED, count * 2)).slice(0, count) };
});

describe.skipIf(!existsSync(SCRIPTS))("the kernel's scripts", () => {
  let folder: string;
  const path = (name: string): string => join(folder, name);
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "crashlab-scripts-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test("faddr2line", { timeout: MILLISECONDS }, async () => {
    for (const { file, places } of OBJECTS) {
      const words = places.map(
        ({ symbol, offset, size }) => `${symbol}+0x${offset.toString(16)}/0x${size.toString(16)}`,
      );
      const { stdout, status } = await crashlab("faddr2line", file, ...words);
      expect(status).toBe(0);
      const theirs = await Promise.all(halves(words).map((half) => script("faddr2line", [file, ...half])));
      expect(tidy(stdout)).toBe(tidy(theirs.join("\n")));
    }
    expect(OBJECTS.reduce((sum, { places }) => sum + places.length, 0)).toBeGreaterThanOrEqual(COUNT * 0.8);
  });

  test("faddr2line: sizes that do not fit, names that are not there", async () => {
    for (const place of ["panic+0x10/0x1", "panic+0x99999", "no_such_function+0x1/0x2"]) {
      const ours = await crashlab("faddr2line", VMLINUX, place);
      const theirs = spawnSync(join(SCRIPTS, "faddr2line"), [VMLINUX, place], { encoding: "utf8" });
      expect(tidy(ours.stdout)).toBe(tidy(theirs.stdout));
      expect(ours.stderr).toContain(`no match for ${place}`);
      expect(theirs.stderr).toContain(`no match for ${place}`);
    }
  });

  test("decode_stacktrace.sh: frames at random places", { timeout: MILLISECONDS }, async () => {
    const log = OBJECTS.flatMap(({ name, places }) =>
      places.map(({ symbol, offset, size }, index) => {
        const place = `${symbol}+0x${offset.toString(16)}/0x${size.toString(16)}`;
        const module = name === "vmlinux" ? "" : ` [${name.replace(".ko", "")}]`;
        return `[    1.${String(index).padStart(6, "0")}]  ${index % 4 === 0 ? "? " : ""}${place}${module}`;
      }),
    );
    await sameDecoded(`${log.join("\n")}\n`);
  });

  test("decode_stacktrace.sh: whole reports, with modules and code", { timeout: 300_000 }, async () => {
    await using machine = await boot();
    await machine.inject(faults.nullDereference());
    const { stdout } = await machine.exec("insmod labcrash && lsmod");
    expect(stdout).toContain("labcrash");
    await machine.write("echo h null_read > /sys/kernel/debug/labcrash/trigger\n");
    await machine.run({ budget: 100_000_000 });
    const log = machine.consoleLog;
    const reports = log.slice(log.findIndex((line) => line.includes("] BUG: ")));
    expect(reports.filter((line) => line.includes("] BUG: "))).toHaveLength(2);
    // The script takes seconds for a Code: line; one is enough.
    let codes = 0;
    await sameDecoded(`${reports.filter((line) => !line.includes("Code:") || ++codes <= 1).join("\n")}\n`);
  });

  async function sameDecoded(log: string): Promise<void> {
    writeFileSync(path("log"), log);
    const parts = halves(log.split(/(?<=\n)/)).map((half) =>
      script("decode_stacktrace.sh", [VMLINUX, "auto", join(GUEST, "modules")], half.join("")),
    );
    const theirs = (await Promise.all(parts)).join("");
    const words = ["decode", path("log"), "--vmlinux", VMLINUX, "--modules", join(GUEST, "modules"), "-R"];
    const { stdout, stderr } = await crashlab(...words);
    expect(stderr).toBe("");
    expect(stdout).toContain("(");
    expect(tidy(stdout)).toBe(withoutEnds(stdout, theirs));
  }

  /** Their text, with the places that have no line as ours has them. */
  function withoutEnds(ours: string, theirs: string): string {
    const lines = tidy(ours).split("\n");
    return tidy(theirs)
      .split("\n")
      .map((line, index) =>
        /\+0x\w+\/0x/.test(lines[index] ?? "") && /\([\w.-]+:\?\)/.test(line) ? lines[index] : line,
      )
      .join("\n");
  }

  const sameCode = async (bytes: readonly string[], rip: number): Promise<void> => {
    const code = `Code: ${bytes.map((byte, index) => (index === rip ? `<${byte}>` : byte)).join(" ")}`;
    writeFileSync(path("code"), `${code}\n`);
    const { stdout } = await crashlab("decodecode", path("code"));
    expect(tidy(stdout)).toBe(tidy(await script("decodecode", [], `${code}\n`)));
  };
  test("decodecode", { timeout: 120_000 }, async () => {
    const { name, places } = OBJECTS[0] ?? { name: "", places: [] };
    expect(name).toBe("vmlinux");
    const disassemble = await loadDisassembler();
    const text = KERNEL.symbols.elf.content(".text") ?? new Uint8Array(0);
    // Code as the kernel prints it begins 42 bytes before RIP: here where an instruction does, as the script needs it.
    for (const { address, offset } of places.slice(0, 2)) {
      const start = Number(address - BigInt(offset) - KERNEL.start);
      const bytes = [...text.subarray(start, start + 64)].map((byte) => byte.toString(16).padStart(2, "0"));
      const rip = disassemble(text.subarray(start, start + 64), 0n).find((line) => line.address >= 20n);
      await sameCode(bytes, Number(rip?.address));
    }
    // Zero bytes: many in the middle, in groups of four; some at the end, of which up to two are left out.
    const zeroes = (count: number): string[] => Array.from({ length: count }, () => "00");
    for (const count of [7, 8, 11, 12]) await sameCode(["90", "c3", ...zeroes(count), "90", "c3", "90"], 1);
    for (const count of [1, 2, 3, 4, 9]) await sameCode(["90", "c3", "48", "89", "e5", ...zeroes(count)], 2);
  });
});
