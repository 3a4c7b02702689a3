/**
 * Status flags, kept lazily: an arithmetic instruction stores its operands and result, and whoever asks for a
 * flag computes it. FLAG_KIND NONE means that FLAGS holds the status flags themselves.
 */
import { FLAG_A, FLAG_B, FLAG_KIND, FLAG_RESULT, FLAG_SIZE, FLAGS } from "../layout";
import { FLAG_AF, FLAG_CF, FLAG_OF, FLAG_PF, FLAG_SF, FLAG_ZF, STATUS_FLAGS } from "./state";

export const NONE: u32 = 0;
export const ADD: u32 = 1; // also with carry in
export const SUB: u32 = 2; // also with borrow in
export const LOGIC: u32 = 3;
export const INC: u32 = 4; // CF lies in FLAGS
export const DEC: u32 = 5; // CF lies in FLAGS
export const GIVEN: u32 = 6; // CF, AF and OF lie in FLAG_B, where RFLAGS has them; the others follow the result

export function setLazy(kind: u32, size: u32, a: u64, b: u64, result: u64): void {
  store<u64>(FLAG_KIND, kind | ((<u64>size) << 32)); // FLAG_SIZE is the upper half
  store<u64>(FLAG_A, a);
  store<u64>(FLAG_B, b);
  store<u64>(FLAG_RESULT, result);
}

function signBit(value: u64): bool {
  return ((value >> ((load<u32>(FLAG_SIZE) << 3) - 1)) & 1) != 0;
}

/** CF: unsigned carry or borrow. */
export function isBelow(): bool {
  const kind = load<u32>(FLAG_KIND);
  if (kind == GIVEN) return (load<u64>(FLAG_B) & FLAG_CF) != 0;
  if (kind == NONE || kind >= INC) return (load<u64>(FLAGS) & FLAG_CF) != 0;
  if (kind == LOGIC) return false;
  const a = load<u64>(FLAG_A),
    b = load<u64>(FLAG_B),
    r = load<u64>(FLAG_RESULT);
  return signBit(kind == ADD ? (a & b) | ((a | b) & ~r) : (~a & b) | ((~a | b) & r));
}
/** ZF. */
export function isEqual(): bool {
  if (load<u32>(FLAG_KIND) == NONE) return (load<u64>(FLAGS) & FLAG_ZF) != 0;
  return load<u64>(FLAG_RESULT) == 0;
}
/** SF. */
export function isNegative(): bool {
  if (load<u32>(FLAG_KIND) == NONE) return (load<u64>(FLAGS) & FLAG_SF) != 0;
  return signBit(load<u64>(FLAG_RESULT));
}
/** OF. */
export function isOverflow(): bool {
  const kind = load<u32>(FLAG_KIND);
  if (kind == NONE) return (load<u64>(FLAGS) & FLAG_OF) != 0;
  if (kind == LOGIC) return false;
  if (kind == GIVEN) return (load<u64>(FLAG_B) & FLAG_OF) != 0;
  const a = load<u64>(FLAG_A),
    b = load<u64>(FLAG_B),
    r = load<u64>(FLAG_RESULT);
  return signBit(kind == ADD || kind == INC ? (a ^ r) & (b ^ r) : (a ^ b) & (a ^ r));
}
/** PF: even number of ones in the low byte. */
export function isParityEven(): bool {
  if (load<u32>(FLAG_KIND) == NONE) return (load<u64>(FLAGS) & FLAG_PF) != 0;
  return (popcnt<u32>(<u32>load<u64>(FLAG_RESULT) & 0xff) & 1) == 0;
}
function isAdjust(): bool {
  const kind = load<u32>(FLAG_KIND);
  if (kind == NONE) return (load<u64>(FLAGS) & FLAG_AF) != 0;
  if (kind == LOGIC) return false;
  if (kind == GIVEN) return (load<u64>(FLAG_B) & FLAG_AF) != 0;
  return ((load<u64>(FLAG_A) ^ load<u64>(FLAG_B) ^ load<u64>(FLAG_RESULT)) & 0x10) != 0;
}

/** Writes the lazy flags into FLAGS. */
export function materialize(): void {
  if (load<u32>(FLAG_KIND) == NONE) return;
  let f = load<u64>(FLAGS) & ~STATUS_FLAGS;
  if (isBelow()) f |= FLAG_CF;
  if (isParityEven()) f |= FLAG_PF;
  if (isAdjust()) f |= FLAG_AF;
  if (isEqual()) f |= FLAG_ZF;
  if (isNegative()) f |= FLAG_SF;
  if (isOverflow()) f |= FLAG_OF;
  store<u64>(FLAGS, f);
  store<u32>(FLAG_KIND, NONE);
}

/** Flags of a shift: CF and OF are `given`, AF is clear, the others are those of the result. */
export function setGiven(size: u32, given: u64, result: u64): void {
  store<u64>(FLAG_KIND, GIVEN | ((<u64>size) << 32));
  store<u64>(FLAG_B, given);
  store<u64>(FLAG_RESULT, result);
}
/** Replaces CF and OF alone, as rotates and multiplications do. */
export function setCarryOverflow(given: u64): void {
  if (load<u32>(FLAG_KIND) == NONE) {
    store<u64>(FLAGS, (load<u64>(FLAGS) & ~(FLAG_CF | FLAG_OF)) | given);
    return;
  }
  store<u64>(FLAG_B, given | (isAdjust() ? FLAG_AF : 0));
  store<u32>(FLAG_KIND, GIVEN);
}
/** Gives equal flags equal representations: what the host compares or keeps must not depend on how they came about. */
export function settle(): void {
  materialize();
  store<u32>(FLAG_SIZE, 0);
  store<u64>(FLAG_RESULT, 0);
  store<u64>(FLAG_A, 0);
  store<u64>(FLAG_B, 0);
}

/** RFLAGS as software sees it. */
export function rflags(): u64 {
  materialize();
  return load<u64>(FLAGS) | 2;
}
export function setRflags(value: u64): void {
  store<u32>(FLAG_KIND, NONE);
  store<u64>(FLAGS, value | 2);
}
/** Replaces the status flags in `mask`. */
export function setStatus(mask: u64, value: u64): void {
  materialize();
  store<u64>(FLAGS, (load<u64>(FLAGS) & ~mask) | (value & mask));
}

/** Condition code of Jcc, SETcc, CMOVcc (SDM 1, appendix B). */
export function condition(cc: u32): bool {
  let yes: bool;
  switch (cc >> 1) {
    case 0:
      yes = isOverflow();
      break;
    case 1:
      yes = isBelow();
      break;
    case 2:
      yes = isEqual();
      break;
    case 3:
      yes = isBelow() || isEqual();
      break;
    case 4:
      yes = isNegative();
      break;
    case 5:
      yes = isParityEven();
      break;
    case 6:
      yes = isNegative() != isOverflow();
      break;
    default:
      yes = isEqual() || isNegative() != isOverflow();
  }
  return yes != ((cc & 1) != 0);
}
