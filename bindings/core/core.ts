/**
 * One emulated computer: a WebAssembly instance with its memory, run in slices. This class knows registers,
 * physical memory and ports, not what software runs. Everything that goes into the machine goes through it and
 * is noted, so that a run can be repeated. What each part of the machine is lies in the files beside this one.
 */
import { loadCore } from "#assets";
import { CrashlabError } from "../error.ts";
import type { BootImage, SegmentState } from "../machine/loaders/boot_image.ts";
import { Board } from "./board.ts";
import { Cpus } from "./cpus.ts";
import { type ExceptionRecord, readExceptions } from "./exceptions.ts";
import { type Exit, readExit } from "./exit.ts";
import type { FpuState } from "./fpu.ts";
import type { GuestMemory } from "./guest_memory.ts";
import type { Action, Input, LineFault, MachineCheck, RegisterName } from "./input.ts";
import { InputLog } from "./input_log.ts";
import { Instruments } from "./instruments.ts";
import * as at from "./layout.ts";
import { type CompleteOptions, type CoreOptions, check, completeOptions } from "./options.ts";
import type { Mapping, PagingState } from "./page_walk.ts";
import { PAGE } from "./pages.ts";
import type { Registers, Segment, SegmentRegister } from "./registers.ts";
import { feedBreak, feedSerial, serialRoom, takeDebugConsole, takeSerial } from "./serial.ts";
import type { Snapshot } from "./snapshot.ts";
import { copyState, restoreSnapshot, takeSnapshot } from "./state.ts";
import type { CoreInstance } from "./wasm.ts";

const NEVER = (1n << 64n) - 1n;
const ENDLESS = 0xffffffff;
const LINE_FAULTS = ["healthy", "drop", "delay", "storm"] as const;

/** An x86-64 computer: CPUs, memory, devices; it runs for a number of instructions at a time. */
export class Core {
  readonly ramBytes: number;
  readonly cpus: number;
  /** Breakpoints, watchpoints and hooks. */
  readonly instruments: Instruments;
  readonly #options: CompleteOptions;
  readonly #wasm: Uint8Array<ArrayBuffer>;
  readonly #cpus: Cpus;
  readonly #log: InputLog;
  /** Undefined once this machine was disposed of. */
  #mounted: Board | undefined;
  /** Unix time when guest time was 0. */
  #startSeconds: number;

  private constructor(board: Board, options: CompleteOptions, wasm: Uint8Array<ArrayBuffer>) {
    this.#mounted = board;
    this.#options = options;
    this.#wasm = wasm;
    this.ramBytes = options.ramBytes;
    this.cpus = options.cpus;
    this.#startSeconds = options.startSeconds;
    this.#cpus = new Cpus(() => this.#instance, options.cpus);
    this.#log = new InputLog(options.recordInputs);
    this.instruments = new Instruments(
      () => this.#board,
      (what) => this.#applyInstruments(what),
    );
    board.instance.host.instruction = (cpu) => this.instruments.instruction(cpu);
    board.instance.host.branch = (cpu, low, high) => this.instruments.branch(cpu, low, high);
  }

  get #board(): Board {
    if (this.#mounted !== undefined) return this.#mounted;
    throw new CrashlabError(
      "machine-stopped",
      "expected a machine, found one that was disposed of; use it before its scope ends",
    );
  }

