/**
 * A booted machine: the kernel's console and shell, its panics, its memory. `boot()` starts one; everything it
 * shows was done by the guest.
 */
import { loadGuest } from "#assets";
import { Core } from "../core/core.ts";
import type { Exit } from "../core/exit.ts";
import type { Input } from "../core/input.ts";
import type { Registers } from "../core/registers.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { CrashlabError } from "../error.ts";
import type {
  CommandFault,
  Crash,
  Fault,
  InjectableFault,
  Injection,
  MachineFault,
} from "../faults/fault.ts";
import { injectFault } from "../faults/injector.ts";
import { BreakpointChain, guestChain } from "../panic/homes.ts";
import { PanicNotifiers } from "../panic/notifiers.ts";
import { withSourceLines } from "../report/source_lines.ts";
import type { CrashReport } from "../report/types.ts";
import { decodePlace } from "../symbols/decode.ts";
import type { SymbolTable } from "../symbols/table.ts";
import { Kdump } from "../vmcore/kdump.ts";
import { ConsoleLog } from "./console.ts";
import { CrashKernel, type CrashKernelHost, dumpDisk } from "./crash_kernel.ts";
import { ArmedDiskFault, type Disk, type DiskFault, serveBlock } from "./disk.ts";
import { Doorbell } from "./doorbell.ts";
import { Emitter, type MachineEvents } from "./events.ts";
import { Kasan, kasanBoot } from "./kasan.ts";
import { KernelFiles } from "./kernel_files.ts";
import { kfenceBoot } from "./kfence.ts";
import { checkAborted, DEFAULT_BUDGET, deadlineAfter, type InjectLimits, type RunLimits } from "./limits.ts";
import type { BootImage } from "./loaders/boot_image.ts";
import { loadKernel, unpackKernel } from "./loaders/kernel.ts";
import { type BootOptions, checkBytes, parseMemory } from "./options.ts";
import { type Place, resolvePlace } from "./places.ts";
import { Pstore, pstoreParameters } from "./pstore.ts";
import { type ExecResult, Shell } from "./shell.ts";
import { stockWords } from "./stock/command_line.ts";
import { hasShells } from "./stock/initramfs.ts";
import { Stops } from "./stops.ts";
import { Sysctl } from "./sysctl.ts";

const SLICE = 20_000;
/** Slices after which progress is told. */
const SLICES_BETWEEN_REPORTS = 10;
/** Slices after which the host's event loop has its turn. */
const SLICES_BETWEEN_YIELDS = 500;
const CONSOLE = 0;
const EXEC = 1;

/** What the host had seen when a snapshot was taken. */
interface Past {
  readonly lines: number;
  readonly reports: number;
  readonly commands: number;
  readonly kernels: number;
}

/**
 * Starts a machine and waits until its user space is up: the embedded guest's, or the shells of an initramfs made by
 * `busyboxInitramfs`. With another initramfs a stock kernel has said its first line, another kernel is at its entry.
 */
export function boot(options: BootOptions = {}): Promise<Machine> {
  return Machine.boot(options);
}

/**
 * A machine with its kernel. `await using` lets go of it at the end of the scope: nothing runs any more, and its
 * memory goes with it. Operations that run the guest are awaited one after the other; each takes a budget, an
 * AbortSignal and a listener for its progress.
 */
