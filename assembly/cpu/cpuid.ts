/** CPUID: what this processor offers. What is not listed here raises #UD. SDM 2A, CPUID. */
import { ACTIVE, CPUS, OPTION_IGNORE_TOP_BYTE, OPTION_SHADOW_CHECK, OPTIONS } from "../layout";
import { CR4_OSXSAVE, cr4, gpr, RAX, RBX, RCX, RDX, setGpr } from "./state";

function answer(a: u32, b: u32, c: u32, d: u32): void {
  setGpr(RAX, a);
  setGpr(RBX, b);
  setGpr(RCX, c);
  setGpr(RDX, d);
}

/** FPU DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE-36. */
const FEATURES_EDX: u32 =
  1 |
  (1 << 2) |
  (1 << 3) |
  (1 << 4) |
  (1 << 5) |
  (1 << 6) |
  (1 << 8) |
  (1 << 9) |
  (1 << 11) |
  (1 << 13) |
  (1 << 15) |
  (1 << 16) |
  (1 << 17) |
  (1 << 7) |
  (1 << 14) |
  (1 << 12);
const FEATURES_ECX: u32 =
  (1 << 13) | (1 << 17) | (1 << 30) | (1 << 21) | (1 << 22) | (1 << 23) | (1 << 24) | (1 << 26) | (1 << 31);
/** MMX FXSR SSE SSE2, CLFLUSH; SSE3 PCLMULQDQ SSSE3 SSE4.1 SSE4.2 AES; SHA. */
const VECTOR_EDX: u32 = (1 << 23) | (1 << 24) | (1 << 25) | (1 << 26) | (1 << 19);
const VECTOR_ECX: u32 = 1 | (1 << 1) | (1 << 9) | (1 << 19) | (1 << 20) | (1 << 25);
const VECTOR_7_EBX: u32 = 1 << 29;
/** FSGSBASE BMI1 SMEP BMI2 INVPCID (x87 selectors not kept) RDSEED ADX SMAP. */
const FEATURES_7_EBX: u32 =
  1 | (1 << 3) | (1 << 7) | (1 << 8) | (1 << 10) | (1 << 13) | (1 << 18) | (1 << 19) | (1 << 20);
const FEATURES_7_ECX: u32 = 1 << 2; // UMIP
const EXTENDED_EDX: u32 = (1 << 11) | (1 << 20) | (1 << 26) | (1 << 27) | (1 << 29);

export function cpuid(): void {
  const leaf = <u32>gpr(RAX),
    sub = <u32>gpr(RCX);
  switch (leaf) {
    case 0:
      return answer(0x16, 0x756e6547, 0x6c65746e, 0x49656e69); // GenuineIntel
    case 1:
      return answer(
        0x000506e3,
        (load<u32>(ACTIVE) << 24) | (load<u32>(CPUS) << 16) | 0x800,
        FEATURES_ECX | VECTOR_ECX | ((cr4() & CR4_OSXSAVE) != 0 ? 1 << 27 : 0),
        FEATURES_EDX | VECTOR_EDX | ((1 << 28) & (load<u32>(CPUS) > 1 ? -1 : 0)),
      );
    case 7:
      return sub == 0 ? answer(0, FEATURES_7_EBX | VECTOR_7_EBX, FEATURES_7_ECX, 0) : answer(0, 0, 0, 0);
    case 0xd:
      // x87 and SSE, 576 bytes in either format; XSAVEOPT, XSAVEC, XGETBV with ECX = 1.
      if (sub == 0) return answer(3, 576, 576, 0);
      return sub == 1 ? answer(7, 576, 0, 0) : answer(0, 0, 0, 0);
    case 0x15:
      return answer(1, 1, 1000000000, 0);
    case 0x16:
      return answer(1000, 1000, 100, 0);
    case 0x40000000: // hypervisor leaves, only for who has asked for something that no silicon has
      if ((load<u32>(OPTIONS) & (OPTION_SHADOW_CHECK | OPTION_IGNORE_TOP_BYTE)) != 0)
        return answer(0x40000001, 0x73617263, 0x62616c68, 0x20555043); // "crashlabCPU "
      break;
    case 0x40000001:
      // Bit 0: the shadow check; bit 1: the top byte of kernel pointers is ignored, so that they can carry tags.
      if ((load<u32>(OPTIONS) & (OPTION_SHADOW_CHECK | OPTION_IGNORE_TOP_BYTE)) != 0)
        return answer(
          ((load<u32>(OPTIONS) & OPTION_SHADOW_CHECK) != 0 ? 1 : 0) |
            ((load<u32>(OPTIONS) & OPTION_IGNORE_TOP_BYTE) != 0 ? 2 : 0),
          0,
          0,
          0,
        );
      break;
    case 0x80000000:
      return answer(0x80000008, 0, 0, 0);
    case 0x80000001:
      return answer(0, 0, 1 | (1 << 5), EXTENDED_EDX);
    case 0x80000002:
      return answer(0x73617263, 0x62616c68, 0x72697620, 0x6c617574); // "crashlab virtual"
    case 0x80000003:
      return answer(0x55504320, 0, 0, 0); // " CPU"
    case 0x80000004:
      return answer(0, 0, 0, 0);
    case 0x80000007:
      return answer(0, 0, 0, 1 << 8); // invariant TSC
    case 0x80000008:
      return answer(0x3028, 0, 0, 0); // 40 physical, 48 linear bits
  }
  answer(0, 0, 0, 0);
}
