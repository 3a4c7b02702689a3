/** Model-specific registers. Those not listed raise #GP. SDM 4. */

import {
  lapicTscChanged,
  readApicBase,
  readTscDeadline,
  readX2apic,
  writeApicBase,
  writeTscDeadline,
  writeX2apic,
  x2apicReadable,
} from "../devices/lapic";
import {
  CSTAR,
  EFER,
  FMASK,
  KERNEL_GS_BASE,
  LSTAR,
  MC_BANKS,
  MCG_STATUS,
  MISC_ENABLE,
  MTRR_DEF,
  OPTION_IGNORE_TOP_BYTE,
  OPTION_SHADOW_CHECK,
  OPTIONS,
  PAT,
  SHADOW_OFFSET,
  SHADOW_ON,
  STAR,
  SYSENTER_CS,
  SYSENTER_EIP,
  SYSENTER_ESP,
  TSC_AUX,
  TSC_OFFSET,
} from "../layout";
import { now, tsc } from "../machine/clock";
import { flushTlb } from "../mmu/tlb";
import {
  CR0_PG,
  cr0,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
  FS,
  GS,
  isCanonical,
  segmentBase,
  selectMode,
  setSegmentBase,
} from "./state";
import { forgetJumps } from "./traces";

export let msrValue: u64 = 0;

function hasShadowCheck(): bool {
  return (load<u32>(OPTIONS) & OPTION_SHADOW_CHECK) != 0;
}

/** Machine-check banks: IA32_MC0_CTL and its like at 400h, four registers each. */
const MC_BANK_COUNT: u32 = 2;

function plain(msr: u32): u32 {
  if (msr >= 0x400 && msr < 0x400 + 4 * MC_BANK_COUNT) return MC_BANKS + ((msr - 0x400) << 3);
  switch (msr) {
    case 0x17a:
      return MCG_STATUS;
    case 0x174:
      return SYSENTER_CS;
    case 0x175:
      return SYSENTER_ESP;
    case 0x176:
      return SYSENTER_EIP;
    case 0x1a0:
      return MISC_ENABLE;
    case 0x277:
      return PAT;
    case 0x2ff:
      return MTRR_DEF;
    case 0xc0000080:
      return EFER;
    case 0xc0000081:
      return STAR;
    case 0xc0000082:
      return LSTAR;
    case 0xc0000083:
      return CSTAR;
    case 0xc0000084:
      return FMASK;
    case 0xc0000102:
      return KERNEL_GS_BASE;
    case 0xc0000103:
      return TSC_AUX;
  }
  // The shadow check's registers (shadow/check.ts).
  if (msr > 0x4c414200 && msr <= 0x4c414206 && hasShadowCheck())
    return SHADOW_OFFSET + ((msr - 0x4c414201) << 3);
  return 0;
}

/** RDMSR into msrValue; false: #GP. */
export function readMsr(msr: u32): bool {
  const at = plain(msr);
  if (at != 0) {
    msrValue = load<u64>(at);
    return true;
  }
  if (msr >= 0x800 && msr < 0x900) {
    if (!x2apicReadable(msr)) return false;
    msrValue = readX2apic(msr);
    return true;
  }
  switch (msr) {
    case 0x4c414200:
      msrValue = load<u32>(SHADOW_ON);
      return hasShadowCheck();
    case 0x10:
      msrValue = tsc();
      return true;
    case 0x1b:
      msrValue = readApicBase();
      return true;
    case 0x3b:
      msrValue = load<u64>(TSC_OFFSET);
      return true;
    case 0x6e0:
      msrValue = readTscDeadline();
      return true;
    case 0xc0000100:
      msrValue = segmentBase(FS);
      return true;
    case 0xc0000101:
      msrValue = segmentBase(GS);
      return true;
    case 0xfe: // no variable MTRRs
    case 0x8b: // microcode revision
    case 0x17: // platform id
    case 0x2a:
    case 0x34:
    case 0x140:
    case 0x1d9:
    case 0x3a:
      msrValue = msr == 0x3a ? 1 : 0;
      return true;
    case 0x179: // IA32_MCG_CAP
      msrValue = MC_BANK_COUNT;
      return true;
  }
  return false;
}

/** UC, WC, WT, WP, WB, and UC- (7), which only the PAT has. */
function isMemoryType(type: u64): bool {
  return type <= 7 && type != 2 && type != 3;
}

/** WRMSR; false: #GP. */
export function writeMsr(msr: u32, value: u64): bool {
  switch (msr) {
    case 0x4c414200:
      if (!hasShadowCheck() || value > 15) return false;
      if (value > 1 && ((value & 2) == 0 || (load<u32>(OPTIONS) & OPTION_IGNORE_TOP_BYTE) == 0)) return false;
      store<u32>(SHADOW_ON, <u32>value);
      flushTlb();
      return true;
    case 0x4c414201:
      if (load<u32>(SHADOW_ON) != 0) return false;
      break;
    case 0x4c414202:
    case 0x4c414203:
      forgetJumps();
      break;
    case 0x4c414204:
    case 0x4c414205:
      return false;
    case 0x10:
      store<u64>(TSC_OFFSET, value - now());
      lapicTscChanged();
      return true;
    case 0x1b:
      return writeApicBase(value);
    case 0x3b:
      store<u64>(TSC_OFFSET, value);
      lapicTscChanged();
      return true;
    case 0x6e0:
      writeTscDeadline(value);
      return true;
    case 0x8b:
    case 0x140: // MISC_FEATURES_ENABLES: Linux clears it on every Intel processor
    case 0x1d9:
      return true;
    case 0x277:
      for (let i: u32 = 0; i < 64; i += 8) {
        if (!isMemoryType((value >> i) & 0xff)) return false;
      }
      break;
    case 0xc0000080: {
      if ((value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) != 0) return false;
      const old = load<u64>(EFER);
      if ((cr0() & CR0_PG) != 0 && ((old ^ value) & EFER_LME) != 0) return false;
      store<u64>(EFER, (value & ~EFER_LMA) | (old & EFER_LMA));
      flushTlb();
      selectMode();
      return true;
    }
    case 0xc0000100:
    case 0xc0000101:
      if (!isCanonical(value)) return false;
      setSegmentBase(msr == 0xc0000100 ? FS : GS, value);
      return true;
    case 0x175:
    case 0x176:
    case 0xc0000082:
    case 0xc0000083:
    case 0xc0000102:
      if (!isCanonical(value)) return false;
      break;
    case 0x2ff:
      if ((value & ~(<u64>0xcff)) != 0 || !isMemoryType(value & 0xff) || (value & 0xff) == 7) return false;
      break;
    case 0xc0000103:
      if (value >> 32 != 0) return false;
      break;
    case 0xc0000084:
      value &= 0xffffffff;
      break;
  }
  if (msr >= 0x800 && msr < 0x900) return writeX2apic(msr, value);
  const at = plain(msr);
  if (at == 0) return false;
  // What a bank reports can only be cleared (SDM 3B 15.3.2).
  if (msr >= 0x400 && (msr & 3) != 0 && msr < 0x410 && value != 0) return false;
  store<u64>(at, value);
  return true;
}
