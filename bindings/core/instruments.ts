/**
 * What watches a machine without the guest noticing: breakpoints, watchpoints, hooks for every instruction or
 * branch. None costs anything while it is not set. They survive restore() and are not part of snapshots.
 */
import { CrashlabError } from "../error.ts";
import type { Board } from "./board.ts";
import * as at from "./layout.ts";

/** Memory to be watched, by linear address. */
export interface Watchpoint {
  readonly address: bigint;
  /** Bytes, from 1. Default 1. */
  readonly size?: number;
  /** Default `write`. */
  readonly access?: "read" | "write" | "any";
}

/** Called before an instruction executes. `"stop"` ends the run before it. */
export type InstructionHook = (cpu: number, rip: bigint) => "stop" | undefined;
/** Called after control went elsewhere than to the next instruction: jumps, calls, returns, system calls. */
export type BranchHook = (cpu: number, from: bigint, to: bigint) => "stop" | undefined;

const ACCESS = { write: 1, read: 2, any: 3 } as const;

/** `core.instruments`: each call sets something that watches, until what it returns is disposed of. */
export class Instruments {
  readonly #board: () => Board;
  readonly #changed: (what: "data" | "hooks") => void;
  readonly #breakpoints = new Map<symbol, bigint>();
  readonly #watchpoints = new Map<symbol, Watchpoint>();
  readonly #instruction = new Map<symbol, InstructionHook>();
  readonly #branch = new Map<symbol, BranchHook>();
  /** Whether a breakpoint was set or removed since the last run, or one may be that a former machine has left. */
  #isStale = true;

  /** Of the machine on this board, which throws when there is none any more. */
  constructor(board: () => Board, changed: (what: "data" | "hooks") => void) {
    this.#board = board;
    this.#changed = changed;
  }

  get #view(): DataView {
    return this.#board().instance.view;
  }

  /** Ends runs before the instruction at this linear address, with exit `breakpoint`. At most 64. */
  breakpoint(address: bigint): Disposable {
    if (this.#breakpoints.size >= at.BREAK_LIMIT) throw tooMany("breakpoints", at.BREAK_LIMIT);
    this.#board(); // throws for a machine that was disposed of
    const key = Symbol();
    this.#breakpoints.set(key, BigInt.asUintN(64, address));
    this.#isStale = true;
    return {
      [Symbol.dispose]: (): void => {
        if (this.#breakpoints.delete(key)) this.#isStale = true;
      },
    };
  }

  /** Ends runs behind an instruction that touches this memory, with exit `watchpoint`. At most 32. */
  watchpoint(watchpoint: Watchpoint): Disposable {
    const { size = 1, access = "write" } = watchpoint;
    if (!Number.isSafeInteger(size) || size < 1 || !(access in ACCESS)) {
      throw new CrashlabError(
        "bad-option",
        `expected a size from 1 and access read, write or any, found ${size} and "${String(access)}"`,
      );
    }
    if (this.#watchpoints.size >= at.WATCH_LIMIT) throw tooMany("watchpoints", at.WATCH_LIMIT);
    return this.#add("data", this.#watchpoints, watchpoint);
  }

  /** Calls `hook` before every instruction of every CPU. */
  onInstruction(hook: InstructionHook): Disposable {
    return this.#add("hooks", this.#instruction, hook);
  }

  /** Calls `hook` after every branch that was taken. */
  onBranch(hook: BranchHook): Disposable {
    return this.#add("hooks", this.#branch, hook);
  }

  /** The watchpoint that an exit names. */
  watchpointAt(index: number): Watchpoint | undefined {
    return [...this.#watchpoints.values()][index];
  }

  /** The core calls: an instruction is about to execute. */
  instruction(cpu: number): number {
    const rip = this.#view.getBigUint64(at.RIP, true);
    let stop = 0;
    for (const hook of this.#instruction.values()) if (hook(cpu, rip) === "stop") stop = 1;
    return stop;
  }

  /** The core calls: control has gone from here to RIP. */
  branch(cpu: number, low: number, high: number): number {
    const from = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    const to = this.#view.getBigUint64(at.RIP, true);
    let stop = 0;
    for (const hook of this.#branch.values()) if (hook(cpu, from, to) === "stop") stop = 1;
    return stop;
  }

  /**
   * A run is about to begin: what was set and removed since the last one takes effect. True when decoded code has to go,
   * which is not so where the same breakpoints were set again.
   */
  settle(): boolean {
    if (!this.#isStale) return false;
    this.#isStale = false;
    const wanted = [...new Set(this.#breakpoints.values())].sort((a, b) => (a < b ? -1 : 1));
    const board = this.#board();
    const decoded = board.breakpoints;
    const isSame = wanted.length === decoded.length && wanted.every((each, n) => each === decoded[n]);
    board.breakpoints = wanted;
    this.apply();
    return !isSame;
  }

  /** The address of the breakpoint before which this CPU stands and which it is about to pass. */
  passing(cpu: number): bigint | undefined {
    const view = this.#view;
    const rip = view.getBigUint64(at.RIP, true);
    const passes =
      view.getUint32(at.SKIPPING, true) === cpu + 1 && view.getBigUint64(at.SKIP_AT, true) === rip;
    return passes && this.#board().breakpoints.includes(rip) ? rip : undefined;
  }

  /** Does something without breakpoints, with which the instruction at RIP has just been left. */
  withoutBreakpoints<T>(act: () => T): T {
    const view = this.#view;
    view.setUint32(at.SKIPPING, 0, true);
    view.setUint32(at.BREAK_COUNT, 0, true);
    try {
      return act();
    } finally {
      view.setUint32(at.BREAK_COUNT, this.#board().breakpoints.length, true);
    }
  }

  /** Writes everything into the core's memory. */
  apply(): void {
    const {
      breakpoints,
      instance: { view },
    } = this.#board();
    let place = at.BREAK_LIST;
    for (const address of breakpoints) {
      view.setBigUint64(place, address, true);
      place += 8;
    }
    place = at.WATCH_LIST;
    for (const { address, size = 1, access = "write" } of this.#watchpoints.values()) {
      view.setBigUint64(place, BigInt.asUintN(64, address), true);
      view.setBigUint64(place + 8, BigInt(size), true);
      view.setUint32(place + 16, ACCESS[access], true);
      place += 24;
    }
    view.setUint32(at.BREAK_COUNT, breakpoints.length, true);
    view.setUint32(at.WATCH_COUNT, this.#watchpoints.size, true);
    view.setUint32(at.SKIPPING, 0, true);
    view.setUint32(at.HOOK_STOPPED, 0, true);
    const hooks =
      (this.#instruction.size > 0 ? at.HOOK_INSTRUCTION : 0) | (this.#branch.size > 0 ? at.HOOK_BRANCH : 0);
    view.setUint32(at.HOOKS, hooks, true);
  }

  #add<T>(what: "data" | "hooks", list: Map<symbol, T>, item: T): Disposable {
    const key = Symbol();
    list.set(key, item);
    this.#changed(what);
    return {
      [Symbol.dispose]: (): void => {
        if (list.delete(key)) this.#changed(what);
      },
    };
  }
}

function tooMany(what: string, limit: number): CrashlabError {
  return new CrashlabError("bad-option", `expected at most ${limit} ${what}, found one more; remove some`);
}
