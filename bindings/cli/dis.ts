/** `crashlab dis`: instructions of a vmlinux or a module, by function or by address. */
import { Command } from "commander";
import { CrashlabError } from "../error.ts";
import { SCHEMA_VERSION } from "../report/index.ts";
import { type DisassembledLine, loadDisassembler } from "../symbols/disassemble.ts";
import { SECTION_STRIDE } from "../symbols/elf.ts";
import { SymbolTable } from "../symbols/index.ts";
import { examples, readInput, toJson } from "./files.ts";

/** Bytes of a range at most. */
const RANGE_LIMIT = 1 << 20;

/** What to show, and the instruction to mark. */
interface Stretch {
  readonly start: bigint;
  readonly end: bigint;
  readonly mark: bigint | undefined;
}

export function disCommand(): Command {
  return new Command("dis")
    .description("disassemble functions or ranges of a vmlinux or module, in objdump's form")
    .argument("<object>", "a vmlinux or .ko")
    .argument("<places...>", "a function, function+0x10 (marked with =>), 0xADDRESS, or 0xSTART-0xEND")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      examples(
        "crashlab dis vmlinux vfs_read",
        "crashlab dis mydriver.ko my_driver_read+0x24",
        "crashlab dis vmlinux 0xffffffff81001000-0xffffffff81001040",
      ),
    )
    .action(runDis);
}

async function runDis(object: string, places: string[], options: { json?: boolean }): Promise<void> {
  const symbols = SymbolTable.fromElf(await readInput(object));
  const disassemble = await loadDisassembler();
  const results = places.map((place) => {
    const { start, end, mark } = findStretch(symbols, place);
    const bytes = codeBytes(symbols, start, end);
    return { place, mark, lines: disassemble(bytes, start) };
  });
  if (options.json) {
    const documents = results.map(({ place, mark, lines }) => ({
      place,
      lines: lines.map((line) => ({
        address: line.address,
        bytes: hexBytes(line.bytes, ""),
        text: line.text,
        marked: line.address === mark,
      })),
    }));
    console.log(toJson({ schema: SCHEMA_VERSION, places: documents }));
    return;
  }
  console.log(results.map(({ mark, lines }) => format(symbols, lines, mark)).join("\n\n"));
}

function findStretch(symbols: SymbolTable, place: string): Stretch {
  const range = /^(?:0x)?([0-9a-f]+)-(?:0x)?([0-9a-f]+)$/i.exec(place);
  if (range !== null) {
    const [start, end] = [BigInt(`0x${range[1]}`), BigInt(`0x${range[2]}`)];
    if (end <= start || end - start > BigInt(RANGE_LIMIT)) {
      throw new CrashlabError(
        "bad-option",
        `expected a range of 1 to ${RANGE_LIMIT} bytes, found ${place}; give START-END`,
      );
    }
    return { start, end, mark: undefined };
  }
  const named = /^([\w.$]+?)(?:\+(0x[0-9a-f]+|\d+))?(?:\/(?:0x[0-9a-f]+|\d+))?$/i.exec(place);
  const symbol = named?.[1] === undefined ? undefined : symbols.named(named[1])[0];
  const address =
    symbol === undefined
      ? /^0x[0-9a-f]+$/i.test(place)
        ? BigInt(place)
        : undefined
      : symbols.elf.addressOf(symbol) + BigInt(named?.[2] ?? 0);
  const match = address === undefined ? undefined : symbols.lookup(address);
  if (address === undefined || match === undefined) {
    throw new CrashlabError(
      "bad-address",
      `expected a function or an address of its code, found "${place}"; see nm, or give 0xSTART-0xEND`,
    );
  }
  const start = address - BigInt(match.offset);
  const mark = match.offset === 0 && named?.[2] === undefined ? undefined : address;
  return { start, end: start + BigInt(Math.min(Math.max(match.size, 1), RANGE_LIMIT)), mark };
}

/** Bytes of code as the file has them. */
function codeBytes(symbols: SymbolTable, start: bigint, end: bigint): Uint8Array {
  const { elf } = symbols;
  for (const section of elf.sections) {
    if (!elf.isCode(section.index)) continue;
    const base = elf.relocatable ? BigInt(section.index) * SECTION_STRIDE : section.address;
    if (start < base || start >= base + BigInt(section.size)) continue;
    const at = Number(start - base);
    return elf.content(section.name)?.subarray(at, at + Number(end - start)) ?? new Uint8Array(0);
  }
  throw new CrashlabError(
    "bad-address",
    `expected an address of code in the file, found 0x${start.toString(16)}; see its section headers`,
  );
}

function format(symbols: SymbolTable, lines: readonly DisassembledLine[], mark: bigint | undefined): string {
  const name = (address: bigint): string => {
    const match = symbols.lookup(address);
    if (match === undefined) return "";
    return ` <${match.name}${match.offset === 0 ? "" : `+0x${match.offset.toString(16)}`}>`;
  };
  // A module's sections begin at 0 each, as objdump has them.
  const shown = (address: bigint): bigint => (symbols.elf.relocatable ? address % SECTION_STRIDE : address);
  return lines
    .map((line) => {
      const arrow = mark === undefined ? "" : line.address === mark ? "=> " : "   ";
      const target = line.target === undefined ? "" : name(line.target);
      const bytes = hexBytes(line.bytes, " ").padEnd(30);
      return `${arrow}${shown(line.address).toString(16)}${name(line.address)}:\t${bytes}\t${line.text}${target}`;
    })
    .join("\n");
}

function hexBytes(bytes: Uint8Array, separator: string): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(separator);
}
