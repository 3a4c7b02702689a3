/** Where QEMU differs in segment loads, control registers, debug registers and MSRs. SDM 3A 2.5, 3B 17.2, SDM 2, 4. */

import type { Case } from "./case.ts";
import { descriptorOf, differOnlyIn, isCanonical, type Known, raises, register, typeOf } from "./known.ts";
import type { Record } from "./record.ts";

/** A write of a control register or the like, of these bytes, that the core refuses. */
function refusedWrite(core: Record, each: Case, bytes: string): boolean {
  return each.name.startsWith(`control ${bytes}`) && raises(core, 13n, 0n);
}
/** The descriptor that RAX names. */
function named(each: Case): bigint {
  return descriptorOf(each, Number(register(each, 0) & 0xfffcn));
}

/** MSRs that hold addresses. */
const ADDRESS_MSRS: readonly bigint[] = [
  ...[0x175n, 0x176n, 0xc0000082n, 0xc0000083n],
  ...[0xc0000100n, 0xc0000101n, 0xc0000102n],
];
function isRefusedMsr(msr: bigint, value: bigint): boolean {
  if (ADDRESS_MSRS.includes(msr)) return !isCanonical(value);
  // PAT: types 2, 3 and those above 7. EFER: reserved bits, or LME changed under paging.
  if (msr === 0x277n)
    return [0n, 8n, 16n, 24n, 32n, 40n, 48n, 56n].some((shift) => {
      const type = (value >> shift) & 0xffn;
      return type > 7n || type === 2n || type === 3n;
    });
  return msr === 0xc0000080n && ((value & ~0xd01n) !== 0n || (value & 0x100n) === 0n);
}

export const KNOWN_REGISTERS: readonly Known[] = [
  {
    reason: "SS takes a null selector only with RPL = CPL (SDM 2B MOV, LSS); QEMU takes any",
    covers: (_word, qemu, core, each) =>
      each.name.startsWith("segment") && raises(core, 13n, 0n) && (qemu["ss"] ?? 0n) <= 3n,
  },
  {
    reason: "LAR gives bits 16 to 19 of the descriptor, which are undefined (SDM 2A LAR); QEMU clears them",
    covers: (word, qemu, core, each) =>
      word === "rdx" && each.name.includes("0f02d0") && differOnlyIn(0xf0000n, word, qemu, core),
  },
  {
    reason:
      "16-bit TSS and gate descriptors have no meaning for LAR and LSL in IA-32e mode (SDM 2A); QEMU knows them",
    covers: (word, _qemu, core, each) =>
      (word === "rdx" || word === "rflags") &&
      /0f0[23]d0/.test(each.name) &&
      [1, 3, 4, 5].includes(typeOf(named(each))) &&
      ((core["rflags"] ?? 0n) & 0x40n) === 0n,
  },
  {
    reason: "CR0 with NW and without CD, or with bits above 31, is #GP (SDM 2B MOV); QEMU takes it",
    covers: (_word, _qemu, core, each) => {
      const value = register(each, 0);
      return (
        refusedWrite(core, each, "0f22c0") && (value >> 32n !== 0n || (value & 0x60000000n) === 0x20000000n)
      );
    },
  },
  {
    reason:
      "reserved bits of CR0, DR6 and DR7 read as they are (SDM 3A 2.5, 3B 17.2); QEMU keeps what was written",
    covers: (word, qemu, core, each) =>
      (word === "cr0" &&
        each.name.startsWith("control 0f22c0") &&
        differOnlyIn(0x1ffaffc0n, word, qemu, core)) ||
      // DR4 and DR5 are other names for them.
      (/^control 0f23[ef]/.test(each.name) &&
        ["rcx", "dr6", "dr7"].includes(word) &&
        differOnlyIn(word === "dr6" ? 0x1000n : 0xd000n, word, qemu, core)),
  },
  {
    reason: "DR4 and DR5 with CR4.DE are #UD in every ring (SDM 2B MOV); QEMU looks at the ring first",
    covers: (word, qemu, core, each) =>
      word === "vector" && /^control 0f2[13]e/.test(each.name) && raises(core, 6n, 0n) && qemu[word] === 13n,
  },
  {
    reason:
      "bases and targets that are not canonical, and values that the PAT or EFER do not take, are #GP (SDM 4, 2B); QEMU takes them",
    covers: (_word, _qemu, core, each) => {
      const [value, msr, high] = [register(each, 0), register(each, 1), register(each, 2)];
      if (refusedWrite(core, each, "f3480faed8")) return !isCanonical(value);
      return (
        refusedWrite(core, each, "0f30") &&
        isRefusedMsr(msr, ((high & 0xffffffffn) << 32n) | (value & 0xffffffffn))
      );
    },
  },
  {
    reason:
      "LTR of a 16-bit TSS in IA-32e mode is #GP, present or not (SDM 2A LTR); QEMU asks only whether it is present",
    covers: (word, qemu, core, each) =>
      word === "vector" &&
      each.name.startsWith("segment 0f00d8 ring 0") &&
      typeOf(named(each)) === 1 &&
      core[word] === 13n &&
      qemu[word] === 11n,
  },
];

/** LTR of null or of a 16-bit TSS: QEMU finds no stack in it when the next exception comes. */
export function isEndOfQemu(each: Case, core: Record): boolean {
  const isNull = (register(each, 0) & 0xfffcn) === 0n;
  const is16Bit = typeOf(named(each)) === 1;
  return /^segment 0f00d8 ring 0/.test(each.name) && (isNull || is16Bit) && core["vector"] === 13n;
}
