/**
 * One emulated computer: a WebAssembly instance with its memory, run in slices. This class knows registers,
 * physical memory and ports, not what software runs. Everything that goes into the machine goes through it and
 * is noted, so that a run can be repeated.
 */
import { loadCore } from "#assets";
import { CrashlabError } from "../error.ts";
import type { BootImage, EntryState, SegmentState } from "../machine/loaders/boot_image.ts";
import { type FpuState, readFpu, writeFpu } from "./fpu.ts";
import type { Action, Input, LineFault, MachineCheck, RegisterName } from "./input.ts";
import { Instruments, type Watchpoint } from "./instruments.ts";
import * as at from "./layout.ts";
import { type Mapping, walk } from "./page_walk.ts";
import {
  type Registers,
  readRegisters,
  registerAddress,
  SEGMENT_REGISTERS,
  type Segment,
  type SegmentRegister,
} from "./registers.ts";
import { type Snapshot, STATE_END, STATE_START, TLBS_SIZE } from "./snapshot.ts";
import { type CoreExports, instantiateCore } from "./wasm.ts";

const PAGE = 0x1000;
const MIB = 0x100000;
const UART_BLOCK = 0x80;

/** What a core is built of. */
export interface CoreOptions {
  /** Bytes of guest memory: whole MiB from 1 MiB to 3.5 GiB. Default 128 MiB. */
  readonly ramBytes?: number;
  /** 1 to 8. Default 1. */
  readonly cpus?: number;
  /** Unix time in seconds that the real-time clock shows at power-on. Default 2024-01-01T00:00:00Z. */
  readonly startSeconds?: number;
  /** 0 to 2. Default 2. */
  readonly serialPorts?: number;
  /**
   * Data accesses in ring 0 ignore bits 56-63 of an address whose bits 47-55 are ones, so that kernel pointers can
   * carry a tag there, as with ARM's TBI. CR2 holds the address without the tag. Jumps, the user's accesses and
   * descriptor tables do not take part. Default false.
   */
  readonly ignoreTopByte?: boolean;
  /**
   * The processor can check the kernel's data accesses against a shadow (CPUID leaf 40000001h; docs/kasan.md), once the
   * guest turns that on. Default false.
   */
  readonly shadowCheck?: boolean;
  /** Keep what enters the machine, for replay. Default true. */
  readonly recordInputs?: boolean;
  /** The compiled core; by default the one that was built with the library. */
  readonly wasm?: Uint8Array<ArrayBuffer>;
}

/** Why a run ended. */
export type Exit =
  | { readonly kind: "budget" }
  | { readonly kind: "halted" }
  | { readonly kind: "triple-fault" }
  | { readonly kind: "doorbell"; readonly command: number; readonly address: bigint }
  | { readonly kind: "debug-exit"; readonly value: number }
  | { readonly kind: "breakpoint"; readonly address: bigint }
  | { readonly kind: "exception"; readonly vector: number }
  | { readonly kind: "reset" }
  | { readonly kind: "output" }
  | { readonly kind: "step" }
  | {
      readonly kind: "watchpoint";
      readonly watchpoint: Watchpoint;
      readonly access: "read" | "write";
    }
  | { readonly kind: "pvpanic"; readonly events: number }
  | { readonly kind: "block"; readonly request: BlockRequest }
  | { readonly kind: "idle" };

/** What the block device was asked to do. */
export interface BlockRequest {
  readonly command: "read" | "write" | "flush";
  readonly sector: bigint;
  readonly count: number;
  readonly address: bigint;
}

/** One delivered exception, as the machine saw it. */
export interface ExceptionRecord {
  readonly vector: number;
  readonly error: number;
  readonly rip: bigint;
  readonly cr2: bigint;
  readonly cpl: number;
  /** Guest time in nanoseconds. */
  readonly time: bigint;
}

const BLOCK_COMMANDS = ["read", "write", "flush"] as const;

/** An x86-64 computer: CPUs, memory, devices; it runs for a number of instructions at a time. */
export class Core {
  readonly ramBytes: number;
  readonly cpus: number;
  readonly #exports: CoreExports;
  readonly #memory: WebAssembly.Memory;
  readonly #options: CoreOptions;
  readonly #wasm: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #bytes: Uint8Array<ArrayBuffer>;
  /** Snapshot whose pages the memory differs from by the frames marked dirty. */
  #base: Snapshot | undefined;
  /** Unix time when guest time was 0. */
  #startSeconds = START_2024;
  #inputs: Input[] = [];
  /** Inputs to come, by time. */
  #scheduled: Input[] = [];
  /** An input is being applied, which has been noted as a whole. */
  #applying = false;
  /** Breakpoints, watchpoints and hooks. */
  readonly instruments: Instruments = new Instruments(
    () => this.#view,
    (what) => this.#applyInstruments(what),
  );

  private constructor(
    instance: { readonly exports: CoreExports; readonly memory: WebAssembly.Memory },
    options: CoreOptions,
    ramBytes: number,
    wasm: Uint8Array<ArrayBuffer>,
  ) {
    this.#exports = instance.exports;
    this.#memory = instance.memory;
    this.#options = options;
    this.#wasm = wasm;
    this.ramBytes = ramBytes;
    this.cpus = options.cpus ?? 1;
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#view = new DataView(this.#memory.buffer);
  }

