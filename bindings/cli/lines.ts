/** `crashlab faddr2line` and `addr2line`: source lines, without a machine. */
import { Command } from "commander";
import { CrashlabError } from "../error.ts";
import { SCHEMA_VERSION } from "../report/index.ts";
import { SECTION_STRIDE } from "../symbols/elf.ts";
import {
  type FunctionPlaces,
  findFunctionPlaces,
  formatFrames,
  formatFunctionPlace,
  parseFunctionOffset,
  type SourceFrame,
  SymbolTable,
  sourcePrefix,
} from "../symbols/index.ts";
import { examples, readInput, toJson } from "./files.ts";

export function faddr2lineCommand(): Command {
  return new Command("faddr2line")
    .description("source lines for function+offset[/size], as Linux's scripts/faddr2line prints them")
    .argument("<object>", "a vmlinux or .ko with debug information")
    .argument("<places...>", "function+0x10/0x40 ...")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      examples(
        "crashlab faddr2line vmlinux vfs_read+0x1f/0x40",
        "crashlab faddr2line mydriver.ko my_driver_read+0x8",
      ),
    )
    .action(runFaddr2line);
}

async function runFaddr2line(object: string, places: string[], options: { json?: boolean }): Promise<void> {
  const symbols = SymbolTable.fromElf(await readInput(object));
  const prefix = sourcePrefix(symbols);
  const results = places.map((place) => {
    const { symbol, offset, size } = parseFunctionOffset(place);
    return { place, symbol, ...findFunctionPlaces(symbols, symbol, offset, size) };
  });
  if (results.some(({ matches }) => matches.length === 0)) process.exitCode = 1;
  if (options.json) {
    console.log(toJson({ schema: SCHEMA_VERSION, places: results }));
    return;
  }
  const found = results.flatMap(({ matches }) => matches.map((match) => formatFunctionPlace(match, prefix)));
  if (found.length > 0) console.log(found.join("\n\n"));
  for (const result of results) if (result.matches.length === 0) explainMissing(result);
}

function explainMissing({
  place,
  symbol,
  skipped,
}: FunctionPlaces & { place: string; symbol: string }): void {
  for (const { address, reason } of skipped) {
    console.log(`skipping ${symbol} address at 0x${address.toString(16)} due to ${reason}`);
  }
  console.error(`no match for ${place}`);
}

export function addr2lineCommand(): Command {
  return new Command("addr2line")
    .description(
      "source lines for addresses, as binutils' addr2line prints them; without -a, -f, -i and -p, as with all of them",
    )
    .argument("<object>", "a vmlinux or .ko with debug information")
    .argument("<addresses...>", "hexadecimal addresses, 0x or not")
    .option("-a, --addresses", "show the addresses")
    .option("-f, --functions", "show the functions")
    .option("-i, --inlines", "show the callers of inlined functions")
    .option("-p, --pretty-print", "a line for each place")
    .option("-j, --section <name>", "addresses are offsets in this section of a .ko", ".text")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      examples(
        "crashlab addr2line vmlinux ffffffff81000100 0xffffffff81000200",
        "crashlab addr2line -a -f -i mydriver.ko 0x24",
      ),
    )
    .action(runAddr2line);
}

interface Addr2lineOptions {
  readonly addresses?: boolean;
  readonly functions?: boolean;
  readonly inlines?: boolean;
  readonly prettyPrint?: boolean;
  readonly section: string;
  readonly json?: boolean;
}

async function runAddr2line(object: string, texts: string[], options: Addr2lineOptions): Promise<void> {
  const symbols = SymbolTable.fromElf(await readInput(object));
  const base = sectionBase(symbols, options.section);
  const results = texts.map((text) => {
    const address = parseAddress(text);
    return { address, frames: symbols.frames(base + address) };
  });
  if (results.some(({ frames }) => frames.length === 0)) process.exitCode = 1;
  if (options.json) {
    console.log(toJson({ schema: SCHEMA_VERSION, addresses: results }));
    return;
  }
  const { addresses, functions, inlines, prettyPrint } = options;
  const all = { addresses: true, functions: true, inlines: true, prettyPrint: true };
  const plain = !addresses && !functions && !inlines && !prettyPrint;
  for (const result of results) console.log(formatAddress(result, plain ? all : options));
}

/** Sections of a module begin at 0 each, for binutils; a vmlinux has addresses of its own. */
function sectionBase(symbols: SymbolTable, name: string): bigint {
  if (!symbols.elf.relocatable) return 0n;
  const section = symbols.elf.section(name);
  if (section !== undefined) return BigInt(section.index) * SECTION_STRIDE;
  throw new CrashlabError("bad-option", `expected a section of the file, found "${name}"; see readelf -S`);
}

/** Without -i an inlined function is named with the line that is there, and its callers are not. */
function formatAddress(
  { address, frames }: { readonly address: bigint; readonly frames: readonly SourceFrame[] },
  { addresses, functions, inlines, prettyPrint }: Partial<Addr2lineOptions>,
): string {
  const shown = inlines ? frames : frames.slice(0, 1);
  const number = `0x${address.toString(16).padStart(16, "0")}`;
  if (prettyPrint && functions) return `${addresses ? `${number}: ` : ""}${formatFrames(shown).join("\n")}`;
  const places = (shown.length === 0 ? [undefined] : shown).map((frame) => {
    const line = frame === undefined ? "??:0" : `${frame.file}:${frame.line || "?"}`;
    return functions ? `${frame?.function ?? "??"}\n${line}` : line;
  });
  if (prettyPrint) return `${addresses ? `${number}: ` : ""}${places.join("\n (inlined by) ")}`;
  return [...(addresses ? [number] : []), ...places].join("\n");
}

function parseAddress(text: string): bigint {
  if (!/^(?:0x)?[0-9a-f]{1,16}$/i.test(text)) {
    throw new CrashlabError(
      "bad-option",
      `expected an address of up to 16 hexadecimal digits, found "${text}"`,
    );
  }
  return BigInt(text.toLowerCase().startsWith("0x") ? text : `0x${text}`);
}
