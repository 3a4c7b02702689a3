/**
 * A machine's ramoops zone: where it lies by the kernel's command line, and what is in it. The zone is memory that
 * the kernel was told to leave alone (`memmap=`), so it outlives the kernel: see `machine.reboot()`.
 */
import type { Core } from "../core/core.ts";
import { type PstoreRecord, type RamoopsLayout, readRamoops } from "../report/ramoops.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const ZONE = MIB;
const PART = 0x10000;

/** Parameters for a zone of 1 MiB below the initrd: 14 records and a console of 64 KiB each. */
export function pstoreParameters(ramBytes: number, initrdBytes: number): string {
  const end = Math.floor((Math.min(ramBytes, GIB) - initrdBytes) / MIB) * MIB;
  const address = hex(end - ZONE);
  return [
    `memmap=${hex(ZONE)}$${address}`,
    `ramoops.mem_address=${address}`,
    `ramoops.mem_size=${hex(ZONE)}`,
    `ramoops.record_size=${hex(PART)}`,
    `ramoops.console_size=${hex(PART)}`,
  ].join(" ");
}

/** What the guest left in its persistent store (Linux fs/pstore). */
export class Pstore {
  readonly #core: Core;
  readonly #commandLine: string;

  constructor(core: Core, commandLine: string) {
    this.#core = core;
    this.#commandLine = commandLine;
  }

  /** Where the zone lies in guest-physical memory; undefined without `ramoops.` parameters. */
  get zone(): { readonly address: bigint; readonly size: number } | undefined {
    const address = this.#parameter("mem_address");
    const size = this.#parameter("mem_size") ?? 0;
    return address === undefined || size <= 0 || address + size > this.#core.ramBytes
      ? undefined
      : { address: BigInt(address), size };
  }

  /**
   * What is in the zone now: records of kernels that died, and of the one that runs. Read from memory, whatever
   * state the kernel is in. Empty without a zone.
   */
  records(): PstoreRecord[] {
    const zone = this.zone;
    return zone === undefined
      ? []
      : readRamoops(this.#core.readPhysical(zone.address, zone.size), this.#layout());
  }

  #layout(): RamoopsLayout {
    const sizes = {
      recordSize: this.#parameter("record_size"),
      consoleSize: this.#parameter("console_size"),
      ftraceSize: this.#parameter("ftrace_size"),
      pmsgSize: this.#parameter("pmsg_size"),
    };
    return Object.fromEntries(Object.entries(sizes).filter(([, size]) => size !== undefined));
  }

  #parameter(name: string): number | undefined {
    const match = new RegExp(`(?:^|\\s)ramoops\\.${name}=(0x[0-9a-f]{1,12}|\\d{1,15})(?=\\s|$)`, "i").exec(
      this.#commandLine,
    );
    return match === null ? undefined : Number(match[1]);
  }
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
