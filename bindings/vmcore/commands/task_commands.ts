/** Commands about tasks: bt, ps, task, vm, files, set. */
import type { SourceFrame } from "../../symbols/table.ts";
import { filesOf } from "../files.ts";
import { nodePages } from "../kmem.ts";
import { addressSpaceOf } from "../mm.ts";
import type { SavedRegisters } from "../registers.ts";
import { showValue, valueToJson } from "../show.ts";
import type { StackFrame } from "../stack_frame.ts";
import type { Task } from "../tasks.ts";
import {
  badUsage,
  type Command,
  type Context,
  chosenTasks,
  hex16,
  type Result,
  taskData,
  taskHeader,
} from "./command.ts";

export const bt: Command = {
  name: "bt",
  usage: "bt [-a] [-l] [-s] [PID | task_struct | name]...",
  summary: "stack traces; -a of all CPUs, -l with source lines, -s with offsets in functions",
  async run(context, words) {
    const options = words.filter((word) => word.startsWith("-"));
    const unknown = options.find((word) => !["-a", "-l", "-s"].includes(word));
    if (unknown !== undefined) throw badUsage(bt, unknown);
    const names = words.filter((word) => !word.startsWith("-"));
    const shown = { lines: options.includes("-l"), offsets: options.includes("-s") };
    const all = options.includes("-a");
    if (context.program.types.origin === "none" && names.length === 0) return cpuTraces(context, all, shown);
    const tasks = all
      ? (await context.program.tasks()).filter((task) => task.active).sort((a, b) => a.cpu - b.cpu)
      : await chosenTasks(context, names);
    return traces(context, tasks, shown);
  },
};

/** Without types there are no tasks: what ran on the CPUs, with as much as symbols and the dump's notes tell. */
async function cpuTraces({ program }: Context, all: boolean, options: TraceOptions): Promise<Result> {
  const texts: string[] = [];
  const data: object[] = [];
  for (const cpu of all ? await program.cpus() : [(await program.crashingCpu()) ?? 0]) {
    const pid = (await program.savedCpu(cpu))?.pid;
    const address = (await program.perCpuWord("current_task", cpu)) ?? 0n;
    const frames = await program.stackTrace(cpu);
    const header = `PID: ${String(pid ?? "?").padEnd(8)} TASK: ${hex16(address)}  CPU: ${String(cpu).padEnd(4)} COMMAND: (unknown)`;
    texts.push([header, ...frameLines(frames, [], options)].join("\n"));
    data.push({ pid: pid ?? null, cpu, address, frames });
  }
  return { text: texts.join("\n\n"), data };
}

export const foreach: Command = {
  name: "foreach",
  usage: "foreach bt",
  summary: "the stack traces of all tasks",
  async run(context, words) {
    if (words[0] !== "bt" || words.length > 1) throw badUsage(foreach, words.join(" "));
    return traces(context, await context.program.tasks(), { lines: false, offsets: false });
  },
};

interface TraceOptions {
  readonly lines: boolean;
  readonly offsets: boolean;
}

async function traces(context: Context, tasks: readonly Task[], options: TraceOptions): Promise<Result> {
  const texts: string[] = [];
  const data: object[] = [];
  for (const task of tasks) {
    const frames = await task.stackTrace();
    const sources = options.lines ? await Promise.all(frames.map((frame) => sourcesOf(context, frame))) : [];
    texts.push([taskHeader(task), ...frameLines(frames, sources, options)].join("\n"));
    data.push({
      ...taskData(task),
      frames: frames.map((frame, index) => {
        const source = sources[index];
        return source === undefined ? frame : { ...frame, source };
      }),
    });
  }
  return { text: texts.join("\n\n"), data };
}

/** Functions and lines of a frame, inlined ones first. */
async function sourcesOf(context: Context, frame: StackFrame): Promise<readonly SourceFrame[]> {
  if (frame.kind !== "call" && frame.kind !== "exception") return [];
  const { symbol } = frame;
  const back = frame.kind === "call" ? 1n : 0n;
  if (symbol?.module === undefined) {
    return (await context.lines()).frames(frame.address - back - context.program.symbols.shift);
  }
  const file = context.modules.get(symbol.module);
  const start = file?.address(symbol.name);
  return file === undefined || start === undefined ? [] : file.frames(start + BigInt(symbol.offset) - back);
}

