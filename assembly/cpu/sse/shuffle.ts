/** Shuffles, blends, insertions and extractions chosen by an immediate byte or a mask. SDM 2B, 4.3. */
import { XMM } from "../../layout";
import { high64, low64, widen } from "../mmx/registers";
import { keygenAssist } from "./aes";
import { clmul } from "./pclmul";
import { joined } from "./shift";

/** The four doublewords of `a` that the immediate names. */
export function shuffleDoublewords(a: v128, order: u32): v128 {
  return i8x16.swizzle(a, doublewordOrder(order));
}
function doublewordOrder(order: u32): v128 {
  const first = (order & 3) * 0x04040404 + 0x03020100;
  const second = ((order >> 2) & 3) * 0x04040404 + 0x03020100;
  const third = ((order >> 4) & 3) * 0x04040404 + 0x03020100;
  const fourth = (order >> 6) * 0x04040404 + 0x03020100;
  return i64x2.replace_lane(widen(<u64>first | ((<u64>second) << 32)), 1, <u64>third | ((<u64>fourth) << 32));
}
/** The four words of a quadword that the immediate names: PSHUFW, and the halves of PSHUFLW and PSHUFHW. */
export function shuffleWords(a: u64, order: u32): u64 {
  let result: u64 = 0;
  for (let i: u32 = 0; i < 4; i++) result |= ((a >> (((order >> (i << 1)) & 3) << 4)) & 0xffff) << (i << 4);
  return result;
}
/** 70: PSHUFD, PSHUFHW (F3), PSHUFLW (F2). */
export function shuffle70(b: v128, rep: u32, order: u32): v128 {
  if (rep == 0xf3) return i64x2.replace_lane(b, 1, shuffleWords(high64(b), order));
  if (rep == 0xf2) return i64x2.replace_lane(b, 0, shuffleWords(low64(b), order));
  return shuffleDoublewords(b, order);
}
/** C6: SHUFPS and SHUFPD. */
export function shuffleFloats(a: v128, b: v128, order: u32, double: bool): v128 {
  if (double) {
    const low = (order & 1) != 0 ? high64(a) : low64(a);
    return i64x2.replace_lane(widen(low), 1, (order & 2) != 0 ? high64(b) : low64(b));
  }
  return v128.shuffle<i32>(shuffleDoublewords(a, order), shuffleDoublewords(b, order), 0, 1, 6, 7);
}

/** All ones in each lane of `size` bytes whose bit is set. */
function laneMask(bits: u32, size: u32): v128 {
  for (let i: u32 = 0; i < 16; i++) store<u8>(LANES + i, ((bits >> (i / size)) & 1) != 0 ? 0xff : 0);
  return v128.load(LANES);
}
const LANES: u32 = <u32>memory.data(16, 16);

/** MPSADBW: eight sums of four absolute differences, at successive bytes of the destination. */
function sums(a: v128, b: v128, control: u32): v128 {
  v128.store(LANES, a);
  v128.store(OTHER, b);
  const from = LANES + (control & 4);
  const block = OTHER + ((control & 3) << 2);
  v128.store(SUMS, i64x2.splat(0));
  for (let i: u32 = 0; i < 8; i++) {
    let sum: u32 = 0;
    for (let j: u32 = 0; j < 4; j++) {
      const difference = <i32>load<u8>(from + i + j) - <i32>load<u8>(block + j);
      sum += <u32>abs(difference);
    }
    store<u16>(SUMS + (i << 1), <u16>sum);
  }
  return v128.load(SUMS);
}
const OTHER: u32 = <u32>memory.data(16, 16);
const SUMS: u32 = <u32>memory.data(16, 16);

/** 0F 3A with destination, source and immediate. */
export function packed3a(opcode: u32, a: v128, b: v128, imm: u32): v128 {
  switch (opcode) {
    case 0x0c: // BLENDPS
      return v128.bitselect(b, a, laneMask(imm, 4));
    case 0x0d: // BLENDPD
      return v128.bitselect(b, a, laneMask(imm, 8));
    case 0x0e: // PBLENDW
      return v128.bitselect(b, a, laneMask(imm, 2));
    case 0x0f: // PALIGNR
      return imm >= 32 ? i64x2.splat(0) : joined(b, a, imm, 0);
    case 0x42: // MPSADBW
      return sums(a, b, imm);
    case 0x44: // PCLMULQDQ
      return clmul((imm & 1) != 0 ? high64(a) : low64(a), (imm & 16) != 0 ? high64(b) : low64(b));
    default: // AESKEYGENASSIST, 0xdf
      return keygenAssist(b, imm);
  }
}
/** PALIGNR of MMX registers. */
export function alignMmx(a: u64, b: u64, from: u32): u64 {
  if (from >= 16) return 0;
  return low64(joined(i64x2.replace_lane(widen(b), 1, a), i64x2.splat(0), from, 0));
}

/** 10, 14, 15: the signs of XMM0 choose. */
export function blendVariable(opcode: u32, a: v128, b: v128): v128 {
  const chooser = v128.load(XMM);
  const mask =
    opcode == 0x10
      ? i8x16.shr_s(chooser, 7)
      : opcode == 0x14
        ? i32x4.shr_s(chooser, 31)
        : i64x2.shr_s(chooser, 63);
  return v128.bitselect(b, a, mask);
}

/** INSERTPS with the doubleword already picked. */
export function insertSingle(a: v128, value: u32, control: u32): v128 {
  v128.store(LANES, a);
  store<u32>(LANES + ((control >> 2) & 12), value);
  for (let i: u32 = 0; i < 4; i++) if (((control >> i) & 1) != 0) store<u32>(LANES + (i << 2), 0);
  return v128.load(LANES);
}