  get #instance(): CoreInstance {
    return this.#board.instance;
  }

  get #memory(): GuestMemory {
    return this.#board.memory;
  }

  /** A machine at power-on. Throws `bad-option` for sizes out of range. */
  static async create(options: CoreOptions = {}): Promise<Core> {
    const complete = completeOptions(options);
    const wasm = options.wasm ?? (await loadCore());
    const core = new Core(await Board.take(wasm, complete), complete, wasm);
    core.reset();
    return core;
  }

  /** Power-on: memory and all state lost. */
  reset(): void {
    this.#startSeconds = this.#options.startSeconds;
    this.#reset();
  }

  /**
   * The reset line: processors and devices as at power-on, memory stays, and the image is loaded over it. Guest time
   * and the record of inputs begin anew; the real-time clock goes on.
   */
  restart(image: BootImage): void {
    const kept = [...this.touchedFrames()].map((frame) => {
      const address = BigInt(frame) * BigInt(PAGE);
      return [address, this.readPhysical(address, PAGE)] as const;
    });
    this.#startSeconds += Number(this.time / 1_000_000_000n);
    this.#reset();
    for (const [address, bytes] of kept) this.#memory.write(address, bytes);
    this.start(image);
  }

  #reset(): void {
    const { ignoreTopByte, shadowCheck, interleaving } = this.#options;
    this.#board.reset({ ...this.#options, startSeconds: this.#startSeconds });
    const features =
      (ignoreTopByte ? at.OPTION_IGNORE_TOP_BYTE : 0) | (shadowCheck ? at.OPTION_SHADOW_CHECK : 0);
    if (features !== 0) this.#instance.view.setUint32(at.OPTIONS, features, true);
    if (interleaving !== 0) this.#instance.view.setBigUint64(at.INTERLEAVING, scattered(interleaving), true);
    this.#log.clear();
    this.instruments.apply();
  }

  /** Writes a loader's pieces and sets the first CPU to its entry. */
  start(image: BootImage): void {
    for (const { address, bytes } of image.pieces) this.#memory.write(BigInt(address), bytes);
    this.#cpus.enter(image.entry);
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
      const next = this.#log.next?.time ?? NEVER;
      this.#instance.view.setBigUint64(at.STOP_AT, next < stopAt ? next : stopAt, true);
      const before = this.time;
      const exit = this.#slice(left);
      const due = this.#log.takeDue(this.time);
      if (due !== undefined) this.inject(due);
      left -= Math.max(1, Number(this.time - before));
      if (due === undefined || exit.kind !== "budget" || left <= 0) return exit;
    }
  }

  #slice(budget: number): Exit {
    if (this.instruments.settle()) this.#instance.exports.tracesReset();
    const breakpoint = this.instruments.passing(this.activeCpu);
    const home = breakpoint === undefined ? undefined : this.translate(breakpoint)?.physical;
    if (home === undefined || home >= BigInt(this.ramBytes)) return this.#runCore(budget);
    const exit = this.#passBreakpoint(home);
    return exit.kind === "budget" && budget > 1 ? this.#runCore(budget - 1) : exit;
  }

  /** Executes the instruction that has a breakpoint. The core can do so too, but forgets all decoded code for it. */
  #passBreakpoint(home: bigint): Exit {
    this.#memory.forgetCode(home);
    try {
      return this.instruments.withoutBreakpoints(() => this.#runCore(1));
    } finally {
      this.#memory.forgetCode(home);
    }
  }

  #runCore(budget: number): Exit {
    let reason: number;
    try {
      reason = this.#instance.exports.run(budget);
    } catch (cause) {
      throw new CrashlabError(
        "core-failure",
        `expected the core to run, found ${String(cause)} inside it; please report this`,
        { cause },
      );
    }
    return readExit(this.#instance.view, reason, this.instruments);
  }

  /** Guest time in nanoseconds: instructions retired, and time skipped while halted. */
  get time(): bigint {
    return this.#instance.view.getBigUint64(at.TIME, true);
  }

  /** The CPU that ran last. */
  get activeCpu(): number {
    return this.#cpus.active;
  }

  /** Instructions that all CPUs have retired since power-on. */
  get instructions(): bigint {
    return this.#cpus.instructions;
  }

  /** Registers of a CPU; by default of the one that ran last. */
  registers(which?: number): Registers {
    return this.#cpus.registers(this.#cpus.number(which));
  }

  /** Sets a register of a CPU; by default of the one that ran last. */
  setRegister(name: RegisterName, value: bigint, which?: number): void {
    const cpu = this.#cpus.number(which);
    this.#note({ kind: "register", cpu, name, value });
    this.#cpus.setRegister(cpu, name, value);
  }

  /** Sets a segment register with its hidden part. */
  setSegment(name: SegmentRegister, segment: SegmentState | Segment, which?: number): void {
    const cpu = this.#cpus.number(which);
    this.#note({ kind: "segment", cpu, name, segment: { ...segment, base: BigInt(segment.base) } });
    this.#cpus.setSegment(cpu, name, segment);
  }

  /** Sets only the base of FS or GS, as the MSRs do. */
  setSegmentBase(name: "fs" | "gs", base: bigint, which?: number): void {
    const cpu = this.#cpus.number(which);
    this.setSegment(name, { ...this.registers(cpu).segments[name], base }, cpu);
  }

  /** The privilege level of a CPU, where it is to differ from what CS says. */
  setPrivilege(level: number, which?: number): void {
    this.#cpus.setPrivilege(this.#cpus.number(which), level);
  }

  /** The x87 and SSE state of a CPU; by default of the one that ran last. */
  fpuOf(which?: number): FpuState {
    return this.#cpus.fpu(this.#cpus.number(which));
  }

  /** Sets the x87 and SSE state of a CPU; by default of the one that ran last. */
  setFpu(state: FpuState, which?: number): void {
    const cpu = this.#cpus.number(which);
    this.#note({ kind: "fpu", cpu, state });
    this.#cpus.setFpu(cpu, state);
  }

  /** The x87 and SSE state of the CPU that ran last. */
  get fpu(): FpuState {
    return this.fpuOf();
  }

  /** The same as `setFpu` of the CPU that ran last. */
  set fpu(state: FpuState) {
    this.setFpu(state);
  }

  /** Guest-physical memory; pages never touched are zero. Throws `bad-address` outside memory. */
  readPhysical(address: bigint, length: number): Uint8Array<ArrayBuffer> {
    return this.#memory.read(address, length);
  }

  /** Writes guest-physical memory. Throws `bad-address` outside memory. */
  writePhysical(address: bigint, bytes: Uint8Array): void {
    this.#memory.check(address, bytes.length);
    this.#note({ kind: "memory", address, bytes: bytes.slice() });
    this.#memory.write(address, bytes);
  }

  /** Where a virtual address lies, by the page tables of a CPU (or of `cr3`). Nothing is changed by looking. */
  translate(address: bigint, cr3?: bigint): Mapping | undefined {
    return this.#memory.translate(this.#paging(cr3), address);
  }

  /** Virtual memory as the kernel would read it. Throws `bad-address` where nothing is mapped. */
  readVirtual(address: bigint, length: number, cr3?: bigint): Uint8Array<ArrayBuffer> {
    const result = new Uint8Array(length);
    for (const { physical, offset, count } of this.#memory.pieces(this.#paging(cr3), address, length))
      result.set(this.#memory.read(physical, count), offset);
    return result;
  }

  /** Writes virtual memory, whatever its protection. Throws `bad-address` where nothing is mapped. */
  writeVirtual(address: bigint, bytes: Uint8Array, cr3?: bigint): void {
    for (const { physical, offset, count } of this.#memory.pieces(this.#paging(cr3), address, bytes.length))
      this.writePhysical(physical, bytes.subarray(offset, offset + count));
  }

  #paging(cr3: bigint | undefined): PagingState {
    const { cr0, cr3: current, cr4, efer } = this.registers();
    return { cr0, cr3: cr3 ?? current, cr4, efer, ignoreTopByte: this.#options.ignoreTopByte };
  }

  /** Guest frames that have been touched, ascending: the only ones that can differ from zero. */
  touchedFrames(): Generator<number> {
    return this.#memory.touchedFrames();
  }

  /** What a serial port has sent since the last call. */
  takeOutput(port: 0 | 1): Uint8Array<ArrayBuffer> {
    return takeSerial(this.#instance, port);
  }

  /** What was written to port E9h, the debug console, since the last call. A run ends with `output` before it is lost. */
  takeDebugOutput(): Uint8Array<ArrayBuffer> {
    return takeDebugConsole(this.#instance);
  }

  /** Puts bytes on the wire to a serial port; gives how many it had room for. */
  feedInput(port: 0 | 1, bytes: Uint8Array): number {
    const taken = bytes.slice(0, serialRoom(this.#instance, port));
    if (taken.length === 0) return 0;
    this.#note({ kind: "serial", port, bytes: taken });
    feedSerial(this.#instance, port, taken);
    return taken.length;
  }

  /** A BREAK on the wire to a serial port. False when the guest has not seen the last one yet, or there is no room. */
  sendBreak(port: 0 | 1): boolean {
    if (!feedBreak(this.#instance, port)) return false;
    this.#note({ kind: "serial-break", port });
    return true;
  }

  /** Result of the last ring of the doorbell. */
  answerDoorbell(result: number): void {
    this.#note({ kind: "doorbell-answer", result });
    this.#instance.exports.doorbellAnswer(result);
  }

  /** Raises or lowers the doorbell's interrupt: the host has something to be fetched. */
  signalDoorbell(high: boolean): void {
    this.#note({ kind: "doorbell-signal", high });
    this.#instance.exports.doorbellSignal(high ? 1 : 0);
  }

  /** Attaches a disk of whole 512-byte sectors; 0 detaches. */
  attachBlock(sectors: bigint): void {
    this.#note({ kind: "block-attach", sectors });
    this.#instance.exports.blockAttach(sectors);
  }

  /** The block request has been served. */
  completeBlock(status: "ok" | "io-error"): void {
    const code = status === "ok" ? 0 : 2;
    this.#note({ kind: "block-complete", status: code });
    this.#instance.exports.blockComplete(code);
  }

  /** A non-maskable interrupt for a CPU. */
  nmi(cpu = 0): void {
    this.#note({ kind: "nmi", cpu: this.#cpus.number(cpu) });
    this.#instance.exports.cpuNmi(cpu);
  }

  /** A machine-check exception, reported in a bank of the CPU. Without CR4.MCE the processor shuts down. */
  machineCheck(cpu: number, check: MachineCheck): void {
    this.#note({ kind: "machine-check", cpu: this.#cpus.number(cpu), check });
    this.#cpus.machineCheck(cpu, check);
  }

  /** An interrupt that no controller has asked for; it is taken when the CPU allows interrupts. */
  raiseVector(cpu: number, vector: number): void {
    check("vector", vector, 0, 255, 1);
    this.#note({ kind: "vector", cpu: this.#cpus.number(cpu), vector });
    this.#cpus.raiseVector(cpu, vector);
  }

  /** Breaks an interrupt line (0 to 23), or heals it. */
  setLineFault(line: number, fault: LineFault): void {
    check("line", line, 0, 23, 1);
    this.#note({ kind: "line", line, fault });
    const edges = fault.kind === "healthy" ? 0 : (fault.edges ?? ENDLESS);
    const nanoseconds = fault.kind === "delay" || fault.kind === "storm" ? fault.nanoseconds : 1;
    check("edges", edges, 0, ENDLESS, 1);
    check("nanoseconds", nanoseconds, 1, 2 ** 52, 1);
    this.#instance.exports.setLineFault(line, LINE_FAULTS.indexOf(fault.kind), edges, BigInt(nanoseconds));
  }

  /** Keeps a CPU from executing anything, or lets it go on. */
  freeze(cpu: number, frozen: boolean): void {
    this.#note({ kind: "freeze", cpu: this.#cpus.number(cpu), frozen });
    this.#cpus.freeze(cpu, frozen);
  }

  /** Turns one bit of guest-physical memory round, as a defective memory does. */
  flipBit(address: bigint, bit: number): void {
    check("bit", bit, 0, 7, 1);
    const [byte = 0] = this.readPhysical(address, 1);
    this.#note({ kind: "flip", address, bit });
    this.#memory.write(address, Uint8Array.of(byte ^ (1 << bit)));
  }

  /** Does at once what the action says; it is noted among the inputs. */
  inject(action: Action): void {
    this.#note(action);
    this.#log.applying(() => this.#apply(action));
  }

  /** The same at a guest time: before the first instruction that begins then or later. */
  schedule(time: bigint, action: Action): void {
    this.#log.schedule(time, action);
  }

  #apply(action: Action): void {
    switch (action.kind) {
      case "serial":
        this.feedInput(action.port, action.bytes);
        return;
      case "serial-break":
        this.sendBreak(action.port);
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
        this.#instance.exports.blockComplete(action.status);
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

  #note(action: Action): void {
    this.#log.note(action, this.time);
  }

  /** Everything that entered from outside since power-on or the last restore. */
  get inputs(): readonly Input[] {
    return this.#log.done;
  }

  /** Runs to a guest time while recorded inputs enter at their times. What the guest asks of the host is in them. */
  replay(inputs: readonly Input[], until: bigint): Exit {
    for (const input of inputs) this.schedule(input.time, input);
    let exit: Exit = { kind: "budget" };
    while (this.time < until || this.#injectDue()) {
      exit = this.#run(1_000_000, until);
      if (exit.kind === "halted" || exit.kind === "triple-fault" || exit.kind === "idle") break;
      this.takeOutput(0);
      this.takeOutput(1);
      this.takeDebugOutput();
    }
    return exit;
  }

  #injectDue(): boolean {
    const due = this.#log.takeDue(this.time);
    if (due !== undefined) this.inject(due);
    return due !== undefined;
  }

  /** Exceptions of these vectors (0-31) in ring 0 end a run. */
  stopOnExceptions(vectors: readonly number[]): void {
    const mask = vectors.reduce((bits, vector) => bits | (1 << vector), 0);
    this.#instance.view.setUint32(at.EXCEPTION_MASK, mask >>> 0, true);
  }

  /** Exceptions ever delivered. */
  get exceptionCount(): number {
    return this.#instance.view.getUint32(at.EXCEPTION_COUNT, true);
  }

  /** The last exceptions (at most 64), oldest first. */
  exceptions(): ExceptionRecord[] {
    return readExceptions(this.#instance.view);
  }

  #applyInstruments(what: "data" | "hooks"): void {
    this.instruments.apply();
    if (what === "data") this.flushTlbs();
  }

  /** Every CPU forgets what it has cached of its page tables: for changes to them that are to count at once. */
  flushTlbs(): void {
    this.#instance.exports.flushAllTlbs();
  }

  /** A digest of all that the guest can see. Equal machines have equal digests. */
  stateHash(): bigint {
    // Pages of the base that this fork never looked at count too.
    this.#memory.fetchAll();
    return BigInt.asUintN(64, this.#instance.exports.stateHash());
  }

  /** All state as data. Pages stay where they are; each is copied when this machine writes it next. */
  snapshot(): Snapshot {
    return takeSnapshot(this.#instance, this.#memory, this);
  }

  /** Goes back to a snapshot. To one that this machine or its forks come from, only pages that differ are copied. */
  restore(snapshot: Snapshot): void {
    restoreSnapshot(this.#instance, this.#memory, this, snapshot);
    this.#adopt();
  }

  /**
   * Another machine in the same state, without its instruments and its record of inputs. It shares this one's pages until
   * either writes them. Dispose of it when it is done with: the next fork then takes its place, which is much faster
   * than a new one (docs/how-it-works.md has figures).
   */
  async fork(): Promise<Core> {
    const line = this.#memory.line ?? this.#memory.share().line;
    const board = await Board.take(this.#wasm, this.#options, line);
    copyState(this.#board, board, this);
    const child = new Core(board, this.#options, this.#wasm);
    child.#startSeconds = this.#startSeconds;
    child.#adopt();
    return child;
  }

  /** What came from elsewhere has this core's addresses and instruments from now on. */
  #adopt(): void {
    this.#log.clear();
    this.instruments.apply();
    this.#instance.exports.adoptCpus();
    // A page that the state says is cached would not be looked at.
    if (this.#instance.view.getUint32(at.WATCH_COUNT, true) !== 0) this.flushTlbs();
  }

  /** The machine is no more, and using it throws `machine-stopped`. Its snapshots and forks live on. */
  [Symbol.dispose](): void {
    this.#mounted?.release();
    this.#mounted = undefined;
  }
}

/** Numbers that lie side by side, far apart; none is 0 but 0. */
function scattered(number: number): bigint {
  return BigInt.asUintN(64, BigInt(number) * 0x9e3779b97f4a7c15n);
}
