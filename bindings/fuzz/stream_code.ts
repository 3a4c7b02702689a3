/**
 * Random user code of 64-bit mode, unit by unit: an instruction, or a few that belong together. R15 points into the
 * arena, R14 is a small index, R13 is no canonical address, RSP lies in the arena: they are never written. Flags that
 * the manual leaves undefined are cleared at once, so that whatever follows may use flags.
 */
import type { Random } from "./random.ts";

/** Linear addresses, the same in tools on the native side (native/streams.c). */
export const ARENA = 0x30000e00;
export const ARENA_SIZE = 1024;
export const ARENA_MIDDLE: number = ARENA + 512;

const CF = 0x1;
const PF = 0x4;
const AF = 0x10;
const ZF = 0x40;
const SF = 0x80;
const OF = 0x800;
const ALL = CF | PF | AF | ZF | SF | OF;

/** General registers that may be written. */
const FREE = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12];

const u32 = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];
const imm = (r: Random, size: number): number[] => {
  const value = Number(r.interesting() & 0xffffffffn) | 0;
  return size === 1 ? [value & 255] : size === 2 ? u32(value).slice(0, 2) : u32(value);
};

/** pushfq; and dword [rsp], ~flags; popfq */
const define = (undefinedFlags: number): number[] =>
  undefinedFlags === 0 ? [] : [0x9c, 0x81, 0x24, 0x24, ...u32(~undefinedFlags), 0x9d];

/** ModRM with what follows it; `rex` are its X and B bits. */
interface Operand {
  readonly rex: number;
  readonly isMemory: boolean;
  readonly address32?: boolean;
  readonly bytes: (reg: number) => number[];
}
const register = (n: number): Operand => ({
  rex: n >> 3,
  isMemory: false,
  bytes: (reg) => [0xc0 | ((reg & 7) << 3) | (n & 7)],
});

/** `align`: what the address is a multiple of, most of the time. */
function memory(r: Random, align = 1): Operand {
  let offset = r.below(ARENA_SIZE - 64) - 512;
  if (!r.oneIn(150)) offset &= -align;
  if (r.oneIn(400))
    offset =
      r.pick([0xff0, 0xff8, 0xffc, 0xffe, 0xfff, 0x1000, -0x1008, -0x1001, 0x1010 - 0x20]) + r.below(8);
  const isByte = offset >= -128 && offset < 128;
  const displacement = isByte ? [offset & 255] : u32(offset);
  const mod = isByte ? 0x40 : 0x80;
  switch (r.below(20)) {
    case 0:
    case 1:
    case 2: {
      const scale = r.below(4);
      // [r15 + r14 * scale + displacement], R14 being a multiple of 16 or 0
      return {
        rex: 3,
        isMemory: true,
        bytes: (reg) => [mod | ((reg & 7) << 3) | 4, (scale << 6) | (6 << 3) | 7, ...displacement],
      };
    }
    case 3:
    case 4:
      return {
        rex: 0,
        isMemory: true,
        bytes: (reg) => [((reg & 7) << 3) | 4, 0x25, ...u32(ARENA_MIDDLE + offset)],
      };
    case 5:
      if (r.oneIn(40))
        return { rex: 1, isMemory: true, bytes: (reg) => [mod | ((reg & 7) << 3) | 5, ...displacement] };
      break;
    case 6:
      return {
        rex: 1,
        isMemory: true,
        address32: true,
        bytes: (reg) => [mod | ((reg & 7) << 3) | 7, ...displacement],
      };
  }
  return { rex: 1, isMemory: true, bytes: (reg) => [mod | ((reg & 7) << 3) | 7, ...displacement] };
}
const general = (r: Random): Operand => register(r.pick(FREE));
const either = (r: Random, align = 1): Operand => (r.oneIn(3) ? memory(r, align) : general(r));

