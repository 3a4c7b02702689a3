/**
 * Handlers of the forms (forms.ts). Each is called once for each width, so that the compiler puts it into the run
 * loop; what they do is what execute.ts does for the same record in general.
 * A form that touches memory does so only where the TLB says that the access succeeds, and before it changes
 * anything: `false` means that nothing has happened and that the general handler must do the instruction.
 */
import { CPU, FLAG_KIND, FLAG_RESULT, FLAGS, GPR, OPERAND } from "../layout";
import { hasMatchingTags, hostForRead, hostForWrite, openForRead, openForWrite } from "../mmu/memory";
import { alu, multiplyHighSigned } from "./arithmetic";
import { ADD, condition, DEC, INC, isBelow, LOGIC, SUB, setCarryOverflow, setGiven, setLazy } from "./flags";
import { ACCESS_SIZE, BELOW, DESTINATION, EQUAL, INDEX, LESS, NEGATIVE, SOURCE } from "./record";
import { FLAG_CF, FLAG_OF, RBP, RSP } from "./state";

export function destination(r: u32): u32 {
  return load<u32>(r, DESTINATION);
}
export function source(r: u32): u32 {
  return load<u32>(r, SOURCE);
}
export function address(r: u32): u64 {
  return (
    load<u64>(CPU + load<u16>(r, 8)) +
    (load<u64>(CPU + load<u16>(r, INDEX)) << load<u8>(r, 12)) +
    load<i32>(r, 24)
  );
}

// ---- values ----
export function add<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = load<T>(source(r));
  const result = <T>(a + b);
  setLazy(ADD, sizeof<T>(), <u64>a, <u64>b, <u64>result);
  store<u64>(at, <u64>result);
}
export function addCarry<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = load<T>(source(r));
  const result = <T>(a + b + <T>(isBelow() ? 1 : 0));
  setLazy(ADD, sizeof<T>(), <u64>a, <u64>b, <u64>result);
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
export function subtractBorrow<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at),
    b = load<T>(source(r));
  const result = <T>(a - b - <T>(isBelow() ? 1 : 0));
  setLazy(SUB, sizeof<T>(), <u64>a, <u64>b, <u64>result);
  store<u64>(at, <u64>result);
}
function logic<T>(result: T): void {
  store<u64>(FLAG_KIND, LOGIC | ((<u64>sizeof<T>()) << 32));
  store<u64>(FLAG_RESULT, <u64>result);
}
export function or<T>(r: u32): void {
  const at = destination(r);
  const result = <T>(load<T>(at) | load<T>(source(r)));
  logic<T>(result);
  store<u64>(at, <u64>result);
}
export function and<T>(r: u32): void {
  const at = destination(r);
  const result = <T>(load<T>(at) & load<T>(source(r)));
  logic<T>(result);
  store<u64>(at, <u64>result);
}
export function xor<T>(r: u32): void {
  const at = destination(r);
  const result = <T>(load<T>(at) ^ load<T>(source(r)));
  logic<T>(result);
  store<u64>(at, <u64>result);
}
export function compare<T>(r: u32): void {
  const a = load<T>(destination(r)),
    b = load<T>(source(r));
  setLazy(SUB, sizeof<T>(), <u64>a, <u64>b, <u64>(<T>(a - b)));
}
export function test<T>(r: u32): void {
  logic<T>(<T>(load<T>(destination(r)) & load<T>(source(r))));
}
/** A comparison and its outcome, as bits that a condition's mask picks from. `S` is the signed twin of `T`. */
export function compareOutcome<T, S>(r: u32): u32 {
  const a = load<T>(destination(r)),
    b = load<T>(source(r));
  const result = <T>(a - b);
  setLazy(SUB, sizeof<T>(), <u64>a, <u64>b, <u64>result);
  return (
    (a == b ? EQUAL : 0) | (a < b ? BELOW : 0) | (<S>a < <S>b ? LESS : 0) | (<S>result < 0 ? NEGATIVE : 0)
  );
}
export function testOutcome<T, S>(r: u32): u32 {
  const result = <T>(load<T>(destination(r)) & load<T>(source(r)));
  logic<T>(result);
  return (result == 0 ? EQUAL : 0) | (<S>result < 0 ? LESS | NEGATIVE : 0);
}
function keepCarry(): void {
  const carry: u64 = isBelow() ? FLAG_CF : 0;
  store<u64>(FLAGS, (load<u64>(FLAGS) & ~FLAG_CF) | carry);
}
export function increment<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at);
  const result = <T>(a + 1);
  keepCarry();
  setLazy(INC, sizeof<T>(), <u64>a, 1, <u64>result);
  store<u64>(at, <u64>result);
}
export function decrement<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at);
  const result = <T>(a - 1);
  keepCarry();
  setLazy(DEC, sizeof<T>(), <u64>a, 1, <u64>result);
  store<u64>(at, <u64>result);
}
export function negate<T>(r: u32): void {
  const at = destination(r);
  const a = load<T>(at);
  const result = <T>(0 - a);
  setLazy(SUB, sizeof<T>(), 0, <u64>a, <u64>result);
  store<u64>(at, <u64>result);
}
export function invert<T>(r: u32): void {
  const at = destination(r);
  store<u64>(at, <u64>(<T>~load<T>(at)));
}
/** Moves with zero extension. */
export function move<T>(r: u32): void {
  store<u64>(destination(r), <u64>load<T>(source(r)));
}
export function moveByte(r: u32): void {
  store<u8>(destination(r), load<u8>(source(r)));
}
/** Moves with sign extension from `S` to the unsigned type `T`. */
export function moveSigned<S, T>(r: u32): void {
  store<u64>(destination(r), <u64>(<T>load<S>(source(r))));
}

