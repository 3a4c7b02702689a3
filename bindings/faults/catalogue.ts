/** The catalogue of faults that can be provoked in the guest, typed. */
import { CrashlabError } from "../error.ts";
import type { InjectableFault } from "../machine/machine.ts";
import { LABCRASH_KINDS, type LabcrashKind, LKDTM_NAMES, type LkdtmName } from "./names.ts";

export interface NullDereferenceOptions {
  /** Default "write". */
  readonly access?: "read" | "write";
  /** Distance from NULL, 0 to 4095. Default 8. */
  readonly offset?: number;
}

function oneOf<T extends string>(names: readonly T[], name: string, what: string): T {
  const found = names.find((each) => each === name);
  if (found !== undefined) return found;
  throw new CrashlabError(
    "bad-option",
    `expected ${what}, one of ${names.join(", ")}; found ${JSON.stringify(name)}`,
  );
}

const LOAD_LABCRASH = "[ -e /sys/kernel/debug/labcrash ] || insmod /lib/modules/5.15.0/labcrash.ko";
const LOAD_DRIVER = "[ -e /dev/mydriver ] || insmod /lib/modules/5.15.0/mydriver.ko";

/** Each entry makes a fault for `machine.inject()`. */
export const faults = {
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

  /** A fault of the module labcrash, in process context. */
  labcrash(kind: LabcrashKind): InjectableFault {
    oneOf(LABCRASH_KINDS, kind, "a kind of labcrash");
    return {
      name: `labcrash:${kind}`,
      summary: `labcrash's ${kind} in a process`,
      commands: [LOAD_LABCRASH, `sh -c 'echo p ${kind} > /sys/kernel/debug/labcrash/trigger'`],
    };
  },
} as const;

export interface CatalogueEntry {
  readonly name: string;
  readonly summary: string;
  readonly make: () => InjectableFault;
}

/** What `crashlab faults` lists. */
export const catalogue: readonly CatalogueEntry[] = [
  (): InjectableFault => faults.nullDereference(),
  ...LKDTM_NAMES.map((name) => (): InjectableFault => faults.lkdtm(name)),
  ...LABCRASH_KINDS.map((kind) => (): InjectableFault => faults.labcrash(kind)),
].map((make) => {
  const { name, summary } = make();
  return { name, summary, make };
});

/** The fault of that name, or `bad-option`. */
export function findFault(name: string): InjectableFault {
  const entry = catalogue.find((each) => each.name === name);
  if (entry === undefined) {
    throw new CrashlabError(
      "bad-option",
      `expected one of ${catalogue.map((each) => each.name).join(", ")}, found "${name}"; see crashlab faults`,
    );
  }
  return entry.make();
}
