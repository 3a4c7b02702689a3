/** Dumps of one machine in all forms that capture() writes, and in those that makedumpfile makes of them: crash and analyze see the same in each. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CaptureOptions, Vmcore } from "../../bindings/vmcore/index.ts";
import { VMLINUX } from "../machine/crashed.ts";
import { pagesByMakedumpfile, pagesOf } from "./bitmap.ts";
import { CRASHES, type Dump, makeDump } from "./crashes.ts";

const FORMS: readonly (readonly [string, CaptureOptions])[] = [
  ["ELF at level 31", { dumpLevel: 31 }],
  ["flattened ELF", { flattened: true, dumpLevel: 1 }],
  ["kdump-compressed", { format: "kdump-compressed" }],
  ["kdump-compressed at level 31", { format: "kdump-compressed", dumpLevel: 31 }],
  ["kdump-compressed, not packed", { format: "kdump-compressed", compression: "none", dumpLevel: 31 }],
  ["kdump-compressed, flattened", { format: "kdump-compressed", flattened: true, dumpLevel: 31 }],
];
const MAKEDUMPFILE = [
  ["-l", "-d", "31"],
  ["-c", "-d", "31"],
  ["-E", "-d", "31"],
] as const;

let dump: Dump;
let reference: { crash: string; ours: string; pages: string };
beforeAll(async () => {
  const [, panic] = CRASHES;
  if (panic === undefined) throw new Error("no crash");
  dump = await makeDump(panic);
  const pages = pagesByMakedumpfile(dump.vmcore, 0);
  reference = { crash: crash(dump.vmcore), ours: await analyze(dump.vmcore), pages };
}, 60_000);
afterAll(() => dump.remove());

function crash(vmcore: string): string {
  const script = join(dump.folder, "commands");
  writeFileSync(script, "bt\nps\nmod\nvm\nkmem -s\nq\n");
  const stdio = ["ignore", "pipe", "pipe"] as const;
  return execFileSync("crash", ["-s", "-i", script, VMLINUX, vmcore], {
    encoding: "utf8",
    stdio: [...stdio],
  });
}

async function analyze(vmcore: string): Promise<string> {
  const [file, kernel] = [await open(vmcore), await open(VMLINUX)];
  try {
    const program = await (await Vmcore.open(file)).program(kernel);
    const frames = (await (await program.crashedTask())?.stackTrace()) ?? [];
    const names = frames.map((frame) => (frame.kind === "call" ? frame.symbol?.name : frame.kind));
    const tasks = (await program.tasks()).map(({ pid, comm, state }) => `${pid} ${comm} ${state}`);
    expect(program.problems).toEqual([]);
    return [...names, ...tasks, (await program.log()).length].join("\n");
  } finally {
    await file.close();
    await kernel.close();
  }
}

test("the reference has a trace from panic to user space", () => {
  expect(reference.crash).toContain(" panic at ");
  expect(reference.ours).toMatch(/^panic\nlab_panic\n[\s\S]*\nuser\n/);
});

describe("capture()", () => {
  test.each(FORMS)("%s", async (name, options) => {
    const path = join(dump.folder, name.replaceAll(" ", "-"));
    await (await dump.machine.kdump.capture(options)).save(path);
    expect(await analyze(path)).toBe(reference.ours);
    expect(crash(path)).toBe(reference.crash);
  });

  test.each([{ dumpLevel: 32 }, { dumpLevel: 1.5 }, { compression: "zlib" as const }])(
    "refuses %j",
    async (options) => {
      await expect(dump.machine.kdump.capture(options)).rejects.toMatchObject({ code: "bad-option" });
    },
  );
});

test.each([{}, { format: "kdump-compressed" }, { format: "kdump-compressed", compression: "none" }] as const)(
  "%j: progress goes up to the end, and a signal ends it",
  async (options) => {
    const path = join(dump.folder, "progress");
    const steps: { done: number; total: number }[] = [];
    await (await dump.machine.kdump.capture({ ...options, onProgress: (step) => steps.push(step) })).save(
      path,
    );
    const done = steps.map((step) => step.done);
    expect(done.length).toBeGreaterThan(50);
    expect(done).toEqual(done.toSorted((a, b) => a - b));
    expect(done.at(-1)).toBe(steps[0]?.total);
    const abort = new AbortController();
    const ended = await dump.machine.kdump.capture({
      ...options,
      signal: abort.signal,
      onProgress: () => abort.abort(),
    });
    await expect(ended.save(path)).rejects.toMatchObject({ code: "aborted" });
  },
);

/** Each bit by itself, and some together. */
test.each([0, 1, 2, 4, 8, 16, 9, 24, 31])(
  "at -d %i the pages are those that makedumpfile keeps",
  async (dumpLevel) => {
    const path = join(dump.folder, "level");
    const packed = { format: "kdump-compressed", compression: "none" } as const;
    await (await dump.machine.kdump.capture({ ...packed, dumpLevel })).save(path);
    const pages = pagesOf(path);
    expect(pages).toBe(pagesByMakedumpfile(dump.vmcore, dumpLevel));
    expect(pages === reference.pages).toBe((dumpLevel & 24) === 0);
  },
);

describe("makedumpfile", () => {
  test.each(MAKEDUMPFILE)("%s %s %s", async (...options) => {
    const path = join(dump.folder, `made${options.join("")}`);
    execFileSync("makedumpfile", [...options, dump.vmcore, path], { stdio: "pipe" });
    expect(await analyze(path)).toBe(reference.ours);
  });

  test("-F, from standard output; and -R makes of our flattened form what crash opens", async () => {
    const made = execFileSync("makedumpfile", ["-F", "-l", "-d", "31", dump.vmcore], {
      maxBuffer: 1 << 28,
      stdio: ["ignore", "pipe", "pipe"],
    });
    writeFileSync(join(dump.folder, "flat"), made);
    expect(await analyze(join(dump.folder, "flat"))).toBe(reference.ours);
    const ours = join(dump.folder, "kdump-compressed,-flattened");
    const path = join(dump.folder, "rearranged");
    execFileSync("sh", ["-c", `makedumpfile -R "${path}" < "${ours}"`], { stdio: "pipe" });
    expect(crash(path)).toBe(reference.crash);
  });
});
