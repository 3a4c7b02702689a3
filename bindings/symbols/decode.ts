/**
 * Traces with source lines: what Linux scripts/decode_stacktrace.sh makes of a kernel log. A frame of a call
 * trace is a return address, so the line is that of the byte before it: of the call.
 */
import { findFunctionPlaces, sourcePrefix, stripPrefix } from "./faddr2line.ts";
import type { SourceFrame, SymbolTable } from "./table.ts";

/** A kernel and the modules that were loaded, by their names. */
export interface KernelSymbols {
  readonly vmlinux: SymbolTable;
  readonly modules?: ReadonlyMap<string, SymbolTable>;
}

/** A place as a report names it. */
export interface NamedPlace {
  readonly symbol?: string;
  readonly offset?: number;
  readonly size?: number;
  readonly module?: string;
}

/** `call`: the place is a return address. `exact`: it is that of an instruction, as RIP is. */
export type PlaceKind = "call" | "exact";

/** Functions and lines of a place, inlined ones first; file names without the kernel's own folder. */
export function decodePlace(place: NamedPlace, kernel: KernelSymbols, kind: PlaceKind): SourceFrame[] {
  const { symbol, offset, size, module } = place;
  if (symbol === undefined || offset === undefined) return [];
  const symbols = module === undefined ? kernel.vmlinux : kernel.modules?.get(module);
  if (symbols === undefined) return [];
  const [match] = findFunctionPlaces(symbols, symbol, offset, size).matches;
  if (match === undefined) return [];
  // At offset 0 nothing was called from here: an entry point, or a value put on the stack by hand.
  const back = kind === "call" && offset > 0 ? 1n : 0n;
  const prefix = sourcePrefix(kernel.vmlinux);
  const frames = symbols.frames(match.address - back);
  return frames.map((frame) => ({ ...frame, file: stripPrefix(frame.file, prefix) }));
}

/** Bounded, and begun only where a name begins: a line of a megabyte takes no longer than many short ones. */
const PLACE =
  /(?<![\w$.])([A-Za-z_$.][\w$.]{0,255})\+(0x[0-9a-f]{1,12})\/(0x[0-9a-f]{1,12})(?: \[([\w-]{1,64})[^\]]{0,64}\])?/g;
const EXACT = /\bRIP:/;

/**
 * The log with each `function+offset/size [module]` replaced by `function (file:line ...) module`; of inlined
 * functions the innermost line comes first. What cannot be decoded stays as it is.
 */
export function decodeStacktrace(log: string, kernel: KernelSymbols): string {
  return log
    .split("\n")
    .map((line) => decodeLine(line, kernel))
    .join("\n");
}

function decodeLine(line: string, kernel: KernelSymbols): string {
  const kind = EXACT.test(line) ? "exact" : "call";
  return line.replace(
    PLACE,
    (whole: string, symbol: string, offset: string, size: string, module?: string) => {
      const place = { symbol, offset: Number(offset), size: Number(size), ...(module ? { module } : {}) };
      const frames = decodePlace(place, kernel, kind);
      if (frames.length === 0) return whole;
      const lines = frames.map((frame) => `${frame.file}:${frame.line}`).join(" ");
      return `${symbol} (${lines})${module === undefined ? "" : ` ${module}`}`;
    },
  );
}
