/** Where QEMU differs in gates, far transfers and returns. SDM 3A chapters 5 and 6, SDM 2A. */
import type { Case } from "./case.ts";
import {
  DESCRIPTOR_ACCESSED,
  DESCRIPTOR_D,
  DESCRIPTOR_L,
  descriptorOf,
  differOnlyIn,
  frameWord,
  isCanonical,
  isVector,
  type Known,
  limitOf,
  RF,
  raises,
  targetOf,
} from "./known.ts";
import * as at from "./places.ts";

/** The SS of the handler in the word that holds ES to TR. */
const HANDLER_SS = 0xffff0000n;
/** INT n to a vector of exceptions that push an error code, which INT n does not: the frame is one word off. */
const INT_WITHOUT_ERROR = /^interrupt (8|13|14) cd/;

export const BEYOND_LIMIT: Known = {
  reason:
    "an offset beyond the limit of a code segment that is not 64-bit is #GP(0) (SDM 2A CALL, IRET, RET)",
  covers: (word, qemu, core, each) => {
    const { selector, offset } = destinationOf(each);
    const target = descriptorOf(each, selector);
    if (!/^(32-bit )?(iret|far)/.test(each.name) || offset <= limitOf(target)) return false;
    const isWide = (target & DESCRIPTOR_L) !== 0n;
    // QEMU's far CALL has the selector for an error code, asks 64-bit segments too, and nothing with REX.W.
    const isRefusedThere = isVectorWithSelector(qemu, each);
    if (isWide) return each.name.startsWith("far call") && isRefusedThere;
    if (!raises(core, 13n, 0n)) return false;
    return isRefusedThere ? word === "error" : (core["rip"] ?? core["eip"]) !== (qemu["rip"] ?? qemu["eip"]);
  },
};

export const CALLER_LEVEL_STAYS: Known = {
  reason:
    "a call gate to conforming code leaves the caller's level in CS (SDM 2A CALL); QEMU puts the segment's",
  covers: (word, qemu, core, each) =>
    word === "cs" &&
    each.name.includes("far call") &&
    (targetOf(each) & ~3) === at.selectors.gate &&
    differOnlyIn(3n, word, qemu, core),
};

export const ENTERED_IS_ACCESSED: Known = {
  reason: "a code segment that is entered is marked accessed (SDM 3A 3.4.5.1); QEMU leaves that out at times",
  covers: (word, qemu, core, each) =>
    word.startsWith("memory") &&
    /^(32-bit )?(iret|far|interrupt|gate)/.test(each.name) &&
    differOnlyIn(DESCRIPTOR_ACCESSED, word, qemu, core) &&
    ((core[word] ?? 0n) & DESCRIPTOR_ACCESSED) !== 0n,
};

export const ABSENT_BEHIND_GATE: Known = {
  reason: "JMP through a call gate to code that is not present is #NP (SDM 2A JMP); QEMU says #GP",
  covers: (word, qemu, core, each) =>
    word === "vector" &&
    each.name.includes("far jmp") &&
    (targetOf(each) & ~3) === at.selectors.gate &&
    qemu[word] === 13n &&
    core[word] === 11n &&
    qemu["error"] === core["error"],
};

export const ABSENT_STACK: Known = {
  reason: "a stack segment that is not present is #SS (SDM 2A IRET, RET); QEMU says #NP",
  covers: (word, qemu, core, each) =>
    word === "vector" &&
    /^(32-bit far |far )?(iret|ret)/.test(each.name) &&
    qemu[word] === 11n &&
    core[word] === 12n &&
    qemu["error"] === core["error"],
};

export const EXT_IS_SET: Known = {
  reason:
    "a fault while an exception is delivered has EXT in its error code (SDM 3A 6.13); QEMU leaves it clear",
  covers: (word, qemu, core, each) =>
    word === "error" &&
    /^(interrupt|32-bit gate)/.test(each.name) &&
    differOnlyIn(1n, word, qemu, core) &&
    ((core[word] ?? 0n) & 1n) === 1n,
};

