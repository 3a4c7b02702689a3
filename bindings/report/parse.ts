/**
 * From a kernel log to crash reports: oopses, BUGs, warnings, panics and the watchdogs' findings, in the words
 * of Linux 4.19 to 6.1 on x86-64. Never throws; what does not fit is noted in `problems`.
 */
import { type LogLine, readLine } from "./lines.ts";
import { type Opening, readOpening } from "./openers.ts";
import { parseTaint } from "./taint.ts";
import type {
  CodeBytes,
  CodeLocation,
  CrashReport,
  Fault,
  InstructionPointer,
  LoadedModule,
  Problem,
  TaintFlag,
  TraceContext,
  TraceFrame,
} from "./types.ts";

/** Reports in a whole log, in order. */
export function parseReports(log: string): CrashReport[] {
  const stream = new ReportStream();
  const reports = log.split("\n").flatMap((line) => stream.push(line));
  return [...reports, ...stream.end()];
}

const CUT_HERE = "------------[ cut here ]------------";
const END_TRACE = /^---\[ end trace [0-9a-f]+ \]---$/;
const END_PANIC = /^---\[ end Kernel panic - not syncing/;
/** Lines after which a report is over, whatever it was. */
const AFTERMATH = /^(?:note: .* exited with |Killed|Segmentation fault|=== )/;
const RULER = /^=+$/;

/** The same, line by line: each push gives the reports that the line completed. */
export class ReportStream {
  #number = 0;
  #open: Draft | undefined;

  push(raw: string): CrashReport[] {
    this.#number++;
    const line = readLine(raw, this.#number);
    const opening = readOpening(line.text);
    const open = this.#open;
    if (open !== undefined && opening !== undefined && open.continues(opening, line)) {
      open.take(line, opening);
      return [];
    }
    if (opening !== undefined) {
      const done = this.end();
      this.#open = new Draft(opening, line);
      return opening.single ? [...done, ...this.end()] : done;
    }
    if (open === undefined) return [];
    if (line.text === CUT_HERE || AFTERMATH.test(line.text)) return this.end();
    open.take(line, undefined);
    return open.over ? this.end() : [];
  }

  /** What is still open when the log ends. */
  end(): CrashReport[] {
    const open = this.#open;
    this.#open = undefined;
    return open === undefined ? [] : [open.finish()];
  }
}

const PF_ACCESS =
  /^#PF: (supervisor|user) (read access|write access|instruction fetch) in (kernel|user) mode$/;
const PF_ERROR = /^#PF: error_code\(0x([0-9a-f]+)\) - (.+)$/;
const OOPS = /: ([0-9a-f]{4}) \[#(\d+)\]((?: [A-Z_]+)*)\s*$/;
const WHO = /^CPU: (\d+) PID: (\d+) Comm: (.+?) (Not tainted|Tainted: (.{1,20}?)) +(\d+\.\d+\S*) /;
const RIP = /^RIP: ([0-9a-f]{4}):(.+)$/;
const CODE = /^Code: (.+)$/;
const REGISTER =
  /\b(R[A-Z0-9]{2}|ORIG_RAX|EFLAGS|CR\d|[CDEFGS]S|knlGS|DR\d|PKRU): +(?:[0-9a-f]{4}:)?([0-9a-f]{4,16})/g;
const REGISTER_LINE = /^(?:R[A-Z0-9]{2}|ORIG_RAX|[CF]S|CR2|DR\d): /;
const TRACE = /^Call Trace:/;
const SECTION = /^ ?<(\/?)([#\w]+)>$/;
const FRAME =
  /^ +(\? )?(?:\[<([0-9a-f]+)>\] )?(\S+)\+0x([0-9a-f]+)\/0x([0-9a-f]+)(?: \[(\S+?)(?: [0-9a-f]{20,})?\])?(?: .*)?$/;
const RAW_FRAME = /^ +(\? )?0x([0-9a-f]{1,16})$/;
const PLACE = /^(\S+)\+0x([0-9a-f]+)\/0x([0-9a-f]+)(?: \[(\S+?)\])?/;
const MODULES = /^Modules linked in:(.*)$/;
const KASAN_ACCESS = /^(Read|Write) of size \d+ at addr ([0-9a-f]+) by task (.+)\/(\d+)$/;
const CONTEXTS: { readonly [section: string]: TraceContext } = {
  TASK: "task",
  IRQ: "irq",
  SOFTIRQ: "softirq",
  NMI: "nmi",
  ENTRY_TRAMPOLINE: "entry",
};

/** Functions that report or schedule: never the ones that a title should name. */
const REPORTERS =
  /^(?:dump_stack|show_stack|__schedule|schedule|__might_|panic|ubsan_|__ubsan_|__warn|io_schedule|.*_timeout$|__mutex_lock|mutex_lock)/;

/** A report being read. */
class Draft {
  over = false;
  readonly #opening: Opening;
  readonly #first: LogLine;
  #last: number;
  #fault: { -readonly [key in keyof Fault]: Fault[key] };
  #number: number | undefined;
  #options: readonly string[] = [];
  #cpu: number | undefined;
  #pid: number | undefined;
  #comm: string | undefined;
  #taint: TaintFlag[] = [];
  #release: string | undefined;
  #hardware: string | undefined;
  #rip: InstructionPointer | undefined;
  #code: CodeBytes | undefined;
  #registers: Record<string, bigint> = {};
  #userRip: InstructionPointer | undefined;
  #userRegisters: Record<string, bigint> = {};
  #trace: TraceFrame[] = [];
  #context: TraceContext = "task";
  #inTrace = false;
  #traces = 0;
  #modules: LoadedModule[] = [];
  #problems: Problem[] = [];
  #ended = false;
  #inUser = false;
  #kind: Opening["kind"];
  #subject: string;

  constructor(opening: Opening, first: LogLine) {
    this.#opening = opening;
    this.#first = first;
    this.#last = first.number;
    this.#kind = opening.kind;
    this.#subject = opening.subject;
    this.#fault = { ...opening.fault };
    this.#cpu = opening.cpu;
    this.#pid = opening.pid;
    this.#comm = opening.comm;
    this.#readOops(first.text);
    const warned = /^WARNING: .* at \S+ (.+)$/.exec(first.text);
    if (warned?.[1] !== undefined) this.#rip = pointer(0x10, warned[1]);
    const found = /^BUG: (?:KASAN|KFENCE): .+? in (.+)$/.exec(first.text);
    if (found?.[1] !== undefined) this.#rip = pointer(0x10, found[1]);
  }

  /** Whether another opening line belongs to this report: the exception behind its explanation. */
  continues(opening: Opening, line: LogLine): boolean {
    if (this.#ended) return false;
    // "BUG: ..." is followed by "Oops: 0002 [#1]", "kernel BUG at" by "invalid opcode: 0000 [#1]".
    return (
      opening.kind === "oops" &&
      (this.#kind === "oops" || this.#kind === "bug" || this.#kind === "kasan") &&
      OOPS.test(line.text) &&
      this.#number === undefined &&
      this.#trace.length === 0
    );
  }

  take(line: LogLine, opening: Opening | undefined): void {
    const { text } = line;
    if (opening !== undefined || OOPS.test(text)) {
      this.#last = line.number;
      this.#readOops(text);
      if (opening?.fault !== undefined) this.#fault = { ...this.#fault, ...opening.fault };
      return;
    }
    if (this.#read(text, line.number)) this.#last = line.number;
  }

  #readOops(text: string): void {
    const match = OOPS.exec(text);
    if (match === null) return;
    this.#fault.errorCode ??= Number.parseInt(match[1] ?? "0", 16);
    this.#number = Number(match[2]);
    this.#options = (match[3] ?? "")
      .trim()
      .split(" ")
      .filter((word) => word !== "");
  }

  /** Takes what a line says; false when it is none of this report's business. */
  #read(text: string, number: number): boolean {
    if (END_TRACE.test(text)) {
      // The register dump is printed once more behind the end of an oops.
      this.#ended = true;
      this.#inTrace = false;
      if (this.#kind === "warning") this.over = true;
      return true;
    }
    if (END_PANIC.test(text)) {
      this.over = true;
      return true;
    }
    if (RULER.test(text) && (this.#kind === "kasan" || this.#kind === "ubsan" || this.#kind === "kfence")) {
      this.over = this.#traces > 0;
      return true;
    }
    if (this.#ended) return RIP.test(text) || CODE.test(text) || REGISTER_LINE.test(text);
    return this.#readTrace(text) || this.#readState(text, number);
  }

  #readTrace(text: string): boolean {
    if (TRACE.test(text)) {
      this.#inTrace = true;
      this.#traces++;
      this.#context = "task";
      return true;
    }
    if (!this.#inTrace) return false;
    const section = SECTION.exec(text);
    if (section !== null) {
      const name = section[2] ?? "";
      this.#context =
        section[1] === "/" ? "task" : (CONTEXTS[name] ?? (name.startsWith("#") ? "exception" : "task"));
      if (section[1] === "/" && name === "TASK") this.#inUser = false;
      return true;
    }
    const frame = FRAME.exec(text) ?? RAW_FRAME.exec(text);
    if (frame === null) return false;
    // Only the first trace of a report is its own; later ones are of allocation and free, or other CPUs.
    if (this.#traces === 1) this.#trace.push(readFrame(frame, this.#context));
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
    const kasan = KASAN_ACCESS.exec(text);
    if (kasan !== null) {
      this.#fault.access = kasan[1] === "Read" ? "read" : "write";
      this.#fault.address = BigInt(`0x${kasan[2]}`);
      this.#comm = kasan[3];
      this.#pid = Number(kasan[4]);
      this.#subject += ` ${kasan[1]}`;
      return true;
    }
    const who = WHO.exec(`${text} `);
    if (who !== null) {
      this.#cpu = Number(who[1]);
      this.#pid = Number(who[2]);
      this.#comm = who[3];
      this.#taint = who[5] === undefined ? [] : parseTaint(who[5]);
      this.#release = who[6];
      return true;
    }
    if (text.startsWith("Hardware name: ")) {
      this.#hardware = text.slice("Hardware name: ".length).trim();
      return true;
    }
    const rip = RIP.exec(text);
    if (rip !== null) {
      const where = pointer(Number.parseInt(rip[1] ?? "0", 16), rip[2] ?? "");
      this.#inUser = (where.selector & 3) === 3;
      if (this.#inUser) this.#userRip ??= where;
      // Inside a trace it is the code that an interrupt came upon.
      else if (!this.#inTrace) this.#rip = where;
      return true;
    }
    const code = CODE.exec(text);
    if (code !== null) {
      const bytes = readCode(code[1] ?? "");
      if (bytes === undefined && !/Bad RIP value|Unable to access/.test(text)) {
        this.#problems.push({ line: number, message: "expected hexadecimal bytes behind Code:" });
      }
      if (!this.#inUser && !this.#inTrace) this.#code = bytes;
      return true;
    }
    if (REGISTER_LINE.test(text)) {
      const values = this.#inUser ? this.#userRegisters : this.#registers;
      for (const [, name = "", value] of text.matchAll(REGISTER))
        values[name.toLowerCase()] ??= BigInt(`0x${value}`);
      return true;
    }
    const modules = MODULES.exec(text);
    if (modules !== null) {
      this.#modules = [...(modules[1] ?? "").matchAll(/(\w+)(?:\(([A-Z+-]+)\))?/g)]
        .filter((match) => !(modules[1] ?? "").includes(`: ${match[1]}`))
        .map(([, name = "", flags = ""]) => ({ name, flags }));
      return true;
    }
    return /^(?:PGD |BAD$|Stack:|Workqueue: |Kernel Offset: |Rebooting in|RSP: |Call Trace)/.test(text);
  }

  finish(): CrashReport {
    if (this.#kind === "oops" && this.#opening.subject !== "Oops" && this.#rip === undefined) {
      this.#problems.push({ line: this.#last, message: "expected a line RIP: in an oops, found none" });
    }
    const fault: Fault = {
      ...(this.#opening.pageFault ? meaningOf(this.#fault.errorCode) : {}),
      ...this.#fault,
    };
    return {
      kind: this.#kind,
      title: this.#title(),
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
      ...optional("source", this.#opening.source),
      ...optional("fault", Object.keys(fault).length === 0 ? undefined : fault),
      ...optional("rip", this.#rip),
      ...optional("code", this.#code),
      registers: this.#registers,
      trace: this.#trace,
      ...optional(
        "user",
        this.#userRip === undefined ? undefined : { rip: this.#userRip, registers: this.#userRegisters },
      ),
      modules: this.#modules,
      problems: this.#problems,
    };
  }

  #title(): string {
    if (this.#opening.complete) return this.#subject;
    const culprit = this.#trace.find(
      (frame) => frame.reliable && frame.symbol !== undefined && !REPORTERS.test(frame.symbol),
    );
    const where = this.#rip?.symbol ?? culprit?.symbol;
    return where === undefined ? this.#subject : `${this.#subject} in ${where}`;
  }
}

/** Access and mode by the error code of a page fault (SDM 3A 4.7); Linux 4.19 prints no #PF lines. */
function meaningOf(errorCode: number | undefined): Fault {
  if (errorCode === undefined) return {};
  const access = (errorCode & 0x10) !== 0 ? "execute" : (errorCode & 2) !== 0 ? "write" : "read";
  return { access, mode: (errorCode & 4) !== 0 ? "user" : "kernel" };
}

function optional<K extends string, V>(key: K, value: V | undefined): { [name in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [name in K]?: V });
}

function readFrame(match: RegExpExecArray, context: TraceContext): TraceFrame {
  const reliable = match[1] === undefined;
  const address = match[2] === undefined ? undefined : BigInt(`0x${match[2]}`);
  if (match[3] === undefined) return { reliable, context, ...optional("address", address) };
  return {
    reliable,
    context,
    symbol: match[3],
    offset: Number.parseInt(match[4] ?? "0", 16),
    size: Number.parseInt(match[5] ?? "0", 16),
    ...optional("module", match[6]),
    ...optional("address", address),
  };
}

/** What stands behind `RIP: 0010:`: symbol+offset/size [module], or an address. */
function pointer(selector: number, text: string): InstructionPointer {
  const place = PLACE.exec(text.trim());
  if (place !== null) {
    const location: CodeLocation = {
      symbol: place[1] ?? "",
      offset: Number.parseInt(place[2] ?? "0", 16),
      size: Number.parseInt(place[3] ?? "0", 16),
      ...optional("module", place[4]),
    };
    return { selector, ...location };
  }
  const address = /^(?:0x)?([0-9a-f]{1,16})/.exec(text.trim());
  return address === null ? { selector } : { selector, address: BigInt(`0x${address[1]}`) };
}

function readCode(text: string): CodeBytes | undefined {
  const words = text.trim().split(/\s+/);
  if (!words.every((word) => /^(?:<[0-9a-f]{2}>|\([0-9a-f]{2}\)|[0-9a-f]{2})$/.test(word))) return undefined;
  return {
    bytes: words.map((word) => Number.parseInt(word.replace(/[<>()]/g, ""), 16)),
    at: words.findIndex((word) => word.startsWith("<")),
  };
}
