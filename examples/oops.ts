/** A driver dereferences NULL + 8: what the kernel reports, and what the machine saw. */
import { boot, faults } from "crashlab";

await using machine = await boot();
const { report, truth } = await machine.inject(faults.nullDereference({ access: "write", offset: 8 }));

const { rip } = report;
console.log(report.title);
console.log(`RIP: ${rip?.symbol} [${rip?.module}] at ${rip?.file}:${rip?.line}`);
for (const frame of report.trace) console.log(`  ${frame.symbol} at ${frame.file}:${frame.line}`);
console.log(`error code ${truth.exception?.error}, CR2 ${truth.exception?.cr2}`);

// The process died, the kernel did not.
const { stdout } = await machine.exec("cat /proc/sys/kernel/tainted");
console.log(`tainted: ${stdout.trim()}`);
