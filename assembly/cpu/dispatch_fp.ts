/**
 * Where x87, MMX, SSE, AES, SHA and PCLMULQDQ instructions are told apart. A record of id FP has as its operation
 * MAP_X87, MAP_0F (FXSAVE, FXRSTOR, the XSAVE family) or a form of sse/forms.ts; also the opcode byte, the repeat
 * prefix, BIT_OPSIZE, the ModRM operands and an immediate byte where there is one.
 */
import { MAP_X87 } from "./ids";
import { recOperation } from "./record";
import { executeVector } from "./sse/execute";
import { x87 } from "./x87/execute";
import { stateInstruction } from "./x87/xsave";

export function executeFp(r: u32): void {
  const operation = recOperation(r);
  if (operation >= 4) executeVector(r, operation);
  else if (operation == MAP_X87) x87(r);
  else stateInstruction(r);
}
