/** Which fault a case of a campaign has: drawn from the seed, the case's number and what the guest runs through. */
import type { LineFault, RegisterName } from "../core/input.ts";
import { GENERAL_REGISTERS } from "../core/registers.ts";
import { faults } from "../faults/catalogue.ts";
import type { Fault, Moment } from "../faults/fault.ts";
import {
  LABCRASH_CONTEXTS,
  LABCRASH_KINDS,
  type LabcrashContext,
  LKDTM_NAMES,
  SYSRQ_KEYS,
} from "../faults/names.ts";
import { Random } from "./random.ts";

/** What there is to be broken, found out once about a machine that is about to run the workload. */
export interface Target {
  readonly cpus: number;
  /** Guest nanoseconds that the workload takes. */
  readonly duration: number;
  /** Functions of the kernel that the workload runs through, by name. */
  readonly functions: readonly string[];
  /** Page frames with content. */
  readonly frames: readonly number[];
}

type Draw = (random: Random, target: Target) => Fault;

const CONTEXTS = Object.keys(LABCRASH_CONTEXTS) as LabcrashContext[];
const SYSTEM_REGISTERS: readonly RegisterName[] = [
  "cr0",
  "cr3",
  "cr4",
  "efer",
  "lstar",
  "kernelGsBase",
  "gdtBase",
  "gdtLimit",
  "idtBase",
  "idtLimit",
];
/** Present, writable, user, accessed, dirty, large, global, the low bits of the frame, no-execute. */
const ENTRY_BITS = [0, 1, 2, 5, 6, 7, 8, 12, 13, 16, 20, 24, 45, 63] as const;
/** -ENOMEM, -EIO, -EFAULT, success, an address that is none. */
const RETURNS = [-12n, -5n, -14n, 0n, 1n, 0x10n] as const;
/** Corrected; uncorrected, action optional; action required; fatal. SDM 3B 15.3.2.2 */
const CHECKS = [0x8c00004000010090n, 0xbc00000000000150n, 0xbd80000000100134n, 0xbe00000000000135n] as const;
const PAGE = 4096;

/** Drawn by weight. */
const DRAWS: readonly (readonly [weight: number, Draw])[] = [
  [2, (): Fault => faults.nullDereference()],
  [12, (random): Fault => mayPass(faults.labcrash(random.pick(LABCRASH_KINDS), random.pick(CONTEXTS)))],
  [12, (random): Fault => mayPass(faults.lkdtm(random.pick(LKDTM_NAMES)))],
  [2, (random): Fault => faults.sysrq(random.pick(SYSRQ_KEYS))],
  [
    5,
    (random): Fault =>
      faults.failAllocation({
        of: random.pick(["failslab", "fail_page_alloc"] as const),
        interval: 1 + random.below(40),
        times: 1 + random.below(3),
      }),
  ],
  [
    16,
    (random, target): Fault => {
      const name = random.pick<RegisterName>([...GENERAL_REGISTERS, "rip", "rip", "rsp", "rflags"]);
      return faults.flipRegister({ name, bit: random.below(64), when: moment(random, target) });
    },
  ],
  [
    4,
    (random, target): Fault =>
      faults.flipRegister({
        name: random.pick(SYSTEM_REGISTERS),
        bit: random.below(64),
        when: moment(random, target),
      }),
  ],
  [
    12,
    (random, target): Fault => {
      const physical = BigInt(random.pick(target.frames) * PAGE + random.below(PAGE));
      return faults.flipMemory({
        location: { physical },
        bit: random.below(8),
        when: moment(random, target),
      });
    },
  ],
  [
    8,
    (random, target): Fault =>
      faults.flipPageTable({
        place: random.pick(target.functions),
        bit: random.pick(ENTRY_BITS),
        level: 1 + random.below(4),
        when: moment(random, target),
      }),
  ],
  [
    8,
    (random, target): Fault =>
      faults.flipCode({ bit: random.below(8), offset: random.below(16), when: atFunction(random, target) }),
  ],
  [
    5,
    (random, target): Fault =>
      faults.corruptReturnAddress({ bit: random.below(64), when: atFunction(random, target) }),
  ],
  [
    3,
    (random, target): Fault =>
      faults.corruptCanary({ bit: random.below(64), when: atFunction(random, target) }),
  ],
  [
    5,
    (random, target): Fault =>
      faults.failFunction({
        function: random.pick(target.functions),
        value: random.pick(RETURNS),
        hit: 1 + random.below(3),
      }),
  ],
  [
    3,
    (random, target): Fault =>
      faults.breakLine({
        line: random.pick([0, 1, 2, 3, 4, 8]),
        fault: lineFault(random),
        when: moment(random, target),
      }),
  ],
  [
    1,
    (random, target): Fault =>
      faults.freeze({ cpu: random.below(target.cpus), when: moment(random, target) }),
  ],
  [
    2,
    (random, target): Fault => faults.nmi({ cpu: random.below(target.cpus), when: moment(random, target) }),
  ],
  [
    2,
    (random, target): Fault =>
      faults.machineCheck({
        check: { status: random.pick(CHECKS), restartable: random.below(2) === 0 },
        cpu: random.below(target.cpus),
        when: moment(random, target),
      }),
  ],
  [
    3,
    (random, target): Fault =>
      faults.vector({
        vector: random.below(256),
        cpu: random.below(target.cpus),
        when: moment(random, target),
      }),
  ],
];
const TOTAL = DRAWS.reduce((sum, [weight]) => sum + weight, 0);

/** The fault of a case. */
export function planFault(seed: number, index: number, target: Target): Fault {
  const random = new Random(seed, index);
  let at = random.below(TOTAL);
  for (const [weight, draw] of DRAWS) {
    if (at < weight) return mayPass(draw(random, target));
    at -= weight;
  }
  throw new RangeError(`no fault for ${at} of ${TOTAL}`);
}

function mayPass(fault: Fault): Fault {
  return "commands" in fault ? { ...fault, mayPass: true } : fault;
}

function moment(random: Random, target: Target): Moment {
  return random.below(2) === 0 ? { after: random.below(target.duration) } : atFunction(random, target);
}

function atFunction(random: Random, target: Target): Moment {
  return { place: random.pick(target.functions), hit: 1 + random.below(3) };
}

function lineFault(random: Random): LineFault {
  const nanoseconds = 2000 + random.below(1_000_000);
  const edges = 1 + random.below(100);
  switch (random.below(3)) {
    case 0:
      return { kind: "drop", edges };
    case 1:
      return { kind: "delay", edges, nanoseconds };
    default:
      return { kind: "storm", edges, nanoseconds };
  }
}
