/** `crashlab compare` and `crashlab decodecode`: reports side by side, and their code bytes as assembly. */
import { text } from "node:stream/consumers";
import { Command } from "commander";
import {
  type Comparison,
  type CrashReport,
  compare,
  findCodes,
  formatCode,
  fromDocument,
  parseReports,
  SCHEMA_VERSION,
} from "../report/index.ts";
import { loadDisassembler } from "../symbols/index.ts";
import { examples, readInput, toJson } from "./files.ts";

export function compareCommand(): Command {
  return new Command("compare")
    .description(
      "the crash reports of two logs: which are the same bug, and what differs; exit 1 if any does",
    )
    .argument("<a>", "a kernel log, or JSON of crashlab parse; - is standard input")
    .argument("<b>", "another")
    .option("--json", "print JSON")
    .option("--all", "also what differs in every run: addresses, registers, tasks")
    .addHelpText(
      "after",
      examples("crashlab compare good.log bad.log", "crashlab compare --json guest.log report.json"),
    )
    .action(runCompare);
}

interface Pair {
  readonly a: number;
  readonly b: number;
  readonly title: string;
  readonly comparison: Comparison;
}

async function runCompare(a: string, b: string, options: { json?: boolean; all?: boolean }): Promise<void> {
  const [left, right] = [await readReports(a), await readReports(b)];
  const pairs = pairUp(left, right);
  const onlyA = left.filter((_, index) => !pairs.some((pair) => pair.a === index)).map((each) => each.title);
  const onlyB = right.filter((_, index) => !pairs.some((pair) => pair.b === index)).map((each) => each.title);
  const equal = onlyA.length + onlyB.length === 0 && pairs.every(({ comparison }) => comparison.equal);
  if (!equal || pairs.length === 0) process.exitCode = 1;
  if (options.json) {
    console.log(toJson({ schema: SCHEMA_VERSION, equal, pairs, onlyA, onlyB }));
    return;
  }
  for (const pair of pairs) {
    const { comparison } = pair;
    console.log(`${comparison.equal ? "=" : "~"} ${pair.title} (${pair.a + 1}, ${pair.b + 1})`);
    for (const { field, a: was, b: is, incidental } of comparison.differences) {
      if (!incidental || options.all) console.log(`    ${field}: ${show(was)} | ${show(is)}`);
    }
  }
  for (const title of onlyA) console.log(`< ${title}`);
  for (const title of onlyB) console.log(`> ${title}`);
}

/** Each report of one with the first of the other that is the same bug and not taken yet. */
function pairUp(left: readonly CrashReport[], right: readonly CrashReport[]): Pair[] {
  const taken = new Set<number>();
  return left.flatMap((report, a) => {
    const b = right.findIndex((other, index) => !taken.has(index) && compare(report, other).same);
    const other = right[b];
    if (other === undefined) return [];
    taken.add(b);
    return [{ a, b, title: report.title, comparison: compare(report, other) }];
  });
}

function show(value: unknown): string {
  if (typeof value === "bigint") return `0x${value.toString(16)}`;
  if (value === undefined) return "-";
  return typeof value === "object" ? toJson(value).replace(/\s+/g, " ") : String(value);
}

async function readReports(path: string): Promise<CrashReport[]> {
  const content = await readText(path);
  return content.trimStart().startsWith("{") ? fromDocument(content) : parseReports(content);
}

async function readText(path: string | undefined): Promise<string> {
  if (path === undefined || path === "-") return text(process.stdin);
  return new TextDecoder().decode(await readInput(path));
}

export function decodecodeCommand(): Command {
  return new Command("decodecode")
    .description("the Code: lines of a kernel log as assembly, as Linux's scripts/decodecode prints them")
    .argument("[log]", "file to read; standard input by default")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      examples("crashlab decodecode oops.txt", "dmesg | grep Code: | crashlab decodecode"),
    )
    .action(runDecodecode);
}

async function runDecodecode(path: string | undefined, options: { json?: boolean }): Promise<void> {
  const log = await readText(path);
  const disassemble = await loadDisassembler();
  const codes = findCodes(log);
  if (codes.length === 0) process.exitCode = 1;
  if (options.json) {
    const decoded = codes.map(({ line, code }) => ({
      line,
      at: code.at,
      instructions: disassemble(Uint8Array.from(code.bytes.slice(Math.max(0, code.at))), 0n).map((each) => ({
        ...each,
        bytes: [...each.bytes],
      })),
    }));
    console.log(toJson({ schema: SCHEMA_VERSION, codes: decoded }));
    return;
  }
  const texts = codes.map(({ text: line, code }) => `${line}\n${formatCode(code, disassemble)}`);
  if (texts.length > 0) console.log(texts.join("\n\n"));
}
