/**
 * The decode cache: traces of consecutive records, one per basic block and page, found by physical address, code mode
 * and how their accesses are checked against a shadow, which is one answer for a page (shadow/check.ts).
 *
 * A trace that ends in a direct jump or falls through keeps the address of the trace it leads to, if that lies in
 * the same page: the translation that holds for the one holds for the other. Other targets go through the jump
 * cache, by RIP; its entries are good for one epoch, which ends with every change of a translation or of code.
 * A write to a decoded line of a page throws away the traces of that page, and with them all links to them.
 */
import {
  ACTIVE,
  BREAK_COUNT,
  CODE_BASE,
  CODE_LINES,
  CODE_MODE,
  CPL,
  CROSSINGS,
  CUT,
  FETCH_BASE,
  FRAME_TABLE,
  JUMP_CONTEXT,
  JUMP_COUNT,
  JUMP_EPOCH,
  JUMPS,
  PROGRAM_JUMP_EPOCH,
  RECORDS,
  RECORDS_END,
  RECORDS_NEXT,
  RIP,
  SCRATCH,
  SIGNAL,
  SIGNAL_CACHES,
  TRACE_EPOCH,
  TRACE_SET_BITS,
  TRACES,
  TRACES_SIZE,
} from "../layout";
import { isBreakpoint } from "../machine/instruments";
import { FRAME_CODE, frameFlags, frameOf, isRam, markCode } from "../mmu/frames";
import { readPhysical } from "../mmu/memory";
import { FETCH_GLOBAL, fetchEntry, noteLarge, PROGRAM_FETCHES, protectFrame } from "../mmu/tlb";
import { FETCH, INVALID, walk, walkGlobal, walkLarge } from "../mmu/walk";
import { checksPage, isChecking } from "../shadow/check";
import { isTagged } from "../shadow/tags";
import { decode } from "./decode";
import { raiseGp0 } from "./exceptions";
import * as form from "./forms";
import * as id from "./ids";
import { END_OFFSET, FORM, RECORD_SIZE, REMAINING, recId, recLength } from "./record";
import { fuse, place, specialize } from "./specialize";
import { CS, is64, isCanonical, segmentBase, segmentLimit } from "./state";

const WINDOW: u32 = SCRATCH + 0xc00;
const LONGEST: u32 = 48;

export function tracesReset(): void {
  if (load<u32>(RECORDS_NEXT) > RECORDS) {
    memory.fill(TRACES, 0, TRACES_SIZE);
    crossingsReset();
  }
  store<u32>(RECORDS_NEXT, RECORDS);
  store<u32>(TRACE_EPOCH, load<u32>(TRACE_EPOCH) + 1);
  forgetJumps();
}

/** A translation or code has changed: what the jump cache knows is out of date. */
export function forgetJumps(): void {
  beginEpoch(JUMP_EPOCH);
  forgetProgramJumps();
}
/** The same of translations for privilege 3 alone. */
export function forgetProgramJumps(): void {
  beginEpoch(PROGRAM_JUMP_EPOCH);
  store<u32>(JUMP_CONTEXT, 0xffffffff);
}
function beginEpoch(at: u32): void {
  const epoch = (load<u32>(at) + 1) & 0x3ffffff;
  // After 2^26 epochs the numbers begin anew, and old entries must not look fresh.
  if (epoch == 0) memory.fill(JUMPS, 0xff, JUMP_COUNT * 16);
  store<u32>(at, epoch);
}

/** Code in this frame is overwritten: its traces are gone, and the one under way ends with this instruction. */
export function flushCodeIn(physical: u64): void {
  const page = physical & ~0xfff;
  const frame = <u32>(physical >> 12);
  let lines = load<u64>(CODE_LINES + (frame << 3));
  while (lines != 0) {
    const line = page + (ctz(lines) << 6);
    lines &= lines - 1;
    for (let start = line; start < line + 64; start += 4) {
      const set = setOf(start);
      for (let slot = set; slot < set + SET_SIZE; slot += 16)
        if (load<u64>(slot) >> 5 == start >> 2) store<u64>(slot, 0);
    }
  }
  store<u64>(CODE_LINES + (frame << 3), 0);
  const entry = FRAME_TABLE + (frame << 2);
  store<u32>(entry, load<u32>(entry) & ~FRAME_CODE);
  forgetJumps();
  store<u32>(SIGNAL, load<u32>(SIGNAL) | SIGNAL_CACHES);
}

