/** Comparison of outcomes, and where QEMU is known to differ from processors: each with the side that silicon takes. */
import type { Case } from "./case.ts";
import { isWide } from "./descriptors.ts";
import { field } from "./monitor.ts";
import * as at from "./places.ts";
import { type Outcome, RECORD_FIELDS, type Record } from "./record.ts";

interface Comparison {
  /** What differs, expected from QEMU and found in the core. */
  readonly found: readonly string[];
  /** Known differences that were met. */
  readonly reasons: readonly string[];
}

interface Known {
  readonly reason: string;
  /** The field that may differ, and where. */
  readonly covers: (name: string, qemu: Record, core: Record, each: Case) => boolean;
}

const RF = 0x10000n;
/** The SS of the handler in the word that holds ES to TR. */
const HANDLER_SS = 0xffff0000n;

function differOnlyIn(mask: bigint, word: string, a: Record, b: Record): boolean {
  return (((a[word] ?? 0n) ^ (b[word] ?? 0n)) & ~mask) === 0n;
}

const KNOWN: readonly Known[] = [
  {
    reason: "RF in pushed flags: set for faults, clear for INT n (SDM 3B 17.3.1.1); QEMU pushes what it was",
    covers: (word, qemu, core, each) =>
      differOnlyIn(RF, word, qemu, core) &&
      // INT n to a vector that would have an error code: the frame is one word off.
      (word === "rflags" || (word === "cs" && each.name.startsWith("interrupt"))),
  },
  {
    reason: "SS stays when the stack changes by IST alone (SDM 2A INT n); QEMU empties it",
    covers: (word, qemu, core) =>
      (word === "systemSelectors" && differOnlyIn(HANDLER_SS, word, qemu, core)) ||
      (word === "ss" &&
        (qemu[word] ?? 0n) <= 3n &&
        (core[word] === BigInt(at.selectors.data) || core[word] === BigInt(at.selectors.userData | 3))),
  },
  {
    reason: "error code of a page fault with RSVD has P set (SDM 3A 4.7); QEMU leaves P clear",
    covers: (word, qemu, core) =>
      word === "error" &&
      isVector(14n, qemu, core) &&
      differOnlyIn(3n, word, qemu, core) &&
      ((core[word] ?? 0n) & 9n) === 9n,
  },
  {
    reason: "an instruction that reads and writes faults as a write (the native vectors); QEMU reads first",
    covers: (word, qemu, core) =>
      word === "error" &&
      isVector(14n, qemu, core) &&
      differOnlyIn(2n, word, qemu, core) &&
      ((core[word] ?? 0n) & 2n) === 2n,
  },
  {
    reason: "an entry that refuses the access is not marked accessed (SDM 3A 4.8); QEMU marks it first",
    covers: (word, qemu, core) =>
      word.startsWith("memory") &&
      isVector(14n, qemu, core) &&
      ((core["error"] ?? 0n) & 1n) !== 0n &&
      differOnlyIn(0x20n, word, qemu, core) &&
      ((core[word] ?? 0n) & 0x20n) === 0n,
  },
  {
    reason:
      "IRET and far RET refuse an offset beyond the limit of 32-bit code, and a null SS there or of another RPL (SDM 2A); QEMU takes them",
    covers: (_word, qemu, core, each) =>
      core["vector"] === 13n &&
      core["error"] === 0n &&
      core["rip"] !== qemu["rip"] &&
      /^(iret|far ret)/.test(each.name) &&
      ((targetDescriptor(each) & (1n << 53n)) === 0n || (qemu["ss"] ?? 0n) <= 3n),
  },
  {
    reason:
      "going to an address that is not canonical is #GP where it is done (SDM 2A JMP, IRET); QEMU goes there first",
    covers: (_word, qemu, core) =>
      qemu["vector"] === 13n &&
      // By a gate whose offset is not canonical, an exception that counts becomes a double fault.
      (core["vector"] === 13n || core["vector"] === 8n) &&
      !isCanonical(qemu["rip"] ?? 0n) &&
      isCanonical(core["rip"] ?? 0n),
  },
  {
    reason:
      "error code of a fault at a gate of the IDT is 8 times its vector (SDM 3A 6.13); QEMU takes 16 times",
    covers: (word, qemu, core) => {
      const [a, b] = [qemu[word] ?? 0n, core[word] ?? 0n];
      return word === "error" && (b & 2n) !== 0n && a - (a & 7n) === 2n * (b - (b & 7n));
    },
  },
  {
    reason:
      "a fault while an exception is delivered has EXT in its error code (SDM 3A 6.13); QEMU leaves it clear",
    covers: (word, qemu, core, each) =>
      word === "error" &&
      each.name.startsWith("interrupt") &&
      differOnlyIn(1n, word, qemu, core) &&
      ((core[word] ?? 0n) & 1n) === 1n,
  },
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
    reason: "SYSCALL keeps the status flags that IA32_FMASK leaves (SDM 2B); QEMU loses them",
    covers: (word, qemu, core, each) =>
      word === "rflags" &&
      (each.name.startsWith("syscall") || / 0f05/.test(each.name)) &&
      differOnlyIn(0xcd5n | RF, word, qemu, core),
  },
  {
    reason: "SYSRET in ring 3 with EFER.SCE clear is #UD (SDM 2B); QEMU looks at the ring first",
    covers: (word, qemu, core, each) =>
      word === "vector" && each.name.startsWith("sysret") && qemu[word] === 13n && core[word] === 6n,
  },
  {
    reason:
      "a call gate to conforming code leaves the caller's level in CS (SDM 2A CALL); QEMU puts the segment's",
    covers: (word, qemu, core, each) =>
      word === "cs" && each.name.startsWith("far call") && differOnlyIn(3n, word, qemu, core),
  },
  {
    reason:
      "a code segment that is entered is marked accessed (SDM 3A 3.4.5.1); QEMU leaves that out at times",
    covers: (word, qemu, core, each) =>
      word.startsWith("memory") &&
      /^(iret|far|interrupt)/.test(each.name) &&
      differOnlyIn(1n << 40n, word, qemu, core) &&
      ((core[word] ?? 0n) & (1n << 40n)) !== 0n,
  },
  {
    reason: "CR0 with NW and without CD, or with bits above 31, is #GP (SDM 2B MOV); QEMU takes it",
    covers: (_word, _qemu, core, each) => {
      const value = each.state.get(field.registers) ?? 0n;
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
      (/^control 0f23f/.test(each.name) &&
        ["rcx", "dr6", "dr7"].includes(word) &&
        differOnlyIn(word === "dr6" ? 0x1000n : 0xd000n, word, qemu, core)),
  },
  {
    reason:
      "bases and targets that are not canonical, and values that the PAT or EFER do not take, are #GP (SDM 4, 2B); QEMU takes them",
    covers: (_word, _qemu, core, each) => {
      const [value = 0n, msr = 0n] = [0, 1].map((n) => each.state.get(field.registers + n) ?? 0n);
      if (refusedWrite(core, each, "f3480faed8")) return !isCanonical(value);
      const low = value & 0xffffffffn;
      const high = (each.state.get(field.registers + 2) ?? 0n) & 0xffffffffn;
      return (
        refusedWrite(core, each, "0f30") &&
        (msr === 0x277n || msr === 0xc0000080n || !isCanonical((high << 32n) | low))
      );
    },
  },
  {
    reason: "an address by SS that is not canonical is #SS, in LEAVE too (SDM 2A); QEMU says #GP",
    covers: (word, qemu, core, each) =>
      word === "vector" &&
      / (c9|488b4500|48894500)$/.test(each.name) &&
      qemu[word] === 13n &&
      core[word] === 12n,
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
    reason: "INT n to a vector with an error code pushes none: the record's last word lies beyond the frame",
    covers: (word, _qemu, _core, each) => word === "ss" && /^interrupt (8|13|14) /.test(each.name),
  },
  {
    reason: "BTS leaves OF, SF, AF and PF undefined (SDM 2A): each has its own",
    covers: (word, qemu, core, each) =>
      word === "rflags" && each.name.includes(" 0fab0f") && differOnlyIn(0x894n | RF, word, qemu, core),
  },
  {
    reason: "SS takes a null selector only with RPL = CPL (SDM 2B MOV, LSS); QEMU takes any",
    covers: (_word, qemu, core, each) =>
      each.name.startsWith("segment") &&
      core["vector"] === 13n &&
      core["error"] === 0n &&
      (qemu["ss"] ?? 0n) <= 3n,
  },
  {
    reason:
      "a write across two pages of which the second faults may mark the first dirty (SDM 3A 4.8); QEMU does not",
    covers: (word, qemu, core, each) =>
      word.startsWith("memory") &&
      each.name.startsWith("page 4K") &&
      isVector(14n, qemu, core) &&
      ((core["cr2"] ?? 0n) & 0xfffn) === 0n &&
      differOnlyIn(0x60n, word, qemu, core),
  },
  {
    reason: "LAR gives bits 16 to 19 of the descriptor, which are undefined (SDM 2A LAR); QEMU clears them",
    covers: (word, qemu, core, each) =>
      word === "rdx" && /0f02d0/.test(each.name) && differOnlyIn(0xf0000n, word, qemu, core),
  },
  {
    reason:
      "16-bit TSS and gate descriptors have no meaning for LAR and LSL in IA-32e mode (SDM 2A); QEMU knows them",
    covers: (word, _qemu, core, each) =>
      (word === "rdx" || word === "rflags") &&
      /0f0[23]d0/.test(each.name) &&
      [1n, 3n, 4n, 5n].includes((namedDescriptor(each) >> 40n) & 0x1fn) &&
      ((core["rflags"] ?? 0n) & 0x40n) === 0n,
  },
];

