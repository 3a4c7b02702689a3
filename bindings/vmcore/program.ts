/**
 * A dump opened, and a dump with its vmlinux: the kernel as it was. Few nouns: `Vmcore` is the file, `Program` the
 * kernel in it; tasks, modules and values hang on that. Nothing is changed, and nothing of the dump is kept but the
 * pages read last.
 */
import { CrashlabError } from "../error.ts";
import { parseReports } from "../report/parse.ts";
import type { CrashReport } from "../report/types.ts";
import { type OrcLayout, type OrcTable, orcLayout } from "../symbols/orc.ts";
import { SymbolTable } from "../symbols/table.ts";
import { CHAR, type NamedKind, type Type, type TypeSource, UNSIGNED_LONG } from "../symbols/types.ts";
import { type DumpFile, openDumpFile } from "./dump_file.ts";
import { KernelSymbols, type SymbolPlace } from "./kernel_symbols.ts";
import { formatLogRecord, type LogRecord, readLog } from "./log.ts";
import { type AddressSpace, KERNEL_MAP, PhysicalMemory, VirtualMemory } from "./memory.ts";
import { type LoadedModule, readModules } from "./modules.ts";
import { type DumpSource, type ReadOptions, rangeReader, viewOf, watchedReader } from "./range_reader.ts";
import { parsePrstatus, type SavedCpu } from "./registers.ts";
import type { StackFrame } from "./stack_frame.ts";
import { readTasks, type Task } from "./tasks.ts";
import { cpuStackTrace } from "./unwind.ts";
import { Value } from "./value.ts";
import { VmcoreInfo } from "./vmcoreinfo.ts";
import { orcOf, readSymbols, typesOf } from "./vmlinux.ts";

/** A dump file, by itself. */
export class Vmcore {
  readonly dump: DumpFile;
  readonly info: VmcoreInfo;
  /** Registers that the dump has of each CPU, in its order. */
  readonly cpus: readonly SavedCpu[];

  /** Stops what is read from it; see `open`. */
  readonly signal: AbortSignal | undefined;

  private constructor(dump: DumpFile, signal: AbortSignal | undefined) {
    this.dump = dump;
    this.signal = signal;
    const info = dump.notes.find((note) => note.name === "VMCOREINFO");
    this.info = new VmcoreInfo(new TextDecoder().decode(info?.description ?? new Uint8Array(0)));
    this.cpus = dump.notes.flatMap((note) => parsePrstatus(note) ?? []);
  }

  /**
   * Opens an ELF or kdump-compressed dump, flattened or not: a Blob, a FileHandle or bytes. Throws `bad-vmcore` for
   * anything else. All that is read from it later ends with `aborted` when the signal fires.
   */
  static async open(source: DumpSource, options: ReadOptions = {}): Promise<Vmcore> {
    const reader = watchedReader(await rangeReader(source), options);
    return new Vmcore(await openDumpFile(reader), options.signal);
  }

  /**
   * The kernel in the dump, with its vmlinux; the options are for reading that. Throws `bad-kernel` when it is not the
   * kernel which ran, `aborted` when the signal fires.
   */
  async program(vmlinux: DumpSource | SymbolTable, options: ReadOptions = {}): Promise<Program> {
    const table = vmlinux instanceof SymbolTable ? vmlinux : await readSymbols(vmlinux, options);
    return Program.open(this, table);
  }
}

/** The kernel in a dump: its symbols, types, memory, tasks and log. */
export class Program {
  readonly vmcore: Vmcore;
  readonly symbols: KernelSymbols;
  readonly types: TypeSource;
  readonly memory: VirtualMemory;
  readonly orcLayout: OrcLayout;
  readonly orc: OrcTable | undefined;
  readonly #problems: string[];
  #modules: Promise<readonly LoadedModule[]> | undefined;
  #tasks: Promise<readonly Task[]> | undefined;

  private constructor(vmcore: Vmcore, table: SymbolTable) {
    this.vmcore = vmcore;
    this.#problems = [...vmcore.dump.problems];
    this.symbols = new KernelSymbols(table, kernelShift(vmcore, table));
    this.types = typesOf(table);
    this.orcLayout = orcLayout(vmcore.info.release);
    this.orc = orcOf(table, this.orcLayout);
    const { dump } = vmcore;
    this.memory = new VirtualMemory(
      new PhysicalMemory(dump),
      dump.segments,
      addressSpace(vmcore, this.symbols),
    );
  }

