/**
 * Packed integer instructions of the 0F 38 map with a destination and a source: SSSE3, SSE4.1, SSE4.2 and the
 * rounds of AES. SDM 2B, 4.3.
 */
import { low64, mmDestination, setMm, widen } from "../mmx/registers";
import { recReg } from "../record";
import { decryptLast, decryptRound, encryptLast, encryptRound, inverseMixColumns } from "./aes";

function evenWords(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
}
function oddWords(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
}
function evenDoublewords(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 0, 2, 4, 6);
}
function oddDoublewords(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 1, 3, 5, 7);
}
/** PSIGN: negates where the sign is negative, clears where it is zero. */
function signed(negated: v128, a: v128, negative: v128, zero: v128): v128 {
  return v128.andnot(v128.bitselect(negated, a, negative), zero);
}
function lowSigned(a: v128): v128 {
  return i64x2.shr_s(i64x2.shl(a, 32), 32);
}
/** PHMINPOSUW: the least word and where it is first. */
function leastWord(b: v128): v128 {
  v128.store(WORDS, b);
  let least: u32 = 0;
  for (let i: u32 = 1; i < 8; i++) {
    if (load<u16>(WORDS + (i << 1)) < load<u16>(WORDS + (least << 1))) least = i;
  }
  return widen(load<u16>(WORDS + (least << 1)) | (least << 16));
}
const WORDS: u32 = <u32>memory.data(16, 16);

/** Two switches, because the compiler makes jump tables of dense ones only. */
export function packed38(opcode: u32, a: v128, b: v128): v128 {
  return opcode < 0xdb ? calculate(opcode, a, b) : encryption(opcode, a, b);
}

function calculate(opcode: u32, a: v128, b: v128): v128 {
  switch (opcode) {
    case 0x00: // PSHUFB
      return i8x16.swizzle(a, v128.and(b, i8x16.splat(<i8>0x8f)));
    case 0x01: // PHADDW
      return i16x8.add(evenWords(a, b), oddWords(a, b));
    case 0x02: // PHADDD
      return i32x4.add(evenDoublewords(a, b), oddDoublewords(a, b));
    case 0x03: // PHADDSW
      return i16x8.add_sat_s(evenWords(a, b), oddWords(a, b));
    case 0x04: {
      // PMADDUBSW: unsigned bytes of the destination by signed ones of the source; no product overflows
      const low = i16x8.extmul_low_i8x16_s(i8x16.splat(1), b);
      const high = i16x8.extmul_high_i8x16_s(i8x16.splat(1), b);
      const first = i16x8.mul(i16x8.extend_low_i8x16_u(a), low);
      const second = i16x8.mul(i16x8.extend_high_i8x16_u(a), high);
      return i16x8.add_sat_s(evenWords(first, second), oddWords(first, second));
    }
    case 0x05: // PHSUBW
      return i16x8.sub(evenWords(a, b), oddWords(a, b));
    case 0x06: // PHSUBD
      return i32x4.sub(evenDoublewords(a, b), oddDoublewords(a, b));
    case 0x07: // PHSUBSW
      return i16x8.sub_sat_s(evenWords(a, b), oddWords(a, b));
    case 0x08: // PSIGNB
      return signed(i8x16.neg(a), a, i8x16.shr_s(b, 7), i8x16.eq(b, i64x2.splat(0)));
    case 0x09: // PSIGNW
      return signed(i16x8.neg(a), a, i16x8.shr_s(b, 15), i16x8.eq(b, i64x2.splat(0)));
    case 0x0a: // PSIGND
      return signed(i32x4.neg(a), a, i32x4.shr_s(b, 31), i32x4.eq(b, i64x2.splat(0)));
    case 0x0b: {
      // PMULHRSW: -1 by -1 wraps round, where WebAssembly saturates
      const minimum = i16x8.splat(-0x8000);
      const wraps = v128.and(i16x8.eq(a, minimum), i16x8.eq(b, minimum));
      return v128.xor(i16x8.q15mulr_sat_s(a, b), wraps);
    }
    case 0x1c: // PABSB
      return i8x16.abs(b);
    case 0x1d: // PABSW
      return i16x8.abs(b);
    case 0x1e: // PABSD
      return i32x4.abs(b);
    case 0x28: // PMULDQ
      return i64x2.mul(lowSigned(a), lowSigned(b));
    case 0x29: // PCMPEQQ
      return i64x2.eq(a, b);
    case 0x2b: // PACKUSDW
      return i16x8.narrow_i32x4_u(a, b);
    case 0x37: // PCMPGTQ
      return i64x2.gt_s(a, b);
    case 0x38: // PMINSB
      return i8x16.min_s(a, b);
    case 0x39: // PMINSD
      return i32x4.min_s(a, b);
    case 0x3a: // PMINUW
      return i16x8.min_u(a, b);
    case 0x3b: // PMINUD
      return i32x4.min_u(a, b);
    case 0x3c: // PMAXSB
      return i8x16.max_s(a, b);
    case 0x3d: // PMAXSD
      return i32x4.max_s(a, b);
    case 0x3e: // PMAXUW
      return i16x8.max_u(a, b);
    case 0x3f: // PMAXUD
      return i32x4.max_u(a, b);
    case 0x40: // PMULLD
      return i32x4.mul(a, b);
    default: // PHMINPOSUW, 0x41
      return leastWord(b);
  }
}

function encryption(opcode: u32, a: v128, b: v128): v128 {
  switch (opcode) {
    case 0xdb: // AESIMC
      return inverseMixColumns(b);
    case 0xdc: // AESENC
      return encryptRound(a, b);
    case 0xdd: // AESENCLAST
      return encryptLast(a, b);
    case 0xde: // AESDEC
      return decryptRound(a, b);
    default: // AESDECLAST, 0xdf
      return decryptLast(a, b);
  }
}

/** The MMX forms of SSSE3, with the source already read. */
export function packed38Mmx(r: u32, opcode: u32, source: u64): void {
  let a = widen(mmDestination(r)),
    b = widen(source);
  // Horizontal forms take their pairs from both operands in a row; PSHUFB picks among eight bytes.
  if ((opcode >= 1 && opcode <= 3) || (opcode >= 5 && opcode <= 7)) a = i64x2.replace_lane(a, 1, source);
  else if (opcode == 0) b = v128.and(b, i8x16.splat(<i8>0x87));
  setMm(recReg(r), low64(packed38(opcode, a, b)));
}
