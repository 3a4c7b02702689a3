/**
 * A `Code:` line as assembly, in the layout of Linux's scripts/decodecode: all the bytes, the instruction that
 * trapped marked, then once more from that instruction on.
 */
import type { Disassemble, DisassembledLine } from "../symbols/disassemble.ts";
import { readLine } from "./lines.ts";
import { readCode } from "./places.ts";
import type { CodeBytes } from "./types.ts";

/** A `Code:` line of a log. */
export interface CodeLine {
  /** From 1. */
  readonly line: number;
  /** The message, `Code: ...`. */
  readonly text: string;
  readonly code: CodeBytes;
}

/** The `Code:` lines of a log that have bytes; the second register dump of an oops is not a second one. */
export function findCodes(log: string): CodeLine[] {
  const found = new Map<string, CodeLine>();
  for (const [index, raw] of log.split("\n").entries()) {
    if (!raw.includes("Code: ")) continue;
    const { text } = readLine(raw, index + 1);
    const code = text.startsWith("Code: ") ? readCode(text.slice("Code: ".length)) : undefined;
    if (code !== undefined && !found.has(text)) found.set(text, { line: index + 1, text, code });
  }
  return [...found.values()];
}

/** The longest instruction, in bytes (SDM 2A 2.3.11). */
const LONGEST = 15;

/** The `Code:` line disassembled, as Linux's scripts/decodecode prints it. */
export function formatCode(code: CodeBytes, disassemble: Disassemble): string {
  const bytes = Uint8Array.from(code.bytes);
  const before = alignedTo(bytes, code.at, disassemble);
  const lines = [
    "All code",
    "========",
    ...withoutZeroes(before, bytes).map((line) => format(line, code.at)),
  ];
  if (code.at < 0) return lines.join("\n");
  const from = bytes.subarray(code.at);
  const rest = withoutZeroes(disassemble(from, 0n), from);
  const title = "Code starting with the faulting instruction";
  return [...lines, "", title, "=".repeat(title.length), ...rest.map((line) => format(line, -1))].join("\n");
}

/** Zero bytes that objdump leaves out: as many anywhere, fewer than those at the end. */
const ZEROES = 8;
const ZEROES_AT_END = 3;
/** With more behind them it leaves out whole groups. */
const ZEROES_GROUP = 4;

/** Lines as objdump shows them: "..." for what is nothing but zero bytes. */
function withoutZeroes(lines: readonly DisassembledLine[], bytes: Uint8Array): (DisassembledLine | "...")[] {
  const shown: (DisassembledLine | "...")[] = [];
  let next = 0;
  for (const line of lines) {
    const at = Number(line.address);
    if (at < next) continue;
    let end = at;
    while (bytes[end] === 0) end++;
    const isEnd = end === bytes.length;
    const zeroes = end - at;
    if (zeroes >= ZEROES || (isEnd && zeroes > 0 && zeroes < ZEROES_AT_END)) {
      next = isEnd ? end : end - (zeroes % ZEROES_GROUP);
      shown.push("...");
    } else shown.push(line);
  }
  return shown;
}

/**
 * The bytes begin anywhere in an instruction. The first start is taken from which decoding comes to the marked
 * byte; what stands before it is shown as bytes.
 */
function alignedTo(bytes: Uint8Array, at: number, disassemble: Disassemble): DisassembledLine[] {
  for (let start = 0; start <= Math.min(at, LONGEST); start++) {
    const lines = disassemble(bytes.subarray(start), BigInt(start));
    if (!lines.some((line) => Number(line.address) === at)) continue;
    const head = Array.from(bytes.subarray(0, start), (byte, index) => ({
      address: BigInt(index),
      bytes: Uint8Array.of(byte),
      text: `.byte  0x${byte.toString(16)}`,
      valid: false,
    }));
    return [...head, ...lines];
  }
  return disassemble(bytes, 0n);
}

/** Bytes of a line; those of a longer instruction go on in the next, as objdump has it. */
const WIDTH = 7;

/** `at`: where the instruction that trapped begins. */
function format(shown: DisassembledLine | "...", at: number): string {
  if (shown === "...") return "\t...";
  const { address, bytes, text } = shown;
  const trapped = Number(address) === at;
  const hex = (from: number): string =>
    Array.from(bytes.subarray(from, from + WIDTH), (byte) => `${byte.toString(16).padStart(2, "0")} `).join(
      "",
    );
  const place = (offset: number): string => (address + BigInt(offset)).toString(16).padStart(4);
  const line = `${place(0)}:${trapped ? "*" : ""}\t${hex(0).padEnd(WIDTH * 3)}\t${text}`;
  let rest = "";
  for (let from = WIDTH; from < bytes.length; from += WIDTH)
    rest += `\n${place(from)}:\t${hex(from).trimEnd()}`;
  return `${line}${trapped ? "\t\t<-- trapping instruction" : ""}${rest}`;
}