/**
 * The table is sets of four, the newest first: what two traces cost that want one slot in turn is decoding. Addresses that
 * differ in their last two bits share a set, so that a line of code is forgotten quickly.
 */
const SET_SIZE: u32 = 4 * 16;
function setOf(physical: u64): u32 {
  const spread = (<u32>(physical >> 14) * 0x9e3779b1) >> (32 - TRACE_SET_BITS);
  return TRACES + ((<u32>(physical >> 2) ^ spread) & ((1 << TRACE_SET_BITS) - 1)) * SET_SIZE;
}
/** The trace with this key, or 0. */
function traceIn(set: u32, key: u64): u32 {
  for (let slot = set; slot < set + SET_SIZE; slot += 16)
    if (load<u64>(slot) == key) return load<u32>(slot, 8);
  return 0;
}
function keepIn(set: u32, key: u64, first: u32): void {
  memory.copy(set + 16, set, SET_SIZE - 16);
  store<u64>(set, key);
  store<u32>(set, first, 8);
}

/** Physical address of the byte at RIP, or INVALID with an exception pending. */
function fetchAddress(address: u64): u64 {
  const e = load<u32>(FETCH_BASE) + fetchEntry(address) + (load<u32>(CPL) == 3 ? PROGRAM_FETCHES : 0);
  if (load<u64>(e) == address >> 12) return (load<u64>(e, 8) & ~0xfff) | (address & 0xfff);
  const physical = walk(address, FETCH);
  if (physical == INVALID) return INVALID;
  if (walkLarge != 0) noteLarge(address);
  // What the jump cache knows must also be cached here: a guest can tell a cached translation from none.
  if (load<u64>(e) != u64.MAX_VALUE) forgetJumps();
  store<u64>(e, address >> 12);
  store<u64>(e, (physical & ~0xfff) | (walkGlobal ? FETCH_GLOBAL : 0), 8);
  return physical;
}

/** Number of instructions from this record to the end of its trace. */
export function remaining(r: u32): u32 {
  return load<u16>(r, REMAINING);
}
/** RIP of the record's instruction, given that its trace is the one under way. */
export function startOf(r: u32): u64 {
  return load<u64>(CODE_BASE) + load<u16>(r, END_OFFSET) - recLength(r);
}
/** RIP behind the record's instruction. */
export function endOf(r: u32): u64 {
  return load<u64>(CODE_BASE) + load<u16>(r, END_OFFSET);
}

/** The trace that begins at RIP, decoded now if need be; 0 with an exception pending. */
export function findTrace(): u32 {
  const rip = load<u64>(RIP);
  const mode = load<u32>(CODE_MODE) >> 5;
  store<u32>(JUMP_CONTEXT, jumpContext());
  if (mode == 2) {
    const known = cachedTrace(rip);
    if (known != 0) return known;
  }
  let address = rip;
  if (is64()) {
    if (!isCanonical(rip)) {
      raiseGp0();
      return 0;
    }
  } else {
    if (rip > segmentLimit(CS)) {
      raiseGp0();
      return 0;
    }
    address = (rip + segmentBase(CS)) & 0xffffffff;
  }
  const physical = fetchAddress(address);
  if (physical == INVALID) return 0;
  store<u64>(CODE_BASE, rip - (physical & 0xfff));
  const isChecked = checksPage(rip & ~0xfff);
  const key = (physical << 3) | (isChecked ? (isTagged() ? 5 : 4) : mode + 1); // an empty slot is 0
  const set = setOf(physical);
  const known = traceIn(set, key);
  const first = known != 0 ? known : build(address, physical, set, key, isChecked);
  // What it took to find it may have begun a new epoch.
  const context = jumpContext();
  store<u32>(JUMP_CONTEXT, context);
  if (mode == 2 && (isKept(first) || isJumpable(first))) {
    const jump = jumpOf(rip);
    store<u64>(jump, rip);
    store<u32>(jump, first, 8);
    store<u32>(jump, context, 12);
  }
  return first;
}