  /** The same as `vmcore.program(vmlinux)`. */
  static async open(vmcore: Vmcore, table: SymbolTable): Promise<Program> {
    checkBuildId(vmcore, table);
    const program = new Program(vmcore, table);
    const banner = program.symbols.address("linux_banner");
    const text = banner === undefined ? "" : await program.memory.string(banner);
    if (!text.startsWith("Linux version")) {
      throw new CrashlabError(
        "bad-kernel",
        `expected the vmlinux of this dump, found ${banner === undefined ? "none with the symbol linux_banner" : `"${text.slice(0, 32)}" where it has its version`}; give the vmlinux of ${vmcore.info.release ?? "the kernel that ran"}`,
      );
    }
    program.symbols.modules = await program.modules();
    return program;
  }

  /** What could not be read, and why it did not matter. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /** Notes something that was not as expected; see `problems`. */
  problem(text: string): void {
    if (this.#problems.length < 1000 && !this.#problems.includes(text)) this.#problems.push(text);
  }

  /** `uname -r` of the kernel. */
  get release(): string | undefined {
    return this.vmcore.info.release;
  }

  /** A type by its C name: `struct task_struct`, `pid_t`, `enum pid_type`. Undefined when there is none. */
  findType(name: string): Type | undefined {
    const [, keyword, rest = name] = /^(struct|union|enum) (.+)$/.exec(name.trim()) ?? [];
    const kinds: readonly NamedKind[] = keyword === undefined ? ["typedef", "base"] : [keyword as NamedKind];
    for (const kind of kinds) {
      const type = this.types.find(kind, rest.trim());
      if (type !== undefined) return type;
    }
    return undefined;
  }

  /** A type by its C name. Throws `bad-option` when there is none. */
  type(name: string): Type {
    const type = this.findType(name);
    if (type !== undefined) return type;
    const why =
      this.types.origin === "none"
        ? "a vmlinux without debug information or BTF; give one that has either"
        : `none in its ${this.types.origin}; name one of the kernel's types`;
    throw new CrashlabError("bad-option", `expected a type "${name}", found ${why}`);
  }

  /** A value of a type at an address. */
  value(type: Type | string, address: bigint): Value {
    return new Value(this.memory, typeof type === "string" ? this.type(type) : type, address);
  }

  /** The number that is a member of the structure at an address: `readMember("struct task_struct", task, "pid")`. */
  readMember(type: string, address: bigint, member: string): Promise<bigint> {
    return this.value(type, address).member(member).integer();
  }

  /** Where a symbol is. Throws `bad-option` when there is none of that name. */
  address(name: string): bigint {
    const address = this.symbols.address(name);
    if (address === undefined) {
      throw new CrashlabError("bad-option", `expected a symbol "${name}", found none; see \`sym -q\``);
    }
    return address;
  }

  /** The symbol of a name, or the one that an address belongs to. */
  symbol(which: string | bigint): SymbolPlace | undefined {
    if (typeof which === "bigint") return this.symbols.at(which);
    const symbol = this.symbols.named(which)[0];
    return symbol === undefined ? undefined : { ...symbol, offset: 0 };
  }

  /** A variable of the kernel; with a CPU, that CPU's copy. Its type as far as debug information tells. */
  async variable(name: string, type?: string, cpu?: number): Promise<Value> {
    const known = type === undefined ? this.types.variable(name) : this.type(type);
    const base = this.address(name);
    return this.value(
      known ?? UNSIGNED_LONG,
      cpu === undefined ? base : base + (await this.perCpuOffset(cpu)),
    );
  }

  /** A variable as a plain number of 8 bytes; undefined when the kernel has none of that name or it is not readable. */
  async word(name: string): Promise<bigint | undefined> {
    const address = this.symbols.address(name);
    if (address === undefined) return undefined;
    const bytes = await this.memory.tryRead(address, 8);
    return bytes === undefined ? undefined : this.value(UNSIGNED_LONG, address).u64();
  }

  /** What is added to a per-cpu variable's address. */
  async perCpuOffset(cpu: number): Promise<bigint> {
    const table = this.symbols.address("__per_cpu_offset");
    return table === undefined ? 0n : this.memory.u64(table + BigInt(cpu * 8));
  }

  /** A CPU's copy of a variable as a plain number of 8 bytes; undefined when there is none or it is not readable. */
  async perCpuWord(name: string, cpu: number): Promise<bigint | undefined> {
    const address = this.symbols.address(name);
    if (address === undefined) return undefined;
    const bytes = await this.memory.tryRead(address + (await this.perCpuOffset(cpu)), 8);
    return bytes === undefined ? undefined : viewOf(bytes).getBigUint64(0, true);
  }

  /** What the dump's notes have of a CPU. They are in the order of the CPUs: all of them, or those still online. */
  async savedCpu(cpu: number): Promise<SavedCpu | undefined> {
    const notes = this.vmcore.cpus;
    const present = await this.cpus();
    const order = notes.length === present.length ? present : await this.onlineCpus();
    return notes[order.indexOf(cpu)];
  }

  /** Numbers of the CPUs that were online. */
  onlineCpus(): Promise<number[]> {
    return this.#cpuMask("__cpu_online_mask");
  }

  /** Numbers of the CPUs that there were: a panic takes the others offline. */
  async cpus(): Promise<number[]> {
    const present = await this.#cpuMask("__cpu_present_mask");
    return [...new Set([...present, ...(await this.onlineCpus())])].sort((a, b) => a - b);
  }

  async #cpuMask(name: string): Promise<number[]> {
    const [symbol] = this.symbols.named(name);
    if (symbol === undefined) return [0];
    // Masks lie one after another: the next one's start is this one's end.
    const bytes = await this.memory.tryRead(symbol.address, Math.min(Math.max(symbol.size, 8), 1024));
    const cpus: number[] = [];
    bytes?.forEach((byte, index) => {
      for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) cpus.push(index * 8 + bit);
    });
    return cpus;
  }

  /** Modules that were loaded. */
  modules(): Promise<readonly LoadedModule[]> {
    this.#modules ??= readModules(this);
    return this.#modules;
  }

  /** Idle tasks by CPU, then the others by their number. */
  tasks(): Promise<readonly Task[]> {
    this.#tasks ??= readTasks(this);
    return this.#tasks;
  }

  /**
   * The calls of what ran on a CPU, the innermost first. Needs no types: without debug information and BTF, in which
   * there are no tasks, symbols and ORC give this. Functions of modules have no names then.
   */
  stackTrace(cpu: number): Promise<StackFrame[]> {
    return cpuStackTrace(this, cpu);
  }

  /** The task that panicked; the one on CPU 0 when none did. */
  async crashedTask(): Promise<Task | undefined> {
    const tasks = await this.tasks();
    const cpu = (await this.crashingCpu()) ?? 0;
    return tasks.find((task) => task.active && task.cpu === cpu) ?? tasks.find((task) => task.active);
  }

  /** The CPU that panicked; undefined when none did. */
  async crashingCpu(): Promise<number | undefined> {
    for (const name of ["crashing_cpu", "panic_cpu"]) {
      const address = this.symbols.address(name);
      const bytes = address === undefined ? undefined : await this.memory.tryRead(address, 4);
      if (bytes === undefined) continue;
      const cpu = new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true);
      if (cpu >= 0) return cpu;
    }
    return undefined;
  }

  /** The kernel's log. */
  log(): Promise<LogRecord[]> {
    return readLog(this);
  }

  /** The crash reports in its log, as `parseReports` makes them. */
  async reports(): Promise<CrashReport[]> {
    const records = await this.log();
    // A stamp for each line of a record: as the console has them.
    const lines = records.flatMap((record) =>
      record.text.split("\n").map((text) => formatLogRecord({ ...record, text })),
    );
    return parseReports(lines.join("\n"));
  }

  /** A string that a variable holds as an array or points at. */
  async string(name: string): Promise<string> {
    const address = this.symbols.address(name);
    return address === undefined ? "" : this.value(CHAR, address).memory.string(address);
  }
}

