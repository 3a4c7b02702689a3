/** String instructions: element by element, and as far as memory lets them, REP MOVS and REP STOS in bulk. */
import { FLAGS, GPR, RIP, SIGNAL, SIGNAL_EVENT } from "../layout";
import {
  forgetLeftRam,
  hostForOverwrite,
  hostForRead,
  hostForWrite,
  leftRam,
  rangeForRead,
  rangeForWrite,
  read,
  write,
} from "../mmu/memory";
import { isChecking, mayAccess } from "../shadow/check";
import { linear } from "./address";
import { faulted } from "./exceptions";
import { isEqual, SUB, setLazy } from "./flags";
import * as id from "./ids";
import { getRegister, setRegister } from "./operands";
import { BIT_ADDRESS16, BIT_ADDRESS32, BIT_CHECKED, recBits, recId, recOperandSize, recRep } from "./record";
import { FLAG_DF, FLAG_TF, gpr, RAX, RCX, RDI, RSI, rip, setGpr } from "./state";

/**
 * Elements a repeated string instruction does before it lets events in: it then starts over where it is, and counts
 * as one more instruction, so that a budget bounds the work. Counted alike whether they go in bulk or one by one,
 * because that depends on what is cached.
 */
const BURST: u64 = 4096;
/** The same for those that never go in bulk. Beyond RAM it is one. */
const SHORT_BURST: u64 = 128;

export function stringOperation<T>(r: u32): void {
  const kind = recId(r);
  const rep = recRep(r);
  const bits = recBits(r);
  const mask: u64 =
    (bits & BIT_ADDRESS32) != 0 ? 0xffffffff : (bits & BIT_ADDRESS16) != 0 ? 0xffff : u64.MAX_VALUE;
  const segment = load<u8>(r, 7);
  const step: u64 = (load<u64>(FLAGS) & FLAG_DF) != 0 ? 0 - <u64>sizeof<T>() : sizeof<T>();
  if (rep != 0) {
    if (mask == 0xffffffff) clearUpperHalves(kind);
    if ((gpr(RCX) & mask) == 0) return;
  }
  if (isChecking() && !rangesAllowed<T>(kind, segment, rep != 0 ? gpr(RCX) & mask : 1, mask)) return;
  const isBulk = step == sizeof<T>() && (kind == id.STOS || (kind == id.MOVS && !feedsItself<T>(mask)));
  const burst = isBulk ? BURST : SHORT_BURST;
  forgetLeftRam();
  // A single step is one element.
  let room: u64 = (load<u64>(FLAGS) & FLAG_TF) != 0 ? 1 : burst;
  while (true) {
    const si = gpr(RSI) & mask,
      di = gpr(RDI) & mask;
    if (rep != 0 && isBulk) {
      const done = bulk<T>(kind, segment, si, di, mask, room);
      if (done != 0) {
        const count = (gpr(RCX) & mask) - done;
        if (kind == id.MOVS) setCounter(RSI, si + done * sizeof<T>(), mask);
        setCounter(RDI, di + done * sizeof<T>(), mask);
        setCounter(RCX, count, mask);
        if (count == 0) return;
        room -= done;
        if (room == 0) break;
        continue;
      }
    }
    switch (kind) {
      case id.MOVS: {
        const value = read<T>(linear(segment, si));
        if (faulted()) return;
        write<T>(linear(0, di), value);
        break;
      }
      case id.STOS:
        write<T>(linear(0, di), getRegister<T>(RAX, r));
        break;
      case id.LODS: {
        const value = read<T>(linear(segment, si));
        if (faulted()) return;
        setRegister<T>(RAX, r, value);
        break;
      }
      case id.CMPS: {
        const a = read<T>(linear(segment, si));
        if (faulted()) return;
        const b = read<T>(linear(0, di));
        if (faulted()) return;
        setLazy(SUB, sizeof<T>(), <u64>a, <u64>b, <u64>(<T>(a - b)));
        break;
      }
      case id.SCAS: {
        const b = read<T>(linear(0, di));
        if (faulted()) return;
        const a = getRegister<T>(RAX, r);
        setLazy(SUB, sizeof<T>(), <u64>a, <u64>b, <u64>(<T>(a - b)));
      }
    }
    if (faulted()) return;
    if (kind != id.STOS && kind != id.SCAS) setCounter(RSI, si + step, mask);
    if (kind != id.LODS) setCounter(RDI, di + step, mask);
    if (rep == 0) return;
    const left = ((gpr(RCX) & mask) - 1) & mask;
    setCounter(RCX, left, mask);
    if (left == 0) return;
    if ((kind == id.CMPS || kind == id.SCAS) && isEqual() != (rep == 0xf3)) return;
    if (--room == 0 || leftRam || (load<u32>(SIGNAL) & SIGNAL_EVENT) != 0) break;
  }
  store<u64>(RIP, rip() - load<u8>(r, 2)); // more to do: the same instruction again
}