// ---- shifts: the count is masked, and a count of 0 changes nothing but the upper half of a 32-bit register ----
function countOf<T>(r: u32): T {
  return <T>(<u32>load<u8>(source(r)) & (sizeof<T>() * 8 - 1));
}
export function shiftLeft<T>(r: u32): void {
  const at = destination(r);
  const n = countOf<T>(r);
  const value = load<T>(at);
  const result = <T>(value << n);
  if (n != 0) {
    const top = <T>(sizeof<T>() * 8 - 1);
    const carry = <u64>((value >> <T>(top - n + 1)) & 1);
    const overflow = <u64>(result >> top) ^ carry;
    setGiven(sizeof<T>(), carry | (overflow << 11), <u64>result);
  }
  store<u64>(at, <u64>result);
}
export function shiftRight<T>(r: u32): void {
  const at = destination(r);
  const n = countOf<T>(r);
  const value = load<T>(at);
  const result = <T>(value >> n);
  if (n != 0) {
    const carry = <u64>((value >> <T>(n - 1)) & 1);
    const overflow: u64 = n == 1 ? <u64>(value >> <T>(sizeof<T>() * 8 - 1)) : 0;
    setGiven(sizeof<T>(), carry | (overflow << 11), <u64>result);
  }
  store<u64>(at, <u64>result);
}
export function shiftSigned<T, S>(r: u32): void {
  const at = destination(r);
  const n = countOf<T>(r);
  const value = <S>load<T>(at);
  const result = <T>(value >> <S>n);
  if (n != 0) setGiven(sizeof<T>(), <u64>((value >> <S>(n - 1)) & 1), <u64>result);
  store<u64>(at, <u64>result);
}
export function rotateLeft<T>(r: u32): void {
  const at = destination(r);
  const n = countOf<T>(r);
  const result = rotl<T>(load<T>(at), n);
  if (n != 0) {
    const carry = <u64>(result & 1);
    const overflow = <u64>(result >> <T>(sizeof<T>() * 8 - 1)) ^ carry;
    setCarryOverflow(carry | (overflow << 11));
  }
  store<u64>(at, <u64>result);
}
export function rotateRight<T>(r: u32): void {
  const at = destination(r);
  const n = countOf<T>(r);
  const result = rotr<T>(load<T>(at), n);
  if (n != 0) {
    const carry = <u64>(result >> <T>(sizeof<T>() * 8 - 1));
    const overflow = carry ^ (<u64>(result >> <T>(sizeof<T>() * 8 - 2)) & 1);
    setCarryOverflow(carry | (overflow << 11));
  }
  store<u64>(at, <u64>result);
}

