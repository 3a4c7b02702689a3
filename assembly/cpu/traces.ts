/**
 * The decode cache: traces of consecutive records, one per basic block and page, found by physical address and
 * code mode. A write to a decoded line empties the cache.
 */
import {
  CODE_LINES,
  CODE_MODE,
  CPL,
  FETCH_BASE,
  FRAME_TABLE,
  RAM_BYTES,
  RECORDS,
  RECORDS_END,
  RECORDS_NEXT,
  RIP,
  SCRATCH,
  SIGNAL,
  SIGNAL_CACHES,
  TRACE_COUNT,
  TRACES,
} from "../layout";
import { FRAME_CODE, frameFlags, frameOf, isRam, markCode } from "../mmu/frames";
import { noteLarge, protectFrame, readPhysical } from "../mmu/memory";
import { FETCH, INVALID, walk, walkLarge } from "../mmu/walk";
import { decode } from "./decode";
import { faulted, GP, raise, raiseGp0 } from "./exceptions";
import * as id from "./ids";
import { RECORD_SIZE } from "./record";
import { CS, is64, isCanonical, segmentBase, segmentLimit } from "./state";

const WINDOW: u32 = SCRATCH + 0xc00;
/** Records of an instruction that crosses a page live here and are never found again. */
const CROSSING: u32 = SCRATCH + 0xd00;
const LONGEST: u32 = 48;

export function tracesReset(): void {
  memory.fill(TRACES, 0xff, TRACE_COUNT * 16);
  store<u32>(RECORDS_NEXT, RECORDS);
}

/** Code in this frame has been overwritten. Marks stay: they only cost a look. */
export function flushCodeIn(physical: u64): void {
  flushTraces();
}
export function flushTraces(): void {
  tracesReset();
  store<u32>(SIGNAL, load<u32>(SIGNAL) | SIGNAL_CACHES);
}

/** Physical address of the byte at RIP, or INVALID with an exception pending. */
function fetchAddress(address: u64): u64 {
  const e = load<u32>(FETCH_BASE) + (((<u32>(address >> 12) & 255) + (load<u32>(CPL) == 3 ? 256 : 0)) << 4);
  if (load<u64>(e) == address >> 12) return load<u64>(e, 8) | (address & 0xfff);
  const physical = walk(address, FETCH);
  if (physical == INVALID) return INVALID;
  if (walkLarge != 0) noteLarge(address);
  store<u64>(e, address >> 12);
  store<u64>(e, physical & ~0xfff, 8);
  return physical;
}

/** The trace that begins at RIP, decoded now if need be; 0 with an exception pending. */
export function findTrace(): u32 {
  const rip = load<u64>(RIP);
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
  const key = (physical << 2) | (load<u32>(CODE_MODE) >> 5);
  const slot = TRACES + ((<u32>(physical ^ (physical >> 12)) & (TRACE_COUNT - 1)) << 4);
  if (load<u64>(slot) == key) return load<u32>(slot, 8);
  return build(address, physical, slot, key);
}

function build(address: u64, physical: u64, slot: u32, key: u64): u32 {
  if (load<u32>(RECORDS_NEXT) + (LONGEST + 2) * RECORD_SIZE > RECORDS_END) tracesReset();
  const first = load<u32>(RECORDS_NEXT);
  let record = first;
  let at = physical;
  const pageEnd = (physical & ~0xfff) + 0x1000;
  for (let n: u32 = 0; n < LONGEST; n++) {
    let window = <u32>(pageEnd - at);
    if (window > 15) window = 15;
    if (window == 0) break;
    readPhysical(at, window, WINDOW);
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
    record += RECORD_SIZE;
    at += length;
    if (endsTrace(load<u16>(record - RECORD_SIZE))) break;
  }
  memory.fill(record, 0, RECORD_SIZE);
  if (isRam(physical)) {
    const fresh = (frameFlags(physical) & FRAME_CODE) == 0;
    markCode(physical, <u32>(at - physical));
    if (fresh) protectFrame(physical);
    store<u64>(slot, key);
    store<u32>(slot, first, 8);
    store<u32>(RECORDS_NEXT, record + RECORD_SIZE);
  }
  return first;
}

/** One instruction whose bytes lie on two pages. */
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
  if (decode(WINDOW, 15, CROSSING) == 0) {
    raiseGp0();
    return 0;
  }
  memory.fill(CROSSING + RECORD_SIZE, 0, RECORD_SIZE);
  return CROSSING;
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
    case id.MOVS:
    case id.STOS:
    case id.LODS:
    case id.CMPS:
    case id.SCAS:
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
