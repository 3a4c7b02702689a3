/**
 * ORC unwind entries made from CFI (Linux tools/objtool makes the same table by following the code; arch/x86/
 * include/asm/orc_types.h is the layout). A row of CFI says how to find the caller: so does an ORC entry.
 */
import { type FrameDescription, Reader, type Row } from "./cfi.ts";

export interface OrcEntry {
  readonly ip: bigint;
  readonly spOffset: number;
  readonly bpOffset: number;
  readonly spRegister: number;
  readonly bpRegister: number;
  readonly type: number;
  readonly end: boolean;
}

const UNDEFINED = 0;
const PREVIOUS_SP = 1;
const BP = 4;
const SP = 5;
const BP_INDIRECT = 8;
const SP_INDIRECT = 9;
/** DWARF numbers of the registers that may hold a frame: rdx rdi rbp rsp r10 r13. */
const FRAME_REGISTERS: ReadonlyMap<number, number> = new Map([
  [1, 2],
  [5, 3],
  [6, BP],
  [7, SP],
  [10, 6],
  [13, 7],
]);
const RETURN_ADDRESS = 16;
const TYPE_REGS = 1;
const TYPE_REGS_PARTIAL = 2;
/** Distance from the end of the interrupt frame down to the start of struct pt_regs and of the iret frame. */
const PT_REGS = 168;
const IRET_FRAME = 40;

function undefinedEntry(ip: bigint): OrcEntry {
  return { ip, spOffset: 0, bpOffset: 0, spRegister: UNDEFINED, bpRegister: 0, type: 0, end: false };
}

function entryOf(row: Row): OrcEntry {
  const where = `0x${row.location.toString(16)}`;
  const back = row.rules.get(RETURN_ADDRESS);
  const sp = row.rules.get(7);
  const bp = row.rules.get(6);
  if (back?.kind === "undefined") return { ...undefinedEntry(row.location), end: true };
  let spRegister: number;
  let offset = row.cfaOffset;
  if (row.cfaExpression) {
    // breg N; deref; [plus M]
    const reader = new Reader(row.cfaExpression);
    const base = reader.u8();
    const before = reader.sleb();
    if (reader.u8() !== 6) throw new Error(`${where}: CFA expression is not known`);
    let after = 0;
    if (reader.at < row.cfaExpression.length) {
      reader.u8();
      after = reader.uleb();
    }
    spRegister = base === 0x76 ? BP_INDIRECT : SP_INDIRECT;
    offset = base === 0x76 ? before : after;
  } else {
    const register = FRAME_REGISTERS.get(row.cfaRegister);
    if (register === undefined) throw new Error(`${where}: CFA in DWARF register ${row.cfaRegister}`);
    spRegister = register;
  }
  if (back?.kind !== "offset") throw new Error(`${where}: no rule for the return address`);
  let type = 0;
  let base = 0;
  if (back.offset === -40 && sp?.kind === "offset" && sp.offset === -16) {
    const full = bp?.kind === "offset" && bp.offset === -136 && row.rules.get(15)?.kind === "offset";
    type = full ? TYPE_REGS : TYPE_REGS_PARTIAL;
    base = full ? -PT_REGS : -IRET_FRAME;
    offset += base;
  } else if (back.offset !== -8) throw new Error(`${where}: return address at CFA${back.offset}`);
  let bpRegister = UNDEFINED;
  let bpOffset = 0;
  // Below the stack pointer: taken back already, though clang does not say so. What lies there now is anybody's.
  const isPopped = spRegister === SP && bp?.kind === "offset" && row.cfaOffset + bp.offset < 0;
  // Of a whole struct pt_regs Linux leaves it out; drgn then goes on with the RBP of the handler.
  if (bp && bp.kind !== "same" && !isPopped) {
    if (bp.kind !== "offset") throw new Error(`${where}: rule for rbp is not known`);
    bpRegister = PREVIOUS_SP;
    bpOffset = bp.offset - base;
  }
  for (const value of [offset, bpOffset]) {
    if (value < -32768 || value > 32767) throw new Error(`${where}: offset ${value} does not fit 16 bits`);
  }
  return { ip: row.location, spOffset: offset, bpOffset, spRegister, bpRegister, type, end: false };
}

function alike(a: OrcEntry, b: OrcEntry): boolean {
  return (
    a.spOffset === b.spOffset &&
    a.bpOffset === b.bpOffset &&
    a.spRegister === b.spRegister &&
    a.bpRegister === b.bpRegister &&
    a.type === b.type &&
    a.end === b.end
  );
}

/** Sorted entries for the text in [low, high); holes between functions get an undefined entry. */
export function orcEntries(
  frames: readonly FrameDescription[],
  low: bigint,
  high: bigint,
  section = 0,
): OrcEntry[] {
  const entries: OrcEntry[] = [];
  const add = (entry: OrcEntry): void => {
    if (entries.at(-1)?.ip === entry.ip) entries.pop();
    const last = entries.at(-1);
    if (!last || !alike(last, entry)) entries.push(entry);
  };
  let at = low;
  for (const frame of frames) {
    if (frame.section !== section || frame.start < low || frame.start >= high) continue;
    if (frame.start < at) throw new Error(`frames overlap at 0x${frame.start.toString(16)}`);
    if (frame.start > at) add(undefinedEntry(at));
    for (const row of frame.rows) if (row.location < frame.end) add(entryOf(row));
    at = frame.end;
  }
  add(undefinedEntry(at));
  return entries;
}

/** struct orc_entry, 6 bytes each. */
export function encodeEntries(entries: readonly OrcEntry[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * 6);
  const view = new DataView(bytes.buffer);
  entries.forEach((entry, index) => {
    view.setInt16(index * 6, entry.spOffset, true);
    view.setInt16(index * 6 + 2, entry.bpOffset, true);
    const flags =
      entry.spRegister | (entry.bpRegister << 4) | (entry.type << 8) | ((entry.end ? 1 : 0) << 10);
    view.setUint16(index * 6 + 4, flags, true);
  });
  return bytes;
}
