/** Damaged files: nothing but CrashlabError comes out, and soon. */
import { assert, constantFrom, integer, property, record, array as some } from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CrashlabError } from "../../bindings/error.ts";
import { SymbolTable } from "../../bindings/symbols/index.ts";
import { buildProgram, type Program, readBytes } from "./program.ts";

let programs: readonly Program[];
let files: readonly Uint8Array<ArrayBuffer>[];
beforeAll(async () => {
  programs = [
    await buildProgram(["-gdwarf-4"]),
    await buildProgram(["-gdwarf-5"]),
    await buildProgram(["-gdwarf-5", "-gz=zlib"]),
  ];
  files = programs.flatMap(({ executable, object }) => [readBytes(executable), readBytes(object)]);
});
afterAll(() => {
  for (const program of programs) program.remove();
});

/** Asks for everything that a file can tell. */
function readAll(bytes: Uint8Array): void {
  try {
    const symbols = SymbolTable.fromElf(bytes);
    for (const symbol of symbols.elf.symbols) {
      const address = symbols.elf.addressOf(symbol);
      symbols.frames(address);
      symbols.lookup(address);
      symbols.span(symbol);
    }
    symbols.frames(0n);
    symbols.memberOffset("outer", "deeper");
  } catch (error) {
    if (!(error instanceof CrashlabError)) throw error;
    expect(error.message).toMatch(/^expected .+, found .+; /);
  }
}

const damage = some(
  record({ at: integer({ min: 0 }), value: constantFrom(0, 1, 0x7f, 0x80, 0xff, 0x16, 0x21) }),
  {
    minLength: 1,
    maxLength: 12,
  },
);

test("bytes changed anywhere", () => {
  assert(
    property(integer({ min: 0, max: 5 }), damage, (which, changes) => {
      const bytes = files[which]?.slice() ?? new Uint8Array(0);
      for (const { at, value } of changes) bytes[at % bytes.length] = value;
      readAll(bytes);
    }),
    { numRuns: 1500, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: true },
  );
});

test("bytes changed in the debug sections", () => {
  assert(
    property(
      integer({ min: 0, max: 3 }),
      constantFrom(
        ".debug_info",
        ".debug_abbrev",
        ".debug_line",
        ".debug_ranges",
        ".debug_rnglists",
        ".debug_addr",
      ),
      damage,
      (which, name, changes) => {
        const bytes = files[which]?.slice() ?? new Uint8Array(0);
        const section = SymbolTable.fromElf(bytes).elf.section(name);
        if (section === undefined) return;
        for (const { at, value } of changes) bytes[section.offset + (at % section.size)] = value;
        readAll(bytes);
      },
    ),
    { numRuns: 3000, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: true },
  );
});

test("files cut anywhere", () => {
  assert(
    property(integer({ min: 0, max: 5 }), integer({ min: 0 }), (which, length) => {
      const bytes = files[which] ?? new Uint8Array(0);
      readAll(bytes.slice(0, length % bytes.length));
    }),
    { numRuns: 300 },
  );
});