type CallFrame = Extract<StackFrame, { kind: "call" }>;

/** As crash prints them: back on the stack where an exception hit, the function that it hit has a line of its own. */
function frameLines(
  frames: readonly StackFrame[],
  sources: readonly (readonly SourceFrame[])[],
  options: TraceOptions,
): string[] {
  let number = 0;
  const callLine = (stack: bigint, { address, symbol }: Pick<CallFrame, "address" | "symbol">): string => {
    const offset = options.offsets ? `+${symbol?.offset ?? 0}` : "";
    const name = symbol === undefined ? "(unknown)" : `${symbol.name}${offset}`;
    const module = symbol?.module === undefined ? "" : ` [${symbol.module}]`;
    return `${`#${number++}`.padStart(3)} [${hex16(stack)}] ${name} at ${hex16(address)}${module}`;
  };
  return frames.flatMap((frame, index) => {
    const source = sources[index]?.[0];
    const line = source === undefined ? [] : [`    ${source.file}: ${source.line}`];
    switch (frame.kind) {
      case "call":
        return [callLine(frame.stack, frame), ...line];
      case "exception": {
        const { symbol } = frame;
        const place = symbol === undefined ? "unknown or invalid address" : `${symbol.name}+${symbol.offset}`;
        // Registers from the dump's notes, not from an exception's frame, have no ORIG_RAX.
        return [`    [exception RIP: ${place}]`, ...registerLines(frame.registers, index > 0), ...line];
      }
      case "user":
        return registerLines(frame.registers);
      case "stack": {
        const hit = frames[index - 1];
        const resumed = hit?.kind !== "exception" ? [] : [callLine(hit.registers.rsp, hit)];
        return [`--- <${frame.name} stack> ---`, ...resumed];
      }
      default:
        return frame satisfies never;
    }
  });
}

function registerLines(r: SavedRegisters, original = true): string[] {
  const row = (...pairs: readonly (readonly [string, bigint])[]): string =>
    `    ${pairs.map(([name, value]) => `${name.padStart(3)}: ${hex16(value)}`).join("  ")}`;
  const small = (value: bigint, digits: number): string => value.toString(16).padStart(digits, "0");
  return [
    `    RIP: ${hex16(r.rip)}  RSP: ${hex16(r.rsp)}  RFLAGS: ${small(r.rflags, 8)}`,
    row(["RAX", r.rax], ["RBX", r.rbx], ["RCX", r.rcx]),
    row(["RDX", r.rdx], ["RSI", r.rsi], ["RDI", r.rdi]),
    row(["RBP", r.rbp], ["R8", r.r8], ["R9", r.r9]),
    row(["R10", r.r10], ["R11", r.r11], ["R12", r.r12]),
    row(["R13", r.r13], ["R14", r.r14], ["R15", r.r15]),
    `    ${original ? `ORIG_RAX: ${hex16(r.orig_rax)}  ` : ""}CS: ${small(r.cs, 4)}  SS: ${small(r.ss, 4)}`,
  ];
}

export const ps: Command = {
  name: "ps",
  usage: "ps [PID | task_struct | name]...",
  summary: "tasks; > marks those on a CPU",
  async run(context, words) {
    const { program } = context;
    const tasks = words.length === 0 ? await program.tasks() : await chosenTasks(context, words);
    const totalPages = await nodePages(program, "node_spanned_pages");
    const lines = tasks.map((task) => {
      const share = totalPages === 0 ? 0 : (task.residentSize / 4 / totalPages) * 100;
      const name = task.mm === 0n ? `[${task.comm}]` : task.comm;
      return [
        `${task.active ? ">" : " "} ${String(task.pid).padStart(7)} ${String(task.ppid).padStart(7)}`,
        `${String(task.cpu).padStart(3)}  ${hex16(task.address)}  ${task.state} ${share.toFixed(1).padStart(5)}`,
        `${String(task.virtualSize).padStart(8)} ${String(task.residentSize).padStart(8)}  ${name}`,
      ].join(" ");
    });
    const head = "      PID    PPID  CPU       TASK        ST  %MEM      VSZ      RSS  COMM";
    return { text: [head, ...lines].join("\n"), data: tasks.map(taskData) };
  },
};

