/**
 * Traces with source lines: what Linux scripts/decode_stacktrace.sh makes of a kernel log. A frame of a call
 * trace is a return address, so the line is that of the byte before it: of the call.
 */
import { findAddresses, sourcePrefix, stripPrefix } from "./faddr2line.ts";
import type { SourceFrame, SymbolTable } from "./table.ts";

/** A kernel and the modules that were loaded. */
export interface KernelSymbols {
  readonly vmlinux: SymbolTable;
  /** Modules by name, in which - is written _, and by build id where there are several of a name. */
  readonly modules?: ReadonlyMap<string, SymbolTable>;
}

/** A place as a report names it. */
export interface NamedPlace {
  readonly symbol?: string;
  readonly offset?: number;
  readonly size?: number;
  readonly module?: string;
  /** Of the module, as a kernel with CONFIG_STACKTRACE_BUILD_ID prints it: `[mydriver 0123...]`. */
  readonly buildId?: string;
}

/** `call`: the place is a return address. `exact`: it is that of an instruction, as RIP is. */
export type PlaceKind = "call" | "exact";

/** How a log is decoded. */
export interface DecodeOptions {
  /** Lines of the return addresses themselves, as the script of Linux 6.1 gives them. Default false: of the calls. */
  readonly returnAddresses?: boolean;
}

/**
 * Functions and lines of a place, inlined ones first; file names without the kernel's own folder. None for a module
 * of another build than the place's.
 */
export function decodePlace(place: NamedPlace, kernel: KernelSymbols, kind: PlaceKind): SourceFrame[] {
  const { symbol, offset, size, module } = place;
  if (symbol === undefined || offset === undefined) return [];
  const symbols = module === undefined ? kernel.vmlinux : moduleOf(module, place.buildId, kernel);
  if (symbols === undefined) return [];
  const [match] = findAddresses(symbols, symbol, offset, size).matches;
  if (match === undefined) return [];
  // At offset 0 nothing was called from here: an entry point, or a value put on the stack by hand.
  const back = kind === "call" && offset > 0 ? 1n : 0n;
  const prefix = sourcePrefix(kernel.vmlinux);
  const frames = symbols.frames(match.address - back);
  return frames.map((frame) => ({ ...frame, file: stripPrefix(frame.file, prefix) }));
}

function moduleOf(
  name: string,
  buildId: string | undefined,
  { modules }: KernelSymbols,
): SymbolTable | undefined {
  const exact = buildId === undefined ? undefined : modules?.get(buildId);
  const named = modules?.get(name);
  const other = buildId !== undefined && named?.buildId !== undefined && named.buildId !== buildId;
  return exact ?? (other ? undefined : named);
}

/** Bounded, and begun only where a name begins: a line of a megabyte takes no longer than many short ones. */
const PLACE =
  /(?<![\w$.])([A-Za-z_$.][\w$.]{0,255})\+(0x[0-9a-f]{1,12})\/(0x[0-9a-f]{1,12})(?: \[([\w-]{1,64})(?: ([0-9a-f]{40})(?=[\] ]))?[^\]]{0,64}\])?/g;
const EXACT = /\bRIP:/;
/** `CPU: 0 PID: 1 Comm: sh Not tainted 5.15.0 #1 0123...`: the kernel's own build id, where it prints it. */
const KERNEL_ID = /\bPID: \d{1,10} Comm: .{1,200} ([0-9a-f]{40})\s{0,8}$/;

/** The build ids that a log tells: of its kernels, and of modules by their names. */
export interface BuildIds {
  readonly kernels: readonly string[];
  /** Every module that a place is in; no id where the log has none. */
  readonly modules: ReadonlyMap<string, ReadonlySet<string>>;
}

/** What a log needs to be decoded. */
export function findBuildIds(log: string): BuildIds {
  const kernels = new Set<string>();
  const modules = new Map<string, Set<string>>();
  for (const line of log.split("\n")) {
    const kernel = line.includes(" Comm: ") ? KERNEL_ID.exec(line)?.[1] : undefined;
    if (kernel !== undefined) kernels.add(kernel);
    for (const [, , , , module, id] of line.matchAll(PLACE)) {
      if (module === undefined) continue;
      const ids = modules.get(module) ?? new Set();
      if (id !== undefined) ids.add(id);
      modules.set(module, ids);
    }
  }
  return { kernels: [...kernels], modules };
}

/**
 * The log with each `function+offset/size [module]` replaced by `function (file:line ...) module`; of inlined
 * functions the innermost line comes first. What cannot be decoded stays as it is, and so does what is of a kernel or
 * module whose build id the log gives and the files do not have.
 */
export function decodeStacktrace(log: string, kernel: KernelSymbols, options: DecodeOptions = {}): string {
  const { kernels } = findBuildIds(log);
  const { buildId } = kernel.vmlinux;
  const foreign = kernels.length > 0 && buildId !== undefined && !kernels.includes(buildId);
  return log
    .split("\n")
    .map((line) => decodeLine(line, kernel, foreign, options))
    .join("\n");
}

function decodeLine(line: string, kernel: KernelSymbols, foreign: boolean, options: DecodeOptions): string {
  const kind = options.returnAddresses || EXACT.test(line) ? "exact" : "call";
  return line.replace(PLACE, (whole: string, symbol, offset, size, module?: string, buildId?: string) => {
    if (foreign && module === undefined) return whole;
    const place = { symbol, offset: Number(offset), size: Number(size) };
    const from = { ...(module ? { module } : {}), ...(buildId ? { buildId } : {}) };
    const frames = decodePlace({ ...place, ...from }, kernel, kind);
    if (frames.length === 0) return whole;
    // Code of no line, as the compiler's own is, has a question mark, as in binutils.
    const lines = frames.map((frame) => `${frame.file}:${frame.line || "?"}`).join(" ");
    return `${symbol} (${lines})${module === undefined ? "" : ` ${module}`}`;
  });
}