  /** A machine at power-on. Throws `bad-option` for sizes out of range. */
  static async create(options: CoreOptions = {}): Promise<Core> {
    const ramBytes = options.ramBytes ?? 128 * MIB;
    check("ramBytes", ramBytes, MIB, 3584 * MIB, MIB);
    check("cpus", options.cpus ?? 1, 1, 8, 1);
    check("serialPorts", options.serialPorts ?? 2, 0, 2, 1);
    check("startSeconds", options.startSeconds ?? START_2024, 0, 2 ** 33, 1);
    const wasm = options.wasm ?? (await sharedCore());
    let core: Core | undefined;
    const instance = await instantiateCore(
      wasm,
      ramBytes,
      (frame, address) => (core === undefined ? 0 : core.#fetchFrame(frame, address)),
      {
        instruction: (cpu) => core?.instruments.instruction(cpu) ?? 0,
        branch: (cpu, low, high) => core?.instruments.branch(cpu, low, high) ?? 0,
      },
    );
    core = new Core(instance, options, ramBytes, wasm);
    core.reset();
    return core;
  }

  /** Power-on: memory and all state lost. */
  reset(): void {
    this.#startSeconds = this.#options.startSeconds ?? START_2024;
    this.#reset();
  }

  /**
   * The reset line: processors and devices as at power-on, memory stays, and the image is loaded over it. Guest time
   * and the record of inputs begin anew; the real-time clock goes on.
   */
  restart(image: BootImage): void {
    const kept = [...this.touchedFrames()].map(
      (frame) => [frame * PAGE, this.readPhysical(BigInt(frame) * BigInt(PAGE), PAGE)] as const,
    );
    this.#startSeconds += Number(this.time / 1_000_000_000n);
    this.#reset();
    for (const [address, bytes] of kept) this.#writePages(address, bytes);
    this.start(image);
  }

  #reset(): void {
    this.#refresh();
    const used = this.#view.getUint32(at.POOL_NEXT, true);
    if (used > at.FRAMES) this.#bytes.fill(0, at.FRAMES, used);
    const { serialPorts = 2 } = this.#options;
    this.#exports.reset(this.ramBytes / MIB, this.cpus, this.#startSeconds, serialPorts);
    const features =
      (this.#options.ignoreTopByte ? at.OPTION_IGNORE_TOP_BYTE : 0) |
      (this.#options.shadowCheck ? at.OPTION_SHADOW_CHECK : 0);
    if (features !== 0) this.#view.setUint32(at.OPTIONS, features, true);
    this.#base = undefined;
    this.#inputs = [];
    this.#scheduled = [];
    this.instruments.apply();
  }

  /** Writes a loader's pieces and sets the first CPU to its entry. */
  start(image: BootImage): void {
    for (const piece of image.pieces) this.#writePages(piece.address, piece.bytes);
    this.#enter(image.entry);
  }

  /**
   * Runs at most `budget` instructions (up to 2^31 - 1) of all CPUs together; a long HLT costs one. Inputs that are
   * scheduled enter at their times.
   */
  run(budget: number): Exit {
    return this.#run(budget, NEVER);
  }

  /** Executes one instruction, or delivers one exception or interrupt. */
  step(): Exit {
    const exit = this.run(1);
    return exit.kind === "budget" ? { kind: "step" } : exit;
  }

  /**
   * Runs until guest time `time`, or until the instruction at `address` is next, at most `budget` instructions
   * (default 1e9). Exits `budget` at the time, `breakpoint` at the address.
   */
  runUntil(until: { readonly time?: bigint; readonly address?: bigint; readonly budget?: number }): Exit {
    const { time = NEVER, address, budget = 1e9 } = until;
    using _breakpoint = address === undefined ? undefined : this.instruments.breakpoint(address);
    return this.#run(budget, time);
  }

  #run(budget: number, stopAt: bigint): Exit {
    for (let left = budget; ; ) {
      const next = this.#scheduled[0];
      const stop = next !== undefined && next.time < stopAt ? next.time : stopAt;
      this.#view.setBigUint64(at.STOP_AT, stop, true);
      const before = this.time;
      const exit = this.#slice(left);
      const isDue = next !== undefined && this.time >= next.time;
      if (isDue) {
        this.#scheduled.shift();
        this.inject(next);
      }
      left -= Math.max(1, Number(this.time - before));
      if (!isDue || exit.kind !== "budget" || left <= 0) return exit;
    }
  }

  #slice(budget: number): Exit {
    let reason: number;
    try {
      reason = this.#exports.run(budget);
    } catch (cause) {
      throw new CrashlabError(
        "core-failure",
        `expected the core to run, found ${String(cause)} inside it; please report this`,
        { cause },
      );
    }
    this.#refresh();
    return this.#exitOf(reason);
  }

  /** Guest time in nanoseconds: instructions retired, and time skipped while halted. */
  get time(): bigint {
    return this.#view.getBigUint64(at.TIME, true);
  }

  /** The CPU that ran last. */
  get activeCpu(): number {
    return this.#view.getUint32(at.ACTIVE, true);
  }

