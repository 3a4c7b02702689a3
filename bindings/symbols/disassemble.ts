/**
 * x86 machine code as text, in the AT&T form that `objdump -d` prints. Decoding is iced-x86's work; here are its
 * settings and the few spellings in which it differs from binutils. iced-x86 is an optional dependency (MIT, pure
 * WebAssembly, 250 KB gzipped) and is loaded when a disassembler is first asked for. Its packaging reads files,
 * so it loads in Node; elsewhere pass the module that a bundler made of it.
 */
import type * as Iced from "iced-x86";
import { CrashlabError } from "../error.ts";

/** Address size of the code: long mode, compatibility and protected mode, real mode. */
export type CodeMode = 64 | 32 | 16;

/** An instruction as `objdump -d` prints it. */
export interface DisassembledLine {
  readonly address: bigint;
  readonly bytes: Uint8Array;
  /** The instruction, e.g. `movq   $0x1,0x8(%rax)`; `(bad)` when the bytes are none, `.byte 0xe8` when they end in it. */
  readonly text: string;
  /** Where a direct branch or call goes, or what a RIP-relative operand names. */
  readonly target?: bigint;
  readonly valid: boolean;
}

/** Every instruction in the bytes, the first at `address`. Bytes that are no instruction have a line each. */
export type Disassemble = (bytes: Uint8Array, address: bigint, mode?: CodeMode) => DisassembledLine[];

/** What is needed of iced-x86. */
export type IcedModule = Pick<typeof Iced, "Decoder" | "Formatter">;

/** Values of iced-x86's enums FormatterSyntax and DecoderOptions. */
const GAS_SYNTAX = 0;
/** Of DecoderOptions: LOCK before an instruction that does not take it is named, as binutils does. */
const NO_INVALID_CHECK = 1;
/** The longest instruction, in bytes (SDM 2A 2.3.11). */
const LONGEST = 15;

/**
 * The disassembler, ready to be called.
 * @throws CrashlabError `missing-asset` when iced-x86 is not installed.
 */
export async function loadDisassembler(module?: IcedModule): Promise<Disassemble> {
  const iced = module ?? (await importIced());
  return (bytes, address, mode = 64) => disassemble(iced, bytes, address, mode);
}

async function importIced(): Promise<IcedModule> {
  try {
    const module: { default?: IcedModule } & IcedModule = await import("iced-x86");
    return module.default ?? module;
  } catch (cause) {
    throw new CrashlabError(
      "missing-asset",
      "expected the optional package iced-x86 for disassembly, found none: npm install iced-x86",
      { cause },
    );
  }
}

function disassemble(
  iced: IcedModule,
  bytes: Uint8Array,
  address: bigint,
  mode: CodeMode,
): DisassembledLine[] {
  if (bytes.length === 0) return [];
  const formatter = gnuFormatter(iced);
  const decoder = new iced.Decoder(mode, bytes, NO_INVALID_CHECK);
  const lines: DisassembledLine[] = [];
  try {
    decoder.ip = BigInt.asUintN(64, address);
    for (let at = 0; at < bytes.length; ) {
      decoder.position = at;
      decoder.ip = BigInt.asUintN(64, address + BigInt(at));
      const instruction = decoder.decode();
      const length = instruction.isInvalid ? 1 : instruction.length;
      const own = bytes.slice(at, at + length);
      const alias = instruction.isInvalid ? undefined : aliasText(own, mode);
      const valid = !instruction.isInvalid && alias === undefined;
      const target = valid ? targetOf(instruction) : undefined;
      const relative = instruction.isIpRelMemoryOperand ? target : undefined;
      const plain = valid ? formatter.format(instruction) : "";
      const text = valid
        ? withPrefix(
            idlePrefix(iced, formatter, plain, own, decoder.ip, mode),
            gnuText(plain, own, relative, mode),
          )
        : (alias ??
          (isCutShort(iced, bytes.subarray(at), mode)
            ? (prefixName(own[0] ?? 0, mode) ?? `.byte 0x${(own[0] ?? 0).toString(16)}`)
            : "(bad)"));
      lines.push({
        address: BigInt.asUintN(64, address + BigInt(at)),
        bytes: own,
        text,
        valid,
        ...(target === undefined ? {} : { target }),
      });
      instruction.free();
      at += length;
    }
  } finally {
    decoder.free();
    formatter.free();
  }
  return lines;
}

/**
 * x87 instructions by second, undocumented opcodes, which binutils does not take for instructions (SDM 2B, tables A-7 to
 * A-22, where these places are empty). The text of one, or undefined.
 */
