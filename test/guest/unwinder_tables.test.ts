/**
 * Both unwinders at every instruction of the kernel's text, run or not: what ORC's row says, and what is in RBP, against
 * the stack as the code itself makes it (stack_model.ts).
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { SymbolTable } from "../../bindings/symbols/index.ts";
import { OrcRegister, type OrcRow } from "../../bindings/symbols/orc.ts";
import { orcOf } from "../../bindings/vmcore/vmlinux.ts";
import { modelStack, type StackModel, type StackState } from "./stack_model.ts";

/** From struct pt_regs to the frame that the processor pushes. */
const PT_REGS_TO_IRET = 128;
/** Where RBP points in a function with a frame: below the return address, at the caller's RBP. */
const FRAME = 16;

let symbols: SymbolTable;
let model: StackModel;
let rowAt: (address: bigint) => OrcRow;

/** The lowest word of an interrupt's frame takes the CFA's part where there is one. */
const baseOf = (row: OrcRow): number => (row.kind === "regs" ? PT_REGS_TO_IRET : 0);
const hasCaller = ({ kind }: OrcRow): boolean => kind !== "end" && kind !== "undefined";
const savedBy = (row: OrcRow): number | undefined =>
  row.bpRegister === OrcRegister.previousSp ? baseOf(row) - row.bpOffset : undefined;

/** Exceptions, interrupts and system calls begin with what the processor pushed: there the row is believed. */
function entry(address: bigint): StackState | "called" | undefined {
  const row = rowAt(address);
  if (row.kind === "call") return "called";
  return hasCaller(row)
    ? {
        rsp: row.spOffset + baseOf(row),
        rbp: savedBy(row) === undefined ? "caller" : "other",
        saved: savedBy(row),
      }
    : undefined;
}

function isRight(row: OrcRow, { rsp, rbp, saved }: StackState): boolean {
  const cfa = row.spOffset + baseOf(row);
  const found =
    row.spRegister === OrcRegister.sp ? rsp === cfa : row.spRegister === OrcRegister.bp && rbp === cfa;
  return found && saved === savedBy(row);
}

beforeAll(async () => {
  symbols = SymbolTable.fromElf(readFileSync("build/guest/vmlinux"));
  const orc = orcOf(symbols, "5.15");
  rowAt = (address): OrcRow => {
    const row = orc?.find(address);
    if (row === undefined) throw new Error(`expected an ORC row for 0x${address.toString(16)}, found none`);
    return row;
  };
  const stubs = symbols.address("irq_entries_start") ?? 0n;
  model = await modelStack(
    symbols,
    Array.from({ length: 16 }, (_, index) => stubs + BigInt(16 * index)),
    entry,
  );
}, 120_000);

const at = (address: bigint): string => {
  const { name = "?", offset = 0 } = symbols.lookup(address) ?? {};
  return `${name}+0x${offset.toString(16)}`;
};

describe("every instruction of the kernel's text", () => {
  it("is come by on some way from an entry, has no caller, or is behind a call that does not return", () => {
    expect(model.conflicts).toEqual([]);
    const missed = model.lines.filter(
      ({ address, text }) =>
        !(model.visits.has(address) || /^(?:nop|xchg +%ax,%ax|cs nop|data16|int3)/.test(text)),
    );
    const callable = missed.filter(({ address }) => hasCaller(rowAt(address)));
    const where = new Set(callable.map(({ address }) => at(address).replace(/\+.*/, "")));
    // Behind stop_this_cpu(), panic() and the like; compilers and macros put a way out there all the same.
    expect([...where].sort()).toEqual([
      "asm_exc_double_fault",
      "asm_sysvec_reboot",
      "kernel_kexec",
      "machine_emergency_restart",
      "sysvec_reboot",
    ]);
    expect(callable.length).toBeLessThan(25);
    expect(model.visits.size).toBeGreaterThan(50_000);
  });

  it("has a row of ORC that finds the caller", () => {
    const wrong = [...model.visits].flatMap(([address, { line, state }]) => {
      const row = rowAt(address);
      // Padding behind a jump that does not come back has no row.
      return isRight(row, state) || (!hasCaller(row) && line.text === "int3")
        ? []
        : [`${at(address)} ${line.text}: ${JSON.stringify(row)} ${JSON.stringify(state)}`];
    });
    expect(wrong).toEqual([]);
  });

  it("has a frame whose caller is ORC's, or none yet, or none any more", () => {
    const counts = { same: 0, hidden: 0, entry: 0, other: 0 };
    const others: string[] = [];
    for (const [address, { state }] of model.visits) {
      const row = rowAt(address);
      if (row.kind !== "call") counts.entry++;
      // [RBP+8] is the word below the CFA, ORC's return address; [RBP] the caller's RBP, of which ORC says the same.
      else if (state.rbp === FRAME && state.saved === FRAME && savedBy(row) === FRAME) counts.same++;
      // RBP is the caller's: frame pointers go on from there, and miss who called this function.
      else if (state.rbp === "caller") counts.hidden++;
      else {
        counts.other++;
        others.push(at(address));
      }
    }
    expect(new Set(others.map((place) => place.replace(/\+.*/, "")))).toEqual(new Set());
    expect(counts.same).toBeGreaterThan(45_000);
    expect(counts.hidden).toBeGreaterThan(3_000);
    expect(counts.hidden).toBeLessThan(counts.same / 10);
  });
});
