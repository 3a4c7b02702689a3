/** The image in this core and in QEMU: an outcome a case. A case that resets or hangs a machine costs it a new start. */
import { execFileSync, spawn } from "node:child_process";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Core } from "../../core/core.ts";
import { CrashlabError } from "../../error.ts";
import { loadMultiboot } from "../../machine/loaders/multiboot.ts";
import type { Case } from "./case.ts";
import * as at from "./places.ts";
import type { Outcome, Record } from "./record.ts";

const QEMU = "qemu-system-x86_64";
/** The features that the core has, of those that the translator knows. */
const FEATURES = [
  ...["+fsgsbase", "+smep", "+smap", "+umip", "+pdpe1gb", "+rdtscp", "+xsave", "+bmi1", "+bmi2", "+adx"],
  ...["-svm", "+syscall", "phys-bits=40", "vendor=GenuineIntel", "-hypervisor"],
];
/** Instructions without a new record after which a case hangs; a case takes some thousands. */
const CORE_PATIENCE = 3_000_000;
/** Time without a new record after which QEMU hangs: its own, since others may use the processors, or the clock's. */
const QEMU_PATIENCE = { cpuMs: 5_000, wallMs: 60_000 } as const;

export function canRunQemu(): boolean {
  try {
    execFileSync(QEMU, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** A kind of image: how it is made of cases, and what its records say. */
export interface ImageKind {
  readonly build: (cases: readonly Case[], first: number) => Uint8Array<ArrayBuffer>;
  readonly decode: (record: Uint8Array) => Record;
}

/** Runs from case to case; `start` runs from one on and says at which it ended, unless it did them all. */
async function collect(
  kind: ImageKind,
  cases: readonly Case[],
  start: (
    first: number,
  ) => Promise<{ records: readonly Uint8Array[]; end: "done" | "reset" | "hang" | "abort" }>,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  while (outcomes.length < cases.length) {
    const { records, end } = await start(outcomes.length);
    outcomes.push(...records.map(kind.decode));
    if (end !== "done") outcomes.push(end);
    else if (outcomes.length < cases.length)
      throw new CrashlabError("core-failure", `expected ${cases.length} records, found ${outcomes.length}`);
  }
  return outcomes;
}

export async function runOnCore(
  core: Core,
  image: ImageKind,
  cases: readonly Case[],
): Promise<readonly Outcome[]> {
  return await collect(image, cases, async (first) => {
    core.reset();
    core.start(
      loadMultiboot({ kernel: image.build(cases, first), commandLine: "", ramBytes: at.RAM, cpus: 1 }),
    );
    const index = (): number =>
      new DataView(core.readPhysical(BigInt(at.INDEX), 4).buffer).getUint32(0, true);
    for (let last = -1; ; ) {
      const { kind } = core.run(CORE_PATIENCE);
      const now = index();
      const isDone = kind === "debug-exit";
      if (!isDone && kind === "budget" && now !== last) {
        last = now;
        continue;
      }
      const records = Array.from({ length: now - first }, (_, n) =>
        core.readPhysical(BigInt(at.RECORDS + (first + n) * at.RECORD_SIZE), at.RECORD_SIZE),
      );
      return { records, end: isDone ? "done" : kind === "triple-fault" ? "reset" : "hang" };
    }
  });
}

export async function runOnQemu(kind: ImageKind, cases: readonly Case[]): Promise<readonly Outcome[]> {
  const folder = mkdtempSync(join(tmpdir(), "crashlab-system-"));
  try {
    return await collect(kind, cases, async (first) => {
      const memory = join(folder, "memory");
      const image = join(folder, "image");
      writeFileSync(memory, "");
      truncateSync(memory, at.RAM);
      writeFileSync(image, kind.build(cases, first));
      const end = await runQemuOnce(image, memory);
      const now = readMemory(memory, at.INDEX, 4).readUInt32LE();
      const bytes = readMemory(memory, at.RECORDS + first * at.RECORD_SIZE, (now - first) * at.RECORD_SIZE);
      const records = Array.from({ length: now - first }, (_, n) =>
        bytes.subarray(n * at.RECORD_SIZE, (n + 1) * at.RECORD_SIZE),
      );
      return { records, end: end !== "ended" ? end : now >= cases.length ? "done" : "reset" };
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readMemory(path: string, address: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const file = openSync(path, "r");
  try {
    readSync(file, bytes, 0, length, address);
  } finally {
    closeSync(file);
  }
  return bytes;
}

/** CPU time of a process, 0 where the host does not say: proc(5), utime and stime in hundredths of a second. */
function cpuMs(pid: number | undefined): number {
  try {
    const [, rest = ""] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ");
    const fields = rest.split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return 0;
  }
}

/** QEMU with its memory in a file, until it exits or its case number stands still for too long. */
async function runQemuOnce(image: string, memory: string): Promise<"ended" | "hang" | "abort"> {
  const child = spawn(
    QEMU,
    [
      ...["-machine", "pc,accel=tcg,memory-backend=ram", "-cpu", ["qemu64", ...FEATURES].join(",")],
      ...["-object", `memory-backend-file,id=ram,size=${at.RAM},mem-path=${memory},share=on`, "-m", "64M"],
      ...["-display", "none", "-serial", "none", "-monitor", "none", "-nodefaults", "-no-reboot"],
      ...["-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-kernel", image],
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  let last = -1;
  let since = { cpu: cpuMs(child.pid), wall: performance.now() };
  while (
    cpuMs(child.pid) - since.cpu < QEMU_PATIENCE.cpuMs &&
    performance.now() - since.wall < QEMU_PATIENCE.wallMs
  ) {
    const code = await Promise.race([ended, delay(250, "running" as const, { ref: false })]);
    if (code !== "running") {
      // 1 is the debug exit, 0 a reset; a signal is an assertion of QEMU's own.
      if (code === null) return "abort";
      if (code !== 0 && code !== 1)
        throw new CrashlabError(
          "missing-asset",
          `expected ${QEMU} to run the image, found exit status ${code}: ${errors.trim()}`,
        );
      return "ended";
    }
    const now = readMemory(memory, at.INDEX, 4).readUInt32LE();
    if (now !== last) since = { cpu: cpuMs(child.pid), wall: performance.now() };
    last = now;
  }
  child.kill("SIGKILL");
  await ended;
  return "hang";
}
