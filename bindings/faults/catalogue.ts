/** The catalogue of faults that can be provoked in the guest, typed. */
import { CrashlabError } from "../error.ts";
import { didYouMean } from "../nearest.ts";
import type { CommandFault, Fault, InjectableFault } from "./fault.ts";
import { WORKLOAD } from "./injector.ts";
import { machineFaults } from "./machine_faults.ts";
import {
  LABCRASH_CONTEXTS,
  LABCRASH_KINDS,
  type LabcrashContext,
  type LabcrashKind,
  LKDTM_NAMES,
  type LkdtmName,
  SYSRQ_KEYS,
  type SysrqKey,
} from "./names.ts";

/** Of `faults.nullDereference`. */
export interface NullDereferenceOptions {
  /** Default "write". */
  readonly access?: "read" | "write";
  /** Distance from NULL, 0 to 4095. Default 8. */
  readonly offset?: number;
}

/** Of `faults.failAllocation` (Linux Documentation/fault-injection). */
export interface FailAllocationOptions {
  readonly of: "failslab" | "fail_page_alloc";
  /** Every how manyth allocation fails. Default 1. */
  readonly interval?: number;
  /** How many fail. Default 1. */
  readonly times?: number;
  /** The command that runs meanwhile. Default `WORKLOAD`. */
  readonly during?: string;
}

const ALLOCATORS = ["failslab", "fail_page_alloc"] as const;
const CONTEXTS = Object.keys(LABCRASH_CONTEXTS) as LabcrashContext[];

function oneOf<T extends string>(names: readonly T[], name: string, what: string): T {
  const found = names.find((each) => each === name);
  if (found !== undefined) return found;
  throw new CrashlabError(
    "bad-option",
    `expected ${what}, found ${JSON.stringify(name)}; ${didYouMean(String(name), names)}these are known: ${names.join(", ")}`,
  );
}

const LOAD_LABCRASH = "[ -e /sys/kernel/debug/labcrash ] || insmod /lib/modules/5.15.0/labcrash.ko";
const LOAD_DRIVER = "[ -e /dev/mydriver ] || insmod /lib/modules/5.15.0/mydriver.ko";

/** What the guest does to itself. */
const guestFaults = {
  /** The process `mydriver` reads /dev/mydriver, whose driver dereferences NULL + offset. */
  nullDereference(options: NullDereferenceOptions = {}): InjectableFault {
    const { access = "write", offset = 8 } = options;
    if (!Number.isInteger(offset) || offset < 0 || offset > 4095) {
      throw new CrashlabError("bad-option", `expected an offset from 0 to 4095, found ${offset}`);
    }
    return {
      name: "null-dereference",
      summary: "a driver's read() dereferences a NULL pointer",
      commands: [LOAD_DRIVER, `mydriver ${access} ${offset}`],
    };
  },

  /**
   * A crash point of LKDTM, in a shell of its own. Those that Linux survives without a word end in `timeout`.
   * See Linux Documentation/fault-injection/provoke-crashes.rst.
   */
  lkdtm(name: LkdtmName): InjectableFault {
    oneOf(LKDTM_NAMES, name, "an LKDTM crash point");
    return {
      name: `lkdtm:${name}`,
      summary: `LKDTM's crash point ${name}`,
      commands: [`sh -c 'echo ${name} > /sys/kernel/debug/provoke-crash/DIRECT'`],
    };
  },

  /** A fault of the module labcrash, by default in the process that writes to its trigger file. */
  labcrash(kind: LabcrashKind, context: LabcrashContext = "process"): InjectableFault {
    oneOf(LABCRASH_KINDS, kind, "a kind of labcrash");
    const letter = LABCRASH_CONTEXTS[oneOf(CONTEXTS, context, "a context of labcrash")];
    return {
      name: context === "process" ? `labcrash:${kind}` : `labcrash:${kind}:${context}`,
      summary: `labcrash's ${kind} in a ${context}`,
      commands: [LOAD_LABCRASH, `sh -c 'echo ${letter} ${kind} > /sys/kernel/debug/labcrash/trigger'`],
    };
  },

  /** A key of the magic SysRq. Only c is sure to crash. See Linux Documentation/admin-guide/sysrq.rst. */
  sysrq(key: SysrqKey): CommandFault {
    oneOf(SYSRQ_KEYS, key, "a SysRq key");
    return {
      name: `sysrq:${key}`,
      summary: `echo ${key} > /proc/sysrq-trigger`,
      commands: [`sh -c 'echo ${key} > /proc/sysrq-trigger'`],
      mayPass: true,
    };
  },

  /**
   * The guest's own failslab or fail_page_alloc: from now on every `interval`th allocation fails, `times` times, while
   * a command runs. See Linux Documentation/fault-injection/fault-injection.rst.
   */
  failAllocation(options: FailAllocationOptions): CommandFault {
    const { of, interval = 1, times = 1, during = WORKLOAD } = options;
    const folder = `/sys/kernel/debug/${oneOf(ALLOCATORS, of, "an allocator")}`;
    for (const [name, value] of Object.entries({ interval, times })) {
      if (!Number.isSafeInteger(value) || value < 1)
        throw new CrashlabError("bad-option", `expected ${name} as a whole number from 1, found ${value}`);
    }
    const settings = { times, interval, verbose: 1, "ignore-gfp-wait": "N", probability: 100 };
    return {
      name: `${of}:${interval}:${times}`,
      summary: `${times} allocations fail, each the ${interval}th`,
      commands: [
        [
          ...(of === "fail_page_alloc" ? [`echo 0 > ${folder}/min-order`] : []),
          ...Object.entries(settings).map(([name, value]) => `echo ${value} > ${folder}/${name}`),
          during,
          `echo 0 > ${folder}/probability`,
        ].join("; "),
      ],
      mayPass: true,
    };
  },
} as const;

