/**
 * Source lines for `function+offset/size`, as kernel reports name places. Mirrors Linux scripts/faddr2line: all
 * functions of that name count whose size, when one is given, is the one that kallsyms gives.
 */
import { CrashlabError } from "../error.ts";
import type { SourceFrame, SymbolTable } from "./table.ts";

/** A place that `function+offset/size` can mean. */
export interface FunctionPlace {
  readonly symbol: string;
  readonly offset: number;
  /** Distance to the next symbol. */
  readonly size: number;
  readonly address: bigint;
  /** Inlined functions first. */
  readonly frames: readonly SourceFrame[];
}

/** A function of that name that was not meant, and why. */
export interface SkippedPlace {
  readonly address: bigint;
  readonly reason: string;
}

/** What `findFunctionPlaces` found and what it passed over. */
export interface FunctionPlaces {
  readonly matches: readonly FunctionPlace[];
  readonly skipped: readonly SkippedPlace[];
}

/** `function+offset[/size]` in parts; numbers are decimal or 0x. Throws `bad-option` for another form. */
export function parseFunctionOffset(text: string): { symbol: string; offset: number; size?: number } {
  const match = /^(.+)\+(0x[0-9a-f]{1,12}|\d{1,15})(?:\/(0x[0-9a-f]{1,12}|\d{1,15}))?$/i.exec(text.trim());
  const [, symbol, offset, size] = match ?? [];
  if (symbol === undefined || offset === undefined) {
    throw new CrashlabError(
      "bad-option",
      `expected function+offset or function+offset/size, found "${text}"`,
    );
  }
  return { symbol, offset: Number(offset), ...(size === undefined ? {} : { size: Number(size) }) };
}

/** Where a function of this name and size has this offset. */
export function findAddresses(
  symbols: SymbolTable,
  symbol: string,
  offset: number,
  size?: number,
): {
  readonly matches: readonly { address: bigint; span: number }[];
  readonly skipped: readonly SkippedPlace[];
} {
  const matches: { address: bigint; span: number }[] = [];
  const skipped: SkippedPlace[] = [];
  for (const each of symbols.named(symbol)) {
    const address = symbols.elf.addressOf(each) + BigInt(offset);
    const span = symbols.elf.isCode(each.section) ? symbols.span(each) : 0;
    if (span === 0) skipped.push({ address, reason: "non-function symbol" });
    else if (size !== undefined && size !== span) {
      skipped.push({ address, reason: `size mismatch (${hex(size)} != ${hex(span)})` });
    } else if (offset > span) {
      skipped.push({ address, reason: `size mismatch (${hex(offset)} > ${hex(span)})` });
    } else matches.push({ address, span });
  }
  return { matches, skipped };
}

/** All places that a function of this name and size, with this offset inside it, has in a kernel or module. */
export function findFunctionPlaces(
  symbols: SymbolTable,
  symbol: string,
  offset: number,
  size?: number,
): FunctionPlaces {
  const { matches, skipped } = findAddresses(symbols, symbol, offset, size);
  return {
    matches: matches.map(({ address, span }) => ({
      ...{ symbol, offset, size: span, address },
      frames: symbols.frames(address),
    })),
    skipped,
  };
}

/** The text that scripts/faddr2line prints for one place; `prefix` is taken off file names. */
export function formatFunctionPlace(place: FunctionPlace, prefix: string): string {
  const head = `${place.symbol}+${hex(place.offset)}/${hex(place.size)}:`;
  return [head, ...formatFrames(place.frames, prefix)].join("\n");
}

/** Lines as `addr2line -f -p -i` prints them. */
export function formatFrames(frames: readonly SourceFrame[], prefix = ""): string[] {
  if (frames.length === 0) return ["?? ??:0"];
  return frames.map((frame, index) => {
    // Code of no line, as the compiler's own is.
    const line = frame.line === 0 ? "?" : frame.line;
    const place = `${frame.function} at ${stripPrefix(frame.file, prefix)}:${line}`;
    return index === 0 ? place : ` (inlined by) ${place}`;
  });
}

/** The folder that a kernel was built in: what comes before init/main.c in the place of start_kernel. */
export function sourcePrefix(vmlinux: SymbolTable): string {
  const known = PREFIXES.get(vmlinux) ?? findPrefix(vmlinux);
  PREFIXES.set(vmlinux, known);
  return known;
}
const PREFIXES = new WeakMap<SymbolTable, string>();

function findPrefix(vmlinux: SymbolTable): string {
  const address = vmlinux.address("start_kernel");
  const file = address === undefined ? undefined : vmlinux.line(address)?.file;
  return file?.endsWith("init/main.c") ? file.slice(0, -"init/main.c".length) : "";
}

/** A file name without the folder that the kernel was built in. */
export function stripPrefix(file: string, prefix: string): string {
  return prefix !== "" && file.startsWith(prefix)
    ? file.slice(prefix.length).replace(/^(?:\.\/)+/, "")
    : file;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
