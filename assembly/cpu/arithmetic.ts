/** ALU rows, shifts and rotates, multiplication and division: values in, values and flags out. */
import { FLAGS } from "../layout";
import { ADD, DEC, INC, isBelow, LOGIC, SUB, setCarryOverflow, setGiven, setLazy, setStatus } from "./flags";
import { FLAG_AF, FLAG_CF, FLAG_OF, FLAG_PF, FLAG_SF, FLAG_ZF } from "./state";

/** ADD OR ADC SBB AND SUB XOR CMP, in the order of their opcodes. */
export function alu<T>(operation: u32, a: T, b: T): T {
  let result: T;
  switch (operation) {
    case 0:
      result = <T>(a + b);
      setLazy(ADD, sizeof<T>(), <u64>a, <u64>b, <u64>result);
      break;
    case 1:
      result = <T>(a | b);
      setLazy(LOGIC, sizeof<T>(), 0, 0, <u64>result);
      break;
    case 2:
      result = <T>(a + b + <T>(isBelow() ? 1 : 0));
      setLazy(ADD, sizeof<T>(), <u64>a, <u64>b, <u64>result);
      break;
    case 3:
      result = <T>(a - b - <T>(isBelow() ? 1 : 0));
      setLazy(SUB, sizeof<T>(), <u64>a, <u64>b, <u64>result);
      break;
    case 4:
      result = <T>(a & b);
      setLazy(LOGIC, sizeof<T>(), 0, 0, <u64>result);
      break;
    case 6:
      result = <T>(a ^ b);
      setLazy(LOGIC, sizeof<T>(), 0, 0, <u64>result);
      break;
    default:
      result = <T>(a - b);
      setLazy(SUB, sizeof<T>(), <u64>a, <u64>b, <u64>result);
  }
  return result;
}

export function increment<T>(a: T): T {
  const carry = isBelow();
  const result = <T>(a + 1);
  keepCarry(carry);
  setLazy(INC, sizeof<T>(), <u64>a, 1, <u64>result);
  return result;
}
export function decrement<T>(a: T): T {
  const carry = isBelow();
  const result = <T>(a - 1);
  keepCarry(carry);
  setLazy(DEC, sizeof<T>(), <u64>a, 1, <u64>result);
  return result;
}
function keepCarry(carry: bool): void {
  store<u64>(FLAGS, (load<u64>(FLAGS) & ~FLAG_CF) | (carry ? FLAG_CF : 0));
}

function resultFlags<T>(value: T): u64 {
  let f: u64 = 0;
  if (value == 0) f |= FLAG_ZF;
  if (<u64>value >> (sizeof<T>() * 8 - 1) != 0) f |= FLAG_SF;
  if ((popcnt<u32>(<u32>value & 0xff) & 1) == 0) f |= FLAG_PF;
  return f;
}

/** ROL ROR RCL RCR SHL SHR SAL SAR by a count already masked to 5 or 6 bits. Count 0 changes nothing. */
export function shift<T>(operation: u32, value: T, count: u32): T {
  const width: u32 = sizeof<T>() * 8;
  if (count == 0) return value;
  const v: u64 = <u64>value;
  const top = width - 1;
  let result: T;
  let carry: u64;
  let overflow: u64;
  switch (operation) {
    case 0: {
      const n = count % width;
      result = n == 0 ? value : <T>((v << n) | (v >> (width - n)));
      carry = <u64>result & 1;
      overflow = (<u64>result >> top) ^ carry;
      setCarryOverflow(carry | (overflow != 0 ? FLAG_OF : 0));
      return result;
    }
    case 1: {
      const n = count % width;
      result = n == 0 ? value : <T>((v >> n) | (v << (width - n)));
      carry = (<u64>result >> top) & 1;
      overflow = ((<u64>result >> top) ^ (<u64>result >> (top - 1))) & 1;
      setCarryOverflow(carry | (overflow != 0 ? FLAG_OF : 0));
      return result;
    }
    case 2:
    case 3: {
      let n = count % (width + 1);
      let x: u64 = v;
      let c: u64 = isBelow() ? 1 : 0;
      while (n-- > 0) {
        if (operation == 2) {
          const next = (x >> top) & 1;
          x = (x << 1) | c;
          if (width < 64) x &= ((<u64>1) << width) - 1;
          c = next;
        } else {
          const next = x & 1;
          x = (x >> 1) | (c << top);
          c = next;
        }
      }
      overflow = operation == 2 ? ((x >> top) ^ c) & 1 : ((x >> top) ^ (x >> (top - 1))) & 1;
      setCarryOverflow(c | (overflow != 0 ? FLAG_OF : 0));
      return <T>x;
    }
    case 5:
      carry = count > width ? 0 : (v >> (count - 1)) & 1;
      result = count >= width ? <T>0 : <T>(v >> count);
      overflow = count == 1 ? v >> top : 0;
      break;
    case 7: {
      const s = <i64>(v << (64 - width)) >> (64 - width);
      carry = <u64>(s >> (count > 63 ? 63 : count - 1)) & 1;
      result = <T>(s >> (count > 63 ? 63 : count));
      overflow = 0;
      break;
    }
    default:
      carry = count > width ? 0 : (v >> (width - count)) & 1;
      result = count >= width ? <T>0 : <T>(v << count);
      overflow = ((<u64>result >> top) ^ carry) & 1;
  }
  setGiven(sizeof<T>(), carry | (overflow != 0 ? FLAG_OF : 0), <u64>result);
  return result;
}

