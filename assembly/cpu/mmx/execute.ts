/** Executes the forms with MMX registers (sse/forms.ts). SDM 1, chapter 9; SDM 2. */
import { read, write } from "../../mmu/memory";
import { effectiveAddress } from "../address";
import { faulted } from "../exceptions";
import { getRm, setRm } from "../operands";
import { BIT_REX_W, recBits, recImm, recIsMem, recOpcode, recReg, recRm } from "../record";
import { fromMmx, toMmx } from "../sse/convert";
import { storeMasked } from "../sse/execute";
import * as form from "../sse/forms";
import { packedMmx } from "../sse/packed";
import { packed38Mmx } from "../sse/packed38";
import { setDestination, xmmLow64 } from "../sse/registers";
import { shiftByImmediate, shiftByOperand } from "../sse/shift";
import { alignMmx, shuffleWords } from "../sse/shuffle";
import { setGpr } from "../state";
import { emms, enterMmx, low64, mm, mmDestination, mmSource, setMm, widen } from "./registers";

export function executeMmx(r: u32, operation: u32): void {
  switch (operation) {
    case form.MMX_PACKED: {
      // PUNPCKLBW, PUNPCKLWD and PUNPCKLDQ read 32 bits of memory.
      const opcode = recOpcode(r);
      const b = opcode <= 0x62 && recIsMem(r) ? <u64>getRm<u32>(r) : mmSource(r);
      if (!faulted()) packedMmx(r, opcode, b);
      return;
    }
    case form.MMX_PACKED38: {
      const b = mmSource(r);
      if (!faulted()) packed38Mmx(r, recOpcode(r), b);
      return;
    }
    case form.MMX_SHIFT: {
      const count = mmSource(r);
      if (faulted()) return;
      return setMm(recReg(r), low64(shiftByOperand(recOpcode(r), widen(mmDestination(r)), count)));
    }
    case form.MMX_SHIFT_I: {
      const value = widen(mm(recRm(r)));
      const count = <u32>recImm(r) & 0xff;
      return setMm(recRm(r), low64(shiftByImmediate(recOpcode(r), recReg(r) & 7, value, count)));
    }
    case form.MMX_LOAD: {
      const value = mmSource(r);
      if (!faulted()) setMm(recReg(r), value);
      return;
    }
    case form.MMX_STORE:
      if (!recIsMem(r)) return setMm(recRm(r), mmDestination(r));
      write<u64>(effectiveAddress(r), mmDestination(r));
      if (!faulted()) enterMmx();
      return;
    case form.MMX_FROM_GENERAL: {
      const value = isWide(r) ? getRm<u64>(r) : getRm<u32>(r);
      if (!faulted()) setMm(recReg(r), value);
      return;
    }
    case form.MMX_TO_GENERAL:
      if (isWide(r)) setRm<u64>(r, mmDestination(r));
      else setRm<u32>(r, <u32>mmDestination(r));
      if (!faulted()) enterMmx();
      return;
    case form.MMX_BYTE_MASK:
      setGpr(recReg(r), <u32>i8x16.bitmask(widen(mm(recRm(r)))));
      return enterMmx();
    case form.MMX_SHUFFLE: {
      const b = mmSource(r);
      if (!faulted()) setMm(recReg(r), shuffleWords(b, <u32>recImm(r) & 0xff));
      return;
    }
    case form.MMX_INSERT_WORD: {
      const value = <u64>(recIsMem(r) ? read<u16>(effectiveAddress(r)) : <u16>getRm<u32>(r));
      if (faulted()) return;
      const shift = (<u64>recImm(r) & 3) << 4;
      return setMm(recReg(r), (mmDestination(r) & ~((<u64>0xffff) << shift)) | (value << shift));
    }
    case form.MMX_EXTRACT_WORD:
      setGpr(recReg(r), (mm(recRm(r)) >> ((<u64>recImm(r) & 3) << 4)) & 0xffff);
      return enterMmx();
    case form.MMX_ALIGN: {
      const b = mmSource(r);
      if (!faulted()) setMm(recReg(r), alignMmx(mmDestination(r), b, <u32>recImm(r) & 0xff));
      return;
    }
    case form.MMX_MASK_MOVE:
      storeMasked(r, widen(mmDestination(r)), widen(mm(recRm(r))), 8);
      if (!faulted()) enterMmx();
      return;
    case form.MMX_EMPTY:
      return emms();
    case form.MMX_TO_XMM:
      setDestination(r, widen(mm(recRm(r))));
      return enterMmx();
    case form.XMM_TO_MMX:
      return setMm(recReg(r), xmmLow64(recRm(r)));
    case form.FROM_MMX:
      return fromMmx(r);
    case form.TO_MMX:
      return toMmx(r);
  }
}

function isWide(r: u32): bool {
  return (recBits(r) & BIT_REX_W) != 0;
}
