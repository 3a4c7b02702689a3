/** COMISS, COMISD, UCOMISS, UCOMISD: the outcome in ZF, PF and CF. SDM 2A. */
import { XMM } from "../../layout";
import { faulted } from "../exceptions";
import { setStatus } from "../flags";
import { EQUAL, GREATER, LESS, UNORDERED } from "../float/arithmetic";
import { compare } from "../float/index";
import { BIT_OPSIZE, recBits, recOpcode, recReg } from "../record";
import { FLAG_CF, FLAG_PF, FLAG_ZF, STATUS_FLAGS } from "../state";
import { isTame } from "./native";
import { sourceLow } from "./registers";
import { begin, finish } from "./status";

export function compareFlags(r: u32): void {
  if ((recBits(r) & BIT_OPSIZE) != 0) compareScalars<u64, f64>(r);
  else compareScalars<u32, f32>(r);
}

function compareScalars<T, F>(r: u32): void {
  const b = sourceLow<T>(r);
  if (faulted()) return;
  const a = load<T>(XMM + (recReg(r) << 4));
  if (isTame<T>(a) && isTame<T>(b)) {
    const x = reinterpret<F>(a),
      y = reinterpret<F>(b);
    return setOutcome(x < y ? LESS : x == y ? EQUAL : GREATER);
  }
  begin();
  const outcome = compare<T>(a, b, recOpcode(r) == 0x2f);
  if (finish()) setOutcome(outcome);
}

function setOutcome(outcome: u32): void {
  setStatus(
    STATUS_FLAGS,
    (outcome == EQUAL || outcome == UNORDERED ? FLAG_ZF : 0) |
      (outcome == UNORDERED ? FLAG_PF : 0) |
      (outcome == LESS || outcome == UNORDERED ? FLAG_CF : 0),
  );
}