interface Parts {
  /** 66h, F2h, F3h, F0h. */
  readonly prefixes?: readonly number[];
  readonly wide?: boolean;
  readonly opcode: readonly number[];
  readonly reg: number;
  readonly operand: Operand;
  readonly immediate?: readonly number[];
  /** Even when it says nothing. */
  readonly rex?: boolean;
}
function encode({
  prefixes = [],
  wide = false,
  opcode,
  reg,
  operand,
  immediate = [],
  rex = false,
}: Parts): number[] {
  const bits = (wide ? 8 : 0) | (reg >> 3 !== 0 ? 4 : 0) | operand.rex;
  return [
    ...(operand.address32 === true ? [0x67] : []),
    ...prefixes,
    ...(bits !== 0 || rex ? [0x40 | bits] : []),
    ...opcode,
    ...operand.bytes(reg),
    ...immediate,
  ];
}
function vex(
  r: Random,
  map: number,
  pp: number,
  opcode: number,
  reg: number,
  v: number,
  operand: Operand,
): number[] {
  const wide = r.below(2);
  return [
    ...(operand.address32 === true ? [0x67] : []),
    0xc4,
    (reg >> 3 === 0 ? 0x80 : 0) |
      ((operand.rex & 2) === 0 ? 0x40 : 0) |
      ((operand.rex & 1) === 0 ? 0x20 : 0) |
      map,
    (wide << 7) | ((~v & 15) << 3) | pp,
    opcode,
    ...operand.bytes(reg),
  ];
}

/** Operand size by prefix: 2, 4 or 8 bytes. */
interface Sized {
  readonly prefixes: number[];
  readonly wide: boolean;
  readonly size: number;
}
function sized(r: Random): Sized {
  switch (r.below(5)) {
    case 0:
      return { prefixes: [0x66], wide: false, size: 2 };
    case 1:
    case 2:
      return { prefixes: [], wide: true, size: 8 };
    default:
      return { prefixes: [], wide: false, size: 4 };
  }
}
/** A register and an operand for byte instructions: AH to BH without REX, SIL and the like with it. */
function bytePair(r: Random, withMemory = true): { reg: number; operand: Operand; rex: boolean } {
  if (r.oneIn(2)) return { reg: r.pick(FREE), operand: withMemory ? either(r) : general(r), rex: true };
  const operand = withMemory && r.oneIn(3) ? memory(r) : register(r.below(8));
  // With a REX that addressing needs, 4 would be SPL.
  const reg = operand.rex !== 0 ? r.pick(FREE) : r.below(8);
  return { reg, operand, rex: operand.rex !== 0 };
}

type Unit = (r: Random) => number[];

const alu: Unit = (r) => {
  const operation = r.below(8);
  const undefinedFlags = [1, 4, 6].includes(operation) ? AF : 0;
  const tail = define(undefinedFlags);
  const form = r.below(8);
  if (form === 0) return [(operation << 3) | 4, ...imm(r, 1), ...tail];
  if (form === 1) {
    const { prefixes, wide, size } = sized(r);
    return [
      ...prefixes,
      ...(wide ? [0x48] : []),
      (operation << 3) | 5,
      ...imm(r, Math.min(4, size)),
      ...tail,
    ];
  }
  const lockable = (operand: Operand, s: number[]): number[] =>
    operand.isMemory && operation !== 7 && r.oneIn(5) ? [...s, 0xf0] : s;
  if (form === 2) {
    const pair = bytePair(r);
    return [...encode({ ...pair, opcode: [(operation << 3) | (r.oneIn(2) ? 2 : 0)] }), ...tail];
  }
  if (form === 3) {
    const pair = bytePair(r);
    return [...encode({ ...pair, reg: operation, opcode: [0x80], immediate: imm(r, 1) }), ...tail];
  }
  const { prefixes, wide, size } = sized(r);
  const operand = either(r);
  if (form < 6) {
    const load = r.oneIn(2);
    const parts = { wide, opcode: [(operation << 3) | (load ? 3 : 1)], reg: r.pick(FREE), operand };
    return [...encode({ ...parts, prefixes: load ? prefixes : lockable(operand, prefixes) }), ...tail];
  }
  const short = r.oneIn(2);
  return [
    ...encode({
      prefixes: lockable(operand, prefixes),
      wide,
      opcode: [short ? 0x83 : 0x81],
      reg: operation,
      operand,
      immediate: imm(r, short ? 1 : Math.min(4, size)),
    }),
    ...tail,
  ];
};

