/**
 * A booted machine: the kernel's console and shell, its panics, its memory. `boot()` starts one; everything it
 * shows was done by the guest.
 */
import { loadGuest } from "#assets";
import { type BlockRequest, Core, type Exit } from "../core/core.ts";
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
import { ReportStream } from "../report/parse.ts";
import { withSourceLines } from "../report/source_lines.ts";
import type { BugReport, CrashReport, OopsReport, PanicReport, WarningReport } from "../report/types.ts";
import { decodePlace } from "../symbols/decode.ts";
import type { SymbolTable } from "../symbols/table.ts";
import { Kdump } from "../vmcore/kdump.ts";
import { type Disk, SECTOR, SparseDisk } from "./disk.ts";
import { Doorbell } from "./doorbell.ts";
import { Emitter } from "./events.ts";
import { Kasan, type KasanOptions, kasanBoot } from "./kasan.ts";
import { KernelFiles } from "./kernel_files.ts";
import type { BootImage } from "./loaders/boot_image.ts";
import { type BootProtocol, loadKernel, unpackKernel } from "./loaders/kernel.ts";
import type { NetconsoleDatagram } from "./netconsole.ts";
import { type Place, resolvePlace } from "./places.ts";
import { Pstore, pstoreParameters } from "./pstore.ts";
import { stockWords } from "./stock/command_line.ts";
import { hasShells } from "./stock/initramfs.ts";
import { Stops } from "./stops.ts";

const MIB = 1024 * 1024;
const SLICE = 20_000;
/** Slices after which progress is told. */
const SLICES_BETWEEN_REPORTS = 10;
/** Slices after which the host's event loop has its turn. */
const SLICES_BETWEEN_YIELDS = 500;
/** Stands before the number and the exit status of a command. */
const RECORD_SEPARATOR = "\u001e";
const STATUS_LIMIT = 40;
/** Longer console lines are cut into several. */
const LINE_LIMIT = 16384;
const NEVER = 1n << 64n;
/** Of a run, in guest nanoseconds. */
const DEFAULT_BUDGET = 2e9;
/** Guest nanoseconds from a panic until the crash kernel has found the doorbell, and some. */
const CRASH_KERNEL_COMES_UP = 2_000_000_000n;
const CONSOLE = 0;
const EXEC = 1;

/** What `boot()` takes; without any of it a machine of 128 MiB and one CPU comes up. */
export interface BootOptions {
  /** Guest memory: bytes, or a number with K, M or G. Default "128M". */
  readonly memory?: number | string;
  /** 1 to 8. Default 1. */
  readonly cpus?: number;
  /** Added to the default command line: `console=ttyS0 panic=0` and, for stock Linux, the words in docs/stock-linux.md. */
  readonly cmdline?: string;
  /** A vmlinux, bzImage or multiboot image; by default the kernel that comes with crashlab. */
  readonly kernel?: Uint8Array;
  /** By default crashlab's initramfs with crashlab's kernel, nothing with another. */
  readonly initrd?: Uint8Array;
  /**
   * Where the kernel's symbols are: a vmlinux with symbols or a System.map. By default those in the kernel's file or,
   * if it has none, the kallsyms that it carries.
   */
  readonly symbols?: Uint8Array;
  /** The .ko files that the guest may load, by module name, for source lines; crashlab's own need not be given. */
  readonly modules?: { readonly [name: string]: Uint8Array };
  readonly protocol?: BootProtocol;
  /**
   * What the guest's block device (/dev/cblk0) is. With `crashkernel=` on the command line it is by default a disk
   * in memory, where the crash kernel puts its dump; otherwise there is none.
   */
  readonly disk?: Disk;
  /**
   * Messages outlive the kernel: adds the `memmap=` and `ramoops.` parameters of a zone of 1 MiB, which
   * `machine.pstore` reads. Default false.
   */
  readonly pstore?: boolean;
  /** Find bad accesses of the kernel: see KasanOptions. */
  readonly kasan?: KasanOptions;
  /** Kernel pointers may carry a tag in their top byte (see CoreOptions). */
  readonly ignoreTopByte?: boolean;
  /** Unix time in seconds of the real-time clock at power-on. */
  readonly startSeconds?: number;
  /** Guest nanoseconds (an instruction is one) that booting may take before `timeout` is thrown. Default 5e9. */
  readonly budget?: number;
  /** Ends booting with `aborted`. */
  readonly signal?: AbortSignal;
  /** Called for every 200,000 instructions or so. */
  readonly onProgress?: (progress: RunProgress) => void;
  /** Console lines from the first one on: `on("console")` can be called only after booting. */
  readonly onConsole?: (line: string) => void;
  /** The same for raw console output. */
  readonly onOutput?: (bytes: Uint8Array) => void;
  /** The same for netconsole datagrams. */
  readonly onNetconsole?: (datagram: NetconsoleDatagram) => void;
}

