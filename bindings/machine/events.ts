/** Typed events: a map from names to payloads, listeners that can be disposed of. */
import type { Exit } from "../core/exit.ts";
import type { BugReport, CrashReport, OopsReport, PanicReport, WarningReport } from "../report/types.ts";
import type { NetconsoleDatagram } from "./netconsole.ts";

/** What a machine tells of; `machine.on(name, listener)`. A report comes when its last line has been printed. */
export interface MachineEvents {
  /** A line of the console, without its end. */
  console: string;
  /** Raw bytes of the console. */
  output: Uint8Array;
  /** A crash report of any kind. */
  report: CrashReport;
  /** An exception or BUG() in the kernel, such as a NULL dereference. */
  oops: OopsReport | BugReport;
  /** A WARN() in the kernel, which goes on. */
  warning: WarningReport;
  /** The kernel has panicked. */
  panic: PanicReport;
  /** The machine has stopped for good. */
  stopped: Exit;
  /** Bytes that the guest wrote to port E9h, the debug console. */
  debug: Uint8Array;
  /** A netconsole datagram (boot parameter `netconsole=`). */
  netconsole: NetconsoleDatagram;
  /** The kernel's driver of the pvpanic device says that it panics (QEMU docs/specs/pvpanic.rst). */
  pvpanic: PvpanicEvent;
}

/** What a guest tells by pvpanic. */
export interface PvpanicEvent {
  /** It has panicked, and no crash kernel will take over. */
  readonly panicked: boolean;
  /** It has panicked, and a crash kernel is loaded. */
  readonly crashLoaded: boolean;
}

export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(payload: never) => void>>();

  /** Calls `listener` for every event of that name until the returned object is disposed of. */
  on<Name extends keyof Events>(name: Name, listener: (payload: Events[Name]) => void): Disposable {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set);
    set.add(listener as (payload: never) => void);
    return {
      [Symbol.dispose](): void {
        set.delete(listener as (payload: never) => void);
      },
    };
  }

  /** Tells the listeners, in the order in which they came. */
  protected emit<Name extends keyof Events>(name: Name, payload: Events[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      (listener as (payload: Events[Name]) => void)(payload);
    }
  }
}
