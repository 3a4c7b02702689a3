/** Carry-less multiplication. SDM 2B, PCLMULQDQ. */
import { widen } from "../mmx/registers";

export function clmul(a: u64, b: u64): v128 {
  let low: u64 = 0,
    high: u64 = 0;
  for (let rest = b; rest != 0; rest &= rest - 1) {
    const n = ctz(rest);
    low ^= a << n;
    if (n != 0) high ^= a >> (64 - n);
  }
  return i64x2.replace_lane(widen(low), 1, high);
}
