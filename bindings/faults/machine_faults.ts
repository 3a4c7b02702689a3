/** Faults that break the machine under the guest: one maker for each kind of change. */
import type { LineFault, MachineCheck, RegisterName } from "../core/input.ts";
import type { DiskFault } from "../machine/disk.ts";
import type { Place } from "../machine/places.ts";
import type { Change, Location, MachineFault, Moment } from "./fault.ts";

/** What all of them take. */
export interface FaultOptions {
  /** Default: as soon as the command has been typed. */
  readonly when?: Moment;
  /** What the guest does meanwhile. Default: processes, a pipe, a file. */
  readonly during?: string;
}

/** An uncorrected error with the context lost: severity panic (Linux arch/x86/kernel/cpu/mce/severity.c). */
const FATAL_CHECK: MachineCheck = { status: 0xbe00000000000135n, restartable: false };
/** A function that every program runs through and returns from. */
const IN_FUNCTION: Moment = { place: "vfs_write" };

function make(name: string, summary: string, change: Change, options: FaultOptions): MachineFault {
  const { when, during } = options;
  return {
    name,
    summary,
    change,
    ...(when === undefined ? {} : { when }),
    ...(during === undefined ? {} : { during }),
  };
}

const hex = (value: bigint): string => `0x${BigInt.asUintN(64, value).toString(16)}`;
const show = (place: Place): string => (typeof place === "bigint" ? hex(place) : place);

export const machineFaults = {
  /** One bit of a register turns round. `cpu`: default the one that is running. */
  flipRegister(
    options: FaultOptions & { readonly name: RegisterName; readonly bit: number; readonly cpu?: number },
  ): MachineFault {
    const { name, bit, cpu } = options;
    const change = { kind: "register", name, bit, ...(cpu === undefined ? {} : { cpu }) } as const;
    return make(`flip:register:${name}:${bit}`, `bit ${bit} of ${name} turns round`, change, options);
  },

  /** One bit (0 to 7) of a byte of memory turns round, as in a defective module. */
  flipMemory(options: FaultOptions & { readonly location: Location; readonly bit: number }): MachineFault {
    const { location, bit } = options;
    const where = "place" in location ? show(location.place) : `@${hex(location.physical)}`;
    const change = { kind: "memory", location, bit } as const;
    return make(
      `flip:memory:${where}:${bit}`,
      `bit ${bit} of the byte at ${where} turns round`,
      change,
      options,
    );
  },

  /** One bit (0 to 63) of the page table entry that maps an address turns round, and no CPU goes on with what it has cached. */
  flipPageTable(
    options: FaultOptions & { readonly place: Place; readonly bit: number; readonly level?: number },
  ): MachineFault {
    const { place, bit, level = 1 } = options;
    const name = `flip:page-table:${show(place)}:${level}:${bit}`;
    const summary = `bit ${bit} of the page table entry (level ${level}) of ${show(place)} turns round`;
    return make(name, summary, { kind: "page-table", place, bit, level }, options);
  },

  /** One bit (0 to 7) of the code at RIP + offset (default 0) turns round. */
  flipCode(options: FaultOptions & { readonly bit: number; readonly offset?: number }): MachineFault {
    const { bit, offset = 0, when = IN_FUNCTION } = options;
    const change = { kind: "code", bit, offset } as const;
    return make(`flip:code:${offset}:${bit}`, `bit ${bit} of the code at RIP+${offset} turns round`, change, {
      ...options,
      when,
    });
  },

  /** One bit (0 to 63) of the return address of the function that runs turns round. */
  corruptReturnAddress(options: FaultOptions & { readonly bit: number }): MachineFault {
    const { bit, when = IN_FUNCTION } = options;
    const summary = `bit ${bit} of a return address turns round`;
    return make(`return-address:${bit}`, summary, { kind: "return-address", bit }, { ...options, when });
  },

  /** One bit (0 to 63) of the stack canary nearest to RSP turns round. */
  corruptCanary(options: FaultOptions & { readonly bit: number }): MachineFault {
    const { bit, when = { place: "fd_install" } } = options;
    return make(
      `canary:${bit}`,
      `bit ${bit} of a stack canary turns round`,
      { kind: "canary", bit },
      {
        ...options,
        when,
      },
    );
  },

  /** A function of the kernel returns a value without having run, as with Linux's fail_function. */
  failFunction(
    options: FaultOptions & { readonly function: string; readonly value: bigint; readonly hit?: number },
  ): MachineFault {
    const { function: name, value, hit = 1 } = options;
    const when = { place: name, hit };
    const change = { kind: "function-return", value } as const;
    return make(`fail-function:${name}:${value}:${hit}`, `${name}() returns ${value} at once`, change, {
      ...options,
      when,
    });
  },

  /** An interrupt line (0 to 23) drops edges, delivers them late, or storms. */
  breakLine(options: FaultOptions & { readonly line: number; readonly fault: LineFault }): MachineFault {
    const { line, fault } = options;
    return make(
      `line:${line}:${fault.kind}`,
      `interrupt line ${line}: ${fault.kind}`,
      { kind: "line", line, fault },
      options,
    );
  },

  /** A CPU executes nothing from then on. */
  freeze(options: FaultOptions & { readonly cpu?: number }): MachineFault {
    const { cpu } = options;
    const which = cpu === undefined ? "the running CPU" : `CPU ${cpu}`;
    return make(
      `freeze:${cpu ?? "running"}`,
      `${which} stands still`,
      { kind: "freeze", ...onCpu(cpu) },
      options,
    );
  },

  /** A non-maskable interrupt. */
  nmi(options: FaultOptions & { readonly cpu?: number }): MachineFault {
    return make("nmi", "a non-maskable interrupt", { kind: "nmi", ...onCpu(options.cpu) }, options);
  },

  /** A machine check; default an uncorrected error whose context is lost. */
  machineCheck(
    options: FaultOptions & { readonly check?: MachineCheck; readonly cpu?: number },
  ): MachineFault {
    const { check = FATAL_CHECK, cpu } = options;
    const name = `machine-check:${hex(check.status)}`;
    return make(name, "a machine check", { kind: "machine-check", check, ...onCpu(cpu) }, options);
  },

  /**
   * The disk fails requests, does not answer, or passes wrong data without a word (Linux fail_make_request). Until the
   * machine goes back to a snapshot. `skipped` when there is no disk.
   */
  failDisk(options: FaultOptions & { readonly fault: DiskFault }): MachineFault {
    const { fault } = options;
    const { kind, operation = "any", sectors, requests } = fault;
    const where = sectors === undefined ? "" : `:${sectors.from}+${sectors.count}`;
    const often = requests === undefined ? "" : `:${requests}`;
    return make(
      `disk:${kind}:${operation}${where}${often}`,
      `the disk: ${kind}`,
      { kind: "disk", fault },
      options,
    );
  },

  /** An interrupt with a vector that no controller asked for. */
  vector(options: FaultOptions & { readonly vector: number; readonly cpu?: number }): MachineFault {
    const { vector, cpu } = options;
    return make(
      `vector:${vector}`,
      `interrupt vector ${vector}`,
      { kind: "vector", vector, ...onCpu(cpu) },
      options,
    );
  },
} as const;

function onCpu(cpu: number | undefined): { readonly cpu?: number } {
  return cpu === undefined ? {} : { cpu };
}
