/** Reads a folder of instruction vectors (format 1; its README describes it). */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, strFromU8 } from "fflate";
import type { FpuState } from "../core/fpu.ts";
import { GENERAL_REGISTERS } from "../core/registers.ts";
import { CrashlabError } from "../error.ts";
import type { MemoryBytes, Region, Vector, VectorState } from "./types.ts";

interface RawFpu {
  readonly cw?: string;
  readonly sw?: string;
  readonly tw?: string;
  readonly st?: Readonly<Record<string, string>>;
}
interface RawState {
  readonly f?: string;
  readonly r?: Readonly<Record<string, string>>;
  readonly x?: Readonly<Record<string, string>>;
  readonly mx?: string;
  readonly fp?: RawFpu;
  readonly m?: readonly (readonly [string, string])[];
}
interface RawVector {
  readonly id: string;
  readonly c: string;
  readonly m: string;
  readonly t?: readonly string[];
  readonly d: string;
  readonly b: string;
  readonly ip?: string;
  readonly n?: number;
  readonly k: readonly [number, number, number];
  readonly i: RawState & { readonly fs?: string; readonly gs?: string };
  readonly o: RawState & { readonly ip?: number; readonly e?: readonly [number, number, string?] };
  readonly u?: {
    readonly f?: string;
    readonly r?: Readonly<Record<string, string>>;
    readonly m?: readonly (readonly [string, number])[];
    readonly sw?: string;
  };
  readonly ap?: string;
}
interface RawBanks {
  readonly format: number;
  readonly defaultRip: string;
  readonly regions: readonly (Omit<Region, "base"> & { readonly base: string })[];
  readonly gpr: readonly (readonly string[])[];
  readonly xmm: readonly (readonly string[])[];
  readonly images: readonly Readonly<Record<"data" | "ro" | "hi", string>>[];
}

/** A folder of vectors. Each is expanded when it is asked for. */
export class VectorSet {
  readonly regions: readonly Region[];
  readonly #banks: RawBanks;
  readonly #lines: readonly string[];

  private constructor(banks: RawBanks, lines: readonly string[]) {
    this.#banks = banks;
    this.#lines = lines;
    this.regions = banks.regions.map((region) => ({ ...region, base: big(region.base) }));
  }

  /** Loads the groups named (int, seq, sse, x87, fault, opt), by default all. Throws `bad-option`. */
  static async load(folder: string, groups?: readonly string[]): Promise<VectorSet> {
    const names = await readdir(folder).catch((cause: unknown) => {
      throw new CrashlabError("bad-option", `expected a folder of vectors, found ${folder}: ${cause}`, {
        cause,
      });
    });
    const present = names
      .filter((name) => name.endsWith(".jsonl.gz"))
      .map((name) => name.slice(0, -9))
      .sort();
    for (const group of groups ?? []) {
      if (!present.includes(group)) {
        throw new CrashlabError("bad-option", `expected one of ${present.join(", ")}, found ${group}`);
      }
    }
    try {
      const banks = JSON.parse(await text(join(folder, "banks.json.gz"))) as RawBanks;
      if (banks.format !== 1) throw new Error(`format ${banks.format} where 1 was expected`);
      const lines: string[] = [];
      for (const group of groups ?? present) {
        for (const line of (await text(join(folder, `${group}.jsonl.gz`))).split("\n"))
          if (line) lines.push(line);
      }
      return new VectorSet(banks, lines);
    } catch (cause) {
      throw new CrashlabError("bad-option", `expected vectors of format 1 in ${folder}: ${cause}`, { cause });
    }
  }