/** The descriptor that RAX names in a case of segments, where the case has put one; else 0. */
function namedDescriptor(each: Case): bigint {
  return descriptorAt(each, Number((each.state.get(field.registers) ?? 0n) & 0xfffcn));
}
/** The same for the selector at the end of a transfer's name; of the fixed ones only 64-bit code has L. */
function targetDescriptor(each: Case): bigint {
  const selector = Number.parseInt(each.name.split(" ").at(-1) ?? "", 16);
  return isWide(selector) ? 1n << 53n : descriptorAt(each, selector & 0xfffc);
}
function descriptorAt(each: Case, selector: number): bigint {
  const address = ((selector & 4) === 0 ? at.GDT : at.LDT) + (selector & ~7);
  return each.patches.findLast((patch) => patch.address === address)?.value ?? 0n;
}
/** A write of a control register or the like, of these bytes, that the core refuses. */
function refusedWrite(core: Record, each: Case, bytes: string): boolean {
  return each.name.startsWith(`control ${bytes}`) && core["vector"] === 13n && core["error"] === 0n;
}
function isVector(vector: bigint, qemu: Record, core: Record): boolean {
  return qemu["vector"] === vector && core["vector"] === vector;
}
function isCanonical(address: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;
}

export function differencesOf(each: Case, qemu: Outcome, core: Outcome): Comparison {
  if (qemu === "abort") return { found: [], reasons: ["QEMU aborts"] };
  if (typeof qemu === "string" || typeof core === "string") {
    const name = (one: Outcome): string => (typeof one === "string" ? one : `vector ${one["vector"]}`);
    return {
      found: name(qemu) === name(core) ? [] : [`expected ${name(qemu)} found ${name(core)}`],
      reasons: [],
    };
  }
  const reasons = new Set<string>();
  const found: string[] = [];
  for (const word of RECORD_FIELDS) {
    if (qemu[word] === core[word]) continue;
    const known = KNOWN.find(({ covers }) => covers(word, qemu, core, each));
    if (known !== undefined) reasons.add(known.reason);
    else found.push(`${word} expected ${qemu[word]?.toString(16)} found ${core[word]?.toString(16)}`);
  }
  return { found, reasons: [...reasons] };
}
