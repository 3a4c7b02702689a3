/** What boot() and a machine are given wrongly: a CrashlabError that says what was expected and found. */
import { readFileSync } from "node:fs";
import { assert, asyncProperty, integer, array as some } from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type BootOptions,
  boot,
  CrashlabError,
  type CrashlabErrorCode,
  faults,
} from "../../bindings/index.ts";
import { VMLINUX } from "./crashed.ts";

const text = (length: number): Uint8Array => new Uint8Array(length).fill(0x61);
const vmlinux = new Uint8Array(readFileSync(VMLINUX));
/** Options as JavaScript without types may give them. */
const untyped = (options: unknown): BootOptions => options as BootOptions;

const CASES: readonly (readonly [string, BootOptions, CrashlabErrorCode, RegExp])[] = [
  ["an empty kernel", { kernel: text(0) }, "bad-kernel", /found an empty file/],
  [
    "text as kernel",
    { kernel: text(5000) },
    "bad-kernel",
    /expected an ELF executable or a bzImage, found neither/,
  ],
  ["a path as kernel", untyped({ kernel: "vmlinux" }), "bad-kernel", /as Uint8Array, found string/],
  ["half a kernel", { kernel: vmlinux.subarray(0, 200_000) }, "bad-kernel", /expected .*, found .*;/],
  ["a module as kernel", { kernel: relocatable() }, "bad-kernel", /expected .*, found .*;/],
  ["a path as initrd", untyped({ initrd: "initramfs" }), "bad-initrd", /as Uint8Array, found string/],
  ["an initrd larger than memory", { initrd: text(140 << 20) }, "bad-initrd", /expected an initrd that fits/],
  ["memory too small", { memory: "8M" }, "bad-kernel", /give the machine more memory/],
  ["memory without number", { memory: "lots" }, "bad-option", /expected memory such as "128M", found "lots"/],
  ["memory not a number", { memory: Number.NaN }, "bad-option", /found "NaN"/],
  ["memory below nothing", { memory: -1 }, "bad-option", /found "-1"/],
  ["memory above the limit", { memory: "1000G" }, "bad-option", /expected ramBytes/],
  ["no CPU", { cpus: 0 }, "bad-option", /expected cpus from 1 to 8/],
  ["half a CPU", { cpus: 1.5 }, "bad-option", /expected cpus/],
  ["a clock before time", { startSeconds: -5 }, "bad-option", /expected startSeconds/],
  ["an unknown protocol", untyped({ kernel: vmlinux, protocol: "floppy" }), "bad-option", /found "floppy"/],
  ["a long command line", { cmdline: "x".repeat(3000) }, "bad-option", /at most 2047 bytes/],
  ["a NUL in the command line", { cmdline: "a\0b" }, "bad-option", /without NUL/],
  ["a budget that is none", { budget: Number.NaN }, "bad-option", /expected a budget/],
  ["a budget below nothing", { budget: -1 }, "bad-option", /expected a budget/],
  ["a budget too small to boot", { budget: 1000 }, "timeout", /user space to come up within the budget/],
  [
    "a module that is none",
    { modules: { mydriver: text(100) } },
    "bad-module",
    /expected an ELF module as mydriver/,
  ],
  ["an aborted signal", { signal: AbortSignal.abort() }, "aborted", /signal aborted/],
];

/** A minimal ELF file of type ET_REL. */
function relocatable(): Uint8Array {
  const bytes = vmlinux.slice();
  bytes[16] = 1;
  return bytes;
}

describe("boot() refuses", () => {
  test.each(CASES)("%s", async (_name, options, code, message) => {
    const error: unknown = await boot(options).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(CrashlabError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect((error as CrashlabError).message).toMatch(/^expected /);
  });
});

test("an initrd that is no archive: the kernel itself finds no init and panics", async () => {
  const error: unknown = await boot({ initrd: text(10_000) }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "machine-stopped" });
  expect((error as Error).message).toContain("Kernel panic - not syncing: No working init found.");
});

test("a kernel with bytes changed anywhere: typed errors or a typed end, never anything else", async () => {
  // The ELF headers, the notes, the first code.
  const change = integer({ min: 0, max: 6000 });
  await assert(
    asyncProperty(
      some(change, { minLength: 1, maxLength: 8 }),
      integer({ min: 0, max: 255 }),
      async (places, value) => {
        const kernel = vmlinux.slice();
        for (const place of places) kernel[place] = value;
        try {
          const machine = await boot({ kernel });
          await machine.run({ budget: 300_000 });
        } catch (error) {
          expect(error).toBeInstanceOf(CrashlabError);
        }
      },
    ),
    { numRuns: 60 },
  );
});

describe("a running machine refuses", () => {
  test("what is wrong, and goes on", async () => {
    await using machine = await boot();
    const refused = async (attempt: () => Promise<unknown>, code: CrashlabErrorCode): Promise<void> => {
      await expect(attempt()).rejects.toMatchObject({ name: "CrashlabError", code });
    };
    await refused(() => machine.exec("echo one\necho two"), "bad-option");
    await refused(() => machine.exec("true", { budget: Number.NaN }), "bad-option");
    await refused(() => machine.exec("true", { signal: AbortSignal.abort() }), "aborted");
    await refused(() => machine.sysctl.get("kernel/../../etc"), "bad-option");
    await refused(() => machine.sysctl.get("kernel.no_such_thing"), "bad-option");
    await refused(() => machine.sysctl.set("kernel.no_such_thing", 1), "bad-option");
    await refused(() => Promise.all([machine.exec("true"), machine.exec("true")]), "bad-option");
    await refused(() => machine.kdump.capture({ via: "carrier" as "host" }), "bad-option");
    expect(() => faults.nullDereference({ offset: 5000 })).toThrow(/expected an offset from 0 to 4095/);
    expect(() => machine.core.readPhysical(1n << 40n, 8)).toThrow(CrashlabError);
    expect(() => machine.core.readVirtual(0x1234n, 8)).toThrow(CrashlabError);
    expect(() => machine.registers(7)).toThrow(/expected a CPU from 0 to 0, found 7/);
  });

  test("a command given up does not spoil the next one's output", async () => {
    await using machine = await boot();
    const slow = machine.exec("echo early; sleep 1; echo late; false", { budget: 1_000_000 });
    await expect(slow).rejects.toMatchObject({ code: "timeout" });
    expect(await machine.exec("echo next")).toEqual({ stdout: "next\n", status: 0 });
    expect(await machine.exec("false")).toEqual({ stdout: "", status: 1 });
  });

  test("files that are no modules, by the guest's own loader", async () => {
    await using machine = await boot();
    for (const file of ["/no/such.ko", "/bin/sh", "/proc/version"]) {
      const { status, stdout } = await machine.exec(`insmod ${file}`);
      expect(status, stdout).not.toBe(0);
      expect(stdout).toMatch(/^insmod: ERROR: could not (load|insert) module /);
    }
    const { stdout } = await machine.exec("echo alive");
    expect(stdout).toBe("alive\n");
  });
});
