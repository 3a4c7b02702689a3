/** The guest's makedumpfile on a dump of another machine, which it finds on its disk: split files, put together by Debian's makedumpfile. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { boot, faults, type Machine } from "../../bindings/index.ts";
import { Vmcore } from "../../bindings/vmcore/index.ts";
import { VMLINUX } from "../machine/crashed.ts";

const SECTOR = 512;
const DISK = 8 << 20;
let folder: string;
let worker: Machine;
/** What the worker reads from its disk, and what it has written there. */
let source: Uint8Array;
let written: Uint8Array[] = [];
const path = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "crashlab-split-"));
  await using crashed = await boot({ memory: "64M", cmdline: "panic_on_oops=1" });
  await crashed.inject(faults.nullDereference());
  const pieces: Uint8Array[] = [];
  for await (const piece of await crashed.kdump.capture({ dumpLevel: 31 })) pieces.push(piece);
  source = new Uint8Array(Buffer.concat(pieces));
  writeFileSync(path("vmcore"), source);
  worker = await boot({
    disk: {
      sectors: BigInt(DISK / SECTOR),
      read(sector, count) {
        const bytes = new Uint8Array(count * SECTOR);
        bytes.set(source.subarray(Number(sector) * SECTOR, (Number(sector) + count) * SECTOR));
        return bytes;
      },
      write(sector, bytes) {
        expect(Number(sector) * SECTOR).toBe(written.reduce((sum, { length }) => sum + length, 0));
        written.push(bytes.slice());
      },
    },
  });
  expect(source.length).toBeLessThan(DISK);
  expect((await worker.exec("cp /dev/cblk0 /tmp/vmcore", { budget: 20e9 })).status).toBe(0);
}, 200_000);
afterAll(async () => {
  await worker?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** A file of the worker's, out by its disk. */
async function fetch(name: string): Promise<void> {
  written = [];
  expect((await worker.exec(`cp /tmp/${name} /dev/cblk0`)).status).toBe(0);
  writeFileSync(path(name), Buffer.concat(written));
}

function inCrash(vmcore: string): string {
  writeFileSync(path("commands"), "bt\nps\nmod\nkmem -s\nq\n");
  const words = ["-s", "-i", path("commands"), VMLINUX, vmcore];
  return execFileSync("crash", words, { encoding: "utf8", stdio: "pipe" });
}

describe.each([["-c"], ["-z"]])("makedumpfile --split %s", (packing) => {
  test("three files, reassembled, open in crash as the dump they were made of", async () => {
    const names = ["first", "second", "third"].map((name) => `${name}${packing}`);
    const made = await worker.exec(
      `makedumpfile --split ${packing} -d 31 /tmp/vmcore ${names.map((name) => `/tmp/${name}`).join(" ")} 2>&1`,
      { budget: 20e9 },
    );
    expect(made).toMatchObject({ status: 0 });
    for (const name of names) await fetch(name);
    execFileSync("makedumpfile", ["--reassemble", ...names.map(path), path(`whole${packing}`)], {
      stdio: "pipe",
    });
    const theirs = inCrash(path(`whole${packing}`));
    expect(theirs).toMatch(/\[exception RIP: my_driver_read\+\d+\]/);
    expect(theirs).toBe(inCrash(path("vmcore")));
  });
});

test("a part by itself says that it is one of several", async () => {
  const part = await open(path("second-c"));
  try {
    await expect(Vmcore.open(part)).rejects.toMatchObject({
      code: "bad-vmcore",
      message: expect.stringContaining("--reassemble"),
    });
  } finally {
    await part.close();
  }
});

test.each([
  ["--split -c /tmp/vmcore /tmp/one", 2, /^usage: makedumpfile/],
  ["--split -E /tmp/vmcore /tmp/one /tmp/two", 2, /^usage: makedumpfile/],
  ["-d 32 /tmp/vmcore /tmp/one", 2, /^usage: makedumpfile/],
  ["-c /bin/sh /tmp/one", 1, /not an ELF core file with VMCOREINFO/],
  ["-c /nothing /tmp/one", 1, /No such file or directory/],
])("makedumpfile %s ends with status %i", async (words, status, text) => {
  const result = await worker.exec(`makedumpfile ${words} 2>&1`);
  expect(result.status).toBe(status);
  expect(result.stdout).toMatch(text);
});
