/**
 * The commonest forms, inlined into the run loop: one switch on the id, operands at computed register addresses.
 * What they do is what execute.ts does for the same instruction in general. The loop slows down by half once its
 * code is larger than about 40 KB, so only what programs are full of belongs here.
 */
import { GPR } from "../layout";
import { read, write } from "../mmu/memory";
import { effectiveAddress } from "./address";
import { faulted } from "./exceptions";
import { ADD, LOGIC, SUB, setLazy } from "./flags";
import * as id from "./ids";

function destination(r: u32): u32 {
  return GPR + ((<u32>load<u8>(r, 5)) << 3);
}
function source(r: u32): u32 {
  return GPR + ((<u32>load<u8>(r, 4)) << 3);
}
function second<T>(r: u32, immediate: bool): T {
  return immediate ? <T>load<i64>(r, 16) : load<T>(source(r));
}
function add<T>(r: u32, immediate: bool): void {
  const at = destination(r);
  const a = load<T>(at),
    b = second<T>(r, immediate);
  const result = <T>(a + b);
  setLazy(ADD, sizeof<T>(), <u64>a, <u64>b, <u64>result);
  store<u64>(at, <u64>result);
}
function subtract<T>(r: u32, immediate: bool, keep: bool): void {
  const at = destination(r);
  const a = load<T>(at),
    b = second<T>(r, immediate);
  const result = <T>(a - b);
  setLazy(SUB, sizeof<T>(), <u64>a, <u64>b, <u64>result);
  if (keep) store<u64>(at, <u64>result);
}
/** Row 1 OR, 2 TEST, 4 AND, 6 XOR. */
function logic<T>(r: u32, row: u32, immediate: bool): void {
  const at = destination(r);
  const a = load<T>(at),
    b = second<T>(r, immediate);
  const result: T = row == 1 ? <T>(a | b) : row == 6 ? <T>(a ^ b) : <T>(a & b);
  setLazy(LOGIC, sizeof<T>(), 0, 0, <u64>result);
  if (row != 2) store<u64>(at, <u64>result);
}

export function executeHot(r: u32, handler: u32): void {
  switch (handler) {
    case id.HOT_ALU + 0:
      add<u32>(r, false);
      return;
    case id.HOT_ALU + 1:
      add<u64>(r, false);
      return;
    case id.HOT_ALU + 2:
      add<u32>(r, true);
      return;
    case id.HOT_ALU + 3:
      add<u64>(r, true);
      return;
    case id.HOT_ALU + 4:
      logic<u32>(r, 1, false);
      return;
    case id.HOT_ALU + 5:
      logic<u64>(r, 1, false);
      return;
    case id.HOT_ALU + 6:
      logic<u32>(r, 1, true);
      return;
    case id.HOT_ALU + 7:
      logic<u64>(r, 1, true);
      return;
    case id.HOT_ALU + 8:
      logic<u32>(r, 2, false);
      return;
    case id.HOT_ALU + 9:
      logic<u64>(r, 2, false);
      return;
    case id.HOT_ALU + 10:
      logic<u32>(r, 2, true);
      return;
    case id.HOT_ALU + 11:
      logic<u64>(r, 2, true);
      return;
    case id.HOT_ALU + 16:
      logic<u32>(r, 4, false);
      return;
    case id.HOT_ALU + 17:
      logic<u64>(r, 4, false);
      return;
    case id.HOT_ALU + 18:
      logic<u32>(r, 4, true);
      return;
    case id.HOT_ALU + 19:
      logic<u64>(r, 4, true);
      return;
    case id.HOT_ALU + 20:
      subtract<u32>(r, false, true);
      return;
    case id.HOT_ALU + 21:
      subtract<u64>(r, false, true);
      return;
    case id.HOT_ALU + 22:
      subtract<u32>(r, true, true);
      return;
    case id.HOT_ALU + 23:
      subtract<u64>(r, true, true);
      return;
    case id.HOT_ALU + 24:
      logic<u32>(r, 6, false);
      return;
    case id.HOT_ALU + 25:
      logic<u64>(r, 6, false);
      return;
    case id.HOT_ALU + 26:
      logic<u32>(r, 6, true);
      return;
    case id.HOT_ALU + 27:
      logic<u64>(r, 6, true);
      return;
    case id.HOT_ALU + 28:
      subtract<u32>(r, false, false);
      return;
    case id.HOT_ALU + 29:
      subtract<u64>(r, false, false);
      return;
    case id.HOT_ALU + 30:
      subtract<u32>(r, true, false);
      return;
    case id.HOT_ALU + 31:
      subtract<u64>(r, true, false);
      return;
    case id.HOT_MOV32:
      store<u64>(destination(r), load<u32>(source(r)));
      return;
    case id.HOT_MOV64:
      store<u64>(destination(r), load<u64>(source(r)));
      return;
    case id.HOT_MOV_I:
      store<u64>(destination(r), load<u64>(r, 16));
      return;
    case id.HOT_LOAD32: {
      const value = read<u32>(effectiveAddress(r));
      if (!faulted()) store<u64>(source(r), value);
      return;
    }
    case id.HOT_LOAD64: {
      const value = read<u64>(effectiveAddress(r));
      if (!faulted()) store<u64>(source(r), value);
      return;
    }
    case id.HOT_STORE32:
      write<u32>(effectiveAddress(r), load<u32>(source(r)));
      return;
    case id.HOT_STORE64:
      write<u64>(effectiveAddress(r), load<u64>(source(r)));
      return;
  }
}
