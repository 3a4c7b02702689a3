/** The machine is broken under the guest: a return address on its stack, at an exact instruction. */
import { boot, faults } from "crashlab";

await using machine = await boot({ memory: "32M" });
const fault = faults.corruptReturnAddress({ bit: 40, when: { place: "vfs_write" } });
const { outcome, report, truth } = await machine.inject(fault);
console.log(`${outcome}: ${report?.title}`);

const hex = (value = 0n): string => `0x${value.toString(16)}`;
const { change, when, exception } = truth;
console.log(
  `at ${when?.symbol}: ${hex(change?.before)} became ${hex(change?.after)} at ${hex(change?.virtual)}`,
);
console.log(`the CPU faulted at ${hex(exception?.rip)}`);
