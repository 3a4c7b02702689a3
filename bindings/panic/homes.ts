/** Where panic notifiers live: in the guest's own chain, through the doorbell's driver, or at a breakpoint before it. */
import type { Core } from "../core/core.ts";
import { CrashlabError } from "../error.ts";
import { type Doorbell, REGISTER_NOTIFIER, UNREGISTER_NOTIFIER } from "../machine/doorbell.ts";
import type { RunLimits } from "../machine/limits.ts";
import type { SymbolTable } from "../symbols/table.ts";

/** A kernel's place for notifiers; statuses are 0 or -errno. */
export interface NotifierHome {
  register(id: number, priority: number, name: string, limits: RunLimits): Promise<number>;
  unregister(id: number): Promise<void>;
}

/** Blocks in the chain of a kernel with the doorbell's driver. `run` lets the guest go on until it has replied. */
export function guestChain(
  doorbell: Doorbell,
  run: (reply: Promise<number>, limits: RunLimits) => Promise<number>,
): NotifierHome {
  return {
    register: (id, priority, name, limits) => {
      const bytes = new TextEncoder().encode(`${name}\0`);
      return run(doorbell.request(REGISTER_NOTIFIER, [BigInt(id), BigInt(priority)], bytes), limits);
    },
    unregister: async (id) => {
      await run(doorbell.request(UNREGISTER_NOTIFIER, [BigInt(id)]), {});
    },
  };
}

/** NOTIFY_STOP_MASK (include/linux/notifier.h). */
const STOP_MASK = 0x8000;
const MESSAGE_LIMIT = 1024;
const PAGE = 0x1000n;

/**
 * For a kernel without that driver: a breakpoint on atomic_notifier_call_chain(), which panic() calls with
 * &panic_notifier_list and its message (Linux kernel/panic.c, kernel/notifier.c). The host's notifiers have their
 * turn, by priority, before all of the guest's own; after NOTIFY_STOP or NOTIFY_BAD the guest's chain is not called.
 */
export class BreakpointChain implements NotifierHome {
  readonly #core: Core;
  readonly #symbols: () => SymbolTable;
  readonly #notify: (id: number, event: number, message: string) => Promise<number>;
  /** Highest priority first; of equal ones the earliest, as the kernel orders them. */
  #notifiers: { readonly id: number; readonly priority: number }[] = [];
  #breakpoint: Disposable | undefined;
  #entry: bigint | undefined;

  constructor(
    core: Core,
    symbols: () => SymbolTable,
    notify: (id: number, event: number, message: string) => Promise<number>,
  ) {
    this.#core = core;
    this.#symbols = symbols;
    this.#notify = notify;
  }

  /** Throws `bad-kernel` when the kernel has no such function among its symbols. */
  register(id: number, priority: number): Promise<number> {
    this.#entry ??= this.#address("atomic_notifier_call_chain");
    this.#address("panic_notifier_list");
    this.#breakpoint ??= this.#core.instruments.breakpoint(this.#entry);
    const after = this.#notifiers.findIndex((each) => each.priority < priority);
    this.#notifiers.splice(after < 0 ? this.#notifiers.length : after, 0, { id, priority });
    return Promise.resolve(0);
  }

  unregister(id: number): Promise<void> {
    this.#notifiers = this.#notifiers.filter((each) => each.id !== id);
    if (this.#notifiers.length === 0) {
      this.#breakpoint?.[Symbol.dispose]();
      this.#breakpoint = undefined;
    }
    return Promise.resolve();
  }

  /** A run has ended at a breakpoint: if it is ours, in a panic, the notifiers have their turn. */
  async reached(address: bigint): Promise<void> {
    if (address !== this.#entry || this.#notifiers.length === 0) return;
    const { rdi, rsi, rdx } = this.#core.registers();
    if (rdi !== this.#address("panic_notifier_list")) return;
    const message = this.#text(rdx);
    for (const { id } of [...this.#notifiers]) {
      const result = await this.#notify(id, Number(BigInt.asUintN(32, rsi)), message);
      if ((result & STOP_MASK) !== 0) return this.#return(BigInt(result));
    }
  }

  /** The function returns to its caller without having begun. */
  #return(result: bigint): void {
    const { rsp } = this.#core.registers();
    const caller = new DataView(this.#core.readVirtual(rsp, 8).buffer).getBigUint64(0, true);
    this.#core.setRegister("rax", result);
    this.#core.setRegister("rsp", rsp + 8n);
    this.#core.setRegister("rip", caller);
  }

  /** A string in the guest's memory, as far as that is mapped. */
  #text(address: bigint): string {
    const bytes: number[] = [];
    for (let at = address; bytes.length < MESSAGE_LIMIT; ) {
      const count = Number(PAGE - (at & (PAGE - 1n)));
      if (this.#core.translate(at) === undefined) break;
      const part = this.#core.readVirtual(at, Math.min(count, MESSAGE_LIMIT - bytes.length));
      const nul = part.indexOf(0);
      bytes.push(...(nul < 0 ? part : part.subarray(0, nul)));
      if (nul >= 0) break;
      at += BigInt(part.length);
    }
    return new TextDecoder().decode(Uint8Array.from(bytes));
  }

  #address(name: string): bigint {
    const address = this.#symbols().address(name);
    if (address !== undefined) return address;
    throw new CrashlabError(
      "bad-kernel",
      `expected the symbol ${name} in the kernel, found none; give its symbols to boot()`,
    );
  }
}
