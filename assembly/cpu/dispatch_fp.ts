/**
 * Where x87, MMX, SSE, AES, SHA and PCLMULQDQ instructions are told apart. A record of id FP has the opcode map as
 * its operation (MAP_X87 to MAP_0F3A of decode.ts), the opcode byte, the repeat prefix, BIT_OPSIZE, the ModRM
 * operands and an immediate byte where the map has one. What no family knows is #UD.
 */
import { raiseUd } from "./exceptions";

export function executeFp(r: u32): void {
  raiseUd();
}
