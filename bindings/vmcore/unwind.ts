/**
 * Stack traces by ORC. A task that sleeps is where it was switched out; one on a CPU is where the dump's registers
 * say, or, when the kernel went on after it had saved those (to panic, to the crash kernel), where the innermost of
 * the functions that do so last called another. Mirrors Linux arch/x86/kernel/unwind_orc.c.
 */
import { OrcRegister, type OrcRow } from "../symbols/orc.ts";
import type { Program } from "./program.ts";
import { viewOf } from "./range_reader.ts";
import { isUserMode, PT_REGS_SIZE, parseRegisters, type SavedRegisters } from "./registers.ts";
import type { StackFrame } from "./stack_frame.ts";
import { cpuStacks, type Stack, threadSize } from "./stacks.ts";
import type { Task } from "./tasks.ts";

/**
 * Functions in which the last steps before a dump happen: the kernel is inside one of them when it stops. Not
 * crash_save_cpu(), which returns before machine_kexec() is called: what it left below that one's frame is stale.
 */
const LAST_STEPS: ReadonlySet<string> = new Set([
  ...["machine_kexec", "relocate_kernel", "__crash_kexec", "crash_kexec", "panic", "vpanic"],
  ...["crash_nmi_callback", "stop_this_cpu"],
]);
/** These come back to the last steps: only where none of those is left is the kernel in them. */
const PASSED_STEPS: ReadonlySet<string> = new Set(["crash_save_cpu", "nmi_shootdown_cpus"]);
const FRAMES_LIMIT = 512;
const PAGE = 4096n;
const KERNEL_IMAGE = 0xffffffff80000000n;
/** Where modules lie (Linux Documentation/arch/x86/x86_64/mm.rst). */
const MODULES_START = 0xffffffffa0000000n;
const MODULES_END = 0xffffffffff000000n;
/** A function among the last steps has no larger frame. */
const LAST_STEP_FRAME = 1024n;
/** struct inactive_task_frame without debug information: six registers, then the return address. */
const INACTIVE_BP = 40;
const INACTIVE_RETURN = 48;
const FRAME_POINTER_ROW: OrcRow = {
  spOffset: 16,
  bpOffset: -16,
  spRegister: OrcRegister.bp,
  bpRegister: OrcRegister.previousSp,
  kind: "call",
};
/** A call through a NULL pointer: the return address is on top of the stack. */
const NULL_ROW: OrcRow = { ...FRAME_POINTER_ROW, spOffset: 8, spRegister: OrcRegister.sp, bpRegister: 0 };

interface State {
  ip: bigint;
  sp: bigint;
  bp: bigint;
  /** `ip` is that of the instruction itself, not a return address. */
  exact: boolean;
  registers: SavedRegisters | undefined;
}

export async function stackTrace(program: Program, task: Task): Promise<StackFrame[]> {
  const own = taskStack(program, task.stack);
  const running = task.active ? await runningTrace(program, task.cpu, own) : undefined;
  return running ?? new Unwinder(program, [own]).run(await switchedOut(program, task));
}

/** What a CPU was doing, where the kernel's types are not known: by symbols, ORC and the dump's registers alone. */
export async function cpuStackTrace(program: Program, cpu: number): Promise<StackFrame[]> {
  const top = await program.perCpuWord("cpu_current_top_of_stack", cpu);
  const own =
    top === undefined
      ? await stackAround(program, (await savedRegisters(program, cpu))?.rsp ?? 0n)
      : taskStack(program, top - BigInt(threadSize(program)));
  return (await runningTrace(program, cpu, own)) ?? [];
}

/** The stack that an address is on: as far as memory is mapped around it, since nothing is before and behind a stack. */
async function stackAround(program: Program, address: bigint): Promise<Stack> {
  const size = BigInt(threadSize(program));
  const isMapped = async (page: bigint): Promise<boolean> =>
    (await program.memory.tryRead(page, 8)) !== undefined;
  let low = address & -PAGE;
  let high = low + PAGE;
  while (high - low < size && (await isMapped(high))) high += PAGE;
  while (high - low < size && (await isMapped(low - PAGE))) low -= PAGE;
  return { name: undefined, low, high };
}

function taskStack(program: Program, low: bigint): Stack {
  return { name: undefined, low, high: low + BigInt(threadSize(program)) };
}