/** Whether a MOVS upwards reads what it has written. */
function feedsItself<T>(mask: u64): bool {
  const distance = (gpr(RDI) - gpr(RSI)) & mask;
  return distance != 0 && distance / sizeof<T>() < (gpr(RCX) & mask);
}

/** The shadow check of all that a MOVS, STOS or LODS with this count is going to touch: its source, then its target. */
function rangesAllowed<T>(kind: u32, segment: u32, count: u64, mask: u64): bool {
  const size = count * sizeof<T>();
  const behind: u64 = (load<u64>(FLAGS) & FLAG_DF) != 0 ? size - sizeof<T>() : 0;
  if (kind == id.MOVS || kind == id.LODS)
    if (!mayAccess(linear(segment, gpr(RSI) & mask) - behind, size, false)) return false;
  if (kind == id.MOVS || kind == id.STOS)
    if (!mayAccess(linear(0, gpr(RDI) & mask) - behind, size, true)) return false;
  return true;
}

/** With 32-bit addresses silicon clears them even when no element is done: RCX, and the pointers of MOVS and STOS. */
function clearUpperHalves(kind: u32): void {
  setGpr(RCX, gpr(RCX) & 0xffffffff);
  if (kind != id.MOVS && kind != id.STOS) return;
  setGpr(RDI, gpr(RDI) & 0xffffffff);
  if (kind == id.MOVS) setGpr(RSI, gpr(RSI) & 0xffffffff);
}

function setCounter(n: u32, value: u64, mask: u64): void {
  if (mask == 0xffff) setGpr(n, (gpr(n) & ~mask) | (value & mask));
  else setGpr(n, value & mask);
}

function targetOf(address: u64, size: u32): u32 {
  const host = hostForWrite<u8>(address);
  return host != 0 ? host : hostForOverwrite(address, size);
}

/** memory.fill is a call into the engine: it pays for a page, not for an object or a page's shadow. */
function fill(target: u32, value: u8, bytes: u32): void {
  if (bytes < 16 || bytes > 512) {
    memory.fill(target, value, bytes);
    return;
  }
  const vector = i8x16.splat(value);
  const last = target + bytes - 16;
  for (; target < last; target += 16) v128.store(target, vector);
  v128.store(last, vector);
}

/** A stretch of REP MOVS or STOS inside one page on each side; 0 when it has to go element by element. */
function bulk<T>(kind: u32, segment: u32, si: u64, di: u64, mask: u64, most: u64): u64 {
  const to = linear(0, di);
  let count = gpr(RCX) & mask;
  if (most < count) count = most;
  const room = (4096 - (to & 0xfff)) / sizeof<T>();
  if (room < count) count = room;
  if (count == 0) return 0;
  if (kind == id.STOS) {
    const target = targetOf(to, <u32>count * sizeof<T>());
    if (target == 0) return 0;
    const value = load<T>(GPR);
    if (value == <T>(<u64>(<u8>value) * 0x0101010101010101))
      fill(target, <u8>value, <u32>count * sizeof<T>());
    else for (let i: u32 = 0; i < <u32>count; i++) store<T>(target + i * sizeof<T>(), value);
    return count;
  }
  const from = linear(segment, si);
  const available = (4096 - (from & 0xfff)) / sizeof<T>();
  if (available < count) count = available;
  if (count == 0) return 0;
  const source = hostForRead<u8>(from);
  if (source == 0) return 0;
  const bytes = <u32>(count * sizeof<T>());
  const target = targetOf(to, bytes);
  if (target == 0) return 0;
  // An overlap where the copy feeds itself must go element by element.
  if (target > source && target < source + bytes) return 0;
  memory.copy(target, source, bytes);
  return count;
}

/**
 * What most REP MOVS and STOS are: up to a burst of bytes or quadwords by 64-bit addresses, on one page at either side, which
 * the TLB knows and no shadow forbids. False: nothing has happened, and stringOperation() must do it.
 */
export function repeat(r: u32): bool {
  const size = recOperandSize(r);
  const count = gpr(RCX);
  if (count - 1 >= BURST || (load<u64>(FLAGS) & (FLAG_DF | FLAG_TF)) != 0) return false;
  const bytes = <u32>count * size;
  const isChecked = (recBits(r) & BIT_CHECKED) != 0;
  const di = gpr(RDI);
  const target = rangeForWrite(di, bytes, isChecked);
  if (target == 0) return false;
  if (recId(r) == id.STOS) {
    const value = load<u64>(GPR);
    if (size != 1 && value != <u64>(<u8>value) * 0x0101010101010101) return false;
    fill(target, <u8>value, bytes);
  } else {
    const si = gpr(RSI);
    const source = rangeForRead(si, bytes, isChecked);
    // An overlap where the copy feeds itself must go element by element.
    if (source == 0 || (target > source && target < source + bytes)) return false;
    memory.copy(target, source, bytes);
    setGpr(RSI, si + bytes);
  }
  setGpr(RDI, di + bytes);
  setGpr(RCX, 0);
  return true;
}
