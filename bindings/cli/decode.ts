/** `crashlab decode`: a kernel log with source lines and assembly. */
import { text } from "node:stream/consumers";
import { Command } from "commander";
import { CrashlabError } from "../error.ts";
import { findCodes, formatCode } from "../report/index.ts";
import {
  type BuildIds,
  type Disassemble,
  decodeStacktrace,
  findBuildIds,
  loadDisassembler,
  SymbolTable,
} from "../symbols/index.ts";
import { examples, readInput } from "./files.ts";
import { ModuleFolder } from "./modules.ts";

interface Options {
  readonly vmlinux: string;
  readonly modules?: string;
  readonly returnAddresses?: boolean;
}

export function decodeCommand(): Command {
  return new Command("decode")
    .description(
      "a kernel log with source lines and assembly, as Linux's scripts/decode_stacktrace.sh makes it",
    )
    .argument("[log]", "file to read; standard input by default")
    .requiredOption("--vmlinux <file>", "the kernel that wrote the log, with debug information")
    .option("--modules <folder>", "folder with the .ko files of that kernel, or debug files by build id")
    .option("-R, --return-addresses", "lines of return addresses, not of the calls before them (Linux 6.1)")
    .addHelpText(
      "after",
      `
Build ids that the log gives (CONFIG_STACKTRACE_BUILD_ID) must be those of the files: a vmlinux of another build is
refused, a module of another build leaves its frames as they are.
${examples("dmesg | crashlab decode --vmlinux vmlinux --modules /lib/modules/5.15.0", "crashlab decode console.log --vmlinux vmlinux -R")}`,
    )
    .action(runDecode);
}

async function runDecode(path: string | undefined, options: Options): Promise<void> {
  const vmlinux = SymbolTable.fromElf(await readInput(options.vmlinux));
  const folder = options.modules === undefined ? undefined : await ModuleFolder.open(options.modules);
  const log =
    path === undefined ? await text(process.stdin) : new TextDecoder().decode(await readInput(path));
  const ids = findBuildIds(log);
  checkKernel(ids, vmlinux);
  const modules = (await folder?.read(ids.modules)) ?? new Map<string, SymbolTable>();
  for (const line of otherBuilds(ids, modules)) console.error(`crashlab: ${line}`);
  const decoded = decodeStacktrace(
    log,
    { vmlinux, modules },
    { returnAddresses: options.returnAddresses === true },
  );
  const disassemble = log.includes("Code: ") ? await disassembler() : undefined;
  process.stdout.write(disassemble === undefined ? decoded : withAssembly(decoded, disassemble));
}

function checkKernel({ kernels }: BuildIds, { buildId }: SymbolTable): void {
  if (kernels.length === 0 || buildId === undefined || kernels.includes(buildId)) return;
  throw new CrashlabError(
    "bad-kernel",
    `expected the kernel with the build id ${kernels.join(" or ")}, found ${buildId}; give the vmlinux of the log`,
  );
}

/** Modules that are there, but not of the build that the log names. */
function otherBuilds({ modules: wanted }: BuildIds, found: ReadonlyMap<string, SymbolTable>): string[] {
  return [...wanted].flatMap(([name, ids]) => {
    const { buildId } = found.get(name) ?? {};
    const missing = [...ids].filter((id) => !found.has(id));
    if (buildId === undefined || missing.length === 0) return [];
    return [
      `expected ${name} with the build id ${missing.join(" and ")}, found ${buildId}; its frames stay as they are`,
    ];
  });
}

/** Undefined without iced-x86: the lines of the trace are there all the same. */
async function disassembler(): Promise<Disassemble | undefined> {
  try {
    return await loadDisassembler();
  } catch (error) {
    if (!(error instanceof CrashlabError)) throw error;
    console.error(`crashlab: ${error.message}; Code: lines stay as they are`);
    return undefined;
  }
}

/** Each `Code:` line with its instructions below. */
function withAssembly(log: string, disassemble: Disassemble): string {
  return log
    .split("\n")
    .map((line) => {
      const [found] = findCodes(line);
      return found === undefined ? line : `${line}\n${formatCode(found.code, disassemble)}`;
    })
    .join("\n");
}