const shift: Unit = (r) => {
  const operation = r.below(8);
  const isByte = r.oneIn(4);
  const s = isByte ? { prefixes: [], wide: false, size: 1 } : sized(r);
  const pair = isByte ? bytePair(r) : { operand: either(r), rex: false };
  const kind = r.below(3);
  const count = r.oneIn(3) ? 1 : r.below(256);
  const base = kind === 0 ? 0xd0 : kind === 1 ? 0xd2 : 0xc0;
  const isRotate = operation < 4;
  let undefinedFlags = 0;
  if (kind !== 0) {
    undefinedFlags = isRotate ? OF : OF | AF;
    if (!isRotate && s.size < 4) undefinedFlags |= CF;
  } else if (!isRotate) undefinedFlags = AF;
  const code = encode({
    prefixes: s.prefixes,
    wide: s.wide,
    rex: pair.rex,
    opcode: [base | (isByte ? 0 : 1)],
    reg: operation,
    operand: pair.operand,
    immediate: kind === 2 ? [count] : [],
  });
  return [...code, ...define(undefinedFlags)];
};
const doubleShift: Unit = (r) => {
  const s = sized(r);
  const opcode = r.pick([0xa4, 0xac]);
  // More than 16 bits of a 16-bit operand are undefined, so those have a count at hand.
  const byCl = s.size > 2 && r.oneIn(2);
  const immediate = byCl ? [] : [s.size === 2 ? r.below(17) : r.below(256)];
  const code = encode({
    ...s,
    opcode: [0x0f, byCl ? opcode + 1 : opcode],
    reg: r.pick(FREE),
    operand: either(r),
    immediate,
  });
  return [...code, ...define(OF | AF)];
};
const unary: Unit = (r) => {
  const isByte = r.oneIn(4);
  const s = isByte ? { prefixes: [], wide: false } : sized(r);
  const pair = isByte ? bytePair(r) : { operand: either(r), rex: false };
  const [opcode, reg, undefinedFlags] = r.pick<readonly [number, number, number]>([
    [0xfe, 0, 0],
    [0xfe, 1, 0],
    [0xf6, 2, 0],
    [0xf6, 3, 0],
    [0xf6, 4, SF | ZF | AF | PF],
    [0xf6, 5, SF | ZF | AF | PF],
    [0xf6, 6 + r.below(2), ALL],
  ]);
  const parts = { ...s, rex: pair.rex, opcode: [opcode | (isByte ? 0 : 1)], reg, operand: pair.operand };
  // A quotient that fits, most of the time: mov edx, 0 (or less than the divisor, by luck)
  const before =
    reg >= 6 && opcode === 0xf6 && !r.oneIn(20) ? [0xba, 0, 0, 0, 0, ...(isByte ? [0xb4, 0] : [])] : [];
  return [...before, ...encode(parts), ...define(undefinedFlags)];
};
const multiply: Unit = (r) => {
  const s = sized(r);
  const kind = r.below(3);
  const opcode = kind === 0 ? [0x0f, 0xaf] : [kind === 1 ? 0x6b : 0x69];
  const immediate = kind === 0 ? [] : imm(r, kind === 1 ? 1 : Math.min(4, s.size));
  return [
    ...encode({ ...s, opcode, reg: r.pick(FREE), operand: either(r), immediate }),
    ...define(SF | ZF | AF | PF),
  ];
};
const test: Unit = (r) => {
  if (r.oneIn(3)) {
    const pair = bytePair(r);
    return [...encode({ ...pair, opcode: [0x84] }), ...define(AF)];
  }
  const s = sized(r);
  if (r.oneIn(3)) {
    const immediate = imm(r, Math.min(4, s.size));
    return [
      ...encode({ ...s, opcode: [0xf7], reg: r.below(2), operand: either(r), immediate }),
      ...define(AF),
    ];
  }
  return [...encode({ ...s, opcode: [0x85], reg: r.pick(FREE), operand: either(r) }), ...define(AF)];
};
const move: Unit = (r) => {
  const s = sized(r);
  switch (r.below(9)) {
    case 0:
      return encode({ ...bytePair(r), opcode: [r.pick([0x88, 0x8a])] });
    case 1:
      return encode({
        ...s,
        opcode: [0xc7],
        reg: 0,
        operand: either(r),
        immediate: imm(r, Math.min(4, s.size)),
      });
    case 2: {
      const n = r.pick(FREE);
      return [0x48 | (n >> 3), 0xb8 | (n & 7), ...imm(r, 4), ...imm(r, 4)];
    }
    case 3:
      return encode({
        ...s,
        opcode: [0x0f, r.pick([0xb6, 0xbe])],
        reg: r.pick(FREE),
        operand: r.oneIn(2) ? memory(r) : register(r.below(4)),
      });
    case 4:
      return encode({ ...s, opcode: [0x0f, r.pick([0xb7, 0xbf])], reg: r.pick(FREE), operand: either(r) });
    case 5:
      return encode({ wide: true, opcode: [0x63], reg: r.pick(FREE), operand: either(r) });
    case 6:
      return encode({ ...s, opcode: [0x8d], reg: r.pick(FREE), operand: memory(r) });
    case 7:
      return encode({ ...s, opcode: [0x0f, 0x40 | r.below(16)], reg: r.pick(FREE), operand: either(r) });
    default:
      return encode({ ...s, opcode: [r.pick([0x89, 0x8b])], reg: r.pick(FREE), operand: either(r) });
  }
};
const exchange: Unit = (r) => {
  const s = sized(r);
  const operand = either(r);
  const lock = operand.isMemory && r.oneIn(3) ? [...s.prefixes, 0xf0] : s.prefixes;
  switch (r.below(5)) {
    case 0:
      return encode({ ...s, prefixes: lock, opcode: [0x87], reg: r.pick(FREE), operand });
    case 1:
      return encode({ ...s, prefixes: lock, opcode: [0x0f, 0xc1], reg: r.pick(FREE), operand });
    case 2:
      return encode({ ...s, prefixes: lock, opcode: [0x0f, 0xb1], reg: r.pick(FREE), operand });
    case 3:
      return encode({ wide: r.oneIn(2), opcode: [0x0f, 0xc7], reg: 1, operand: memory(r, 16) });
    default: {
      const pair = bytePair(r);
      return encode({ ...pair, opcode: r.pick([[0x86], [0x0f, 0xc0], [0x0f, 0xb0]]) });
    }
  }
};
const bits: Unit = (r) => {
  const s = sized(r);
  switch (r.below(4)) {
    case 0:
      return [
        ...encode({
          ...s,
          opcode: [0x0f, 0xba],
          reg: 4 + r.below(4),
          operand: either(r),
          immediate: [r.below(256)],
        }),
        ...define(OF | SF | AF | PF),
      ];
    case 1:
      return [
        ...encode({ ...s, opcode: [0x0f, 0xa3 | (r.below(4) << 3)], reg: r.pick(FREE), operand: general(r) }),
        ...define(OF | SF | AF | PF),
      ];
    case 2:
      // BSF, BSR of what is not zero: or rax, 1 << n first
      return [
        ...[0x48, 0x0f, 0xba, 0xe8, r.below(16)],
        ...encode({ ...s, opcode: [0x0f, r.pick([0xbc, 0xbd])], reg: r.pick(FREE), operand: register(0) }),
        ...define(CF | OF | SF | AF | PF),
      ];
    default: {
      const opcode = r.pick([0xb8, 0xbc, 0xbd]);
      const code = encode({
        ...s,
        prefixes: [...s.prefixes, 0xf3],
        opcode: [0x0f, opcode],
        reg: r.pick(FREE),
        operand: either(r),
      });
      return [...code, ...define(opcode === 0xb8 ? 0 : OF | SF | PF | AF)];
    }
  }
};
const bmi: Unit = (r) => {
  const reg = r.pick(FREE);
  const v = r.pick(FREE);
  const operand = either(r);
  switch (r.below(10)) {
    case 0:
      return [...vex(r, 2, 0, 0xf2, reg, v, operand), ...define(AF | PF)]; // ANDN
    case 1:
      return [...vex(r, 2, 0, 0xf3, 1 + r.below(3), v, operand), ...define(AF | PF)]; // BLSR BLSMSK BLSI
    case 2:
      return [...vex(r, 2, 0, 0xf7, reg, v, operand), ...define(AF | SF | PF)]; // BEXTR
    case 3:
      return [...vex(r, 2, 0, 0xf5, reg, v, operand), ...define(AF | PF)]; // BZHI
    case 4:
      return vex(r, 2, 1 + r.below(3), 0xf7, reg, v, operand); // SHLX SARX SHRX
    case 5:
      return vex(r, 2, 2 + r.below(2), 0xf5, reg, v, operand); // PEXT PDEP
    case 6:
      return vex(r, 2, 3, 0xf6, reg, v, operand); // MULX
    case 7:
      return [...vex(r, 3, 3, 0xf0, reg, 0, operand), r.below(256)]; // RORX
    case 8:
      return encode({
        prefixes: [r.pick([0x66, 0xf3])],
        wide: r.oneIn(2),
        opcode: [0x0f, 0x38, 0xf6],
        reg,
        operand,
      }); // ADCX ADOX
    default: {
      const s = sized(r);
      if (r.oneIn(2))
        return encode({ ...s, opcode: [0x0f, 0x38, r.pick([0xf0, 0xf1])], reg, operand: memory(r) }); // MOVBE
      if (r.oneIn(3)) return encode({ ...bytePair(r), prefixes: [0xf2], reg, opcode: [0x0f, 0x38, 0xf0] });
      return encode({ ...s, prefixes: [...s.prefixes, 0xf2], opcode: [0x0f, 0x38, 0xf1], reg, operand }); // CRC32
    }
  }
};
const string: Unit = (r) => {
  const opcode = r.pick([0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf]);
  const s = (opcode & 1) === 0 ? { prefixes: [], wide: false } : sized(r);
  const repeat = r.pick([[], [0xf3], [0xf2]]);
  const lea = (n: number): number[] => encode({ wide: true, opcode: [0x8d], reg: n, operand: memory(r) });
  return [
    ...[...lea(6), ...lea(7)],
    ...(repeat.length > 0 ? [0xb9, ...u32(r.below(24))] : []),
    ...[r.pick([0xfc, 0xfd]), ...(r.oneIn(8) ? [0x67] : []), ...s.prefixes, ...repeat],
    ...(s.wide ? [0x48] : []),
    opcode,
  ];
};
const stack: Unit = (r) => {
  const n = r.pick(FREE);
  const rex = n > 7 ? [0x41] : [];
  switch (r.below(7)) {
    case 0:
      return [...rex, 0x50 | (n & 7)];
    case 1:
      return [...rex, 0x58 | (n & 7)];
    case 2:
      return [0x66, ...rex, r.pick([0x50, 0x58]) | (n & 7)];
    case 3:
      return r.oneIn(2) ? [0x6a, r.below(256)] : [0x68, ...imm(r, 4)];
    case 4:
      return encode({ opcode: [0xff], reg: 6, operand: memory(r) });
    case 5:
      return encode({ opcode: [0x8f], reg: 0, operand: memory(r) });
    default:
      // call over two bytes that a RET comes back to: call +1; (nop skipped); pop
      return [0xe8, 1, 0, 0, 0, 0x90, ...rex, 0x58 | (n & 7)];
  }
};
const flags: Unit = (r) => [r.pick([0xf5, 0xf8, 0xf9, 0xfc, 0xfd, 0x9e, 0x98, 0x99])];
const wideFlags: Unit = (r) => [0x48, r.pick([0x98, 0x99])];
const setByte: Unit = (r) => {
  const pair = bytePair(r);
  return encode({ ...pair, reg: 0, opcode: [0x0f, 0x90 | r.below(16)] });
};
const swap: Unit = (r) => {
  const n = r.pick(FREE);
  return [(r.oneIn(2) ? 0x48 : 0x40) | (n >> 3), 0x0f, 0xc8 | (n & 7)];
};
const xlat: Unit = (r) => [...encode({ wide: true, opcode: [0x8d], reg: 3, operand: memory(r) }), 0xd7];