function aliasText(bytes: Uint8Array, mode: CodeMode): string | undefined {
  const { prefixes, opcode } = opcodeOf(bytes, mode);
  const form = (bytes[prefixes.length + 1] ?? 0) & 0xf8;
  if (bytes.length !== prefixes.length + 2 || !(X87_ALIASES[opcode - 0xd8] ?? []).includes(form))
    return undefined;
  return [...prefixes.map((byte) => prefixName(byte, mode)), "(bad)"].join(" ");
}
/** The rows of D8 to DF, by the form's first value. */
const X87_ALIASES: readonly (readonly number[])[] = [
  [],
  [0xd8],
  [],
  [],
  [0xd0, 0xd8],
  [0xc8],
  [0xd0],
  [0xc8, 0xd0, 0xd8],
];

/** Whether bytes that are no instruction are the beginning of one. */
function isCutShort(iced: IcedModule, bytes: Uint8Array, mode: CodeMode): boolean {
  if (bytes.length >= LONGEST) return false;
  const longer = new Uint8Array(LONGEST);
  longer.set(bytes);
  const decoder = new iced.Decoder(mode, longer, NO_INVALID_CHECK);
  try {
    const instruction = decoder.decode();
    const cut = !instruction.isInvalid && instruction.length > bytes.length;
    instruction.free();
    return cut;
  } finally {
    decoder.free();
  }
}

/** Prefixes as binutils names them where they have no instruction, or no work to do in it. */
const PREFIX_NAMES: ReadonlyMap<number, string> = new Map([
  ...([
    [0x26, "es"],
    [0x2e, "cs"],
    [0x36, "ss"],
    [0x3e, "ds"],
    [0x64, "fs"],
    [0x65, "gs"],
  ] as const),
  ...([
    [0x66, "data16"],
    [0x67, "addr32"],
    [0xf0, "lock"],
    [0xf2, "repnz"],
    [0xf3, "repz"],
  ] as const),
]);

function prefixName(byte: number, mode: CodeMode): string | undefined {
  if (mode !== 64 || (byte & 0xf0) !== 0x40) return PREFIX_NAMES.get(byte);
  const bits = [..."WRXB"].filter((_, index) => (byte & (8 >> index)) !== 0).join("");
  return bits === "" ? "rex" : `rex.${bits}`;
}

/** `rex.W` before an instruction for which a bit of it says nothing: it reads the same without. */
function idlePrefix(
  iced: IcedModule,
  formatter: Iced.Formatter,
  text: string,
  bytes: Uint8Array,
  next: bigint,
  mode: CodeMode,
): string {
  const at = mode === 64 ? bytes.findIndex((byte) => !LEGACY_PREFIXES.has(byte)) : -1;
  const rex = bytes[at] ?? 0;
  if ((rex & 0xf0) !== 0x40) return "";
  const bits = [8, 4, 2, 1].filter((bit) => (rex & bit) !== 0);
  const others =
    bits.length > 0
      ? bits.map((bit) => bytes.with(at, rex & ~bit))
      : [Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + 1)])];
  const idle = others.some((other) => {
    const decoder = new iced.Decoder(mode, other, NO_INVALID_CHECK);
    decoder.ip = BigInt.asUintN(64, next - BigInt(other.length));
    const instruction = decoder.decode();
    const same =
      !instruction.isInvalid && instruction.length === other.length && formatter.format(instruction) === text;
    instruction.free();
    decoder.free();
    return same;
  });
  return idle ? (prefixName(rex, mode) ?? "") : "";
}

/** Behind a prefix there is one blank, not a column. */
function withPrefix(prefix: string, text: string): string {
  return prefix === "" ? text : `${prefix} ${text.replace(/ +/, " ")}`;
}

/** Mnemonics take six columns and a blank. */
const OPERANDS_AT = 7;

function gnuFormatter(iced: IcedModule): Iced.Formatter {
  const formatter = new iced.Formatter(GAS_SYNTAX);
  formatter.uppercaseHex = false;
  formatter.hexPrefix = "0x";
  formatter.smallHexNumbersInDecimal = false;
  formatter.signedImmediateOperands = false;
  formatter.ripRelativeAddresses = true;
  formatter.alwaysShowScale = true;
  formatter.showZeroDisplacements = true;
  formatter.branchLeadingZeros = false;
  formatter.firstOperandCharIndex = OPERANDS_AT;
  return formatter;
}

/** FlowControl of iced-x86: what has a near branch target. */
const BRANCHES: ReadonlySet<number> = new Set([1, 3, 5, 8]);

