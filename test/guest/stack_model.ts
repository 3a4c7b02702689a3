/**
 * What the stack looks like at every instruction of a kernel's text, found by following the code as objtool does (Linux
 * tools/objtool/check.c): from each function's entry along every branch, pushes and pops counted. Nothing here comes from
 * the compiler's call frame information, of which the ORC table is made; so the two can be held against each other.
 */
import { type DisassembledLine, loadDisassembler } from "../../bindings/symbols/disassemble.ts";
import type { SymbolTable } from "../../bindings/symbols/index.ts";

/**
 * Offsets are from the CFA: where the stack pointer was before the call, or the lowest word of an interrupt's frame.
 * `rsp`: CFA - RSP. `rbp`: CFA - RBP of a frame that has been set up; or whose RBP it still (or again) is.
 * `saved`: where the caller's RBP lies. Undefined is not known.
 */
export interface StackState {
  readonly rsp: number | undefined;
  readonly rbp: number | "caller" | "registers" | "other";
  readonly saved: number | undefined;
  /** CFA - RSP of a stack that was left, RSP being kept in memory. */
  readonly aside?: number;
}
export interface Visit {
  readonly line: DisassembledLine;
  readonly state: StackState;
}
export interface StackModel {
  readonly visits: ReadonlyMap<bigint, Visit>;
  /** Every instruction of the text; what is not in `visits` is not reached from any function's entry. */
  readonly lines: readonly DisassembledLine[];
  /** Two ways to one instruction that do not agree about the stack. */
  readonly conflicts: readonly string[];
}

const CALLED: StackState = { rsp: 8, rbp: "caller", saved: undefined };
const IMMEDIATE = /^\$(-?0x[0-9a-f]+),%rsp$/;
const OF_RBP = /^(-?0x[0-9a-f]+)?\(%rbp\),%rsp$/;
const OF_RSP = /^(-?0x[0-9a-f]+)?\(%rsp\),%rsp$/;
const BUGFLAG_WARNING = 1;

/**
 * `entries`: where code begins beside the functions. `entry`: the state in which it begins; "called" for those that are, undefined for code that has no caller (a
 * CPU's first instructions, a task's first, a system call before its registers lie on the stack), which is not followed.
 */
export async function modelStack(
  symbols: SymbolTable,
  entries: readonly bigint[],
  entry: (address: bigint) => StackState | "called" | undefined,
): Promise<StackModel> {
  const { elf } = symbols;
  const disassemble = await loadDisassembler();
  const lines: DisassembledLine[] = [];
  for (const name of [".text", ".init.text"]) {
    const section = elf.section(name);
    const content = elf.content(name);
    if (section !== undefined && content !== undefined) lines.push(...disassemble(content, section.address));
  }
  const at = new Map(lines.map((line, index) => [line.address, index]));
  const functions = elf.symbols.filter(({ kind, value }) => kind === "function" && at.has(value));
  const starts = [...functions.map(({ value }) => value), ...entries];
  const warnings = warningsOf(symbols);
  const neverReturn = new Set<bigint>();

  function follow(): StackModel {
    const visits = new Map<bigint, Visit>();
    const conflicts: string[] = [];
    const from = (start: bigint, begin: StackState): void => {
      const work: [bigint, StackState][] = [[start, begin]];
      for (let next = work.pop(); next !== undefined; next = work.pop()) {
        const [address, came] = next;
        const line = lines[at.get(address) ?? -1];
        if (line === undefined) continue;
        const seen = visits.get(address)?.state;
        const state = seen === undefined ? came : join(seen, came);
        if (state === undefined) conflicts.push(`${address.toString(16)}: ${show(came)} and ${show(seen)}`);
        if (state === undefined || (seen !== undefined && alike(seen, state))) continue;
        visits.set(address, { line, state });
        const behind = address + BigInt(line.bytes.length);
        for (const to of successors(line, behind, warnings, neverReturn)) work.push([to, step(line, state)]);
      }
    };
    // Entries that nobody calls are also come by from the code before them.
    for (const start of starts) if (entry(start) === "called") from(start, CALLED);
    for (const start of starts) {
      const state = entry(start);
      if (typeof state === "object" && !visits.has(start)) from(start, state);
    }
    return { visits, lines, conflicts };
  }
  // Until no more functions are found that never come back.
  for (;;) {
    const model = follow();
    const before = neverReturn.size;
    for (const address of deadEnds(model, functions, at)) neverReturn.add(address);
    if (neverReturn.size === before) return model;
  }
}

function alike(a: StackState, b: StackState): boolean {
  return a.rsp === b.rsp && a.rbp === b.rbp && a.saved === b.saved;
}

/** What is known where two ways meet: of a stack found by RBP, RSP need not be. Undefined when they do not agree. */
function join(a: StackState, b: StackState): StackState | undefined {
  if (a.rbp !== b.rbp || a.saved !== b.saved) return undefined;
  if (a.rsp === b.rsp) return a;
  return typeof a.rbp === "number" ? { ...a, rsp: undefined } : undefined;
}

function show(state: StackState | undefined): string {
  return `rsp=cfa-${state?.rsp} rbp=${state?.rbp} saved=${state?.saved}`;
}

