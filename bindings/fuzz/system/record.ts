/** What the monitor stores of a case. */
import { FRAME_WORDS, RECORD_MSRS, WATCHES } from "./monitor.ts";

/** Names of the words of a record, in their order. */
export const RECORD_FIELDS: readonly string[] = [
  ...["rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"],
  ...["vector", "error", "rip", "cs", "rflags", "rsp", "ss"],
  ...[
    "handlerRsp",
    "cr2",
    "cr0",
    "cr3",
    "cr4",
    "dr6",
    "dr7",
    "dataSelectors",
    "systemSelectors",
    "handlerFlags",
  ],
  ...["efer", "fsBase", "gsBase", "kernelGsBase"],
  ...Array.from({ length: WATCHES }, (_, n) => `memory${n}`),
];
if (RECORD_FIELDS.length !== FRAME_WORDS + 10 + RECORD_MSRS.length + WATCHES)
  throw new RangeError("expected a name for every word of a record");

export type Record = { readonly [field: string]: bigint };
/** A record, or how the machine ended in the place of one; `abort`: QEMU itself ended. */
export type Outcome = Record | "reset" | "hang" | "abort";

export function decodeRecord(bytes: Uint8Array): Record {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Object.fromEntries(RECORD_FIELDS.map((name, n) => [name, view.getBigUint64(n * 8, true)]));
}
