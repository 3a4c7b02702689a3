/** Exceptions in the kernel and BUG(): arch/x86/mm/fault.c, arch/x86/kernel/traps.c, lib/bug.c, 4.19 to 6.12. */
import { type Family, hex, type Opening, type Part, type Title } from "./family.ts";

const PARTS: readonly Part[] = ["who", "rip", "registers", "code", "trace", "end"];

const NULL_TITLE: Title = {
  text: "BUG: unable to handle kernel NULL pointer dereference in %s",
  alt: ["bad-access in %s"],
  type: "NULL-POINTER-DEREFERENCE",
};
const PAGING_TITLE: Title = {
  text: "BUG: unable to handle kernel paging request in %s",
  alt: ["bad-access in %s"],
  type: "MEMORY_SAFETY_BUG",
};

function pageFault(title: Title, address: string | undefined): Opening {
  const fault = address === undefined ? {} : { fault: { address: hex(address) } };
  return { kind: "oops", title, pageFault: true, parts: PARTS, ...fault };
}

/** Places of BUG() that say what the bug is. */
const BUG_TITLES: readonly (readonly [string, Title])[] = [
  [
    "mm/usercopy.c",
    {
      text: "BUG: bad usercopy in %s",
      type: "MEMORY_SAFETY_BUG",
      from: ["trace"],
      skip: /usercopy|__check|^check_/,
    },
  ],
  ["lib/list_debug.c", { text: "BUG: corrupted list in %s", type: "MEMORY_SAFETY_BUG", from: ["trace"] }],
];
const BUG_TITLE: Title = { text: "kernel BUG in %s", type: "BUG" };

export const OOPS: Family = {
  opens: [
    [
      /^BUG: (?:unable to handle kernel|[Kk]ernel) NULL pointer dereference(?:,? (?:at(?: virtual)?(?: address)?:?|address:) (?:0x)?([0-9a-f]{1,16}))?/,
      ([, address]) => pageFault(NULL_TITLE, address),
    ],
    [
      /^BUG: unable to handle (?:page fault for address:|kernel paging request at)(?: virtual address)? (?:0x)?([0-9a-f]{1,16})/,
      ([, address]) => pageFault(PAGING_TITLE, address),
    ],
    [/^BUG: unable to handle (?:page fault|kernel paging request)/, () => pageFault(PAGING_TITLE, undefined)],
    [
      /^BUG: (?:([\w#]{1,20}) )?stack guard page was hit at (\S{1,20})/,
      ([, , address = ""]) => ({
        kind: "oops",
        title: { text: "BUG: stack guard page was hit in %s", type: "MEMORY_SAFETY_BUG", from: ["rip"] },
        parts: PARTS,
        ...(/^[0-9a-f]{16}$/.test(address) ? { fault: { address: hex(address) } } : {}),
      }),
    ],
    [
      /^(?:traps: )?PANIC: double fault/,
      () => ({
        kind: "oops",
        title: { text: "PANIC: double fault in %s", type: "UNKNOWN", from: ["rip"] },
        parts: PARTS,
      }),
    ],
    [
      /^kernel BUG at (\S{1,400}):(\d{1,7})!/,
      ([, file = "", line]) => ({
        kind: "bug",
        title: BUG_TITLES.find(([path]) => file.endsWith(path))?.[1] ?? BUG_TITLE,
        source: { file, line: Number(line) },
        parts: PARTS,
      }),
    ],
    [
      /^(?:segment-related )?general protection fault(?:, (?:probably|maybe) for (?:non-canonical )?address (0x[0-9a-f]{1,16}))?: [0-9a-f]{4} \[#\d{1,9}\]/,
      ([, address]) => ({
        kind: "oops",
        title: {
          text: "general protection fault in %s",
          alt: ["bad-access in %s"],
          type: "MEMORY_SAFETY_BUG",
        },
        parts: PARTS,
        ...(address === undefined ? {} : { fault: { address: hex(address) } }),
      }),
    ],
    [
      /^(Oops|[A-Za-z][\w ,-]{0,60}(?:fault|error|opcode|check|segment|TSS|exception|overflow|exceeded|int3|bounds|overrun|ENDBR)|int3|bounds|overflow): [0-9a-f]{4} \[#\d{1,9}\]/,
      ([, name = ""]) => ({
        kind: "oops",
        title: exceptionTitle(name),
        parts: PARTS,
        ...(name === "Oops" ? { pageFault: true } : {}),
      }),
    ],
  ],
};

/** Behind `BUG: ...` this line is part of it; alone it is what is left of a report. */
function exceptionTitle(name: string): Title {
  if (name === "Oops") return { text: "Oops in %s", type: "UNKNOWN" };
  if (name === "stack segment") return { text: "stack segment fault in %s", type: "UNKNOWN" };
  return { text: `${name} in %s`, type: name === "divide error" ? "DoS" : "UNKNOWN" };
}
