/** IN, OUT, INS, OUTS and who may use which port. SDM 1, 19.5. */

import { portRead, portWrite } from "../devices/bus";
import { CPL, FLAGS, RIP } from "../layout";
import { canWrite, read, systemRead, write } from "../mmu/memory";
import { linear } from "./address";
import { watchPort } from "./debug";
import { faulted, raiseGp0 } from "./exceptions";
import * as id from "./ids";
import { setRegister } from "./operands";
import {
  BIT_ADDRESS16,
  BIT_ADDRESS32,
  recBits,
  recId,
  recImm,
  recLength,
  recOperation,
  recRep,
} from "./record";
import * as s from "./state";

function portAllowed(port: u32, size: u32): bool {
  if (!s.isProtected() || (<u64>load<u32>(CPL) <= (load<u64>(FLAGS) & s.FLAG_IOPL) >> 12 && !s.inVm86()))
    return true;
  const base = s.segmentBase(s.TR),
    limit = s.segmentLimit(s.TR);
  if (limit >= 0x67) {
    const map = <u32>systemRead<u16>(base + 0x66);
    if (map + (port >> 3) + 1 <= limit) {
      const word = <u32>systemRead<u16>(base + map + (port >> 3));
      if (!faulted() && ((word >> (port & 7)) & ((1 << size) - 1)) == 0) return true;
    }
  }
  if (!faulted()) raiseGp0();
  return false;
}

export function portAccess(r: u32, size: u32): void {
  const port = recOperation(r) == 1 ? <u32>s.gpr(s.RDX) & 0xffff : <u32>recImm(r);
  if (!portAllowed(port, size)) return;
  watchPort(port, size);
  if (recId(r) == id.IN) {
    const value = portRead(port, size);
    if (size == 4) s.setGpr(s.RAX, value);
    else if (size == 2) setRegister<u16>(s.RAX, r, <u16>value);
    else s.setGpr(s.RAX, (s.gpr(s.RAX) & ~0xff) | (value & 0xff));
  } else {
    const value = <u32>s.gpr(s.RAX);
    portWrite(port, size, size == 4 ? value : value & ((1 << (size * 8)) - 1));
  }
}

/** INS and OUTS, one element an execution; a repeated one runs again until RCX is zero. */
export function portString(r: u32, size: u32): void {
  const bits = recBits(r);
  const mask: u64 =
    (bits & BIT_ADDRESS32) != 0 ? 0xffffffff : (bits & BIT_ADDRESS16) != 0 ? 0xffff : u64.MAX_VALUE;
  const rep = recRep(r) != 0;
  if (rep && (s.gpr(s.RCX) & mask) == 0) return;
  const port = <u32>s.gpr(s.RDX) & 0xffff;
  if (!portAllowed(port, size)) return;
  watchPort(port, size);
  const step: u64 = (load<u64>(FLAGS) & s.FLAG_DF) != 0 ? 0 - <u64>size : size;
  const isIn = recId(r) == id.INS;
  const pointer = isIn ? s.RDI : s.RSI;
  const at = linear(isIn ? s.ES : load<u8>(r, 7), s.gpr(pointer) & mask);
  if (isIn) {
    if (!canWrite(at, size)) return;
    const value = portRead(port, size);
    if (size == 4) write<u32>(at, value);
    else if (size == 2) write<u16>(at, <u16>value);
    else write<u8>(at, <u8>value);
  } else {
    const value: u32 = size == 4 ? read<u32>(at) : size == 2 ? <u32>read<u16>(at) : <u32>read<u8>(at);
    if (faulted()) return;
    portWrite(port, size, value);
  }
  s.setGpr(
    pointer,
    mask == 0xffff
      ? (s.gpr(pointer) & ~mask) | ((s.gpr(pointer) + step) & mask)
      : (s.gpr(pointer) + step) & mask,
  );
  if (!rep) return;
  const left = ((s.gpr(s.RCX) & mask) - 1) & mask;
  s.setGpr(s.RCX, mask == 0xffff ? (s.gpr(s.RCX) & ~mask) | left : left);
  if (left != 0) store<u64>(RIP, s.rip() - recLength(r));
}