  /** Instructions that all CPUs have retired since power-on. */
  get instructions(): bigint {
    const active = this.#view.getUint32(at.ACTIVE, true);
    let sum = 0n;
    for (let cpu = 0; cpu < this.cpus; cpu++) {
      const block = cpu === active ? at.CPU : at.PARKED + cpu * at.CPU_SIZE;
      sum += this.#view.getBigUint64(block + (at.RETIRED - at.CPU), true);
    }
    return sum;
  }

  /** Registers of a CPU; by default of the one that ran last. */
  registers(which?: number): Registers {
    const active = this.#view.getUint32(at.ACTIVE, true);
    const cpu = this.#cpu(which);
    const block = cpu === active ? at.CPU : at.PARKED + cpu * at.CPU_SIZE;
    const stored = this.#view.getBigUint64(at.FLAGS + block - at.CPU, true);
    return readRegisters(
      this.#view,
      block,
      cpu === active ? BigInt.asUintN(64, this.#exports.rflags()) : stored,
    );
  }

  /** Sets a register of a CPU; by default of the one that ran last. */
  setRegister(name: RegisterName, value: bigint, which?: number): void {
    const cpu = this.#cpu(which);
    this.#note({ kind: "register", cpu, name, value });
    this.#on(cpu, () => {
      if (name === "rflags") this.#exports.setRflags(value);
      else this.#view.setBigUint64(registerAddress(name), BigInt.asUintN(64, value), true);
      if (PAGING_REGISTERS.has(name)) this.#exports.flushTlb();
    });
  }

  /** Sets a segment register with its hidden part. */
  setSegment(name: SegmentRegister, segment: SegmentState | Segment, which?: number): void {
    const cpu = this.#cpu(which);
    this.#note({ kind: "segment", cpu, name, segment: { ...segment, base: BigInt(segment.base) } });
    this.#on(cpu, () => this.#setSegment(name, segment));
  }

  #setSegment(name: SegmentRegister, segment: SegmentState | Segment): void {
    const base = at.SEGMENTS + SEGMENT_REGISTERS.indexOf(name) * at.SEGMENT_SIZE;
    this.#view.setUint32(base, segment.selector, true);
    this.#view.setUint32(base + 4, segment.attributes, true);
    this.#view.setBigUint64(base + 8, BigInt(segment.base), true);
    this.#view.setUint32(base + 16, segment.limit, true);
    this.#exports.selectMode();
  }

  /** Sets only the base of FS or GS, as the MSRs do. */
  setSegmentBase(name: "fs" | "gs", base: bigint, which?: number): void {
    const cpu = this.#cpu(which);
    this.setSegment(name, { ...this.registers(cpu).segments[name], base }, cpu);
  }

  /** The privilege level of a CPU, where it is to differ from what CS says. */
  setPrivilege(level: number, which?: number): void {
    this.#on(this.#cpu(which), () => this.#view.setUint32(at.CPL, level & 3, true));
  }

  /** The x87 and SSE state of a CPU; by default of the one that ran last. */
  fpuOf(which?: number): FpuState {
    return this.#on(this.#cpu(which), () => readFpu(this.#view));
  }

  /** Sets the x87 and SSE state of a CPU; by default of the one that ran last. */
  setFpu(state: FpuState, which?: number): void {
    const cpu = this.#cpu(which);
    this.#note({ kind: "fpu", cpu, state });
    this.#on(cpu, () => writeFpu(this.#view, state));
  }

  /** The x87 and SSE state of the CPU that ran last. */
  get fpu(): FpuState {
    return readFpu(this.#view);
  }

  /** The same as `setFpu` of the CPU that ran last. */
  set fpu(state: FpuState) {
    this.setFpu(state);
  }

  #cpu(which: number | undefined): number {
    const cpu = which ?? this.#view.getUint32(at.ACTIVE, true);
    if (Number.isInteger(cpu) && cpu >= 0 && cpu < this.cpus) return cpu;
    throw new CrashlabError("bad-option", `expected a CPU from 0 to ${this.cpus - 1}, found ${cpu}`);
  }

  /** Does something with a CPU in the active block. */
  #on<T>(cpu: number, act: () => T): T {
    const active = this.#view.getUint32(at.ACTIVE, true);
    this.#exports.activate(cpu);
    const result = act();
    this.#exports.selectMode();
    this.#exports.activate(active);
    return result;
  }

  /** Guest-physical memory; pages never touched are zero. Throws `bad-address` outside memory. */
  readPhysical(address: bigint, length: number): Uint8Array<ArrayBuffer> {
    const start = this.#checkRange(address, length);
    const result = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const offset = (start + done) % PAGE;
      const count = Math.min(PAGE - offset, length - done);
      const host = this.#pageForRead(Math.floor((start + done) / PAGE));
      if (host !== 0) result.set(this.#bytes.subarray(host + offset, host + offset + count), done);
      done += count;
    }
    return result;
  }

  /** Writes guest-physical memory. Throws `bad-address` outside memory. */
  writePhysical(address: bigint, bytes: Uint8Array): void {
    const start = this.#checkRange(address, bytes.length);
    this.#note({ kind: "memory", address, bytes: bytes.slice() });
    this.#writePages(start, bytes);
  }

  /** Where a virtual address lies, by the page tables of a CPU (or of `cr3`). Nothing is changed by looking. */
  translate(address: bigint, cr3?: bigint): Mapping | undefined {
    const { cr0, cr4, efer, cr3: current } = this.registers();
    const bits = BigInt.asUintN(64, address);
    const isTagged = this.#options.ignoreTopByte === true && (bits & KERNEL_BITS) === KERNEL_BITS;
    const linear = isTagged ? bits | TOP_BYTE : bits;
    return walk({ cr0, cr4, efer, cr3: cr3 ?? current }, linear, (physical, size) => {
      if (physical + BigInt(size) > BigInt(this.ramBytes)) return 0n;
      const host = this.#pageForRead(Number(physical >> 12n));
      if (host === 0) return 0n;
      const entry = host + Number(physical & 0xfffn);
      return size === 8 ? this.#view.getBigUint64(entry, true) : BigInt(this.#view.getUint32(entry, true));
    });
  }

  /** Virtual memory as the kernel would read it. Throws `bad-address` where nothing is mapped. */
  readVirtual(address: bigint, length: number, cr3?: bigint): Uint8Array<ArrayBuffer> {
    const result = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const here = BigInt.asUintN(64, address + BigInt(done));
      const count = Math.min(PAGE - Number(here & 0xfffn), length - done);
      result.set(this.readPhysical(this.#mapped(here, cr3), count), done);
      done += count;
    }
    return result;
  }

  /** Writes virtual memory, whatever its protection. Throws `bad-address` where nothing is mapped. */
  writeVirtual(address: bigint, bytes: Uint8Array, cr3?: bigint): void {
    for (let done = 0; done < bytes.length; ) {
      const here = BigInt.asUintN(64, address + BigInt(done));
      const count = Math.min(PAGE - Number(here & 0xfffn), bytes.length - done);
      this.writePhysical(this.#mapped(here, cr3), bytes.subarray(done, done + count));
      done += count;
    }
  }

  /** Guest frames that have been touched, ascending: the only ones that can differ from zero. */
  *touchedFrames(): Generator<number> {
    const frames = this.ramBytes / PAGE;
    for (let frame = 0; frame < frames; frame++) {
      const entry = this.#view.getUint32(at.FRAME_TABLE + frame * 4, true);
      if (entry !== 0 || this.#base?.pages.has(frame)) yield frame;
    }
  }

  /** What a serial port has sent since the last call. */
  takeOutput(port: 0 | 1): Uint8Array<ArrayBuffer> {
    const block = at.UART + port * UART_BLOCK;
    const ring = at.UART_TX_RINGS + port * at.TX_RING_SIZE;
    return this.#takeRing(block + at.TX_HEAD, block + at.TX_TAIL, ring, at.TX_RING_SIZE);
  }

  /** What was written to port E9h, the debug console, since the last call. A run ends with `output` before it is lost. */
  takeDebugOutput(): Uint8Array<ArrayBuffer> {
    return this.#takeRing(at.DEBUGCON_HEAD, at.DEBUGCON_TAIL, at.DEBUGCON_RING, at.DEBUGCON_RING_SIZE);
  }

  #takeRing(headAt: number, tailAt: number, ring: number, size: number): Uint8Array<ArrayBuffer> {
    const head = this.#view.getUint32(headAt, true);
    const tail = this.#view.getUint32(tailAt, true);
    const length = Math.min((head - tail) >>> 0, size);
    const output = new Uint8Array(length);
    const first = tail % size;
    const untilEnd = Math.min(length, size - first);
    output.set(this.#bytes.subarray(ring + first, ring + first + untilEnd));
    output.set(this.#bytes.subarray(ring, ring + length - untilEnd), untilEnd);
    this.#view.setUint32(tailAt, head, true);
    return output;
  }

  /** Puts bytes on the wire to a serial port; gives how many it had room for. */
  feedInput(port: 0 | 1, bytes: Uint8Array): number {
    const block = at.UART + port * UART_BLOCK;
    const head = this.#view.getUint32(block + at.RX_HEAD, true);
    const tail = this.#view.getUint32(block + at.RX_TAIL, true);
    const count = Math.min(bytes.length, at.RX_RING_SIZE - ((head - tail) >>> 0));
    if (count === 0) return 0;
    const taken = bytes.slice(0, count);
    this.#note({ kind: "serial", port, bytes: taken });
    const ring = at.UART_RX_RINGS + port * at.RX_RING_SIZE;
    taken.forEach((byte, index) => {
      this.#bytes[ring + ((head + index) % at.RX_RING_SIZE)] = byte;
    });
    this.#view.setUint32(block + at.RX_HEAD, (head + count) >>> 0, true);
    this.#exports.uartUpdate(port);
    return count;
  }

  /** Result of the last ring of the doorbell. */
  answerDoorbell(result: number): void {
    this.#note({ kind: "doorbell-answer", result });
    this.#exports.doorbellAnswer(result);
  }

  /** Raises or lowers the doorbell's interrupt: the host has something to be fetched. */
  signalDoorbell(high: boolean): void {
    this.#note({ kind: "doorbell-signal", high });
    this.#exports.doorbellSignal(high ? 1 : 0);
  }

  /** Attaches a disk of whole 512-byte sectors; 0 detaches. */
  attachBlock(sectors: bigint): void {
    this.#note({ kind: "block-attach", sectors });
    this.#exports.blockAttach(sectors);
  }

  /** The block request has been served. */
  completeBlock(status: "ok" | "io-error"): void {
    const code = status === "ok" ? 0 : 2;
    this.#note({ kind: "block-complete", status: code });
    this.#exports.blockComplete(code);
  }

  /** A non-maskable interrupt for a CPU. */
  nmi(cpu = 0): void {
    this.#note({ kind: "nmi", cpu: this.#cpu(cpu) });
    this.#exports.cpuNmi(cpu);
  }

  /** A machine-check exception, reported in a bank of the CPU. Without CR4.MCE the processor shuts down. */
  machineCheck(cpu: number, check: MachineCheck): void {
    this.#note({ kind: "machine-check", cpu: this.#cpu(cpu), check });
    const { bank = 0, status, address = 0n, misc = 0n, restartable = true } = check;
    if (bank !== 0 && bank !== 1)
      throw new CrashlabError("bad-option", `expected bank 0 or 1, found ${bank}`);
    this.#on(cpu, () => {
      const set = (where: number, value: bigint): void =>
        this.#view.setBigUint64(where, BigInt.asUintN(64, value), true);
      const registers = at.MC_BANKS + bank * 32;
      set(registers + 8, status | (1n << 63n));
      set(registers + 16, address);
      set(registers + 24, misc);
      set(at.MCG_STATUS, MCG_IN_PROGRESS | (restartable ? MCG_RESTARTABLE : 0n));
      this.#view.setUint32(at.MC_PENDING, 1, true);
    });
  }

  /** An interrupt that no controller has asked for; it is taken when the CPU allows interrupts. */
  raiseVector(cpu: number, vector: number): void {
    check("vector", vector, 0, 255, 1);
    this.#note({ kind: "vector", cpu: this.#cpu(cpu), vector });
    this.#on(cpu, () => this.#view.setUint32(at.INJECTED, vector + 1, true));
  }

  /** Breaks an interrupt line (0 to 23), or heals it. */
  setLineFault(line: number, fault: LineFault): void {
    check("line", line, 0, 23, 1);
    this.#note({ kind: "line", line, fault });
    const edges = fault.kind === "healthy" ? 0 : (fault.edges ?? ENDLESS);
    const nanoseconds = fault.kind === "delay" || fault.kind === "storm" ? fault.nanoseconds : 1;
    check("edges", edges, 0, ENDLESS, 1);
    check("nanoseconds", nanoseconds, 1, 2 ** 52, 1);
    this.#exports.setLineFault(line, LINE_FAULTS.indexOf(fault.kind), edges, BigInt(nanoseconds));
  }

  /** Keeps a CPU from executing anything, or lets it go on. */
  freeze(cpu: number, frozen: boolean): void {
    const bit = 1 << this.#cpu(cpu);
    this.#note({ kind: "freeze", cpu, frozen });
    const before = this.#view.getUint32(at.FROZEN, true);
    this.#view.setUint32(at.FROZEN, frozen ? before | bit : before & ~bit, true);
  }

  /** Turns one bit of guest-physical memory round, as a defective memory does. */
  flipBit(address: bigint, bit: number): void {
    check("bit", bit, 0, 7, 1);
    const [byte = 0] = this.readPhysical(address, 1);
    this.#note({ kind: "flip", address, bit });
    this.#writePages(Number(address), Uint8Array.of(byte ^ (1 << bit)));
  }

  /** Does at once what the action says; it is noted among the inputs. */
  inject(action: Action): void {
    this.#note(action);
    const outer = this.#applying;
    this.#applying = true;
    try {
      this.#apply(action);
    } finally {
      this.#applying = outer;
    }
  }

  /** The same at a guest time: before the first instruction that begins then or later. */
  schedule(time: bigint, action: Action): void {
    const after = this.#scheduled.findIndex((each) => each.time > time);
    this.#scheduled.splice(after < 0 ? this.#scheduled.length : after, 0, { ...action, time });
  }

  /** Exceptions of these vectors (0-31) in ring 0 end a run. */
  stopOnExceptions(vectors: readonly number[]): void {
    this.#view.setUint32(
      at.EXCEPTION_MASK,
      vectors.reduce((mask, vector) => mask | (1 << vector), 0) >>> 0,
      true,
    );
  }

  /** Exceptions ever delivered. */
  get exceptionCount(): number {
    return this.#view.getUint32(at.EXCEPTION_COUNT, true);
  }

  /** The last exceptions (at most 64), oldest first. */
  exceptions(): ExceptionRecord[] {
    const count = this.exceptionCount;
    const records: ExceptionRecord[] = [];
    for (let number = Math.max(0, count - 64); number < count; number++) {
      const entry = at.EXCEPTION_LOG + (number % 64) * 40;
      records.push({
        vector: this.#view.getUint32(entry, true),
        error: this.#view.getUint32(entry + 4, true),
        rip: this.#view.getBigUint64(entry + 8, true),
        cr2: this.#view.getBigUint64(entry + 16, true),
        cpl: Number(this.#view.getBigUint64(entry + 24, true)),
        time: this.#view.getBigUint64(entry + 32, true),
      });
    }
    return records;
  }

  /** A digest of all that the guest can see. Equal machines have equal digests. */
  stateHash(): bigint {
    // Pages of the base that this fork never looked at count too.
    if (this.#base !== undefined) {
      for (const frame of this.#base.pages.keys()) this.#exports.framePointer(frame);
      this.#refresh();
    }
    return BigInt.asUintN(64, this.#exports.stateHash());
  }

  /** All state as data. The second and later snapshots copy only pages written since the one before. */
  snapshot(): Snapshot {
    const pages = new Map(this.#base?.pages);
    const frames = this.ramBytes / PAGE;
    const table = new Uint32Array(this.#memory.buffer, at.FRAME_TABLE, frames);
    const isNew = this.#base === undefined;
    for (let frame = 0; frame < frames; frame++) {
      const entry = table[frame] ?? 0;
      if (entry === 0 || !(isNew || (entry & FRAME_DIRTY) !== 0)) continue;
      const host = entry & ~(PAGE - 1);
      pages.set(frame, this.#bytes.slice(host >>> 0, (host >>> 0) + PAGE));
      table[frame] = entry & ~FRAME_DIRTY;
    }
    // Writes must be seen again: without dirty marks no page keeps its fast write path.
    this.#exports.unbindWrites();
    const state = this.#bytes.slice(STATE_START, STATE_END);
    const tlbs = new Uint8Array(this.cpus * TLBS_SIZE);
    this.#tlbParts().forEach(({ data, fetch }, cpu) => {
      tlbs.set(data, cpu * TLBS_SIZE);
      tlbs.set(fetch, cpu * TLBS_SIZE + data.length);
    });
    this.#base = { ramBytes: this.ramBytes, cpus: this.cpus, state, tlbs, pages };
    return this.#base;
  }

  /** Goes back to a snapshot. To the last one taken or restored, only pages written since are copied. */
  restore(snapshot: Snapshot): void {
    if (snapshot.ramBytes !== this.ramBytes) {
      throw new CrashlabError(
        "bad-snapshot",
        `expected a snapshot of ${this.ramBytes} bytes of memory, found ${snapshot.ramBytes}; create a core of that size`,
      );
    }
    this.#checkState(snapshot);
    const frames = this.ramBytes / PAGE;
    const table = new Uint32Array(this.#memory.buffer, at.FRAME_TABLE, frames);
    let poolNext = this.#view.getUint32(at.POOL_NEXT, true);
    if (snapshot === this.#base) {
      for (let frame = 0; frame < frames; frame++) {
        const entry = table[frame] ?? 0;
        if ((entry & FRAME_DIRTY) === 0) continue;
        const host = (entry & ~(PAGE - 1)) >>> 0;
        const page = snapshot.pages.get(frame);
        if (page === undefined) this.#bytes.fill(0, host, host + PAGE);
        else this.#bytes.set(page, host);
        // Decoded code of pages that did not change stays good.
        if ((entry & FRAME_CODE) !== 0) this.#exports.framePointerForWrite(frame);
        table[frame] = (table[frame] ?? 0) & ~FRAME_DIRTY;
      }
    } else {
      this.#exports.tracesReset();
      this.#bytes.fill(0, at.FRAMES, Math.max(at.FRAMES, poolNext));
      table.fill(0);
      poolNext = at.FRAMES;
    }
    this.#bytes.set(snapshot.state, STATE_START);
    this.#view.setUint32(at.POOL_NEXT, poolNext, true);
    this.#view.setUint32(at.LAZY_FRAMES, 1, true);
    this.#base = snapshot;
    this.#inputs = [];
    this.#scheduled = [];
    this.instruments.apply();
    this.#tlbParts().forEach(({ data, fetch }, cpu) => {
      const start = cpu * TLBS_SIZE;
      data.set(snapshot.tlbs.subarray(start, start + data.length));
      fetch.set(snapshot.tlbs.subarray(start + data.length, start + TLBS_SIZE));
    });
    this.#exports.adoptCpus();
  }

  /** The TLBs of each CPU where they lie now. */
  #tlbParts(): { readonly data: Uint8Array; readonly fetch: Uint8Array }[] {
    return Array.from({ length: this.cpus }, (_, cpu) => {
      const data = cpu === 0 ? at.TLB : at.MORE_TLBS + (cpu - 1) * 4 * at.TLB_SIZE;
      const fetch = cpu === 0 ? at.FETCH_TLB : at.MORE_FETCH_TLBS + (cpu - 1) * at.FETCH_TLB_SIZE;
      return {
        data: this.#bytes.subarray(data, data + 3 * at.TLB_SIZE),
        fetch: this.#bytes.subarray(fetch, fetch + at.FETCH_TLB_SIZE),
      };
    });
  }

  /** Refuses state that is not of such a machine: what is inside may come from a damaged file. */
  #checkState({ cpus, state }: Snapshot): void {
    const view = new DataView(state.buffer, state.byteOffset, state.byteLength);
    const fields = [
      [at.HEADER, "magic number", at.MAGIC],
      [at.HEADER + 4, "layout version", at.VERSION],
      [at.RAM_BYTES, "memory size", this.ramBytes],
      [at.RAM_BYTES + 4, "upper half of the memory size", 0],
      [at.CPUS, "number of CPUs", this.cpus],
    ] as const;
    for (const [address, what, expected] of fields) {
      const found = view.getUint32(address - STATE_START, true);
      if (found !== expected || cpus !== this.cpus)
        throw new CrashlabError(
          "bad-snapshot",
          `expected a snapshot with ${what} ${expected}, found ${found} and ${cpus} CPUs; create a core like the one it was taken of`,
        );
    }
    const active = view.getUint32(at.ACTIVE - STATE_START, true);
    if (active >= this.cpus)
      throw new CrashlabError(
        "bad-snapshot",
        `expected an active CPU below ${this.cpus}, found ${active}; take the snapshot again`,
      );
  }

  /** Another machine in the same state. It shares this one's pages until either writes them. */
  async fork(): Promise<Core> {
    const snapshot = this.snapshot();
    const child = await Core.create({ ...this.#options, ramBytes: this.ramBytes, wasm: this.#wasm });
    child.restore(snapshot);
    child.#startSeconds = this.#startSeconds;
    return child;
  }

  /** Everything that entered from outside since power-on or the last restore. */
  get inputs(): readonly Input[] {
    return this.#inputs;
  }

  /** Runs to a guest time while recorded inputs enter at their times. What the guest asks of the host is in them. */
  replay(inputs: readonly Input[], until: bigint): Exit {
    for (const input of inputs) this.schedule(input.time, input);
    let exit: Exit = { kind: "budget" };
    while (this.time < until || this.#isDue()) {
      exit = this.#run(1_000_000, until);
      if (exit.kind === "halted" || exit.kind === "triple-fault" || exit.kind === "idle") break;
      this.takeOutput(0);
      this.takeOutput(1);
      this.takeDebugOutput();
    }
    return exit;
  }

  #isDue(): boolean {
    const [next] = this.#scheduled;
    if (next === undefined || next.time > this.time) return false;
    this.#scheduled.shift();
    this.inject(next);
    return true;
  }

  #apply(action: Action): void {
    switch (action.kind) {
      case "serial":
        this.feedInput(action.port, action.bytes);
        return;
      case "memory":
        this.writePhysical(action.address, action.bytes);
        return;
      case "flip":
        this.flipBit(action.address, action.bit);
        return;
      case "register":
        this.setRegister(action.name, action.value, action.cpu);
        return;
      case "segment":
        this.setSegment(action.name, action.segment, action.cpu);
        return;
      case "fpu":
        this.setFpu(action.state, action.cpu);
        return;
      case "doorbell-answer":
        this.answerDoorbell(action.result);
        return;
      case "doorbell-signal":
        this.signalDoorbell(action.high);
        return;
      case "block-attach":
        this.attachBlock(action.sectors);
        return;
      case "block-complete":
        this.#exports.blockComplete(action.status);
        return;
      case "nmi":
        this.nmi(action.cpu);
        return;
      case "machine-check":
        this.machineCheck(action.cpu, action.check);
        return;
      case "vector":
        this.raiseVector(action.cpu, action.vector);
        return;
      case "line":
        this.setLineFault(action.line, action.fault);
        return;
      case "freeze":
        this.freeze(action.cpu, action.frozen);
        return;
    }
  }

  #applyInstruments(what: "code" | "data" | "hooks"): void {
    this.#refresh();
    this.instruments.apply();
    if (what === "code") this.#exports.tracesReset();
    if (what === "data") this.#exports.flushAllTlbs();
  }

  #note(action: Action): void {
    if (!this.#applying && this.#options.recordInputs !== false)
      this.#inputs.push({ ...action, time: this.time });
  }

  #exitOf(reason: number): Exit {
    const detail = this.#view.getBigUint64(at.EXIT_DETAIL, true);
    switch (reason) {
      case at.EXIT_BUDGET:
        return { kind: "budget" };
      case at.EXIT_HALTED:
        return { kind: "halted" };
      case at.EXIT_TRIPLE_FAULT:
        return { kind: "triple-fault" };
      case at.EXIT_DOORBELL:
        return {
          kind: "doorbell",
          command: Number(detail),
          address: this.#view.getBigUint64(at.DOORBELL_ADDRESS, true),
        };
      case at.EXIT_DEBUG:
        return { kind: "debug-exit", value: Number(detail) };
      case at.EXIT_BREAKPOINT:
        return { kind: "breakpoint", address: detail };
      case at.EXIT_EXCEPTION:
        return { kind: "exception", vector: Number(detail) };
      case at.EXIT_RESET:
        return { kind: "reset" };
      case at.EXIT_OUTPUT:
        return { kind: "output" };
      case at.EXIT_WATCHPOINT: {
        const watchpoint = this.instruments.watchpointAt(Number(detail >> 1n));
        if (watchpoint === undefined) break;
        return { kind: "watchpoint", watchpoint, access: (detail & 1n) === 0n ? "read" : "write" };
      }
      case at.EXIT_STEP:
        return { kind: "step" };
      case at.EXIT_PVPANIC:
        return { kind: "pvpanic", events: Number(detail) };
      case at.EXIT_BLOCK:
        return { kind: "block", request: this.#blockRequest() };
      case at.EXIT_IDLE:
        return { kind: "idle" };
    }
    throw new CrashlabError(
      "core-failure",
      `expected a known exit reason, found ${reason}; please report this`,
    );
  }

  #blockRequest(): BlockRequest {
    const u32 = (address: number): number => this.#view.getUint32(address, true);
    const u64 = (address: number): bigint => this.#view.getBigUint64(address, true);
    return {
      command: BLOCK_COMMANDS[u32(at.BLOCK_COMMAND) - 1] ?? "flush",
      sector: u64(at.BLOCK_SECTOR_LOW),
      count: u32(at.BLOCK_COUNT),
      address: u64(at.BLOCK_ADDRESS_LOW),
    };
  }

  #enter(entry: EntryState): void {
    const set = (address: number, value: number): void =>
      this.#view.setBigUint64(address, BigInt(value), true);
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
    this.#view.setUint32(at.GDT_LIMIT, entry.gdt.limit, true);
    set(at.IDT_BASE, entry.idt.base);
    this.#view.setUint32(at.IDT_LIMIT, entry.idt.limit, true);
    this.#setSegment("cs", entry.cs);
    this.#view.setUint32(at.CPL, entry.cs.selector & 3, true);
    for (const name of ["ds", "es", "ss", "fs", "gs"] as const) this.#setSegment(name, entry.data);
    this.#setSegment("tr", entry.tr);
    this.#exports.setRflags(2n);
    this.#exports.flushTlb();
    this.#exports.selectMode();
  }

  #mapped(address: bigint, cr3: bigint | undefined): bigint {
    const mapping = this.translate(address, cr3);
    if (mapping === undefined) {
      throw new CrashlabError(
        "bad-address",
        `expected a mapped virtual address, found 0x${address.toString(16)}`,
      );
    }
    return mapping.physical;
  }

  #checkRange(address: bigint, length: number): number {
    if (address < 0n || address + BigInt(length) > BigInt(this.ramBytes)) {
      throw new CrashlabError(
        "bad-address",
        `expected ${length} bytes inside ${this.ramBytes} bytes of memory, found address 0x${address.toString(16)}`,
      );
    }
    return Number(address);
  }

  /** Host address of a page; 0 when it was never touched and so reads as zero. */
  #pageForRead(frame: number): number {
    const entry = this.#view.getUint32(at.FRAME_TABLE + frame * 4, true);
    if (entry !== 0) return (entry & ~(PAGE - 1)) >>> 0;
    if (!this.#base?.pages.has(frame)) return 0;
    const host = this.#exports.framePointer(frame) >>> 0;
    this.#refresh();
    return host;
  }

  #writePages(start: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const offset = (start + done) % PAGE;
      const count = Math.min(PAGE - offset, bytes.length - done);
      const host = this.#exports.framePointerForWrite(Math.floor((start + done) / PAGE)) >>> 0;
      this.#refresh();
      this.#bytes.set(bytes.subarray(done, done + count), host + offset);
      done += count;
    }
  }

  #fetchFrame(frame: number, address: number): number {
    const page = this.#base?.pages.get(frame);
    if (page === undefined) return 0;
    this.#refresh();
    this.#bytes.set(page, address >>> 0);
    return 1;
  }

  /** Memory that has grown is another buffer. */
  #refresh(): void {
    if (this.#bytes.buffer === this.#memory.buffer) return;
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#view = new DataView(this.#memory.buffer);
  }
}