/** The trace of what ran on a CPU with this stack; undefined where neither registers nor the stack tell. */
async function runningTrace(program: Program, cpu: number, own: Stack): Promise<StackFrame[] | undefined> {
  const unwinder = new Unwinder(program, [own, ...(await cpuStacks(program, cpu))]);
  const registers = await savedRegisters(program, cpu);
  const search = await unwinder.searchLastStep(registers);
  if (registers !== undefined && isUserMode(registers) && search === undefined) {
    return [{ kind: "user", address: registers.rip, registers }];
  }
  if (registers !== undefined && !(search !== undefined && wentOn(unwinder, search, registers))) {
    return unwinder.runFrom(registers);
  }
  return search === undefined ? undefined : unwinder.runAt(search, registers);
}

/** The kernel did more after it had saved its registers, which are those of an exception or of the saving itself. */
function wentOn(unwinder: Unwinder, slot: bigint, registers: SavedRegisters): boolean {
  return unwinder.isLastStep(registers.rip) || unwinder.isDeeper(slot, registers.rsp);
}

async function savedRegisters(program: Program, cpu: number): Promise<SavedRegisters | undefined> {
  return (await program.savedCpu(cpu))?.registers;
}

interface Start {
  /** Where on the stack the return address is, and what the trace shows as its place. */
  readonly slot: bigint;
  readonly shown?: bigint;
  readonly bp: bigint;
}

/** Where a sleeping task goes on: what __switch_to_asm left on its stack. The trace shows the stack pointer. */
async function switchedOut(program: Program, task: Task): Promise<Start> {
  const sp = await task.value.member("thread.sp").u64();
  const type = program.findType("struct inactive_task_frame");
  const frame = type === undefined ? undefined : program.value(type, sp);
  const bpAt = frame?.member("bp").address ?? sp + BigInt(INACTIVE_BP);
  const slot = frame?.member("ret_addr").address ?? sp + BigInt(INACTIVE_RETURN);
  return { slot, shown: sp, bp: await program.memory.u64(bpAt) };
}

class Unwinder {
  readonly #program: Program;
  readonly #stacks: readonly Stack[];
  readonly #frames: StackFrame[] = [];
  #stack: Stack | undefined;
  #saved: SavedRegisters | undefined;

  constructor(program: Program, stacks: readonly Stack[]) {
    this.#program = program;
    this.#stacks = stacks;
  }

  /** From the return address in a slot of the stack on. */
  async run({ slot, shown = slot, bp }: Start): Promise<StackFrame[]> {
    const ip = await this.#word(slot);
    if (ip === undefined) {
      this.#program.problem(`expected a return address at 0x${slot.toString(16)}, found unreadable memory`);
      return [];
    }
    this.#call(ip, shown);
    return this.#unwind({ ip, sp: slot + 8n, bp, exact: false, registers: undefined });
  }

  /** From registers on: what they show is the first frame. */
  async runFrom(registers: SavedRegisters): Promise<StackFrame[]> {
    if (isUserMode(registers)) return [{ kind: "user", address: registers.rip, registers }];
    this.#exception(registers);
    this.#stack = this.#stackOf(registers.rsp);
    const { rip: ip, rsp: sp, rbp: bp } = registers;
    return this.#unwind({ ip, sp, bp, exact: true, registers });
  }

