/** One report being read: what all kinds have in common, and what each family reads besides. */
import type { Details, Family, Opening, Part, Reading } from "./families/family.ts";
import type { LogLine } from "./lines.ts";
import { optional, REGISTER_LINE, readCode, readFrame, readPointer, readRegisters } from "./places.ts";
import { parseTaint } from "./taint.ts";
import { dedupeKey, makeTitle } from "./titles.ts";
import type {
  CodeBytes,
  CrashReport,
  Fault,
  InstructionPointer,
  LoadedModule,
  Problem,
  ReportBase,
  TaintFlag,
  TraceContext,
  TraceFrame,
} from "./types.ts";

export const CUT_HERE = "------------[ cut here ]------------";
const END_TRACE = /^---\[ end trace [0-9a-f]{1,16} \]---$/;
const END_PANIC = /^---\[ end Kernel panic - not syncing/;
const REBOOTING = /^Rebooting in \d{1,10} seconds/;
const NOTE = /^note: .{1,32} exited with (?:irqs disabled|preempt_count \d{1,10})$/;
const RULER = /^={20,}$/;
const PF_ACCESS =
  /^#PF: (supervisor|user) (read access|write access|instruction fetch) in (kernel|user) mode$/;
const PF_ERROR = /^#PF: error_code\(0x([0-9a-f]{1,8})\) - (.{1,60})$/;
export const OOPS: RegExp = /: ([0-9a-f]{4}) \[#(\d{1,9})\]((?: [A-Z_]{1,20}){0,12}) *$/;
const WHO =
  /^CPU: (\d{1,6}) (?:UID: \d{1,10} )?PID: (\d{1,10}) Comm: (.{1,32}?) (?:Kdump: loaded )?(Not tainted|Tainted: ([A-Z ]{1,24}|(?:\[[A-Z]\]=\w{1,40}(?:, )?){1,20})) +(\d{1,4}\.\d{1,4}\S{0,64})(?: |$)/;
const RIP = /^RIP: ([0-9a-f]{4}):(.+)$/;
const CODE = /^Code: (.+)$/;
const TRACE = /^(?:Call Trace:|Call trace:)/;
const SECTION = /^ ?<(\/?)([#A-Z_0-9]{2,20})>$/;
const MODULES = /^Modules linked in:(.*)$/;
const CONTEXTS: { readonly [section: string]: TraceContext } = {
  TASK: "task",
  IRQ: "irq",
  SOFTIRQ: "softirq",
  NMI: "nmi",
  ENTRY_TRAMPOLINE: "entry",
};
/** Lines that belong to a report and tell nothing that it keeps. */
const KNOWN =
  /^(?:PGD |BAD$|Stack:|Kernel Offset: |RSP: |Shutting down cpus|Sending NMI from|NMI backtrace for cpu|The buggy address |This frame has |Memory state around|Disabling lock debugging|kernel tried to execute|unable to execute userspace|task:|Stopper: |Dumping ftrace|DR\d: | {1,80}\^$)/;
/** So many of the kernel's other lines may stand within a report. */
const PATIENCE = 60;
const MOST_PROBLEMS = 20;
/** A deep recursion prints a thousand frames; a hostile log must not print a million. */
const MOST_FRAMES = 4096;

/** What a line opens, and the family that knows it. */
export interface Opened {
  readonly opening: Opening;
  readonly family: Family;
}

export class Draft {
  /** Nothing more belongs to it. */
  over = false;
  /** Backtraces of other CPUs are part of it. */
  wantsOthers = false;
  readonly opening: Opening;
  readonly #first: LogLine;
  readonly #afterOops: boolean;
  #last: number;
  #details: Details;
  #fault: { -readonly [key in keyof Fault]: Fault[key] };
  #number: number | undefined;
  #options: readonly string[] = [];
  #cpu: number | undefined;
  #pid: number | undefined;
  #comm: string | undefined;
  #taint: TaintFlag[] = [];
  #release: string | undefined;
  #hardware: string | undefined;
  #workqueue: string | undefined;
  #rip: InstructionPointer | undefined;
  #code: CodeBytes | undefined;
  #registers: Record<string, bigint> = {};
  #userRip: InstructionPointer | undefined;
  #userRegisters: Record<string, bigint> = {};
  #trace: TraceFrame[] = [];
  #context: TraceContext = "task";
  /** Where frames go; nowhere for traces of others. */
  #sink: TraceFrame[] | undefined;
  #inTrace = false;
  #traces = 0;
  #modules: LoadedModule[] = [];
  #problems: Problem[] = [];
  #found = new Set<Part>();
  #ended = false;
  #inUser = false;
  #idle = 0;
  #kdump = false;
  readonly #reading: Reading;
  readonly #reads: NonNullable<Family["reads"]>;

  /** @param afterOops Another report came before it in the log: a panic then has no trace of its own. */
  constructor({ opening, family }: Opened, first: LogLine, message: string | undefined, afterOops: boolean) {
    this.opening = opening;
    this.#reads = family.reads ?? [];
    this.#first = first;
    this.#afterOops = afterOops;
    this.#last = first.number;
    this.#details = structuredClone(opening.details ?? {});
    if (opening.kind === "warning" && message !== undefined) this.#details.message = message;
    this.#fault = { ...opening.fault };
    this.#cpu = opening.cpu;
    this.#pid = opening.pid;
    this.#comm = opening.comm;
    this.#readOops(first.text);
    const draft = this;
    this.#reading = {
      details: this.#details,
      fault: this.#fault,
      get pid() {
        return draft.#pid;
      },
      set pid(value) {
        draft.#pid = value;
      },
      get comm() {
        return draft.#comm;
      },
      set comm(value) {
        draft.#comm = value;
      },
      get cpu() {
        return draft.#cpu;
      },
      set cpu(value) {
        draft.#cpu = value;
      },
      store: (frames) => this.#openTrace(frames),
      beginTrace: () => this.#openTrace(this.#trace),
      found: (part) => void this.#found.add(part),
    };
  }

  get firstLine(): number {
    return this.#first.number;
  }

  /** Whether another opening line belongs to this report: the exception behind its explanation. */
  continues(opening: Opening, line: LogLine): boolean {
    // "BUG: ..." is followed by "Oops: 0002 [#1]", "kernel BUG at" by "invalid opcode: 0000 [#1]".
    return (
      !this.#ended &&
      opening.kind === "oops" &&
      (this.opening.kind === "oops" || this.opening.kind === "bug") &&
      OOPS.test(line.text) &&
      this.#number === undefined &&
      this.#trace.length === 0
    );
  }

  take(line: LogLine, opening: Opening | undefined): void {
    const { text } = line;
    if (opening !== undefined || OOPS.test(text)) {
      this.#keep(line);
      this.#readOops(text);
      if (opening?.fault !== undefined) Object.assign(this.#fault, opening.fault);
      return;
    }
    if (this.#read(text, line.number)) this.#keep(line);
    else if (line.stamped && text !== "" && (this.#ended || ++this.#idle > PATIENCE)) this.over = true;
  }

  #keep(line: LogLine): void {
    this.#last = line.number;
    this.#idle = 0;
  }

  #problem(line: number, message: string): void {
    if (this.#problems.length < MOST_PROBLEMS) this.#problems.push({ line, message });
  }

  #readOops(text: string): void {
    const match = OOPS.exec(text);
    if (match === null) return;
    this.#fault.errorCode ??= Number.parseInt(match[1] ?? "0", 16);
    this.#number = Number(match[2]);
    this.#options = (match[3] ?? "").split(" ").filter((word) => word !== "");
  }

  /** Takes what a line says; false when it is none of this report's business. */
  #read(text: string, number: number): boolean {
    if (END_TRACE.test(text)) {
      // The register dump is printed once more behind the end of an oops.
      this.#ended = true;
      this.#inTrace = false;
      this.#found.add("end");
      if (this.opening.kind === "warning") this.over = true;
      return true;
    }
    if (END_PANIC.test(text) || REBOOTING.test(text)) {
      this.over = this.opening.kind === "panic";
      return this.over;
    }
    if (this.opening.ruled && RULER.test(text)) {
      this.over = true;
      this.#found.add("end");
      return true;
    }
    if (this.#ended) return RIP.test(text) || CODE.test(text) || REGISTER_LINE.test(text) || NOTE.test(text);
    return this.#readTrace(text) || this.#readState(text, number) || this.#readOwn(text) || KNOWN.test(text);
  }

  #openTrace(sink: TraceFrame[] | undefined): void {
    this.#inTrace = true;
    this.#sink = sink;
    this.#context = "task";
    this.#inUser = false;
  }

  #readTrace(text: string): boolean {
    if (TRACE.test(text)) {
      // Only the first trace of a report is its own; later ones are of other CPUs and tasks.
      this.#openTrace(this.#traces++ === 0 ? this.#trace : undefined);
      return true;
    }
    if (!this.#inTrace) return false;
    const section = SECTION.exec(text);
    if (section !== null) {
      const [, slash, name = ""] = section;
      this.#context =
        slash === "/" ? "task" : (CONTEXTS[name] ?? (name.startsWith("#") ? "exception" : "task"));
      if (slash === "/" && name === "TASK") {
        this.#inUser = false;
        this.#inTrace = false;
        this.over = this.opening.endsWithTrace === true;
      }
      return true;
    }
    const frame = readFrame(text, this.#context);
    if (frame === undefined) return false;
    if (this.#sink !== undefined && this.#sink.length < MOST_FRAMES) this.#sink.push(frame);
    if (this.#sink === this.#trace) this.#found.add("trace");
    return true;
  }

  #readState(text: string, number: number): boolean {
    const access = PF_ACCESS.exec(text);
    if (access !== null) {
      this.#fault.mode = access[1] === "user" ? "user" : "kernel";
      this.#fault.access =
        access[2] === "read access" ? "read" : access[2] === "write access" ? "write" : "execute";
      return true;
    }
    const error = PF_ERROR.exec(text);
    if (error !== null) {
      this.#fault.errorCode = Number.parseInt(error[1] ?? "0", 16);
      this.#fault.reason = error[2] ?? "";
      return true;
    }
    if (text.startsWith("CPU: ")) return this.#readWho(text, number);
    if (text.startsWith("Hardware name: ")) {
      this.#hardware ??= text.slice("Hardware name: ".length).trim();
      return true;
    }
    if (text.startsWith("Workqueue: ")) {
      this.#workqueue ??= text.slice("Workqueue: ".length).trim();
      return true;
    }
    const rip = RIP.exec(text);
    if (rip !== null) {
      this.#readRip(readPointer(Number.parseInt(rip[1] ?? "0", 16), rip[2] ?? ""));
      return true;
    }
    const code = CODE.exec(text);
    if (code !== null) {
      this.#readCodeLine(code[1] ?? "", number);
      return true;
    }
    if (REGISTER_LINE.test(text)) {
      // In a trace these are of the code that an interrupt or a system call came upon.
      if (this.#inUser) readRegisters(text, this.#userRegisters);
      else if (!this.#inTrace) {
        readRegisters(text, this.#registers);
        this.#found.add("registers");
      }
      return true;
    }
    const modules = MODULES.exec(text);
    if (modules !== null) {
      const loaded = (modules[1] ?? "").replace(/\[last unloaded: [^\]]{0,200}\]/, "");
      this.#modules = [...loaded.matchAll(/([\w-]{1,64})(?:\(([A-Z+-]{1,12})\))?/g)].map(
        ([, name = "", flags = ""]) => ({ name, flags }),
      );
      return true;
    }
    if (text.startsWith("Sending NMI from CPU")) this.wantsOthers = true;
    return false;
  }

  #readWho(text: string, number: number): boolean {
    const who = WHO.exec(text);
    if (who === null) {
      this.#problem(number, "expected CPU, PID, Comm, taint and release in this line, found something else");
      return true;
    }
    // Only the first is about the report; others are other CPUs'.
    if (this.#found.has("who")) return true;
    this.#found.add("who");
    this.#kdump = text.includes(" Kdump: loaded ");
    this.#cpu = Number(who[1]);
    this.#pid = Number(who[2]);
    this.#comm = who[3];
    this.#taint = who[5] === undefined ? [] : parseTaint(who[5]);
    this.#release = who[6];
    return true;
  }

  #readRip(where: InstructionPointer): void {
    this.#inUser = (where.selector & 3) === 3;
    if (this.#inUser) this.#userRip ??= where;
    // Inside a trace it is the code that an interrupt came upon.
    else if (!this.#inTrace && this.#rip === undefined) {
      this.#rip = where;
      this.#found.add("rip");
    }
  }

  #readCodeLine(text: string, number: number): void {
    const bytes = readCode(text);
    if (bytes === undefined && !/Bad RIP value|Unable to access/.test(text)) {
      this.#problem(number, "expected hexadecimal bytes behind Code:");
    }
    if (this.#inUser || this.#inTrace || this.#found.has("code")) return;
    this.#code = bytes;
    this.#found.add("code");
  }

  /** What only its family prints. */
  #readOwn(text: string): boolean {
    for (const [pattern, read] of this.#reads) {
      const match = pattern.exec(text);
      if (match === null) continue;
      read(match, this.#reading);
      return true;
    }
    // What UBSAN found stands in the line behind its headline.
    if (
      this.#details.ubsan !== undefined &&
      this.#details.ubsan.finding === undefined &&
      !this.#found.has("who")
    ) {
      this.#details.ubsan.finding = text;
      return true;
    }
    return false;
  }

  /** @param cutShort The log ended here. */
  finish(cutShort: boolean): CrashReport {
    const { opening } = this;
    const missing = this.#missing();
    for (const part of missing)
      this.#problem(this.#last, `expected ${PART_NAMES[part]} in the report, found none`);
    if (cutShort && missing.length > 0) this.#problem(this.#last, "the log ends within the report");
    const place = opening.place ?? placeOf(this.#rip);
    const warned = opening.kind === "warning" && this.#rip === undefined ? opening.place : undefined;
    const rip = this.#rip ?? (warned === undefined ? undefined : { selector: 0x10, ...warned });
    const named = rip ?? (opening.place === undefined ? undefined : { selector: 0x10, ...opening.place });
    const sources = { headline: place, rip, trace: this.#trace };
    const rule = typeof opening.title === "function" ? opening.title(this.#details) : opening.title;
    const { title, altTitles, frame, incomplete } = makeTitle(rule, sources);
    const fault: Fault = {
      ...(opening.pageFault ? meaningOf(this.#fault.errorCode) : {}),
      ...this.#fault,
    };
    const parts = opening.parts?.length ?? 0;
    const share = parts === 0 ? 1 : (parts - missing.length) / parts;
    const noise = Math.max(0, this.#problems.length - missing.length);
    const base: ReportBase = {
      title,
      altTitles,
      type: rule.type,
      ...optional("frame", frame),
      corrupted: incomplete || missing.includes("trace") || /\[ *\d+\.\d+\]/.test(title),
      dedupeKey: dedupeKey(opening.kind, rule.type, title, sources),
      headline: this.#first.text,
      lines: [this.#first.number, this.#last],
      ...optional("time", this.#first.time),
      ...optional("number", this.#number),
      options: this.#options,
      ...optional("cpu", this.#cpu),
      ...optional("pid", this.#pid),
      ...optional("comm", this.#comm),
      taint: this.#taint,
      ...optional("release", this.#release),
      ...optional("hardware", this.#hardware),
      ...optional("workqueue", this.#workqueue),
      ...optional("source", opening.source),
      ...optional("fault", Object.keys(fault).length === 0 ? undefined : fault),
      ...optional("rip", named),
      ...optional("code", this.#code),
      registers: this.#registers,
      trace: this.#trace,
      ...optional(
        "user",
        this.#userRip === undefined ? undefined : { rip: this.#userRip, registers: this.#userRegisters },
      ),
      modules: this.#modules,
      problems: this.#problems,
      confidence: Math.round(Math.max(0.05, share - noise * 0.05) * 100) / 100,
    };
    // Each opening comes with the details of its kind.
    return { kind: opening.kind, ...base, ...this.#details } as CrashReport;
  }

  #missing(): Part[] {
    return (this.opening.parts ?? []).filter((part) => {
      if (this.#found.has(part)) return false;
      // The crash kernel is started before the end is printed.
      if (part === "end" && this.#kdump) return false;
      return !(part === "trace" && this.opening.kind === "panic" && this.#afterOops);
    });
  }
}

const PART_NAMES: { readonly [part in Part]: string } = {
  who: "a line CPU: PID: Comm:",
  rip: "a line RIP:",
  registers: "register values",
  code: "a line Code:",
  trace: "frames behind Call Trace:",
  end: "its end",
  access: "the size and address of the access",
};

function placeOf(rip: InstructionPointer | undefined): InstructionPointer | undefined {
  return rip?.symbol === undefined ? undefined : rip;
}

/** Access and mode by the error code of a page fault (SDM 3A 4.7); Linux 4.19 prints no #PF lines. */
function meaningOf(errorCode: number | undefined): Fault {
  if (errorCode === undefined) return {};
  const access = (errorCode & 0x10) !== 0 ? "execute" : (errorCode & 2) !== 0 ? "write" : "read";
  return { access, mode: (errorCode & 4) !== 0 ? "user" : "kernel" };
}
