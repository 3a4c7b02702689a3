/**
 * Damaged vmcores and kernels: whatever comes, it ends soon, in a result or a CrashlabError. The short form runs
 * with the tests; the long one is `npx tsx --conditions=source test/vmcore/fuzz.ts 100000 [SEED]`.
 */
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { boot, CrashlabError, faults } from "../../bindings/index.ts";
import { SymbolTable } from "../../bindings/symbols/index.ts";
import { type RangeReader, runCommand, Vmcore } from "../../bindings/vmcore/index.ts";
import { MYDRIVER, VMLINUX } from "../machine/crashed.ts";

const COMMANDS = ["bt -a", "ps", "log", "mod", "vm", "kmem -s", "sys", "files", "task"];
const VALUES = [0, 1, 0x7f, 0x80, 0xff, 0x21];
/** One damaged file must not take longer, in milliseconds. */
const TIME_LIMIT = 20_000;

export interface Inputs {
  readonly dumps: readonly Uint8Array[];
  readonly kernels: readonly Uint8Array[];
}

/** Dumps in all forms, of one crashed machine, and the files that go with them. */
export async function makeInputs(): Promise<Inputs> {
  await using machine = await boot({ memory: "64M" });
  await machine.sysctl.set("kernel.panic_on_oops", 1);
  await machine.inject(faults.nullDereference());
  const forms = [
    { dumpLevel: 31 },
    { dumpLevel: 31, format: "kdump-compressed" },
    { dumpLevel: 31, format: "kdump-compressed", flattened: true },
  ] as const;
  const dumps: Uint8Array[] = [];
  for (const form of forms) {
    const pieces: Uint8Array[] = [];
    for await (const piece of await machine.kdump.capture(form)) pieces.push(piece);
    dumps.push(new Uint8Array(Buffer.concat(pieces)));
  }
  const kernels = [VMLINUX, MYDRIVER].map((path) => new Uint8Array(readFileSync(path)));
  return { dumps, kernels };
}

/** Numbers from a seed (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Runs `count` damaged files; gives how many ended in a typed error. Throws what else comes out. */
export async function fuzz(inputs: Inputs, seed: number, count: number): Promise<number> {
  const table = SymbolTable.fromElf(inputs.kernels[0] ?? new Uint8Array(0));
  let errors = 0;
  for (let run = 0; run < count; run++) {
    const random = randomFrom(seed + run);
    const started = Date.now();
    try {
      if (run % 4 === 3)
        readKernel(inputs.kernels[random(inputs.kernels.length)] ?? new Uint8Array(0), random);
      else await readDump(inputs.dumps[run % 4] ?? new Uint8Array(0), table, random);
    } catch (error) {
      if (!(error instanceof CrashlabError))
        throw new Error(`seed ${seed + run} of kind ${run % 4}`, { cause: error });
      errors++;
    }
    const taken = Date.now() - started;
    if (taken > TIME_LIMIT) throw new Error(`seed ${seed + run} of kind ${run % 4} took ${taken} ms`);
  }
  return errors;
}

/** Reads everything in a dump of which some bytes are others, or the end is missing. */
async function readDump(
  bytes: Uint8Array,
  table: SymbolTable,
  random: (below: number) => number,
): Promise<void> {
  const size = random(4) === 0 ? random(bytes.length) : bytes.length;
  // Half of the damage hits the headers, where it does most.
  const places = Array.from({ length: 1 + random(8) }, () => random(random(2) === 0 ? 8192 : bytes.length));
  const changes = places.map((at) => [at, VALUES[random(VALUES.length)] ?? 0] as const);
  const reader: RangeReader = {
    size,
    async read(offset, length) {
      const part = bytes.slice(offset, Math.min(offset + length, size));
      for (const [at, value] of changes)
        if (at >= offset && at < offset + part.length) part[at - offset] = value;
      return part;
    },
  };
  const program = await (await Vmcore.open(reader)).program(table);
  const task = await program.crashedTask();
  const files = { vmlinux: "vmlinux", vmcore: "vmcore", modules: new Map() };
  const context = { program, task, ...files, lines: async () => table };
  await runCommand(context, COMMANDS[random(COMMANDS.length)] ?? "sys");
}

function readKernel(bytes: Uint8Array, random: (below: number) => number): void {
  const damaged = bytes.slice(0, random(4) === 0 ? random(bytes.length) : bytes.length);
  for (let left = 1 + random(8); left > 0; left--) {
    damaged[random(Math.max(1, damaged.length))] = VALUES[random(VALUES.length)] ?? 0;
  }
  const symbols = SymbolTable.fromElf(damaged);
  symbols.types.find("struct", "task_struct");
  symbols.types.enumerator("NR_FREE_PAGES");
  symbols.frames(symbols.address("panic") ?? 0n);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const count = Number(process.argv[2] ?? 1000);
  const seed = Number(process.argv[3] ?? 1);
  const inputs = await makeInputs();
  for (let done = 0; done < count; done += 500) {
    const errors = await fuzz(inputs, seed + done, Math.min(500, count - done));
    console.log(`${Math.min(done + 500, count)} of ${count}: ${errors} of the last ended in a typed error`);
  }
}
