/** `crashlab faddr2line` and `addr2line`: source lines, without a machine. */
import { Command } from "commander";
import { CrashlabError } from "../error.ts";
import { SCHEMA_VERSION } from "../report/index.ts";
import {
  type FunctionPlaces,
  findFunctionPlaces,
  formatFrames,
  formatFunctionPlace,
  parseFunctionOffset,
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
    .description("source lines for addresses, as `addr2line -a -f -i -p` prints them")
    .argument("<object>", "a vmlinux with debug information")
    .argument("<addresses...>", "hexadecimal addresses, 0x or not")
    .option("--json", "print JSON")
    .addHelpText("after", examples("crashlab addr2line vmlinux ffffffff81000100 0xffffffff81000200"))
    .action(runAddr2line);
}

async function runAddr2line(object: string, texts: string[], options: { json?: boolean }): Promise<void> {
  const symbols = SymbolTable.fromElf(await readInput(object));
  const results = texts.map((text) => {
    const address = parseAddress(text);
    return { address, frames: symbols.frames(address) };
  });
  if (results.some(({ frames }) => frames.length === 0)) process.exitCode = 1;
  if (options.json) {
    console.log(toJson({ schema: SCHEMA_VERSION, addresses: results }));
    return;
  }
  for (const { address, frames } of results) {
    console.log(`0x${address.toString(16).padStart(16, "0")}: ${formatFrames(frames).join("\n")}`);
  }
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
