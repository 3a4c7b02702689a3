/** Every asynchronous function of the library takes an AbortSignal and tells its progress, or is named here with the reason. */
import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";
import { ROOT } from "./run.ts";

const ENTRIES = ["index", "report/index", "symbols/index", "vmcore/index", "node/index", "vitest/index"];

const READS_A_DUMP = "the signal and the listener of Vmcore.open() are for all that reads the dump";
const SHORT = "takes milliseconds";
const GIVEN = "they were given to capture()";
const CALLERS = "the caller's own, or of pieces that are the caller's";

/** Those that take neither. */
const WITHOUT: { readonly [name: string]: string } = {
  "Core.fork": SHORT,
  "Core.create": SHORT,
  "Machine.fork": SHORT,
  "Machine.decode": SHORT,
  loadDisassembler: SHORT,
  "PanicNotifiers.notify": "the guest calls it",
  "VmcoreStream.save": GIVEN,
  saveFile: CALLERS,
  rangeReader: SHORT,
  "Command.run": READS_A_DUMP,
  "Context.lines": CALLERS,
  "RangeReader.read": CALLERS,
  "ReadableFile.stat": CALLERS,
  "ReadableFile.read": CALLERS,
  runCommand: READS_A_DUMP,
  "DumpFile.readPage": READS_A_DUMP,
  filesOf: READS_A_DUMP,
  memoryUse: READS_A_DUMP,
  slabCaches: READS_A_DUMP,
  addressSpaceOf: READS_A_DUMP,
  showValue: READS_A_DUMP,
  valueToJson: READS_A_DUMP,
  systemInfo: READS_A_DUMP,
  "Program.*": READS_A_DUMP,
  "Task.*": READS_A_DUMP,
  "Value.*": READS_A_DUMP,
};

test("everything long can be ended and tells its progress", () => {
  const { config } = ts.readConfigFile(join(ROOT, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const files = ENTRIES.map((entry) => join(ROOT, `bindings/${entry}.ts`));
  const program = ts.createProgram(files, options);
  const checker = program.getTypeChecker();
  const isAsync = (signature: ts.Signature): boolean =>
    /^(?:Promise|AsyncGenerator)\b/.test(checker.typeToString(signature.getReturnType()));
  /** Whether some parameter has a property of such a name. */
  const takes = (signature: ts.Signature, pattern: RegExp): boolean =>
    signature.parameters.some((parameter) => {
      const type = checker.getTypeOfSymbol(parameter);
      return (type.isUnion() ? type.types : [type]).some((each) =>
        each.getProperties().some(({ name }) => pattern.test(name)),
      );
    });
  const without = new Set<string>();
  const within = new Set<string>();
  const look = (name: string, symbol: ts.Symbol): void => {
    for (const signature of checker.getTypeOfSymbol(symbol).getCallSignatures()) {
      if (!isAsync(signature)) continue;
      const isLong = takes(signature, /^signal$/) && takes(signature, /^on(?:Progress|Case)$/);
      (isLong ? within : without).add(name);
    }
  };
  for (const file of files) {
    const source = program.getSourceFile(file);
    const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
    for (const exported of module === undefined ? [] : checker.getExportsOfModule(module)) {
      const isAlias = (exported.flags & ts.SymbolFlags.Alias) !== 0;
      const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported;
      if ((symbol.flags & ts.SymbolFlags.Function) !== 0) look(symbol.name, symbol);
      if ((symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface)) === 0) continue;
      const isClass = (symbol.flags & ts.SymbolFlags.Class) !== 0;
      const members = [
        ...checker.getDeclaredTypeOfSymbol(symbol).getProperties(),
        ...(isClass ? checker.getTypeOfSymbol(symbol).getProperties() : []),
      ];
      // Not the private ones and those named by symbols.
      for (const member of members)
        if (/^[a-z]\w*$/i.test(member.name) && member.name !== "prototype")
          look(`${symbol.name}.${member.name}`, member);
    }
  }
  const excused = (name: string): boolean => name in WITHOUT || `${name.split(".")[0]}.*` in WITHOUT;
  expect([...without].filter((name) => !excused(name))).toEqual([]);
  const exact = Object.keys(WITHOUT).filter((name) => !name.endsWith(".*"));
  expect(exact.filter((name) => !without.has(name))).toEqual([]);
  for (const name of [
    "boot",
    "Machine.exec",
    "Machine.inject",
    "Kdump.capture",
    "runCampaign",
    "writeCorpus",
  ])
    expect(within).toContain(name);
});
