/**
 * Moments at which the host looks at a machine that runs: a guest time, or an instruction about to execute. The guest
 * notices neither, and both are exact however the run is cut into slices.
 */
import type { Core } from "../core/core.ts";
import type { Exit } from "../core/exit.ts";

type Act = () => void;

export class Stops {
  readonly #core: Core;
  readonly #places = new Map<symbol, { readonly address: bigint; readonly act: Act }>();
  /** By time, earliest first. */
  #times: { readonly time: bigint; readonly act: Act }[] = [];

  constructor(core: Core) {
    this.#core = core;
  }

  /** Calls `act` each time the instruction at this linear address is next. At most 64 of them. */
  breakpoint(address: bigint, act: Act): Disposable {
    const key = Symbol();
    const held = this.#core.instruments.breakpoint(address);
    this.#places.set(key, { address: BigInt.asUintN(64, address), act });
    return {
      [Symbol.dispose]: (): void => {
        this.#places.delete(key);
        held[Symbol.dispose]();
      },
    };
  }

  /** Calls `act` once, before the first instruction that begins at this guest time or later. */
  at(time: bigint, act: Act): Disposable {
    const stop = { time, act };
    const after = this.#times.findIndex((each) => each.time > time);
    this.#times.splice(after < 0 ? this.#times.length : after, 0, stop);
    return {
      [Symbol.dispose]: (): void => {
        this.#times = this.#times.filter((each) => each !== stop);
      },
    };
  }

  /** Runs a slice that ends at the next stop at the latest. */
  run(budget: number): Exit {
    this.#actOnTime();
    const next = this.#times[0];
    const exit =
      next === undefined ? this.#core.run(budget) : this.#core.runUntil({ time: next.time, budget });
    if (exit.kind === "breakpoint") {
      for (const { address, act } of [...this.#places.values()]) if (address === exit.address) act();
    }
    this.#actOnTime();
    return exit;
  }

  #actOnTime(): void {
    for (
      let next = this.#times[0];
      next !== undefined && next.time <= this.#core.time;
      next = this.#times[0]
    ) {
      this.#times.shift();
      next.act();
    }
  }
}