  /**
   * From a slot whose frame pointer is not known: the function called from there pushed it first, as a rule. It is
   * known again from the frame on in which `saved` was saved.
   */
  async runAt(slot: bigint, saved: SavedRegisters | undefined): Promise<StackFrame[]> {
    this.#saved = saved;
    return this.run({ slot, bp: await this.#guessFramePointer(slot) });
  }

  async #guessFramePointer(slot: bigint): Promise<bigint> {
    const stack = this.#stackOf(slot);
    if (stack === undefined) return 0n;
    const plausible = async (bp: bigint): Promise<boolean> => {
      if (bp <= slot || bp + 16n > stack.high || (bp & 7n) !== 0n) return false;
      const back = await this.#word(bp + 8n);
      return back !== undefined && this.#isText(back);
    };
    const pushed = await this.#word(slot - 8n);
    if (pushed !== undefined && (await plausible(pushed))) return pushed;
    // Else the first place above that looks like a frame: an older frame pointer, then a return address.
    for (let at = slot + 8n; at + 16n <= stack.high && at < slot + 1024n; at += 8n) {
      const older = await this.#word(at);
      const deeper = older !== undefined && older > at && older < stack.high;
      if (deeper && (await plausible(at))) return at;
    }
    return 0n;
  }

  /** The lowest slot of any stack with a return address into one of the last steps. */
  async searchLastStep(saved: SavedRegisters | undefined): Promise<bigint | undefined> {
    // Exception stacks first: a CPU that was stopped by NMI is there, whatever its task's stack holds.
    for (const stack of [...this.#stacks].reverse()) {
      const bytes = await this.#program.memory.tryRead(stack.low, Number(stack.high - stack.low));
      if (bytes === undefined) continue;
      const view = viewOf(bytes);
      let passed: bigint | undefined;
      for (let at = 0; at + 8 <= bytes.length; at += 8) {
        const value = view.getBigUint64(at, true);
        // A saved RIP lies there too, with the registers that were saved.
        if (value < KERNEL_IMAGE || value === saved?.rip) continue;
        if (this.isLastStep(value - 1n)) return stack.low + BigInt(at);
        const name = this.#program.symbols.at(value - 1n)?.name ?? "";
        if (PASSED_STEPS.has(name)) passed ??= stack.low + BigInt(at);
      }
      if (passed !== undefined) return passed;
    }
    return undefined;
  }

  #isText(address: bigint): boolean {
    return this.#program.symbols.isText(address) || this.#mayBeModule(address);
  }

  /** Without types no module is known: whatever lies where modules do may be code of one, with frame pointers. */
  #mayBeModule(address: bigint): boolean {
    const { origin } = this.#program.types;
    return origin === "none" && address >= MODULES_START && address < MODULES_END;
  }

  isLastStep(address: bigint): boolean {
    return LAST_STEPS.has(this.#program.symbols.at(address)?.name ?? "");
  }

  /** Whether a slot was reached later than a stack pointer: on another stack, or below on the same. */
  isDeeper(slot: bigint, sp: bigint): boolean {
    const stack = this.#stackOf(slot);
    return stack !== undefined && (stack !== this.#stackOf(sp) || slot < sp);
  }

  #stackOf(address: bigint): Stack | undefined {
    return this.#stacks.find(({ low, high }) => address >= low && address < high);
  }

  async #word(address: bigint): Promise<bigint | undefined> {
    const bytes = await this.#program.memory.tryRead(address, 8);
    return bytes === undefined ? undefined : viewOf(bytes).getBigUint64(0, true);
  }

