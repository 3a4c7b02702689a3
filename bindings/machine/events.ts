/** Typed events: a map from names to payloads, listeners that can be disposed of. */

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
