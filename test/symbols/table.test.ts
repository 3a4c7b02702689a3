/** Symbols and line tables of a small ELF file that is built here with the system's compiler-independent bytes. */
import { describe, expect, test } from "vitest";
import { CrashlabError } from "../../bindings/error.ts";
import { LineTable, SymbolTable } from "../../bindings/symbols/index.ts";

/** A DWARF 4 line program: a.c line 10 at 1000h, line 12 at 1004h, end at 1010h. */
function lineSection(): Uint8Array {
  const header = [1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];
  const files = [..."src\0\0", ..."a.c\0"].map((letter) => letter.charCodeAt(0));
  const tail = [1, 0, 0, 0]; // directory 1, time, length; end of files
  const address = [0, 9, 2, 0x00, 0x10, 0, 0, 0, 0, 0, 0];
  const program = [...address, 3, 9, 1, 2, 4, 3, 2, 1, 2, 12, 0, 1, 1];
  const body = [...header, ...files, ...tail];
  const unit = [4, 0, body.length & 0xff, 0, 0, 0, ...body, ...program];
  return Uint8Array.from([unit.length, 0, 0, 0, ...unit]);
}

describe("line tables", () => {
  const empty = new Uint8Array(0);
  const lines = new LineTable({ line: lineSection(), lineStrings: empty, strings: empty });

  test("addresses have the line of the row at or before them", () => {
    expect(lines.find(0x1000n)).toEqual({ file: "src/a.c", line: 10 });
    expect(lines.find(0x1003n)).toEqual({ file: "src/a.c", line: 10 });
    expect(lines.find(0x1004n)).toEqual({ file: "src/a.c", line: 12 });
    expect(lines.find(0x100fn)).toEqual({ file: "src/a.c", line: 12 });
  });

  test("addresses outside have none", () => {
    expect(lines.find(0xfffn)).toBeUndefined();
    expect(lines.find(0x1010n)).toBeUndefined();
  });

  test("a table cut anywhere is read without an exception", () => {
    const whole = lineSection();
    for (let length = 0; length < whole.length; length++) {
      expect(
        () => new LineTable({ line: whole.slice(0, length), lineStrings: empty, strings: empty }),
      ).not.toThrow();
    }
  });
});

test("what is not ELF is refused with a typed error", () => {
  expect(() => SymbolTable.fromElf(new Uint8Array(100))).toThrow(CrashlabError);
});
