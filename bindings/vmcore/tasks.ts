/**
 * Tasks: every thread on the kernel's lists, and each CPU's idle task. Mirrors Linux include/linux/sched.h from 5.0
 * on; members that moved are looked for where each release has them.
 */

import type { Program } from "./program.ts";
import type { Registers, StackFrame } from "./stack_frame.ts";
import { isKernelThread, readResidentPages, readUncountedPages, taskState } from "./task_state.ts";
import { stackTrace } from "./unwind.ts";
import type { Value } from "./value.ts";

export type { Registers };

/** Lists with more are damage. */
const TASKS_LIMIT = 1 << 18;
const PAGE_KIB = 4;

/** A task_struct. */
export class Task {
  readonly program: Program;
  /** Its struct task_struct. */
  readonly value: Value;
  readonly pid: number;
  readonly tgid: number;
  readonly comm: string;
  readonly cpu: number;
  /** Number of the parent's process. */
  readonly ppid: number;
  /** Two letters, as crash has them: RU running, IN interruptible, UN, ID idle, ZO zombie, ... */
  readonly state: string;
  /** On a CPU when the dump was made. */
  readonly active: boolean;
  /** The idle task of its CPU. */
  readonly idle: boolean;
  readonly kernelThread: boolean;
  /** Its address space, 0 for none. */
  readonly mm: bigint;
  /** Kibibytes of virtual and of resident memory. */
  readonly virtualSize: number;
  readonly residentSize: number;
  /** Lowest address of its kernel stack. */
  readonly stack: bigint;

  constructor(program: Program, value: Value, fields: TaskFields) {
    this.program = program;
    this.value = value;
    this.pid = fields.pid;
    this.tgid = fields.tgid;
    this.comm = fields.comm;
    this.cpu = fields.cpu;
    this.ppid = fields.ppid;
    this.state = fields.state;
    this.active = fields.active;
    this.idle = fields.idle;
    this.kernelThread = fields.kernelThread;
    this.mm = fields.mm;
    this.virtualSize = fields.virtualSize;
    this.residentSize = fields.residentSize;
    this.stack = fields.stack;
  }

  /** Address of the task_struct. */
  get address(): bigint {
    return this.value.address;
  }

  /** Its calls, the innermost first, through exceptions and interrupts up to user space. */
  stackTrace(): Promise<StackFrame[]> {
    return stackTrace(this.program, this);
  }
}

interface TaskFields {
  readonly pid: number;
  readonly tgid: number;
  readonly comm: string;
  readonly cpu: number;
  readonly ppid: number;
  readonly state: string;
  readonly active: boolean;
  readonly idle: boolean;
  readonly kernelThread: boolean;
  readonly mm: bigint;
  readonly virtualSize: number;
  readonly residentSize: number;
  readonly stack: bigint;
}

/** Tasks by CPU (the idle ones), then by number. */
export async function readTasks(program: Program): Promise<readonly Task[]> {
  const type = program.type("struct task_struct");
  const active = new Map<bigint, number>();
  const idle = new Map<bigint, number>();
  for (const cpu of await program.cpus()) {
    const queue = await program.variable("runqueues", "struct rq", cpu);
    active.set(await queue.member("curr").u64(), cpu);
    idle.set(await queue.member("idle").u64(), cpu);
  }
  const found = new Map<bigint, Value>();
  for (const address of idle.keys()) found.set(address, program.value(type, address));
  const init = program.value(type, program.address("init_task"));
  const leaders: Value[] = [];
  try {
    for await (const leader of init.member("tasks").list(type, "tasks", TASKS_LIMIT)) leaders.push(leader);
  } catch (error) {
    program.problem(`the list of tasks breaks off after ${leaders.length}: ${describe(error)}`);
  }
  for (const leader of leaders) {
    found.set(leader.address, leader);
    if (found.size > TASKS_LIMIT) break;
    try {
      for await (const thread of threadsOf(program, leader)) found.set(thread.address, thread);
    } catch (error) {
      program.problem(`threads of task 0x${leader.address.toString(16)}: ${describe(error)}`);
    }
  }
  // A task may be on a CPU and no longer, or not yet, on a list.
  for (const address of active.keys()) {
    if (!found.has(address)) found.set(address, program.value(type, address));
  }
  const uncounted = new Map<bigint, number>();
  for (const value of found.values()) {
    const pages = await readUncountedPages(program, value).catch(() => 0);
    if (pages === 0) continue;
    const { address } = await value.member("mm").target();
    uncounted.set(address, (uncounted.get(address) ?? 0) + pages);
  }
  const tasks: Task[] = [];
  for (const value of found.values()) {
    try {
      tasks.push(await readTask(program, value, { active, idle, uncounted }));
    } catch (error) {
      program.problem(`task 0x${value.address.toString(16)}: ${describe(error)}`);
    }
  }
  const rank = (task: Task): number => (task.idle ? task.cpu - 1e6 : task.pid);
  return tasks.sort((a, b) => rank(a) - rank(b));
}

/** The other threads of a process: signal.thread_head since 3.14; thread_group went in 6.7. */
async function* threadsOf(program: Program, leader: Value): AsyncGenerator<Value, void, void> {
  if (leader.has("thread_node") && leader.has("signal.thread_head") === false) {
    const signal = await leader.member("signal").target();
    if (signal.address !== 0n && signal.has("thread_head")) {
      yield* signal.member("thread_head").list(leader.type, "thread_node", TASKS_LIMIT);
      return;
    }
  }
  if (leader.has("thread_group")) {
    yield* leader
      .member("thread_group")
      .list(program.type("struct task_struct"), "thread_group", TASKS_LIMIT);
  }
}

/** What is known of all tasks together. */
interface Known {
  /** CPUs of tasks that are on one, and of those that idle on one. */
  readonly active: ReadonlyMap<bigint, number>;
  readonly idle: ReadonlyMap<bigint, number>;
  /** Pages of an address space that its threads have not counted there yet. */
  readonly uncounted: ReadonlyMap<bigint, number>;
}

async function readTask(program: Program, value: Value, { active, idle, uncounted }: Known): Promise<Task> {
  const flags = await value.member("flags").u64();
  const mm = await value.member("mm").target();
  const parent = await value.either("parent", "real_parent").target();
  const pages = mm.address === 0n || !mm.has("total_vm") ? 0 : await mm.member("total_vm").number();
  const counted = mm.address === 0n ? 0 : await readResidentPages(program, mm).catch(() => 0);
  const resident = Math.max(0, counted + (uncounted.get(mm.address) ?? 0));
  return new Task(program, value, {
    pid: await value.member("pid").number(),
    tgid: await value.member("tgid").number(),
    comm: await value.member("comm").string(),
    cpu: active.get(value.address) ?? idle.get(value.address) ?? (await readCpu(value)),
    ppid: parent.address === 0n ? 0 : await parent.member("tgid").number(),
    state: await taskState(value),
    active: active.has(value.address),
    idle: idle.has(value.address),
    kernelThread: isKernelThread(flags),
    mm: mm.address,
    virtualSize: pages * PAGE_KIB,
    residentSize: resident * PAGE_KIB,
    stack: await value.member("stack").u64(),
  });
}

/** In thread_info since 5.16. */
async function readCpu(value: Value): Promise<number> {
  return value.has("thread_info.cpu")
    ? value.member("thread_info.cpu").number()
    : value.member("cpu").number();
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
