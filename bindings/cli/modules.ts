/** Modules' files for a log or a dump: found below a folder by name, or by build id, and read when they are needed. */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { CrashlabError } from "../error.ts";
import { SymbolTable } from "../symbols/index.ts";
import { readInput } from "./files.ts";

/** Files of a folder as /lib/modules/RELEASE, /usr/lib/debug or a build's have them. */
export class ModuleFolder {
  readonly #folder: string;
  readonly #files: readonly string[];

  private constructor(folder: string, files: readonly string[]) {
    this.#folder = folder;
    this.#files = files;
  }

  static async open(folder: string): Promise<ModuleFolder> {
    const files = await readdir(folder, { recursive: true }).catch((cause: unknown) => {
      throw new CrashlabError("bad-option", `expected a folder of modules, found ${folder}: ${cause}`, {
        cause,
      });
    });
    return new ModuleFolder(folder, files.sort());
  }

  /**
   * The modules of these names, with the build ids that are wanted of each if they are known: by name, and by build
   * id as well. Of several files of a name, one with debug information comes first.
   */
  async read(wanted: ReadonlyMap<string, ReadonlySet<string>>): Promise<Map<string, SymbolTable>> {
    const found = new Map<string, SymbolTable>();
    for (const [name, ids] of wanted) {
      for (const path of this.#candidates(name, ids)) {
        const table = SymbolTable.fromElf(await readInput(path));
        const best = found.get(name);
        if (best === undefined || (!hasLines(best) && hasLines(table))) found.set(name, table);
        const { buildId } = table;
        if (buildId === undefined) continue;
        const same = found.get(buildId);
        if (same === undefined || (!hasLines(same) && hasLines(table))) found.set(buildId, table);
      }
    }
    return found;
  }

  /** `mydriver.ko`, `my-driver.ko.debug`, and what a tree of debug files has at `.build-id/01/2345....debug`. */
  #candidates(name: string, ids: ReadonlySet<string>): string[] {
    const named = (file: string): boolean =>
      /\.ko(?:\.debug)?$/.test(file) &&
      basename(file)
        .replace(/\.ko(?:\.debug)?$/, "")
        .replaceAll("-", "_") === name;
    const ends = [...ids].map((id) => join(".build-id", id.slice(0, 2), `${id.slice(2)}.debug`));
    const files = this.#files.filter((file) => named(file) || ends.some((end) => file.endsWith(end)));
    return files.map((file) => join(this.#folder, file));
  }
}

function hasLines(table: SymbolTable): boolean {
  return table.elf.section(".debug_line") !== undefined;
}