// ---- SSE, MMX ----

/** Opcode map, mandatory prefixes (0: none), opcodes; `imm8` where an immediate follows; `mmx` registers without prefix. */
interface Family {
  readonly map: readonly number[];
  readonly prefixes: readonly number[];
  readonly opcodes: readonly number[];
  readonly immediate?: boolean;
  /** Memory operands are 16 bytes and must be aligned. */
  readonly align?: number;
  readonly operand?: "register" | "memory" | "general";
  readonly register?: "general";
}
const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, n) => first + n);
const FAMILIES: readonly Family[] = [
  {
    map: [0x0f],
    prefixes: [0, 0x66],
    opcodes: [0x10, 0x11, 0x28, 0x29, 0x14, 0x15, 0x54, 0x55, 0x56, 0x57],
    align: 16,
  },
  {
    map: [0x0f],
    prefixes: [0, 0x66, 0xf2, 0xf3],
    opcodes: [0x51, 0x58, 0x59, 0x5c, 0x5d, 0x5e, 0x5f],
    align: 16,
  },
  { map: [0x0f], prefixes: [0, 0x66, 0xf2, 0xf3], opcodes: [0xc2], immediate: true, align: 16 },
  { map: [0x0f], prefixes: [0, 0x66], opcodes: [0x2e, 0x2f], align: 8 },
  { map: [0x0f], prefixes: [0xf2, 0xf3], opcodes: [0x10, 0x11, 0x5a], align: 8 },
  { map: [0x0f], prefixes: [0, 0x66], opcodes: [0x12, 0x13, 0x16, 0x17], operand: "memory", align: 8 },
  { map: [0x0f], prefixes: [0], opcodes: [0x12, 0x16], operand: "register" },
  { map: [0x0f], prefixes: [0xf2], opcodes: [0x12], align: 8 },
  { map: [0x0f], prefixes: [0xf3], opcodes: [0x12, 0x16], align: 16 },
  { map: [0x0f], prefixes: [0, 0x66, 0xf3], opcodes: [0x5b], align: 16 },
  { map: [0x0f], prefixes: [0, 0x66], opcodes: [0x5a], align: 16 },
  { map: [0x0f], prefixes: [0x66, 0xf2, 0xf3], opcodes: [0xe6], align: 16 },
  { map: [0x0f], prefixes: [0xf2, 0xf3], opcodes: [0x2a], operand: "general" },
  { map: [0x0f], prefixes: [0xf2, 0xf3], opcodes: [0x2c, 0x2d], register: "general", align: 8 },
  { map: [0x0f], prefixes: [0, 0x66], opcodes: [0x50], register: "general", operand: "register" },
  { map: [0x0f], prefixes: [0x66], opcodes: [0xd7], register: "general", operand: "register" },
  { map: [0x0f], prefixes: [0, 0x66], opcodes: [0xc6], immediate: true, align: 16 },
  { map: [0x0f], prefixes: [0x66, 0xf2, 0xf3], opcodes: [0x70], immediate: true, align: 16 },
  { map: [0x0f], prefixes: [0x66, 0xf2], opcodes: [0x7c, 0x7d, 0xd0], align: 16 },
  {
    map: [0x0f],
    prefixes: [0x66],
    opcodes: [...range(0x60, 0x6d), ...range(0x74, 0x76), ...range(0xd1, 0xd5)],
    align: 16,
  },
  {
    map: [0x0f],
    prefixes: [0x66],
    opcodes: [...range(0xd8, 0xe5), ...range(0xe8, 0xef), ...range(0xf1, 0xf6)],
    align: 16,
  },
  { map: [0x0f], prefixes: [0x66], opcodes: range(0xf8, 0xfe), align: 16 },
  { map: [0x0f], prefixes: [0x66, 0xf3], opcodes: [0x6f, 0x7f], align: 16 },
  { map: [0x0f], prefixes: [0x66], opcodes: [0xd6, 0x7e], align: 8 },
  { map: [0x0f], prefixes: [0xf3], opcodes: [0x7e], align: 8 },
  { map: [0x0f], prefixes: [0x66], opcodes: [0x6e, 0x7e], operand: "general" },
  { map: [0x0f], prefixes: [0x66], opcodes: [0xe7, 0x2b], operand: "memory", align: 16 },
  { map: [0x0f], prefixes: [0], opcodes: [0x2b], operand: "memory", align: 16 },
  { map: [0x0f], prefixes: [0x66], opcodes: [0xc4], operand: "general", immediate: true },
  {
    map: [0x0f],
    prefixes: [0x66],
    opcodes: [0xc5],
    register: "general",
    operand: "register",
    immediate: true,
  },
  {
    map: [0x0f, 0x38],
    prefixes: [0x66],
    opcodes: [...range(0x00, 0x0b), 0x1c, 0x1d, 0x1e, ...range(0x20, 0x25)],
    align: 16,
  },
  { map: [0x0f, 0x38], prefixes: [0x66], opcodes: [0x10, 0x14, 0x15, 0x17, 0x28, 0x29, 0x2b], align: 16 },
  {
    map: [0x0f, 0x38],
    prefixes: [0x66],
    opcodes: [...range(0x30, 0x35), ...range(0x37, 0x41), ...range(0xdb, 0xdf)],
    align: 16,
  },
  { map: [0x0f, 0x38], prefixes: [0x66], opcodes: [0x2a], operand: "memory", align: 16 },
  { map: [0x0f, 0x38], prefixes: [0], opcodes: range(0xc8, 0xcd), operand: "register" },
  {
    map: [0x0f, 0x3a],
    prefixes: [0x66],
    opcodes: [...range(0x08, 0x0f), 0x42, 0x44, 0xdf],
    immediate: true,
    align: 16,
  },
  { map: [0x0f, 0x3a], prefixes: [0x66], opcodes: range(0x60, 0x63), immediate: true, align: 16 },
  {
    map: [0x0f, 0x3a],
    prefixes: [0x66],
    opcodes: [0x14, 0x15, 0x16, 0x17, 0x20, 0x22],
    immediate: true,
    operand: "general",
  },
  { map: [0x0f, 0x3a], prefixes: [0x66], opcodes: [0x21], immediate: true },
  { map: [0x0f, 0x3a], prefixes: [0], opcodes: [0xcc], immediate: true, operand: "register" },
];
const sse: Unit = (r) => {
  const family = r.pick(FAMILIES);
  const prefix = r.pick(family.prefixes);
  const isGeneral = family.operand === "general";
  const isMemory = family.operand === "memory" || (family.operand !== "register" && r.oneIn(3));
  const isPlain = isGeneral || family.register === "general";
  return encode({
    prefixes: prefix === 0 ? [] : [prefix],
    wide: isPlain && r.oneIn(2),
    opcode: [...family.map, r.pick(family.opcodes)],
    reg: family.register === "general" ? r.pick(FREE) : r.below(16),
    operand: isMemory ? memory(r, family.align ?? 1) : isGeneral ? general(r) : register(r.below(16)),
    immediate: family.immediate === true ? [r.below(256)] : [],
  });
};
const shiftImmediate: Unit = (r) => [
  ...[0x66, ...(r.oneIn(2) ? [0x41] : []), 0x0f],
  ...r
    .pick([
      [0x71, 0xd0],
      [0x71, 0xe0],
      [0x71, 0xf0],
      [0x72, 0xd0],
      [0x72, 0xe0],
      [0x72, 0xf0],
      [0x73, 0xd0],
      [0x73, 0xd8],
      [0x73, 0xf0],
      [0x73, 0xf8],
    ])
    .map((byte, n) => (n === 1 ? byte | r.below(8) : byte)),
  r.oneIn(4) ? r.below(256) : r.below(70),
];
const mmx: Unit = (r) => {
  const opcode = r.pick([
    ...range(0x60, 0x6b),
    0x74,
    0x75,
    0x76,
    ...range(0xd1, 0xd5),
    ...range(0xd8, 0xdf),
    0xe0,
  ]);
  const more = r.pick([
    0xe3, 0xe5, 0xe8, 0xe9, 0xeb, 0xec, 0xed, 0xef, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf8, 0xfc, 0xfe,
    0x6f, 0x7f,
  ]);
  return encode({
    opcode: [0x0f, r.oneIn(2) ? opcode : more],
    reg: r.below(8),
    operand: r.oneIn(3) ? memory(r) : register(r.below(8)),
  });
};

