/** Reports with everything taken out in which two kernels may differ: what is left of twins is the same, line by line. */
import { readFileSync } from "node:fs";
import { type Found, kasanReports } from "./reports.ts";
import { type CaseRun, splitSuite } from "./suite.ts";

const FRAME = /^ (\? )?(?:([\w.]+)\+0x[0-9a-f]+\/0x[0-9a-f]+(?: \[\w+\])?|0x[0-9a-f]+)$/;
const OBJECT = /^ \[\d+, \d+\) '\w+'$/;
const SUBSTITUTIONS: readonly (readonly [RegExp, string])[] = [
  [/([ >])[0-9a-f]{16}:(?: [0-9a-f]{2}){16}$/, "$1ADDRESS: BYTES"],
  [/^ *\^$/, "^"],
  [/^Code: [0-9a-f <>]+$/, "Code: BYTES"],
  [/^raw: [0-9a-f ]+$/, "raw: WORDS"],
  [/^CPU: .*/, "CPU"],
  [/^This frame has \d+ objects?:$/, "This frame has N objects:"],
  [/^Hardware name: .*/, "Hardware name"],
  [/[\w.]+\+0x[0-9a-f]+\/0x[0-9a-f]+(?: \[\w+\])?/, "PLACE"],
  [/\b(?:0x)?[0-9a-f]{8,16}\b|0x[0-9a-f]+|\(____ptrval____\)/g, "ADDRESS"],
  [/-?\d+/g, "N"],
];

/** A report without names and numbers: ` FRAMES` stands for any number of them, ` OBJECTS` for those of a stack frame. */
export function shapeOf(report: Found): string[] {
  const lines: string[] = [];
  for (const line of report.text.split("\n")) {
    const many = FRAME.test(line) ? " FRAMES" : OBJECT.test(line) ? " OBJECTS" : undefined;
    if (many === undefined)
      lines.push(SUBSTITUTIONS.reduce((text, [from, to]) => text.replace(from, to), line));
    else if (lines.at(-1) !== many) lines.push(many);
  }
  return lines;
}

/** What looks at the shadow and reports: its frames differ between the ways to check. */
const RUNTIME = /^(?:kasan_|__kasan_|__asan_|exc_|asm_exc_|dump_stack|print_report|memset$|memcpy$|memmove$)/;

/** The functions of a report's traces, the runtime's and those that may not be frames left out, `--` between traces. */
export function functionsOf(report: Found): string[] {
  const names: string[] = [];
  for (const line of report.text.split("\n")) {
    const frame = FRAME.exec(line);
    const [, unsure, name = ""] = frame ?? [];
    if (frame === null) {
      if (names.at(-1) !== "--") names.push("--");
    } else if (unsure === undefined && name !== "" && !RUNTIME.test(name)) names.push(name);
  }
  return names;
}

/** What Linux 6.1's own run of its suite reported (generic mode, gcc, outline). */
export function linuxShapes(): { [name: string]: string[][] } {
  const file = new URL("../data/linux-logs/kasan/kasan-kunit.txt", import.meta.url);
  const shapes = shapesOf(splitSuite(readFileSync(file, "utf8").split("\n")));
  // Linux looks twice at what test_bit() reads: in the function itself, and where the compiler has it read.
  shapes["kasan_bitops_generic"]?.splice(16, 1);
  return shapes;
}

/** The shapes of what each case that has reports reported. */
export function shapesOf(cases: ReadonlyMap<string, CaseRun>): { [name: string]: string[][] } {
  const shapes: { [name: string]: string[][] } = {};
  for (const [name, { log }] of cases) {
    const reports = kasanReports(log);
    if (reports.length > 0) shapes[name] = reports.map(shapeOf);
  }
  return shapes;
}
