/** BMI1, BMI2, ADX, CRC32 and RDRAND: bit instructions on general registers. SDM 2. */
import { RANDOM } from "../layout";
import { multiplyHigh } from "./arithmetic";
import { faulted } from "./exceptions";
import { isBelow, isOverflow, setStatus } from "./flags";
import { getReg, getRegister, getRm, setReg, setRegister } from "./operands";
import { recImm, recOperation, recReg, recRm } from "./record";
import { FLAG_CF, FLAG_OF, FLAG_SF, FLAG_ZF, gpr, RDX, STATUS_FLAGS, setGpr } from "./state";

export const ANDN: u32 = 0;
export const BLSR: u32 = 1;
export const BLSMSK: u32 = 2;
export const BLSI: u32 = 3;
export const BZHI: u32 = 4;
export const PEXT: u32 = 5;
export const PDEP: u32 = 6;
export const MULX: u32 = 7;
export const BEXTR: u32 = 8; // SHLX, SARX, SHRX follow, in the order of VEX.pp
export const SHLX: u32 = 9;
export const SARX: u32 = 10;
export const SHRX: u32 = 11;
export const RORX: u32 = 12;

function resultFlags<T>(result: T, carry: bool): void {
  setStatus(
    FLAG_CF | FLAG_OF | FLAG_SF | FLAG_ZF,
    (carry ? FLAG_CF : 0) |
      (result == 0 ? FLAG_ZF : 0) |
      (<u64>result >> (sizeof<T>() * 8 - 1) != 0 ? FLAG_SF : 0),
  );
}

export function bitInstruction<T>(r: u32): void {
  const width: u32 = sizeof<T>() * 8;
  const source = getRm<T>(r);
  if (faulted()) return;
  const other = recOperation(r) == RORX ? <T>0 : getRegister<T>(<u32>recImm(r), r);
  const count = <u32>other & (width - 1);
  switch (recOperation(r)) {
    case ANDN: {
      const result = <T>(~other & source);
      resultFlags<T>(result, false);
      return setReg<T>(r, result);
    }
    case BLSR:
    case BLSMSK:
    case BLSI: {
      const operation = recOperation(r);
      const below = <T>(source - 1);
      let result = <T>(source & below);
      if (operation == BLSMSK) result = <T>(source ^ below);
      else if (operation == BLSI) result = <T>(source & (0 - source));
      resultFlags<T>(result, (source == 0) != (operation == BLSI));
      return setRegister<T>(<u32>recImm(r), r, result);
    }
    case BZHI: {
      const index = <u32>other & 0xff;
      const result = index >= width ? source : <T>(source & (((<T>1) << (<T>index)) - 1));
      resultFlags<T>(result, index >= width);
      return setReg<T>(r, result);
    }
    case PEXT:
      return setReg<T>(r, gather<T>(other, source));
    case PDEP:
      return setReg<T>(r, scatter<T>(other, source));
    case MULX: {
      const factor = <T>gpr(RDX);
      const low = <T>(factor * source);
      const high =
        sizeof<T>() == 8 ? <T>multiplyHigh(<u64>factor, <u64>source) : <T>((<u64>factor * <u64>source) >> 32);
      setRegister<T>(<u32>recImm(r), r, low);
      return setReg<T>(r, high); // the high half wins where both name one register
    }
    case BEXTR: {
      const start = <u32>other & 0xff;
      const length = (<u32>other >> 8) & 0xff;
      let result: T = start >= width ? <T>0 : <T>(source >> <T>start);
      if (length < width) result = <T>(result & (((<T>1) << (<T>length)) - 1));
      resultFlags<T>(result, false);
      return setReg<T>(r, result);
    }
    case SHLX:
      return setReg<T>(r, <T>(source << (<T>count)));
    case SHRX:
      return setReg<T>(r, <T>(source >> <T>count));
    case SARX:
      return setReg<T>(r, sizeof<T>() == 8 ? <T>(<i64>source >> count) : <T>(<i32>source >> count));
    case RORX: {
      const turn = <T>(<u32>recImm(r) & (width - 1));
      return setReg<T>(r, turn == 0 ? source : <T>((source >> turn) | (source << (<T>width - turn))));
    }
  }
}

/** PEXT: the bits of value under the mask, pushed together. */
function gather<T>(value: T, mask: T): T {
  let result: u64 = 0;
  let at: u64 = 0;
  for (let rest = <u64>mask; rest != 0; rest &= rest - 1) result |= ((<u64>value >> ctz(rest)) & 1) << at++;
  return <T>result;
}
/** PDEP: the low bits of value, spread to the bits of the mask. */
function scatter<T>(value: T, mask: T): T {
  let result: u64 = 0;
  let at: u64 = 0;
  for (let rest = <u64>mask; rest != 0; rest &= rest - 1) result |= ((<u64>value >> at++) & 1) << ctz(rest);
  return <T>result;
}

/** ADCX and ADOX: addition whose carry goes through CF or OF alone. */
export function addWithOneFlag<T>(r: u32): void {
  const a = getRm<T>(r);
  if (faulted()) return;
  const throughOverflow = recOperation(r) == 1;
  const b = getReg<T>(r);
  const carry: T = (throughOverflow ? isOverflow() : isBelow()) ? <T>1 : <T>0;
  const result = <T>(a + b + carry);
  const out = result < a || (carry != 0 && result == a);
  const flag = throughOverflow ? FLAG_OF : FLAG_CF;
  setStatus(flag, out ? flag : 0);
  setReg<T>(r, result);
}

/** CRC32: Castagnoli's polynomial, bits reflected, without the inversions that software adds. */
export function crc32<T>(r: u32): void {
  let value = <u64>getRm<T>(r);
  if (faulted()) return;
  let crc = <u32>gpr(recReg(r));
  for (let i: u32 = 0; i < sizeof<T>(); i++) {
    crc ^= <u32>value & 0xff;
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
    value >>= 8;
  }
  setGpr(recReg(r), crc);
}

/** RDRAND and RDSEED: a sequence that every run repeats (splitmix64), so that a machine is reproducible. */
export function random<T>(r: u32): void {
  const state = load<u64>(RANDOM) + 0x9e3779b97f4a7c15;
  store<u64>(RANDOM, state);
  let z = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  z ^= z >> 31;
  setRegister<T>(recRm(r), r, <T>z);
  setStatus(STATUS_FLAGS, FLAG_CF);
}