// ---- x87: what both makers do alike ----

const x87: Unit = (r) => {
  switch (r.below(6)) {
    case 0:
      return [r.pick([0xd8, 0xdc, 0xde]), r.pick([0xc0, 0xc8, 0xe0, 0xe8, 0xf0, 0xf8]) | r.below(8)];
    case 1:
      return [0xd9, r.pick([0xc0, 0xc8]) | r.below(8)];
    case 2:
      return [0xd9, r.pick([0xe0, 0xe1, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xfa, 0xfc, 0xf6, 0xf7])];
    case 3:
      return encode({
        opcode: [r.pick([0xd8, 0xda, 0xdc, 0xde])],
        reg: r.pick([0, 1, 4, 5, 6, 7]),
        operand: memory(r),
      });
    case 4:
      return encode({
        opcode: [r.pick([0xd9, 0xdb, 0xdd, 0xdf])],
        reg: r.pick([0, 2, 3]),
        operand: memory(r),
      });
    default:
      return r.oneIn(3)
        ? encode({ opcode: [r.pick([0xdb, 0xdf])], reg: r.pick([5, 7]), operand: memory(r) })
        : [0xda | r.below(2), r.pick([0xc0, 0xc8, 0xd0, 0xd8]) | r.below(8)];
  }
};