/** Each entry makes a fault for `machine.inject()`. */
export const faults: typeof guestFaults & typeof machineFaults = { ...guestFaults, ...machineFaults };

/** A line of `crashlab faults`. */
export interface CatalogueEntry {
  readonly name: string;
  readonly summary: string;
  /** Makes the fault, with its default options. */
  readonly make: () => Fault;
}

/** What `crashlab faults` lists; those that take numbers with an example of them. */
export const catalogue: readonly CatalogueEntry[] = [
  (): Fault => faults.nullDereference(),
  ...LKDTM_NAMES.map((name) => (): Fault => faults.lkdtm(name)),
  ...LABCRASH_KINDS.flatMap((kind) => CONTEXTS.map((context) => (): Fault => faults.labcrash(kind, context))),
  ...SYSRQ_KEYS.map((key) => (): Fault => faults.sysrq(key)),
  (): Fault => faults.failAllocation({ of: "failslab" }),
  (): Fault => faults.failAllocation({ of: "fail_page_alloc" }),
  (): Fault => faults.flipRegister({ name: "rsp", bit: 40 }),
  (): Fault => faults.flipMemory({ location: { place: "jiffies" }, bit: 0 }),
  (): Fault => faults.flipPageTable({ place: "jiffies", bit: 0 }),
  (): Fault => faults.flipCode({ bit: 3 }),
  (): Fault => faults.corruptReturnAddress({ bit: 40 }),
  (): Fault => faults.corruptCanary({ bit: 0 }),
  (): Fault => faults.failFunction({ function: "vfs_write", value: -5n }),
  (): Fault => faults.breakLine({ line: 2, fault: { kind: "drop" } }),
  (): Fault => faults.freeze({}),
  (): Fault => faults.nmi({}),
  (): Fault => faults.machineCheck({}),
  (): Fault => faults.vector({ vector: 0xf8 }),
  (): Fault => faults.failDisk({ fault: { kind: "error" } }),
].map((make) => {
  const { name, summary } = make();
  return { name, summary, make };
});

/** The fault of that name, or `bad-option`. */
export function findFault(name: string): Fault {
  const entry = catalogue.find((each) => each.name === name);
  if (entry === undefined) {
    throw new CrashlabError(
      "bad-option",
      `expected the name of a fault such as null-dereference, lkdtm:BUG or labcrash:null_read:hardirq, found "${name}"; ${didYouMean(
        name,
        catalogue.map((each) => each.name),
      )}crashlab faults lists them`,
    );
  }
  return entry.make();
}
