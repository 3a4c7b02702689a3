/**
 * Which vector instruction an opcode is, decided once when it is decoded: the form in which its operands come and
 * go. execute.ts has a case for each form. What has no form is #UD. SDM 2D, tables.
 */

// Forms with XMM registers, the commonest first. Numbers below are opcode maps (decode.ts).
export const PACKED: u32 = 4; // xmm, xmm/m128 -> xmm
export const LOAD: u32 = 5;
export const LOAD_ALIGNED: u32 = 6;
export const STORE: u32 = 7;
export const STORE_ALIGNED: u32 = 8;
export const LOAD32: u32 = 9; // MOVSS
export const LOAD64: u32 = 10; // MOVSD
export const STORE32: u32 = 11;
export const STORE64: u32 = 12;
export const LOAD_QUAD: u32 = 13; // MOVQ xmm, xmm/m64
export const STORE_QUAD: u32 = 14;
export const FROM_GENERAL: u32 = 15;
export const TO_GENERAL: u32 = 16;
export const BYTE_MASK: u32 = 17; // PMOVMSKB
export const SHIFT: u32 = 18;
export const SHIFT_I: u32 = 19;
export const SHUFFLE70: u32 = 20;
export const SHUFFLE_C6: u32 = 21;
export const PACKED38: u32 = 22;
export const PACKED3A: u32 = 23;
export const FLOAT: u32 = 24; // 51, 58, 59, 5C to 5F
export const FROM_INTEGER: u32 = 25; // CVTSI2SS, CVTSI2SD
export const TO_INTEGER: u32 = 26; // CVTSS2SI, CVTTSD2SI, ...
export const COMPARE_FLAGS: u32 = 27; // COMISS, UCOMISD, ...
export const CONVERT: u32 = 28; // 5A, 5B, E6
export const COMPARE: u32 = 29; // CMPPS, ...
export const HALF: u32 = 30; // 12, 13, 16, 17
export const SIGN_MASK: u32 = 31; // MOVMSKPS, MOVMSKPD
export const INSERT_WORD: u32 = 32;
export const EXTRACT_WORD: u32 = 33;
export const EXTEND: u32 = 34; // PMOVSX, PMOVZX
export const TEST: u32 = 35;
export const BLEND_VARIABLE: u32 = 36;
export const INSERT: u32 = 37;
export const EXTRACT: u32 = 38;
export const STRING: u32 = 39;
export const ROUND: u32 = 40;
export const DOT: u32 = 41;
export const HORIZONTAL: u32 = 42; // 7C, 7D, D0
export const RECIPROCAL: u32 = 43; // 52, 53
export const SHA: u32 = 44;
export const SHA_ROUNDS: u32 = 45;
export const MASK_MOVE: u32 = 46;
export const MXCSR_LOAD: u32 = 47;
export const MXCSR_STORE: u32 = 48;

// Forms with MMX registers; from BOTH on with XMM registers too.
export const MMX_PACKED: u32 = 49;
export const MMX_PACKED38: u32 = 50;
export const MMX_SHIFT: u32 = 51;
export const MMX_SHIFT_I: u32 = 52;
export const MMX_LOAD: u32 = 53;
export const MMX_STORE: u32 = 54;
export const MMX_FROM_GENERAL: u32 = 55;
export const MMX_TO_GENERAL: u32 = 56;
export const MMX_BYTE_MASK: u32 = 57;
export const MMX_SHUFFLE: u32 = 58;
export const MMX_INSERT_WORD: u32 = 59;
export const MMX_EXTRACT_WORD: u32 = 60;
export const MMX_ALIGN: u32 = 61;
export const MMX_MASK_MOVE: u32 = 62;
export const MMX_EMPTY: u32 = 63; // EMMS
export const BOTH: u32 = 64;
export const MMX_TO_XMM: u32 = 64; // MOVQ2DQ
export const XMM_TO_MMX: u32 = 65; // MOVDQ2Q
export const FROM_MMX: u32 = 66; // CVTPI2PS, CVTPI2PD
export const TO_MMX: u32 = 67; // CVTPS2PI, CVTTPD2PI, ...

