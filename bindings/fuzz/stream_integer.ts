/** Units of integer, string, stack and bit instructions; see stream_code.ts. */
import {
  AF,
  ALL,
  bytePair,
  CF,
  define,
  either,
  encode,
  FREE,
  general,
  imm,
  memory,
  OF,
  type Operand,
  PF,
  register,
  SF,
  sized,
  type Unit,
  u32,
  vex,
  ZF,
} from "./stream_encoding.ts";

export const alu: Unit = (r) => {
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

export const shift: Unit = (r) => {
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
export const doubleShift: Unit = (r) => {
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
export const unary: Unit = (r) => {
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
export const multiply: Unit = (r) => {
  const s = sized(r);
  const kind = r.below(3);
  const opcode = kind === 0 ? [0x0f, 0xaf] : [kind === 1 ? 0x6b : 0x69];
  const immediate = kind === 0 ? [] : imm(r, kind === 1 ? 1 : Math.min(4, s.size));
  return [
    ...encode({ ...s, opcode, reg: r.pick(FREE), operand: either(r), immediate }),
    ...define(SF | ZF | AF | PF),
  ];
};
export const test: Unit = (r) => {
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
export const move: Unit = (r) => {
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
export const exchange: Unit = (r) => {
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
export const bits: Unit = (r) => {
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
export const bmi: Unit = (r) => {
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
export const string: Unit = (r) => {
  const opcode = r.pick([0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf]);
  const s = (opcode & 1) === 0 ? { prefixes: [], wide: false } : sized(r);
  const repeat = r.pick([[], [0xf3], [0xf2]]);
  const address32 = r.oneIn(8) ? [0x67] : [];
  // Before the first element of a repeated one Intel's processors clear upper halves, AMD's do not.
  const wide = address32.length === 0 || repeat.length === 0;
  const lea = (n: number): number[] => encode({ wide, opcode: [0x8d], reg: n, operand: memory(r) });
  return [
    ...[...lea(6), ...lea(7)],
    ...(repeat.length > 0 ? [0xb9, ...u32(r.below(24))] : []),
    ...[r.pick([0xfc, 0xfd]), ...address32, ...s.prefixes, ...repeat],
    ...(s.wide ? [0x48] : []),
    opcode,
  ];
};
export const stack: Unit = (r) => {
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
export const flags: Unit = (r) => [r.pick([0xf5, 0xf8, 0xf9, 0xfc, 0xfd, 0x9e, 0x98, 0x99])];
export const wideFlags: Unit = (r) => [0x48, r.pick([0x98, 0x99])];
export const setByte: Unit = (r) => {
  const pair = bytePair(r);
  return encode({ ...pair, reg: 0, opcode: [0x0f, 0x90 | r.below(16)] });
};
export const swap: Unit = (r) => {
  const n = r.pick(FREE);
  return [(r.oneIn(2) ? 0x48 : 0x40) | (n >> 3), 0x0f, 0xc8 | (n & 7)];
};
export const xlat: Unit = (r) => [
  ...encode({ wide: true, opcode: [0x8d], reg: 3, operand: memory(r) }),
  0xd7,
];
