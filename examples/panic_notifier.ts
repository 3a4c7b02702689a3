/** Panic notifiers: blocks in the guest kernel's own chain, whose callbacks are TypeScript and may be asynchronous. */
import { setTimeout } from "node:timers/promises";
import { boot, faults, Notify } from "crashlab";

await using machine = await boot();
await machine.panicNotifiers.register({
  name: "first",
  priority: 10,
  call: async (_event, message) => {
    // The guest stands still inside panic() meanwhile.
    await setTimeout(10);
    console.log(`first: ${message}`);
    return Notify.OK;
  },
});
await machine.panicNotifiers.register({
  name: "second",
  priority: 5,
  call: (_event, message) => {
    console.log(`second: ${message}`);
    return Notify.DONE;
  },
});

await machine.sysctl.set("kernel.panic_on_oops", 1);
await machine.inject(faults.nullDereference());
console.log(machine.panic?.title);