export const NO_FORM: u32 = 0xff;

// The mandatory prefix: the last of F2 and F3, else 66.
export const NONE: u32 = 0;
export const P66: u32 = 1;
export const F3: u32 = 2;
export const F2: u32 = 3;

function only(condition: bool, form: u32): u32 {
  return condition ? form : NO_FORM;
}
/** MMX without a prefix, SSE with 66, and nothing else. */
function either(prefix: u32, mmx: u32, sse: u32): u32 {
  return prefix == NONE ? mmx : only(prefix == P66, sse);
}

/** 0F. `operation` is the reg field. */
export function form0f(opcode: u32, prefix: u32, isMemory: bool, operation: u32): u32 {
  const isPlain = prefix < F3; // NONE or 66: packed single, packed double
  switch (opcode) {
    case 0x10:
      return isPlain ? LOAD : prefix == F3 ? LOAD32 : LOAD64;
    case 0x11:
      return isPlain ? STORE : prefix == F3 ? STORE32 : STORE64;
    case 0x12:
      return prefix == P66 ? only(isMemory, HALF) : HALF;
    case 0x13:
    case 0x17:
      return only(isPlain && isMemory, HALF);
    case 0x16:
      return prefix == P66 ? only(isMemory, HALF) : only(prefix != F2, HALF);
    case 0x14:
    case 0x15:
    case 0x54:
    case 0x55:
    case 0x56:
    case 0x57:
      return only(isPlain, PACKED);
    case 0x28:
      return only(isPlain, LOAD_ALIGNED);
    case 0x29:
      return only(isPlain, STORE_ALIGNED);
    case 0x2a:
      if (prefix == P66 && isMemory) return CONVERT; // CVTPI2PD from memory does not touch MMX state
      return isPlain ? FROM_MMX : FROM_INTEGER;
    case 0x2b:
      return only(isPlain && isMemory, STORE_ALIGNED);
    case 0x2c:
    case 0x2d:
      return isPlain ? TO_MMX : TO_INTEGER;
    case 0x2e:
    case 0x2f:
      return only(isPlain, COMPARE_FLAGS);
    case 0x50:
      return only(isPlain && !isMemory, SIGN_MASK);
    case 0x51:
    case 0x58:
    case 0x59:
    case 0x5c:
    case 0x5d:
    case 0x5e:
    case 0x5f:
      return FLOAT;
    case 0x52:
    case 0x53:
      return only(prefix == NONE || prefix == F3, RECIPROCAL);
    case 0x5a:
      return CONVERT;
    case 0x5b:
      return only(prefix != F2, CONVERT);
    case 0x6c:
    case 0x6d:
      return only(prefix == P66, PACKED);
    case 0x6e:
      return either(prefix, MMX_FROM_GENERAL, FROM_GENERAL);
    case 0x6f:
      return prefix == F3 ? LOAD : either(prefix, MMX_LOAD, LOAD_ALIGNED);
    case 0x70:
      return prefix == NONE ? MMX_SHUFFLE : SHUFFLE70;
    case 0x71:
    case 0x72: {
      const known = operation == 2 || operation == 4 || operation == 6;
      return only(known && !isMemory, either(prefix, MMX_SHIFT_I, SHIFT_I));
    }
    case 0x73: {
      const whole = operation == 3 || operation == 7;
      if (isMemory || !(operation == 2 || operation == 6 || whole)) return NO_FORM;
      return whole ? only(prefix == P66, SHIFT_I) : either(prefix, MMX_SHIFT_I, SHIFT_I);
    }
    case 0x77:
      return only(prefix == NONE, MMX_EMPTY);
    case 0x7c:
    case 0x7d:
    case 0xd0:
      return only(prefix == P66 || prefix == F2, HORIZONTAL);
    case 0x7e:
      return prefix == F3 ? LOAD_QUAD : either(prefix, MMX_TO_GENERAL, TO_GENERAL);
    case 0x7f:
      return prefix == F3 ? STORE : either(prefix, MMX_STORE, STORE_ALIGNED);
    case 0xc2:
      return COMPARE;
    case 0xc4:
      return either(prefix, MMX_INSERT_WORD, INSERT_WORD);
    case 0xc5:
      return only(!isMemory, either(prefix, MMX_EXTRACT_WORD, EXTRACT_WORD));
    case 0xc6:
      return only(isPlain, SHUFFLE_C6);
    case 0xd1:
    case 0xd2:
    case 0xd3:
    case 0xe1:
    case 0xe2:
    case 0xf1:
    case 0xf2:
    case 0xf3:
      return either(prefix, MMX_SHIFT, SHIFT);
    case 0xd6:
      if (prefix >= F3) return only(!isMemory, prefix == F3 ? MMX_TO_XMM : XMM_TO_MMX);
      return only(prefix == P66, STORE_QUAD);
    case 0xd7:
      return only(!isMemory, either(prefix, MMX_BYTE_MASK, BYTE_MASK));
    case 0xe6:
      return only(prefix != NONE, CONVERT);
    case 0xe7:
      return only(isMemory, either(prefix, MMX_STORE, STORE_ALIGNED));
    case 0xf0:
      return only(prefix == F2 && isMemory, LOAD);
    case 0xf7:
      return only(!isMemory, either(prefix, MMX_MASK_MOVE, MASK_MOVE));
    case 0xff:
      return NO_FORM;
  }
  const isPacked = (opcode >= 0x60 && opcode <= 0x6b) || (opcode >= 0x74 && opcode <= 0x76) || opcode >= 0xd4;
  return only(isPacked, either(prefix, MMX_PACKED, PACKED));
}