/** What has to be the same for an entry of the jump cache to be good. */
function jumpContext(): u32 {
  const isProgram = load<u32>(CPL) == 3;
  return (
    (load<u32>(isProgram ? PROGRAM_JUMP_EPOCH : JUMP_EPOCH) << 6) |
    (load<u32>(ACTIVE) << 3) |
    (isProgram ? 4 : 0) |
    (load<u32>(CODE_MODE) >> 5)
  );
}

/** Whether an address lies in a trace that later look-ups will find, and so may be linked. */
export function isKept(record: u32): bool {
  return record >= RECORDS && record < load<u32>(RECORDS_NEXT);
}
function jumpOf(rip: u64): u32 {
  return JUMPS + ((<u32>(rip ^ (rip >> 12)) & (JUMP_COUNT - 1)) << 4);
}

/** The trace at `rip` if the jump cache knows it, else 0. For 64-bit code, where a page's base is that of RIP. */
export function cachedTrace(rip: u64): u32 {
  const jump = jumpOf(rip);
  if (load<u64>(jump) != rip || load<u32>(jump, 12) != load<u32>(JUMP_CONTEXT)) return 0;
  store<u64>(CODE_BASE, rip & ~0xfff);
  return load<u32>(jump, 8);
}

/**
 * Control goes to `rip`: the trace there, no longer than the budget. `link`, unless 0, is where the record that
 * leads there keeps it. 0 when the budget is spent or an exception is pending; RIP is set in any case.
 */
export function follow(rip: u64, link: u32, budget: i64): u32 {
  store<u64>(RIP, rip);
  if (budget <= 0) return 0;
  const base = load<u64>(CODE_BASE);
  const epoch = load<u32>(TRACE_EPOCH);
  const isLinkable = isKept(link) && is64();
  const to = findTrace();
  if (to == 0) return 0;
  if (isLinkable && isKept(to) && load<u64>(CODE_BASE) == base && load<u32>(TRACE_EPOCH) == epoch)
    store<u32>(link, to);
  return limit(to, budget);
}

/** The trace, or a copy of its beginning if the budget does not cover it; 0, with RIP set, if nothing is left. */
export function limit(trace: u32, budget: i64): u32 {
  if (<i64>remaining(trace) <= budget) return trace;
  store<u64>(RIP, startOf(trace));
  if (budget <= 0) return 0;
  const count = <u32>budget;
  memory.copy(CUT, trace, count * RECORD_SIZE);
  for (let n: u32 = 0; n < count; n++) {
    const record = CUT + n * RECORD_SIZE;
    specialize(record);
    store<u16>(record, <u16>(count - n), REMAINING);
  }
  const last = CUT + (count - 1) * RECORD_SIZE;
  endTrace(last + RECORD_SIZE, load<u16>(last, END_OFFSET), form.END_FALL);
  return CUT;
}

/** The record behind the last instruction. */
function endTrace(record: u32, offset: u32, what: u32): void {
  memory.fill(record, 0, RECORD_SIZE);
  store<u16>(record, <u16>what, FORM);
  store<u16>(record, <u16>offset, END_OFFSET);
}

