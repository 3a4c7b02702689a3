/**
 * VEX: only the bit instructions of BMI1 and BMI2 are here. The second source or destination, VEX.vvvv, lies in
 * the immediate. SDM 2, 2.3.5.
 */
import { ANDN, BEXTR, BLSR, BZHI, MULX, PDEP, PEXT, RORX } from "./bmi";
import * as id from "./ids";
import { bits, fetch8, needModrm, out, regOp, repeatPrefix, set, setImm, setVexPrefix } from "./instruction";
import { BIT_LOCK, BIT_OPSIZE, BIT_REX } from "./record";

export function vex(op: u32, mode: u32): void {
  const first = fetch8();
  if (op == 0xc5) return set(id.UNDEFINED, 0);
  const second = fetch8();
  const code = fetch8();
  if ((bits & (BIT_LOCK | BIT_OPSIZE | BIT_REX)) != 0 || repeatPrefix != 0) return set(id.UNDEFINED, 0);
  setVexPrefix(mode == 64 ? (~first >> 5) & 7 : 0, mode == 64 && (second & 0x80) != 0 ? 8 : 4);
  const vvvv = (~second >> 3) & (mode == 64 ? 15 : 7);
  const pp = second & 3;
  const map = first & 31;
  needModrm();
  store<u8>(out, <u8>code, 15);
  if ((second & 4) != 0) return set(id.UNDEFINED, 0);
  if (map == 3 && code == 0xf0 && pp == 3) {
    setImm(fetch8());
    return set((second & 0x78) == 0x78 ? id.BMI : id.UNDEFINED, (second & 0x78) == 0x78 ? RORX : 0);
  }
  setImm(vvvv);
  let operation: u32 = 0xff;
  if (map == 2) {
    if (code == 0xf2 && pp == 0) operation = ANDN;
    else if (code == 0xf3 && pp == 0 && regOp() >= 1 && regOp() <= 3) operation = BLSR + regOp() - 1;
    else if (code == 0xf5 && pp != 1) operation = pp == 0 ? BZHI : pp == 2 ? PEXT : PDEP;
    else if (code == 0xf6 && pp == 3) operation = MULX;
    else if (code == 0xf7) operation = BEXTR + pp;
  }
  set(operation == 0xff ? id.UNDEFINED : id.BMI, operation == 0xff ? 0 : operation);
}
