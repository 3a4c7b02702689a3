/** A process of its own that prints the state hash of Debian's kernel at its shell. */
import { bootStock } from "./files.ts";

await using machine = await bootStock();
console.log(machine.stateHash().toString(16));
