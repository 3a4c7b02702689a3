/** One case: the state it begins with, what is different in memory, and where to look afterwards. */
import type { Random } from "../random.ts";
import { CASE_MSRS, field, MOST_PATCHES, SAFE_CR0, SAFE_CR4, SAFE_EFER, WATCHES } from "./monitor.ts";
import * as at from "./places.ts";

export interface Case {
  /** Its subject and what it does, for people. */
  readonly name: string;
  /** Words of the monitor's form of a case, by `field`; those that are not here are 0. */
  readonly state: ReadonlyMap<number, bigint>;
  readonly patches: readonly { readonly address: number; readonly value: bigint }[];
  /** Physical addresses of 8 bytes to record. */
  readonly watches: readonly number[];
}

export const REGISTER = { rax: 0, rcx: 1, rdx: 2, rbx: 3, rsp: 4, rbp: 5, rsi: 6, rdi: 7 } as const;

/** Builds a case. What is not said: ring 3 (or 0) 64-bit code on the code page, every register a pattern. */
export class CaseBuilder {
  name = "";
  readonly #state = new Map<number, bigint>();
  readonly #patches: { readonly address: number; readonly value: bigint }[] = [];
  readonly #watches: number[] = [];

  constructor(random: Random, ring: 0 | 3) {
    const set = (word: number, value: bigint): Map<number, bigint> => this.#state.set(word, value);
    set(field.cr0, SAFE_CR0);
    set(field.cr3, BigInt(at.PML4));
    set(field.cr4, SAFE_CR4);
    for (let n = 0; n < 4; n++) set(field.dr + n, 0x7000_0000n + BigInt(n * 16));
    set(field.dr + 4, 0xffff0ff0n);
    set(field.dr + 5, 0x400n);
    this.msr(0xc0000080, SAFE_EFER);
    this.msr(0xc0000081, (BigInt(at.selectors.userCode32 | 3) << 48n) | (BigInt(at.selectors.code64) << 32n));
    this.msr(0xc0000082, at.HIGH + BigInt(at.CODE + 0x800));
    this.msr(0xc0000083, at.HIGH + BigInt(at.CODE + 0x800));
    this.msr(0xc0000084, 0x47700n);
    this.msr(0x174, BigInt(at.selectors.code64));
    this.msr(0x175, at.HIGH + BigInt(at.RING_STACK[0]));
    this.msr(0x176, at.HIGH + BigInt(at.CODE + 0x800));
    this.msr(0xc0000100, 0x1111_0000n);
    this.msr(0xc0000101, 0x2222_0000n);
    this.msr(0xc0000102, 0x3333_0000n);
    for (let n = 0; n < 4; n++) set(field.segments + n, BigInt(at.selectors.userData | 3));
    for (let n = 0; n < 16; n++) this.register(n, 0x1010101010101010n + (BigInt(random.u32()) << 8n));
    this.enter(ring === 3 ? at.selectors.userCode64 : at.selectors.code64, ring);
  }

  /** Where it begins: a code selector without its RPL, and the level. */
  enter(code: number, ring: 0 | 3): void {
    const isUser = ring === 3;
    this.#state.set(field.cs, BigInt(code | ring));
    this.#state.set(field.ss, BigInt((isUser ? at.selectors.userData : at.selectors.data) | ring));
    this.#state.set(field.rip, BigInt(isUser ? at.USER_CODE : at.SYSTEM_CODE));
    // Below 4 GiB also in ring 0, so that 32-bit code has the same stack.
    this.#state.set(field.rsp, BigInt(isUser ? at.USER_STACK_AT + 0x800 : at.SYSTEM_CODE + 0xc00));
    this.#state.set(field.rflags, 2n);
  }
  get rip(): bigint {
    return this.#state.get(field.rip) ?? 0n;
  }
  get rsp(): bigint {
    return this.#state.get(field.rsp) ?? 0n;
  }
  set(word: number, value: bigint): void {
    this.#state.set(word, value);
  }
  /** Changes some bits of a word. */
  flip(word: number, bits: bigint): void {
    this.#state.set(word, (this.#state.get(word) ?? 0n) ^ bits);
  }
  msr(msr: number, value: bigint): void {
    const n = (CASE_MSRS as readonly number[]).indexOf(msr);
    if (n < 0) throw new RangeError(`expected an MSR that cases set, found ${msr.toString(16)}`);
    this.#state.set(field.msrs + n, value);
  }
  register(n: number, value: bigint): void {
    this.#state.set(field.registers + n, value);
  }
  patch(address: number, value: bigint): void {
    if (this.#patches.length >= MOST_PATCHES) throw new RangeError("expected fewer changes in a case");
    this.#patches.push({ address, value: BigInt.asUintN(64, value) });
  }
  /** Bytes at an address; up to 7 behind them become END. */
  bytes(address: number, bytes: readonly number[]): void {
    for (let n = 0; n < bytes.length; n += 8) {
      let word = 0n;
      for (let i = 7; i >= 0; i--) {
        const byte = bytes[n + i] ?? at.END[0];
        word = (word << 8n) | BigInt(byte);
      }
      this.patch(address + n, word);
    }
  }
  /** The code to run, at RIP, with the end of the case behind it. */
  code(...bytes: readonly number[]): void {
    this.bytes(at.CODE, [...bytes, ...at.END]);
  }
  watch(address: number): void {
    if (this.#watches.length < WATCHES && !this.#watches.includes(address)) this.#watches.push(address);
  }
  finish(): Case {
    return { name: this.name, state: this.#state, patches: this.#patches, watches: this.#watches };
  }
}
