/** Where QEMU 7.2 is known to differ from processors in 32-bit protected mode; see system/known.ts. */
import type { Case } from "../system/case.ts";
import {
  descriptorOf,
  differOnlyIn,
  type Known,
  limitOf,
  raises,
  targetOf,
  typeOf,
} from "../system/known.ts";
import { KNOWN_PAGING } from "../system/known_paging.ts";
import {
  ABSENT_BEHIND_GATE,
  ABSENT_STACK,
  BEYOND_LIMIT,
  CALLER_LEVEL_STAYS,
  ENTERED_IS_ACCESSED,
  EXT_IS_SET,
} from "../system/known_transfers.ts";
import { field } from "../system/monitor.ts";
import { stub32 } from "./image.ts";

const RF = 0x10000n;

export const KNOWN_LEGACY: readonly Known[] = [
  ...KNOWN_PAGING,
  ABSENT_BEHIND_GATE,
  ABSENT_STACK,
  BEYOND_LIMIT,
  CALLER_LEVEL_STAYS,
  ENTERED_IS_ACCESSED,
  EXT_IS_SET,
  {
    reason: "RF in pushed flags: set for faults, clear for INT n (SDM 3B 17.3.1.1); QEMU pushes what it was",
    covers: (word, qemu, core) => word === "eflags" && differOnlyIn(RF, word, qemu, core),
  },
  {
    reason: "a handler beyond the limit of its segment is #GP(0), with EXT (SDM 2A INT n); QEMU goes there",
    covers: (_word, _qemu, core, each) => {
      const [, vector, selector] = /^32-bit gate (\d+) .* to (\w+) /.exec(each.name) ?? [];
      if (selector === undefined) return false;
      const limit = limitOf(descriptorOf(each, Number.parseInt(selector, 16)));
      // After #DE or #GP it makes a double fault.
      const isRefused = raises(core, 13n, 0n) || raises(core, 13n, 1n) || raises(core, 8n, 0n);
      return isRefused && limit < BigInt(stub32(Number(vector)));
    },
  },
  {
    reason: "PDPTEs of PAE paging have no accessed bit (SDM 3A table 4-8); QEMU sets it",
    covers: (word, qemu, core, each) =>
      word === "memory0" && each.name.startsWith("32-bit page PAE") && differOnlyIn(0x20n, word, qemu, core),
  },
  {
    reason: "LAR gives bits 16 to 19 of the descriptor, which are undefined (SDM 2A LAR); QEMU clears them",
    covers: (word, qemu, core, each) =>
      word === "edx" && each.name.includes("0f02d0") && differOnlyIn(0xf0000n, word, qemu, core),
  },
];

/** MOV to SS of ring 0 after which no push fits: what comes next ends the processor; QEMU looks at no limit of data. */
export function isEndOfCore(each: Case): boolean {
  if (!/^32-bit segment 8ed0 ring 0 /.test(each.name)) return false;
  const segment = descriptorOf(each, targetOf(each));
  const [limit, rsp] = [limitOf(segment), each.state.get(field.rsp) ?? 0n];
  const growsDown = (typeOf(segment) & 0x14) === 0x14;
  return growsDown ? rsp - 4n <= limit : rsp - 1n > limit;
}
