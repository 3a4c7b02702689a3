/**
 * Packed integer, logic and interleave instructions of the 0F map: a destination and a source of the same width
 * give a result. The MMX forms use the same lanes with the upper half of both empty. SDM 2B, 4.3.
 */
import { high64, low64, mmDestination, setMm, widen } from "../mmx/registers";

/** Odd 16-bit lanes of two vectors of 32-bit products. */
function highWords(low: v128, high: v128): v128 {
  return v128.shuffle<i16>(low, high, 1, 3, 5, 7, 9, 11, 13, 15);
}

/** Two switches, because the compiler makes jump tables of dense ones only. */
export function packed(opcode: u32, a: v128, b: v128): v128 {
  return opcode < 0x80 ? interleaveOrCompare(opcode, a, b) : calculate(opcode, a, b);
}

function interleaveOrCompare(opcode: u32, a: v128, b: v128): v128 {
  switch (opcode) {
    case 0x54: // ANDPS, ANDPD
      return v128.and(a, b);
    case 0x55: // ANDNPS, ANDNPD
      return v128.andnot(b, a);
    case 0x56: // ORPS, ORPD
      return v128.or(a, b);
    case 0x57: // XORPS, XORPD
      return v128.xor(a, b);
    case 0x60: // PUNPCKLBW
      return v128.shuffle<i8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    case 0x61: // PUNPCKLWD
      return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    case 0x62: // PUNPCKLDQ
      return v128.shuffle<i32>(a, b, 0, 4, 1, 5);
    case 0x63: // PACKSSWB
      return i8x16.narrow_i16x8_s(a, b);
    case 0x64: // PCMPGTB
      return i8x16.gt_s(a, b);
    case 0x65: // PCMPGTW
      return i16x8.gt_s(a, b);
    case 0x66: // PCMPGTD
      return i32x4.gt_s(a, b);
    case 0x67: // PACKUSWB
      return i8x16.narrow_i16x8_u(a, b);
    case 0x68: // PUNPCKHBW
      return v128.shuffle<i8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    case 0x69: // PUNPCKHWD
      return v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    case 0x6a: // PUNPCKHDQ
      return v128.shuffle<i32>(a, b, 2, 6, 3, 7);
    case 0x6b: // PACKSSDW
      return i16x8.narrow_i32x4_s(a, b);
    case 0x6c: // PUNPCKLQDQ
      return v128.shuffle<i64>(a, b, 0, 2);
    case 0x6d: // PUNPCKHQDQ
      return v128.shuffle<i64>(a, b, 1, 3);
    case 0x74: // PCMPEQB
      return i8x16.eq(a, b);
    case 0x75: // PCMPEQW
      return i16x8.eq(a, b);
    default: // PCMPEQD, 0x76
      return i32x4.eq(a, b);
  }
}

function calculate(opcode: u32, a: v128, b: v128): v128 {
  switch (opcode) {
    case 0xd4: // PADDQ
      return i64x2.add(a, b);
    case 0xd5: // PMULLW
      return i16x8.mul(a, b);
    case 0xd8: // PSUBUSB
      return i8x16.sub_sat_u(a, b);
    case 0xd9: // PSUBUSW
      return i16x8.sub_sat_u(a, b);
    case 0xda: // PMINUB
      return i8x16.min_u(a, b);
    case 0xdb: // PAND
      return v128.and(a, b);
    case 0xdc: // PADDUSB
      return i8x16.add_sat_u(a, b);
    case 0xdd: // PADDUSW
      return i16x8.add_sat_u(a, b);
    case 0xde: // PMAXUB
      return i8x16.max_u(a, b);
    case 0xdf: // PANDN
      return v128.andnot(b, a);
    case 0xe0: // PAVGB
      return i8x16.avgr_u(a, b);
    case 0xe3: // PAVGW
      return i16x8.avgr_u(a, b);
    case 0xe4: // PMULHUW
      return highWords(i32x4.extmul_low_i16x8_u(a, b), i32x4.extmul_high_i16x8_u(a, b));
    case 0xe5: // PMULHW
      return highWords(i32x4.extmul_low_i16x8_s(a, b), i32x4.extmul_high_i16x8_s(a, b));
    case 0xe8: // PSUBSB
      return i8x16.sub_sat_s(a, b);
    case 0xe9: // PSUBSW
      return i16x8.sub_sat_s(a, b);
    case 0xea: // PMINSW
      return i16x8.min_s(a, b);
    case 0xeb: // POR
      return v128.or(a, b);
    case 0xec: // PADDSB
      return i8x16.add_sat_s(a, b);
    case 0xed: // PADDSW
      return i16x8.add_sat_s(a, b);
    case 0xee: // PMAXSW
      return i16x8.max_s(a, b);
    case 0xef: // PXOR
      return v128.xor(a, b);
    case 0xf4: {
      // PMULUDQ
      const low = i64x2.splat(0xffffffff);
      return i64x2.mul(v128.and(a, low), v128.and(b, low));
    }
    case 0xf5: // PMADDWD
      return i32x4.dot_i16x8_s(a, b);
    case 0xf6: {
      // PSADBW: sums of eight absolute differences, one a half
      const difference = i8x16.sub(i8x16.max_u(a, b), i8x16.min_u(a, b));
      const fours = i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(difference));
      return v128.and(i64x2.add(fours, i64x2.shr_u(fours, 32)), i64x2.splat(0xffffffff));
    }
    case 0xf8: // PSUBB
      return i8x16.sub(a, b);
    case 0xf9: // PSUBW
      return i16x8.sub(a, b);
    case 0xfa: // PSUBD
      return i32x4.sub(a, b);
    case 0xfb: // PSUBQ
      return i64x2.sub(a, b);
    case 0xfc: // PADDB
      return i8x16.add(a, b);
    case 0xfd: // PADDW
      return i16x8.add(a, b);
    default: // PADDD, 0xfe
      return i32x4.add(a, b);
  }
}

/** The MMX form, with the source already read. */
export function packedMmx(r: u32, opcode: u32, source: u64): void {
  const a = mmDestination(r);
  const isPack = opcode == 0x63 || opcode == 0x67 || opcode == 0x6b;
  const isHigh = opcode >= 0x68 && opcode <= 0x6a;
  if (isPack) {
    const both = i64x2.replace_lane(widen(a), 1, source);
    return setMm(<u32>load<u8>(r, 4), low64(packed(opcode, both, both)));
  }
  // The upper half of what a low interleave gives is the interleave of the upper halves.
  const result = packed(isHigh ? opcode - 8 : opcode, widen(a), widen(source));
  setMm(<u32>load<u8>(r, 4), isHigh ? high64(result) : low64(result));
}