/** What a machine tells of; `machine.on(name, listener)`. A report comes when its last line has been printed. */
export interface MachineEvents {
  /** A line of the console, without its end. */
  console: string;
  /** Raw bytes of the console. */
  output: Uint8Array;
  /** A crash report of any kind. */
  report: CrashReport;
  /** An exception or BUG() in the kernel, such as a NULL dereference. */
  oops: OopsReport | BugReport;
  /** A WARN() in the kernel, which goes on. */
  warning: WarningReport;
  /** The kernel has panicked. */
  panic: PanicReport;
  /** The machine has stopped for good. */
  stopped: Exit;
  /** Bytes that the guest wrote to port E9h, the debug console. */
  debug: Uint8Array;
  /** A netconsole datagram (boot parameter `netconsole=`). */
  netconsole: NetconsoleDatagram;
}

/** What a command in the guest's shell came to. */
export interface ExecResult {
  /** What the command wrote to standard output and standard error. */
  readonly stdout: string;
  /** Exit status, 0 to 255; 128 + N for a process that signal N ended. */
  readonly status: number;
}

/** How far a run has come, in guest nanoseconds since it began. */
export interface RunProgress {
  readonly done: number;
  /** The budget; Infinity where there is none. Most runs end long before. */
  readonly total: number;
}

/** How long the guest may run, and who may end it or watch it. */
export interface RunLimits {
  /** Guest nanoseconds (an instruction is one) to run at most; then `timeout` is thrown. Default 2e9. */
  readonly budget?: number;
  /** Ends the run with `aborted`; the machine stands where it is and can be run again. */
  readonly signal?: AbortSignal;
  /** Called for every 200,000 instructions or so. */
  readonly onProgress?: (progress: RunProgress) => void;
}

