/**
 * npm run bench -- [--quick] [--no-peers] [--only NAME,NAME...] [--out FILE] [NAME...]
 *
 * bench/parts.ts has the parts; bench/README.md says how to read the result.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machineFacts } from "./facts.ts";
import { buildGuest } from "./guest/build.ts";
import { type BenchOptions, PARTS, PROGRAMS } from "./parts.ts";

const USAGE = "usage: npm run bench -- [--quick] [--no-peers] [--only NAME,...] [--out FILE] [NAME...]";
const HELP = `${USAGE}

Measures speed here and now. Without a NAME every part runs (about ten minutes, more with peers).

  --quick      five programs and a few rounds of everything; the figures are rough
  --no-peers   without qemu-system-x86_64 and v86, which otherwise run the same programs
  --only NAME  the same as giving the names as arguments
  --out FILE   where the JSON goes; by default bench/results/DATE.json
  --help       this

Parts:
${PARTS.map(({ name, what }) => `  ${name.padEnd(10)} ${what}`).join("\n")}
Programs:
  ${PROGRAMS.join(" ")}

bench/README.md says how to read the result.`;

function usage(message: string): never {
  console.error(`bench: ${message}\n${USAGE}`);
  process.exit(2);
}

function parse(): { options: BenchOptions; out: string | undefined; names: readonly string[] } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: "boolean" },
        "no-peers": { type: "boolean" },
        only: { type: "string", multiple: true },
        out: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    const names = [...positionals, ...(values.only ?? []).flatMap((list) => list.split(","))];
    const programs = names.filter((name) => PROGRAMS.includes(name));
    return {
      options: { quick: values.quick ?? false, peers: !values["no-peers"], programs },
      out: values.out,
      names,
    };
  } catch (error) {
    usage(error instanceof Error ? error.message : String(error));
  }
}

const { options, out, names } = parse();
for (const name of names)
  if (!PROGRAMS.includes(name) && !PARTS.some((part) => part.name === name))
    usage(`expected a part or a program, found "${name}"; --help lists them`);
const chosen = PARTS.filter(
  ({ name }) =>
    names.length === 0 || names.includes(name) || (name === "programs" && options.programs.length > 0),
);

const machine = machineFacts();
console.log(
  `${machine.cpu}, ${machine.cpuCount} CPUs, load ${machine.load.toFixed(1)}, Node ${machine.node}`,
);
buildGuest();
const report: Record<string, unknown> = { schema: 2, machine, quick: options.quick };
for (const part of chosen) {
  const measured = await part.measure(options);
  if (measured === undefined) {
    console.log(`${part.name}: left out, what it needs is not here`);
    continue;
  }
  report[part.key ?? part.name] = measured.result;
  for (const line of measured.lines) console.log(line);
}
const folder = fileURLToPath(new URL("results", import.meta.url));
const suffix = options.quick ? "-quick" : "";
const file = resolve(out ?? `${folder}/${machine.date.slice(0, 19).replaceAll(":", "")}${suffix}.json`);
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
console.log(`\nresults: ${file}`);
