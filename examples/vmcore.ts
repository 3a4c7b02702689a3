/** A vmcore of the panicked machine, written as it is read. Opens in crash, drgn, gdb and makedumpfile. */
import { boot, faults } from "crashlab";

await using machine = await boot({ cmdline: "panic_on_oops=1" });
await machine.inject(faults.nullDereference());

const vmcore = await machine.kdump.capture({
  onProgress: ({ done, total }) => {
    if (done === total) console.log(`${total} bytes`);
  },
});
await vmcore.save("vmcore");