  *vectors(): Generator<Vector> {
    for (const line of this.#lines) yield this.#expand(JSON.parse(line) as RawVector);
  }

  /** Contents of a region at the start: the image, or INT3 around the code. */
  contents(region: Region, vector: Vector): Uint8Array {
    const bytes = new Uint8Array(region.size);
    if (region.name === "code") {
      bytes.fill(0xcc);
      poke(region, bytes, { address: vector.before.rip, bytes: vector.code });
    } else {
      bytes.set(hex(this.#banks.images[vector.image]?.[region.name] ?? ""));
      for (const patch of vector.memoryBefore) poke(region, bytes, patch);
    }
    return bytes;
  }

  #expand(raw: RawVector): Vector {
    const { fs, gs } = raw.i;
    const bank: VectorState = {
      general: (this.#banks.gpr[raw.k[0]] ?? []).map(big),
      rip: big(raw.ip ?? this.#banks.defaultRip),
      rflags: 0n,
      fpu: {
        controlWord: 0x37f,
        statusWord: 0,
        tagWord: 0,
        stack: Array.from({ length: 8 }, () => new Uint8Array(10)),
        xmm: (this.#banks.xmm[raw.k[1]] ?? []).map(hex),
        mxcsr: 0x1f80,
      },
      fsBase: fs === undefined ? 0n : big(fs),
      gsBase: gs === undefined ? 0n : big(gs),
    };
    const before = changed(bank, raw.i);
    const [vector, error, address] = raw.o.e ?? [];
    return {
      id: raw.id,
      group: raw.c,
      mnemonic: raw.m,
      tags: raw.t ?? [],
      text: raw.d,
      code: hex(raw.b),
      steps: raw.n ?? 1,
      image: raw.k[2],
      before,
      memoryBefore: memory(raw.i.m),
      after: { ...changed(before, raw.o), rip: before.rip + BigInt(raw.o.ip ?? 0) },
      memoryAfter: memory(raw.o.m),
      exception:
        vector === undefined || error === undefined
          ? undefined
          : { vector, error, ...(address === undefined ? {} : { address: big(address) }) },
      undefinedParts: {
        flags: big(raw.u?.f ?? "0"),
        general: new Map(Object.entries(raw.u?.r ?? {}).map(([name, bits]) => [numberOf(name), big(bits)])),
        memory: (raw.u?.m ?? []).map(([start, length]) => ({ address: big(start), length })),
        statusWord: Number(big(raw.u?.sw ?? "0")),
      },
      approximate: raw.ap === undefined ? undefined : raw.ap.startsWith("f32") ? "f32" : "x87",
    };
  }
}

function changed(from: VectorState, raw: RawState): VectorState {
  const general = [...from.general];
  for (const [name, value] of Object.entries(raw.r ?? {})) general[numberOf(name)] = big(value);
  return {
    ...from,
    general,
    rflags: raw.f === undefined ? from.rflags : big(raw.f),
    fpu: changedFpu(from.fpu, raw),
  };
}

function changedFpu(from: FpuState, raw: RawState): FpuState {
  const word = (value: string | undefined, old: number): number =>
    value === undefined ? old : Number.parseInt(value, 16);
  const xmm = [...from.xmm];
  for (const [index, value] of Object.entries(raw.x ?? {})) xmm[Number(index)] = hex(value);
  const stack = [...from.stack];
  for (const [index, value] of Object.entries(raw.fp?.st ?? {})) stack[Number(index)] = hex(value);
  return {
    controlWord: word(raw.fp?.cw, from.controlWord),
    statusWord: word(raw.fp?.sw, from.statusWord),
    tagWord: word(raw.fp?.tw, from.tagWord),
    stack,
    xmm,
    mxcsr: word(raw.mx, from.mxcsr),
  };
}

function memory(raw: RawState["m"]): MemoryBytes[] {
  return (raw ?? []).map(([address, bytes]) => ({ address: big(address), bytes: hex(bytes) }));
}

/** Puts bytes where they lie in a region; what lies outside is left out. */
export function poke(region: Region, into: Uint8Array, { address, bytes }: MemoryBytes): void {
  const offset = address - region.base;
  if (offset < 0n || offset >= BigInt(region.size)) return;
  into.set(bytes.subarray(0, region.size - Number(offset)), Number(offset));
}

function numberOf(name: string): number {
  return (GENERAL_REGISTERS as readonly string[]).indexOf(name);
}

function big(digits: string): bigint {
  return BigInt(`0x${digits}`);
}

function hex(digits: string): Uint8Array {
  return new Uint8Array(Buffer.from(digits, "hex"));
}

async function text(path: string): Promise<string> {
  return strFromU8(gunzipSync(new Uint8Array(await readFile(path))));
}
