/**
 * Where x87, MMX, SSE, AES, SHA and PCLMULQDQ instructions are told apart. A record of id FP has as its operation
 * MAP_X87, MAP_0F (FXSAVE, FXRSTOR) or a form of sse/forms.ts; also the opcode byte, the repeat prefix, BIT_OPSIZE,
 * the ModRM operands and an immediate byte where there is one.
 */
import { raiseUd } from "./exceptions";
import { recOperation } from "./record";
import { executeVector } from "./sse/execute";

export function executeFp(r: u32): void {
  const operation = recOperation(r);
  if (operation >= 4) return executeVector(r, operation);
  raiseUd();
}
