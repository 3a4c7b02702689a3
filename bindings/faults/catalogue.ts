/** The catalogue of faults that can be provoked in the guest, typed. */
import { CrashlabError } from "../error.ts";
import type { InjectableFault } from "../machine/machine.ts";

export interface NullDereferenceOptions {
  /** Default "write". */
  readonly access?: "read" | "write";
  /** Distance from NULL, 0 to 4095. Default 8. */
  readonly offset?: number;
}

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
} as const;

export interface CatalogueEntry {
  readonly name: string;
  readonly summary: string;
  readonly make: () => InjectableFault;
}

/** What `crashlab faults` lists. */
export const catalogue: readonly CatalogueEntry[] = [faults.nullDereference].map((make) => {
  const { name, summary } = make();
  return { name, summary, make: () => make() };
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
