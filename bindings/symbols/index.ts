/** `crashlab/symbols`: names and source lines for addresses. Needs no machine. */
export { ElfFile, type ElfSection, type ElfSymbol } from "./elf.ts";
export { LineTable, type SourceLine } from "./lines.ts";
export { type SourceFrame, type SymbolMatch, SymbolTable } from "./table.ts";