export class Machine extends Emitter<MachineEvents> implements AsyncDisposable {
  /** The computer itself: registers, memory, breakpoints, inputs. */
  readonly core: Core;
  /** The guest kernel's chain of panic notifiers. */
  readonly panicNotifiers: PanicNotifiers;
  /** Crash dumps. */
  readonly kdump: Kdump;
  /** The shadow, when the machine was booted with `kasan`. */
  readonly kasan: Kasan;
  readonly #doorbell: Doorbell;
  /** Panic notifiers of a kernel that knows no doorbell. */
  readonly #chain: BreakpointChain | undefined;
  readonly #stops: Stops;
  readonly #image: BootImage;
  readonly #files: KernelFiles;
  readonly #console = new ConsoleLog({
    line: (line) => this.emit("console", line),
    report: (report) => this.#takeReport(report),
  });
  readonly #shell = new Shell();
  #ready = false;
  #stopped: Exit | undefined;
  #panicked: CrashReport | undefined;
  #busy = false;
  /** A panic's last line does not end the run. */
  #toTheEnd = false;
  /** What the host had seen when a snapshot was taken. */
  readonly #pasts = new WeakMap<Snapshot, Past>();
  readonly #disk: Disk | undefined;
  #diskFault: ArmedDiskFault | undefined;
  readonly #crashKernel = new CrashKernel();
  /** Kernels that have come up: two when one has jumped into another. */
  #kernels = 0;
  /** How the guest shows that it is up; undefined for a kernel that is not known. */
  #sign: "ready" | "shells" | "line" | undefined;
  #commandLine = "";

  private constructor(core: Core, image: BootImage, files: KernelFiles, disk: Disk | undefined) {
    super();
    this.core = core;
    this.#stops = new Stops(core);
    this.#image = image;
    this.#files = files;
    this.#disk = disk;
    this.kasan = new Kasan(core, () => this.#commandLine);
    this.kdump = new Kdump(
      core,
      () => this.symbols,
      () => this.#hold(),
      (words, limits, onProgress) =>
        this.#crashKernel.run(this.#crashKernelHost(), words, limits, onProgress),
    );
    this.#doorbell = new Doorbell(core, {
      hello: () => {
        if (++this.#kernels > 1) this.#ready = false;
      },
      ready: () => {
        this.#ready = true;
        this.#panicked = undefined;
      },
      panicNotify: (id, event, message) => this.panicNotifiers.notify(id, event, message),
      netconsole: (datagram) => this.emit("netconsole", datagram),
      dumpOptions: () => this.#crashKernel.words,
      dumped: (status) => {
        this.#crashKernel.dumped = status;
      },
    });
    const notify = (id: number, event: number, message: string): Promise<number> =>
      this.panicNotifiers.notify(id, event, message);
    this.#chain = files.stock ? new BreakpointChain(core, () => this.symbols, notify) : undefined;
    this.panicNotifiers = new PanicNotifiers(
      this.#chain ?? guestChain(this.#doorbell, (reply, limits) => this.#runUntilSettled(reply, limits)),
    );
  }

  /** The same as `boot()`. */
  static async boot(options: BootOptions = {}): Promise<Machine> {
    checkBytes("kernel", "bad-kernel", options.kernel);
    checkBytes("initrd", "bad-initrd", options.initrd);
    checkBytes("symbols", "bad-kernel", options.symbols);
    deadlineAfter(0n, options);
    checkAborted(options.signal, "to boot");
    const ramBytes = parseMemory(options.memory ?? "128M");
    const own = options.kernel === undefined;
    const kasan = kasanBoot(options.kasan);
    const kernel = unpackKernel(options.kernel ?? (await loadGuest("vmlinux", kasan.build)));
    const stock = own ? [] : stockWords(kernel);
    const initrd = options.initrd ?? (own ? await loadGuest("initramfs.cpio", kasan.build) : undefined);
    const commandLine = [
      "console=ttyS0",
      "panic=0",
      ...(options.pstore === true ? [pstoreParameters(ramBytes, initrd?.length ?? 0)] : []),
      ...stock,
      kasan.cmdline,
      kfenceBoot(options.kfence),
      options.cmdline ?? "",
    ]
      .filter((words) => words !== "")
      .join(" ");
    const cpus = options.cpus ?? 1;
    const image = loadKernel({ kernel, initrd, commandLine, ramBytes, cpus }, options.protocol);
    const { startSeconds, interleaving, ignoreTopByte = kasan.ignoreTopByte } = options;
    const core = await Core.create({
      ramBytes,
      cpus,
      ignoreTopByte,
      shadowCheck: kasan.shadowCheck,
      ...(startSeconds === undefined ? {} : { startSeconds }),
      ...(interleaving === undefined ? {} : { interleaving }),
    });
    core.start(image);
    const dumps = own && /(^| )crashkernel=/.test(commandLine);
    const disk = options.disk ?? (dumps ? dumpDisk(ramBytes) : undefined);
    core.attachBlock(disk?.sectors ?? 0n);
    const { symbols, modules } = options;
    const machine = new Machine(
      core,
      image,
      new KernelFiles(kernel, { own, build: kasan.build, stock: stock.length > 0, symbols, modules }),
      disk,
    );
    machine.#commandLine = commandLine;
    machine.#sign = own ? "ready" : stock.length === 0 ? undefined : hasShells(initrd) ? "shells" : "line";
    if (options.onConsole !== undefined) machine.on("console", options.onConsole);
    if (options.onOutput !== undefined) machine.on("output", options.onOutput);
    if (options.onNetconsole !== undefined) machine.on("netconsole", options.onNetconsole);
    await machine.#untilUp(options);
    return machine;
  }

  /** How the kernel was entered. */
  get protocol(): BootImage["protocol"] {
    return this.#image.protocol;
  }

  /** Messages that outlive the kernel (`boot({ pstore: true })`). */
  get pstore(): Pstore {
    return new Pstore(this.core, this.#commandLine);
  }

  /** Symbols of the kernel that was booted. Throws `bad-kernel` when its file is not ELF. */
  get symbols(): SymbolTable {
    return this.#files.vmlinux;
  }

  /** A report of this machine with source lines, as far as there are symbols for it. */
  async decode(report: CrashReport): Promise<CrashReport> {
    const kernel = await this.#files.symbols(report.modules.map((module) => module.name));
    return kernel === undefined
      ? report
      : withSourceLines(report, (place, kind) => decodePlace(place, kernel, kind));
  }

  /** Guest nanoseconds since power-on. */
  get time(): bigint {
    return this.core.time;
  }

  /** Instructions that all CPUs have retired since power-on: guest time without what was skipped while all halted. */
  get instructions(): bigint {
    return this.core.instructions;
  }

  /** Console lines so far. */
  get consoleLog(): readonly string[] {
    return this.#console.lines;
  }

  /** Crash reports so far. */
  get reports(): readonly CrashReport[] {
    return this.#console.reports;
  }

  /** The panic that ended the kernel, if one did. */
  get panic(): CrashReport | undefined {
    return this.#panicked;
  }

  /** Registers of a CPU; by default of the one that ran last. */
  registers(cpu?: number): Registers {
    return this.core.registers(cpu);
  }

  /** Runs a command in the guest's shell. Throws `machine-stopped` when the kernel does not survive it. */
  async exec(command: string, limits: RunLimits = {}): Promise<ExecResult> {
    if (/[\r\n]/.test(command)) {
      throw new CrashlabError(
        "bad-option",
        "expected a command on one line, found a line break; join commands with ;",
      );
    }
    deadlineAfter(0n, limits);
    checkAborted(limits.signal, `to run "${command}"`);
    await this.#type(EXEC, this.#shell.begin(command), limits);
    await this.#pump(() => this.#shell.status !== undefined, limits, `"${command}" to end`);
    return { stdout: this.#shell.stdout, status: this.#shell.status ?? 0 };
  }

  /** Types into the console's shell. */
  async write(text: string, limits: RunLimits = {}): Promise<void> {
    await this.#type(CONSOLE, text, limits);
  }

  /**
   * A magic SysRq key on the console: BREAK on the serial line, then the key, as a terminal sends them. The kernel acts on
   * it in the interrupt, whatever hangs in its processes (Linux Documentation/admin-guide/sysrq.rst); what it says is on the
   * console. Comes back when both are on the line: `run()` lets the kernel read them.
   */
  async sysrq(key: string, limits: RunLimits = {}): Promise<void> {
    if (!/^[!-~]$/.test(key))
      throw new CrashlabError(
        "bad-option",
        `expected a SysRq key of one printable character, found "${key}"`,
      );
    while (!this.core.sendBreak(CONSOLE)) {
      const before = this.time;
      await this.#pump(() => this.time > before + 1_000_000n, limits, "the kernel to read an earlier BREAK");
    }
    await this.#type(CONSOLE, key, limits);
  }

  /** Kernel parameters through the guest's /proc/sys, by their dotted names. */
  readonly sysctl: Sysctl = new Sysctl((command, limits) => this.exec(command, limits));

  /**
   * Breaks the guest, or the machine under it, and waits until the guest has done what it does meanwhile, has
   * stopped, or has used the budget. Throws `timeout` when a fault that is certain to be reported was not.
   */
  async inject(fault: CommandFault | MachineFault, limits?: InjectLimits): Promise<Injection>;
  async inject(fault: InjectableFault, limits?: InjectLimits): Promise<Crash>;
  async inject(fault: Fault, limits?: InjectLimits): Promise<Injection>;
  async inject(fault: Fault, limits: InjectLimits = {}): Promise<Injection> {
    deadlineAfter(0n, limits);
    const host = {
      machine: this,
      stops: this.#stops,
      symbols: this.#files.tryVmlinux(),
      stopped: (): Exit | undefined => this.#stopped,
      flush: (): void => this.#console.flush(),
      breakDisk: (broken: DiskFault): boolean => {
        this.#diskFault = new ArmedDiskFault(broken);
        return this.#disk !== undefined;
      },
    };
    this.#toTheEnd = limits.toTheEnd ?? false;
    const injection = await injectFault(host, fault, limits).finally(() => {
      this.#toTheEnd = false;
    });
    if (injection.report !== undefined || "change" in fault || "mayPass" in fault) return injection;
    throw new CrashlabError(
      "timeout",
      `expected a crash report after ${fault.name}, found none; the console says: ${injection.console.slice(-3).join(" | ")}`,
    );
  }

  /** Address of `symbol+0x10` of the kernel. Throws `bad-address` when it has no such symbol. */
  resolve(place: Place): bigint {
    return resolvePlace(place, this.symbols);
  }

  /**
   * Calls `act` each time the instruction at that place is about to execute; the machine stands still meanwhile and
   * may be looked at and changed (`machine.core`). At most 64 at a time.
   */
  breakpoint(place: Place, act: () => void): Disposable {
    return this.#stops.breakpoint(typeof place === "bigint" ? place : this.resolve(place), act);
  }

  /** Runs until the instruction at that place is next, or until a guest time. Throws `timeout` when the budget ends before. */
  async runUntil(
    until: { readonly place: Place } | { readonly time: bigint },
    limits: RunLimits = {},
  ): Promise<void> {
    let isThere = false;
    const act = (): void => {
      isThere = true;
    };
    using _stop = "place" in until ? this.breakpoint(until.place, act) : this.#stops.at(until.time, act);
    await this.#pump(
      () => isThere,
      limits,
      "place" in until ? `${until.place} to be reached` : `guest time ${until.time}`,
    );
  }

  /**
   * The reset button: processors and devices start anew, kernel and initrd are loaded again at their places, all other
   * memory stays as it is, and with it what pstore keeps. What the guest was told before, panic notifiers for one, is
   * forgotten; console text and reports so far are not. Default budget 5e9.
   */
  async reboot(limits: RunLimits = {}): Promise<void> {
    checkAborted(limits.signal, "to reboot");
    {
      using _held = this.#hold();
      this.#drain();
      this.#console.flush();
      this.core.restart(this.#image);
      this.core.attachBlock(this.#disk?.sectors ?? 0n);
      this.#kernels = 0;
      this.#crashKernel.dumped = undefined;
      this.#doorbell.forget();
      this.#console.cut();
      this.#shell.forget();
      this.#shell.spoke = false;
      this.#ready = false;
      this.#stopped = undefined;
      this.#panicked = undefined;
    }
    await this.#untilUp(limits);
  }

  async #untilUp(given: RunLimits): Promise<void> {
    const limits = { budget: 5e9, ...given };
    const before = this.consoleLog.length;
    switch (this.#sign) {
      case "ready":
        return this.#pump(() => this.#ready, limits, "user space to come up");
      case "shells":
        return this.#pump(() => this.#shell.spoke, limits, "the initramfs's shells to come up");
      case "line":
        return this.#pump(() => this.consoleLog.length > before, limits, "the kernel's first line");
    }
  }

  /**
   * Lets the machine run by itself. Ends when it stops, panics or has used the budget; after a panic what follows
   * it runs: a crash kernel, the wait before a reboot.
   */
  async run(limits: RunLimits = {}): Promise<Exit> {
    const afterPanic = this.#panicked !== undefined || this.#jumped() !== undefined;
    try {
      await this.#pump(() => this.#stopped !== undefined, limits, "the machine to stop", afterPanic);
    } catch (error) {
      if (!(error instanceof CrashlabError) || (error.code !== "timeout" && error.code !== "machine-stopped"))
        throw error;
    }
    this.#console.flush();
    return this.#stopped ?? { kind: "budget" };
  }

  /** All state as data; see encodeSnapshot for its file form. */
  snapshot(): Snapshot {
    const snapshot = this.core.snapshot();
    this.#pasts.set(snapshot, {
      lines: this.consoleLog.length,
      reports: this.reports.length,
      commands: this.#shell.number,
      kernels: this.#kernels,
    });
    return snapshot;
  }

  /**
   * Goes back to a snapshot. `consoleLog` and `reports` go back too when this machine took it; events are not unsaid.
   */
  restore(snapshot: Snapshot): void {
    this.core.restore(snapshot);
    this.#diskFault = undefined;
    this.#stopped = undefined;
    this.#panicked = undefined;
    this.#ready = true;
    this.#console.cut();
    this.#shell.forget();
    const past = this.#pasts.get(snapshot);
    if (past === undefined) return;
    this.#console.truncate(past.lines, past.reports);
    this.#shell.number = past.commands;
    this.#kernels = past.kernels;
  }

  /** Another machine in the same state, sharing pages until one of the two writes them. */
  async fork(): Promise<Machine> {
    const child = new Machine(await this.core.fork(), this.#image, this.#files, this.#disk?.fork?.());
    child.#ready = this.#ready;
    child.#kernels = this.#kernels;
    child.#sign = this.#sign;
    child.#commandLine = this.#commandLine;
    child.#shell.number = this.#shell.number;
    return child;
  }

  /** A digest of everything that the guest can see. */
  stateHash(): bigint {
    return this.core.stateHash();
  }

  /** What entered the machine from outside, for replay. */
  get inputs(): readonly Input[] {
    return this.core.inputs;
  }

  /** The machine is no more, and its memory goes to the next one. `consoleLog` and `reports` can still be read. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped ??= { kind: "halted" };
    this.core[Symbol.dispose]();
  }

  async #type(port: 0 | 1, text: string, limits: RunLimits): Promise<void> {
    let rest = new TextEncoder().encode(text);
    for (;;) {
      rest = rest.slice(this.core.feedInput(port, rest));
      if (rest.length === 0) return;
      const before = this.time;
      await this.#pump(() => this.time > before + 1_000_000n, limits, "room on the serial line");
    }
  }

  async #runUntilSettled<T>(promise: Promise<T>, limits: RunLimits): Promise<T> {
    let settled = false;
    void promise.then(() => {
      settled = true;
    });
    await this.#pump(() => settled, limits, "the guest's reply");
    return promise;
  }

  #crashKernelHost(): CrashKernelHost {
    const machine = this;
    return {
      disk: this.#disk,
      get time() {
        return machine.time;
      },
      get kernels() {
        return machine.#kernels;
      },
      get stopped() {
        return machine.#stopped?.kind;
      },
      lines: this.consoleLog,
      pump: (done, limits, what) => this.#pump(done, limits, what, true),
    };
  }

  /** Runs slices until `done`. After a panic only what follows it may run: a crash kernel. */
  async #pump(done: () => boolean, limits: RunLimits, what: string, afterPanic = false): Promise<void> {
    using _running = this.#hold();
    const start = this.time;
    const deadline = deadlineAfter(start, limits);
    const { exceptions = Infinity } = limits;
    const firstException = this.core.exceptionCount;
    for (let slice = 1; !done(); slice++) {
      checkAborted(limits.signal, what);
      this.#requireAlive(what, afterPanic);
      if (this.time >= deadline) {
        throw new CrashlabError(
          "timeout",
          `expected ${what} within the budget, found it still pending at guest time ${this.time}; give a larger budget`,
        );
      }
      if (this.core.exceptionCount - firstException >= exceptions) {
        throw new CrashlabError(
          "timeout",
          `expected ${what} within ${exceptions} exceptions, found it still pending after them; allow more`,
        );
      }
      await this.#serve(this.#stops.run(SLICE));
      this.#drain();
      if (slice % SLICES_BETWEEN_REPORTS === 0) {
        limits.onProgress?.({ done: Number(this.time - start), total: limits.budget ?? DEFAULT_BUDGET });
      }
      if (slice % SLICES_BETWEEN_YIELDS === 0) await yieldToHost();
    }
  }

  /** Keeps everything else from running the machine until disposed of. */
  #hold(): Disposable {
    if (this.#busy) {
      throw new CrashlabError(
        "bad-option",
        "expected one operation at a time, found a second; await the first",
      );
    }
    this.#busy = true;
    return {
      [Symbol.dispose]: (): void => {
        this.#busy = false;
      },
    };
  }

  /** Another kernel is on its way up. */
  #jumped(): string | undefined {
    return this.#kernels > 1 && !this.#ready ? "kexec into another kernel" : undefined;
  }

  #requireAlive(what: string, afterPanic: boolean): void {
    const end =
      (afterPanic || this.#toTheEnd ? undefined : (this.#panicked?.headline ?? this.#jumped())) ??
      (this.#stopped === undefined ? undefined : `exit ${this.#stopped.kind}`);
    if (end === undefined) return;
    throw new CrashlabError(
      "machine-stopped",
      `expected ${what}, found the machine stopped: ${end}; boot another`,
    );
  }

  async #serve(exit: Exit): Promise<void> {
    switch (exit.kind) {
      case "budget":
      case "output":
      case "step":
      case "watchpoint":
      case "exception":
        return;
      case "pvpanic":
        this.#drain();
        this.emit("pvpanic", { panicked: (exit.events & 1) !== 0, crashLoaded: (exit.events & 2) !== 0 });
        return;
      case "breakpoint":
        this.#drain();
        await this.#chain?.reached(exit.address);
        return;
      case "doorbell":
        // The message printed before the ring must be seen before it is acted upon.
        this.#drain();
        await this.#doorbell.serve(exit.command, exit.address);
        return;
      case "block":
        {
          const status = await serveBlock(this.core, this.#disk, exit.request, this.#diskFault);
          if (status !== undefined) this.core.completeBlock(status);
        }
        return;
      case "idle":
      case "halted":
      case "triple-fault":
      case "debug-exit":
      case "reset":
        this.#drain();
        this.#console.flush();
        this.#stopped = exit;
        this.emit("stopped", exit);
        return;
    }
  }

  #drain(): void {
    const output = this.core.takeOutput(CONSOLE);
    if (output.length > 0) {
      this.emit("output", output);
      this.#console.take(output);
    }
    const debug = this.core.takeDebugOutput();
    if (debug.length > 0) this.emit("debug", debug);
    const executed = this.core.takeOutput(EXEC);
    if (executed.length > 0) this.#shell.take(executed);
  }

  #takeReport(report: CrashReport): void {
    this.emit("report", report);
    if (report.kind === "oops" || report.kind === "bug") this.emit("oops", report);
    else if (report.kind === "warning") this.emit("warning", report);
    else if (report.kind === "panic") {
      this.#panicked = report;
      this.emit("panic", report);
    }
  }
}

/** A macrotask: timers, sockets and signals of the host get their turn. */
function yieldToHost(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = (): void => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}