/** The state behind an instruction. */
function step(line: DisassembledLine, state: StackState): StackState {
  const [, mnemonic = "", operands = ""] = /^(\S+)\s*(.*)$/.exec(line.text) ?? [];
  const { rsp, rbp, saved } = state;
  if (/^%rsp,(?:-?0x[0-9a-f]+)?\(%r[\w,%]+\)$/.test(operands) && rsp !== undefined)
    return { ...state, aside: rsp };
  // The next task's, which it left in this very place.
  if (mnemonic === "mov" && /^(?:-?0x[0-9a-f]+)?\(%r[\w,%]+\),%rsp$/.test(operands))
    return { ...state, rsp: state.aside };
  const moved = (by: number): number | undefined => (rsp === undefined ? undefined : rsp + by);
  switch (mnemonic) {
    case "push":
    case "pushq": {
      const now = moved(8);
      return { rsp: now, rbp, saved: operands === "%rbp" && rbp === "caller" ? now : saved };
    }
    case "pushf":
      return { ...state, rsp: moved(8) };
    case "popf":
      return { ...state, rsp: moved(-8) };
    case "pop":
    case "popq": {
      if (operands === "%rsp") return { rsp: state.aside, rbp, saved };
      if (operands !== "%rbp") return { ...state, rsp: moved(-8) };
      const isCallers = rsp !== undefined && rsp === saved;
      return { rsp: moved(-8), rbp: isCallers ? "caller" : "other", saved: isCallers ? undefined : saved };
    }
    case "leave": {
      const isCallers = rbp === saved;
      return {
        rsp: typeof rbp === "number" ? rbp - 8 : undefined,
        rbp: isCallers ? "caller" : "other",
        saved: isCallers ? undefined : saved,
      };
    }
    default:
  }
  if (operands === "%rsp,%rbp") return { ...state, rbp: rsp ?? "other" };
  if (mnemonic === "lea" && /^0x1\(%rsp\),%rbp$/.test(operands)) return { ...state, rbp: "registers" };
  // What lies below stays where it was: only the register is another.
  if (/,%[er]?bpl?$/.test(operands) && !/^(?:cmp|test|bt)/.test(mnemonic)) return { ...state, rbp: "other" };
  if (!operands.endsWith(",%rsp") || /^(?:cmp|test)/.test(mnemonic)) return state;
  const immediate = IMMEDIATE.exec(operands);
  const number = (text: string | undefined): number => Number(BigInt.asIntN(64, bigOf(text)));
  if (immediate !== null && mnemonic.startsWith("sub")) return { ...state, rsp: moved(number(immediate[1])) };
  if (immediate !== null && mnemonic.startsWith("add"))
    return { ...state, rsp: moved(-number(immediate[1])) };
  if (operands === "%rbp,%rsp") return { ...state, rsp: typeof rbp === "number" ? rbp : undefined };
  const ofRbp = mnemonic === "lea" ? OF_RBP.exec(operands) : null;
  if (ofRbp !== null) return { ...state, rsp: typeof rbp === "number" ? rbp - number(ofRbp[1]) : undefined };
  const ofRsp = mnemonic === "lea" ? OF_RSP.exec(operands) : null;
  if (ofRsp !== null) return { ...state, rsp: moved(-number(ofRsp[1])) };
  // Another stack; or rounded down, or room of a size that is only known then: found again by RBP.
  return { ...state, rsp: undefined };
}

function bigOf(text: string | undefined): bigint {
  if (text === undefined) return 0n;
  return text.startsWith("-") ? -BigInt(text.slice(1)) : BigInt(text);
}

function successors(
  line: DisassembledLine,
  behind: bigint,
  warnings: ReadonlySet<bigint>,
  neverReturn: ReadonlySet<bigint>,
): bigint[] {
  const [mnemonic = ""] = line.text.split(/\s/);
  const target = line.target === undefined ? [] : [line.target];
  if (/^(?:ret|iret|sysret|int3|\(bad\))/.test(mnemonic)) return [];
  if (mnemonic === "ud2") return warnings.has(line.address) ? [behind] : [];
  if (/^jmp/.test(mnemonic)) return line.text.includes("*") ? [] : target;
  if (/^(?:j|loop)/.test(mnemonic)) return [...target, behind];
  if (/^call/.test(mnemonic) && line.target !== undefined && neverReturn.has(line.target)) return [];
  return [behind];
}

/** Addresses of the `ud2` of warnings: what follows runs. */
function warningsOf(symbols: SymbolTable): Set<bigint> {
  const result = new Set<bigint>();
  const section = symbols.elf.section("__bug_table");
  const content = symbols.elf.content("__bug_table");
  const start = symbols.address("__start___bug_table");
  if (section === undefined || content === undefined || start === undefined) return result;
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  for (let at = Number(start - section.address); at + 12 <= content.length; at += 12) {
    if ((view.getUint16(at + 10, true) & BUGFLAG_WARNING) === 0) continue;
    result.add(BigInt.asUintN(64, section.address + BigInt(at) + BigInt(view.getInt32(at, true))));
  }
  return result;
}

/** Functions of which no way leads to a return or into another function. */
function deadEnds(
  { visits, lines }: StackModel,
  functions: readonly { readonly value: bigint; readonly size: number }[],
  at: ReadonlyMap<bigint, number>,
): bigint[] {
  return functions
    .filter(({ value, size }) => {
      const end = value + BigInt(size);
      for (let index = at.get(value) ?? 0; ; index++) {
        const line = lines[index];
        if (line === undefined || line.address >= end) return size > 0;
        if (!visits.has(line.address)) continue;
        if (/^(?:ret|iret|sysret)/.test(line.text) || /^jmp.*\*/.test(line.text)) return false;
        if (/^j/.test(line.text) && line.target !== undefined && (line.target < value || line.target >= end))
          return false;
      }
    })
    .map(({ value }) => value);
}