function build(address: u64, physical: u64, set: u32, key: u64, isChecked: bool): u32 {
  if (load<u32>(RECORDS_NEXT) + (LONGEST + 2) * RECORD_SIZE > RECORDS_END) tracesReset();
  const first = load<u32>(RECORDS_NEXT);
  let record = first;
  let at = physical;
  const page = physical & ~0xfff;
  let end = form.END_FALL;
  for (let n: u32 = 0; n < LONGEST && end == form.END_FALL; n++) {
    if (load<u32>(BREAK_COUNT) != 0 && isBreakpoint(address + (at - physical))) {
      memory.fill(record, 0, RECORD_SIZE);
      store<u16>(record, <u16>id.HOST_BREAK);
      place(record, <u32>(at - page), isChecked);
      specialize(record);
      end = form.END;
      record += RECORD_SIZE;
      break;
    }
    let window = <u32>(page + 0x1000 - at);
    if (window > 15) window = 15;
    if (window == 0) break;
    readPhysical(at, window, WINDOW);
    if (n == 0 && window < 15 && beginsCrossing(physical, window)) return crossing(address, physical, window);
    let length = decode(WINDOW, window, record);
    if (length == 0 && window == 15) {
      store<u16>(record, <u16>id.UNDEFINED); // more than 15 bytes: #GP
      store<u8>(record, 1, 13);
      store<u8>(record, 1, 2);
      length = 1;
    }
    if (length == 0) {
      if (n > 0) break;
      return crossing(address, physical, window);
    }
    place(record, <u32>(at - page), isChecked);
    specialize(record);
    end = endAfter(recId(record));
    record += RECORD_SIZE;
    at += length;
  }
  endTrace(record, <u32>(at - page), end);
  const count = (record - first) / RECORD_SIZE;
  for (let n: u32 = 0; n < count; n++) {
    store<u16>(first + n * RECORD_SIZE, <u16>(count - n), REMAINING);
    if (n + 1 < count) fuse(first + n * RECORD_SIZE);
  }
  if (isRam(physical)) {
    noteCode(physical, <u32>(at - physical));
    keepIn(set, key, first);
    store<u32>(RECORDS_NEXT, record + RECORD_SIZE);
  }
  return first;
}

/**
 * Instructions whose bytes lie on two pages, by where they begin: +0 u64 key, +8 u32 state, +16 the bytes, +32 the record,
 * +80 the end of its trace. A write to either page does not look for them, so what one was decoded from is compared when
 * it is looked up, and no other trace is linked to one. The jump cache may know it: both pages count as code, so that
 * whatever happens to either begins a new epoch.
 */
const CROSSING_STATE: u32 = 8;
/** The jump cache may know it. */
const JUMPED: u32 = 1;
/** Another one was known here before: the jump cache is to know none, lest every change of place begins an epoch. */
const SHARED: u32 = 2;
const CROSSING_BYTES: u32 = 16;
const CROSSING_RECORD: u32 = 32;
const CROSSING_SIZE: u32 = 128;
const CROSSINGS_END: u32 = CROSSINGS + 256 * CROSSING_SIZE;
/** None is known any more, and each place may be jumped to again. The records stay: one may be under way. */
function crossingsReset(): void {
  for (let at = CROSSINGS; at < CROSSINGS_END; at += CROSSING_SIZE) {
    store<u64>(at, 0);
    store<u32>(at, 0, CROSSING_STATE);
  }
}
function crossingAt(physical: u64): u32 {
  const frame = <u32>(physical >> 12);
  return CROSSINGS + ((frame ^ (frame >> 8)) & 255) * CROSSING_SIZE;
}
/** Of its two pages only one may be exempt. */
function crossingKey(physical: u64): u64 {
  return (physical << 4) | (isChecking() ? (isTagged() ? 12 : 8) : 0) | ((load<u32>(CODE_MODE) >> 5) + 1);
}
/** Whether the bytes in the window are the first of one that is known: so more are needed. */
function beginsCrossing(physical: u64, count: u32): bool {
  const at = crossingAt(physical);
  if (load<u64>(at) != crossingKey(physical)) return false;
  for (let n: u32 = 0; n < count; n++)
    if (load<u8>(at + CROSSING_BYTES + n) != load<u8>(WINDOW + n)) return false;
  return true;
}

