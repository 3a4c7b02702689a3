/**
 * Panic notifiers: called on the host when the guest's panic() calls its `panic_notifier_list`. Mirrors
 * include/linux/notifier.h; homes.ts has the two ways in which that is brought about.
 */
import { CrashlabError } from "../error.ts";
import { checkAborted, type RunLimits } from "../machine/limits.ts";
import type { NotifierHome } from "./homes.ts";

/** What a notifier returns (include/linux/notifier.h). STOP and BAD end the chain. */
export const Notify = {
  DONE: 0x0000,
  OK: 0x0001,
  STOP: 0x8001,
  BAD: 0x8002,
} as const;
/** One of Notify. */
export type NotifyResult = (typeof Notify)[keyof typeof Notify];

/** A callback in the guest's panic_notifier_list (Linux kernel/panic.c). */
export interface PanicNotifier {
  /** Shown in errors. */
  readonly name: string;
  /** Higher ones are called first. Default 0. */
  readonly priority?: number;
  /** Called while the guest stands still inside panic(); may take its time. */
  readonly call: (event: number, message: string) => NotifyResult | Promise<NotifyResult>;
}

/** `machine.panicNotifiers`: registers host functions in the guest's chain. */
export class PanicNotifiers {
  readonly #home: NotifierHome;
  readonly #notifiers = new Map<number, PanicNotifier>();
  #next = 1;

  constructor(home: NotifierHome) {
    this.#home = home;
  }

  /** Registers a notifier in the guest, which runs for it; disposing of the result takes it out again. */
  async register(notifier: PanicNotifier, limits: RunLimits = {}): Promise<AsyncDisposable> {
    checkAborted(limits.signal, `to register "${notifier.name}"`);
    const id = this.#next++;
    this.#notifiers.set(id, notifier);
    const status = await this.#home
      .register(id, notifier.priority ?? 0, notifier.name, limits)
      .catch((error: unknown) => {
        this.#notifiers.delete(id);
        throw error;
      });
    if (status !== 0) {
      this.#notifiers.delete(id);
      throw new CrashlabError(
        "bad-option",
        `expected the guest to register panic notifier "${notifier.name}", found error ${status}`,
      );
    }
    return {
      [Symbol.asyncDispose]: async (): Promise<void> => {
        this.#notifiers.delete(id);
        await this.#home.unregister(id);
      },
    };
  }

  /** The guest calls notifier `id`. One that has gone, or fails, does not hold up the panic. */
  async notify(id: number, event: number, message: string): Promise<number> {
    try {
      return (await this.#notifiers.get(id)?.call(event, message)) ?? Notify.DONE;
    } catch {
      return Notify.DONE;
    }
  }
}
