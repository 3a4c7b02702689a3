/**
 * Random user code of 64-bit mode, unit by unit: an instruction, or a few that belong together. R15 points into the
 * arena, R14 is a small index, R13 is no canonical address, RSP lies in the arena: they are never written. Flags that
 * the manual leaves undefined are cleared at once, so that whatever follows may use flags.
 */
import type { Random } from "./random.ts";
import { type Unit, u32 } from "./stream_encoding.ts";
import {
  alu,
  bits,
  bmi,
  doubleShift,
  exchange,
  flags,
  move,
  multiply,
  setByte,
  shift,
  stack,
  string,
  swap,
  test,
  unary,
  wideFlags,
  xlat,
} from "./stream_integer.ts";
import { mmx, shiftImmediate, sse, x87 } from "./stream_vector.ts";

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