function crossing(address: u64, physical: u64, inFirst: u32): u32 {
  let next = address + inFirst;
  if (!is64()) next &= 0xffffffff;
  else if (!isCanonical(next)) {
    raiseGp0();
    return 0;
  }
  const second = fetchAddress(next);
  if (second == INVALID) return 0;
  readPhysical(physical, inFirst, WINDOW);
  readPhysical(second, 15 - inFirst, WINDOW + inFirst);
  store<u8>(WINDOW, 0, 15);
  const at = crossingAt(physical);
  const record = at + CROSSING_RECORD;
  const key = crossingKey(physical);
  const bytes = v128.load(WINDOW);
  if (load<u64>(at) != key || v128.any_true(v128.xor(v128.load(at + CROSSING_BYTES), bytes))) {
    if ((load<u32>(at + CROSSING_STATE) & JUMPED) != 0) {
      store<u32>(at + CROSSING_STATE, SHARED);
      forgetJumps();
    }
    store<u64>(at, 0);
    if (decode(WINDOW, 15, record) == 0) {
      raiseGp0();
      return 0;
    }
    place(record, <u32>physical & 0xfff, isChecking());
    specialize(record);
    store<u16>(record, 1, REMAINING);
    endTrace(record + RECORD_SIZE, load<u16>(record, END_OFFSET), endAfter(recId(record)));
    store<u64>(at, key);
    v128.store(at + CROSSING_BYTES, bytes);
  }
  if (load<u32>(at + CROSSING_STATE) != SHARED && isRam(physical) && isRam(second)) {
    noteCode(physical, inFirst);
    noteCode(second, recLength(record) - inFirst);
    store<u32>(at + CROSSING_STATE, JUMPED);
  }
  return record;
}
/** Whether the jump cache may know a record that is not kept. */
function isJumpable(record: u32): bool {
  if (record < CROSSINGS || record >= CROSSINGS_END) return false;
  return load<u32>(record - CROSSING_RECORD + CROSSING_STATE) == JUMPED;
}

/** Memory that was decoded: a write to it forgets that. */
function noteCode(physical: u64, length: u32): void {
  // Before a breakpoint nothing was read of it, and only frames that are there have marks.
  frameOf(physical);
  const fresh = (frameFlags(physical) & FRAME_CODE) == 0;
  markCode(physical, length);
  if (fresh) protectFrame(physical);
}

/** Those that move and compare memory: at their end they go on, or begin again where they are. */
export function isMemoryString(handler: u32): bool {
  return handler >= id.MOVS && handler <= id.SCAS;
}
/** What a trace ends with behind this handler if it ends there; END_FALL if it may go on. */
function endAfter(handler: u32): u32 {
  if (isMemoryString(handler)) return form.END_STRING;
  return endsTrace(handler) ? form.END : form.END_FALL;
}
/** Whether control may go elsewhere, or the mode change, after this handler. */
function endsTrace(handler: u32): bool {
  switch (handler) {
    case id.CALL:
    case id.RET:
    case id.RET_I:
    case id.JMP:
    case id.JCC:
    case id.CALL_RM:
    case id.JMP_RM:
    case id.UNDEFINED:
    case id.INS:
    case id.OUTS:
    case id.HLT:
    case id.INT:
    case id.INT1:
    case id.INT3:
    case id.INTO:
    case id.IRET:
    case id.SYSCALL:
    case id.SYSRET:
    case id.SYSENTER:
    case id.MOV_DR:
    case id.GROUP7:
    case id.MOV_CR:
    case id.WRMSR:
    case id.MOV_SEG:
    case id.POP_SEG:
    case id.FAR_JMP:
    case id.FAR_CALL:
    case id.FAR_RET:
    case id.FAR_RM:
    case id.LOOP:
    case id.JCXZ:
    case id.LOAD_FAR:
    case id.INVLPG:
    case id.INVPCID:
    case id.POPF:
      return true;
  }
  return false;
}