/** SHLD (left) and SHRD by a masked, non-zero count. */
export function doubleShift<T>(left: bool, value: T, filler: T, count: u32): T {
  const width: u32 = sizeof<T>() * 8;
  let n = count;
  let a: u64 = <u64>value,
    b: u64 = <u64>filler;
  let result: T;
  let carry: u64;
  if (n > width) {
    // Undefined by the manual (16-bit operands only): shift the pair round, as silicon does.
    n -= width;
    const t = a;
    a = b;
    b = t;
  }
  if (left) {
    result = n == width ? <T>b : <T>((a << n) | (b >> (width - n)));
    carry = (a >> (width - n)) & 1;
  } else {
    result = n == width ? <T>b : <T>((a >> n) | (b << (width - n)));
    carry = (a >> (n - 1)) & 1;
  }
  const overflow = ((<u64>result ^ <u64>value) >> (width - 1)) & 1;
  setStatus(
    FLAG_CF | FLAG_OF | FLAG_SF | FLAG_ZF | FLAG_PF | FLAG_AF,
    carry | (overflow != 0 ? FLAG_OF : 0) | resultFlags<T>(result),
  );
  return result;
}

/** High 64 bits of an unsigned 64 x 64 product. */
export function multiplyHigh(a: u64, b: u64): u64 {
  const al = a & 0xffffffff,
    ah = a >> 32,
    bl = b & 0xffffffff,
    bh = b >> 32;
  const mid = ah * bl + ((al * bl) >> 32);
  const low = al * bh + (mid & 0xffffffff);
  return ah * bh + (mid >> 32) + (low >> 32);
}
export function multiplyHighSigned(a: i64, b: i64): i64 {
  let high = <i64>multiplyHigh(<u64>a, <u64>b);
  if (a < 0) high -= b;
  if (b < 0) high -= a;
  return high;
}

/** Flags of MUL and IMUL: CF = OF = the upper half matters; the others as silicon leaves them, undefined. */
export function multiplyFlags(significant: bool): void {
  setCarryOverflow(significant ? FLAG_CF | FLAG_OF : 0);
}

export let quotient: u64 = 0;
export let remainder: u64 = 0;
/** 128 / 64 bits, unsigned, high < divisor: two digits of 32 bits (Knuth, algorithm D). */
export function divide128(high: u64, low: u64, divisor: u64): void {
  if (high == 0) {
    quotient = low / divisor;
    remainder = low % divisor;
    return;
  }
  const s = clz(divisor);
  const d = divisor << s;
  const dh = d >> 32,
    dl = d & 0xffffffff;
  const nh = s == 0 ? high : (high << s) | (low >> (64 - s));
  const nl = low << s;
  const n1 = nl >> 32,
    n0 = nl & 0xffffffff;
  let q1 = nh / dh;
  let r = nh - q1 * dh;
  while (q1 > 0xffffffff || q1 * dl > ((r << 32) | n1)) {
    q1--;
    r += dh;
    if (r > 0xffffffff) break;
  }
  const mid = ((nh << 32) | n1) - q1 * d;
  let q0 = mid / dh;
  r = mid - q0 * dh;
  while (q0 > 0xffffffff || q0 * dl > ((r << 32) | n0)) {
    q0--;
    r += dh;
    if (r > 0xffffffff) break;
  }
  quotient = (q1 << 32) + q0;
  remainder = (((mid << 32) | n0) - q0 * d) >> s;
}
