/**
 * The commonest forms, which the switch of the run loop calls and the compiler inlines there.
 * What they do is what execute.ts does for the same instruction in general. The loop slows down by half once its
 * code is larger than about 40 KB, so only what programs are full of belongs here.
 */
import { GPR } from "../layout";
import { read, write } from "../mmu/memory";
import { effectiveAddress } from "./address";
import { faulted } from "./exceptions";
import { ADD, LOGIC, SUB, setLazy } from "./flags";

function destination(r: u32): u32 {
  return GPR + ((<u32>load<u8>(r, 5)) << 3);
}
function source(r: u32): u32 {
  return GPR + ((<u32>load<u8>(r, 4)) << 3);
}
// Each of these is called once for each width, so that the compiler puts it into the loop.
export function add<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = load<T>(source(r));
  const result = <T>(a + b);
  setLazy(ADD, sizeof<T>(), <u64>a, <u64>b, <u64>result);
  store<u64>(at, <u64>result);
}
export function addImmediate<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = <T>load<i64>(r, 16);
  const result = <T>(a + b);
  setLazy(ADD, sizeof<T>(), <u64>a, <u64>b, <u64>result);
  store<u64>(at, <u64>result);
}
export function or<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = load<T>(source(r));
  const result = <T>(a | b);
  setLazy(LOGIC, sizeof<T>(), 0, 0, <u64>result);
  store<u64>(at, <u64>result);
}
export function orImmediate<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = <T>load<i64>(r, 16);
  const result = <T>(a | b);
  setLazy(LOGIC, sizeof<T>(), 0, 0, <u64>result);
  store<u64>(at, <u64>result);
}
export function test<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = load<T>(source(r));
  const result = <T>(a & b);
  setLazy(LOGIC, sizeof<T>(), 0, 0, <u64>result);
}
export function testImmediate<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = <T>load<i64>(r, 16);
  const result = <T>(a & b);
  setLazy(LOGIC, sizeof<T>(), 0, 0, <u64>result);
}
export function and<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = load<T>(source(r));
  const result = <T>(a & b);
  setLazy(LOGIC, sizeof<T>(), 0, 0, <u64>result);
  store<u64>(at, <u64>result);
}
export function andImmediate<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = <T>load<i64>(r, 16);
  const result = <T>(a & b);
  setLazy(LOGIC, sizeof<T>(), 0, 0, <u64>result);
  store<u64>(at, <u64>result);
}
export function subtract<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = load<T>(source(r));
  const result = <T>(a - b);
  setLazy(SUB, sizeof<T>(), <u64>a, <u64>b, <u64>result);
  store<u64>(at, <u64>result);
}
export function subtractImmediate<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = <T>load<i64>(r, 16);
  const result = <T>(a - b);
  setLazy(SUB, sizeof<T>(), <u64>a, <u64>b, <u64>result);
  store<u64>(at, <u64>result);
}
export function xor<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = load<T>(source(r));
  const result = <T>(a ^ b);
  setLazy(LOGIC, sizeof<T>(), 0, 0, <u64>result);
  store<u64>(at, <u64>result);
}
export function xorImmediate<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = <T>load<i64>(r, 16);
  const result = <T>(a ^ b);
  setLazy(LOGIC, sizeof<T>(), 0, 0, <u64>result);
  store<u64>(at, <u64>result);
}
export function compare<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = load<T>(source(r));
  const result = <T>(a - b);
  setLazy(SUB, sizeof<T>(), <u64>a, <u64>b, <u64>result);
}
export function compareImmediate<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = <T>load<i64>(r, 16);
  const result = <T>(a - b);
  setLazy(SUB, sizeof<T>(), <u64>a, <u64>b, <u64>result);
}
export function moveRegister<T>(r: u32): void {
  store<u64>(destination(r), <u64>load<T>(source(r)));
}
export function moveImmediate(r: u32): void {
  store<u64>(destination(r), load<u64>(r, 16));
}
export function loadRegister<T>(r: u32): void {
  const value = read<T>(effectiveAddress(r));
  if (!faulted()) store<u64>(source(r), <u64>value);
}
export function storeRegister<T>(r: u32): void {
  write<T>(effectiveAddress(r), load<T>(source(r)));
}