  #call(address: bigint, stack: bigint): void {
    this.#enter(stack);
    const place = this.#program.symbols.at(address - 1n);
    const symbol = place === undefined ? undefined : { ...place, offset: place.offset + 1 };
    this.#frames.push({ kind: "call", address, stack, symbol });
  }

  #exception(registers: SavedRegisters): void {
    const symbol = this.#program.symbols.at(registers.rip);
    this.#frames.push({ kind: "exception", address: registers.rip, symbol, registers });
  }

  /** Notes that the frames so far are on another stack than what comes. */
  #enter(address: bigint): void {
    const stack = this.#stackOf(address);
    if (stack === this.#stack) return;
    if (this.#stack?.name !== undefined) this.#frames.push({ kind: "stack", name: this.#stack.name });
    this.#stack = stack;
  }

  async #unwind(state: State): Promise<StackFrame[]> {
    do {
      if (this.#isFrameOfSaved(state)) state.bp = this.#saved?.rbp ?? state.bp;
    } while (this.#frames.length < FRAMES_LIMIT && (await this.#step(state)));
    return this.#frames;
  }

  /** The same function with the same stack pointer as when registers were saved: its frame pointer is theirs. */
  #isFrameOfSaved({ ip, sp }: State): boolean {
    if (this.#saved === undefined || sp !== this.#saved.rsp) return false;
    const { symbols } = this.#program;
    const name = symbols.at(this.#saved.rip)?.name;
    return name !== undefined && symbols.at(ip - 1n)?.name === name;
  }

  async #row(state: State): Promise<OrcRow> {
    if (state.ip === 0n) return NULL_ROW;
    const { symbols, orc } = this.#program;
    const ip = state.exact ? state.ip : state.ip - 1n;
    const module = (await this.#program.modules()).find((each) => each.contains(ip));
    if (module === undefined && this.#mayBeModule(ip)) return FRAME_POINTER_ROW;
    const row = module === undefined ? orc?.find(ip - symbols.shift) : module.orc?.find(ip);
    return row ?? FRAME_POINTER_ROW;
  }

  /** One frame further; false at the end. */
  async #step(state: State): Promise<boolean> {
    const row = await this.#row(state);
    if (row.kind === "end") return false;
    if (row.kind === "undefined" && (await this.#lastStepAbove(state))) return true;
    const sp = row.kind === "undefined" ? undefined : await this.#stackPointer(row, state);
    if (sp === undefined) {
      this.#program.problem(`a stack trace ends early at 0x${state.ip.toString(16)}`);
      return false;
    }
    if (row.kind === "regs") return this.#registersAt(state, sp);
    if (row.kind === "regs-partial") return this.#interruptFrameAt(state, sp, row);
    const ip = await this.#word(sp - 8n);
    if (ip === undefined || ip === 0n || !this.#isText(ip)) return false;
    if (row.bpRegister === OrcRegister.previousSp) {
      state.bp = (await this.#word(sp + BigInt(row.bpOffset))) ?? 0n;
    } else if (row.bpRegister === OrcRegister.bp) {
      state.bp = (await this.#word(state.bp + BigInt(row.bpOffset))) ?? 0n;
    }
    this.#call(ip, sp - 8n);
    Object.assign(state, { ip, sp, exact: false });
    return true;
  }

  /**
   * __crash_kexec() has no rows (STACK_FRAME_NON_STANDARD): its caller is the next of the last steps up the stack. It
   * leaves the frame pointer alone, as a rule.
   */
  async #lastStepAbove(state: State): Promise<boolean> {
    const stack = this.#stackOf(state.sp);
    const here = this.#program.symbols.at(state.exact ? state.ip : state.ip - 1n)?.name ?? "";
    if (stack === undefined || !LAST_STEPS.has(here)) return false;
    for (let slot = state.sp; slot < stack.high && slot < state.sp + LAST_STEP_FRAME; slot += 8n) {
      const ip = await this.#word(slot);
      if (ip === undefined || ip < KERNEL_IMAGE || !this.isLastStep(ip - 1n)) continue;
      if (this.#program.symbols.at(ip - 1n)?.name === here) continue;
      const bp = state.bp > slot && state.bp < stack.high ? state.bp : await this.#guessFramePointer(slot);
      this.#call(ip, slot);
      Object.assign(state, { ip, sp: slot + 8n, bp, exact: false });
      return true;
    }
    return false;
  }

  async #stackPointer(row: OrcRow, state: State): Promise<bigint | undefined> {
    const offset = BigInt(row.spOffset);
    switch (row.spRegister) {
      case OrcRegister.sp:
        return state.sp + offset;
      case OrcRegister.bp:
        return state.bp + offset;
      case OrcRegister.spIndirect: {
        const value = await this.#word(state.sp);
        return value === undefined ? undefined : value + offset;
      }
      case OrcRegister.bpIndirect:
        return this.#word(state.bp + offset);
      case OrcRegister.r10:
        return state.registers === undefined ? undefined : state.registers.r10 + offset;
      case OrcRegister.r13:
        return state.registers === undefined ? undefined : state.registers.r13 + offset;
      case OrcRegister.di:
        return state.registers === undefined ? undefined : state.registers.rdi + offset;
      case OrcRegister.dx:
        return state.registers === undefined ? undefined : state.registers.rdx + offset;
    }
    return undefined;
  }

  /** A whole struct pt_regs. */
  async #registersAt(state: State, at: bigint): Promise<boolean> {
    const bytes = await this.#program.memory.tryRead(at, PT_REGS_SIZE);
    if (bytes === undefined) return false;
    const registers = parseRegisters(bytes);
    if (isUserMode(registers)) {
      this.#frames.push({ kind: "user", address: registers.rip, registers });
      return false;
    }
    this.#exception(registers);
    Object.assign(state, {
      ...{ ip: registers.rip, sp: registers.rsp, bp: registers.rbp, exact: true, registers },
    });
    return true;
  }

  /** Only what the CPU pushes: RIP, CS, RFLAGS, RSP, SS. */
  async #interruptFrameAt(state: State, at: bigint, row: OrcRow): Promise<boolean> {
    const bytes = await this.#program.memory.tryRead(at, 40);
    if (bytes === undefined) return false;
    const word = (index: number): bigint => viewOf(bytes).getBigUint64(index * 8, true);
    if ((word(1) & 3n) === 3n) return false;
    if (row.bpRegister === OrcRegister.previousSp) {
      state.bp = (await this.#word(at + BigInt(row.bpOffset))) ?? state.bp;
    }
    Object.assign(state, { ip: word(0), sp: word(3), exact: true, registers: undefined });
    return true;
  }
}