/** Signed product to the destination; CF and OF say that it lost its upper half. */
export function multiply32(r: u32, a: i64, b: i64): void {
  const product = a * b;
  setCarryOverflow(<i64>(<i32>product) != product ? FLAG_CF | FLAG_OF : 0);
  store<u64>(destination(r), <u64>(<u32>product));
}
export function multiply64(r: u32, a: i64, b: i64): void {
  const low = a * b;
  const isSmall = <i64>(<i32>a) == a && <i64>(<i32>b) == b;
  setCarryOverflow(isSmall || multiplyHighSigned(a, b) == low >> 63 ? 0 : FLAG_CF | FLAG_OF);
  store<u64>(destination(r), <u64>low);
}
export function setByte(r: u32, operation: u32): void {
  store<u8>(destination(r), condition(operation) ? 1 : 0);
}
/** A 32-bit CMOV clears the upper half whether it moves or not. */
export function moveIf<T>(r: u32, operation: u32): void {
  const at = destination(r);
  store<u64>(at, <u64>(condition(operation) ? load<T>(source(r)) : load<T>(at)));
}

// ---- memory: `host` is where the operand lies, 0 when the TLB does not know ----
export function readable<T>(r: u32): u32 {
  return hostForRead<T>(address(r));
}
export function writable<T>(r: u32): u32 {
  return hostForWrite<T>(address(r));
}
/** 0 also when the shadow does not plainly allow the access. */
export function checkedReadable<T>(r: u32): u32 {
  return openForRead<T>(address(r));
}
export function checkedWritable<T>(r: u32): u32 {
  return openForWrite<T>(address(r));
}
export function hasTags(r: u32): bool {
  return hasMatchingTags(address(r), load<u8>(r, ACCESS_SIZE));
}
/** Loads with zero extension. */
export function loadValue<T>(r: u32, host: u32): bool {
  if (host == 0) return false;
  store<u64>(destination(r), <u64>load<T>(host));
  return true;
}
export function loadByte(r: u32, host: u32): bool {
  if (host == 0) return false;
  store<u8>(destination(r), load<u8>(host));
  return true;
}
/** Loads with sign extension from `S` to the unsigned type `T`. */
export function loadSigned<S, T>(r: u32, host: u32): bool {
  if (host == 0) return false;
  store<u64>(destination(r), <u64>(<T>load<S>(host)));
  return true;
}
export function storeValue<T>(r: u32, host: u32): bool {
  if (host == 0) return false;
  store<T>(host, load<T>(source(r)));
  return true;
}
export function fetch<T>(r: u32, host: u32): bool {
  if (host == 0) return false;
  store<u64>(OPERAND, <u64>load<T>(host));
  return true;
}
export function update<T>(r: u32, host: u32, operation: u32): bool {
  if (host == 0) return false;
  store<T>(host, alu<T>(operation, load<T>(host), load<T>(source(r))));
  return true;
}
export function push(value: u64): bool {
  const at = load<u64>(GPR + RSP * 8) - 8;
  const host = hostForWrite<u64>(at);
  if (host == 0) return false;
  store<u64>(host, value);
  store<u64>(GPR + RSP * 8, at);
  return true;
}
export function pop(r: u32): bool {
  const at = load<u64>(GPR + RSP * 8);
  const host = hostForRead<u64>(at);
  if (host == 0) return false;
  store<u64>(GPR + RSP * 8, at + 8);
  store<u64>(destination(r), load<u64>(host));
  return true;
}
export function leave(): bool {
  const at = load<u64>(GPR + RBP * 8);
  const host = hostForRead<u64>(at);
  if (host == 0) return false;
  store<u64>(GPR + RSP * 8, at + 8);
  store<u64>(GPR + RBP * 8, load<u64>(host));
  return true;
}
