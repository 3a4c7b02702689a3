/** Runs an instruction over a table of cases in the core, in ring 0. */
import type { Core } from "../../bindings/core/core.ts";
import { CASE, type Instruction, loop } from "./float_cases.ts";
import { ring0 } from "./ring0.ts";

const TABLE = 0x100000;
const u32 = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];

let core: Core | undefined;

/** The table afterwards. */
export async function runInCore(instruction: Instruction, table: Uint8Array): Promise<Uint8Array> {
  const count = table.length / CASE;
  const code = [
    ...[0xb8, ...u32(0x620), 0x0f, 0x22, 0xe0], // CR4: PAE, OSFXSR, OSXMMEXCPT
    ...[0xbb, ...u32(TABLE), 0xb9, ...u32(count)],
    ...loop(instruction),
    0xf4,
  ];
  core = await ring0(code, {}, core);
  core.writePhysical(BigInt(TABLE), table);
  const exit = core.run(count * 64);
  if (exit.kind !== "halted") throw new Error(`${instruction.name}: ${exit.kind}`);
  const exception = core.exceptions().at(-1);
  if (exception !== undefined) throw new Error(`${instruction.name}: exception ${exception.vector}`);
  return core.readPhysical(BigInt(TABLE), table.length);
}