const MIX: readonly (readonly [number, Unit])[] = [
  [16, alu],
  [6, shift],
  [2, doubleShift],
  [6, unary],
  [3, multiply],
  [3, test],
  [14, move],
  [5, exchange],
  [5, bits],
  [5, bmi],
  [3, string],
  [4, stack],
  [3, flags],
  [1, wideFlags],
  [2, setByte],
  [1, swap],
  [1, xlat],
  [16, sse],
  [1, shiftImmediate],
];
const FLOATING: readonly (readonly [number, Unit])[] = [...MIX, [24, x87]];
const MMX: readonly (readonly [number, Unit])[] = [...MIX, [24, mmx]];

const weighted = (mix: readonly (readonly [number, Unit])[]): readonly Unit[] =>
  mix.flatMap(([weight, unit]) => Array.from({ length: weight }, () => unit));
const MIXES = [weighted(MIX), weighted(FLOATING), weighted(MMX)];

/** A block of units. Some are jumped over, when a condition holds. */
export function streamBlock(random: Random, units: number): number[][] {
  const mix = random.pick(MIXES);
  const block: number[][] = [];
  for (let n = 0; n < units; n++) {
    const unit = random.pick(mix)(random);
    if (!random.oneIn(12)) block.push(unit);
    else if (random.oneIn(4))
      block.push([0xe3, unit.length, ...unit]); // jrcxz
    else if (random.oneIn(3)) block.push([0x0f, 0x80 | random.below(16), ...u32(unit.length), ...unit]);
    else block.push([0x70 | random.below(16), unit.length, ...unit]);
  }
  return block;
}
