/** Two futures of one machine: a fork shares memory until either writes it. */
import { boot, faults } from "crashlab";

await using machine = await boot();
await using child = await machine.fork();
console.log(`equal: ${child.stateHash() === machine.stateHash()}`);

await child.inject(faults.nullDereference());
const tainted = async (which: typeof machine): Promise<string> =>
  (await which.exec("cat /proc/sys/kernel/tainted")).stdout.trim();
console.log(`the child is tainted: ${await tainted(child)}, its parent not: ${await tainted(machine)}`);
