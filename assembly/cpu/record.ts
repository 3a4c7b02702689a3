/**
 * A decoded instruction, 48 bytes. The first 28 are the decoder's and say all about the instruction; the rest is
 * what specialize.ts makes of it for the run loop.
 *
 *   +0  u16 handler id           +8  u16 address of the base register, relative to CPU
 *   +2  u8  length               +10 u16 address of the index register, relative to CPU
 *   +3  u8  operand size, bytes  +12 u8  scale, as a shift
 *   +4  u8  reg (REX.R included) +13 u8  operation within the handler: ALU row, condition, ...
 *   +5  u8  rm, register form    +14 u8  repeat prefix: 0, F2h, F3h
 *   +6  u8  bits, below          +15 u8  opcode byte
 *   +7  u8  segment              +16 i64 immediate        +24 i32 displacement
 *
 *   +28 u16 form (forms.ts)      +30 u16 instructions of the trace from this one on
 *   +32 u32 address of the destination's value      or, in a branch, the trace it leads to when taken
 *   +36 u32 address of the source's value           or the trace behind it (0: not yet known)
 *   +40 u16 offset of the next instruction in the page
 *   +42 u16 second form; in JCC the condition as a mask (below)
 *   +46 u8  the form where accesses are not checked    +47 u8  bytes of memory it accesses
 *   +44 u16 index register as the run loop uses it: the base of FS or GS where there is no index
 *
 * "Relative to CPU" and "address" are addresses in linear memory, so that a handler loads operands without asking
 * what they are.
 */
export const RECORD_SIZE: u32 = 48;

export const FORM: u32 = 28;
export const REMAINING: u32 = 30;
export const DESTINATION: u32 = 32;
export const SOURCE: u32 = 36;
export const TAKEN: u32 = 32;
export const NEXT: u32 = 36;
export const END_OFFSET: u32 = 40;
export const SECOND_FORM: u32 = 42;
export const CONDITION: u32 = 42;
export const INDEX: u32 = 44;
export const PLAIN_FORM: u32 = 46;
export const ACCESS_SIZE: u32 = 47;

/** A comparison's outcome is a set of these bits; a condition is the bits it asks for, and whether it is negated. */
export const EQUAL: u32 = 1;
export const BELOW: u32 = 2;
export const LESS: u32 = 4;
export const NEGATIVE: u32 = 8;
export const NEGATED: u32 = 0x100;

export const BIT_MEM: u32 = 1;
export const BIT_ADDRESS32: u32 = 2;
export const BIT_LOCK: u32 = 4;
export const BIT_REX: u32 = 8;
export const BIT_ADDRESS16: u32 = 16;
export const BIT_REX_W: u32 = 32;
export const BIT_OPSIZE: u32 = 64;
/** Its accesses to memory are checked against a shadow (shadow/check.ts). */
export const BIT_CHECKED: u32 = 128;

export function recId(r: u32): u32 {
  return load<u16>(r);
}
export function recLength(r: u32): u32 {
  return load<u8>(r, 2);
}
export function recOperandSize(r: u32): u32 {
  return load<u8>(r, 3);
}
export function recReg(r: u32): u32 {
  return load<u8>(r, 4);
}
export function recRm(r: u32): u32 {
  return load<u8>(r, 5);
}
export function recBits(r: u32): u32 {
  return load<u8>(r, 6);
}
export function recIsMem(r: u32): bool {
  return (load<u8>(r, 6) & BIT_MEM) != 0;
}
export function recLock(r: u32): bool {
  return (load<u8>(r, 6) & BIT_LOCK) != 0;
}
export function recSegment(r: u32): u32 {
  return load<u8>(r, 7);
}
export function recOperation(r: u32): u32 {
  return load<u8>(r, 13);
}
export function recRep(r: u32): u32 {
  return load<u8>(r, 14);
}
export function recOpcode(r: u32): u32 {
  return load<u8>(r, 15);
}
export function recImm(r: u32): i64 {
  return load<i64>(r, 16);
}
export function recDisp(r: u32): i32 {
  return load<i32>(r, 24);
}