export const set: Command = {
  name: "set",
  usage: "set [PID | task_struct | name]",
  summary: "chooses the task that commands are about",
  async run(context, words) {
    if (words.length > 1) throw badUsage(set, words.join(" "));
    const [task] = await chosenTasks(context, words);
    context.task = task;
    if (task === undefined) return { text: "", data: null };
    const panicked = (await context.program.crashedTask()) === task;
    const lines = [
      `    PID: ${task.pid}`,
      `COMMAND: "${task.comm}"`,
      `   TASK: ${hex16(task.address)}`,
      `    CPU: ${task.cpu}`,
      `  STATE: ${task.state}${panicked ? " (PANIC)" : ""}`,
    ];
    return { text: lines.join("\n"), data: taskData(task) };
  },
};

export const task: Command = {
  name: "task",
  usage: "task [PID | task_struct | name]",
  summary: "a task's task_struct",
  async run(context, words) {
    const texts: string[] = [];
    const data: object[] = [];
    for (const each of await chosenTasks(context, words)) {
      const { program } = context;
      const { type, address } = each.value;
      const info = program.findType("struct thread_info");
      const parts = [`struct task_struct ${await showValue(program, type, address)}`];
      // Since 4.9 it is the first member; crash shows it once more by itself.
      if (info !== undefined) parts.push(`struct thread_info ${await showValue(program, info, address)}`);
      texts.push(`${taskHeader(each)}\n${parts.join("\n\n")}`);
      data.push({ ...taskData(each), value: await valueToJson(context.program, type, address) });
    }
    return { text: texts.join("\n\n"), data };
  },
};

export const vm: Command = {
  name: "vm",
  usage: "vm [PID | task_struct | name]...",
  summary: "a task's memory areas",
  async run(context, words) {
    const texts: string[] = [];
    const data: object[] = [];
    for (const each of await chosenTasks(context, words)) {
      const space = await addressSpaceOf(context.program, each);
      const mm = space?.mm ?? 0n;
      const pgd = space?.pgd ?? 0n;
      const sizes = [space?.residentSize ?? 0, space?.virtualSize ?? 0].map((size, index) =>
        `${size}k`.padStart(index === 0 ? 6 : 10),
      );
      const lines = [
        taskHeader(each),
        "       MM               PGD          RSS    TOTAL_VM",
        space === undefined
          ? "       0                 0            0k       0k"
          : `${hex16(mm)}  ${hex16(pgd)}${sizes.join("")}`,
      ];
      if (space !== undefined) lines.push("      VMA           START       END     FLAGS FILE");
      for (const area of space?.areas ?? []) {
        const range = `${area.start.toString(16).padStart(10)} ${area.end.toString(16).padStart(10)}`;
        lines.push(`${hex16(area.address)} ${range} ${area.flags.toString(16).padStart(6)} ${area.file}`);
      }
      texts.push(lines.join("\n"));
      data.push({ ...taskData(each), mm: space ?? null });
    }
    return { text: texts.join("\n\n"), data };
  },
};

export const files: Command = {
  name: "files",
  usage: "files [PID | task_struct | name]...",
  summary: "a task's open files",
  async run(context, words) {
    const texts: string[] = [];
    const data: object[] = [];
    for (const each of await chosenTasks(context, words)) {
      const found = await filesOf(context.program, each);
      const lines = [taskHeader(each)];
      if (found === undefined || found.files.length === 0) lines.push("No open files");
      if (found !== undefined) {
        lines.splice(1, 0, `ROOT: ${found.root}    CWD: ${found.workingDirectory}`);
        if (found.files.length > 0) {
          lines.push(" FD       FILE            DENTRY           INODE       TYPE PATH");
        }
        for (const file of found.files) {
          const places = [file.file, file.dentry, file.inode].map(hex16).join(" ");
          lines.push(`${String(file.descriptor).padStart(3)} ${places} ${file.type.padEnd(4)} ${file.path}`);
        }
      }
      texts.push(lines.join("\n"));
      data.push({ ...taskData(each), ...(found ?? { files: [] }) });
    }
    return { text: texts.join("\n\n"), data };
  },
};
