/**
 * Packed shifts, by the low 64 bits of an operand or by an immediate byte. A count beyond the lane gives zero, or
 * the sign in every bit. SDM 2B, PSLLW to PSRLDQ.
 */

/** `row` is the second half of the opcode: 1 words, 2 doublewords, 3 quadwords. */
export function shiftRight(row: u32, a: v128, count: u64): v128 {
  if (count >= (<u64>8) << row) return i64x2.splat(0);
  const n = <i32>count;
  return row == 1 ? i16x8.shr_u(a, n) : row == 2 ? i32x4.shr_u(a, n) : i64x2.shr_u(a, n);
}
export function shiftLeft(row: u32, a: v128, count: u64): v128 {
  if (count >= (<u64>8) << row) return i64x2.splat(0);
  const n = <i32>count;
  return row == 1 ? i16x8.shl(a, n) : row == 2 ? i32x4.shl(a, n) : i64x2.shl(a, n);
}
export function shiftArithmetic(row: u32, a: v128, count: u64): v128 {
  const limit = ((<u64>8) << row) - 1;
  const n = <i32>(count > limit ? limit : count);
  return row == 1 ? i16x8.shr_s(a, n) : i32x4.shr_s(a, n);
}
/** D1-D3, E1-E2, F1-F3. */
export function shiftByOperand(opcode: u32, a: v128, count: u64): v128 {
  const row = opcode & 3;
  const kind = opcode >> 4;
  return kind == 0xd
    ? shiftRight(row, a, count)
    : kind == 0xe
      ? shiftArithmetic(row, a, count)
      : shiftLeft(row, a, count);
}
/** 71-73 with the operation in the reg field: 2 right, 4 arithmetic, 6 left, 3 and 7 whole bytes. */
export function shiftByImmediate(opcode: u32, operation: u32, a: v128, count: u32): v128 {
  const row = opcode & 3;
  switch (operation) {
    case 2:
      return shiftRight(row, a, count);
    case 3:
      return shiftBytes(a, count, 0);
    case 4:
      return shiftArithmetic(row, a, count);
    case 6:
      return shiftLeft(row, a, count);
    default:
      return shiftBytes(a, 0, count);
  }
}
/** The 16 bytes from byte `right` of a vector that has `left` zero bytes before it. */
function shiftBytes(a: v128, right: u32, left: u32): v128 {
  return joined(a, i64x2.splat(0), right > 16 ? 16 : right, left > 16 ? 16 : left);
}
/** Sixteen bytes at `from` of low and high in a row, after `before` zero bytes (from is 0 then). */
export function joined(low: v128, high: v128, from: u32, before: u32): v128 {
  v128.store(ROW, i64x2.splat(0));
  v128.store(ROW + 16, low);
  v128.store(ROW + 32, high);
  v128.store(ROW + 48, i64x2.splat(0));
  return v128.load(ROW + 16 + from - before);
}
const ROW: u32 = <u32>memory.data(64, 16);