/** A vmlinux of the same version but another build has its symbols elsewhere. */
function checkBuildId({ info }: Vmcore, table: SymbolTable): void {
  if (info.buildId === undefined || table.buildId === undefined || info.buildId === table.buildId) return;
  throw new CrashlabError(
    "bad-kernel",
    `expected the vmlinux with the build id ${info.buildId}, found ${table.buildId}; give the one that ran`,
  );
}

/** The kernel's own word for how far KASLR moved it; else what a symbol's address in VMCOREINFO tells. */
function kernelShift({ info }: Vmcore, table: SymbolTable): bigint {
  if (info.values.has("KERNELOFFSET")) return info.kernelOffset;
  const linked = table.address("_stext");
  const runs = info.symbol("_stext");
  return linked === undefined || runs === undefined ? 0n : BigInt.asUintN(64, runs - linked);
}

function addressSpace({ info, dump }: Vmcore, symbols: KernelSymbols): AddressSpace | undefined {
  const image = dump.segments.find(({ virtual }) => virtual >= KERNEL_MAP);
  const told = info.number("phys_base") ?? dump.physBase;
  const mapped = image === undefined ? 0n : image.physical - (image.virtual - KERNEL_MAP);
  const table =
    info.symbol("swapper_pg_dir") ?? symbols.address("init_top_pgt") ?? symbols.address("swapper_pg_dir");
  if (table === undefined) return undefined;
  return {
    root: BigInt.asUintN(52, table - KERNEL_MAP + BigInt.asIntN(64, told ?? mapped)),
    fiveLevels: info.number("pgtable_l5_enabled") === 1n,
    ignore: info.number("sme_mask") ?? 0n,
  };
}