function targetOf(instruction: Iced.Instruction): bigint | undefined {
  if (BRANCHES.has(instruction.flowControl)) return instruction.nearBranchTarget;
  return instruction.isIpRelMemoryOperand ? instruction.ipRelMemoryAddress : undefined;
}

/** What binutils spells otherwise than iced-x86's gas form; each rule with its sample. */
const SPELLINGS: readonly (readonly [RegExp, string])[] = [
  // `0x48(%rsp,)`: a base alone
  [/\((%\w+),\)/g, "($1)"],
  // `callq  *(%rdi)`, `pushq  0x98(%r14)`: in long mode there is no other size
  [/^((?:notrack |bnd )?)(call|jmp|push|pop)q( *)(?= )/, "$1$2 $3"],
  // `iret`, `lret   $0x8948`, `lcall  *0x5d(%rbx)`: the plain form has no suffix
  [/^(iret|lret)l$/, "$1"],
  [/^(lret|lcall|ljmp)l( +)/, "$1$2 "],
  // C0 /6 and its like are SHL too
  [/^sal([bwlq]? +)/, "shl$1"],
  // `fsubp  %st,%st(1)`: operands are named
  [/^(f(?:add|mul|sub|subr|div|divr)p)$/, "$1 %st,%st(1)"],
  // `out    %al,%dx`, `in     %dx,%al`
  [/^(out\w* +.*),%dx$/, "$1,(%dx)"],
  [/^(in +)%dx,/, "$1(%dx),"],
];
/** D0 and D1 shift by one without saying so. */
const SHIFT_BY_ONE = /^((?:sar|shr|shl|rol|ror|rcl|rcr)[bwlq]? +)\$0x1,/;
/** `rep movsq (%rsi),(%rdi)`: the segments are named, and a register that shows the size takes the suffix's place. */
const STRING = /^((?:rep\w* )?)(movs|cmps|lods|stos|scas|ins|outs)([bwlq]?)( +)(?=\S*\()(.+)$/;
/** `imul   $0x147b,%r9d`: source and destination are one register, and both are written. */
const IMUL = /^(imul\w* +\$\w+),(%\w+)$/;
const LEGACY_PREFIXES: ReadonlySet<number> = new Set([
  0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3,
]);

function gnuText(text: string, bytes: Uint8Array, relative: bigint | undefined, mode: CodeMode): string {
  let line = text.trimEnd();
  for (const [pattern, replacement] of SPELLINGS) line = line.replace(pattern, replacement);
  const { prefixes, opcode } = opcodeOf(bytes, mode);
  if (opcode === 0xd0 || opcode === 0xd1) line = line.replace(SHIFT_BY_ONE, "$1");
  line = line.replace(IMUL, "$1,$2,$2").replace(STRING, stringOperands);
  if (line.startsWith("nop")) line = padding(line, prefixes);
  return relative === undefined ? line : `${line}        # 0x${relative.toString(16)}`;
}

function opcodeOf(bytes: Uint8Array, mode: CodeMode): { prefixes: readonly number[]; opcode: number } {
  const prefixes: number[] = [];
  for (const byte of bytes) {
    const rex = mode === 64 && (byte & 0xf0) === 0x40;
    if (!rex && !LEGACY_PREFIXES.has(byte)) return { prefixes, opcode: byte };
    prefixes.push(byte);
  }
  return { prefixes, opcode: 0 };
}

function stringOperands(
  _all: string,
  repeat: string,
  name: string,
  suffix: string,
  blanks: string,
  operands: string,
): string {
  const named = operands
    .replace(/(^|[^:])(\([%re]*di\))/, "$1%es:$2")
    .replace(/(^|[^:])(\([%re]*si\))/, "$1%ds:$2");
  const register = /(?:^|,)%\w+(?:,|$)/.test(operands) && !operands.includes("(%dx)");
  const mnemonic = name + (register ? "" : suffix);
  const pad = repeat === "" ? " ".repeat(Math.max(1, OPERANDS_AT - mnemonic.length)) : blanks;
  return `${repeat}${mnemonic}${pad}${named}`;
}

/** Compilers fill with `66 66 2e 0f 1f ...`: binutils names each prefix that has no work to do. */
function padding(line: string, prefixes: readonly number[]): string {
  const sizes = prefixes.filter((byte) => byte === 0x66).length;
  const words = Array.from({ length: Math.max(0, sizes - 1) }, () => "data16");
  if (prefixes.includes(0x2e)) words.push("cs");
  if (words.length === 0) return line;
  return [...words, line.replace("%cs:", "").replace(/ +/, " ")].join(" ");
}
