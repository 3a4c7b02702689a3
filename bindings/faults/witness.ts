/**
 * What a kernel goes through, seen from outside: breakpoints on the functions with which its reports begin, the
 * exceptions that the processor took, and the taint in its memory. Nothing is read from the console.
 */
import type { Core } from "../core/core.ts";
import type { ExceptionRecord } from "../core/exceptions.ts";
import { nameOf } from "../machine/places.ts";
import type { Stops } from "../machine/stops.ts";
import type { SymbolTable } from "../symbols/table.ts";
import type { Instant, KernelEvent } from "./fault.ts";

/** Linux arch/x86/kernel/dumpstack.c, kernel/panic.c. */
const BEGINNINGS: readonly (readonly [KernelEvent["kind"], string])[] = [
  ["oops", "oops_begin"],
  ["panic", "panic"],
  ["warning", "__warn"],
];
const EVENT_LIMIT = 16;
const EXCEPTION_LIMIT = 16;
const IMAGE_MAP = 0xffffffff80000000n;

export class Witness implements Disposable {
  readonly events: KernelEvent[] = [];
  readonly #core: Core;
  readonly #symbols: SymbolTable | undefined;
  readonly #breakpoints: ReadonlyMap<KernelEvent["kind"], Disposable>;
  readonly #since: number;

  constructor(core: Core, stops: Stops, symbols: SymbolTable | undefined) {
    this.#core = core;
    this.#symbols = symbols;
    this.#since = core.exceptionCount;
    this.#breakpoints = new Map(
      BEGINNINGS.flatMap(([kind, name]) => {
        const address = symbols?.address(name);
        return address === undefined ? [] : [[kind, stops.breakpoint(address, () => this.#note(kind))]];
      }),
    );
  }

  /** Where the machine is now. */
  here(): Instant {
    const { rip, cpl } = this.#core.registers();
    const symbol = this.#symbols === undefined ? undefined : nameOf(rip, this.#symbols);
    const { time, activeCpu: cpu } = this.#core;
    return { time, cpu, cpl, rip, ...(symbol === undefined ? {} : { symbol }) };
  }

  /** Exceptions in ring 0 since the witness began, of those that the machine still has. */
  exceptions(): ExceptionRecord[] {
    const all = this.#core.exceptions();
    const fresh = this.#core.exceptionCount - this.#since;
    return all
      .slice(Math.max(0, all.length - fresh))
      .filter((exception) => exception.cpl !== 3)
      .slice(-EXCEPTION_LIMIT);
  }

  /** tainted_mask; undefined for a kernel that has none. */
  taint(): bigint | undefined {
    const address = this.#symbols?.address("tainted_mask");
    if (address === undefined || address < IMAGE_MAP) return undefined;
    const physical = address - IMAGE_MAP;
    if (physical + 8n > BigInt(this.#core.ramBytes)) return undefined;
    return new DataView(this.#core.readPhysical(physical, 8).buffer).getBigUint64(0, true);
  }

  [Symbol.dispose](): void {
    for (const breakpoint of this.#breakpoints.values()) breakpoint[Symbol.dispose]();
  }

  #note(kind: KernelEvent["kind"]): void {
    // A kernel that goes on and on oopsing need not stop each time. A panic is never missed.
    if (this.events.length >= EVENT_LIMIT - 1) {
      this.#breakpoints.get("oops")?.[Symbol.dispose]();
      this.#breakpoints.get("warning")?.[Symbol.dispose]();
    }
    if (this.events.length >= EVENT_LIMIT && (kind !== "panic" || this.events.at(-1)?.kind === kind)) return;
    const exception = this.#core.exceptions().findLast(({ cpl }) => cpl !== 3);
    this.events.push({ kind, ...this.here(), ...(exception === undefined ? {} : { exception }) });
  }
}
