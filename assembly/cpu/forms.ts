/**
 * Forms: what the run loop's switch goes by. A form is an instruction with its operands' kinds and widths settled,
 * so that its handler needs no test. Registers, immediates and fetched memory operands are all "values at an
 * address", which is why one form serves reg,reg and reg,imm; `32` and `64` are operand widths.
 * The numbers are dense, because only then the switch becomes a table.
 */
/** No form of its own: execute.ts and its families do it. */
export const GENERAL: u32 = 0;
/** End of a trace after an instruction that has set RIP. */
export const END: u32 = 1;
/** End of a trace that falls into the next address. */
export const END_FALL: u32 = 2;
export const NOP: u32 = 3;

// destination = destination op source
export const ADD32: u32 = 4;
export const ADD64: u32 = 5;
export const OR32: u32 = 6;
export const OR64: u32 = 7;
export const ADC32: u32 = 8;
export const ADC64: u32 = 9;
export const SBB32: u32 = 10;
export const SBB64: u32 = 11;
export const AND32: u32 = 12;
export const AND64: u32 = 13;
export const SUB32: u32 = 14;
export const SUB64: u32 = 15;
export const XOR32: u32 = 16;
export const XOR64: u32 = 17;
// Compare forms; FUSED more is the same together with the conditional jump behind it.
export const CMP32: u32 = 18;
export const CMP64: u32 = 19;
export const TEST32: u32 = 20;
export const TEST64: u32 = 21;
export const CMP8: u32 = 22;
export const TEST8: u32 = 23;
export const FUSED: u32 = 6;
export const CMP32_JCC: u32 = 24;
export const CMP64_JCC: u32 = 25;
export const TEST32_JCC: u32 = 26;
export const TEST64_JCC: u32 = 27;
export const CMP8_JCC: u32 = 28;
export const TEST8_JCC: u32 = 29;

// destination = op destination
export const INC32: u32 = 30;
export const INC64: u32 = 31;
export const DEC32: u32 = 32;
export const DEC64: u32 = 33;
export const NEG32: u32 = 34;
export const NEG64: u32 = 35;
export const NOT32: u32 = 36;
export const NOT64: u32 = 37;

// destination = source
export const MOV32: u32 = 38;
export const MOV64: u32 = 39;
export const MOV8: u32 = 40;
export const ZERO8: u32 = 41; // MOVZX
export const ZERO16: u32 = 42;
export const SIGN8_32: u32 = 43; // MOVSX
export const SIGN8_64: u32 = 44;
export const SIGN16_32: u32 = 45;
export const SIGN16_64: u32 = 46;
export const SIGN32_64: u32 = 47;

// destination = destination shifted by the byte at source
export const SHL32: u32 = 48;
export const SHL64: u32 = 49;
export const SHR32: u32 = 50;
export const SHR64: u32 = 51;
export const SAR32: u32 = 52;
export const SAR64: u32 = 53;
export const ROL32: u32 = 54;
export const ROL64: u32 = 55;
export const ROR32: u32 = 56;
export const ROR64: u32 = 57;

export const IMUL32: u32 = 58;
export const IMUL64: u32 = 59;
export const IMUL32_I: u32 = 60; // destination = source x immediate
export const IMUL64_I: u32 = 61;
export const LEA32: u32 = 62;
export const LEA64: u32 = 63;
export const SETCC: u32 = 64;
export const CMOV32: u32 = 65;
export const CMOV64: u32 = 66;

// From here on memory is touched: a miss in the TLB sends the instruction to the general handlers.
export const LOAD32: u32 = 67;
export const LOAD64: u32 = 68;
export const LOAD8: u32 = 69;
export const LOAD_ZERO8: u32 = 70;
export const LOAD_ZERO16: u32 = 71;
export const LOAD_SIGN8_32: u32 = 72;
export const LOAD_SIGN8_64: u32 = 73;
export const LOAD_SIGN16_32: u32 = 74;
export const LOAD_SIGN16_64: u32 = 75;
export const LOAD_SIGN32_64: u32 = 76;
export const STORE8: u32 = 77;
export const STORE16: u32 = 78;
export const STORE32: u32 = 79;
export const STORE64: u32 = 80;
// Fetch the memory operand to OPERAND, then go on with the record's second form, one of those above.
export const FETCH8: u32 = 81;
export const FETCH32: u32 = 82;
export const FETCH64: u32 = 83;
// memory = memory op source
export const UPDATE32: u32 = 84;
export const UPDATE64: u32 = 85;
export const PUSH64: u32 = 86;
export const POP64: u32 = 87;
export const LEAVE64: u32 = 88;

// Ends of traces.
export const JMP: u32 = 89;
export const CALL: u32 = 90;
export const RET: u32 = 91;
export const JMP_VALUE: u32 = 92;
export const CALL_VALUE: u32 = 93;
export const JE: u32 = 94;
export const JNE: u32 = 95;
export const JCC: u32 = 96;

/**
 * The forms from LOAD32 to UPDATE64 once more, this many further on, for code whose accesses are checked against a
 * shadow: what the shadow does not plainly allow, they leave to the general handlers.
 */
export const CHECKED: u32 = 30;
export const CHECKED_LOAD32: u32 = 97;
export const CHECKED_LOAD64: u32 = 98;
export const CHECKED_LOAD8: u32 = 99;
export const CHECKED_LOAD_ZERO8: u32 = 100;
export const CHECKED_LOAD_ZERO16: u32 = 101;
export const CHECKED_LOAD_SIGN8_32: u32 = 102;
export const CHECKED_LOAD_SIGN8_64: u32 = 103;
export const CHECKED_LOAD_SIGN16_32: u32 = 104;
export const CHECKED_LOAD_SIGN16_64: u32 = 105;
export const CHECKED_LOAD_SIGN32_64: u32 = 106;
export const CHECKED_STORE8: u32 = 107;
export const CHECKED_STORE16: u32 = 108;
export const CHECKED_STORE32: u32 = 109;
export const CHECKED_STORE64: u32 = 110;
export const CHECKED_FETCH8: u32 = 111;
export const CHECKED_FETCH32: u32 = 112;
export const CHECKED_FETCH64: u32 = 113;
export const CHECKED_UPDATE32: u32 = 114;
export const CHECKED_UPDATE64: u32 = 115;
/** An access that is checked by tags: if they are alike, the record's plain form does it. */
export const TAGGED: u32 = 116;
/** End of a trace after a string instruction, which either begins again or falls into the next address. */
export const END_STRING: u32 = 117;
/** REP MOVS or STOS; a trace ends behind it, as END_STRING. */
export const REPEAT: u32 = 118;