const FRAME_DIRTY = 2;
const NEVER = (1n << 64n) - 1n;
const ENDLESS = 0xffffffff;
const MCG_RESTARTABLE = 1n;
const MCG_IN_PROGRESS = 4n;
const LINE_FAULTS = ["healthy", "drop", "delay", "storm"] as const;
/** Setting these changes what addresses mean. */
const PAGING_REGISTERS: ReadonlySet<string> = new Set(["cr0", "cr3", "cr4", "efer"]);
const FRAME_CODE = 4;
const TOP_BYTE = 0xffn << 56n;
const KERNEL_BITS = 0x1ffn << 47n;
/** 2024-01-01T00:00:00Z */
const START_2024 = 1704067200;

let core: Promise<Uint8Array<ArrayBuffer>> | undefined;

/** The built core's bytes, read once. */
function sharedCore(): Promise<Uint8Array<ArrayBuffer>> {
  core ??= loadCore().catch((error: unknown) => {
    core = undefined;
    throw error;
  });
  return core;
}

function check(name: string, value: number, low: number, high: number, step: number): void {
  if (Number.isFinite(value) && value >= low && value <= high && value % step === 0) return;
  const unit = step === 1 ? "whole numbers" : `multiples of ${step}`;
  throw new CrashlabError("bad-option", `expected ${name} from ${low} to ${high} in ${unit}, found ${value}`);
}
