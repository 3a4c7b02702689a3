/**
 * PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM. SDM 1, 5.11; SDM 2B, 4.1 (the immediate byte).
 *
 *   bits 1:0  unsigned bytes, unsigned words, signed bytes, signed words
 *   bits 3:2  equal any, ranges, equal each, equal ordered
 *   bits 5:4  polarity: as it is, negated, as it is, negated where the source is valid
 *   bit  6    index: the last instead of the first; mask: lanes instead of bits
 */
import { faulted } from "../exceptions";
import { setStatus } from "../flags";
import { widen } from "../mmx/registers";
import { BIT_REX_W, recBits, recImm, recOpcode } from "../record";
import { FLAG_CF, FLAG_OF, FLAG_SF, FLAG_ZF, gpr, RAX, RCX, RDX, STATUS_FLAGS, setGpr } from "../state";
import { destination, setXmm, sourceUnaligned } from "./registers";

const EQUAL_ANY: u32 = 0;
const RANGES: u32 = 1;
const EQUAL_EACH: u32 = 2;

const FIRST: u32 = <u32>memory.data(16, 16);
const SECOND: u32 = <u32>memory.data(16, 16);

function element(at: u32, i: u32, format: u32): i32 {
  switch (format) {
    case 0:
      return load<u8>(at + i);
    case 1:
      return load<u16>(at + (i << 1));
    case 2:
      return load<i8>(at + i);
    default:
      return load<i16>(at + (i << 1));
  }
}
/** Elements before the first zero. */
function implicitLength(at: u32, count: u32, format: u32): u32 {
  let n: u32 = 0;
  while (n < count && element(at, n, format) != 0) n++;
  return n;
}
/** The magnitude in EAX or EDX, RAX or RDX with REX.W, at most the elements there are. */
function explicitLength(r: u32, register: u32, count: u32): u32 {
  const value: i64 = (recBits(r) & BIT_REX_W) != 0 ? <i64>gpr(register) : <i64>(<i32>gpr(register));
  const magnitude: u64 = value < 0 ? 0 - <u64>value : <u64>value;
  return magnitude > count ? count : <u32>magnitude;
}

/** Bit j: what the comparison says of element j of the source. */
function aggregate(count: u32, format: u32, kind: u32, first: u32, second: u32): u32 {
  let result: u32 = 0;
  for (let j: u32 = 0; j < count; j++) {
    let holds = false;
    if (kind == EQUAL_ANY) {
      if (j < second) {
        const value = element(SECOND, j, format);
        for (let i: u32 = 0; i < first && !holds; i++) holds = element(FIRST, i, format) == value;
      }
    } else if (kind == RANGES) {
      if (j < second) {
        const value = element(SECOND, j, format);
        for (let i: u32 = 0; i + 1 < first && !holds; i += 2)
          holds = element(FIRST, i, format) <= value && value <= element(FIRST, i + 1, format);
      }
    } else if (kind == EQUAL_EACH) {
      if (j < first && j < second) holds = element(FIRST, j, format) == element(SECOND, j, format);
      else holds = j >= first && j >= second;
    } else {
      holds = true;
      for (let i: u32 = 0; i < first && j + i < count && holds; i++)
        holds = j + i < second && element(FIRST, i, format) == element(SECOND, j + i, format);
    }
    if (holds) result |= (<u32>1) << j;
  }
  return result;
}

function lanes(bits: u32, format: u32): v128 {
  const size: u32 = (format & 1) + 1;
  for (let i: u32 = 0; i < 16; i++) store<u8>(FIRST + i, ((bits >> (i / size)) & 1) != 0 ? 0xff : 0);
  return v128.load(FIRST);
}

/** 0F 3A 60 to 63: bit 0 of the opcode an index in ECX, else a mask in XMM0; bit 1 lengths by a zero element. */
export function compareStrings(r: u32): void {
  const b = sourceUnaligned(r);
  if (faulted()) return;
  v128.store(FIRST, destination(r));
  v128.store(SECOND, b);
  const control = <u32>recImm(r);
  const opcode = recOpcode(r);
  const format = control & 3;
  const count: u32 = (format & 1) != 0 ? 8 : 16;
  const implicit = (opcode & 2) != 0;
  const first = implicit ? implicitLength(FIRST, count, format) : explicitLength(r, RAX, count);
  const second = implicit ? implicitLength(SECOND, count, format) : explicitLength(r, RDX, count);
  const all = ((<u32>1) << count) - 1;
  let result = aggregate(count, format, (control >> 2) & 3, first, second);
  const polarity = (control >> 4) & 3;
  if (polarity == 1) result ^= all;
  else if (polarity == 3) result ^= ((<u32>1) << second) - 1;
  if ((opcode & 1) != 0) {
    const index = result == 0 ? count : (control & 0x40) != 0 ? 31 - clz(result) : ctz(result);
    setGpr(RCX, index);
  } else setXmm(0, (control & 0x40) != 0 ? lanes(result, format) : widen(result));
  setStatus(
    STATUS_FLAGS,
    (result != 0 ? FLAG_CF : 0) |
      (second < count ? FLAG_ZF : 0) |
      (first < count ? FLAG_SF : 0) |
      ((result & 1) != 0 ? FLAG_OF : 0),
  );
}
