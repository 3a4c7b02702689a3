/**
 * Random cases of what only ring 0 sees, in the core and in QEMU: page tables, descriptors, gates, IRET, system calls,
 * control registers, debug registers. Both run the same bare-metal images, one of 64-bit cases and one of 32-bit ones,
 * which store a record of every case.
 */
import { Core } from "../core/core.ts";
import { CrashlabError } from "../error.ts";
import { legacyFarCase, legacyGateCase, legacyPageCase, legacySegmentCase } from "./legacy/cases.ts";
import { LEGACY_IMAGE } from "./legacy/image.ts";
import { Random } from "./random.ts";
import type { Case } from "./system/case.ts";
import { differencesOf } from "./system/compare.ts";
import { IMAGE } from "./system/image.ts";
import { canRunQemu, runOnCore, runOnQemu } from "./system/machines.ts";
import { canonicalCase, invalidationCase, pageCase } from "./system/pages.ts";
import * as at from "./system/places.ts";
import { controlCase, debugCase, rightsCase, segmentCase } from "./system/privileged.ts";
import type { Outcome } from "./system/record.ts";
import { farCase, interruptCase, returnCase, systemCallCase } from "./system/transfers.ts";
import { interruptible } from "./turns.ts";

type Maker = (random: Random) => Case;
export type SystemSubject =
  | ("page" | "invalidation" | "canonical" | "interrupt" | "iret" | "far")
  | ("call" | "segment" | "control" | "rights" | "debug")
  | ("page32" | "gate32" | "far32" | "segment32");

/** Makers of cases, and how often each is taken. */
const SUBJECTS: Readonly<{ [S in SystemSubject]: readonly [Maker, number] }> = {
  page: [pageCase, 6],
  invalidation: [invalidationCase, 1],
  canonical: [canonicalCase, 1],
  interrupt: [interruptCase, 3],
  iret: [returnCase, 3],
  far: [farCase, 3],
  call: [systemCallCase, 2],
  segment: [segmentCase, 3],
  control: [controlCase, 3],
  rights: [rightsCase, 1],
  debug: [debugCase, 3],
  page32: [legacyPageCase, 3],
  gate32: [legacyGateCase, 2],
  far32: [legacyFarCase, 2],
  segment32: [legacySegmentCase, 2],
};

export const systemSubjects: readonly SystemSubject[] = Object.keys(SUBJECTS) as SystemSubject[];

export interface SystemOptions {
  /** Batches are made from `seed`, `seed + 1` and so on. Default 1. */
  readonly seed?: number;
  /** Cases to run on each side. Default 4000. */
  readonly cases?: number;
  /** Differences after which it stops. Default 20. */
  readonly limit?: number;
  /** Only cases of these subjects. Default: all. */
  readonly subjects?: readonly SystemSubject[];
  /** Ends the run early; the outcome is of what ran. */
  readonly signal?: AbortSignal;
  readonly onBatch?: (progress: { readonly seed: number; readonly cases: number }) => void;
}
export interface SystemOutcome {
  readonly cases: number;
  /** Cases that ended in an exception, by its vector, on the core. */
  readonly vectors: Readonly<{ [vector: string]: number }>;
  /** Cases in which QEMU does what it is known to do otherwise, by what that is. */
  readonly known: Readonly<{ [reason: string]: number }>;
  readonly differences: readonly string[];
}

function is32Bit(each: Case): boolean {
  return each.name.startsWith("32-bit ");
}

/** Cases of one start of the machines. */
const BATCH = 4000;

/** The cases of a seed: the first so many of its batch. */
export function makeCases(seed: number, count: number, subjects: readonly SystemSubject[]): readonly Case[] {
  const makers = subjects.flatMap((subject) => {
    const [maker, weight] = SUBJECTS[subject];
    return Array.from({ length: weight }, () => maker);
  });
  const random = new Random(seed);
  return Array.from({ length: count }, () => random.pick(makers)(random));
}

/** Compares that many cases. Throws `missing-asset` where there is no QEMU. */
export async function fuzzSystem(options: SystemOptions = {}): Promise<SystemOutcome> {
  const {
    seed: first = 1,
    cases: total = 4000,
    limit = 20,
    subjects = systemSubjects,
    signal,
    onBatch,
  } = options;
  if (!canRunQemu())
    throw new CrashlabError(
      "missing-asset",
      "expected qemu-system-x86_64 on the path, found none; install it (Debian: qemu-system-x86)",
    );
  const core = await Core.create({ ramBytes: at.RAM, recordInputs: false });
  const vectors: { [vector: string]: number } = {};
  const known: { [reason: string]: number } = {};
  const differences: string[] = [];
  let done = 0;
  const stopped = interruptible(signal);
  for (let seed = first; done < total && differences.length < limit; seed++) {
    if (await stopped()) break;
    onBatch?.({ seed, cases: done });
    const cases = makeCases(seed, Math.min(BATCH, total - done), subjects);
    const want = new Map<Case, Outcome>();
    const have = new Map<Case, Outcome>();
    for (const [kind, isLegacy] of [
      [IMAGE, false],
      [LEGACY_IMAGE, true],
    ] as const) {
      const own = cases.filter((each) => is32Bit(each) === isLegacy);
      const qemu = runOnQemu(kind, own);
      const ours = await runOnCore(core, kind, own);
      const theirs = await qemu;
      own.forEach((each, n) => {
        have.set(each, ours[n] ?? "hang");
        want.set(each, theirs[n] ?? "hang");
      });
    }
    cases.forEach((each, n) => {
      const [a, b] = [want.get(each), have.get(each)];
      if (a === undefined || b === undefined) return;
      const ended = typeof b === "string" ? b : String(b["vector"]);
      vectors[ended] = (vectors[ended] ?? 0) + 1;
      const { found, reasons } = differencesOf(each, a, b);
      for (const reason of reasons) known[reason] = (known[reason] ?? 0) + 1;
      if (found.length > 0 && differences.length < limit)
        differences.push(`seed ${seed} case ${n} ${each.name}: ${found.join("; ")}`);
    });
    done += cases.length;
  }
  return { cases: done, vectors, known, differences };
}