/** 0F 38. */
export function form38(opcode: u32, prefix: u32, isMemory: bool): u32 {
  if (opcode <= 0x0b || (opcode >= 0x1c && opcode <= 0x1e)) return either(prefix, MMX_PACKED38, PACKED38);
  if (opcode >= 0xc8 && opcode <= 0xcd) return only(prefix == NONE, SHA);
  if (prefix != P66) return NO_FORM;
  switch (opcode) {
    case 0x10:
    case 0x14:
    case 0x15:
      return BLEND_VARIABLE;
    case 0x17:
      return TEST;
    case 0x2a:
      return only(isMemory, LOAD_ALIGNED);
    case 0x28:
    case 0x29:
    case 0x2b:
      return PACKED38;
  }
  if ((opcode >= 0x20 && opcode <= 0x25) || (opcode >= 0x30 && opcode <= 0x35)) return EXTEND;
  return only((opcode >= 0x37 && opcode <= 0x41) || (opcode >= 0xdb && opcode <= 0xdf), PACKED38);
}

/** 0F 3A. */
export function form3a(opcode: u32, prefix: u32): u32 {
  if (opcode == 0x0f) return either(prefix, MMX_ALIGN, PACKED3A);
  if (opcode == 0xcc) return only(prefix == NONE, SHA_ROUNDS);
  if (prefix != P66) return NO_FORM;
  switch (opcode) {
    case 0x08:
    case 0x09:
    case 0x0a:
    case 0x0b:
      return ROUND;
    case 0x0c:
    case 0x0d:
    case 0x0e:
    case 0x42:
    case 0x44:
    case 0xdf:
      return PACKED3A;
    case 0x14:
    case 0x15:
    case 0x16:
    case 0x17:
      return EXTRACT;
    case 0x20:
    case 0x21:
    case 0x22:
      return INSERT;
    case 0x40:
    case 0x41:
      return DOT;
    case 0x60:
    case 0x61:
    case 0x62:
    case 0x63:
      return STRING;
  }
  return NO_FORM;
}
