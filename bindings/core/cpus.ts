/** The vCPUs as the host sees them: one lies in the active block, the others are parked. */
import { CrashlabError } from "../error.ts";
import type { EntryState, SegmentState } from "../machine/loaders/boot_image.ts";
import { type FpuState, readFpu, writeFpu } from "./fpu.ts";
import type { MachineCheck, RegisterName } from "./input.ts";
import * as at from "./layout.ts";
import {
  type Registers,
  readRegisters,
  registerAddress,
  SEGMENT_REGISTERS,
  type Segment,
  type SegmentRegister,
} from "./registers.ts";
import type { CoreInstance } from "./wasm.ts";

const MCG_RESTARTABLE = 1n;
const MCG_IN_PROGRESS = 4n;
/** Setting these changes what addresses mean. */
const PAGING_REGISTERS: ReadonlySet<string> = new Set(["cr0", "cr3", "cr4", "efer"]);

export class Cpus {
  readonly #current: () => CoreInstance;
  readonly #count: number;

  constructor(current: () => CoreInstance, count: number) {
    this.#current = current;
    this.#count = count;
  }

  get #instance(): CoreInstance {
    return this.#current();
  }

  /** The CPU that ran last. */
  get active(): number {
    return this.#instance.view.getUint32(at.ACTIVE, true);
  }

  /** The CPU asked for, or the one that ran last. Throws `bad-option` for one that the machine does not have. */
  number(which: number | undefined): number {
    const cpu = which ?? this.active;
    if (Number.isInteger(cpu) && cpu >= 0 && cpu < this.#count) return cpu;
    throw new CrashlabError("bad-option", `expected a CPU from 0 to ${this.#count - 1}, found ${cpu}`);
  }

  /** Instructions that all have retired since power-on. */
  get instructions(): bigint {
    let sum = 0n;
    for (let cpu = 0; cpu < this.#count; cpu++)
      sum += this.#instance.view.getBigUint64(this.#block(cpu) + (at.RETIRED - at.CPU), true);
    return sum;
  }

  registers(cpu: number): Registers {
    const { view, exports } = this.#instance;
    const block = this.#block(cpu);
    const isActive = block === at.CPU;
    const rflags = isActive ? exports.rflags() : view.getBigUint64(at.FLAGS + block - at.CPU, true);
    return readRegisters(view, block, BigInt.asUintN(64, rflags));
  }

  setRegister(cpu: number, name: RegisterName, value: bigint): void {
    this.#on(cpu, ({ view, exports }) => {
      if (name === "rflags") exports.setRflags(value);
      else view.setBigUint64(registerAddress(name), BigInt.asUintN(64, value), true);
      if (PAGING_REGISTERS.has(name)) exports.flushTlb();
    });
  }

  setSegment(cpu: number, name: SegmentRegister, segment: SegmentState | Segment): void {
    this.#on(cpu, () => this.#setSegment(name, segment));
  }

  setPrivilege(cpu: number, level: number): void {
    this.#on(cpu, ({ view }) => view.setUint32(at.CPL, level & 3, true));
  }

  fpu(cpu: number): FpuState {
    return this.#on(cpu, ({ view }) => readFpu(view));
  }

  setFpu(cpu: number, state: FpuState): void {
    this.#on(cpu, ({ view }) => writeFpu(view, state));
  }

  /** An interrupt that no controller has asked for. */
  raiseVector(cpu: number, vector: number): void {
    this.#on(cpu, ({ view }) => view.setUint32(at.INJECTED, vector + 1, true));
  }

  /** Reports an error in a bank and lets the machine-check exception come. */
  machineCheck(cpu: number, check: MachineCheck): void {
    const { bank = 0, status, address = 0n, misc = 0n, restartable = true } = check;
    if (bank !== 0 && bank !== 1)
      throw new CrashlabError("bad-option", `expected bank 0 or 1, found ${bank}`);
    this.#on(cpu, ({ view }) => {
      const set = (where: number, value: bigint): void =>
        view.setBigUint64(where, BigInt.asUintN(64, value), true);
      const registers = at.MC_BANKS + bank * 32;
      set(registers + 8, status | (1n << 63n));
      set(registers + 16, address);
      set(registers + 24, misc);
      set(at.MCG_STATUS, MCG_IN_PROGRESS | (restartable ? MCG_RESTARTABLE : 0n));
      view.setUint32(at.MC_PENDING, 1, true);
    });
  }

  /** Keeps a CPU from executing anything, or lets it go on. */
  freeze(cpu: number, frozen: boolean): void {
    const { view } = this.#instance;
    const before = view.getUint32(at.FROZEN, true);
    view.setUint32(at.FROZEN, frozen ? before | (1 << cpu) : before & ~(1 << cpu), true);
  }

  /** Sets the active CPU to where a loader wants it. */
  enter(entry: EntryState): void {
    const { view, exports } = this.#instance;
    const set = (address: number, value: number): void => view.setBigUint64(address, BigInt(value), true);
    set(registerAddress("rip"), entry.rip);
    set(registerAddress("rax"), entry.rax ?? 0);
    set(registerAddress("rbx"), entry.rbx ?? 0);
    set(registerAddress("rsi"), entry.rsi ?? 0);
    set(registerAddress("rsp"), entry.rsp ?? 0);
    set(registerAddress("rbp"), entry.rsp ?? 0);
    set(registerAddress("rdx"), 0);
    set(at.CR0, entry.cr0);
    set(at.CR3, entry.cr3);
    set(at.CR4, entry.cr4);
    set(at.EFER, entry.efer);
    set(at.GDT_BASE, entry.gdt.base);
    view.setUint32(at.GDT_LIMIT, entry.gdt.limit, true);
    set(at.IDT_BASE, entry.idt.base);
    view.setUint32(at.IDT_LIMIT, entry.idt.limit, true);
    this.#setSegment("cs", entry.cs);
    view.setUint32(at.CPL, entry.cs.selector & 3, true);
    for (const name of ["ds", "es", "ss", "fs", "gs"] as const) this.#setSegment(name, entry.data);
    this.#setSegment("tr", entry.tr);
    exports.setRflags(2n);
    exports.flushTlb();
    exports.selectMode();
  }

  #setSegment(name: SegmentRegister, segment: SegmentState | Segment): void {
    const { view, exports } = this.#instance;
    const base = at.SEGMENTS + SEGMENT_REGISTERS.indexOf(name) * at.SEGMENT_SIZE;
    view.setUint32(base, segment.selector, true);
    view.setUint32(base + 4, segment.attributes, true);
    view.setBigUint64(base + 8, BigInt(segment.base), true);
    view.setUint32(base + 16, segment.limit, true);
    exports.selectMode();
  }

  #block(cpu: number): number {
    return cpu === this.active ? at.CPU : at.PARKED + cpu * at.CPU_SIZE;
  }

  /** Does something with a CPU in the active block. */
  #on<T>(cpu: number, act: (instance: CoreInstance) => T): T {
    const { exports } = this.#instance;
    const { active } = this;
    exports.activate(cpu);
    const result = act(this.#instance);
    exports.selectMode();
    exports.activate(active);
    return result;
  }
}
