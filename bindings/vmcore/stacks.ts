/**
 * Where the kernel's stacks are: a task's, and for each CPU those of interrupts and of the exceptions that have one
 * of their own. Mirrors Linux arch/x86/kernel/dumpstack_64.c and arch/x86/include/asm/cpu_entry_area.h.
 */
import { asStruct } from "../symbols/types.ts";
import type { Program } from "./program.ts";

export interface Stack {
  /** As crash names it: `IRQ`, `NMI exception`; undefined for a task's own. */
  readonly name: string | undefined;
  readonly low: bigint;
  readonly high: bigint;
}

const DEFAULT_SIZE = 16384;
/** Without types: the first stacks of struct cea_exception_stacks, a guard page before each. */
const EXCEPTIONS = ["DF", "NMI", "DB", "MCE"] as const;
const GUARD = 4096n;
const EXCEPTION_SIZE = 8192n;
/** The ends of member names of struct cea_exception_stacks. */
const STACK_MEMBER = /^(\w+)_stack$/;

export function threadSize(program: Program): number {
  const union = program.findType("union thread_union");
  return (union === undefined ? 0 : program.value(union, 0n).size) || DEFAULT_SIZE;
}

/** The stacks of a CPU besides that of its task. */
export async function cpuStacks(program: Program, cpu: number): Promise<Stack[]> {
  const offset = await program.perCpuOffset(cpu);
  const stacks: Stack[] = [];
  const top = await irqStackTop(program, offset);
  if (top !== 0n) {
    const type = program.findType("struct irq_stack");
    const size = (type === undefined ? 0 : program.value(type, 0n).size) || DEFAULT_SIZE;
    // The pointer is to the top, or one word below.
    const high = (top + 15n) & ~15n;
    stacks.push({ name: "IRQ", low: high - BigInt(size), high });
  }
  const base = await program.perCpuWord("cea_exception_stacks", cpu);
  if (base === undefined) return stacks;
  const area = program.findType("struct cea_exception_stacks");
  if (area === undefined) {
    return [...stacks, ...EXCEPTIONS.map((name, index) => defaultStack(name, base, index))];
  }
  for (const member of asStruct(area)?.members ?? []) {
    const [, name] = STACK_MEMBER.exec(member.name ?? "") ?? [];
    if (name === undefined) continue;
    const value = program.value(member.type, base + BigInt(member.bitOffset / 8));
    stacks.push({
      name: `${name} exception`,
      low: value.address,
      high: value.address + BigInt(value.size),
    });
  }
  return stacks.filter(({ low, high }) => high > low);
}

function defaultStack(name: string, base: bigint, index: number): Stack {
  const low = base + BigInt(index) * (GUARD + EXCEPTION_SIZE) + GUARD;
  return { name: `${name} exception`, low, high: low + EXCEPTION_SIZE };
}

/** hardirq_stack_ptr, in pcpu_hot from 6.2 on. */
async function irqStackTop(program: Program, offset: bigint): Promise<bigint> {
  const variable = program.symbols.address("hardirq_stack_ptr");
  const hot = program.symbols.address("pcpu_hot");
  const hotType = program.findType("struct pcpu_hot");
  let address = variable === undefined ? undefined : variable + offset;
  if (address === undefined && hot !== undefined && hotType !== undefined) {
    const value = program.value(hotType, hot + offset);
    address = value.has("hardirq_stack_ptr") ? value.member("hardirq_stack_ptr").address : undefined;
  }
  const bytes = address === undefined ? undefined : await program.memory.tryRead(address, 8);
  return bytes === undefined ? 0n : new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
}