export interface InjectLimits extends RunLimits {
  /**
   * A kernel that panics runs until it halts or resets by itself, not only until its last line has been read: so
   * nothing depends on what the console says. Default false.
   */
  readonly toTheEnd?: boolean;
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
  #decoder = new TextDecoder();
  #execDecoder = new TextDecoder();
  #line = "";
  #execNumber = 0;
  #execOutput: string[] = [];
  /** The end of it, in which the end of the command shows. */
  #execEnd = "";
  #reports = new ReportStream();
  #seen: CrashReport[] = [];
  #lines: string[] = [];
  #ready = false;
  #shellSpoke = false;
  #stopped: Exit | undefined;
  #panicked: CrashReport | undefined;
  #busy = false;
  /** A panic's last line does not end the run. */
  #toTheEnd = false;
  /** What the host had seen when a snapshot was taken. */
  readonly #pasts = new WeakMap<Snapshot, { lines: number; reports: number; execNumber: number }>();
  readonly #disk: Disk | undefined;
  #dumpOptions = "";
  #dumped: number | undefined;
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
    this.kasan = new Kasan(core);
    this.kdump = new Kdump(
      core,
      () => this.symbols,
      () => this.#hold(),
      (words, limits, onProgress) => this.#runCrashKernel(words, limits, onProgress),
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
      dumpOptions: () => this.#dumpOptions,
      dumped: (status) => {
        this.#dumped = status;
      },
    });
    const notify = (id: number, event: number, message: string): Promise<number> =>
      this.panicNotifiers.notify(id, event, message);
    this.#chain = files.stock ? new BreakpointChain(core, () => this.symbols, notify) : undefined;
    this.panicNotifiers = new PanicNotifiers(
      this.#chain ?? guestChain(this.#doorbell, (reply) => this.#runUntilSettled(reply)),
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
    const kernel = unpackKernel(options.kernel ?? (await loadGuest("vmlinux")));
    const stock = own ? [] : stockWords(kernel);
    const initrd = options.initrd ?? (own ? await loadGuest("initramfs.cpio") : undefined);
    const kasan = kasanBoot(options.kasan);
    const commandLine = [
      "console=ttyS0",
      "panic=0",
      ...(options.pstore === true ? [pstoreParameters(ramBytes, initrd?.length ?? 0)] : []),
      ...stock,
      kasan.cmdline,
      options.cmdline ?? "",
    ]
      .filter((words) => words !== "")
      .join(" ");
    const cpus = options.cpus ?? 1;
    const image = loadKernel({ kernel, initrd, commandLine, ramBytes, cpus }, options.protocol);
    const { startSeconds, ignoreTopByte = false } = options;
    const core = await Core.create({
      ramBytes,
      cpus,
      ignoreTopByte,
      shadowCheck: kasan.shadowCheck,
      ...(startSeconds === undefined ? {} : { startSeconds }),
    });
    core.start(image);
    const dumps = own && /(^| )crashkernel=/.test(commandLine);
    const disk = options.disk ?? (dumps ? new SparseDisk(dumpSectors(ramBytes)) : undefined);
    core.attachBlock(disk?.sectors ?? 0n);
    const { symbols, modules } = options;
    const machine = new Machine(
      core,
      image,
      new KernelFiles(kernel, { own, stock: stock.length > 0, symbols, modules }),
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

  /** Console lines so far. */
  get consoleLog(): readonly string[] {
    return this.#lines;
  }

  /** Crash reports so far. */
  get reports(): readonly CrashReport[] {
    return this.#seen;
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
    // Each command's end has its number: one given up earlier may still end before this one.
    const end = `${RECORD_SEPARATOR}${++this.#execNumber} `;
    this.#execOutput = [];
    this.#execEnd = "";
    await this.#type(EXEC, `${command}\nprintf '\\036%d %d\\n' ${this.#execNumber} $?\n`, limits);
    const status = new RegExp(`${end}(\\d+)\\r?\\n`);
    await this.#pump(() => status.test(this.#execEnd), limits, `"${command}" to end`);
    const output = this.#execOutput.join("");
    const [own = ""] = output.split(end);
    const earlier = own.lastIndexOf(RECORD_SEPARATOR);
    const start = earlier < 0 ? 0 : own.indexOf("\n", earlier) + 1;
    return {
      stdout: own.slice(start).replaceAll("\r\n", "\n"),
      status: Number.parseInt(status.exec(this.#execEnd)?.[1] ?? "0", 10),
    };
  }

  /** Types into the console's shell. */
  async write(text: string, limits: RunLimits = {}): Promise<void> {
    await this.#type(CONSOLE, text, limits);
  }

  /** Kernel parameters through the guest's /proc/sys, by their dotted names. */
  readonly sysctl: {
    /** Value of a parameter, without the line end. Throws `bad-option` when the guest has none of that name. */
    get(name: string, limits?: RunLimits): Promise<string>;
    /** Throws `bad-option` when the guest does not take it. */
    set(name: string, value: string | number, limits?: RunLimits): Promise<void>;
  } = {
    get: async (name, limits) => {
      const { stdout, status } = await this.exec(`cat ${sysctlPath(name)}`, limits);
      if (status !== 0) throw badSysctl(name, stdout);
      return stdout.trimEnd();
    },
    set: async (name, value, limits) => {
      const { stdout, status } = await this.exec(`echo ${value} > ${sysctlPath(name)}`, limits);
      if (status !== 0) throw badSysctl(name, stdout);
    },
  };

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
      flush: (): void => this.#flushReports(),
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
      this.#flushReports();
      this.core.restart(this.#image);
      this.core.attachBlock(this.#disk?.sectors ?? 0n);
      this.#kernels = 0;
      this.#dumped = undefined;
      this.#doorbell.forget();
      this.#decoder = new TextDecoder();
      this.#execDecoder = new TextDecoder();
      this.#line = "";
      this.#ready = false;
      this.#shellSpoke = false;
      this.#stopped = undefined;
      this.#panicked = undefined;
    }
    await this.#untilUp(limits);
  }

  async #untilUp(given: RunLimits): Promise<void> {
    const limits = { budget: 5e9, ...given };
    const before = this.#lines.length;
    switch (this.#sign) {
      case "ready":
        return this.#pump(() => this.#ready, limits, "user space to come up");
      case "shells":
        return this.#pump(() => this.#shellSpoke, limits, "the initramfs's shells to come up");
      case "line":
        return this.#pump(() => this.#lines.length > before, limits, "the kernel's first line");
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
    this.#flushReports();
    return this.#stopped ?? { kind: "budget" };
  }

  /** All state as data; see encodeSnapshot for its file form. */
  snapshot(): Snapshot {
    const snapshot = this.core.snapshot();
    this.#pasts.set(snapshot, {
      lines: this.#lines.length,
      reports: this.#seen.length,
      execNumber: this.#execNumber,
    });
    return snapshot;
  }

  /**
   * Goes back to a snapshot. `consoleLog` and `reports` go back too when this machine took it; events are not unsaid.
   */
  restore(snapshot: Snapshot): void {
    this.core.restore(snapshot);
    this.#stopped = undefined;
    this.#panicked = undefined;
    this.#ready = true;
    this.#line = "";
    this.#decoder = new TextDecoder();
    this.#execDecoder = new TextDecoder();
    this.#reports = new ReportStream();
    const past = this.#pasts.get(snapshot);
    if (past === undefined) return;
    this.#lines = this.#lines.slice(0, past.lines);
    this.#seen = this.#seen.slice(0, past.reports);
    this.#execNumber = past.execNumber;
  }

  /** Another machine in the same state, sharing pages until one of the two writes them. */
  async fork(): Promise<Machine> {
    const child = new Machine(await this.core.fork(), this.#image, this.#files, this.#disk?.fork?.());
    child.#ready = this.#ready;
    child.#kernels = this.#kernels;
    child.#sign = this.#sign;
    child.#commandLine = this.#commandLine;
    child.#execNumber = this.#execNumber;
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

  /** The machine does not run any more; what it left can still be read. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped ??= { kind: "halted" };
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

  async #runUntilSettled<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    void promise.then(() => {
      settled = true;
    });
    await this.#pump(() => settled, {}, "the guest's reply");
    return promise;
  }

  async #serveBlock({ command, sector, count, address }: BlockRequest): Promise<"ok" | "io-error"> {
    const length = count * SECTOR;
    if (this.#disk === undefined || address + BigInt(length) > BigInt(this.core.ramBytes)) return "io-error";
    try {
      if (command === "write") await this.#disk.write(sector, this.core.readPhysical(address, length));
      else if (command === "read") this.core.writePhysical(address, await this.#disk.read(sector, count));
      return "ok";
    } catch {
      return "io-error";
    }
  }

  /** After a panic: lets the crash kernel write its dump; gives the disk with it. */
  async #runCrashKernel(
    words: string,
    limits: RunLimits,
    onProgress: (bytes: number) => void,
  ): Promise<SparseDisk> {
    const disk = this.#disk;
    if (!(disk instanceof SparseDisk)) {
      throw new CrashlabError(
        "bad-option",
        "expected a machine with a crash kernel and its own dump disk, found one booted without crashkernel= or with " +
          'another disk; add "crashkernel=32M" to cmdline and leave disk out',
      );
    }
    this.#dumpOptions = words;
    this.#dumped = undefined;
    let seen = 0;
    const latest = this.time + CRASH_KERNEL_COMES_UP;
    const none = (): boolean => this.#kernels < 2 && this.time > latest;
    const done = (): boolean => {
      if (disk.written !== seen) {
        seen = disk.written;
        onProgress(seen);
      }
      return this.#dumped !== undefined || this.#stopped !== undefined || none();
    };
    await this.#pump(done, { budget: 60e9, ...limits }, "the crash kernel to write its dump", true);
    if (this.#dumped === 0) return disk;
    if (none()) {
      throw new CrashlabError(
        "machine-stopped",
        "expected a crash kernel, found the first one still running; it starts only on a panic (panic_on_oops=1 makes an oops one)",
      );
    }
    const end = this.#dumped === undefined ? `exit ${this.#stopped?.kind}` : `status ${this.#dumped}`;
    throw new CrashlabError(
      "machine-stopped",
      `expected the crash kernel to write its dump, found it ended with ${end}; the console says: ` +
        `${this.#lines.slice(-3).join(" | ")}; capture({ via: "host" }) still works`,
    );
  }

  /** Runs slices until `done`. After a panic only what follows it may run: a crash kernel. */
  async #pump(done: () => boolean, limits: RunLimits, what: string, afterPanic = false): Promise<void> {
    using _running = this.#hold();
    const start = this.time;
    const deadline = deadlineAfter(start, limits);
    for (let slice = 1; !done(); slice++) {
      checkAborted(limits.signal, what);
      this.#requireAlive(what, afterPanic);
      if (this.time >= deadline) {
        throw new CrashlabError(
          "timeout",
          `expected ${what} within the budget, found it still pending at guest time ${this.time}; give a larger budget`,
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
      case "pvpanic":
      case "step":
      case "watchpoint":
      case "exception":
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
        this.core.completeBlock(await this.#serveBlock(exit.request));
        return;
      case "idle":
      case "halted":
      case "triple-fault":
      case "debug-exit":
      case "reset":
        this.#drain();
        this.#flushReports();
        this.#stopped = exit;
        this.emit("stopped", exit);
        return;
    }
  }

  #drain(): void {
    const output = this.core.takeOutput(CONSOLE);
    if (output.length > 0) {
      this.emit("output", output);
      const lines = (this.#line + this.#decoder.decode(output, { stream: true })).split("\n");
      this.#line = lines.pop() ?? "";
      if (this.#line.length > LINE_LIMIT) {
        lines.push(this.#line);
        this.#line = "";
      }
      for (const line of lines) this.#takeLine(line.replace(/\r$/, ""));
    }
    const debug = this.core.takeDebugOutput();
    if (debug.length > 0) this.emit("debug", debug);
    const executed = this.core.takeOutput(EXEC);
    if (executed.length > 0) {
      const text = this.#execDecoder.decode(executed, { stream: true });
      this.#shellSpoke = true;
      this.#execOutput.push(text);
      this.#execEnd = this.#execEnd.slice(-STATUS_LIMIT) + text;
    }
  }

  #takeLine(line: string): void {
    this.#lines.push(line);
    this.emit("console", line);
    for (const report of this.#reports.push(line)) this.#takeReport(report);
  }

  #flushReports(): void {
    for (const report of this.#reports.end()) this.#takeReport(report);
  }

  #takeReport(report: CrashReport): void {
    this.#seen.push(report);
    this.emit("report", report);
    if (report.kind === "oops" || report.kind === "bug") this.emit("oops", report);
    else if (report.kind === "warning") this.emit("warning", report);
    else if (report.kind === "panic") {
      this.#panicked = report;
      this.emit("panic", report);
    }
  }
}

/** A file given as an option; JavaScript may give anything. */
function checkBytes(what: string, code: "bad-kernel" | "bad-initrd", bytes: unknown): void {
  if (bytes === undefined || bytes instanceof Uint8Array) return;
  throw new CrashlabError(
    code,
    `expected the bytes of the ${what} as Uint8Array, found ${typeof bytes}; read the file`,
  );
}

function checkAborted(signal: AbortSignal | undefined, what: string): void {
  if (!signal?.aborted) return;
  throw new CrashlabError("aborted", `expected ${what}, found the caller's signal aborted`, {
    cause: signal.reason,
  });
}

/** Guest time at which a budget is used up. */
function deadlineAfter(time: bigint, { budget = DEFAULT_BUDGET }: { readonly budget?: number }): bigint {
  if (Number.isNaN(budget) || budget < 0) {
    throw new CrashlabError(
      "bad-option",
      `expected a budget of 0 or more guest nanoseconds, found ${budget}`,
    );
  }
  return time + (Number.isFinite(budget) ? BigInt(Math.floor(budget)) : NEVER);
}

/** Room for a dump of all memory, uncompressed, with its headers. */
function dumpSectors(ramBytes: number): bigint {
  return BigInt((ramBytes + 64 * MIB) / SECTOR);
}

/** Bytes of "128M" and the like. */
export function parseMemory(memory: number | string): number {
  const match = /^(\d+)([KMG]?)$/i.exec(String(memory).trim());
  const factor = { "": 1, K: 1024, M: MIB, G: 1024 * MIB }[match?.[2]?.toUpperCase() ?? ""];
  if (match === null || factor === undefined) {
    throw new CrashlabError("bad-option", `expected memory such as "128M", found "${memory}"`);
  }
  return Number(match[1]) * factor;
}

function sysctlPath(name: string): string {
  if (!/^[\w.-]+$/.test(name)) {
    throw new CrashlabError("bad-option", `expected a sysctl such as kernel.panic_on_oops, found "${name}"`);
  }
  return `/proc/sys/${name.replaceAll(".", "/")}`;
}

function badSysctl(name: string, said: string): CrashlabError {
  return new CrashlabError("bad-option", `expected a sysctl of the guest, found "${name}": ${said.trim()}`);
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
