/** What has entered the machine, and what is to enter at its time. */
import type { Action, Input } from "./input.ts";

export class InputLog {
  #done: Input[] = [];
  /** By time. */
  #scheduled: Input[] = [];
  /** An input is being applied, which has been noted as a whole. */
  #applying = false;
  readonly #isKept: boolean;

  constructor(isKept: boolean) {
    this.#isKept = isKept;
  }

  /** Everything since power-on or the last restore. */
  get done(): readonly Input[] {
    return this.#done;
  }

  /** The next that is to come. */
  get next(): Input | undefined {
    return this.#scheduled[0];
  }

  clear(): void {
    this.#done = [];
    this.#scheduled = [];
  }

  note(action: Action, time: bigint): void {
    if (!this.#applying && this.#isKept) this.#done.push({ ...action, time });
  }

  /** What `apply` notes is part of an action that has been noted as a whole. */
  applying(apply: () => void): void {
    const outer = this.#applying;
    this.#applying = true;
    try {
      apply();
    } finally {
      this.#applying = outer;
    }
  }

  schedule(time: bigint, action: Action): void {
    const after = this.#scheduled.findIndex((each) => each.time > time);
    this.#scheduled.splice(after < 0 ? this.#scheduled.length : after, 0, { ...action, time });
  }

  /** The next that is due by `time`; it is scheduled no more. */
  takeDue(time: bigint): Input | undefined {
    const [next] = this.#scheduled;
    return next !== undefined && next.time <= time ? this.#scheduled.shift() : undefined;
  }
}
