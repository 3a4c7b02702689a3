/** `crashlab/symbols`: names and source lines for addresses. Needs no machine. */

export { BtfTypes } from "./btf.ts";
export {
  type BuildIds,
  type DecodeOptions,
  decodePlace,
  decodeStacktrace,
  findBuildIds,
  type KernelSymbols,
  type NamedPlace,
  type PlaceKind,
} from "./decode.ts";
export {
  type CodeMode,
  type Disassemble,
  type DisassembledLine,
  type IcedModule,
  loadDisassembler,
} from "./disassemble.ts";
export { DwarfTypes } from "./dwarf_types.ts";
export { ElfFile, type ElfSection, type ElfSymbol } from "./elf.ts";
export {
  type FunctionPlace,
  type FunctionPlaces,
  findFunctionPlaces,
  formatFrames,
  formatFunctionPlace,
  parseFunctionOffset,
  type SkippedPlace,
  sourcePrefix,
  stripPrefix,
} from "./faddr2line.ts";
export { type KallsymsEntry, readKallsyms } from "./kallsyms.ts";
export { LineTable, type SourceLine } from "./lines.ts";
export { type OrcLayout, type OrcRow, OrcTable, orcLayout } from "./orc.ts";
export { withKallsyms, withSymbols, withSystemMap } from "./symtab.ts";
export { type SourceFrame, type SymbolMatch, SymbolTable } from "./table.ts";
export {
  type ArrayType,
  asStruct,
  type BaseType,
  declare,
  type EnumType,
  type FunctionType,
  findMember,
  type Member,
  type NamedKind,
  type PointerType,
  type QualifiedType,
  type StructType,
  sizeOf,
  type Type,
  type TypedefType,
  type TypeSource,
  underlying,
  type VoidType,
} from "./types.ts";
