/** Where QEMU differs in translation and in accesses. SDM 3A chapter 4. */

import { differOnlyIn, isVector, type Known, RF, raises } from "./known.ts";
import { field } from "./monitor.ts";

/** Instructions of the page cases that read and write their operand: AND, LOCK OR, XCHG, LOCK CMPXCHG, BTS, ARPL. */
const UPDATES = / (482107|f0480907|488707|f0480fb117|0fab0f|2107|f00907|8707|f00fb117|630f)/;
/** The accessed and dirty bits of an entry, or of two of 32 bits. */
const ACCESSED = 0x20_0000_0020n;
const ACCESSED_DIRTY = 0x60_0000_0060n;

export const KNOWN_PAGING: readonly Known[] = [
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
    covers: (word, qemu, core, each) => {
      if (!isVector(14n, qemu, core) || !UPDATES.test(each.name) || ((core["error"] ?? 0n) & 2n) === 0n)
        return false;
      // Across two pages: the first cannot be written, the second cannot be read.
      const isSecond = ((core["cr2"] ?? 0n) | 0xfffn) + 1n === qemu["cr2"];
      return word === "error" ? isSecond || differOnlyIn(2n, word, qemu, core) : word === "cr2" && isSecond;
    },
  },
  {
    reason: "an entry that refuses the access is not marked accessed (SDM 3A 4.8); QEMU marks it first",
    covers: (word, qemu, core) =>
      word.startsWith("memory") &&
      isVector(14n, qemu, core) &&
      ((core["error"] ?? 0n) & 1n) !== 0n &&
      differOnlyIn(ACCESSED, word, qemu, core) &&
      ((core[word] ?? 0n) & ACCESSED & ~(qemu[word] ?? 0n)) === 0n,
  },
  {
    reason:
      "a write across two pages of which the second faults may mark the first dirty (SDM 3A 4.8); QEMU does not",
    covers: (word, qemu, core, each) =>
      word.startsWith("memory") &&
      /^(page 4K|32-bit page)/.test(each.name) &&
      isVector(14n, qemu, core) &&
      ((core["cr2"] ?? 0n) & 0xfffn) === 0n &&
      differOnlyIn(ACCESSED_DIRTY, word, qemu, core),
  },
  {
    reason: "an address by SS that is not canonical is #SS, in LEAVE too (SDM 2A); QEMU says #GP",
    covers: (word, qemu, core, each) =>
      word === "vector" &&
      / (c9|488b4500|48894500)$/.test(each.name) &&
      qemu[word] === 13n &&
      raises(core, 12n, 0n),
  },
  {
    reason:
      "IRET in ring 3 reads its frame with the program's rights (SDM 2A); QEMU as supervisor, which SMAP refuses",
    covers: (_word, qemu, core, each) =>
      each.name.includes(" ring 3 ") &&
      raises(qemu, 14n, 1n) &&
      qemu["cr2"] === (qemu["rsp"] ?? qemu["esp"]) &&
      core["vector"] !== 14n &&
      ((each.state.get(field.cr4) ?? 0n) & 0x200000n) !== 0n,
  },
  {
    reason: "BTS leaves OF, SF, AF and PF undefined (SDM 2A): each has its own",
    covers: (word, qemu, core, each) =>
      /^[re]flags$/.test(word) &&
      each.name.includes(" 0fab0f") &&
      differOnlyIn(0x894n | RF, word, qemu, core),
  },
];
