/** Guest time: nanoseconds = instructions retired plus the time skipped while every CPU was halted. */

import { BUDGET, RUN_CHUNK, TIME, TSC_OFFSET } from "../layout";
import { cpuField64 } from "./attention";

/** Exact at the current instruction. */
export function now(): u64 {
  return load<u64>(TIME) + <u64>(load<i64>(RUN_CHUNK) - load<i64>(BUDGET));
}
export function tsc(): u64 {
  return now() + load<u64>(TSC_OFFSET);
}
/** Guest time at which a CPU's TSC reaches the value. */
export function timeOfTsc(cpu: u32, value: u64): u64 {
  const offset = cpuField64(cpu, TSC_OFFSET);
  return value > offset ? value - offset : 0;
}
