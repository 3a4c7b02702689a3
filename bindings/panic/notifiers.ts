/**
 * Panic notifiers: blocks in the guest kernel's own `panic_notifier_list`, whose callbacks ring the host.
 * Mirrors include/linux/notifier.h.
 */
import { CrashlabError } from "../error.ts";
import { type Doorbell, REGISTER_NOTIFIER, UNREGISTER_NOTIFIER } from "../machine/doorbell.ts";

/** What a notifier returns (include/linux/notifier.h). STOP and BAD end the chain. */
export const Notify = {
  DONE: 0x0000,
  OK: 0x0001,
  STOP: 0x8001,
  BAD: 0x8002,
} as const;
export type NotifyResult = (typeof Notify)[keyof typeof Notify];

export interface PanicNotifier {
  /** Shown in errors. */
  readonly name: string;
  /** Higher ones are called first. Default 0. */
  readonly priority?: number;
  /** Called while the guest stands still inside panic(); may take its time. */
  readonly call: (event: number, message: string) => NotifyResult | Promise<NotifyResult>;
}

export class PanicNotifiers {
  readonly #doorbell: Doorbell;
  readonly #run: (until: Promise<number>) => Promise<number>;
  readonly #notifiers = new Map<number, PanicNotifier>();
  #next = 1;

  /** `run` lets the guest go on until it has replied. */
  constructor(doorbell: Doorbell, run: (until: Promise<number>) => Promise<number>) {
    this.#doorbell = doorbell;
    this.#run = run;
  }

  /** Registers a notifier in the guest; disposing of the result takes it out again. */
  async register(notifier: PanicNotifier): Promise<AsyncDisposable> {
    const id = this.#next++;
    const args = [BigInt(id), BigInt(notifier.priority ?? 0)];
    this.#notifiers.set(id, notifier);
    const status = await this.#run(
      this.#doorbell.request(REGISTER_NOTIFIER, args, new TextEncoder().encode(`${notifier.name}\0`)),
    );
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
        await this.#run(this.#doorbell.request(UNREGISTER_NOTIFIER, [BigInt(id)]));
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
