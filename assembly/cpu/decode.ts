/**
 * Instruction bytes to records. The bytes come from a window of up to 15 that the caller has fetched; running
 * past its end means that the next page is needed. SDM 2, chapter 2 and appendix A.
 */

import { CODE_MODE } from "../layout";
import * as id from "./ids";
import { begin, bits, finish, out, readPrefixes, set, short } from "./instruction";
import { oneByte } from "./one_byte";
import { BIT_LOCK, BIT_MEM } from "./record";
import { twoByte } from "./two_byte";

/** Decodes the instruction at `from` into `record`. Returns its length; 0 when the window was too short. */
export function decode(from: u32, length: u32, record: u32): u32 {
  begin(from, length, record);
  const mode = load<u32>(CODE_MODE);
  const op = readPrefixes(mode);
  if (short) return 0;
  if (op == 0x0f) twoByte(mode);
  else oneByte(op, mode);
  const taken = finish(from);
  if (taken == 0) return 0;
  if ((bits & BIT_LOCK) != 0 && !lockable()) set(id.UNDEFINED, 0);
  if (taken > 15) set(id.UNDEFINED, 1);
  return taken;
}

/** LOCK is for read-modify-write instructions with a memory destination; elsewhere it is #UD. SDM 2A, LOCK. */
function lockable(): bool {
  if ((bits & BIT_MEM) == 0) return false;
  const operation: u32 = load<u8>(out, 13);
  switch (<u32>load<u16>(out)) {
    case id.ALU_RM_R:
    case id.ALU_RM_I:
      return operation != 7;
    case id.BT_R:
    case id.BT_I:
      return operation != 0;
    case id.NEG:
    case id.NOT:
    case id.INC_RM:
    case id.DEC_RM:
    case id.XCHG:
    case id.XADD:
    case id.CMPXCHG:
    case id.CMPXCHG8B:
      return true;
  }
  return false;
}
