/** Commands about code and symbols: sym, dis, mod. */
import { CrashlabError } from "../../error.ts";
import { type DisassembledLine, loadDisassembler } from "../../symbols/disassemble.ts";
import type { KernelSymbol, SymbolPlace } from "../kernel_symbols.ts";
import type { Program } from "../program.ts";
import { badUsage, type Command, type Context, hex16, parseAddress, parseCount } from "./command.ts";

/** Instructions are at most this long. */
const INSTRUCTION = 15;
const FUNCTION_LIMIT = 1 << 20;

export const sym: Command = {
  name: "sym",
  usage: "sym SYMBOL | ADDRESS | -q TEXT",
  summary: "the address of a symbol, or the symbol of an address; -q all whose name holds a text",
  async run(context, words) {
    const { program } = context;
    const [first, second, ...rest] = words;
    if (first === "-q" && second !== undefined && rest.length === 0) {
      const found = program.symbols.containing(second);
      return { text: found.map(symbolLine).join("\n"), data: found };
    }
    if (first === undefined || second !== undefined) throw badUsage(sym, words.join(" "));
    const named: readonly SymbolPlace[] = program.symbols
      .named(first)
      .map((symbol) => ({ ...symbol, offset: 0 }));
    const places = named.length > 0 ? named : [program.symbols.at(parseAddress(program, first))];
    const known = places.filter((place) => place !== undefined);
    if (known.length === 0) {
      throw new CrashlabError(
        "bad-option",
        `expected an address of the kernel or a module, found "${first}"`,
      );
    }
    const sources = await Promise.all(known.map((place) => sourceText(context, place)));
    return {
      text: known.map((place, index) => `${symbolLine(place)} ${sources[index]}`).join("\n"),
      data: known.map((place, index) => ({
        ...place,
        address: place.address + BigInt(place.offset),
        source: sources[index] || null,
      })),
    };
  },
};

function symbolLine(symbol: KernelSymbol & { readonly offset?: number }): string {
  const offset = symbol.offset === undefined || symbol.offset === 0 ? "" : `+${symbol.offset}`;
  const module = symbol.module === undefined ? "" : ` [${symbol.module}]`;
  return `${hex16(symbol.address + BigInt(symbol.offset ?? 0))} (${symbol.type}) ${symbol.name}${offset}${module}`;
}

/** `file: line` of code in the kernel; "" without debug information. */
async function sourceText(context: Context, place: SymbolPlace): Promise<string> {
  if (place.module !== undefined || !/t/i.test(place.type)) return "";
  const address = place.address + BigInt(place.offset) - context.program.symbols.shift;
  const line = (await context.lines()).line(address);
  return line === undefined ? "" : `${line.file}: ${line.line}`;
}

export const dis: Command = {
  name: "dis",
  usage: "dis SYMBOL | ADDRESS [COUNT]",
  summary: "instructions of a function, or COUNT from an address on; => marks the one that faulted",
  async run(context, words) {
    const { program } = context;
    const [place, countText, ...rest] = words;
    if (place === undefined || rest.length > 0) throw badUsage(dis, words.join(" "));
    const start = parseAddress(program, place);
    const symbol = program.symbols.at(start);
    const whole = countText === undefined && symbol !== undefined;
    const from = whole ? symbol.address : start;
    const count = countText === undefined ? 1 : parseCount(countText, 100_000);
    const length = whole ? Math.min(symbol.size, FUNCTION_LIMIT) : count * INSTRUCTION;
    const disassemble = await loadDisassembler();
    const all = disassemble(await readAvailable(program, from, length), from);
    const lines = whole ? all : all.slice(0, count);
    const marked = await faultingAddress(context);
    const marks = lines.some((line) => line.address === marked);
    const text = lines.map((line) => {
      const mark = marks ? (line.address === marked ? "=> " : "   ") : "";
      return `${mark}0x${hex16(line.address)} <${nearestName(program, line.address)}>:\t${withTarget(program, line)}`;
    });
    const data = lines.map((line) => ({
      address: line.address,
      bytes: [...line.bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
      text: line.text,
      faulted: line.address === marked,
    }));
    return { text: text.join("\n"), data };
  },
};

/** Bytes up to where memory ends. */
async function readAvailable(program: Program, start: bigint, length: number): Promise<Uint8Array> {
  for (let left = length; left > 0; left = Math.floor(left / 2)) {
    const bytes = await program.memory.tryRead(start, left);
    if (bytes !== undefined) return bytes;
  }
  return program.memory.read(start, 1);
}

function nearestName(program: Program, address: bigint): string {
  const place = program.symbols.at(address);
  return place === undefined ? "?" : `${place.name}${place.offset === 0 ? "" : `+${place.offset}`}`;
}

/** The text with the name of where a branch goes. */
function withTarget(program: Program, { text, target }: DisassembledLine): string {
  if (target === undefined) return text;
  const name = program.symbols.at(target) === undefined ? "" : ` <${nearestName(program, target)}>`;
  return `${text}${name}`;
}

/** Where the task under analysis took its exception. */
async function faultingAddress({ task }: Context): Promise<bigint | undefined> {
  if (task === undefined || !task.active) return undefined;
  const frames = await task.stackTrace().catch(() => []);
  for (const frame of frames) if (frame.kind === "exception") return frame.address;
  return undefined;
}

export const mod: Command = {
  name: "mod",
  usage: "mod",
  summary: "loaded modules",
  async run({ program, modules: files }, words) {
    if (words.length > 0) throw badUsage(mod, words.join(" "));
    const modules = [...(await program.modules())].sort((a, b) => (a.base < b.base ? -1 : 1));
    const width = Math.max(4, ...modules.map(({ name }) => name.length));
    const sizeWidth = Math.max(4, ...modules.map(({ size }) => String(size).length));
    const lines = modules.map(({ address, name, base, size }) =>
      [
        hex16(address),
        name.padEnd(width),
        hex16(base),
        String(size).padStart(sizeWidth),
        files.has(name) ? `${name}.ko` : "(not loaded)  [CONFIG_KALLSYMS]",
      ].join("  "),
    );
    const head = [
      "     MODULE     ",
      "NAME".padEnd(width),
      "      BASE      ",
      "SIZE".padStart(sizeWidth),
      "OBJECT FILE",
    ];
    return {
      text: modules.length === 0 ? "no modules loaded" : [head.join("  "), ...lines].join("\n"),
      data: modules.map(({ address, name, base, size, taints }) => ({ address, name, base, size, taints })),
    };
  },
};