export const KNOWN_TRANSFERS: readonly Known[] = [
  {
    reason: "RF in pushed flags: set for faults, clear for INT n (SDM 3B 17.3.1.1); QEMU pushes what it was",
    covers: (word, qemu, core, each) =>
      differOnlyIn(RF, word, qemu, core) &&
      (word === "rflags" || (word === "cs" && INT_WITHOUT_ERROR.test(each.name))),
  },
  {
    reason: "SS stays when the stack changes by IST alone (SDM 2A INT n); QEMU empties it",
    covers: (word, qemu, core) =>
      (word === "systemSelectors" &&
        differOnlyIn(HANDLER_SS, word, qemu, core) &&
        ((qemu[word] ?? 0n) & HANDLER_SS) >> 16n <= 3n) ||
      (word === "ss" &&
        (qemu[word] ?? 0n) <= 3n &&
        (core[word] === BigInt(at.selectors.data) || core[word] === BigInt(at.selectors.userData | 3))),
  },
  {
    reason: "INT n to a vector with an error code pushes none: the record's last word lies beyond the frame",
    covers: (word, _qemu, _core, each) => word === "ss" && INT_WITHOUT_ERROR.test(each.name),
  },
  {
    reason:
      "error code of a fault at a gate of the IDT is 8 times its vector (SDM 3A 6.13); QEMU takes 16 times",
    covers: (word, qemu, core) => {
      const [a, b] = [qemu[word] ?? 0n, core[word] ?? 0n];
      return word === "error" && (b & 2n) !== 0n && a - (a & 7n) === 2n * (b - (b & 7n));
    },
  },
  ABSENT_BEHIND_GATE,
  EXT_IS_SET,
  {
    reason:
      "a handler's segment that is neither 64-bit nor present is #GP, as Bochs has it; QEMU says #NP (SDM 2A is silent)",
    covers: (word, qemu, core, each) =>
      each.name.startsWith("interrupt") &&
      (word === "vector" || word === "error") &&
      qemu["vector"] === 11n &&
      core["vector"] === 13n &&
      differOnlyIn(1n, "error", qemu, core),
  },
  {
    reason:
      "IMUL leaves SF, ZF, AF and PF undefined (SDM 2A): the monitor's own, in a handler outside ring 0",
    covers: (word, qemu, core, each) =>
      word === "rflags" &&
      each.name.startsWith("interrupt") &&
      (core["rip"] ?? 0n) >= at.HIGH &&
      differOnlyIn(0xd4n | RF, word, qemu, core),
  },
  {
    reason:
      "going to an address that is not canonical is #GP where it is done (SDM 2A JMP, IRET; SDM 2B SYSRET, SYSEXIT); QEMU goes there first, and steps there",
    covers: (_word, qemu, core, each) =>
      !isCanonical(qemu["rip"] ?? 0n) &&
      isCanonical(core["rip"] ?? 0n) &&
      // By a gate whose offset is not canonical, an exception that counts becomes a double fault.
      ((qemu["vector"] === 13n && (raises(core, 13n, 0n) || raises(core, 13n, 1n) || raises(core, 8n, 0n))) ||
        (qemu["vector"] === 1n && /^(iret|sysret|sysexit)/.test(each.name) && raises(core, 13n, 0n))),
  },
  {
    reason:
      "a call gate's offset that is not canonical is #GP(0) before any push (SDM 2A CALL); QEMU pushes first",
    covers: (_word, qemu, core, each) =>
      each.name.startsWith("far call") &&
      (targetOf(each) & ~3) === at.selectors.gate &&
      !isCanonical(gateOffset(each)) &&
      (qemu["vector"] === 14n || qemu["vector"] === 12n) &&
      raises(core, 13n, 0n),
  },
  BEYOND_LIMIT,
  {
    reason:
      "a null SS is refused outside 64-bit code and with an RPL that is not the level (SDM 2A IRET); QEMU takes it",
    covers: (_word, qemu, core, each) =>
      /^(iret|far ret)/.test(each.name) &&
      raises(core, 13n, 0n) &&
      core["rip"] !== qemu["rip"] &&
      (qemu["ss"] ?? 0n) <= 3n,
  },
  ABSENT_STACK,
  {
    reason: "code with both L and D is refused in IA-32e mode (SDM 3A 5.2.1, SDM 2A JMP); QEMU takes it",
    covers: (_word, _qemu, core, each) => {
      const target = descriptorOf(each, targetOf(each));
      const both = DESCRIPTOR_L | DESCRIPTOR_D;
      return (
        /^(iret|far)/.test(each.name) &&
        (target & both) === both &&
        raises(core, 13n, BigInt(targetOf(each) & 0xfffc))
      );
    },
  },
  {
    reason: "L means nothing in a stack segment (SDM 3A 3.4.5); QEMU takes the whole of RSP then",
    covers: (word, qemu, core, each) =>
      word === "rsp" &&
      /^(iret|far ret)/.test(each.name) &&
      ((descriptorOf(each, Number(core["ss"] ?? 0n)) >> 53n) & 3n) === 1n &&
      differOnlyIn(~0xffffn, word, qemu, core),
  },
  CALLER_LEVEL_STAYS,
  ENTERED_IS_ACCESSED,
  {
    reason: "SYSCALL keeps the status flags that IA32_FMASK leaves (SDM 2B); QEMU loses them",
    covers: (word, qemu, core, each) =>
      word === "rflags" &&
      (each.name.startsWith("syscall") || / 0f05/.test(each.name)) &&
      differOnlyIn(0xcd5n | RF, word, qemu, core),
  },
  {
    reason: "SYSRET in ring 3 with EFER.SCE clear is #UD (SDM 2B); QEMU looks at the ring first",
    covers: (word, qemu, core, each) =>
      word === "vector" && each.name.startsWith("sysret") && qemu[word] === 13n && raises(core, 6n, 0n),
  },
  {
    reason: "SYSEXIT to 32-bit code takes EDX (SDM 2B); QEMU takes RDX",
    covers: (word, qemu, core, each) =>
      word === "rip" &&
      each.name.startsWith("sysexit") &&
      core[word] === ((qemu[word] ?? 0n) & 0xffffffffn) &&
      isVector(core["vector"] ?? 0n, qemu, core),
  },
];

/** Where a transfer leads to; behind a call gate of 32-bit code, what that says. */
function destinationOf(each: Case): { readonly selector: number; readonly offset: bigint } {
  const selector = targetOf(each);
  if (!each.name.startsWith("32-bit ") || (selector & ~3) !== at.selectors.gate)
    return { selector, offset: frameWord(each, 0) };
  const gate = descriptorOf(each, selector);
  return {
    selector: Number((gate >> 16n) & 0xffffn),
    offset: (gate & 0xffffn) | ((gate >> 32n) & 0xffff0000n),
  };
}

/** The offset in a call gate of 64-bit mode. */
function gateOffset(each: Case): bigint {
  const low = descriptorOf(each, at.selectors.gate);
  const high = descriptorOf(each, at.selectors.gate + 8) & 0xffffffffn;
  return (low & 0xffffn) | ((low >> 32n) & 0xffff0000n) | (high << 32n);
}

/** #GP with the target's selector. */
function isVectorWithSelector(
  record: Parameters<typeof raises>[0],
  each: Parameters<typeof targetOf>[0],
): boolean {
  return raises(record, 13n, BigInt(targetOf(each) & 0xfffc));
}
